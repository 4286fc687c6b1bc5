//! Who leads: pre-vote, vote, and when a leader steps down.
//!
//! At most one leader a term, since a majority must vote for it and nobody votes twice in a term, not even after a crash
//! (§5.2); and only a node whose log is at least as up to date as its voters' (§5.4.1). Pre-vote keeps a node that was cut
//! off from pushing the term up when it comes back, and whoever hears a leader votes for nobody (thesis §9.6, §4.2.3). A
//! leader that hears from no majority steps down, so that its clients learn soon that it cannot serve them (thesis §6.2).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::message::{Entry, HardState, Index, Message, Position, Record, Term};
use super::replication::Progress;
use super::{ELECTION, HEARTBEAT, Raft, reads};
use crate::protocol::NodeId;

/// What a node is at present.
pub(super) enum Role {
    Follower,
    /// Asks whether it would be elected; its term is still the old one.
    PreCandidate {
        granted: BTreeSet<NodeId>,
    },
    /// Has voted for itself in a new term.
    Candidate {
        granted: BTreeSet<NodeId>,
    },
    Leader(Leader),
}

/// What only a leader knows.
pub(super) struct Leader {
    pub peers: BTreeMap<NodeId, Progress>,
    /// Counts the times it wrote to everybody at once.
    pub round: u64,
    /// The place of the first entry of its own term.
    pub first: Index,
    pub heartbeat_due: Duration,
    /// Reads that wait for a round to be confirmed.
    pub reads: Vec<reads::Asked>,
    /// Until when the bug `lease-trusts-clock` takes itself for the leader.
    pub lease_until: Duration,
    /// When each recent round began, by the time of day; for that bug only.
    pub round_began: BTreeMap<u64, Duration>,
}

impl Raft {
    /// Draws the next time to want to be elected.
    pub(super) fn put_off_election(&mut self) {
        self.election_due = self.turn.now() + self.random.time(ELECTION, 2 * ELECTION);
    }

    fn hears_leader(&self) -> bool {
        let lately = |heard: Duration| self.turn.now() < heard + ELECTION;
        matches!(self.role, Role::Leader(_)) || self.heard_leader.is_some_and(lately)
    }

    /// Whether a log that ends there holds all that this one may have helped to decide.
    fn is_up_to_date(&self, last: Position) -> bool {
        self.bugs.vote_ignores_log || last >= self.log.last()
    }

    /// Follows, in a newer term if it is one. Who leads is not known yet.
    pub(super) fn follow(&mut self, term: Term) {
        if matches!(self.role, Role::Leader(_)) {
            self.put_off_election();
        }
        self.role = Role::Follower;
        self.leader = None;
        if term > self.hard.term {
            self.set_hard_state(HardState { term, vote: None });
        }
    }

    fn set_hard_state(&mut self, hard: HardState) {
        self.bugs.always(hard.term > self.hard.term || self.hard.vote.is_none(), "two votes in one term");
        self.hard = hard;
        if !self.bugs.vote_not_persisted {
            self.turn.append(Record::HardState(hard));
        }
    }

    pub(super) fn ask_whether_electable(&mut self) {
        self.put_off_election();
        self.leader = None;
        self.role = Role::PreCandidate { granted: BTreeSet::from([self.id]) };
        self.send_all(&Message::PreVote { term: self.hard.term + 1, last: self.log.last() });
        self.count_votes();
    }

    pub(super) fn on_pre_vote(&mut self, from: NodeId, term: Term, last: Position) {
        let granted = term > self.hard.term && self.is_up_to_date(last) && !self.hears_leader();
        // A refusal says the term, so that a node that is behind catches up with it.
        let term = if granted { term } else { self.hard.term };
        self.turn.send(from, Message::PreVoteReply { term, granted });
    }

    pub(super) fn on_pre_vote_reply(&mut self, from: NodeId, term: Term, is_granted: bool) {
        if !is_granted && term > self.hard.term {
            self.follow(term);
        }
        let wanted = self.hard.term + 1;
        if let Role::PreCandidate { granted } = &mut self.role
            && is_granted
            && term == wanted
        {
            granted.insert(from);
            self.count_votes();
        }
    }

    fn stand_for_election(&mut self) {
        self.put_off_election();
        self.set_hard_state(HardState { term: self.hard.term + 1, vote: Some(self.id) });
        self.role = Role::Candidate { granted: BTreeSet::from([self.id]) };
        self.send_all(&Message::Vote { term: self.hard.term, last: self.log.last() });
        self.count_votes();
    }

    pub(super) fn on_vote(&mut self, from: NodeId, term: Term, last: Position) {
        if term > self.hard.term {
            if self.hears_leader() {
                return;
            }
            self.follow(term);
        }
        let is_free = match self.hard.vote {
            None => matches!(self.role, Role::Follower | Role::PreCandidate { .. }),
            Some(vote) => vote == from,
        };
        let granted = term == self.hard.term && is_free && self.is_up_to_date(last);
        if granted {
            if self.hard.vote.is_none() {
                self.role = Role::Follower;
                self.set_hard_state(HardState { term, vote: Some(from) });
            }
            self.put_off_election();
        }
        self.turn.send(from, Message::VoteReply { term: self.hard.term, granted });
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, term: Term, is_granted: bool) {
        if term > self.hard.term {
            return self.follow(term);
        }
        if let Role::Candidate { granted } = &mut self.role
            && is_granted
            && term == self.hard.term
        {
            granted.insert(from);
            self.count_votes();
        }
    }

    fn count_votes(&mut self) {
        match &self.role {
            Role::PreCandidate { granted } if granted.len() >= self.majority() => self.stand_for_election(),
            Role::Candidate { granted } if granted.len() >= self.majority() => self.lead(),
            _ => {}
        }
    }

    fn lead(&mut self) {
        let now = self.turn.now();
        let next = self.log.last().index + 1;
        let peers = self.peers.iter().map(|peer| (*peer, Progress::new(next, now))).collect();
        self.leader = Some(self.id);
        self.role = Role::Leader(Leader {
            peers,
            round: 0,
            first: next,
            heartbeat_due: now + HEARTBEAT,
            reads: Vec::new(),
            lease_until: Duration::ZERO,
            round_began: BTreeMap::new(),
        });
        // An entry of its own term: only by committing this one does a new leader commit the older ones, and learn which
        // they are (§5.4.2, §8).
        if !self.bugs.commit_old_term {
            self.append(Entry { term: self.hard.term, proposal: None });
        }
        self.write_to_all();
        self.ask_new_leader();
    }

    /// Check-quorum.
    pub(super) fn step_down_if_alone(&mut self) {
        // Stepping down would save these from what they do.
        if self.bugs.unconfirmed_leader_reads || self.bugs.lease_trusts_clock {
            return;
        }
        let now = self.turn.now();
        let Role::Leader(leader) = &self.role else { return };
        let heard = leader.peers.values().filter(|peer| now < peer.heard + 2 * ELECTION).count();
        if heard + 1 < self.majority() {
            self.follow(self.hard.term);
        }
    }
}
