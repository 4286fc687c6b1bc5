//! Stacks whose every element is pushed once. O(n log n).
//!
//! An element is certainly inside from when its push was over until its pop began. At a moment at which nothing is
//! certainly inside the stack can have been empty, and whatever is pending then can happen there; an element both of
//! whose ends can is at the bottom of all that lies between, and may be left out, which leaves more such moments. There
//! is a legal order if and only if this goes on until no element is left (Lee and Mathur, 2024; Gibbons and Korach's idea
//! of zones, for nested ones).
//!
//! A moment is known by the position before it. Elements that are inside make a skyline over the moments (`skyline`), which
//! says which moments come free when one is left out; and one row of numbers (`peaks`) says which operations reach a moment.
//!
//! Finds every violation and nothing else. Cannot judge a stack onto which an element was pushed twice, nor, now and then,
//! one in which pops of unknown fate leave too much open.

use super::nested::Line;
pub use super::pairs::{EMPTY, PUT, TAKE};
use super::pairs::{Pairs, Stays};
use super::peaks::Peaks;
use super::ranks::Ranks;
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
        && trouble(&stays.ends, &stays.empty, columns.events()).is_none()
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
    let dense = columns.dense();
    let columns = &*dense;
    let of = |operation: u32| match operation {
        NONE => [NEVER; 2],
        operation => [columns.invoke(operation), columns.complete(operation)],
    };
    let both = pairs.put.iter().zip(&pairs.take).map(|(put, take)| (of(*put), of(*take)));
    let ends: Vec<[u32; 4]> = both.map(|([put, inside], [take, taken])| [put, inside, take, taken]).collect();
    let empty = (0..columns.len() as u32)
        .filter(|operation| columns.kind(*operation) == EMPTY && columns.complete(*operation) != NEVER);
    let empty: Vec<u32> = empty.collect();
    let empties: Vec<[u32; 2]> = empty.iter().map(|empty| of(*empty)).collect();
    match trouble(&ends, &empties, columns.events()) {
        None => Answer::Legal,
        Some(Trouble::NotEmpty(at)) => not_empty(columns, pairs, empty[at]),
        Some(Trouble::Stuck(elements)) => not_nested(columns, pairs, &elements),
    }
}

/// Why there is no legal order.
enum Trouble {
    /// Which of the pops that found nothing had no moment for it.
    NotEmpty(usize),
    /// Elements of which none can be at the bottom.
    Stuck(Vec<u32>),
}

/// The elements that are left, in the order in which they come, and their operations, in the order of invocation.
struct Landscape {
    /// By element: which it is, from when and until when it is inside, and how many of its operations matter.
    elements: Vec<u32>,
    covers: Vec<(u32, u32)>,
    operations: Vec<u8>,
    /// By operation: its element's place in these lists, and where it is over.
    of: Vec<u32>,
    over: Vec<u32>,
    /// Where the operations begin.
    begins: Ranks,
}

/// Given where each element's push began and was over, and its pop, [`NEVER`] where it did not; and the ends of the pops
/// that found nothing.
fn trouble(ends: &[[u32; 4]], empty: &[[u32; 2]], events: usize) -> Option<Trouble> {
    let mut line = Line::of(ends, events);
    let open = if empty.is_empty() { Vec::new() } else { line.open(ends, events) };
    // A moment is known by the position before it.
    let no_moment = empty.iter().position(|[began, over]| {
        let next = open.partition_point(|(_, end)| end <= began);
        open.get(next).is_none_or(|(from, _)| from >= over)
    });
    if let Some(at) = no_moment {
        return Some(Trouble::NotEmpty(at));
    }
    line.narrow();
    let stuck = stuck(&line);
    (!stuck.is_empty()).then_some(Trouble::Stuck(stuck))
}

/// The elements of which none can be at the bottom when all others are left out.
fn stuck(line: &Line) -> Vec<u32> {
    let (ends, events) = line.ends();
    let mut land = landscape(&ends, events);
    let mut open = Vec::new();
    let mut skyline = Skyline::of(&land.covers, events as u32, &mut open);
    peel(&mut land, &mut skyline, open);
    let stuck = land.elements.iter().zip(&land.operations).filter(|(_, operations)| **operations > 0);
    stuck.map(|(element, _)| line.elements[*element as usize]).collect()
}

