//! A stack; popping an empty one answers nil. For any values, also equal ones; where all are
//! different there are judges that need no search.

use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::{Effect, Model, queue};

/// A stack with push and pop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stack;

impl Model for Stack {
    type State = Arc<[Value]>;

    fn name(&self) -> &'static str {
        "stack"
    }

    fn noun(&self) -> &'static str {
        "stack"
    }

    fn initial(&self) -> Self::State {
        Arc::default()
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        queue::takes_and_puts(call, ret)
    }

    fn step(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Option<Self::State> {
        match (call, ret) {
            (Call::Push { value, .. }, _) => Some(state.iter().chain([value]).cloned().collect()),
            (Call::Pop { .. }, Some(Ret::Value(Value::Nil))) => state.is_empty().then(|| state.clone()),
            (Call::Pop { .. }, Some(Ret::Value(taken))) => {
                let (last, rest) = state.split_last()?;
                (last == taken).then(|| rest.into())
            }
            (Call::Pop { .. }, None) => state.split_last().map(|(_, rest)| rest.into()),
            _ => None,
        }
    }

    fn show(&self, state: &Self::State) -> String {
        Value::List(state.clone()).to_string()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Self::State> {
        queue::effect_of_taking(call, ret, Arc::default())
    }

    fn could_give(&self, call: &Call, _: Option<&Ret>, state: &Self::State) -> bool {
        !matches!(call, Call::Push { .. }) || !state.is_empty()
    }

    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], optional: &[&Call]) -> bool {
        queue::never_taken(call, required, optional)
    }

    fn bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + 16 + state.iter().map(super::register::value_bytes).sum::<usize>()
    }
}
