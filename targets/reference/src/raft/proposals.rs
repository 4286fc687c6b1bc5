//! A write's way: from the node a client asked to the leader, into the log, and back when that node has applied it.
//!
//! A node that knows no leader refuses: nothing was proposed. From the first proposal on the answer is `Done`,
//! `Mismatch` or `Unknown`, never a refusal: any copy that is under way may still be appended. Proposals are passed on
//! again when no answer comes or another node leads; the sessions see to it that only one copy is applied.

use std::sync::Arc;
use std::time::Duration;

use super::election::Role;
use super::message::{Entry, Message, Origin, Proposal};
use super::{PATIENCE, RETRY, Raft};
use crate::protocol::{Request, Response, Ticket};

/// A leader takes no more proposals while this many entries wait to be decided.
const UNDECIDED: u64 = 16_384;

/// A write whose client waits.
pub(super) struct Waiting {
    pub ticket: Ticket,
    pub request: Arc<Request>,
    pub since: Duration,
    /// When it was passed on last.
    pub asked: Duration,
}

impl Raft {
    pub(super) fn start_proposal(&mut self, ticket: Ticket, request: Request) {
        if self.leader.is_none() {
            return self.refuse(ticket, "no leader is known");
        }
        if self.leader == Some(self.id) && self.is_full() {
            return self.refuse(ticket, "too much is undecided");
        }
        let sequence = self.new_sequence();
        let now = self.turn.now();
        self.proposals.insert(sequence, Waiting { ticket, request: request.into(), since: now, asked: now });
        self.propose(sequence);
    }

    pub(super) fn new_sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence - 1
    }

    pub(super) fn origin(&self, sequence: u64) -> Origin {
        Origin { node: self.id, incarnation: self.incarnation, sequence }
    }

    /// Passes a waiting proposal on to whoever leads.
    fn propose(&mut self, sequence: u64) {
        let Some(leader) = self.leader else { return };
        let now = self.turn.now();
        let answered_below = self.proposals.keys().next().copied().unwrap_or(sequence);
        let origin = self.origin(sequence);
        let Some(waiting) = self.proposals.get_mut(&sequence) else { return };
        waiting.asked = now;
        let proposal = Proposal { origin, answered_below, request: waiting.request.clone() };
        if leader == self.id {
            self.accept(proposal);
        } else {
            self.turn.send(leader, Message::Propose(proposal));
        }
    }

    /// The leader appends it. Who is not the leader (any more) drops it: it will be asked for again.
    pub(super) fn accept(&mut self, proposal: Proposal) {
        if matches!(self.role, Role::Leader(_)) && !self.is_full() {
            self.append(Entry { term: self.hard.term, proposal: Some(proposal) });
        }
    }

    fn is_full(&self) -> bool {
        self.log.last().index.saturating_sub(self.commit) >= UNDECIDED
    }

    /// An entry was applied: if it was proposed here, in this life, its client is answered.
    pub(super) fn answer_proposal(&mut self, origin: Origin, answer: Response) {
        if origin.node == self.id
            && origin.incarnation == self.incarnation
            && let Some(waiting) = self.proposals.remove(&origin.sequence)
        {
            self.turn.reply(waiting.ticket, answer);
        }
    }

    /// Entries were replaced by a state: what they answered stands in its sessions.
    pub(super) fn answer_from_sessions(&mut self) {
        for sequence in self.proposals.keys().copied().collect::<Vec<_>>() {
            let origin = self.origin(sequence);
            if let Some(answer) = self.store.sessions.recorded(origin).cloned() {
                self.answer_proposal(origin, answer);
            }
        }
    }

    /// Another node leads: what the old leader was asked may be lost.
    pub(super) fn ask_new_leader(&mut self) {
        for sequence in self.proposals.keys().copied().collect::<Vec<_>>() {
            self.propose(sequence);
        }
        for sequence in self.reads.keys().copied().collect::<Vec<_>>() {
            self.ask_read_index(sequence);
        }
    }

    /// What was passed on a while ago may be lost on the way.
    pub(super) fn ask_again(&mut self) {
        let (now, leads) = (self.turn.now(), self.leader == Some(self.id));
        let is_due = |asked: Duration| now >= asked + RETRY;
        // What this node appended as the leader it still is stands in its log.
        let proposals = self.proposals.iter().filter(|(_, waiting)| is_due(waiting.asked) && !leads);
        for sequence in proposals.map(|(sequence, _)| *sequence).collect::<Vec<_>>() {
            self.propose(sequence);
        }
        let reads = self
            .reads
            .iter()
            .filter(|(_, waiting)| is_due(waiting.asked) && !leads && waiting.index.is_none());
        for sequence in reads.map(|(sequence, _)| *sequence).collect::<Vec<_>>() {
            self.ask_read_index(sequence);
        }
    }

    pub(super) fn give_up_old(&mut self) {
        let now = self.turn.now();
        let unknown = || Response::Unknown { reason: "no majority answered in time".into() };
        let is_old = |since: Duration| now >= since + PATIENCE;
        while let Some(entry) = self.proposals.first_entry()
            && is_old(entry.get().since)
        {
            let ticket = entry.remove().ticket;
            self.turn.reply(ticket, unknown());
        }
        while let Some(entry) = self.reads.first_entry()
            && is_old(entry.get().since)
        {
            let ticket = entry.remove().ticket;
            self.turn.reply(ticket, unknown());
        }
    }
}
