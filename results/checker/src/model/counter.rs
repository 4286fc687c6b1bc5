//! A counter: starts at zero, is added to and read; nil is zero. An increment answered by a value says what the counter held just before
//! it: fetch-and-add, a ticket. An add of a number is an increment: Jepsen calls it so.

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

/// By how much it changes the counter, if it does.
fn change(call: &Call) -> Option<i64> {
    match call {
        Call::Increment { by, .. } | Call::Add { value: Value::Int(by), .. } => Some(*by),
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
            _ => change(call).is_some() && matches!(ret, None | Some(Ret::Done | Ret::Value(Value::Int(_)))),
        }
    }

    fn step(&self, state: &i64, call: &Call, ret: Option<&Ret>) -> Option<i64> {
        if matches!(ret, Some(Ret::Value(_))) && seen(ret) != Some(*state) {
            return None;
        }
        match call {
            Call::Read { .. } => Some(*state),
            // A counter that runs over wraps around, here as in the stores.
            _ => change(call).map(|by| state.wrapping_add(by)),
        }
    }

    fn show(&self, state: &i64) -> String {
        state.to_string()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<i64> {
        let seen = seen(ret);
        let needs = seen.map_or(Needs::Nothing, Needs::State);
        match (change(call), seen) {
            (None | Some(0), _) => Effect { needs, gives: Gives::Same },
            (Some(by), Some(seen)) => Effect { needs, gives: Gives::State(seen.wrapping_add(by)) },
            _ => Effect { needs, gives: Gives::Unknown },
        }
    }
}
