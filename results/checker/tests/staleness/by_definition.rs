//! Staleness in the words of its definitions: every order is tried, every pair is compared. Only for a few operations.

use schism_history::{Call, History, Operation, Outcome, Value};

use crate::values::{done, writes};

/// When an operation may begin and what may come before it.
type Precedes<'a> = &'a dyn Fn(&Operation, &Operation) -> bool;

/// Whether the operations can be put in line so that every read sees one of the last `k` values.
fn orderable(history: &History, k: usize, precedes: Precedes<'_>) -> bool {
    let left: Vec<&Operation> = history
        .rows()
        .iter()
        .filter(|operation| !matches!(operation.outcome, Outcome::Fail(_)))
        .filter(|operation| operation.call.changes() || operation.outcome.is_ok())
        .collect();
    place(&mut vec![&Value::Nil], &left, k, precedes)
}

fn place<'h>(written: &mut Vec<&'h Value>, left: &[&'h Operation], k: usize, precedes: Precedes<'_>) -> bool {
    if left.iter().all(|operation| !operation.outcome.is_ok()) {
        return true;
    }
    (0..left.len()).any(|next| {
        if left.iter().any(|other| other.outcome.is_ok() && precedes(other, left[next])) {
            return false;
        }
        let mut rest = left.to_vec();
        let operation = rest.remove(next);
        match (&operation.call, operation.read()) {
            (Call::Read { .. }, Some(value)) => {
                written.iter().rev().take(k).any(|one| *one == value) && place(written, &rest, k, precedes)
            }
            (Call::Cas { from, .. }, _) if written.last() != Some(&from) => false,
            (Call::Write { value, .. } | Call::Cas { to: value, .. }, _) => {
                written.push(value);
                let found = place(written, &rest, k, precedes);
                written.pop();
                found
            }
            (call, _) => unreachable!("never drawn: {call}"),
        }
    })
}

/// The least Δ, in nanoseconds: every difference of an end and the beginning of a read is tried.
pub fn least_delta(history: &History) -> Option<u64> {
    let is_read = |operation: &Operation| operation.read().is_some();
    let mut tried = vec![0, 1];
    for read in history.rows().iter().filter(|operation| is_read(operation)) {
        for other in history.rows() {
            tried.push(read.invoked.0.saturating_sub(other.completed.0));
        }
    }
    tried.sort_unstable();
    tried.dedup();
    tried.into_iter().find(|delta| {
        orderable(history, 1, &|one, other| match delta {
            1.. if is_read(other) => one.outcome.is_ok() && one.completed.0 + delta < other.invoked.0,
            _ => one.precedes(other),
        })
    })
}

/// The least k for which the history is k-atomic.
pub fn least_k(history: &History) -> Option<usize> {
    (1..=history.len() + 1).find(|k| orderable(history, *k, &|one, other| one.precedes(other)))
}

/// How many writes wholly fit between that of what a read saw and the read, and how long before the read the first of
/// them was over.
pub fn of_read(history: &History, read: &Operation) -> (u64, u64) {
    let key = read.call.key();
    let seen = read.read().expect("a read that was ok");
    let (seen_at, _) = done(history, key, seen).expect("this read saw it");
    let ends: Vec<u64> = history
        .rows()
        .iter()
        .filter(|write| write.call.key() == key && i64::from(write.invoke) > seen_at)
        .filter_map(|write| done(history, key, writes(write)?))
        .filter(|(at, _)| *at < i64::from(read.invoke))
        .map(|(_, time)| time)
        .collect();
    let first = ends.iter().min().map_or(0, |first| (read.invoked.0 - first).max(1));
    (ends.len() as u64, first)
}
