//! Stacks whose every element is pushed once. O(n log n).
//!
//! An element is certainly inside from when its push was over until its pop began. At a moment at which nothing is
//! certainly inside the stack can have been empty, and whatever is pending then can happen there; an element both of
//! whose ends can is at the bottom of all that lies between, and may be left out, which leaves more such moments. There
//! is a legal order if and only if this goes on until no element is left (Lee and Mathur, 2024; Gibbons and Korach's idea
//! of zones, for nested ones).
//!
//! Moments between which nothing begins or ends to be inside are alike: a *stretch*. How many elements cover each, and which
//! operation reaches furthest, stand in two trees.
//!
//! Finds every violation and nothing else. Cannot judge a stack onto which an element was pushed twice, nor, now and then,
//! one in which pops of unknown fate leave too much open.

use super::columns::NOTHING;
use super::pairs::Pairs;
pub use super::pairs::{EMPTY, PUT, TAKE};
use super::trees::{Cover, Reach};
use super::unknown::{self, Discipline};
use super::{Answer, Columns, NEVER, NONE, Rule, narrow};

static NOT_NESTED: Rule = Rule {
    name: "reordered elements",
    law: "{0}: with the others here, no order of these takes what was put in last, first",
};
static NOT_EMPTY: Rule =
    Rule { name: "false empty", law: "{0}, but at every moment of it something was inside" };

/// Judges a stack.
pub fn judge(columns: &Columns) -> Answer {
    let discipline = Discipline { rank: |columns, put| columns.invoke(put), gone: above, known };
    unknown::judge(columns, &discipline)
}

/// Whatever was pushed after the push of this element was over.
fn above(columns: &Columns, put: u32) -> std::ops::Range<u32> {
    columns.complete(put).min(NEVER - 1)..NEVER
}

/// The elements that are certainly inside at some moment, and the stretches between their comings and goings.
struct Landscape {
    /// By operation that matters, in the order of invocation: its element, the first stretch it reaches, and one more
    /// than the last.
    element: Vec<u32>,
    first: Vec<u32>,
    end: Vec<u32>,
    /// By element: the stretches it covers, and how many of its operations matter.
    covers: Vec<(u32, u32)>,
    operations: Vec<u8>,
    stretches: usize,
    /// A pop that found nothing, and had no moment for it.
    not_empty: Option<u32>,
}

fn known(columns: &Columns, pairs: &Pairs) -> Answer {
    let mut land = landscape(columns, pairs);
    if let Some(empty) = land.not_empty {
        return not_empty(columns, pairs, empty);
    }
    peel(&mut land);
    let stuck: Vec<u32> =
        (0..pairs.put.len() as u32).filter(|element| land.operations[*element as usize] > 0).collect();
    if stuck.is_empty() { Answer::Legal } else { not_nested(columns, pairs, &stuck) }
}

/// Whether the element is certainly inside at some moment. Else its push and pop may stand side by side anywhere.
fn stays(columns: &Columns, pairs: &Pairs, element: usize) -> bool {
    let (put, take) = (pairs.put[element], pairs.take[element]);
    put != NONE
        && columns.complete(put) != NEVER
        && (take == NONE || columns.complete(put) < columns.invoke(take))
}

fn landscape(columns: &Columns, pairs: &Pairs) -> Landscape {
    let elements = pairs.put.len();
    let mut land = Landscape {
        element: Vec::with_capacity(columns.len()),
        first: Vec::with_capacity(columns.len()),
        end: Vec::with_capacity(columns.len()),
        covers: vec![(0, 0); elements],
        operations: vec![0; elements],
        stretches: 0,
        not_empty: None,
    };
    // Where an operation stands in the lists above.
    let mut place = vec![NONE; columns.len()];
    let (mut stretch, mut inside, mut free) = (0, 0, 0);
    for (position, end) in columns.timeline().into_iter().enumerate().filter(|(_, end)| *end != NOTHING) {
        let (position, operation, returns) = (position as u32, end / 2, end % 2 == 1);
        let kind = columns.kind(operation);
        let element = columns.number(operation) as usize;
        let matters = (kind == PUT || kind == TAKE) && stays(columns, pairs, element);
        if matters && !returns {
            if kind == TAKE {
                land.covers[element].1 = stretch + 1;
                stretch += 1;
                inside -= 1;
            }
            place[operation as usize] = land.element.len() as u32;
            land.element.push(element as u32);
            land.first.push(stretch);
            // Who never returns reaches the end of time, at which nothing is inside.
            land.end.push(0);
            land.operations[element] += u8::from(columns.complete(operation) != NEVER);
        }
        if inside == 0 {
            free = position + 1;
        }
        if matters && returns {
            land.end[place[operation as usize] as usize] = stretch + 1;
            if kind == PUT {
                stretch += 1;
                inside += 1;
                land.covers[element] = (stretch, NEVER);
            }
        }
        if returns && kind == EMPTY && free <= columns.invoke(operation) {
            land.not_empty = land.not_empty.or(Some(operation));
        }
    }
    land.stretches = stretch as usize + 1;
    land
}

/// Leaves out elements as long as one can be; what has operations left at the end cannot.
fn peel(land: &mut Landscape) {
    let mut cover = Cover::of(land.stretches, &land.covers);
    let mut reach = Reach::of(&land.first, &land.end, land.stretches);
    while let Some(stretch) = cover.uncovered() {
        reach.take(stretch, |operation| {
            let element = land.element[operation as usize] as usize;
            land.operations[element] -= 1;
            if land.operations[element] == 0 {
                let (from, end) = land.covers[element];
                cover.lower(from, end);
            }
        });
    }
}

fn not_empty(columns: &Columns, pairs: &Pairs, empty: u32) -> Answer {
    let groups = pairs.inside(columns, columns.invoke(empty), columns.complete(empty));
    let judge = |part: &Columns| known(part, &Pairs::known(part));
    let mut operations = narrow(columns, &[empty], groups, judge);
    operations.retain(|operation| *operation != empty);
    operations.insert(0, empty);
    NOT_EMPTY.broken_by(operations)
}

fn not_nested(columns: &Columns, pairs: &Pairs, stuck: &[u32]) -> Answer {
    let groups = stuck.iter().map(|element| pairs.both(*element)).collect();
    let judge = |part: &Columns| known(part, &Pairs::known(part));
    let mut operations = narrow(columns, &[], groups, judge);
    // The pop that comes first takes something from below another element.
    let pops = operations.iter().copied().filter(|operation| columns.kind(*operation) == TAKE);
    if let Some(first) = pops.min_by_key(|operation| columns.complete(*operation)) {
        operations.retain(|operation| *operation != first);
        operations.insert(0, first);
    }
    NOT_NESTED.broken_by(operations)
}
