//! Whether the columns of a binary history could have come out of a [`Builder`](crate::Builder).
//!
//! [`quick`] tells, in a few passes over columns. Only where it does not like what it sees, five slow passes say what is wrong;
//! those hold eight bytes an event.

use rustc_hash::FxHashMap;

use super::{Rest, quick};
use crate::call::CallKind;
use crate::columns::{Columns, READ, Status};
use crate::event::Time;
use crate::history::Position;
use crate::intern::NONE;
use crate::value::Value;

/// Processes with smaller numbers are looked up in a table.
const TABLE: usize = 1 << 14;

type Checked = Result<(), String>;

/// The first thing that is wrong.
pub(super) fn check(columns: &Columns, rest: &Rest) -> Checked {
    lengths(columns)?;
    let is_well = quick::is_well(columns, rest);
    debug_assert_eq!(is_well && steps(columns).is_ok(), what_is_wrong(columns, rest).is_ok());
    if is_well { steps(columns) } else { what_is_wrong(columns, rest) }
}

/// The same by looking at one operation after the other: slower, but it can say what is wrong.
fn what_is_wrong(columns: &Columns, rest: &Rest) -> Checked {
    numbers(columns)?;
    steps(columns)?;
    ends(columns, rest)?;
    processes(columns)
}

fn lengths(columns: &Columns) -> Checked {
    let lengths = [
        columns.process.len(),
        columns.node.len(),
        columns.kind.len(),
        columns.status.len(),
        columns.key.len(),
        columns.argument.len(),
        columns.answer.len(),
        columns.complete.len(),
        columns.invoked.len(),
        columns.ended.len(),
    ];
    match lengths.iter().find(|length| **length != columns.len()) {
        Some(length) => Err(format!("a column of {length} operations beside one of {}", columns.len())),
        None if columns.len() >= NONE as usize => Err("more operations than positions".into()),
        None => Ok(()),
    }
}

/// Every number stands for what it must stand for.
fn numbers(columns: &Columns) -> Checked {
    let known = columns.values.len();
    if !columns.values.begins_with_nil() {
        return Err("the first value is not nil".into());
    }
    if columns.swaps.iter().flatten().any(|value| *value as usize >= known) {
        return Err("a cas with a value that there is not".into());
    }
    let (mut swaps, mut transactions) = (0, 0);
    for at in 0..columns.len() {
        let wrong = |what: &str| Err(format!("operation {at} has {what} that there is not"));
        let (argument, answer) = (columns.argument[at], columns.answer[at]);
        if columns.key[at] as usize >= columns.keys.len() {
            return wrong("a key");
        }
        if columns.node[at] != NONE && columns.node[at] as usize >= columns.texts.len() {
            return wrong("a node");
        }
        let fits = match columns.kind[at] {
            CallKind::Cas => {
                swaps += 1;
                argument == swaps - 1 && (argument as usize) < columns.swaps.len()
            }
            CallKind::Txn => {
                transactions += 1;
                argument == transactions - 1 && (argument as usize) < columns.transactions.len()
            }
            CallKind::Increment | CallKind::Watch => {
                matches!(columns.values.get(argument as usize), Some(Value::Int(_)))
            }
            kind if kind.is_bare() => argument == NONE,
            _ => (argument as usize) < known,
        };
        if !fits {
            return wrong("an argument");
        }
        let fits = match columns.status[at] {
            Status::Done | Status::Open => answer == NONE,
            Status::Answered => (answer as usize) < known,
            Status::Fail | Status::Info => (answer as usize) < columns.texts.len(),
        };
        if !fits {
            return wrong("an answer");
        }
    }
    match (swaps as usize, transactions as usize) == (columns.swaps.len(), columns.transactions.len()) {
        true => Ok(()),
        false => Err("arguments of more cas or transactions than there are".into()),
    }
}

