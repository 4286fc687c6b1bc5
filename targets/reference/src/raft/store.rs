//! The replicated state machine: keys with what is under them, and the sessions. The same proposals in the same order
//! give the same store everywhere.

use std::collections::{BTreeMap, BTreeSet};

use schism_history::Value;
use serde::{Deserialize, Serialize};

use super::bugs::Bugs;
use super::message::{Index, Proposal};
use super::sessions::Sessions;
use crate::protocol::{Operation, Response};

/// Keys and sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    keys: BTreeMap<String, Stored>,
    pub(super) sessions: Sessions,
}

/// What is under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stored {
    Register(Value),
    Set(BTreeSet<Value>),
}

impl Store {
    /// What is under a key: [`Value::Nil`] if nothing was ever put there; a set in its elements' order.
    pub(super) fn read(&self, key: &str) -> Value {
        match self.keys.get(key) {
            None => Value::Nil,
            Some(Stored::Register(value)) => value.clone(),
            Some(Stored::Set(elements)) => Value::list(elements.iter().cloned()),
        }
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
        let answer = self.perform(&proposal.request.key, &proposal.request.operation);
        self.sessions.record_for_node(proposal, &answer);
        self.sessions.record_for_client(index, proposal, &answer);
        answer
    }

    fn perform(&mut self, key: &str, operation: &Operation) -> Response {
        match operation {
            Operation::Read => return Response::Value(self.read(key)),
            Operation::Write(value) => {
                self.keys.insert(key.into(), Stored::Register(value.clone()));
            }
            Operation::Cas { from, to } => {
                let found = self.read(key);
                if found != *from {
                    return Response::Mismatch { found };
                }
                self.keys.insert(key.into(), Stored::Register(to.clone()));
            }
            Operation::Add(element) => return self.add(key, element),
        }
        Response::Done
    }

    /// A list becomes the set of its elements; anything else under the key is no set, and stays.
    fn add(&mut self, key: &str, element: &Value) -> Response {
        let stored = self.keys.entry(key.into()).or_insert_with(|| Stored::Set(BTreeSet::new()));
        if let Stored::Register(value) = stored {
            match value.elements() {
                Some(elements) => *stored = Stored::Set(elements.iter().cloned().collect()),
                None => return Response::Mismatch { found: value.clone() },
            }
        }
        if let Stored::Set(elements) = stored {
            elements.insert(element.clone());
        }
        Response::Done
    }
}
