//! A client's request: answered here, from what is shown here, once that is no less than what the session has seen.

use std::time::Duration;

use schism_history::Value;

use super::Causal;
use super::message::{Message, Stamp, Write};
use super::vector::Vector;
use crate::protocol::{NodeId, Operation, Request, Response, Ticket};

/// A session that has seen more than this node shows is refused after this: the client may know a node that is not behind.
const PATIENCE: Duration = Duration::from_millis(600);

/// A request of a session that has seen more than is shown here.
pub(super) struct Waiting {
    ticket: Ticket,
    key: String,
    does: Does,
    seen: Vector,
    ends: Duration,
}

/// What the client wants.
enum Does {
    Read,
    Write(Value),
}

impl Causal {
    pub(super) fn request(&mut self, ticket: Ticket, request: Request) {
        let Request { key, operation, session, seen } = request;
        let does = match operation {
            _ if session.is_some() => {
                return self.turn.refuse(ticket, "this store keeps no sessions of its own");
            }
            Operation::Read => Does::Read,
            Operation::Write(value) => Does::Write(value),
            _ => return self.turn.refuse(ticket, "a store that asks nobody has only reads and writes"),
        };
        let Some(mut seen) = Vector::parse(&seen.unwrap_or_default()) else {
            return self.turn.refuse(ticket, "this is no context of this store");
        };
        if self.bugs.context_dropped && !self.shown.covers(&seen) {
            seen = Vector::default();
        }
        let ends = self.turn.now() + PATIENCE;
        self.waiting.push(Waiting { ticket, key, does, seen, ends });
        self.serve();
    }

    /// Answers all whose sessions have seen no more than is shown here.
    pub(super) fn serve(&mut self) {
        let (waits, shown) = (self.mode.waits, self.shown.clone());
        let ready = self.waiting.extract_if(.., |waiting| !waits || shown.covers(&waiting.seen));
        for Waiting { ticket, key, does, seen, .. } in ready.collect::<Vec<_>>() {
            let (value, seen) = match does {
                Does::Read => self.read(&key, seen),
                Does::Write(value) => (None, self.write(key, value, seen)),
            };
            self.turn.reply(ticket, Response::Seen { value, seen: seen.to_string() });
        }
    }

    fn read(&self, key: &str, seen: Vector) -> (Option<Value>, Vector) {
        match self.keys.get(key) {
            None => (Some(Value::Nil), seen),
            Some(write) if self.bugs.reads_not_recorded => (Some(write.value.clone()), seen),
            Some(write) => (Some(write.value.clone()), self.having_seen(seen, write.name())),
        }
    }

    fn write(&mut self, key: String, value: Value, seen: Vector) -> Vector {
        self.clock_time += 1;
        let write = Write {
            stamp: Stamp { time: self.clock_time, node: self.id },
            number: self.shown.of(self.id) + 1,
            key,
            value,
            dependencies: if self.mode.is_tracked { seen.clone() } else { Vector::default() },
        };
        let name = write.name();
        self.show(write.clone());
        self.turn.send_all(self.others(), &Message::Writes(vec![write]));
        self.having_seen(seen, name)
    }

    /// What a session has seen once it has seen one write more. Its nearest dependencies are enough: where that write is
    /// shown, so is what it depends on.
    fn having_seen(&self, mut seen: Vector, (node, number): (NodeId, u64)) -> Vector {
        if self.bugs.last_dependency_only {
            seen = Vector::default();
        }
        seen.see(node, number);
        seen
    }

    pub(super) fn refuse_late(&mut self) {
        let now = self.turn.now();
        for late in self.waiting.extract_if(.., |waiting| now >= waiting.ends).collect::<Vec<_>>() {
            self.turn.refuse(late.ticket, "this node is behind what the session has seen");
        }
    }
}
