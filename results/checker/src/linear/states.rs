//! States by number, and what each class of operation does in each: the model is asked once a pair.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::model::Model;

/// A state, by number.
pub(super) type StateId = u32;

/// Stands for no state: the operation is refused.
pub(super) const REFUSED: StateId = StateId::MAX;

/// So few states are found by looking at each: faster than a hash of them.
const FEW: usize = 16;

/// The states met so far.
#[derive(Clone)]
pub(super) struct States<S> {
    states: Vec<S>,
    /// Of more than a [`FEW`].
    ids: FxHashMap<S, StateId>,
}

impl<S: Clone + Eq + Hash> States<S> {
    pub(super) fn new() -> Self {
        States { states: Vec::with_capacity(FEW), ids: FxHashMap::default() }
    }

    pub(super) fn id(&mut self, state: S) -> StateId {
        if self.states.len() <= FEW {
            if let Some(id) = self.states.iter().position(|known| *known == state) {
                return id as StateId;
            }
        } else if let Some(id) = self.ids.get(&state) {
            return *id;
        }
        let id = StateId::try_from(self.states.len())
            .expect("fewer states than configurations, which are bounded");
        self.states.push(state);
        let unlisted = match self.states.len() {
            ..=FEW => &[][..],
            count if count == FEW + 1 => &self.states[..],
            _ => &self.states[id as usize..],
        };
        let from = self.states.len() - unlisted.len();
        self.ids.extend(unlisted.iter().cloned().zip(from as StateId..));
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

#[cfg(test)]
mod tests {
    use super::States;

    #[test]
    fn few_or_many_keep_their_numbers() {
        let mut states = States::new();
        for _ in 0..2 {
            for state in 0..100 {
                assert_eq!(states.id(state * 3), state);
            }
        }
        assert_eq!((states.len(), states.get(50)), (100, &150));
    }
}
