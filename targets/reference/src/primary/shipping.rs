//! The log's way to the followers, and the counting of disks.

use std::time::Duration;

use super::Primary;
use super::failover::Role;
use super::message::{Copy, Entry, Fits, Message, Position, Record, Stamp};
use crate::protocol::NodeId;

/// How many entries one message carries at most.
const ENTRIES_MAX: usize = 256;

impl Primary {
    /// Sends every follower what it has not been sent; as a sign of life even if that is nothing.
    pub(super) fn ship(&mut self, is_sign: bool) {
        let (holds_lease, at, epoch) = (self.holds_lease(), self.lease_clock(), self.promise.epoch);
        let (last, decided) = (self.log.last().index, self.log.decided());
        let Role::Leader(leadership) = &mut self.role else { return };
        let knows_all = holds_lease && decided >= leadership.first;
        for (peer, follower) in &mut leadership.followers {
            if follower.next > last && !is_sign {
                continue;
            }
            let previous = self.log.position(follower.next - 1);
            let message = match previous.filter(|_| !follower.needs_copy) {
                Some(previous) => {
                    let rest = self.log.after(previous.index);
                    let entries = rest[..rest.len().min(ENTRIES_MAX)].to_vec();
                    follower.next += entries.len() as u64;
                    let fresh = follower.clock.filter(|_| knows_all);
                    Message::Ship { epoch, at, fresh, previous, entries, decided }
                }
                None => {
                    follower.next = last + 1;
                    follower.needs_copy = false;
                    Message::Replace { epoch, at, copy: self.log.copy() }
                }
            };
            self.turn.send(*peer, message);
        }
    }

    pub(super) fn on_ship(
        &mut self,
        from: NodeId,
        epoch: u64,
        previous: Position,
        entries: Vec<Entry>,
        decided: u64,
        (at, fresh): (Duration, Option<Stamp>),
    ) {
        if !self.follow(from, epoch) {
            return;
        }
        let end = previous.index + entries.len() as u64;
        let fits = self.fit(previous, entries);
        if fits == Fits::Yes {
            self.matched = self.matched.max(end);
            self.log.decide(decided.min(self.matched), |_, _| {});
            if let Some(stamp) = fresh
                && stamp.life == self.life
                && decided <= self.matched
            {
                self.fresh_at = self.fresh_at.max(Some(stamp.at));
            }
        }
        let last = if fits == Fits::Yes { self.matched } else { self.log.last().index };
        self.answer_leader(from, epoch, at, last, fits);
    }

    fn answer_leader(&mut self, leader: NodeId, epoch: u64, at: Duration, last: u64, fits: Fits) {
        let clock = Stamp { life: self.life, at: self.turn.now() };
        self.turn.send(leader, Message::Shipped { epoch, at, clock, last, fits });
    }

    /// Puts entries where they belong. Two logs with the same epoch at an index are alike up to there, since only the one
    /// leader of that epoch wrote it, after what stands before it.
    fn fit(&mut self, previous: Position, entries: Vec<Entry>) -> Fits {
        if previous.index > self.log.last().index {
            return Fits::Gap;
        }
        if previous.index > self.matched && self.log.position(previous.index) != Some(previous) {
            return Fits::No;
        }
        for (index, entry) in (previous.index + 1..).zip(entries) {
            if index > self.log.last().index {
                self.log.push(entry.clone());
                self.turn.append(Record::Entry(entry));
            } else if index > self.matched
                && self.log.position(index).map(|position| position.epoch) != Some(entry.epoch)
            {
                return Fits::No;
            }
        }
        Fits::Yes
    }

    pub(super) fn on_replace(&mut self, from: NodeId, epoch: u64, at: Duration, copy: Copy) {
        if !self.follow(from, epoch) {
            return;
        }
        let end = copy.base.index + copy.entries.len() as u64;
        // A late copy must not take back what has been answered since.
        if end > self.matched {
            self.log = super::Log::of(copy);
            self.matched = end;
            self.save();
        }
        self.answer_leader(from, epoch, at, self.matched, Fits::Yes);
    }

    pub(super) fn on_shipped(
        &mut self,
        from: NodeId,
        epoch: u64,
        at: Duration,
        clock: Stamp,
        (last, fits): (u64, Fits),
    ) {
        if epoch != self.promise.epoch {
            return;
        }
        let Role::Leader(leadership) = &mut self.role else { return };
        let Some(follower) = leadership.followers.get_mut(&from) else { return };
        follower.asked = follower.asked.max(Some(at));
        follower.clock = Some(clock);
        match fits {
            Fits::Yes => {
                follower.matched = follower.matched.max(last);
                follower.next = follower.next.max(last + 1);
            }
            Fits::Gap => {
                follower.next = last + 1;
                follower.needs_copy = self.log.is_forgotten(last);
            }
            Fits::No => {
                follower.next = 1;
                follower.needs_copy = true;
            }
        }
        self.count_disks();
    }

    /// Decides what is on enough disks. Only an entry of the leader's own epoch is decided by counting, and all before
    /// it with it: an earlier one can be on a majority's disks and still lose to a later epoch's.
    pub(super) fn count_disks(&mut self) {
        let Role::Leader(leadership) = &self.role else { return };
        let first = leadership.first;
        let disks = if self.bugs.ack_unreplicated { 1 } else { self.mode.disks };
        let mut matched: Vec<u64> = leadership.followers.values().map(|follower| follower.matched).collect();
        matched.push(self.log.last().index);
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let index = matched[disks.min(matched.len()) - 1];
        if index < first || index <= self.log.decided() {
            return;
        }
        let mut told = Vec::new();
        self.log.decide(index, |index, response| told.push((index, response)));
        for (index, response) in told {
            if let Some(whose) = self.waiting.remove(&index) {
                self.answer(whose, response);
            }
        }
        self.answer_reads();
    }
}