fn landscape(ends: &[[u32; 4]], events: usize) -> Landscape {
    let comes = Ranks::of(events, |put| ends.iter().for_each(|[_, inside, ..]| put(*inside)));
    let begins = Ranks::of(events, |put| {
        for [push, _, pop, _] in ends {
            put(*push);
            if *pop != NEVER {
                put(*pop);
            }
        }
    });
    let count = ends.len();
    let mut land = Landscape {
        elements: vec![0; count],
        covers: vec![(0, 0); count],
        operations: vec![0; count],
        of: vec![0; begins.len()],
        over: vec![0; begins.len()],
        begins,
    };
    for (element, [push, inside, pop, popped]) in ends.iter().enumerate() {
        let place = comes.before(*inside);
        land.elements[place] = element as u32;
        land.covers[place] = (*inside, *pop);
        land.operations[place] = 1 + u8::from(*popped != NEVER);
        let mut operation = |begins: u32, over: u32| {
            let at = land.begins.before(begins);
            land.of[at] = place as u32;
            // Who never returns reaches the end of time, at which nothing is inside.
            land.over[at] = if over == NEVER { 0 } else { over };
        };
        operation(*push, *inside);
        if *pop != NEVER {
            operation(*pop, *popped);
        }
    }
    land
}

/// Leaves out elements as long as one can be; what has operations left at the end cannot.
fn peel(land: &mut Landscape, skyline: &mut Skyline, mut open: Vec<(u32, u32)>) {
    let mut reach = Peaks::of(&land.over);
    while let Some((from, end)) = open.pop() {
        // Operations that begin before the end of these moments, and reach one of them.
        reach.take_all(land.begins.before(end), from, |operation| {
            let element = land.of[operation];
            land.operations[element as usize] -= 1;
            if land.operations[element as usize] == 0 {
                skyline.take(element, &mut open);
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

#[cfg(test)]
mod tests {
    use rand_pcg::Pcg64;
    use rand_pcg::rand_core::{Rng, SeedableRng};

    use super::*;

    /// Where each element's operations begin and end, as many as `events` in all: each around a moment of a stack's own
    /// doing, but for two pops that may have changed places, and some pops and returns that never came.
    fn around(random: &mut Pcg64, elements: u64) -> (Vec<[u32; 4]>, usize) {
        let mut draw = |below: u64| random.next_u64() % below;
        let (mut inside, mut moments) = (Vec::new(), vec![[0; 2]; elements as usize]);
        let (mut pushed, mut now, width) = (0, 100, 1 + draw(60));
        while pushed < elements || !inside.is_empty() {
            now += 10;
            if pushed < elements && (inside.is_empty() || draw(2) == 0) {
                moments[pushed as usize][0] = now;
                inside.push(pushed);
                pushed += 1;
            } else if let Some(element) = inside.pop() {
                moments[element as usize][1] = now;
            }
        }
        if draw(2) == 0 {
            let (one, other) = (draw(elements) as usize, draw(elements) as usize);
            (moments[one][1], moments[other][1]) = (moments[other][1], moments[one][1]);
        }
        let mut all = Vec::new();
        for (element, [push, pop]) in moments.iter().enumerate() {
            let kept = if draw(20) == 0 { 2 + draw(2) } else { 4 };
            let around =
                [push - draw(width), push + 1 + draw(width), pop - draw(width), pop + 1 + draw(width)];
            let parts = around.into_iter().enumerate().take(kept as usize);
            all.extend(parts.map(|(part, at)| (at, element, part)));
        }
        all.sort_unstable();
        let mut ends = vec![[NEVER; 4]; elements as usize];
        for (at, (_, element, part)) in all.iter().enumerate() {
            ends[*element][*part] = at as u32;
        }
        (ends, all.len())
    }

    #[test]
    fn what_is_nested_in_plain_sight_makes_no_difference() {
        let mut random = Pcg64::seed_from_u64(5);
        let (mut legal, mut narrowed, mut searched) = (0, 0, 0);
        for _ in 0..20_000 {
            let elements = 1 + random.next_u64() % 40;
            let (ends, events) = around(&mut random, elements);
            let mut line = Line::of(&ends, events);
            let all = stuck(&line);
            let before = line.elements.len();
            line.narrow();
            assert_eq!(stuck(&line).is_empty(), all.is_empty(), "{ends:?}");
            legal += u32::from(all.is_empty());
            narrowed += before - line.elements.len();
            searched += line.elements.len();
        }
        assert!((5_000..15_000).contains(&legal), "{legal} legal");
        assert!(narrowed > 100_000 && searched > 30_000, "{narrowed} narrowed, {searched} searched");
    }
}
