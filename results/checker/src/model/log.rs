//! A log that is appended to and read whole; an append answered by a number says at which offset its element stands. For
//! small histories, with equal elements, too; where each is appended once there is a judge that needs no search.

use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// A log with append and whole reads. Nil is the empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log;

/// What a whole read saw.
fn seen(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Nil => Some(&[]),
        list => list.elements(),
    }
}

impl Model for Log {
    type State = Arc<[Value]>;

    fn name(&self) -> &'static str {
        "log"
    }

    fn noun(&self) -> &'static str {
        "log"
    }

    fn initial(&self) -> Self::State {
        Arc::default()
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        match (call, ret) {
            (Call::Append { .. }, ret) => {
                matches!(ret, None | Some(Ret::Done | Ret::Value(Value::Int(_))))
            }
            (Call::Read { .. }, Some(Ret::Value(value))) => seen(value).is_some(),
            (Call::Read { .. }, ret) => ret.is_none(),
            _ => false,
        }
    }

    fn step(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Option<Self::State> {
        match (call, ret) {
            (Call::Append { .. }, Some(Ret::Value(offset))) if *offset != Value::Int(state.len() as i64) => {
                None
            }
            (Call::Append { value, .. }, _) => Some(state.iter().chain([value]).cloned().collect()),
            (Call::Read { .. }, Some(Ret::Value(value))) => (seen(value)? == &**state).then(|| state.clone()),
            (Call::Read { .. }, None) => Some(state.clone()),
            _ => None,
        }
    }

    fn show(&self, state: &Self::State) -> String {
        Value::List(state.clone()).to_string()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Self::State> {
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(value))) => Effect {
                needs: seen(value).map_or(Needs::Unknown, |seen| Needs::State(seen.into())),
                gives: Gives::Same,
            },
            (Call::Append { .. }, Some(Ret::Value(_))) => {
                Effect { needs: Needs::Unknown, gives: Gives::Unknown }
            }
            _ => Effect { needs: Needs::Nothing, gives: Gives::Unknown },
        }
    }

    fn could_give(&self, call: &Call, ret: Option<&Ret>, state: &Self::State) -> bool {
        let Call::Append { value, .. } = call else { return true };
        let offset = match ret {
            Some(Ret::Value(offset)) => *offset == Value::Int(state.len() as i64 - 1),
            _ => true,
        };
        offset && state.last() == Some(value)
    }

    /// An element that no read saw was appended after all reads, where nobody is told at which offset; or never.
    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], _: &[&Call]) -> bool {
        let Call::Append { value, .. } = call else { return false };
        required.iter().all(|(other, ret)| match (other, ret) {
            (Call::Read { .. }, Ret::Value(value_seen)) => {
                seen(value_seen).is_some_and(|seen| !seen.contains(value))
            }
            (_, ret) => **ret == Ret::Done,
        })
    }

    fn bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + 16 + state.iter().map(super::register::value_bytes).sum::<usize>()
    }
}
