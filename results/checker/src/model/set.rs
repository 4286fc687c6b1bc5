//! A set that only grows and is read whole. For small histories: large ones have a judge of their own, which needs no
//! search.

use std::collections::BTreeSet;
use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// A set with add and whole reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrowSet;

/// The elements a read returned. A store that returns one twice breaks the rule: there is no such set.
fn elements(value: &Value) -> Option<BTreeSet<Value>> {
    let items = value.elements()?;
    let set: BTreeSet<Value> = items.iter().cloned().collect();
    (set.len() == items.len()).then_some(set)
}

impl Model for GrowSet {
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
            (Call::Read { .. }, Some(Ret::Value(seen))) => seen.elements().is_some(),
            (Call::Read { .. }, None) => true,
            (Call::Add { .. }, _) => true,
            _ => false,
        }
    }

    fn step(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Option<Self::State> {
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => {
                let items = seen.elements()?;
                let same = items.len() == state.len() && elements(seen).is_some_and(|seen| seen == **state);
                same.then(|| state.clone())
            }
            (Call::Read { .. }, None) => Some(state.clone()),
            (Call::Add { value, .. }, _) => {
                let mut grown = (**state).clone();
                Some(if grown.insert(value.clone()) { Arc::new(grown) } else { state.clone() })
            }
            _ => None,
        }
    }

    fn show(&self, state: &Self::State) -> String {
        Value::list(state.iter().cloned()).to_string()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Self::State> {
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => Effect {
                needs: elements(seen).map_or(Needs::Unknown, |seen| Needs::State(Arc::new(seen))),
                gives: Gives::Same,
            },
            (Call::Read { .. }, None) => Effect { needs: Needs::Nothing, gives: Gives::Same },
            (Call::Add { .. }, _) => Effect { needs: Needs::Nothing, gives: Gives::Unknown },
            _ => Effect { needs: Needs::Unknown, gives: Gives::Unknown },
        }
    }

    fn could_give(&self, call: &Call, _: Option<&Ret>, state: &Self::State) -> bool {
        match call {
            Call::Add { value, .. } => state.contains(value),
            _ => true,
        }
    }

    /// An element that no read has can be left out: it was added after the last of them, or never.
    fn idle(&self, call: &Call, required: &[(&Call, &Ret)]) -> bool {
        let Call::Add { value, .. } = call else { return false };
        !required.iter().any(|(_, ret)| match ret {
            Ret::Value(seen) => seen.elements().is_none_or(|items| items.contains(value)),
            Ret::Done => false,
        })
    }

    fn bytes(&self, state: &Self::State) -> usize {
        64 + state.len() * 2 * size_of::<Value>()
    }
}
