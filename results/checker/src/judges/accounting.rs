//! What became of everything that was put in, whatever the order: the sums of Jepsen's total-queue.

use super::Columns;
use super::NEVER;
use super::queue::{EMPTY, PUT, TAKE};
use crate::verdict::Judgement;

/// Elements by what became of them, over all keys. An element put in twice counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accounts {
    attempted: usize,
    acknowledged: usize,
    taken: usize,
    /// Taken, though nobody was told that they were put in.
    recovered: usize,
    /// Taken, though nobody who may have succeeded put them in.
    unexpected: usize,
    /// Taken more often than put in.
    duplicated: usize,
    /// Acknowledged, and not known to have been taken.
    left: usize,
    /// Of these, on keys that nobody found empty after everything acknowledged had been put in.
    pub(super) forgotten: usize,
}

impl Accounts {
    /// Those of the operations on one key.
    pub(super) fn of(columns: &Columns) -> Accounts {
        let mut sums = Accounts::default();
        let mut of = vec![(0u32, 0u32, 0u32); columns.numbers()];
        let (mut last_put, mut found_empty) = (0, 0);
        for operation in 0..columns.len() as u32 {
            let (acknowledged, unknown, taken) = &mut of[columns.number(operation) as usize];
            let known = columns.complete(operation) != NEVER;
            match columns.kind(operation) {
                PUT if known => {
                    *acknowledged += 1;
                    last_put = last_put.max(columns.complete(operation));
                }
                PUT => *unknown += 1,
                TAKE if known => *taken += 1,
                EMPTY => found_empty = columns.invoke(operation),
                _ => {}
            }
        }
        for (acknowledged, unknown, taken) in of {
            let [acknowledged, unknown, taken] = [acknowledged, unknown, taken].map(|count| count as usize);
            let put = acknowledged + unknown;
            sums.attempted += put;
            sums.acknowledged += acknowledged;
            sums.taken += taken;
            sums.recovered += taken.min(put).saturating_sub(acknowledged);
            sums.unexpected += if put == 0 { taken } else { 0 };
            sums.duplicated += if put == 0 { 0 } else { taken.saturating_sub(put) };
            sums.left += acknowledged.saturating_sub(taken);
        }
        sums.forgotten = if found_empty > last_put { 0 } else { sums.left };
        sums
    }

    /// Adds those of another key.
    pub(super) fn add(&mut self, other: &Accounts) {
        self.attempted += other.attempted;
        self.acknowledged += other.acknowledged;
        self.taken += other.taken;
        self.recovered += other.recovered;
        self.unexpected += other.unexpected;
        self.duplicated += other.duplicated;
        self.left += other.left;
        self.forgotten += other.forgotten;
    }

    /// The lines of the table.
    pub(super) fn facts(&self, judgement: Judgement) -> Judgement {
        judgement
            .with_fact("attempted", self.attempted)
            .with_fact("acknowledged", self.acknowledged)
            .with_fact("taken", self.taken)
            .with_fact("left or lost", self.left)
            .with_fact("unexpected", self.unexpected)
            .with_fact("duplicated", self.duplicated)
            .with_fact("recovered", self.recovered)
    }
}
