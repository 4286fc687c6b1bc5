//! Anything that elements are put into and taken out of, one at a time: queues, bags, priority queues, stacks. They differ
//! in nothing but which element is given next. Taking where there is none answers nil. For any values, also equal ones;
//! where all are different there are judges that need no search.

use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// A collection, by the element that it gives next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Enqueue and dequeue: the one that was put in first.
    Queue,
    /// Enqueue and dequeue: any.
    Bag,
    /// Enqueue and dequeue: the smallest. Elements are their own priority.
    PriorityQueue,
    /// Push and pop: the one that was put in last.
    Stack,
}

use Collection::{Bag, PriorityQueue, Queue, Stack};

impl Collection {
    /// What is put in, if that is what the call does.
    fn put(self, call: &Call) -> Option<&Value> {
        match (self, call) {
            (Queue | Bag | PriorityQueue, Call::Enqueue { value, .. }) => Some(value),
            (Stack, Call::Push { value, .. }) => Some(value),
            _ => None,
        }
    }

    /// Whether the call takes something out.
    fn takes(self, call: &Call) -> bool {
        match self {
            Queue | Bag | PriorityQueue => matches!(call, Call::Dequeue { .. }),
            Stack => matches!(call, Call::Pop { .. }),
        }
    }

    fn with(self, state: &[Value], value: &Value) -> Arc<[Value]> {
        let at = match self {
            Queue | Stack => state.len(),
            Bag | PriorityQueue => state.partition_point(|other| other < value),
        };
        state[..at].iter().chain([value]).chain(&state[at..]).cloned().collect()
    }

    /// Where the element stands that is given next; for a bag, one of them.
    fn next(self, state: &[Value]) -> Option<usize> {
        match self {
            Queue | PriorityQueue | Bag => (!state.is_empty()).then_some(0),
            Stack => state.len().checked_sub(1),
        }
    }
}

fn without(state: &[Value], at: usize) -> Arc<[Value]> {
    state[..at].iter().chain(&state[at + 1..]).cloned().collect()
}

impl Model for Collection {
    /// What is inside: in the order in which it was put in, or, of bags and priority queues, of size.
    type State = Arc<[Value]>;

    fn name(&self) -> &'static str {
        match self {
            Queue => "queue",
            Bag => "bag",
            PriorityQueue => "priority-queue",
            Stack => "stack",
        }
    }

    fn noun(&self) -> &'static str {
        match self {
            PriorityQueue => "priority queue",
            other => other.name(),
        }
    }

    fn initial(&self) -> Self::State {
        Arc::default()
    }

    /// Nil is no element: it says there was none.
    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        match self.put(call) {
            Some(value) => *value != Value::Nil,
            None => self.takes(call) && ret != Some(&Ret::Done),
        }
    }

    fn step(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Option<Self::State> {
        if let Some(value) = self.put(call) {
            return Some(self.with(state, value));
        }
        if !self.takes(call) {
            return None;
        }
        let at = match ret {
            Some(Ret::Done) => return None,
            Some(Ret::Value(Value::Nil)) => return state.is_empty().then(|| state.clone()),
            Some(Ret::Value(taken)) if *self == Bag => state.binary_search(taken).ok()?,
            Some(Ret::Value(taken)) => self.next(state).filter(|at| state[*at] == *taken)?,
            None => self.next(state)?,
        };
        Some(without(state, at))
    }

    fn deterministic(&self) -> bool {
        *self != Bag
    }

    /// From a bag, a take that nobody knows the answer of may have taken any element.
    fn outcomes(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Vec<Self::State> {
        if *self != Bag || ret.is_some() || !self.takes(call) {
            return self.step(state, call, ret).into_iter().collect();
        }
        let first = |at: &usize| *at == 0 || state[*at] != state[at - 1];
        (0..state.len()).filter(first).map(|at| without(state, at)).collect()
    }

    fn show(&self, state: &Self::State) -> String {
        Value::List(state.clone()).to_string()
    }

    /// Finding nothing is to observe that it is empty.
    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Self::State> {
        if self.put(call).is_some() {
            return Effect { needs: Needs::Nothing, gives: Gives::Unknown };
        }
        match ret {
            Some(Ret::Value(Value::Nil)) => {
                Effect { needs: Needs::State(Arc::default()), gives: Gives::Same }
            }
            _ => Effect { needs: Needs::Unknown, gives: Gives::Unknown },
        }
    }

    fn could_give(&self, call: &Call, _: Option<&Ret>, state: &Self::State) -> bool {
        self.put(call).is_none() || !state.is_empty()
    }

    /// An element that nobody took, and that no call of unknown fate could have taken, can be left out: whatever was taken
    /// after it was put in was taken around it.
    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], optional: &[&Call]) -> bool {
        self.put(call).is_some_and(|value| {
            !optional.iter().any(|other| self.takes(other))
                && !required.iter().any(|(_, ret)| matches!(ret, Ret::Value(taken) if taken == value))
        })
    }

    fn bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + 16 + state.iter().map(super::register::value_bytes).sum::<usize>()
    }
}
