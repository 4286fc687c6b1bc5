//! The smallest part of a history that a judge still finds invalid, as a history of its own.
//!
//! Any judge will do: it is asked about every candidate. So that the part proves something about the whole, only that is left
//! out without which every legal history stays legal, for any judge of the model:
//! * **whole keys**: objects are judged for themselves, and orders that cross them only lose constraints;
//! * **whole values** ([`Wholes::Values`]): all operations of a key that ask for a value, leave it, took it or saw it, and with
//!   a value what was made from it by cas. Lists that were read lose the element;
//! * **whole processes** of locks ([`Wholes::Processes`]): all of a client's critical sections at once;
//! * **single observers**: reads, questions, failed calls, takes that found nothing.
//!
//! A lone write whose value is read elsewhere is never left out: without it a legal read would look made up.
//! [`left_out_too_much`] looks for just that in a finished part, by other means than those that made it.
//!
//! The judge is asked about as often as the logarithm of the number of keys, values and observers for each one that stays.

mod parts;
mod proof;

use rustc_hash::FxHashSet;
use schism_history::History;

pub use self::proof::left_out_too_much;

use self::parts::Parts;
use crate::explain::in_chunks;

/// What of an object can only be left out as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wholes {
    /// All that is said of a value: registers, sets, queues, stacks, identifiers.
    Values,
    /// All that a process did: locks that their holder gives back.
    Processes,
    /// The whole object: counters, strings, semaphores. Only observers go one by one.
    Keys,
}

/// A part of a history.
#[derive(Debug)]
pub struct Shrunk {
    /// The part.
    pub history: History,
    /// Where each of its operations stands in the whole.
    pub kept: Vec<usize>,
    /// How many keys were left out with all their operations.
    pub keys: usize,
    /// How many values (or processes) of the keys that stay were left out with all their operations.
    pub wholes: usize,
    /// How many operations were left out alone.
    pub single: usize,
}

/// Leaves out of an invalid history whatever it can. `bad` says whether a part is still invalid; it may say no when its time
/// is up: what was found by then stands. `witness` are operations that show what is wrong, if some are known: all else is
/// tried to be left out first.
pub fn shrink(
    history: &History,
    wholes: Wholes,
    witness: &[usize],
    mut bad: impl FnMut(&History) -> bool,
) -> Shrunk {
    let parts = Parts::of(history, wholes);
    let mut out = Out::default();
    let mut without = |more: Out, out: &mut Out| {
        let taken = bad(&parts.without(&more).0);
        if taken {
            *out = more;
        }
        taken
    };
    if !witness.is_empty() {
        without(parts.all_but(witness), &mut out);
    }
    let keys = parts.keys(&out);
    in_chunks(&keys, |chunk| {
        let mut more = out.clone();
        more.keys.extend(chunk.iter().map(|key| *key as u32));
        without(more, &mut out)
    });
    let units = parts.units(&out);
    in_chunks(&units, |chunk| {
        let mut more = out.clone();
        more.units.extend(chunk.iter().map(|unit| *unit as u32));
        parts.close(&mut more);
        without(more, &mut out)
    });
    let observers = parts.observers(&out);
    in_chunks(&observers, |chunk| {
        let mut more = out.clone();
        more.operations.extend(chunk.iter().copied());
        without(more, &mut out)
    });
    let (part, kept) = parts.without(&out);
    Shrunk {
        keys: out.keys.len(),
        wholes: parts.units_of_kept_keys(&out),
        single: parts.single(&out),
        history: part,
        kept,
    }
}

/// What is left out.
#[derive(Clone, Debug, Default)]
struct Out {
    keys: FxHashSet<u32>,
    /// Values or processes, each of one key.
    units: FxHashSet<u32>,
    operations: FxHashSet<usize>,
}
