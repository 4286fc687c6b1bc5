//! Values with stamps, for the families where writes meet without an order: of two, the one with the later stamp counts,
//! everywhere and for ever, so it does not matter in which order a node hears of them.

use schism_history::Value;
use serde::{Deserialize, Serialize};

use crate::protocol::NodeId;

/// When a value was written, as far as the store goes by it: the later one counts. No two writes have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Greater than any the writer was told of; or its time of day in microseconds.
    pub counter: u64,
    /// The writer.
    pub node: NodeId,
    /// Counted by the writer over all its lives.
    pub number: u64,
}

/// A value with its stamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// When it was written.
    pub stamp: Stamp,
    /// What was written; [`Value::Nil`]: the key was deleted, and this is its tombstone.
    pub value: Value,
}

impl Version {
    /// Whether it stands for a deleted key.
    pub fn is_tombstone(&self) -> bool {
        self.value == Value::Nil
    }
}
