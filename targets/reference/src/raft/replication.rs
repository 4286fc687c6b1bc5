//! Keeping the followers' logs like the leader's.
//!
//! Entries are sent in batches with the position before them; a follower takes them only if it has that position, so equal
//! positions always mean equal logs up to there (§5.3). If it does not, it says where the conflicting term begins in its
//! log, and the leader starts again from there. Up to [`WINDOW`] batches are under way to each follower at once.
//!
//! Every time the leader writes to everybody it counts a round, and replies name the round they answer: a round that a
//! majority answered proves that nobody else was elected before it began. Reads rest on that.

use std::time::Duration;

use super::election::Role;
use super::message::{AppendResult, Entry, Index, Message, Position, Record, Term};
use super::{HEARTBEAT, Raft};
use crate::protocol::NodeId;

/// Batches under way to one follower.
const WINDOW: usize = 4;
/// Entries in one message, at most.
const BATCH: usize = 256;
/// Bytes of entries in one message, about; one larger entry still goes, alone.
const BATCH_BYTES: usize = 256 * 1024;
/// A follower that is being sent the whole state is not sent it again before this.
const INSTALL_AGAIN: Duration = Duration::from_secs(1);

/// What a leader knows of a follower.
pub(super) struct Progress {
    /// Its log is the leader's up to here.
    pub matched: Index,
    /// What to send next; runs ahead of `matched` while batches are under way.
    pub next: Index,
    /// Batches under way.
    pub in_flight: usize,
    /// The latest round it answered.
    pub round: u64,
    /// When it was heard last.
    pub heard: Duration,
    /// It should be told now how far the log is decided: one of its clients waits for that.
    pub is_curious: bool,
    /// It is being sent the state: when that began.
    pub installing: Option<Duration>,
}

impl Progress {
    /// Of a follower that answers right away and has the whole log, until it proves otherwise.
    pub(super) fn new(next: Index, now: Duration) -> Self {
        Progress { matched: 0, next, in_flight: 0, round: 0, heard: now, is_curious: false, installing: None }
    }
}

impl Raft {
    /// The leader's own append.
    pub(super) fn append(&mut self, entry: Entry) -> Index {
        let index = self.log.append(entry.clone());
        self.turn.append(Record::Entry { index, entry });
        self.advance_commit();
        index
    }

    /// Sends each follower the entries it still needs, as many as may be under way. Called after every input.
    pub(super) fn replicate(&mut self) {
        for at in 0..self.peers.len() {
            let peer = self.peers[at];
            loop {
                let last = self.log.last().index;
                let Role::Leader(leader) = &self.role else { return };
                let Some(progress) = leader.peers.get(&peer) else { break };
                // With the bug `commit-old-term` the older entries go alone: what travels with them would hide it.
                let waits =
                    self.bugs.commit_old_term && progress.next == leader.first && progress.in_flight > 0;
                let has_room = progress.in_flight < WINDOW && progress.installing.is_none() && !waits;
                let is_due = progress.is_curious || (has_room && progress.next <= last);
                if !is_due {
                    break;
                }
                self.write_to(peer);
            }
        }
    }

    /// A new round: every follower is written to, with or without entries.
    pub(super) fn write_to_all(&mut self) {
        let now = self.turn.now();
        let wall = self.cached_wall;
        let Role::Leader(leader) = &mut self.role else { return };
        leader.round += 1;
        leader.round_began.insert(leader.round, wall);
        leader.heartbeat_due = now + HEARTBEAT;
        for at in 0..self.peers.len() {
            self.write_to(self.peers[at]);
        }
    }

    pub(super) fn heartbeat_if_due(&mut self) {
        let now = self.turn.now();
        let Role::Leader(leader) = &mut self.role else { return };
        if now < leader.heartbeat_due {
            return;
        }
        for progress in leader.peers.values_mut() {
            // What is still under way may be lost. The heartbeat names the position before `next`: a follower that
            // lacks it says so.
            progress.in_flight = 0;
            progress.installing = progress.installing.filter(|began| now < *began + INSTALL_AGAIN);
        }
        self.write_to_all();
        self.confirm_reads();
    }

