//! Sloppy quorums: in the place of a home that is gone, the next node of the ring keeps what is meant for it, on disk, and
//! hands it over once the home is heard of again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Quorum;
use super::message::{Message, Record};
use crate::protocol::NodeId;
use crate::version::{Stamp, Version};

/// Between two tries to hand over.
const HAND_OVER: Duration = Duration::from_millis(300);
/// So many hints are handed over at a time.
const AT_A_TIME: usize = 64;

impl Quorum {
    /// Who stands in for which home of a key: each home that is gone gets one, each node stands in for one at most.
    pub(super) fn choose_stand_ins(&self, key: &str, chosen: &mut BTreeMap<NodeId, NodeId>) {
        if !self.mode.sloppy {
            return;
        }
        for home in self.homes(key).into_iter().filter(|home| self.is_gone(*home)) {
            let is_free = |node: &NodeId| !self.is_gone(*node) && !chosen.values().any(|taken| taken == node);
            if !chosen.contains_key(&home)
                && let Some(stand_in) = self.ring_from(key).skip(self.mode.n).find(is_free)
            {
                chosen.insert(home, stand_in);
            }
        }
    }

    /// Keeps something for a home that is gone.
    pub(super) fn keep_for(&mut self, home: NodeId, key: String, version: Version) {
        if self.bugs.hints_dropped {
            return;
        }
        let place = (home, key.clone());
        if self.hints.get(&place).is_none_or(|kept| kept.stamp < version.stamp) {
            self.hints.insert(place, version.clone());
            self.turn.append(Record::Hint { home, key, version });
        }
    }

    /// Hands over what is kept for homes that are back.
    pub(super) fn hand_over(&mut self) {
        if self.turn.now() < self.hand_over_due {
            return;
        }
        self.hand_over_due = self.turn.now() + HAND_OVER;
        let back = self.hints.iter().filter(|((home, _), _)| !self.is_gone(*home)).take(AT_A_TIME);
        let back: Vec<_> = back.map(|((home, key), version)| (*home, key.clone(), version.clone())).collect();
        for (home, key, version) in back {
            self.turn.send(home, Message::HandOver { key, version });
        }
    }

    pub(super) fn on_taken_over(&mut self, home: NodeId, key: String, stamp: Stamp) {
        let place = (home, key);
        // Something later may have been kept since.
        if self.hints.get(&place).is_some_and(|kept| kept.stamp == stamp) {
            self.hints.remove(&place);
            self.turn.append(Record::HandedOver { home, key: place.1 });
        }
    }
}
