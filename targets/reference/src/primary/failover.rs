//! Who leads: promises, votes, leases.
//!
//! Two things keep two leaders apart. The epoch does for writes, whatever clocks do: a majority that has promised itself
//! to a later epoch takes nothing of an earlier one. The lease does for reads: whoever has answered a leader votes for
//! nobody else for [`LEASE_KEPT`]; the leader counts from when it *sent* what was answered, and trusts the lease for
//! [`LEASE_HELD`] only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::message::{Entry, Message, Position, Promise, Record, Stamp};
use super::{Primary, serving::Whose};
use crate::protocol::{NodeId, Response};

/// A node keeps its lease for so long after it answered a leader.
pub(super) const LEASE_KEPT: Duration = Duration::from_millis(900);
/// A leader trusts a lease for so long after it asked for it: less, since clocks run differently.
pub(super) const LEASE_HELD: Duration = Duration::from_millis(500);
/// Between two signs of life of a leader.
pub(super) const SIGN: Duration = Duration::from_millis(100);

/// What a node is.
pub(super) enum Role {
    Follower,
    Candidate { votes: BTreeSet<NodeId> },
    Leader(Leadership),
}

/// What a leader knows.
pub(super) struct Leadership {
    /// Its first entry: once it is decided, all before it are, and the leader knows what is decided.
    pub first: u64,
    pub followers: BTreeMap<NodeId, Follower>,
    pub next_sign: Duration,
}

/// What a leader knows of a follower.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    /// What to ship next, if all that was shipped arrives.
    pub next: u64,
    /// Its log equals the leader's up to here, on its disk.
    pub matched: u64,
    /// It needs a copy of everything.
    pub needs_copy: bool,
    /// When the leader sent what it answered last.
    pub asked: Option<Duration>,
    /// What its clock showed then.
    pub clock: Option<Stamp>,
}

impl Primary {
    /// From now on, for a while, this node votes for nobody else.
    pub(super) fn keep_lease(&mut self) {
        self.lease_kept = self.turn.now() + LEASE_KEPT;
        self.stand_due = self.lease_kept + self.random.time(Duration::ZERO, LEASE_KEPT);
    }

    /// The clock that leases are measured by.
    pub(super) fn lease_clock(&self) -> Duration {
        if self.bugs.lease_on_wall_clock { self.turn.clock.wall } else { self.turn.clock.monotonic }
    }

    /// Whether nobody else can lead now.
    pub(super) fn holds_lease(&self) -> bool {
        let Role::Leader(leadership) = &self.role else { return false };
        if self.bugs.lease_unchecked {
            return true;
        }
        let now = self.lease_clock();
        let holds = |follower: &&Follower| follower.asked.is_some_and(|asked| now < asked + LEASE_HELD);
        1 + leadership.followers.values().filter(holds).count() >= self.majority()
    }

    pub(super) fn stand(&mut self) {
        self.promise_to(self.promise.epoch + 1, Some(self.id));
        self.role = Role::Candidate { votes: BTreeSet::new() };
        self.stand_due = self.turn.now() + self.random.time(LEASE_KEPT / 2, 2 * LEASE_KEPT);
        let (epoch, last) = (self.promise.epoch, self.log.last());
        for peer in self.peers.clone() {
            self.turn.send(peer, Message::Vote { epoch, last });
        }
        self.on_voted(self.id, epoch);
    }

    /// Nothing of earlier epochs is taken from now on.
    pub(super) fn promise_to(&mut self, epoch: u64, vote: Option<NodeId>) {
        self.step_down();
        self.promise = Promise { epoch, vote };
        self.turn.append(Record::Promise(self.promise));
    }

    /// Leads no more, and knows no leader.
    pub(super) fn step_down(&mut self) {
        self.role = Role::Follower;
        self.leader = None;
        self.matched = 0;
        for whose in std::mem::take(&mut self.waiting).into_values() {
            let reason = "another node leads now, and may have the write or not".into();
            self.answer(whose, Response::Unknown { reason });
        }
        for (whose, _) in std::mem::take(&mut self.reads) {
            self.refuse(whose, "another node leads now");
        }
    }

    pub(super) fn on_vote(&mut self, from: NodeId, epoch: u64, last: Position) {
        let Promise { epoch: promised, vote } = self.promise;
        if epoch < promised {
            return self.turn.send(from, Message::Fenced { epoch: promised });
        }
        let keeps_lease = self.turn.now() < self.lease_kept || self.holds_lease();
        let knows_less = last < self.log.last() && !self.bugs.votes_for_anyone;
        if epoch > promised && !keeps_lease && !knows_less {
            self.promise_to(epoch, Some(from));
            self.stand_due = self.turn.now() + self.random.time(LEASE_KEPT, 2 * LEASE_KEPT);
            self.turn.send(from, Message::Voted { epoch });
        } else if epoch == promised && vote == Some(from) {
            self.turn.send(from, Message::Voted { epoch });
        }
    }

    pub(super) fn on_voted(&mut self, from: NodeId, epoch: u64) {
        let majority = self.majority();
        let Role::Candidate { votes } = &mut self.role else { return };
        if epoch == self.promise.epoch {
            votes.insert(from);
            if votes.len() >= majority {
                self.lead();
            }
        }
    }

    pub(super) fn on_fenced(&mut self, epoch: u64) {
        if epoch > self.promise.epoch {
            self.promise_to(epoch, None);
        }
    }

    fn lead(&mut self) {
        let entry = Entry { epoch: self.promise.epoch, request: None };
        self.log.push(entry.clone());
        self.turn.append(Record::Entry(entry));
        let first = self.log.last().index;
        let follower = Follower { next: first, matched: 0, needs_copy: false, asked: None, clock: None };
        self.role = Role::Leader(Leadership {
            first,
            followers: self.peers.iter().map(|peer| (*peer, follower.clone())).collect(),
            next_sign: self.turn.now(),
        });
        self.leader = Some(self.id);
        self.seen.clear();
        self.count_disks();
    }

    pub(super) fn lead_on(&mut self) {
        let now = self.turn.now();
        if let Role::Leader(leadership) = &mut self.role
            && now >= leadership.next_sign
        {
            leadership.next_sign = now + SIGN;
            self.ship(true);
        }
    }

    /// Takes a node for the leader of an epoch. `false` if the epoch is over: its token is void.
    pub(super) fn follow(&mut self, leader: NodeId, epoch: u64) -> bool {
        if epoch < self.promise.epoch && !self.bugs.no_fencing {
            self.turn.send(leader, Message::Fenced { epoch: self.promise.epoch });
            return false;
        }
        if epoch > self.promise.epoch {
            self.promise_to(epoch, None);
        } else if self.leader != Some(leader) {
            self.step_down();
        }
        self.leader = Some(leader);
        self.keep_lease();
        true
    }

    pub(super) fn refuse(&mut self, whose: Whose, reason: &str) {
        self.answer(whose, Response::Refused { reason: reason.into(), leader: self.leader });
    }
}
