//! The search for a legal order: whether the operations on one object can be put in a line that respects time and that
//! the model allows.
//!
//! It finds every violation of linearizability and nothing else, whatever the model. The problem is NP-hard (Gibbons and
//! Korach, 1997), so a budget can end the search; then it says so and how far it came, and never calls that a pass.
//!
//! The search is that of Wing and Gong with Lowe's memo, on configurations that do not grow with the history: everything
//! that returned before the first return not yet explained is in line, so the position of that return, the set of
//! operations pending there that are in line already, and the state say it all. They are gone through depth first
//! (`search`), breadth first (`sweep`), or around a suspicious event alone, in turns and then side by side (`decide`); long
//! histories piece by piece (`cuts`). What is simple enough is done before any of that, without making anything ready
//! (`straight`). What is skipped, and why that is sound, stands where it is skipped.

mod allowance;
mod classes;
mod cuts;
mod decide;
mod frontier;
mod lists;
mod pending;
mod search;
mod states;
mod straight;
mod sweep;
mod timeline;
mod used;

use schism_history::{Call, Operation, Outcome, Position, Ret};

use crate::model::Model;

pub(crate) use allowance::Holding;
pub use allowance::{Allowance, Spent};
pub use frontier::{Configuration, Frontier, frontier};
use pending::Wide;
pub use straight::straight;
use timeline::Timeline;

/// An operation as the search sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'h> {
    /// Its position in the history's operations.
    pub operation: usize,
    /// What was asked.
    pub call: &'h Call,
    /// What was answered; `None` if nobody knows whether it happened: it may take effect once, any time after its
    /// invocation, or never.
    pub ret: Option<&'h Ret>,
    /// Where it began in the order of all events.
    pub invoke: Position,
    /// Where it ended; means nothing while `ret` is `None`.
    pub complete: Position,
}

impl<'h> Entry<'h> {
    /// The operation as an entry; `None` if it constrains nothing: it failed, or is a call without effect whose answer
    /// nobody got.
    pub fn of(position: usize, operation: &'h Operation) -> Option<Entry<'h>> {
        let ret = match &operation.outcome {
            Outcome::Fail(_) => return None,
            Outcome::Info(_) if !operation.call.changes() => return None,
            Outcome::Info(_) => None,
            Outcome::Ok(ret) => Some(ret),
        };
        Some(Entry {
            operation: position,
            call: &operation.call,
            ret,
            invoke: operation.invoke,
            complete: operation.complete,
        })
    }
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There is a legal order.
    Linearizable,
    /// There is none.
    NotLinearizable,
    /// The budget was over first.
    GaveUp(Spent),
}

/// How hard a search was, and how far it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Configurations visited.
    pub configurations: u64,
    /// The operation whose return no visited configuration explained, furthest in time: all that returned before it is
    /// legal. `None` if all is.
    pub reached: Option<usize>,
    /// The largest number of operations with a known answer that were pending at the same time.
    pub concurrency: usize,
    /// Operations that may have happened or not, and could matter.
    pub optional: usize,
    /// The largest number of configurations that were possible at one event, as far as they were looked at side by side.
    pub widest: usize,
}

/// Searches for a legal order of the operations of one object. `steps` bounds the configurations visited; time and
/// memory are bounded by the allowance.
pub fn search<M: Model>(
    model: &M,
    entries: &[Entry<'_>],
    allowance: &Allowance<'_>,
    steps: u64,
) -> (Finding, Effort) {
    search_by(Way::Turns, model, entries, allowance, steps)
}

/// How to look for a legal order. All but [`Way::Turns`] are there to be compared with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Depth first, parts and breadth first take turns, each longer than the last; when the first turns were in vain and a
    /// thread is free, side by side. Long histories are cut where nothing is pending if there are threads for the pieces.
    #[default]
    Turns,
    /// Depth first alone.
    Depth,
    /// Breadth first alone. Of more configurations at one event than this, only the most promising are kept: then a legal
    /// order can be found and nothing be refuted.
    Breadth(usize),
    /// Parts alone: one before every return, of so many returns before and after it. They can refute, and never find a
    /// legal order.
    Parts(usize),
    /// Depth first on one thread, all else on another, from the beginning.
    Race,
    /// Cut wherever nothing is pending and it is known what may be the case there, into pieces of at least so many
    /// operations.
    Pieces(usize),
}

/// Searches in a way of the caller's choice.
pub fn search_by<M: Model>(
    way: Way,
    model: &M,
    entries: &[Entry<'_>],
    allowance: &Allowance<'_>,
    steps: u64,
) -> (Finding, Effort) {
    let length = match way {
        Way::Pieces(length) => Some(length),
        Way::Turns if steps == u64::MAX => cuts::worthwhile(entries.len()),
        _ => None,
    };
    let cuts = length.map_or(Vec::new(), |length| cuts::find(model, entries, length));
    if cuts.is_empty() {
        return search_whole(
            way,
            &Piece { model, entries, initial: model.initial(), last: None },
            allowance,
            steps,
        );
    }
    cuts::search(model, entries, &cuts, allowance, steps)
}

/// What is searched: operations, and between which states, if that is known.
struct Piece<'a, 'h, M: Model> {
    model: &'h M,
    entries: &'a [Entry<'h>],
    initial: M::State,
    /// What it must leave behind.
    last: Option<M::State>,
}

fn search_whole<M: Model>(
    way: Way,
    piece: &Piece<'_, '_, M>,
    allowance: &Allowance<'_>,
    steps: u64,
) -> (Finding, Effort) {
    let mut holding = Holding::new(allowance);
    let most = Timeline::<M>::bytes_for(piece.entries.len());
    if let Err(spent) = holding.grow(most) {
        return (Finding::GaveUp(spent), Effort::default());
    }
    let mut line = Timeline::new(piece.model, piece.entries, piece.initial.clone(), piece.last.clone());
    holding.shrink(most);
    if let Err(spent) = holding.grow(line.bytes()) {
        return (Finding::GaveUp(spent), Effort::default());
    }
    match line.slots {
        0..=64 => decide::decide::<M, u64>(way, &mut line, allowance, steps),
        65..=128 => decide::decide::<M, u128>(way, &mut line, allowance, steps),
        _ => decide::decide::<M, Wide>(way, &mut line, allowance, steps),
    }
}

/// The entries without the optional ones that no required one could tell: there is a legal order of the rest if and only
/// if there is one of all.
pub fn without_idle<'h, M: Model>(model: &M, entries: &[Entry<'h>]) -> Vec<Entry<'h>> {
    let idle = Timeline::new(model, entries, model.initial(), None).idle;
    if idle.is_empty() {
        return entries.to_vec();
    }
    entries.iter().zip(idle).filter(|(_, idle)| !idle).map(|(entry, _)| *entry).collect()
}
