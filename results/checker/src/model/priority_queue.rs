//! A priority queue: taking returns the largest element, and nil only if there is none. Elements are their own priority. For any values,
//! also equal ones.

use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::bag::with;
use super::{Effect, Model, queue};

/// A priority queue with enqueue and dequeue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriorityQueue;

impl Model for PriorityQueue {
    /// The elements in order of size.
    type State = Arc<[Value]>;

    fn name(&self) -> &'static str {
        "priority-queue"
    }

    fn noun(&self) -> &'static str {
        "priority queue"
    }

    fn initial(&self) -> Self::State {
        Arc::default()
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        queue::takes_and_puts(call, ret)
    }

    fn step(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Option<Self::State> {
        match (call, ret) {
            (Call::Enqueue { value, .. }, _) => Some(with(state, value)),
            (Call::Dequeue { .. }, Some(Ret::Value(Value::Nil))) => state.is_empty().then(|| state.clone()),
            (Call::Dequeue { .. }, Some(Ret::Value(taken))) => {
                let (last, rest) = state.split_last()?;
                (last == taken).then(|| rest.into())
            }
            (Call::Dequeue { .. }, None) => state.split_last().map(|(_, rest)| rest.into()),
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
        !matches!(call, Call::Enqueue { .. }) || !state.is_empty()
    }

    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], optional: &[&Call]) -> bool {
        queue::never_taken(call, required, optional)
    }

    fn bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + 16 + state.iter().map(super::register::value_bytes).sum::<usize>()
    }
}
