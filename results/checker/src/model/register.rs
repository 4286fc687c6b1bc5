//! A register: a read returns what was written last.

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// A read/write register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// What it holds before the first write.
    pub initial: Value,
}

impl Model for Register {
    type State = Value;

    fn name(&self) -> &'static str {
        "register"
    }

    fn noun(&self) -> &'static str {
        "register"
    }

    fn initial(&self) -> Value {
        self.initial.clone()
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        match call {
            Call::Read { .. } => !matches!(ret, Some(Ret::Done)),
            Call::Write { .. } => true,
            _ => false,
        }
    }

    fn step(&self, state: &Value, call: &Call, ret: Option<&Ret>) -> Option<Value> {
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => (seen == state).then(|| state.clone()),
            (Call::Read { .. }, None) => Some(state.clone()),
            (Call::Write { value, .. }, _) => Some(value.clone()),
            _ => None,
        }
    }

    fn show(&self, state: &Value) -> String {
        state.to_string()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Value> {
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => {
                Effect { needs: Needs::State(seen.clone()), gives: Gives::Same }
            }
            (Call::Read { .. }, None) => Effect { needs: Needs::Nothing, gives: Gives::Same },
            (Call::Write { value, .. }, _) => {
                Effect { needs: Needs::Nothing, gives: Gives::State(value.clone()) }
            }
            _ => Effect { needs: Needs::Unknown, gives: Gives::Unknown },
        }
    }

    fn as_register(&self) -> Option<Value> {
        Some(self.initial.clone())
    }

    fn bytes(&self, state: &Value) -> usize {
        value_bytes(state)
    }
}

/// About how many bytes a value takes.
pub(super) fn value_bytes(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Text(text) => text.len(),
            Value::List(items) => items.iter().map(value_bytes).sum(),
            _ => 0,
        }
}
