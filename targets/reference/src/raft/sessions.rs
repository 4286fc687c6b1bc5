//! Exactly once: what has been answered is remembered, so that a retried proposal is answered again and not applied again
//! (thesis §6.3). The table is part of the replicated state: every node remembers and forgets the same at the same entry.
//!
//! Two kinds of sessions. A node's own, for what it passes on to the leader and may have to pass on again: its proposals
//! say below which number nobody waits any more, and a node's new life ends its old one's session. And a client's, if it
//! gives one: one call at a time with rising numbers, so the last answer is all there is to remember; when there are
//! more than [`CLIENTS`], the one unused for the longest (in log entries, not in time) is forgotten.
//!
//! What it cannot do: a client's retry that comes after [`CLIENTS`] other sessions were used is taken for a new call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message::{Index, Origin, Proposal};
use crate::protocol::{NodeId, Response};

/// How many clients' sessions are remembered.
const CLIENTS: usize = 1_024;

/// What has been answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    nodes: BTreeMap<NodeId, OfNode>,
    clients: BTreeMap<String, OfClient>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct OfNode {
    incarnation: u64,
    answered_below: u64,
    answers: BTreeMap<u64, Response>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OfClient {
    number: u64,
    answer: Response,
    used: Index,
}

impl Sessions {
    /// The answer to a proposal that was applied before or must not be applied any more; `None` if it is new.
    pub(super) fn node_answer(&self, origin: Origin) -> Option<Response> {
        let session = self.nodes.get(&origin.node)?;
        let over = || Response::Unknown { reason: "this proposal's session is over".into() };
        if origin.incarnation < session.incarnation {
            return Some(over());
        }
        if origin.incarnation > session.incarnation {
            return None;
        }
        let answered_before = origin.sequence < session.answered_below;
        session.answers.get(&origin.sequence).cloned().or_else(|| answered_before.then(over))
    }

    /// The answer to a client's call that was applied before, whoever proposed it then; `None` if it is new.
    pub(super) fn client_answer(&self, proposal: &Proposal) -> Option<Response> {
        let (name, number) = proposal.request.session.as_ref()?;
        let session = self.clients.get(name)?;
        match number.cmp(&session.number) {
            std::cmp::Ordering::Less => {
                Some(Response::Unknown { reason: "a later call of this session was answered already".into() })
            }
            std::cmp::Ordering::Equal => Some(session.answer.clone()),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// What a node would be told had it asked for this one again: how a node that got a snapshot in place of entries
    /// finds the answers it owes.
    pub(super) fn recorded(&self, origin: Origin) -> Option<&Response> {
        let session =
            self.nodes.get(&origin.node).filter(|session| session.incarnation == origin.incarnation)?;
        session.answers.get(&origin.sequence)
    }

    /// Remembers the answer to a client's call that was applied at an index.
    pub(super) fn record_for_client(&mut self, index: Index, proposal: &Proposal, answer: &Response) {
        let Some((name, number)) = &proposal.request.session else { return };
        let session = OfClient { number: *number, answer: answer.clone(), used: index };
        self.clients.insert(name.clone(), session);
        if self.clients.len() > CLIENTS {
            let oldest =
                self.clients.iter().min_by_key(|(_, session)| session.used).map(|(name, _)| name.clone());
            self.clients.remove(&oldest.unwrap_or_default());
        }
    }

    /// Remembers the answer to a proposal, and forgets those nobody waits for.
    pub(super) fn record_for_node(&mut self, proposal: &Proposal, answer: &Response) {
        let Origin { node, incarnation, sequence } = proposal.origin;
        let session = self.nodes.entry(node).or_default();
        if incarnation < session.incarnation {
            return;
        }
        if incarnation > session.incarnation {
            *session = OfNode { incarnation, ..OfNode::default() };
        }
        session.answered_below = session.answered_below.max(proposal.answered_below);
        session.answers = session.answers.split_off(&session.answered_below);
        if sequence >= session.answered_below {
            session.answers.insert(sequence, answer.clone());
        }
    }
}
