//! The replicated state machine: keys with what is under them, and the sessions. The same proposals in the same order
//! give the same store everywhere.

use schism_history::Value;
use serde::{Deserialize, Serialize};

use super::bugs::Bugs;
use super::message::{Index, Proposal};
use super::sessions::Sessions;
use crate::keys::Keys;
use crate::protocol::Response;

/// Keys and sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    keys: Keys,
    pub(super) sessions: Sessions,
}

impl Store {
    /// What is under a key.
    pub(super) fn read(&self, key: &str) -> Value {
        self.keys.read(key)
    }

    /// Applies the proposal that stands at an index, once: a repeated one is answered as it was the first time.
    pub(super) fn apply(&mut self, index: Index, proposal: &Proposal, bugs: &Bugs) -> Response {
        if !bugs.retry_applied_twice {
            if let Some(answer) = self.sessions.node_answer(proposal.origin) {
                return answer;
            }
            if let Some(answer) = self.sessions.client_answer(proposal) {
                self.sessions.record_for_node(proposal, &answer);
                return answer;
            }
        }
        let answer = self.keys.perform(&proposal.request.key, &proposal.request.operation);
        self.sessions.record_for_node(proposal, &answer);
        self.sessions.record_for_client(index, proposal, &answer);
        answer
    }
}