/// The steps of transactions, and what was answered to them.
fn steps(columns: &Columns) -> Checked {
    let ascending = columns.transactions.is_sorted();
    if !ascending || columns.transactions.last().copied().unwrap_or(0) as usize != columns.steps.len() {
        return Err("the steps of transactions do not follow one another".into());
    }
    for [word, key, value] in columns.steps.iter() {
        let fits = if *word == READ { *value == NONE } else { (*value as usize) < columns.values.len() };
        if !fits || *word > 2 || *key as usize >= columns.keys.len() {
            return Err("a step of a transaction with a word, key or value that there is not".into());
        }
    }
    for at in (0..columns.len()).filter(|at| columns.kind[*at] == CallKind::Txn) {
        if columns.keys[columns.key[at] as usize] != Value::Nil {
            return Err(format!("operation {at} is a transaction with a key of its own"));
        }
        let steps = columns.steps(columns.argument[at]).len();
        let answered = match columns.status[at] {
            Status::Answered => columns.values[columns.answer[at] as usize].elements().map(<[Value]>::len),
            _ => Some(steps),
        };
        if answered != Some(steps) {
            return Err(format!("operation {at} is a transaction with another number of answers than steps"));
        }
    }
    Ok(())
}

/// Positions and times: no two ends at one position, and time does not go back from one to the next.
fn ends(columns: &Columns, rest: &Rest) -> Checked {
    let others = 2 * rest.faults.len() + rest.phases.len() + rest.notes.len();
    let events = rest.events as usize;
    if events > 2 * columns.len() + others {
        return Err(format!("{events} events, which is more than the operations and all else have"));
    }
    const FREE: u64 = u64::MAX;
    let mut times = vec![FREE; events];
    for at in 0..columns.len() {
        let wrong = |what: &str| Err(format!("operation {at} {what}"));
        let (invoke, complete) = (columns.invoke[at], columns.complete[at]);
        let (invoked, ended) = (columns.invoked[at], columns.ended[at]);
        let is_info = columns.status[at].is_info();
        if at > 0 && invoke <= columns.invoke[at - 1] {
            return wrong("was not invoked after the one before");
        }
        if is_info != (complete == Position::MAX) || (columns.status[at] == Status::Open) != (ended == FREE) {
            return wrong("did not complete as its status says");
        }
        if ended < invoked || !is_info && complete <= invoke {
            return wrong("completes before it was invoked");
        }
        if ended != FREE && ended > rest.end.0 || invoked > rest.end.0 {
            return wrong("is later than the end of the history");
        }
        for (position, time) in [(invoke, invoked), (complete, ended)] {
            if position == Position::MAX {
                continue;
            }
            match times.get_mut(position as usize) {
                Some(slot) if *slot == FREE => *slot = time,
                Some(_) => return wrong("has a position that another event has"),
                None => return wrong("has a position beyond the last event"),
            }
        }
    }
    let mut before = 0;
    for time in times.into_iter().filter(|time| *time != FREE) {
        if time < before {
            return Err(format!("time goes back: {} after {}", Time(time), Time(before)));
        }
        before = time;
    }
    Ok(())
}

/// A process does one thing at a time.
fn processes(columns: &Columns) -> Checked {
    // Most processes have small numbers: those are looked up in a table.
    let mut table = vec![NONE; TABLE];
    let mut others: FxHashMap<u32, u32> = FxHashMap::default();
    for at in 0..columns.len() {
        let process = columns.process[at];
        let last = match table.get_mut(process as usize) {
            Some(last) => last,
            None => others.entry(process).or_insert(NONE),
        };
        let before = std::mem::replace(last, at as u32);
        if before == NONE {
            continue;
        }
        let before = before as usize;
        let over = match columns.status[before] {
            Status::Open => false,
            Status::Info => columns.ended[before] <= columns.invoked[at],
            _ => columns.complete[before] < columns.invoke[at],
        };
        if !over {
            return Err(format!("operation {at} was invoked while an earlier one of its process was open"));
        }
    }
    Ok(())
}
