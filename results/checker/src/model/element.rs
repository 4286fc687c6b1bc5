//! One element of a set: whether it is there. Sets that are only ever asked for one element at a time can be judged
//! element by element, since no answer says anything of two.

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// An element that is added, removed and asked for. Calls on other elements must be kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Element;

impl Model for Element {
    /// Whether it is in the set.
    type State = bool;

    fn name(&self) -> &'static str {
        "element"
    }

    fn noun(&self) -> &'static str {
        "element"
    }

    fn initial(&self) -> bool {
        false
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        match call {
            Call::Add { .. } | Call::Remove { .. } => {
                matches!(ret, None | Some(Ret::Done | Ret::Value(Value::Bool(_))))
            }
            Call::Contains { .. } => matches!(ret, None | Some(Ret::Value(Value::Bool(_)))),
            _ => false,
        }
    }

    fn step(&self, there: &bool, call: &Call, ret: Option<&Ret>) -> Option<bool> {
        let (needs, gives) = said(call, ret);
        needs.is_none_or(|needs| needs == *there).then(|| gives.unwrap_or(*there))
    }

    fn show(&self, there: &bool) -> String {
        if *there { "there" } else { "missing" }.into()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<bool> {
        let (needs, gives) = said(call, ret);
        Effect {
            needs: needs.map_or(Needs::Nothing, Needs::State),
            gives: gives.map_or(Gives::Same, Gives::State),
        }
    }
}

/// What the call asks for, and what it leaves if it leaves anything else.
fn said(call: &Call, ret: Option<&Ret>) -> (Option<bool>, Option<bool>) {
    let answer = match ret {
        Some(Ret::Value(Value::Bool(answer))) => Some(*answer),
        _ => None,
    };
    match (call, answer) {
        // Answered false, they found it as it was to be.
        (Call::Add { .. }, Some(false)) => (Some(true), None),
        (Call::Add { .. }, answer) => (answer.map(|_| false), Some(true)),
        (Call::Remove { .. }, Some(false)) => (Some(false), None),
        (Call::Remove { .. }, answer) => (answer, Some(false)),
        (_, answer) => (answer, None),
    }
}
