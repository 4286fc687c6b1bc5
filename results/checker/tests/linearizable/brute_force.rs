//! Linearizability by its definition: try every order, with every choice of the optional operations.
//!
//! No memo, no pruning, no shortcut, so that it is plainly right; only for histories of a few operations.

use schism_checker::model::Model;
use schism_history::{Call, History, Operation, Outcome, Ret};

/// Whether some order of the operations respects time and the model. A failed operation did not happen; one whose fate
/// nobody knows happened once, at any time after its invocation, or never.
pub fn linearizable<M: Model>(model: &M, history: &History) -> bool {
    let operations: Vec<&Operation> =
        history.rows().iter().filter(|operation| !matches!(operation.outcome, Outcome::Fail(_))).collect();
    place(model, &model.initial(), &operations)
}

/// Whether the operations `left` can be put in line from `state` on.
fn place<M: Model>(model: &M, state: &M::State, left: &[&Operation]) -> bool {
    if left.iter().all(|operation| !operation.outcome.is_ok()) {
        return true;
    }
    (0..left.len()).any(|next| {
        if left.iter().any(|other| other.outcome.is_ok() && other.precedes(left[next])) {
            return false;
        }
        let mut rest = left.to_vec();
        let operation = rest.remove(next);
        let (call, ret): (&Call, Option<&Ret>) = match &operation.outcome {
            Outcome::Ok(ret) => (&operation.call, Some(ret)),
            _ => (&operation.call, None),
        };
        model.outcomes(state, call, ret).iter().any(|after| place(model, after, &rest))
    })
}
