//! Linear and near-linear judges of single objects: sets, logs, queues, stacks, counters, locks, tickets, identifiers.
//!
//! The order in which an object's operations took effect is often known from their values alone: an element that is
//! put in once and taken out once, a token that only grows. Then nobody needs to search for an order; it is enough to
//! see whether time agrees with it. Each judge here says what it needs for that (mostly: every element is put in once).
//! Where a history does not have it the answer is [`Answer::Unfit`], with the reason, and [`Objects`] lets the search judge.
//!
//! Every judge is a pure function of [`Columns`], finds every violation and nothing else, and names the few operations
//! that show it. Operations of unknown fate count as what they are: they may have happened once, at any later time, or
//! never. What a judge cannot find stands at the head of its file.

mod accounting;
mod bits;
mod checker;
mod columns;
pub mod counter;
pub mod deltas;
pub mod element;
mod fallback;
pub mod fencing;
pub mod growing;
pub mod ids;
mod in_parts;
pub mod lock;
pub mod log;
mod nested;
mod object;
mod pairs;
mod parts;
mod peaks;
mod places;
pub mod priority;
pub mod queue;
mod ranks;
pub mod semaphore;
mod skyline;
pub mod stack;
mod unknown;

pub use checker::Objects;
pub use columns::{Columns, NEVER};
pub use object::Object;

/// What an object's operations prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is a legal order.
    Legal,
    /// There is none.
    Illegal(Violation),
    /// This judge cannot tell, and why: a fragment such as `an element was put in twice`.
    Unfit(&'static str),
}

/// Why there is no legal order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule that is broken.
    pub rule: &'static Rule,
    /// The operations that break it, as places in the columns, in the order in which [`Rule::law`] speaks of them;
    /// those it does not speak of come last.
    pub operations: Vec<u32>,
}

/// What holds in every legal order.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The published name of its breach: `lost element`.
    pub name: &'static str,
    /// What is wrong, as a sentence in which `{0}` stands for the first operation of the violation, and so on.
    pub law: &'static str,
}

impl Rule {
    /// The violation of this rule by these operations.
    fn broken_by(&'static self, operations: impl Into<Vec<u32>>) -> Answer {
        Answer::Illegal(Violation { rule: self, operations: operations.into() })
    }
}

impl Answer {
    /// Whether there is no legal order.
    pub fn is_illegal(&self) -> bool {
        matches!(self, Answer::Illegal(_))
    }
}

/// No operation, no value.
const NONE: u32 = u32::MAX;

/// Leaves out whole groups of operations as long as what is left stays illegal; `always` stays. Ever smaller chunks are
/// offered, so a few groups are found among many with about their number times the logarithm of all judgements.
///
/// Sound only for groups whose removal from a legal history leaves a legal one: all operations on one element, say, but
/// never one of unknown fate alone, which may be what makes the rest legal.
fn narrow(
    columns: &Columns,
    always: &[u32],
    groups: Vec<Vec<u32>>,
    judge: impl Fn(&Columns) -> Answer,
) -> Vec<u32> {
    let with = |groups: &[Vec<u32>]| {
        let mut kept: Vec<u32> = groups.iter().flatten().chain(always).copied().collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    };
    let mut left = groups;
    let mut size = left.len().max(1);
    loop {
        let mut at = 0;
        while at < left.len() {
            let end = (at + size).min(left.len());
            let mut fewer = left[..at].to_vec();
            fewer.extend_from_slice(&left[end..]);
            if judge(&columns.pick(&with(&fewer))).is_illegal() {
                left = fewer;
            } else {
                at = end;
            }
        }
        if size == 1 || left.is_empty() {
            return with(&left);
        }
        size = size.div_ceil(2);
    }
}
