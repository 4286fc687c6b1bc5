//! A counter: starts at zero, is added to and read; nil is zero. An increment answered by a value says what the counter held just before
//! it: fetch-and-add, a ticket.

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// A counter with increment and read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter;

/// What the counter held, where that was answered.
fn seen(ret: Option<&Ret>) -> Option<i64> {
    match ret {
        Some(Ret::Value(Value::Nil)) => Some(0),
        Some(Ret::Value(Value::Int(seen))) => Some(*seen),
        _ => None,
    }
}

impl Model for Counter {
    type State = i64;

    fn name(&self) -> &'static str {
        "counter"
    }

    fn noun(&self) -> &'static str {
        "counter"
    }

    fn initial(&self) -> i64 {
        0
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        match call {
            Call::Read { .. } => matches!(ret, None | Some(Ret::Value(Value::Nil | Value::Int(_)))),
            Call::Increment { .. } => matches!(ret, None | Some(Ret::Done | Ret::Value(Value::Int(_)))),
            _ => false,
        }
    }

    fn step(&self, state: &i64, call: &Call, ret: Option<&Ret>) -> Option<i64> {
        if matches!(ret, Some(Ret::Value(_))) && seen(ret) != Some(*state) {
            return None;
        }
        match call {
            Call::Read { .. } => Some(*state),
            // A counter that runs over wraps around, here as in the stores.
            Call::Increment { by, .. } => Some(state.wrapping_add(*by)),
            _ => None,
        }
    }

    fn show(&self, state: &i64) -> String {
        state.to_string()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<i64> {
        let seen = seen(ret);
        let needs = seen.map_or(Needs::Nothing, Needs::State);
        match (call, seen) {
            (Call::Read { .. } | Call::Increment { by: 0, .. }, _) => Effect { needs, gives: Gives::Same },
            (Call::Increment { by, .. }, Some(seen)) => {
                Effect { needs, gives: Gives::State(seen.wrapping_add(*by)) }
            }
            _ => Effect { needs, gives: Gives::Unknown },
        }
    }
}
