//! What is promised without real time: PRAM, causal consistency, causal convergence and sequential consistency, for
//! registers whose values are written once. The whole history is judged together: of these, none holds of a history
//! because it holds of each of its objects.
//!
//! It finds every history that breaks the model it is judged by, with the published name of what is wrong. It needs to
//! know who wrote what was seen: a key to which a value was written twice is left out, with a doubt. A cas that happened
//! is one operation that saw a value and wrote another; a failed one is no evidence here. A write of unknown fate counts
//! if somebody saw it. A session is a process.
//!
//! Linearizability implies sequential consistency; that implies causal convergence, which implies causal consistency; and
//! it implies PRAM. Neither of the causal models implies PRAM nor the other way about (Perrin, Mostéfaoui, Jard: Causal
//! consistency: beyond memory, PPoPP 2016).

mod causal;
mod checker;
mod clocks;
mod columns;
mod index;
mod pram;
mod reasons;
mod sequential;
mod smallest;

pub use checker::Weak;
pub use columns::Columns;

use self::columns::NONE;
use self::index::{Index, THIN_AIR};

/// What sessions are promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// Each session sees the writes of every other one in the order in which they were made.
    Pram,
    /// Each session sees an operation only with everything that comes before it: CC.
    Causal,
    /// The same, and all agree on the order of concurrent writes: CCv, causal+.
    Convergent,
    /// All operations have one order that keeps every session's own.
    Sequential,
}

impl Model {
    /// All of them; those that imply others come after these.
    pub const ALL: [Model; 4] = [Model::Pram, Model::Causal, Model::Convergent, Model::Sequential];

    /// Its name, as in `schism check --model`.
    pub fn word(self) -> &'static str {
        match self {
            Model::Pram => "pram",
            Model::Causal => "causal",
            Model::Convergent => "causal-convergent",
            Model::Sequential => "sequential",
        }
    }

    /// Its name, as in a table.
    pub fn name(self) -> &'static str {
        match self {
            Model::Pram => "PRAM",
            Model::Causal => "causal consistency",
            Model::Convergent => "causal convergence",
            Model::Sequential => "sequential consistency",
        }
    }
}

/// What is wrong, by its published name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// A read saw what nobody wrote.
    ThinAirRead,
    /// Something comes before itself in causal order.
    CyclicCo,
    /// A read saw what was there at first, though a write to the key comes before it in causal order.
    WriteCoInitRead,
    /// A read saw what had been overwritten in causal order.
    WriteCoRead,
    /// Reads settle the order of concurrent writes in a circle.
    CyclicCf,
    /// A read saw what was there at first, though its session must have seen a write to the key.
    WriteHbInitRead,
    /// No order of the writes explains what one session saw.
    CyclicHb,
    /// No order of all operations explains what the sessions saw.
    NotSequential,
}

impl Pattern {
    /// Its name, as in an anomaly.
    pub fn name(self) -> &'static str {
        match self {
            Pattern::ThinAirRead => "thin-air read",
            Pattern::CyclicCo => "cyclic causal order",
            Pattern::WriteCoInitRead => "causally overwritten initial value",
            Pattern::WriteCoRead => "causally overwritten value",
            Pattern::CyclicCf => "cyclic conflict order",
            Pattern::WriteHbInitRead => "overwritten initial value",
            Pattern::CyclicHb => "cyclic happened-before",
            Pattern::NotSequential => "not sequentially consistent",
        }
    }

    /// The name it was published by, if that is another one.
    pub fn published(self) -> Option<&'static str> {
        match self {
            Pattern::CyclicCo => Some("CyclicCO"),
            Pattern::WriteCoInitRead => Some("WriteCOInitRead"),
            Pattern::WriteCoRead => Some("WriteCORead"),
            Pattern::CyclicCf => Some("CyclicCF"),
            Pattern::WriteHbInitRead => Some("WriteHBInitRead"),
            Pattern::CyclicHb => Some("CyclicHB"),
            Pattern::ThinAirRead | Pattern::NotSequential => None,
        }
    }
}

/// What was used up before there was an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The time.
    Time,
    /// The memory.
    Memory,
}

/// Whether a model is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Kept,
    /// It is not.
    Broken(Pattern),
    /// Nobody knows.
    GaveUp(Spent),
}

/// Judges columns by a model, with so many bytes beyond the columns themselves, until the time is `over`.
pub fn judge(columns: &Columns, model: Model, bytes: usize, over: &dyn Fn() -> bool) -> Answer {
    // Numbers of operations and of groups, and what stands for each value.
    let lookup = columns.len() * 24;
    let Some(bytes) = bytes.checked_sub(lookup) else { return Answer::GaveUp(Spent::Memory) };
    let index = Index::of(columns);
    if index.saw.contains(&THIN_AIR) {
        return Answer::Broken(Pattern::ThinAirRead);
    }
    debug_assert!(columns.wrote.iter().zip(&columns.saw).all(|(wrote, saw)| *wrote == NONE || wrote != saw));
    match model {
        Model::Pram => pram::judge(&index, bytes, over),
        Model::Causal | Model::Convergent => causal::judge(&index, model, bytes, over),
        Model::Sequential => sequential::judge(&index, bytes, over),
    }
}
