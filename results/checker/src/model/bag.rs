//! An unordered queue: taking returns any element that is in it, and nil only if there is none. For any values,
//! also equal ones.

use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::{Effect, Model, queue};

/// An unordered queue with enqueue and dequeue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bag;

impl Model for Bag {
    /// The elements in order of size.
    type State = Arc<[Value]>;

    fn name(&self) -> &'static str {
        "unordered-queue"
    }

    fn noun(&self) -> &'static str {
        "queue"
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
                let at = state.binary_search(taken).ok()?;
                Some(without(state, at))
            }
            (Call::Dequeue { .. }, None) => (!state.is_empty()).then(|| without(state, 0)),
            _ => None,
        }
    }

    fn deterministic(&self) -> bool {
        false
    }

    /// A dequeue nobody knows the answer of may have taken any element.
    fn outcomes(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Vec<Self::State> {
        if ret.is_some() || !matches!(call, Call::Dequeue { .. }) {
            return self.step(state, call, ret).into_iter().collect();
        }
        let first = |at: &usize| *at == 0 || state[*at] != state[at - 1];
        (0..state.len()).filter(first).map(|at| without(state, at)).collect()
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

/// With one more element, in order.
pub(super) fn with(state: &[Value], value: &Value) -> Arc<[Value]> {
    let at = state.partition_point(|other| other < value);
    state[..at].iter().chain([value]).chain(&state[at..]).cloned().collect()
}

fn without(state: &[Value], at: usize) -> Arc<[Value]> {
    state[..at].iter().chain(&state[at + 1..]).cloned().collect()
}
