//! Linearizability by its definition: try every order, with every choice of the operations of unknown fate.
//!
//! No memo, no pruning, no shortcut, so that it is plainly right; only for histories of a few operations.

use schism_checker::judges::{Columns, NEVER};

/// One operation: its kind, its number, and whether it is known to have happened.
pub type What = (u32, u32, bool);

/// Whether some order of the operations respects time and the object: `step` says what the state is after an operation,
/// or `None` where it cannot have happened.
pub fn linearizable<S: Clone>(columns: &Columns, initial: S, step: impl Fn(&S, What) -> Option<S>) -> bool {
    let all: Vec<u32> = (0..columns.len() as u32).collect();
    place(columns, &initial, &all, &step)
}

fn place<S: Clone>(
    columns: &Columns,
    state: &S,
    left: &[u32],
    step: &impl Fn(&S, What) -> Option<S>,
) -> bool {
    if left.iter().all(|operation| columns.complete(*operation) == NEVER) {
        return true;
    }
    (0..left.len()).any(|next| {
        let operation = left[next];
        if left.iter().any(|other| columns.complete(*other) < columns.invoke(operation)) {
            return false;
        }
        let mut rest = left.to_vec();
        rest.remove(next);
        let known = columns.complete(operation) != NEVER;
        step(state, (columns.kind(operation), columns.number(operation), known))
            .is_some_and(|after| place(columns, &after, &rest, step))
    })
}
