//! Anti-entropy: now and then a node sends another the hashes of all that both are homes of; where they differ, each
//! tells the other what it holds, and the later stamps win.

use std::time::Duration;

use super::Quorum;
use super::message::Message;
use crate::protocol::NodeId;
use crate::tree;
use crate::version::Version;

/// Between two comparisons that a node begins, about.
const COMPARE: Duration = Duration::from_millis(400);

impl Quorum {
    pub(super) fn compare(&mut self) {
        if !self.mode.anti_entropy || self.turn.now() < self.compare_due {
            return;
        }
        self.compare_due = self.turn.now() + self.random.time(COMPARE / 2, 2 * COMPARE);
        let others: Vec<NodeId> = self.others().collect();
        if let Some(other) = self.random.choose(&others).copied() {
            let hashes = self.hashes(other);
            self.turn.send(other, Message::Branches { hashes });
        }
    }

    fn hashes(&self, other: NodeId) -> Vec<u64> {
        self.shelf.branches(|key| self.is_shared(key, other), !self.bugs.blind_tree)
    }

    fn is_shared(&self, key: &str, other: NodeId) -> bool {
        let homes = self.homes(key);
        homes.contains(&self.id) && homes.contains(&other)
    }

    pub(super) fn on_branches(&mut self, from: NodeId, hashes: &[u64]) {
        let branches = tree::differing(&self.hashes(from), hashes);
        if !branches.is_empty() {
            let versions = self.shelf.leaves(&branches, |key| self.is_shared(key, from));
            self.turn.send(from, Message::Leaves { versions, branches });
        }
    }

    pub(super) fn on_leaves(&mut self, from: NodeId, versions: Vec<(String, Version)>, branches: &[usize]) {
        if !branches.is_empty() {
            let versions = self.shelf.leaves(branches, |key| self.is_shared(key, from));
            self.turn.send(from, Message::Leaves { versions, branches: Vec::new() });
        }
        for (key, version) in versions {
            self.keep(key, version);
        }
    }
}
