//! Operations of one object as columns, legal because of how they were made, at any size and concurrency.
//!
//! Clients call back to back, and at each moment one drawn by lot takes its next step: it begins a call, the call takes
//! effect, it ends. What the call is and what it answers is decided when it takes effect, by the object. A call whose fate
//! nobody knows takes effect like any other, much later, or never.

use crate::judges::Columns;

/// How a history is laid out in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How many operations.
    pub operations: usize,
    /// How many clients call at the same time.
    pub clients: usize,
    /// How many of a thousand calls nobody knows the fate of.
    pub info: u64,
}

/// What a client is at.
#[derive(Clone, Copy)]
enum At {
    Idle,
    Called(usize),
    Done(usize),
}

/// One operation while it is made.
struct Made {
    what: Option<(u32, u32)>,
    invoke: u32,
    complete: Option<u32>,
    unknown: bool,
}

/// Operations on an object. `next` yields 64 random bits a call. `object` is asked, in the order of effects, what the
/// next operation is, and answers with its kind and number; it is told whether it takes effect and whether its answer
/// arrives. O(n).
pub fn columns(
    layout: &Layout,
    next: &mut impl FnMut() -> u64,
    mut object: impl FnMut(Effect, &mut dyn FnMut() -> u64) -> (u32, u32),
) -> Columns {
    let mut made: Vec<Made> = Vec::with_capacity(layout.operations);
    let mut at = vec![At::Idle; layout.clients];
    let mut lost: Vec<usize> = Vec::new();
    let (mut position, mut open) = (0, 0);
    while made.len() < layout.operations || open > 0 {
        let random = next();
        let client = (((random >> 32) * layout.clients as u64) >> 32) as usize;
        at[client] = match at[client] {
            At::Idle if made.len() == layout.operations => continue,
            At::Idle => {
                let unknown = random % 1_000 < layout.info;
                made.push(Made { what: None, invoke: position, complete: None, unknown });
                position += 1;
                if unknown {
                    lost.push(made.len() - 1);
                    At::Idle
                } else {
                    open += 1;
                    At::Called(made.len() - 1)
                }
            }
            At::Called(operation) => {
                made[operation].what = Some(object(Effect::Answered, next));
                At::Done(operation)
            }
            At::Done(operation) => {
                made[operation].complete = Some(position);
                position += 1;
                open -= 1;
                At::Idle
            }
        };
        // Half of those of unknown fate take effect, at any later time.
        if !lost.is_empty() && next().is_multiple_of(8 * layout.clients as u64) {
            let late = lost.swap_remove((next() % lost.len() as u64) as usize);
            let effect = if next().is_multiple_of(2) { Effect::Unanswered } else { Effect::Never };
            made[late].what = Some(object(effect, next));
        }
    }
    let mut columns = Columns::with_capacity(made.len());
    for operation in made {
        let (kind, number) = operation.what.unwrap_or_else(|| object(Effect::Never, next));
        debug_assert!(operation.unknown == operation.complete.is_none());
        columns.push(kind, number, operation.invoke, operation.complete);
    }
    columns
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It takes effect, and the client is told.
    Answered,
    /// It takes effect, and nobody is told.
    Unanswered,
    /// It does not take effect, and nobody is told.
    Never,
}
