//! A register that can also be set on condition: `cas(from → to)` takes effect if and only if it holds `from`.
//!
//! A cas that was refused is a failed call and says nothing here: clients do not record what they met instead.

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs, Register};

/// A register with compare-and-set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CasRegister {
    /// What it holds before the first write.
    pub initial: Value,
}

impl CasRegister {
    fn plain(&self) -> Register {
        Register { initial: self.initial.clone() }
    }
}

impl Model for CasRegister {
    type State = Value;

    fn name(&self) -> &'static str {
        "cas-register"
    }

    fn noun(&self) -> &'static str {
        "register"
    }

    fn initial(&self) -> Value {
        self.initial.clone()
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        matches!(call, Call::Cas { .. }) || self.plain().understands(call, ret)
    }

    fn step(&self, state: &Value, call: &Call, ret: Option<&Ret>) -> Option<Value> {
        match call {
            Call::Cas { from, to, .. } => (from == state).then(|| to.clone()),
            _ => self.plain().step(state, call, ret),
        }
    }

    fn show(&self, state: &Value) -> String {
        state.to_string()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Value> {
        match call {
            Call::Cas { from, to, .. } => Effect {
                needs: Needs::State(from.clone()),
                gives: if from == to { Gives::Same } else { Gives::State(to.clone()) },
            },
            _ => self.plain().effect(call, ret),
        }
    }

    fn as_register(&self) -> Option<Value> {
        Some(self.initial.clone())
    }

    fn bytes(&self, state: &Value) -> usize {
        super::register::value_bytes(state)
    }
}
