//! Snapshots (§7): the state machine's image takes the place of the entries that led to it, on disk and, for a follower
//! that needs entries which are gone, in a message.
//!
//! A snapshot on disk takes the place of everything before it in one step, so it holds all that must outlive a crash:
//! the image, the log around it, term and vote.

use super::message::{AppendResult, Image, Position, Record, Snapshot, Term};
use super::{Log, Raft};
use crate::protocol::{NodeId, Recovered};

impl Raft {
    /// What this node's state machine holds now. Linear in the store.
    pub(super) fn image(&self) -> Image {
        let term = self.log.term_at(self.applied).unwrap_or_default();
        let mut store = self.store.clone();
        if self.bugs.snapshot_drops_sessions {
            store.sessions = Default::default();
        }
        Image { last: Position { term, index: self.applied }, store }
    }

    pub(super) fn snapshot_if_due(&mut self) {
        if self.applied < self.snapshot + self.snapshot_every {
            return;
        }
        // A little of what is applied stays, so that a follower that lags a little need not be sent the whole state.
        let kept = self.snapshot_every / 2;
        self.log.compact_to(self.applied - kept);
        self.write_snapshot();
    }

    fn write_snapshot(&mut self) {
        self.snapshot = self.applied;
        let snapshot = Snapshot {
            image: self.image(),
            log: self.log.clone(),
            hard: self.hard,
            incarnation: self.incarnation,
        };
        self.turn.snapshot(snapshot);
    }

    /// The leader sends its state in place of entries.
    pub(super) fn on_install(&mut self, from: NodeId, term: Term, image: Image) -> Option<AppendResult> {
        if !self.is_leaders_word(from, term)? {
            return Some(AppendResult::Differs { from: image.last.index });
        }
        let last = image.last;
        if last.index <= self.commit {
            return Some(AppendResult::Matches(last.index));
        }
        if self.log.term_at(last.index) == Some(last.term) {
            self.log.compact_to(last.index);
        } else {
            self.log = Log::after(last);
        }
        self.store = image.store;
        self.commit = last.index;
        self.applied = last.index;
        self.write_snapshot();
        self.answer_from_sessions();
        self.answer_reads();
        Some(AppendResult::Matches(last.index))
    }

    /// What was on disk when the node started.
    pub(super) fn recover(&mut self, recovered: Recovered<Raft>) {
        if let Some(Snapshot { image: Image { last, store }, log, hard, incarnation }) = recovered.snapshot {
            (self.store, self.log, self.hard, self.incarnation) = (store, log, hard, incarnation);
            (self.commit, self.applied, self.snapshot) = (last.index, last.index, last.index);
        }
        for record in recovered.records {
            match record {
                Record::Incarnation(incarnation) => self.incarnation = incarnation,
                Record::HardState(hard) => self.hard = hard,
                Record::Entry { index, entry } => {
                    let fits = self.log.put(index, entry);
                    self.bugs.always(fits, "an entry on disk does not follow the one before it");
                }
            }
        }
        // Only a node that lost its vote can be behind its own log.
        let term = self.log.last().term;
        self.bugs.always(term <= self.hard.term, "an entry of a term this node does not know");
        if term > self.hard.term {
            self.hard = super::HardState { term, vote: None };
        }
    }
}
