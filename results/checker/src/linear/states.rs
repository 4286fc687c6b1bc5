//! States by number, and what each class of operation does in each: the model is asked once a pair.

use rustc_hash::FxHashMap;

use crate::model::Model;

/// A state, by number.
pub(super) type StateId = u32;

/// Stands for no state: the operation is refused.
pub(super) const REFUSED: StateId = StateId::MAX;

/// The states met so far.
pub(super) struct States<S> {
    states: Vec<S>,
    ids: FxHashMap<S, StateId>,
}

impl<S: Clone + Eq + std::hash::Hash> States<S> {
    pub(super) fn new() -> Self {
        States { states: Vec::new(), ids: FxHashMap::default() }
    }

    pub(super) fn id(&mut self, state: S) -> StateId {
        if let Some(id) = self.ids.get(&state) {
            return *id;
        }
        let id = StateId::try_from(self.states.len())
            .expect("fewer states than configurations, which are bounded");
        self.ids.insert(state.clone(), id);
        self.states.push(state);
        id
    }

    pub(super) fn get(&self, id: StateId) -> &S {
        &self.states[id as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// About the bytes they take from number `from` on.
    pub(super) fn bytes<M: Model<State = S>>(&self, model: &M, from: usize) -> usize {
        // Twice for list and map, and the map's own overhead.
        self.states[from..].iter().map(|state| 2 * model.bytes(state) + 24).sum()
    }
}
