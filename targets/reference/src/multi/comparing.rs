//! Anti-entropy: now and then a node sends the next of its peers the hashes of all that it holds; where they differ, each
//! tells the other what it holds, and both join it. It heals what shipping cannot: what a node had not shipped when it
//! crashed, and what it learnt from somebody who is gone since.

use std::time::Duration;

use super::Multi;
use super::message::Message;
use super::object::Object;
use crate::protocol::NodeId;
use crate::tree;

/// Between two comparisons that a node begins, about.
const COMPARE: Duration = Duration::from_millis(400);

impl Multi {
    pub(super) fn compare(&mut self) {
        if !self.mode.anti_entropy || self.turn.now() < self.compare_due || self.outboxes.is_empty() {
            return;
        }
        self.compare_due = self.turn.now() + self.random.time(COMPARE / 2, COMPARE);
        // One after the other, so that it is known when a node has compared with all.
        self.compared += 1;
        let peer = self.outboxes.keys().nth(self.compared % self.outboxes.len()).copied();
        if let Some(peer) = peer {
            let hashes = self.shelf.branches();
            self.send(peer, Message::Branches { hashes });
        }
    }

    pub(super) fn on_branches(&mut self, from: NodeId, hashes: &[u64]) {
        let mut branches = tree::differing(&self.shelf.branches(), hashes);
        if self.bugs.blind_branches {
            branches.retain(|branch| branch % 2 == 0);
        }
        if !branches.is_empty() {
            let objects = self.shelf.leaves(&branches);
            self.send(from, Message::Leaves { objects, branches });
        }
    }

    pub(super) fn on_leaves(&mut self, from: NodeId, objects: Vec<(String, Object)>, branches: &[usize]) {
        if !branches.is_empty() {
            let objects = self.shelf.leaves(branches);
            self.send(from, Message::Leaves { objects, branches: Vec::new() });
        }
        objects.into_iter().for_each(|(key, object)| self.learn(key, object));
    }
}
