//! Sets to which every element is added once, none is removed, and reads return the whole set. Linear in the operations
//! and the sizes of all reads.
//!
//! Of any two reads one must have seen all that the other saw, so they stand in line by their sizes; so do the adds, each
//! before the first read that saw it; and what no read saw comes last. Time must agree with that order.
//!
//! Finds every violation and nothing else. Cannot judge a set to which an element was added twice.

use super::log::Lists;
use super::{Answer, Columns, NEVER, NONE, Rule};

/// An element was added.
pub const ADD: u32 = 0;
/// A read; the number says which of the lists it saw.
pub const READ: u32 = 1;

static INCOMPATIBLE: Rule =
    Rule { name: "incompatible order", law: "{0}, and {1}: each misses something that the other saw" };
static DOUBLED: Rule = Rule { name: "duplicated element", law: "{0}: an element is in it twice" };
static MADE_UP: Rule =
    Rule { name: "unexpected element", law: "{0}, but nobody who may have succeeded added all of it" };
static MISSED: Rule =
    Rule { name: "stale read", law: "{0}; only after that began this, and it did not see it: {1}" };
static BACKWARDS: Rule =
    Rule { name: "stale read", law: "{0}; only after that began this, and it saw less: {1}" };
static EARLY: Rule = Rule { name: "unexpected element", law: "{0}; only after that began what it saw: {1}" };
static REVERSED: Rule = Rule {
    name: "reordered elements",
    law: "{0}; only after that, {1}; and yet {2}, the second without the first",
};

/// Reads and adds in the order that their sizes say.
struct Line {
    reads: Vec<u32>,
    /// By element: its add, and the place of the first read that saw it.
    add: Vec<u32>,
    level: Vec<u32>,
}

/// Judges a growing set.
pub fn judge(columns: &Columns, lists: &Lists) -> Answer {
    match line(columns, lists) {
        Ok(line) => in_time(columns, lists, &line),
        Err(answer) => answer,
    }
}

fn line(columns: &Columns, lists: &Lists) -> Result<Line, Answer> {
    let all = 0..columns.len() as u32;
    let bound =
        all.clone().filter(|add| columns.kind(*add) == ADD).map(|add| columns.number(add) as usize + 1).max();
    let bound = lists.bound().max(bound.unwrap_or(0));
    let mut line = Line { reads: Vec::new(), add: vec![NONE; bound], level: vec![NONE; bound] };
    for operation in all {
        if columns.kind(operation) == READ {
            line.reads.push(operation);
        } else if std::mem::replace(&mut line.add[columns.number(operation) as usize], operation) != NONE {
            return Err(Answer::Unfit("an element was added twice"));
        }
    }
    let list = |read: u32| lists.list(columns.number(read));
    line.reads.sort_by_key(|read| list(*read).len());
    let mut last_seen = vec![NONE; bound];
    let mut before = NONE;
    for (place, read) in line.reads.iter().enumerate() {
        let mut old = 0;
        for element in list(*read) {
            let at = *element as usize;
            if std::mem::replace(&mut last_seen[at], place as u32) == place as u32 {
                return Err(DOUBLED.broken_by([*read]));
            }
            if line.add[at] == NONE {
                return Err(MADE_UP.broken_by([*read]));
            }
            if line.level[at] == NONE {
                line.level[at] = place as u32;
            } else {
                old += 1;
            }
        }
        if before != NONE && old < list(before).len() {
            return Err(INCOMPATIBLE.broken_by([before, *read]));
        }
        before = *read;
    }
    Ok(line)
}

/// Goes along the line: nothing may have been over before something earlier in line began.
fn in_time(columns: &Columns, lists: &Lists, line: &Line) -> Answer {
    // Elements by the first read that saw them; those nobody saw come last.
    let mut by_level: Vec<u32> =
        (0..line.add.len() as u32).filter(|element| line.add[*element as usize] != NONE).collect();
    by_level.sort_by_key(|element| line.level[*element as usize]);
    let mut elements = by_level.into_iter().peekable();
    // What began last so far.
    let mut last = NONE;
    let begins = |operation: u32| if operation == NONE { 0 } else { columns.invoke(operation) + 1 };
    let late = |operation: u32, last: u32| columns.complete(operation).saturating_add(1) < begins(last);
    let size = |read: u32| lists.list(columns.number(read)).len();
    let mut start = 0;
    loop {
        // Reads of one size are alike.
        let level = line.reads.get(start).map_or(NONE, |read| size(*read) as u32);
        let end = start + line.reads[start..].iter().take_while(|read| size(**read) as u32 == level).count();
        let mut latest = last;
        while let Some(element) = elements.next_if(|element| {
            let first = line.level[*element as usize];
            level == NONE || (first != NONE && (first as usize) < end)
        }) {
            let add = line.add[element as usize];
            if line.level[element as usize] == NONE && columns.complete(add) == NEVER {
                continue;
            }
            if late(add, last) {
                return missed(columns, line, add, last);
            }
            if begins(add) > begins(latest) {
                latest = add;
            }
        }
        last = latest;
        for read in &line.reads[start..end] {
            if late(*read, last) {
                let rule = if columns.kind(last) == READ { &BACKWARDS } else { &EARLY };
                return rule.broken_by([*read, last]);
            }
            if begins(*read) > begins(latest) {
                latest = *read;
            }
        }
        last = latest;
        if level == NONE {
            return Answer::Legal;
        }
        start = end;
    }
}

/// An add was over before something began that is earlier in line: a read that did not see it, or the add of an element
/// that some read saw without it.
fn missed(columns: &Columns, line: &Line, add: u32, last: u32) -> Answer {
    if columns.kind(last) == READ {
        return MISSED.broken_by([add, last]);
    }
    let read = line.reads[line.level[columns.number(last) as usize] as usize];
    REVERSED.broken_by([add, last, read])
}
