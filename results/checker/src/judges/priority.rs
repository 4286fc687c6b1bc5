//! Priority queues whose every element is put in once; the smallest number comes out first. Near-linear time.
//!
//! An element is certainly inside from when its put was over until its take began. Whoever takes an element needs a moment
//! at which nothing smaller is certainly inside (Lee and Mathur, 2024). So elements are looked at from the smallest on:
//! is there a moment left for its take; then, its own time inside is over for all larger ones. A take that found nothing
//! needs a moment at which nothing at all is.
//!
//! Finds every violation and nothing else. Cannot judge a queue into which an element was put twice, nor, now and then,
//! one in which takes of unknown fate leave too much open.

use super::free::Free;
use super::pairs::Pairs;
pub use super::pairs::{EMPTY, PUT, TAKE};
use super::unknown::{self, Discipline};
use super::{Answer, Columns, NEVER, NONE, Rule, narrow};

static OVERTAKEN: Rule =
    Rule { name: "reordered elements", law: "{0}, but at every moment of it something smaller was inside" };
static NOT_EMPTY: Rule =
    Rule { name: "false empty", law: "{0}, but at every moment of it something was inside" };

/// Judges a queue that gives its smallest element first.
pub fn judge(columns: &Columns) -> Answer {
    let discipline = Discipline { rank: |columns, put| columns.number(put), gone: smaller, known };
    unknown::judge(columns, &discipline)
}

/// Whatever is smaller than the element of this put.
fn smaller(columns: &Columns, put: u32) -> std::ops::Range<u32> {
    0..columns.number(put)
}

/// When an element came and went.
#[derive(Clone, Copy)]
struct Stay {
    /// Where its put began, [`NEVER`] if there was none, and ended.
    put: (u32, u32),
    /// The same of its take.
    take: (u32, u32),
}

fn known(columns: &Columns, pairs: &Pairs) -> Answer {
    let end = columns.events() as u32;
    let mut stays = vec![Stay { put: (NEVER, NEVER), take: (NEVER, NEVER) }; pairs.put.len()];
    for operation in 0..columns.len() as u32 {
        let ends = (columns.invoke(operation), columns.complete(operation));
        match columns.kind(operation) {
            PUT => stays[columns.number(operation) as usize].put = ends,
            TAKE => stays[columns.number(operation) as usize].take = ends,
            _ => {}
        }
    }
    // One more: the end of time.
    let mut free = Free::all(end as usize + 1);
    for (element, stay) in stays.iter().enumerate() {
        if stay.take.0 != NEVER {
            let from = stay.take.0.max(stay.put.0);
            if free.next(from as usize).is_none_or(|moment| moment as u32 > stay.take.1) {
                return blocked(columns, pairs, &OVERTAKEN, pairs.take[element]);
            }
        }
        if stay.put.1 != NEVER {
            free.take(stay.put.1 as usize + 1, stay.take.0.min(end + 1) as usize);
        }
    }
    for operation in (0..columns.len() as u32).filter(|operation| columns.kind(*operation) == EMPTY) {
        let moment = free.next(columns.invoke(operation) as usize);
        if moment.is_none_or(|moment| moment as u32 > columns.complete(operation)) {
            return blocked(columns, pairs, &NOT_EMPTY, operation);
        }
    }
    Answer::Legal
}

/// Nobody left a moment for this take: who of them all it takes.
fn blocked(columns: &Columns, pairs: &Pairs, rule: &'static Rule, take: u32) -> Answer {
    let taken = (columns.kind(take) == TAKE).then(|| columns.number(take));
    let own = taken.map_or(vec![take], |element| pairs.both(element));
    let until = columns.complete(take).min(columns.events() as u32);
    let mut groups = pairs.inside(columns, columns.invoke(take), until);
    groups.retain(|group| taken.is_none_or(|taken| columns.number(group[0]) < taken));
    let judge = |part: &Columns| known(part, &Pairs::known(part));
    let mut operations = narrow(columns, &own, groups, judge);
    operations.retain(|operation| *operation != take);
    operations.insert(0, take);
    rule.broken_by(operations.into_iter().filter(|operation| *operation != NONE).collect::<Vec<_>>())
}
