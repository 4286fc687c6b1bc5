//! Stacks whose every element is pushed once. O(n log n).
//!
//! An element is certainly inside from when its push was over until its pop began. At a moment at which nothing is
//! certainly inside the stack can have been empty, and whatever is pending then can happen there; an element both of
//! whose ends can is at the bottom of all that lies between, and may be left out, which leaves more such moments. There
//! is a legal order if and only if this goes on until no element is left (Lee and Mathur, 2024; Gibbons and Korach's idea
//! of zones, for nested ones).
//!
//! Moments between which nothing begins or ends to be inside are alike: a *stretch*. Elements that are inside make a
//! skyline over the stretches (`skyline`), which says which stretches come free when one is left out; and one row of
//! numbers (`peaks`) says which operations reach a stretch.
//!
//! Finds every violation and nothing else. Cannot judge a stack onto which an element was pushed twice, nor, now and then,
//! one in which pops of unknown fate leave too much open.

use super::columns::NOTHING;
pub use super::pairs::{EMPTY, PUT, TAKE};
use super::pairs::{Pairs, Stays};
use super::peaks::Peaks;
use super::skyline::Skyline;
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
    let dense = columns.dense();
    let columns = &*dense;
    if let Some(stays) = Stays::of(columns)
        && stays.unknown.is_empty()
        && trouble(columns, &stays.ends).is_none()
    {
        return Answer::Legal;
    }
    let discipline = Discipline { rank: |columns, put| columns.invoke(put), gone: above, known };
    unknown::judge(columns, &discipline)
}

/// Whatever was pushed after the push of this element was over.
fn above(columns: &Columns, put: u32) -> std::ops::Range<u32> {
    columns.complete(put).min(NEVER - 1)..NEVER
}

fn known(columns: &Columns, pairs: &Pairs) -> Answer {
    let ends: Vec<[u32; 4]> = pairs
        .put
        .iter()
        .zip(&pairs.take)
        .map(|(put, take)| {
            let of = |operation: u32| match operation {
                NONE => [NEVER; 2],
                operation => [columns.invoke(operation), columns.complete(operation)],
            };
            let ([put, inside], [take, taken]) = (of(*put), of(*take));
            [put, inside, take, taken]
        })
        .collect();
    match trouble(columns, &ends) {
        None => Answer::Legal,
        Some(Trouble::NotEmpty(empty)) => not_empty(columns, pairs, empty),
        Some(Trouble::Stuck(elements)) => not_nested(columns, pairs, &elements),
    }
}

/// Why there is no legal order.
enum Trouble {
    /// A pop that found nothing, and had no moment for it.
    NotEmpty(u32),
    /// Elements of which none can be at the bottom.
    Stuck(Vec<u32>),
}

/// The elements that are certainly inside at some moment, and the stretches between their comings and goings.
#[derive(Default)]
struct Landscape {
    /// By element that is inside, in the order in which they come: which it is, the stretches it covers, and how many of
    /// its operations matter.
    elements: Vec<u32>,
    covers: Vec<(u32, u32)>,
    operations: Vec<u8>,
    /// By operation that matters, in the order of invocation: its element's place in these lists, and one more than the
    /// last stretch it reaches.
    of: Vec<u32>,
    end: Vec<u32>,
    /// By stretch: how many operations begin there or before.
    begun: Vec<u32>,
    not_empty: Option<u32>,
}

/// Given where each element's push began and was over, and its pop; [`NEVER`] where it did not.
fn trouble(columns: &Columns, ends: &[[u32; 4]]) -> Option<Trouble> {
    let mut land = landscape(columns, ends);
    if let Some(empty) = land.not_empty {
        return Some(Trouble::NotEmpty(empty));
    }
    peel(&mut land);
    let left = land.elements.iter().zip(&land.operations).filter(|(_, operations)| **operations > 0);
    let stuck: Vec<u32> = left.map(|(element, _)| *element).collect();
    (!stuck.is_empty()).then_some(Trouble::Stuck(stuck))
}

fn landscape(columns: &Columns, ends: &[[u32; 4]]) -> Landscape {
    let mut land = Landscape {
        of: Vec::with_capacity(columns.len()),
        end: Vec::with_capacity(columns.len()),
        begun: Vec::with_capacity(columns.len() + 1),
        ..Landscape::default()
    };
    // Where an operation stands in these lists, and an element.
    let mut place = vec![NONE; columns.len()];
    let mut came = vec![NONE; ends.len()];
    let (mut stretch, mut inside, mut free) = (0, 0, 0);
    for (position, end) in columns.timeline().into_iter().enumerate().filter(|(_, end)| *end != NOTHING) {
        let (position, operation, returns) = (position as u32, end / 2, end % 2 == 1);
        let (kind, element) = (columns.kind(operation), columns.number(operation) as usize);
        if kind == EMPTY {
            if inside == 0 {
                free = position + 1;
            }
            if returns && free <= columns.invoke(operation) {
                land.not_empty = land.not_empty.or(Some(operation));
            }
            continue;
        }
        // Else its push and pop may stand side by side anywhere.
        let [_, over, taken, _] = if kind <= TAKE { ends[element] } else { [NEVER; 4] };
        let stays = over < taken;
        if stays && !returns {
            if kind == TAKE {
                land.covers[came[element] as usize].1 = stretch + 1;
                land.begun.push(land.of.len() as u32);
                stretch += 1;
                inside -= 1;
            }
            place[operation as usize] = land.of.len() as u32;
            land.of.push(if kind == TAKE { came[element] } else { NONE });
            // Who never returns reaches the end of time, at which nothing is inside.
            land.end.push(0);
            if kind == TAKE && columns.complete(operation) != NEVER {
                land.operations[came[element] as usize] += 1;
            }
        }
        if inside == 0 {
            free = position + 1;
        }
        if stays && returns {
            let at = place[operation as usize] as usize;
            land.end[at] = stretch + 1;
            if kind == PUT {
                came[element] = land.elements.len() as u32;
                land.of[at] = came[element];
                land.elements.push(element as u32);
                land.begun.push(land.of.len() as u32);
                stretch += 1;
                inside += 1;
                land.covers.push((stretch, NEVER));
                land.operations.push(1);
            }
        }
    }
    land.begun.push(land.of.len() as u32);
    land
}

/// Leaves out elements as long as one can be; what has operations left at the end cannot.
fn peel(land: &mut Landscape) {
    let mut open = Vec::new();
    let mut skyline = Skyline::of(&land.covers, land.begun.len() as u32, &mut open);
    let mut reach = Peaks::of(&land.end);
    while let Some((from, end)) = open.pop() {
        // Operations that begin before the end of these stretches, and reach one of them.
        let mut begun = land.begun[end as usize - 1] as usize;
        while let Some(operation) = reach.last(begun, from) {
            reach.take(operation);
            begun = operation;
            let element = land.of[operation];
            land.operations[element as usize] -= 1;
            if land.operations[element as usize] == 0 {
                skyline.take(element, &mut open);
            }
        }
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
