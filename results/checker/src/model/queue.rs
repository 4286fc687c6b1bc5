//! A queue, first in first out; taking from an empty one answers nil. For any values, also equal ones; where all are
//! different there are judges that need no search.

use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// A queue with enqueue and dequeue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue;

impl Model for Queue {
    type State = Arc<[Value]>;

    fn name(&self) -> &'static str {
        "queue"
    }

    fn noun(&self) -> &'static str {
        "queue"
    }

    fn initial(&self) -> Self::State {
        Arc::default()
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        takes_and_puts(call, ret)
    }

    fn step(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Option<Self::State> {
        match (call, ret) {
            (Call::Enqueue { value, .. }, _) => Some(state.iter().chain([value]).cloned().collect()),
            (Call::Dequeue { .. }, Some(Ret::Value(Value::Nil))) => state.is_empty().then(|| state.clone()),
            (Call::Dequeue { .. }, Some(Ret::Value(taken))) => {
                let (first, rest) = state.split_first()?;
                (first == taken).then(|| rest.into())
            }
            (Call::Dequeue { .. }, None) => state.split_first().map(|(_, rest)| rest.into()),
            _ => None,
        }
    }

    fn show(&self, state: &Self::State) -> String {
        Value::List(state.clone()).to_string()
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Self::State> {
        effect_of_taking(call, ret, Arc::default())
    }

    fn could_give(&self, call: &Call, _: Option<&Ret>, state: &Self::State) -> bool {
        !matches!(call, Call::Enqueue { .. }) || !state.is_empty()
    }

    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], optional: &[&Call]) -> bool {
        never_taken(call, required, optional)
    }

    fn bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + 16 + state.iter().map(super::register::value_bytes).sum::<usize>()
    }
}

/// The calls and answers of anything that elements are put into and taken out of. Nil is no element: it says there was
/// none.
pub(super) fn takes_and_puts(call: &Call, ret: Option<&Ret>) -> bool {
    match call {
        Call::Enqueue { value, .. } | Call::Push { value, .. } => *value != Value::Nil,
        Call::Dequeue { .. } | Call::Pop { .. } => !matches!(ret, Some(Ret::Done)),
        _ => false,
    }
}

/// Finding nothing is to observe that it is empty.
pub(super) fn effect_of_taking<S>(call: &Call, ret: Option<&Ret>, empty: S) -> Effect<S> {
    match (call, ret) {
        (Call::Dequeue { .. } | Call::Pop { .. }, Some(Ret::Value(Value::Nil))) => {
            Effect { needs: Needs::State(empty), gives: Gives::Same }
        }
        (Call::Enqueue { .. } | Call::Push { .. }, _) => {
            Effect { needs: Needs::Nothing, gives: Gives::Unknown }
        }
        _ => Effect { needs: Needs::Unknown, gives: Gives::Unknown },
    }
}

/// An element that nobody took, and that no call of unknown fate could have taken, can be left out: whatever was taken
/// after it was put in was taken around it.
pub(super) fn never_taken(call: &Call, required: &[(&Call, &Ret)], optional: &[&Call]) -> bool {
    let (Call::Enqueue { value, .. } | Call::Push { value, .. }) = call else { return false };
    !optional.iter().any(|other| matches!(other, Call::Dequeue { .. } | Call::Pop { .. }))
        && !required.iter().any(|(_, ret)| matches!(ret, Ret::Value(taken) if taken == value))
}
