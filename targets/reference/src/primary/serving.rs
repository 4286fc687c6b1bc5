//! A client's request: answered here, or at the leader, and the way between.

use std::time::Duration;

use super::Primary;
use super::failover::Role;
use super::message::{Entry, Forward, Message, Record};
use super::settings::Reads;
use crate::protocol::{NodeId, Operation, Request, Response, Ticket};

/// A forwarded request without an answer after this is answered [`Response::Unknown`].
const PATIENCE: Duration = Duration::from_secs(5);
/// A forwarded request so many numbers older than its sender's newest is too late to be told from a doubled one.
const REMEMBERED: u64 = 10_000;

/// Who waits for a response.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    /// A client of this node.
    Client(Ticket),
    /// A client of another node.
    Peer { node: NodeId, number: u64 },
}

impl Primary {
    pub(super) fn request(&mut self, ticket: Ticket, request: Request) {
        if request.session.is_some() {
            return self.refuse(Whose::Client(ticket), "this store keeps no sessions");
        }
        match self.mode.reads {
            Reads::Any if request.operation == Operation::Read => self.read_here(ticket, &request.key),
            Reads::Bounded { bound, forwards } if request.operation == Operation::Read => {
                let lag = self.fresh_at.map(|at| self.turn.now().saturating_sub(at));
                if lag.is_some_and(|lag| lag <= bound) || self.bugs.bound_unchecked {
                    self.read_here(ticket, &request.key);
                } else if forwards || matches!(self.role, Role::Leader(_)) {
                    self.forward_to_leader(ticket, request);
                } else {
                    self.refuse(Whose::Client(ticket), "this node is too far behind");
                }
            }
            _ => self.forward_to_leader(ticket, request),
        }
    }

    fn read_here(&mut self, ticket: Ticket, key: &str) {
        let value = self.log.keys().read(key);
        self.turn.reply(ticket, Response::Value(value));
    }

    fn forward_to_leader(&mut self, ticket: Ticket, request: Request) {
        match self.leader {
            Some(leader) if leader == self.id => self.take(Whose::Client(ticket), request),
            Some(leader) => {
                self.next_number += 1;
                self.forwarded.insert(self.next_number, (ticket, self.turn.now() + PATIENCE));
                let (epoch, number) = (self.promise.epoch, self.next_number);
                self.turn.send(leader, Message::Forward(Forward { epoch, number, request }));
            }
            None => self.refuse(Whose::Client(ticket), "no leader is known"),
        }
    }

    /// The leader takes a request.
    fn take(&mut self, whose: Whose, request: Request) {
        if !self.holds_lease() {
            return self.refuse(whose, "the leader's lease has run out");
        }
        if request.operation == Operation::Read {
            self.reads.push((whose, request.key));
            return self.answer_reads();
        }
        let entry = Entry { epoch: self.promise.epoch, request: Some(request) };
        self.log.push(entry.clone());
        self.waiting.insert(self.log.last().index, whose);
        self.turn.append(Record::Entry(entry));
        self.count_disks();
    }

    /// Answers what waits, once the leader knows what is decided.
    pub(super) fn answer_reads(&mut self) {
        let Role::Leader(leadership) = &self.role else { return };
        if self.log.decided() < leadership.first {
            return;
        }
        let holds_lease = self.holds_lease();
        for (whose, key) in std::mem::take(&mut self.reads) {
            if !holds_lease {
                self.refuse(whose, "the leader's lease has run out");
            } else if self.bugs.dirty_reads {
                let value = self.log.keys_at_end().read(&key);
                self.answer(whose, Response::Value(value));
            } else {
                let value = self.log.keys().read(&key);
                self.answer(whose, Response::Value(value));
            }
        }
    }

    pub(super) fn on_forward(&mut self, from: NodeId, forward: Forward) {
        let whose = Whose::Peer { node: from, number: forward.number };
        if !matches!(self.role, Role::Leader(_)) || forward.epoch != self.promise.epoch {
            return self.refuse(whose, "this node does not lead");
        }
        let of_sender = (from, 0)..=(from, u64::MAX);
        let newest = self.seen.range(of_sender).next_back().map_or(0, |(_, number)| *number);
        let oldest = newest.saturating_sub(REMEMBERED);
        if forward.number < oldest || !self.seen.insert((from, forward.number)) {
            return;
        }
        if let Some(&old) = self.seen.range((from, 0)..(from, oldest)).next() {
            self.seen.remove(&old);
        }
        self.take(whose, forward.request);
    }

    pub(super) fn on_forwarded(&mut self, number: u64, response: Response) {
        if let Some((ticket, _)) = self.forwarded.remove(&number) {
            self.turn.reply(ticket, response);
        }
    }

    pub(super) fn answer(&mut self, whose: Whose, response: Response) {
        match whose {
            Whose::Client(ticket) => self.turn.reply(ticket, response),
            Whose::Peer { node, number } => {
                let (epoch, decided) = (self.promise.epoch, self.log.decided());
                self.turn.send(node, Message::Forwarded { epoch, decided, number, response });
            }
        }
    }

    pub(super) fn give_up_forwarded(&mut self) {
        let now = self.turn.now();
        let old: Vec<u64> =
            self.forwarded.iter().filter(|(_, (_, due))| now >= *due).map(|(number, _)| *number).collect();
        for number in old {
            let reason = "the leader has not answered".into();
            self.on_forwarded(number, Response::Unknown { reason });
        }
    }
}