    fn write_to(&mut self, peer: NodeId) {
        let now = self.turn.now();
        let term = self.hard.term;
        let base = self.log.base();
        let Role::Leader(leader) = &mut self.role else { return };
        let (round, first) = (leader.round, leader.first);
        let Some(progress) = leader.peers.get_mut(&peer) else { return };
        let are_older = self.bugs.commit_old_term && progress.next < first;
        let batch = if are_older { BATCH.min((first - progress.next) as usize) } else { BATCH };
        progress.is_curious = false;
        let message = if progress.next <= base.index && progress.installing.is_none() {
            progress.installing = Some(now);
            progress.next = self.applied + 1;
            Message::Install { term, image: self.image(), round }
        } else {
            // While the state is under way, a heartbeat names a place before it, and nothing else.
            let most = if progress.installing.is_some() { 0 } else { batch };
            let index = (progress.next - 1).clamp(base.index, self.log.last().index);
            let previous = Position { index, term: self.log.term_at(index).unwrap_or_default() };
            let entries = match most {
                0 => Vec::new(),
                most => self.log.from(index + 1, most, BATCH_BYTES).to_vec(),
            };
            progress.next = index + 1 + entries.len() as u64;
            progress.in_flight += usize::from(!entries.is_empty());
            Message::Append { term, previous, entries, commit: self.commit, round }
        };
        self.turn.send(peer, message);
    }

    /// Whether a message of this term comes from the leader to follow; follows it if so. `None`: say nothing.
    pub(super) fn is_leaders_word(&mut self, from: NodeId, term: Term) -> Option<bool> {
        if term < self.hard.term {
            return Some(false);
        }
        let is_second_leader = term == self.hard.term && matches!(self.role, Role::Leader(_));
        self.bugs.always(!is_second_leader, "two leaders in one term");
        if is_second_leader {
            return None;
        }
        if term > self.hard.term || !matches!(self.role, Role::Follower) {
            self.follow(term);
        }
        self.heard_leader = Some(self.turn.now());
        self.put_off_election();
        if self.leader != Some(from) {
            self.leader = Some(from);
            self.ask_new_leader();
        }
        Some(true)
    }

    pub(super) fn on_append(
        &mut self,
        from: NodeId,
        term: Term,
        previous: Position,
        entries: Vec<Entry>,
        commit: Index,
    ) -> Option<AppendResult> {
        if !self.is_leaders_word(from, term)? {
            // The reply's term is all that counts.
            return Some(AppendResult::Differs { from: previous.index });
        }
        let base = self.log.base().index;
        // What is before the log's beginning is decided, and so the same everywhere.
        if previous.index >= base && self.log.term_at(previous.index) != Some(previous.term) {
            let from = match self.log.term_at(previous.index) {
                Some(_) => self.log.first_of_term_at(previous.index),
                None => self.log.last().index + 1,
            };
            return Some(AppendResult::Differs { from });
        }
        let end = previous.index + entries.len() as u64;
        for (index, entry) in (previous.index + 1..).zip(entries) {
            self.take(index, entry);
        }
        self.commit_to(commit.min(end));
        Some(AppendResult::Matches(end.max(base)))
    }

    /// Takes an entry unless it is there already; a conflicting one goes, with all after it.
    fn take(&mut self, index: Index, entry: Entry) {
        if index <= self.log.base().index || self.log.term_at(index) == Some(entry.term) {
            return;
        }
        let conflicts = index <= self.log.last().index;
        if conflicts && self.bugs.suffix_not_truncated {
            return;
        }
        self.bugs.always(!conflicts || index > self.commit, "a decided entry is replaced");
        if self.log.put(index, entry.clone()) {
            self.turn.append(Record::Entry { index, entry });
        }
    }

    pub(super) fn on_append_reply(&mut self, from: NodeId, term: Term, round: u64, result: AppendResult) {
        if term > self.hard.term {
            return self.follow(term);
        }
        let now = self.turn.now();
        let last = self.log.last().index;
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.peers.get_mut(&from) else { return };
        if term < self.hard.term {
            return;
        }
        progress.heard = now;
        progress.round = progress.round.max(round);
        match result {
            AppendResult::Matches(index) => {
                progress.in_flight = progress.in_flight.saturating_sub(1);
                progress.matched = progress.matched.max(index.min(last));
                progress.next = progress.next.max(progress.matched + 1);
                if progress.next <= progress.matched + 1 {
                    progress.in_flight = 0;
                    progress.installing = None;
                }
                self.advance_commit();
            }
            // A late one may send `next` too far back, which costs a message and nothing else.
            AppendResult::Differs { from } if progress.installing.is_none() => {
                progress.in_flight = 0;
                progress.next = from.clamp(1, progress.next);
            }
            AppendResult::Differs { .. } => {}
        }
        self.confirm_reads();
    }
}
