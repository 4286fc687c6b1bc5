//! The log: its forgotten beginning as the state it adds up to, and the entries since. Entries up to `decided` are
//! applied; those after it may yet be replaced.

use super::message::{Copy, Entry, Position, Promise};
use crate::keys::Keys;
use crate::protocol::Response;

/// A node's log.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// The state at `base`.
    settled: Keys,
    base: Position,
    entries: Vec<Entry>,
    /// The state at `decided`.
    keys: Keys,
    decided: u64,
}

impl Log {
    pub(super) fn of(copy: Copy) -> Log {
        let mut log = Log {
            keys: copy.keys.clone(),
            settled: copy.keys,
            decided: copy.base.index,
            base: copy.base,
            entries: copy.entries,
        };
        log.decide(copy.decided, |_, _| {});
        log
    }

    pub(super) fn copy(&self) -> Copy {
        Copy {
            keys: self.settled.clone(),
            base: self.base,
            entries: self.entries.clone(),
            decided: self.decided,
            promise: Promise::default(),
            life: 0,
        }
    }

    pub(super) fn last(&self) -> Position {
        let index = self.base.index + self.entries.len() as u64;
        Position { epoch: self.entries.last().map_or(self.base.epoch, |entry| entry.epoch), index }
    }

    /// The entry at an index, as a position; `None` if it is forgotten or not there yet.
    pub(super) fn position(&self, index: u64) -> Option<Position> {
        if index == self.base.index {
            return Some(self.base);
        }
        let entry = self.entries.get(index.checked_sub(self.base.index + 1)? as usize)?;
        Some(Position { epoch: entry.epoch, index })
    }

    /// All entries after an index that is not forgotten.
    pub(super) fn after(&self, index: u64) -> &[Entry] {
        let from = index.saturating_sub(self.base.index) as usize;
        self.entries.get(from..).unwrap_or_default()
    }

    pub(super) fn is_forgotten(&self, index: u64) -> bool {
        index < self.base.index
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(super) fn decided(&self) -> u64 {
        self.decided
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The state at the log's very end, decided or not.
    pub(super) fn keys_at_end(&self) -> Keys {
        let mut keys = self.keys.clone();
        for request in self.after(self.decided).iter().filter_map(|entry| entry.request.as_ref()) {
            keys.perform(&request.key, &request.operation);
        }
        keys
    }

    /// Applies all entries up to an index, as far as they are there, and tells what came of each.
    pub(super) fn decide(&mut self, up_to: u64, mut tell: impl FnMut(u64, Response)) {
        while self.decided < up_to.min(self.last().index) {
            let entry = &self.entries[(self.decided - self.base.index) as usize];
            let response = match &entry.request {
                Some(request) => self.keys.perform(&request.key, &request.operation),
                None => Response::Done,
            };
            self.decided += 1;
            tell(self.decided, response);
        }
    }

    /// How many entries a snapshot would forget.
    pub(super) fn settled_entries(&self) -> u64 {
        self.decided - self.base.index
    }

    /// Forgets the decided entries; their state stays.
    pub(super) fn settle(&mut self) {
        if let Some(base) = self.position(self.decided) {
            self.entries.drain(..(self.decided - self.base.index) as usize);
            self.base = base;
            self.settled = self.keys.clone();
        }
    }
}
