//! Takes of unknown fate, from stacks and priority queues: which element each may have taken.
//!
//! An element that was put in, that nobody is known to have taken, and that cannot have been inside at some later moment
//! must have been taken by someone who had begun by then: its deadline. Deadlines in order, and those takes in order of
//! their begin, must match one by one, else there is no legal order: that is exact. If they do, that matching is tried. If
//! even so no legal order is found, and there is one without all those elements, this judge cannot tell.

use std::collections::BTreeMap;

use super::columns::NOTHING;
use super::pairs::{EMPTY, IDLE, PUT, Pairs, TAKE};
use super::{Answer, Columns, NEVER, NONE, Rule};

static LOST: Rule = Rule { name: "lost element", law: "{0}; nobody had taken that when this happened: {1}" };

/// A discipline, as far as this file needs to know it.
pub(super) struct Discipline {
    /// What is inside is ordered by this number of its put; at a take, everything of a number ...
    pub(super) rank: fn(&Columns, u32) -> u32,
    /// ... in this range, given the put of what was taken, must be gone.
    pub(super) gone: fn(&Columns, u32) -> std::ops::Range<u32>,
    /// Judges operations whose takes are all known. A take that is known to have happened, but not when it ended, may end
    /// at any later time.
    pub(super) known: fn(&Columns, &Pairs) -> Answer,
}

/// Judges operations some of whose takes are of unknown fate.
pub(super) fn judge(columns: &Columns, discipline: &Discipline) -> Answer {
    let dense = columns.dense();
    let columns = &*dense;
    let pairs = match Pairs::of(columns) {
        Ok(pairs) => pairs,
        Err(answer) => return answer,
    };
    if pairs.unknown.is_empty() {
        return (discipline.known)(columns, &pairs);
    }
    let mut due = deadlines(columns, &pairs, discipline);
    due.sort_by_key(|due| due.by);
    let mut taker = vec![NONE; pairs.put.len()];
    for (place, element) in due.iter().enumerate() {
        match pairs.unknown.get(place) {
            Some(take) if columns.invoke(*take) <= element.by => {
                taker[columns.number(element.put) as usize] = *take;
            }
            // Nothing says that it was taken at all.
            _ if element.by == NEVER => break,
            _ => return lost(columns, &pairs, &due[..=place]),
        }
    }
    let judged = |columns: Columns| {
        let pairs = Pairs::known(&columns);
        (discipline.known)(&columns, &pairs)
    };
    if judged(matched(columns, &pairs, &taker)) == Answer::Legal {
        return Answer::Legal;
    }
    match judged(without_left(columns, &pairs)) {
        Answer::Legal => Answer::Unfit("takes of unknown fate leave too much open"),
        answer => answer,
    }
}

/// An element that nobody is known to have taken.
struct Due {
    put: u32,
    /// When it must be gone; [`NEVER`] if it may have stayed.
    by: u32,
    /// Who showed that.
    shown: u32,
}

fn deadlines(columns: &Columns, pairs: &Pairs, discipline: &Discipline) -> Vec<Due> {
    let mut waiting: BTreeMap<u32, u32> = BTreeMap::new();
    let mut due = Vec::new();
    for (position, end) in columns.timeline().into_iter().enumerate().filter(|(_, end)| *end != NOTHING) {
        let operation = end / 2;
        if end % 2 == 0 {
            continue;
        }
        let number = columns.number(operation) as usize;
        let range = match columns.kind(operation) {
            PUT => {
                if pairs.take[number] == NONE {
                    waiting.insert((discipline.rank)(columns, operation), operation);
                }
                continue;
            }
            TAKE => (discipline.gone)(columns, pairs.put[number]),
            EMPTY => 0..NEVER,
            _ => continue,
        };
        let begun = columns.invoke(operation);
        let inside = waiting.range(range).filter(|(_, put)| columns.complete(**put) < begun);
        let gone: Vec<(u32, u32)> = inside.map(|(rank, put)| (*rank, *put)).collect();
        for (rank, put) in gone {
            waiting.remove(&rank);
            due.push(Due { put, by: position as u32, shown: operation });
        }
    }
    due.extend(waiting.into_values().map(|put| Due { put, by: NEVER, shown: NONE }));
    due
}

/// More elements had to be gone than takes had begun.
fn lost(columns: &Columns, pairs: &Pairs, due: &[Due]) -> Answer {
    let last = &due[due.len() - 1];
    let mut operations = vec![last.put, last.shown];
    let mut add = |operation: u32| {
        if operation != NONE && !operations.contains(&operation) {
            operations.push(operation);
        }
    };
    for due in due {
        add(due.put);
        add(due.shown);
        if columns.kind(due.shown) == TAKE {
            add(pairs.put[columns.number(due.shown) as usize]);
        }
    }
    let begun = |unknown: &&u32| columns.invoke(**unknown) <= last.by;
    pairs.unknown.iter().filter(begun).for_each(|unknown| add(*unknown));
    LOST.broken_by(operations)
}

/// The same operations, each at its place, as `change` has them.
fn changed(columns: &Columns, change: impl Fn(u32) -> (u32, u32)) -> Columns {
    let mut same = Columns::with_capacity(columns.len());
    for operation in 0..columns.len() as u32 {
        let (kind, number) = change(operation);
        let complete = columns.complete(operation);
        same.push(kind, number, columns.invoke(operation), (complete != NEVER).then_some(complete));
    }
    same
}

/// Each take of unknown fate takes what it was matched with, or does not happen.
fn matched(columns: &Columns, pairs: &Pairs, taker: &[u32]) -> Columns {
    let mut takes: BTreeMap<u32, u32> = pairs.unknown.iter().map(|unknown| (*unknown, NONE)).collect();
    for (element, take) in taker.iter().enumerate().filter(|(_, take)| **take != NONE) {
        takes.insert(*take, element as u32);
    }
    changed(columns, |operation| match takes.get(&operation) {
        Some(&NONE) => (IDLE, 0),
        Some(element) => (TAKE, *element),
        None => (columns.kind(operation), columns.number(operation)),
    })
}

/// No take of unknown fate, and nothing that one could have taken.
fn without_left(columns: &Columns, pairs: &Pairs) -> Columns {
    changed(columns, |operation| {
        let (kind, number) = (columns.kind(operation), columns.number(operation));
        let known = match kind {
            PUT => pairs.take[number as usize] != NONE,
            TAKE => columns.complete(operation) != NEVER,
            _ => true,
        };
        if known { (kind, number) } else { (IDLE, 0) }
    })
}
