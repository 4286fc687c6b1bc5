//! Keys on their way from the nodes that held them to the nodes that hold them now.
//!
//! A node that adopts an epoch answers in no earlier one any more: that is the fence. Then it asks everybody who held
//! anything before for what is its own now, and answers for a key as soon as a majority of the key's old group has told:
//! each write that was acknowledged is on one of them, and none can be acknowledged in the old epoch any more, since that
//! would take one of the same majority.

use std::time::Duration;

use super::Sharded;
use super::message::{Configuration, Message, Record};
use super::placement::{Item, Placement, majority};
use crate::protocol::NodeId;
use crate::version::Version;

/// Who has not told yet is asked again after this.
const AGAIN: Duration = Duration::from_millis(150);

impl Sharded {
    /// Goes on in what was agreed.
    pub(super) fn adopt(&mut self, agreed: Configuration) {
        let is_new = agreed.epoch > self.configuration.epoch;
        // After a start the log may be known only up to an earlier epoch, settled long ago: there is no way back into it.
        let is_same = agreed.epoch == self.configuration.epoch;
        let has_settled = is_same && agreed.is_settled && !self.configuration.is_settled;
        if !is_new && !has_settled {
            return;
        }
        self.turn.append(Record::Adopted(agreed.clone()));
        self.live_in(agreed);
        if is_new {
            self.pull_due = Duration::ZERO;
            self.pull();
            self.begin_again();
        } else {
            self.forget_what_is_others();
        }
    }

    /// Computes all that follows from a configuration.
    pub(super) fn live_in(&mut self, configuration: Configuration) {
        if configuration.epoch != self.configuration.epoch || self.placement.layout != configuration.layout {
            let bug = self.bugs.leaves_region;
            self.placement = Placement::new(self.mode, configuration.layout.clone(), bug);
            self.before = Placement::new(self.mode, configuration.previous.clone(), bug);
            self.told.clear();
            // What it holds itself counts if it was a member: no epoch begins before all members are complete.
            if configuration.previous.members.contains(&self.id) {
                self.told.insert(self.id);
            }
        }
        self.configuration = configuration;
    }

    /// Asks for what is its own.
    pub(super) fn pull(&mut self) {
        let is_member = self.configuration.layout.members.contains(&self.id);
        if !is_member || self.complete == self.configuration.epoch || self.turn.now() < self.pull_due {
            return;
        }
        self.pull_due = self.turn.now() + AGAIN;
        let epoch = self.configuration.epoch;
        let members = self.configuration.previous.members.iter();
        for node in members.copied().filter(|node| !self.told.contains(node)).collect::<Vec<_>>() {
            self.send(node, Message::Pull { epoch });
        }
        self.complete_if_all_told();
    }

    pub(super) fn on_pull(&mut self, from: NodeId, epoch: u64) {
        if epoch != self.configuration.epoch || !self.configuration.previous.members.contains(&self.id) {
            return;
        }
        let is_meant = |item: &Item| {
            self.placement.group(item).contains(&from) && self.before.group(item).contains(&self.id)
        };
        let items = self.items.iter().filter(|(item, _)| is_meant(item));
        let items = items.map(|(item, version)| (item.clone(), version.clone())).collect();
        self.send(from, Message::Moved { epoch, items });
    }

    pub(super) fn on_moved(&mut self, from: NodeId, epoch: u64, items: Vec<(Item, Version)>) {
        if epoch != self.configuration.epoch || self.complete == epoch {
            return;
        }
        for (item, version) in items {
            self.moved +=
                u64::from(!self.before.group(&item).contains(&self.id) && !self.items.contains_key(&item));
            self.keep(item, version);
        }
        self.told.insert(from);
        self.complete_if_all_told();
    }

    fn complete_if_all_told(&mut self) {
        if self.before.groups().iter().all(|group| self.has_heard(group)) {
            self.complete = self.configuration.epoch;
            self.turn.append(Record::Complete(self.complete));
        }
    }

    /// Whether enough of a group have told what they held.
    fn has_heard(&self, group: &[NodeId]) -> bool {
        let enough = if self.bugs.moved_from_one { 1 } else { majority(group) };
        group.iter().filter(|node| self.told.contains(node)).count() >= enough
    }

    /// Whether this node answers for an item in an epoch.
    pub(super) fn serves(&self, epoch: u64, item: &Item) -> bool {
        if self.bugs.epoch_unchecked && epoch < self.configuration.epoch {
            return true;
        }
        let has_it = || self.complete == epoch || self.has_heard(&self.before.group(item));
        epoch == self.configuration.epoch && self.placement.group(item).contains(&self.id) && has_it()
    }

    /// Once all members are complete, nobody needs what others hold now.
    fn forget_what_is_others(&mut self) {
        let before = self.items.len();
        let (id, placement) = (self.id, &self.placement);
        self.items.retain(|item, _| placement.group(item).contains(&id));
        if self.items.len() < before {
            self.save();
        }
    }
}
