//! A read's way, without an entry in the log (read-index, thesis §6.4).
//!
//! 1. The node a client asked asks the leader how far it must have applied.
//! 2. The leader, once an entry of its own term is decided (before, it may not know of the latest decided ones), notes its
//!    commit index and begins a round. When a majority has answered it, nobody else led when the round began: every write
//!    answered before the question is at or below that index.
//! 3. The asking node answers from its own state when it has applied that far.
//!
//! One round serves all reads that came before it; the next begins when it is confirmed, or with the next heartbeat.

use std::time::Duration;

use super::election::{Leader, Role};
use super::message::{Index, Message, Origin};
use super::{ELECTION, Raft};
use crate::protocol::{Response, Ticket};

/// For how many ticks the bug `lease-trusts-clock` goes by the time of day it looked up. Whoever is paused does not tick.
pub(super) const CLOCK_CACHED_TICKS: u32 = 12;

/// A read whose client waits.
pub(super) struct Waiting {
    pub ticket: Ticket,
    pub key: String,
    pub since: Duration,
    /// When the leader was asked last.
    pub asked: Duration,
    /// The leader's answer.
    pub index: Option<Index>,
}

/// A read a leader was asked about.
pub(super) struct Asked {
    read: Origin,
    /// The index to answer and the round that must be confirmed first; `None` until one begins.
    round: Option<(Index, u64)>,
}

impl Raft {
    pub(super) fn start_read(&mut self, ticket: Ticket, key: String) {
        if self.bugs.follower_reads {
            return self.turn.reply(ticket, Response::Value(self.store.read(&key)));
        }
        if self.leader.is_none() {
            return self.refuse(ticket, "no leader is known");
        }
        let sequence = self.new_sequence();
        let now = self.turn.now();
        self.reads.insert(sequence, Waiting { ticket, key, since: now, asked: now, index: None });
        self.ask_read_index(sequence);
    }

    pub(super) fn ask_read_index(&mut self, sequence: u64) {
        let Some(leader) = self.leader else { return };
        let now = self.turn.now();
        let read = self.origin(sequence);
        let Some(waiting) = self.reads.get_mut(&sequence) else { return };
        waiting.asked = now;
        if leader == self.id {
            self.on_read_index(read);
        } else {
            self.turn.send(leader, Message::ReadIndex(read));
        }
    }

    /// The leader is asked. Who is not the leader (any more) says nothing: somebody else will be asked.
    pub(super) fn on_read_index(&mut self, read: Origin) {
        let Role::Leader(leader) = &mut self.role else { return };
        let trusts_lease = self.bugs.lease_trusts_clock && self.cached_wall < leader.lease_until;
        if self.bugs.unconfirmed_leader_reads || trusts_lease {
            return self.answer_read_index(read, self.commit);
        }
        leader.reads.push(Asked { read, round: None });
    }

    /// Begins a round for the reads that wait for one, unless one is under way.
    pub(super) fn begin_read_round(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        let is_under_way = leader.reads.iter().any(|asked| asked.round.is_some());
        let knows_decided = self.commit >= leader.first || self.bugs.commit_old_term;
        if leader.reads.is_empty() || is_under_way || !knows_decided {
            return;
        }
        self.write_to_all();
        let commit = self.commit;
        let Role::Leader(leader) = &mut self.role else { return };
        for asked in &mut leader.reads {
            asked.round = Some((commit, leader.round));
        }
        self.confirm_reads();
    }

    /// Answers the reads whose round a majority has answered.
    pub(super) fn confirm_reads(&mut self) {
        let majority = self.majority();
        let Role::Leader(leader) = &mut self.role else { return };
        let mut rounds: Vec<u64> = leader.peers.values().map(|peer| peer.round).collect();
        rounds.push(leader.round);
        rounds.sort_unstable_by(|a, b| b.cmp(a));
        let confirmed = rounds[majority - 1];
        renew_lease(leader, confirmed);
        let mut answered = Vec::new();
        leader.reads.retain(|asked| match asked.round {
            Some((index, round)) if round <= confirmed => {
                answered.push((asked.read, index));
                false
            }
            _ => true,
        });
        for (read, index) in answered {
            self.answer_read_index(read, index);
        }
    }

    fn answer_read_index(&mut self, read: Origin, index: Index) {
        if read.node == self.id {
            self.on_read_index_reply(read, index);
        } else {
            self.turn.send(read.node, Message::ReadIndexReply { read, index });
        }
    }

    pub(super) fn on_read_index_reply(&mut self, read: Origin, index: Index) {
        if read.incarnation == self.incarnation
            && let Some(waiting) = self.reads.get_mut(&read.sequence)
        {
            waiting.index = waiting.index.or(Some(index));
            self.answer_reads();
        }
    }

    /// Answers the reads for which enough is applied.
    pub(super) fn answer_reads(&mut self) {
        let applied = self.applied;
        let is_ready = |waiting: &Waiting| waiting.index.is_some_and(|index| index <= applied);
        let ready = self.reads.iter().filter(|(_, waiting)| is_ready(waiting));
        for sequence in ready.map(|(sequence, _)| *sequence).collect::<Vec<_>>() {
            if let Some(waiting) = self.reads.remove(&sequence) {
                let value = self.store.read(&waiting.key);
                self.turn.reply(waiting.ticket, Response::Value(value));
            }
        }
    }
}

/// A lease lasts as long as no follower votes for another after the round that renewed it, if all clocks agree.
fn renew_lease(leader: &mut Leader, confirmed: u64) {
    if let Some(began) = leader.round_began.get(&confirmed) {
        leader.lease_until = *began + ELECTION;
    }
    leader.round_began = leader.round_began.split_off(&confirmed);
}
