//! Shipping: every change goes to all other nodes, in the order it was made, again until it is acknowledged. One parcel a
//! peer is under way at a time; what is changed meanwhile is joined, and goes with the next.
//!
//! What waits is in memory alone. A crash loses it, and anti-entropy makes up for that.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Multi;
use super::bugs::Bugs;
use super::message::Message;
use super::object::Object;
use crate::protocol::NodeId;

/// What is not acknowledged is sent again after this, and the way to another region and back.
const AGAIN: Duration = Duration::from_millis(200);

/// What a peer is not known to have.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<String, Object>,
    parcel: Option<Parcel>,
}

/// What is under way to a peer.
#[derive(Clone, Debug)]
struct Parcel {
    number: u64,
    deltas: Vec<(String, Object)>,
    again: Duration,
}

impl Outbox {
    /// A change to be shipped.
    pub(super) fn add(&mut self, key: &str, delta: &Object, bugs: &Bugs) {
        match self.waiting.get_mut(key) {
            Some(waiting) => {
                waiting.join(delta, bugs);
            }
            None => {
                self.waiting.insert(key.into(), delta.clone());
            }
        }
    }
}

impl Multi {
    /// Sends what is due.
    pub(super) fn ship(&mut self) {
        let now = self.turn.now();
        let peers: Vec<NodeId> = self.outboxes.keys().copied().collect();
        for peer in peers {
            let again = now + AGAIN + 2 * self.delay_to(peer);
            let Some(outbox) = self.outboxes.get_mut(&peer) else { continue };
            match &mut outbox.parcel {
                Some(parcel) if now < parcel.again => continue,
                Some(parcel) => parcel.again = again,
                None if outbox.waiting.is_empty() => continue,
                parcel => {
                    let deltas = std::mem::take(&mut outbox.waiting).into_iter().collect();
                    self.next_number += 1;
                    *parcel = Some(Parcel { number: self.next_number, deltas, again });
                }
            }
            if let Some(Parcel { number, deltas, .. }) = outbox.parcel.clone() {
                self.send(peer, Message::Ship { number, deltas });
            }
        }
    }

    pub(super) fn on_ship(&mut self, from: NodeId, number: u64, deltas: Vec<(String, Object)>) {
        deltas.into_iter().for_each(|(key, delta)| self.learn(key, delta));
        self.send(from, Message::Shipped { number });
    }

    pub(super) fn on_shipped(&mut self, from: NodeId, number: u64) {
        if let Some(outbox) = self.outboxes.get_mut(&from)
            && outbox.parcel.as_ref().is_some_and(|parcel| parcel.number == number)
        {
            outbox.parcel = None;
        }
    }

    /// How long what goes to a peer is held back.
    fn delay_to(&self, peer: NodeId) -> Duration {
        let region = |node: NodeId| {
            let place = self.nodes.iter().position(|known| *known == node).unwrap_or(0);
            self.mode.region(place, self.nodes.len())
        };
        if region(self.id) == region(peer) { Duration::ZERO } else { self.mode.region_delay }
    }

    /// Sends a message, at once or once it has been on its way to another region for long enough.
    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        let delay = self.delay_to(to);
        if delay.is_zero() {
            self.turn.send(to, message);
        } else {
            self.on_the_way.push_back((self.turn.now() + delay, to, message));
        }
    }

    /// Lets out what was held back for long enough.
    pub(super) fn let_out(&mut self) {
        while self.on_the_way.front().is_some_and(|(due, ..)| *due <= self.turn.now())
            && let Some((_, to, message)) = self.on_the_way.pop_front()
        {
            self.turn.send(to, message);
        }
    }
}
