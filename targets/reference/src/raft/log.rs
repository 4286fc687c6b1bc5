//! The log in memory: the entries after `base`. Everything up to `base` is decided, and in the state machine.

use serde::{Deserialize, Serialize};

use super::message::{Entry, Index, Position, Term};

/// A log without its decided beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    base: Position,
    entries: Vec<Entry>,
}

impl Log {
    /// An empty log that goes on after `base`.
    pub(super) fn after(base: Position) -> Self {
        Log { base, entries: Vec::new() }
    }

    /// Where it begins: the position before the first entry.
    pub(super) fn base(&self) -> Position {
        self.base
    }

    /// Where it ends.
    pub(super) fn last(&self) -> Position {
        match self.entries.last() {
            Some(entry) => Position { term: entry.term, index: self.base.index + self.entries.len() as u64 },
            None => self.base,
        }
    }

    /// The entry at an index, if it is there.
    pub(super) fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(self.offset(index)?)
    }

    /// The term at an index; known at `base` too.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index { Some(self.base.term) } else { Some(self.get(index)?.term) }
    }

    /// Entries from an index on, as many as fit in both limits but at least one if there is one.
    pub(super) fn from(&self, index: Index, most: usize, bytes: usize) -> &[Entry] {
        let rest = self.offset(index).and_then(|at| self.entries.get(at..)).unwrap_or_default();
        let mut weight = 0;
        let fit = rest
            .iter()
            .take(most)
            .take_while(|entry| {
                weight += entry.weight();
                weight <= bytes
            })
            .count();
        &rest[..fit.max(1).min(rest.len())]
    }

    /// Appends an entry and says where it stands.
    pub(super) fn append(&mut self, entry: Entry) -> Index {
        self.entries.push(entry);
        self.last().index
    }

    /// Puts an entry at its index; whatever stood there or after it is dropped. False if there is no place for it,
    /// before the log's beginning or beyond its end.
    pub(super) fn put(&mut self, index: Index, entry: Entry) -> bool {
        if index <= self.base.index || index > self.last().index + 1 {
            return false;
        }
        self.truncate_from(index);
        self.entries.push(entry);
        true
    }

    /// Drops the entry at an index and all after it.
    pub(super) fn truncate_from(&mut self, index: Index) {
        self.entries.truncate(index.saturating_sub(self.base.index + 1) as usize);
    }

    /// Drops the entries up to an index, if it is in the log.
    pub(super) fn compact_to(&mut self, index: Index) {
        if let Some(term) = self.term_at(index) {
            self.entries.drain(..(index - self.base.index) as usize);
            self.base = Position { term, index };
        }
    }

    /// The first index whose entry has the same term as the one at `index`, as far as the log reaches back.
    pub(super) fn first_of_term_at(&self, index: Index) -> Index {
        let term = self.term_at(index);
        let mut first = index;
        while first > self.base.index + 1 && self.term_at(first - 1) == term {
            first -= 1;
        }
        first
    }

    fn offset(&self, index: Index) -> Option<usize> {
        index.checked_sub(self.base.index + 1).map(|offset| offset as usize)
    }
}
