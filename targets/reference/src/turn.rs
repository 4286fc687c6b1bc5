//! One turn of a node, the same in all families: what the clocks show while an input is taken, and what is to follow from it.

use std::time::Duration;

use crate::protocol::{Clock, DiskWrite, NodeId, Output, Protocol, Response, Ticket};

/// What a node does beside its protocol while it takes an input; [`Protocol::handle`] begins and ends it.
pub struct Turn<P: Protocol> {
    /// What the node's clocks show.
    pub clock: Clock,
    output: Output<P>,
    appended: u64,
}

impl<P: Protocol> Turn<P> {
    /// That in which a node starts.
    pub fn new(clock: Clock) -> Self {
        Turn { clock, output: Output::default(), appended: 0 }
    }

    /// The next one begins.
    pub fn begin(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// It ends: what follows is appended to `output`.
    pub fn end(&mut self, output: &mut Output<P>) {
        output.disk.append(&mut self.output.disk);
        output.send.append(&mut self.output.send);
        output.reply.append(&mut self.output.reply);
    }

    /// The time of the clock that never goes back.
    pub fn now(&self) -> Duration {
        self.clock.monotonic
    }

    /// One more record on disk.
    pub fn append(&mut self, record: P::Record) {
        self.appended += 1;
        self.output.disk.push(DiskWrite::Append(record));
    }

    /// How many records were appended since the last snapshot, in this life of the node.
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// Everything that is on disk anew, in one step.
    pub fn snapshot(&mut self, snapshot: P::Snapshot) {
        self.appended = 0;
        self.output.disk.push(DiskWrite::Snapshot(snapshot));
    }

    /// A message to another node.
    pub fn send(&mut self, to: NodeId, message: P::Message) {
        self.output.send.push((to, message));
    }

    /// The same message to several.
    pub fn send_all(&mut self, to: impl IntoIterator<Item = NodeId>, message: &P::Message) {
        self.output.send.extend(to.into_iter().map(|to| (to, message.clone())));
    }

    /// The answer to a client.
    pub fn reply(&mut self, ticket: Ticket, response: Response) {
        self.output.reply.push((ticket, response));
    }

    /// The answer to a client that what it asked certainly was not done, where nobody leads.
    pub fn refuse(&mut self, ticket: Ticket, reason: &str) {
        self.reply(ticket, Response::Refused { reason: reason.into(), leader: None });
    }
}
