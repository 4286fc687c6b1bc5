//! Priority queues whose every element is put in once; the smallest number comes out first. Near-linear time.
//!
//! An element is certainly inside from when its put was over until its take began. Whoever takes an element needs a moment
//! at which nothing smaller is certainly inside (Lee and Mathur, 2024). So elements are looked at from the smallest on:
//! is there a moment left for its take; then, its own time inside is over for all larger ones. A take that found nothing
//! needs a moment at which nothing at all is.
//!
//! Finds every violation and nothing else. Cannot judge a queue into which an element was put twice, nor, now and then,
//! one in which takes of unknown fate leave too much open.

use super::bits::Bits;
pub use super::pairs::{EMPTY, PUT, TAKE};
use super::pairs::{Pairs, Stays};
use super::unknown::{self, Discipline};
use super::{Answer, Columns, NEVER, NONE, Rule, narrow};

static OVERTAKEN: Rule =
    Rule { name: "reordered elements", law: "{0}, but at every moment of it something smaller was inside" };
static NOT_EMPTY: Rule =
    Rule { name: "false empty", law: "{0}, but at every moment of it something was inside" };

/// Judges a queue that gives its smallest element first.
pub fn judge(columns: &Columns) -> Answer {
    let dense = columns.dense();
    let columns = &*dense;
    if let Some(stays) = Stays::of(columns)
        && stays.unknown.is_empty()
        && blocked(&stays.ends, stays.empty.into_iter(), columns.events()).is_none()
    {
        return Answer::Legal;
    }
    let discipline = Discipline { rank: |columns, put| columns.number(put), gone: smaller, known };
    unknown::judge(columns, &discipline)
}

/// Whatever is smaller than the element of this put.
fn smaller(columns: &Columns, put: u32) -> std::ops::Range<u32> {
    0..columns.number(put)
}

fn known(columns: &Columns, pairs: &Pairs) -> Answer {
    let mut ends = vec![[NEVER; 4]; pairs.put.len()];
    let mut empty = Vec::new();
    for operation in 0..columns.len() as u32 {
        let (invoke, complete) = (columns.invoke(operation), columns.complete(operation));
        match columns.kind(operation) {
            kind @ (PUT | TAKE) => {
                let at = 2 * usize::from(kind == TAKE);
                ends[columns.number(operation) as usize][at..at + 2].copy_from_slice(&[invoke, complete]);
            }
            EMPTY => empty.push(operation),
            _ => {}
        }
    }
    let empties = empty.iter().map(|empty| [columns.invoke(*empty), columns.complete(*empty)]);
    match blocked(&ends, empties, columns.events()) {
        None => Answer::Legal,
        Some(Blocked::Take(element)) => witness(columns, pairs, &OVERTAKEN, pairs.take[element]),
        Some(Blocked::Empty(number)) => witness(columns, pairs, &NOT_EMPTY, empty[number]),
    }
}

/// Who was left no moment.
enum Blocked {
    /// Whoever took this element.
    Take(usize),
    /// This one of those that found nothing.
    Empty(usize),
}

/// Given the ends of each element's put and take, and of those that found nothing.
fn blocked(ends: &[[u32; 4]], empty: impl Iterator<Item = [u32; 2]>, events: usize) -> Option<Blocked> {
    // One more: the end of time.
    let mut free = Bits::all(events + 1);
    for (element, [put, inside, take, taken]) in ends.iter().enumerate() {
        if *take != NEVER && free.next((*take).max(*put) as usize).is_none_or(|moment| moment as u32 > *taken)
        {
            return Some(Blocked::Take(element));
        }
        if *inside != NEVER {
            free.take(*inside as usize + 1, (*take as usize).min(events + 1));
        }
    }
    for (number, [began, over]) in empty.enumerate() {
        if free.next(began as usize).is_none_or(|moment| moment as u32 > over) {
            return Some(Blocked::Empty(number));
        }
    }
    None
}

/// Nobody left a moment for this take: who of them all it takes.
fn witness(columns: &Columns, pairs: &Pairs, rule: &'static Rule, take: u32) -> Answer {
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
