//! What an object should do when asked one thing at a time: the sequential rule that linearizability is judged against.
//!
//! A model is a value: its parameters (an initial value, say) are its fields. Only `step` decides what is right. The
//! other methods tell the search what it may skip; each has a default that is always sound, so a model without them is
//! judged rightly, only more slowly.

mod cas_register;
mod collection;
mod counter;
mod element;
mod fenced_lock;
mod log;
mod multi_register;
mod mutex;
mod register;
mod set;
mod string;

use std::hash::Hash;

use schism_history::{Call, Ret, Value};

pub use cas_register::CasRegister;
pub use collection::Collection;
pub use counter::Counter;
pub use element::Element;
pub use fenced_lock::{Fence, FencedLock};
pub use log::Log;
pub use multi_register::MultiRegister;
pub use mutex::Mutex;
pub use register::Register;
pub use set::Set;
pub use string::TextRegister;

/// A sequential specification.
pub trait Model: Send + Sync {
    /// What the object is at one moment. Equal states must behave alike for ever.
    type State: Clone + Eq + Hash + Send + Sync;

    /// Its name, as in `schism list checkers`: `cas-register`.
    fn name(&self) -> &'static str;

    /// What people call the object in a sentence: `register`, `set`.
    fn noun(&self) -> &'static str {
        "object"
    }

    /// What the object is before anything happened.
    fn initial(&self) -> Self::State;

    /// Whether this call, with what was answered to it, is one this model has a rule for. A history with any other is
    /// not judged, since refusing it would be our own mistake.
    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool;

    /// The state after the call took effect in `state`, or `None` if it cannot have had this answer there. `ret` is
    /// `None` when the answer is not known: then only the effect counts, and a call that would change nothing in
    /// `state` may be refused, since nobody needs it there.
    fn step(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Option<Self::State>;

    /// Whether `step` says it all: the state before, the call and its answer leave only one state that can be after.
    fn deterministic(&self) -> bool {
        true
    }

    /// Every state the call may have led to, where that is not only one: what an unordered queue holds after someone took
    /// anything out of it. Must hold what `step` returns, and nothing if that returns nothing. Only asked if the model is
    /// not [deterministic](Model::deterministic).
    fn outcomes(&self, state: &Self::State, call: &Call, ret: Option<&Ret>) -> Vec<Self::State> {
        self.step(state, call, ret).into_iter().collect()
    }

    /// Whether the object is everything that is stored: calls on different keys are then judged together.
    fn spans_keys(&self) -> bool {
        false
    }

    /// A state, for people.
    fn show(&self, state: &Self::State) -> String;

    /// What can be said of an operation whatever the state. Must agree with `step` in every state.
    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Self::State> {
        let _ = (call, ret);
        Effect { needs: Needs::Unknown, gives: Gives::Unknown }
    }

    /// Whether an operation whose effect is [`Gives::Unknown`] might leave `state` behind. Saying yes too often is
    /// sound, saying no wrongly is not.
    fn could_give(&self, call: &Call, ret: Option<&Ret>, state: &Self::State) -> bool {
        let _ = (call, ret, state);
        true
    }

    /// Whether a call nobody knows the fate of can be left out, because no operation in `required` could tell. It must
    /// hold that every legal order of `required` and any calls in `optional`, each any number of times, stays legal when
    /// this call is taken out of it. `optional` has this call, too.
    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], optional: &[&Call]) -> bool {
        let _ = (call, required, optional);
        false
    }

    /// What a register of this kind holds at first; `None` if this is no register. A model that says so promises that a
    /// read, a write and a cas do what [`CasRegister`] says, where it understands them: registers are judged in linear
    /// time where they can be, and what goes wrong with them has names.
    fn as_register(&self) -> Option<Value> {
        None
    }

    /// About how many bytes a state takes, for the memory budget.
    fn bytes(&self, state: &Self::State) -> usize {
        let _ = state;
        size_of::<Self::State>()
    }
}

/// What can be said of an operation whatever the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect<S> {
    /// What it asks of the state.
    pub needs: Needs<S>,
    /// What it leaves behind.
    pub gives: Gives<S>,
}

/// What an operation asks of the state it meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs<S> {
    /// Not said.
    Unknown,
    /// Nothing: every state accepts it.
    Nothing,
    /// Exactly this state: every other refuses it.
    State(S),
}

/// What an operation leaves behind where it is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gives<S> {
    /// Not said.
    Unknown,
    /// The state it met, whichever it was: it only observes. A write of the value that happens to be there does not:
    /// in another state it changes something.
    Same,
    /// This state, whichever it met.
    State(S),
}
