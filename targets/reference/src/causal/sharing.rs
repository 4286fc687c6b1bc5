//! Writes on their way: sent to all at once when they are taken, and passed on by whoever has them to whoever has missed
//! them, also when the node that took them is gone (anti-entropy, as in Bayou).

use std::time::Duration;

use super::Causal;
use super::message::{Message, Write};
use super::vector::Vector;
use crate::protocol::NodeId;

/// Between two times that a node tells all others what it shows, and asks one of them for what is missing.
const SHARE: Duration = Duration::from_millis(100);
/// So many writes are passed on at a time; who gets so many asks for more at once.
const AT_A_TIME: usize = 32;

impl Causal {
    pub(super) fn share(&mut self) {
        if self.turn.now() < self.share_due {
            return;
        }
        self.share_due = self.turn.now() + SHARE;
        let others: Vec<NodeId> = self.others().collect();
        let asked = self.random.choose(&others).copied();
        for node in others {
            let message = Message::Shown { shown: self.shown.clone(), asks: Some(node) == asked };
            self.turn.send(node, message);
        }
        self.forget_what_all_have();
    }

    pub(super) fn on_shown(&mut self, from: NodeId, shown: Vector, asks: bool) {
        if asks {
            // In the order of stamps: what a write depends on comes before it, so the first of them can always be shown.
            let missing = self.log.values().filter(|write| write.number > shown.of(write.stamp.node));
            let missing: Vec<Write> = missing.take(AT_A_TIME).cloned().collect();
            if !missing.is_empty() {
                self.turn.send(from, Message::Writes(missing));
            }
        }
        self.known.insert(from, shown);
    }

    pub(super) fn on_writes(&mut self, from: NodeId, writes: Vec<Write>) {
        let (is_cut_short, before) = (writes.len() == AT_A_TIME, self.shown.total());
        self.take(writes);
        // Only if it got further: a doubled message is no reason to ask twice.
        if is_cut_short && self.shown.total() > before {
            self.turn.send(from, Message::Shown { shown: self.shown.clone(), asks: true });
        }
    }

    fn forget_what_all_have(&mut self) {
        let all_known = self.others().all(|node| self.known.contains_key(&node));
        let known = &self.known;
        let is_everywhere =
            |write: &Write| known.values().all(|shown| shown.of(write.stamp.node) >= write.number);
        self.log.retain(|_, write| !all_known || !is_everywhere(write));
    }
}
