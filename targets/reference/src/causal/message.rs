//! What nodes say to one another and what they write to disk.

use schism_history::Value;
use serde::{Deserialize, Serialize};

use super::vector::Vector;
use crate::protocol::NodeId;

/// Which of two concurrent writes of a key counts: the one with the later stamp, everywhere and for ever. A write's stamp
/// is later than those of all writes shown at its node, and so of all that it depends on (Lamport, 1978).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// The node's Lamport clock.
    pub time: u64,
    /// Whose clock.
    pub node: NodeId,
}

/// A write, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Which of two writes counts; its node is the one that took the write from a client.
    pub stamp: Stamp,
    /// Counted by that node, from 1, without gaps.
    pub number: u64,
    /// The key.
    pub key: String,
    /// What was written.
    pub value: Value,
    /// What must be shown before it.
    pub dependencies: Vector,
}

impl Write {
    /// Its node, and its number there: no two writes have the same.
    pub fn name(&self) -> (NodeId, u64) {
        (self.stamp.node, self.number)
    }
}

/// All that is on a node's disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contents {
    /// What is shown of each node.
    pub shown: Vector,
    /// The write that counts, by key.
    pub keys: Vec<Write>,
    /// All writes that some node may lack.
    pub log: Vec<Write>,
}

/// What nodes say to one another. Each may be lost, doubled or late.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// Writes, of whomever.
    Writes(Vec<Write>),
    /// So much is shown here.
    Shown {
        /// Of each node.
        shown: Vector,
        /// Whether the receiver shall send what is missing.
        asks: bool,
    },
}
