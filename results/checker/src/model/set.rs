//! A set that elements are added to and removed from, asked for one element or read whole. For small histories: large ones
//! that only grow have a judge of their own, which needs no search.

use std::collections::BTreeSet;
use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// A set with add, remove, contains and whole reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set;

/// What a whole read returned; nil is the empty set.
fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Nil => Some(&[]),
        list => list.elements(),
    }
}

/// The elements a read returned. A store that returns one twice breaks the rule: there is no such set.
fn elements(value: &Value) -> Option<BTreeSet<Value>> {
    let items = items(value)?;
    let set: BTreeSet<Value> = items.iter().cloned().collect();
    (set.len() == items.len()).then_some(set)
}

/// What an operation on one element says of it: whether it was in the set just before.
fn was_in(call: &Call, ret: Option<&Ret>) -> Option<bool> {
    match (call, ret) {
        (Call::Add { .. }, Some(Ret::Value(Value::Bool(missing)))) => Some(!missing),
        (Call::Remove { .. } | Call::Contains { .. }, Some(Ret::Value(Value::Bool(there)))) => Some(*there),
        _ => None,
    }
}

fn element(call: &Call) -> Option<&Value> {
    match call {
        Call::Add { value, .. } | Call::Remove { value, .. } | Call::Contains { value, .. } => Some(value),
        _ => None,
    }
}

impl Model for Set {
    type State = Arc<BTreeSet<Value>>;

    fn name(&self) -> &'static str {
        "set"
    }

    fn noun(&self) -> &'static str {
        "set"
    }

    fn initial(&self) -> Self::State {
        Arc::default()
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => items(seen).is_some(),
            (Call::Read { .. } | Call::Contains { .. }, None) => true,
            (Call::Contains { .. }, Some(ret)) => matches!(ret, Ret::Value(Value::Bool(_))),
            (Call::Add { .. } | Call::Remove { .. }, ret) => {
                matches!(ret, None | Some(Ret::Done | Ret::Value(Value::Bool(_))))
            }
            _ => false,
        }
    }

    fn step(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Option<Self::State> {
        if let (Some(value), Some(was_in)) = (element(call), was_in(call, ret))
            && state.contains(value) != was_in
        {
            return None;
        }
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => {
                let same =
                    items(seen)?.len() == state.len() && elements(seen).is_some_and(|seen| seen == **state);
                same.then(|| state.clone())
            }
            (Call::Add { value, .. }, _) if !state.contains(value) => {
                let mut grown = (**state).clone();
                grown.insert(value.clone());
                Some(Arc::new(grown))
            }
            (Call::Remove { value, .. }, _) if state.contains(value) => {
                let mut shrunk = (**state).clone();
                shrunk.remove(value);
                Some(Arc::new(shrunk))
            }
            (Call::Add { .. } | Call::Remove { .. } | Call::Contains { .. }, _) => Some(state.clone()),
            (Call::Read { .. }, None) => Some(state.clone()),
            _ => None,
        }
    }

    fn show(&self, state: &Self::State) -> String {
        Value::list(state.iter().cloned()).to_string()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Self::State> {
        let needs = match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => {
                elements(seen).map_or(Needs::Unknown, |seen| Needs::State(Arc::new(seen)))
            }
            _ if was_in(call, ret).is_some() => Needs::Unknown,
            _ => Needs::Nothing,
        };
        let gives = match (call, was_in(call, ret)) {
            (Call::Read { .. } | Call::Contains { .. }, _) => Gives::Same,
            // It was in already, or it was not in anyhow.
            (Call::Add { .. }, Some(true)) | (Call::Remove { .. }, Some(false)) => Gives::Same,
            _ => Gives::Unknown,
        };
        Effect { needs, gives }
    }

    fn could_give(&self, call: &Call, _: Option<&Ret>, state: &Self::State) -> bool {
        match call {
            Call::Add { value, .. } => state.contains(value),
            Call::Remove { value, .. } => !state.contains(value),
            _ => true,
        }
    }

    /// An added element that nobody found in the set can be left out, and so can the removal of one that nobody missed.
    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], _: &[&Call]) -> bool {
        let (value, found) = match call {
            Call::Add { value, .. } => (value, true),
            Call::Remove { value, .. } => (value, false),
            _ => return false,
        };
        !required.iter().any(|(other, ret)| match (other, ret) {
            (Call::Read { .. }, Ret::Value(seen)) => {
                items(seen).is_none_or(|items| items.contains(value) == found)
            }
            _ => element(other) == Some(value) && was_in(other, Some(ret)) == Some(found),
        })
    }

    fn bytes(&self, state: &Self::State) -> usize {
        64 + state.len() * 2 * size_of::<Value>()
    }
}
