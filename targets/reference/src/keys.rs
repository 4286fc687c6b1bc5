//! Keys with what is under them: the state that the families with a log replicate. The same operations in the same order
//! give the same keys everywhere.

use std::collections::{BTreeMap, BTreeSet};

use schism_history::Value;
use serde::{Deserialize, Serialize};

use crate::protocol::{Operation, Response};

/// What is under each key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Keys(BTreeMap<String, Stored>);

/// What is under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stored {
    Register(Value),
    Set(BTreeSet<Value>),
}

impl Keys {
    /// What is under a key: [`Value::Nil`] if nothing was ever put there; a set in its elements' order.
    pub(crate) fn read(&self, key: &str) -> Value {
        match self.0.get(key) {
            None => Value::Nil,
            Some(Stored::Register(value)) => value.clone(),
            Some(Stored::Set(elements)) => Value::list(elements.iter().cloned()),
        }
    }

    /// Does an operation, and says what came of it.
    pub(crate) fn perform(&mut self, key: &str, operation: &Operation) -> Response {
        match operation {
            Operation::Read => return Response::Value(self.read(key)),
            Operation::Write(value) => {
                self.0.insert(key.into(), Stored::Register(value.clone()));
            }
            Operation::Cas { from, to } => {
                let found = self.read(key);
                if found != *from {
                    return Response::Mismatch { found };
                }
                self.0.insert(key.into(), Stored::Register(to.clone()));
            }
            Operation::Add(element) => return self.in_set(key, |set| set.insert(element.clone())),
            Operation::Remove(element) => return self.in_set(key, |set| set.remove(element)),
            Operation::Increment(by) => return self.increment(key, *by),
            Operation::Append(element) => return self.append(key, element),
            Operation::Replace { .. } => {
                let reason = "there are no siblings here, and no contexts".into();
                return Response::Refused { reason, leader: None };
            }
        }
        Response::Done
    }

    /// What is no number stays.
    fn increment(&mut self, key: &str, by: i64) -> Response {
        let number = match self.read(key) {
            Value::Nil => Some(by),
            Value::Int(number) => number.checked_add(by),
            _ => None,
        };
        let Some(number) = number else { return Response::Mismatch { found: self.read(key) } };
        self.0.insert(key.into(), Stored::Register(number.into()));
        Response::Done
    }

    /// What is no list stays.
    fn append(&mut self, key: &str, element: &Value) -> Response {
        let found = self.read(key);
        let list = match found.elements() {
            Some(elements) => Value::list(elements.iter().cloned().chain([element.clone()])),
            None => return Response::Mismatch { found },
        };
        self.0.insert(key.into(), Stored::Register(list));
        Response::Done
    }

    /// A list becomes the set of its elements; anything else under the key is no set, and stays.
    fn in_set(&mut self, key: &str, change: impl FnOnce(&mut BTreeSet<Value>) -> bool) -> Response {
        let stored = self.0.entry(key.into()).or_insert_with(|| Stored::Set(BTreeSet::new()));
        if let Stored::Register(value) = stored {
            match value.elements() {
                Some(elements) => *stored = Stored::Set(elements.iter().cloned().collect()),
                None => return Response::Mismatch { found: value.clone() },
            }
        }
        if let Stored::Set(elements) = stored {
            change(elements);
        }
        Response::Done
    }
}
