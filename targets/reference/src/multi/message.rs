//! What nodes say to one another and what they write to disk.

use serde::{Deserialize, Serialize};

use super::object::Object;

/// A record on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The node started once more.
    Life(u64),
    /// This is to be joined to what is under the key.
    Join {
        /// The key.
        key: String,
        /// The change.
        delta: Object,
    },
    /// Nothing is under the key any more, not even the memory of what was.
    Forget {
        /// The key.
        key: String,
    },
}

/// All that is on a node's disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contents {
    /// Counts the node's lives.
    pub life: u64,
    /// What is under each key.
    pub objects: Vec<(String, Object)>,
}

/// What nodes say to one another. Each may be lost, doubled or late.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// This was changed here.
    Ship {
        /// Comes back with the answer.
        number: u64,
        /// The changes, by key.
        deltas: Vec<(String, Object)>,
    },
    /// It is on disk.
    Shipped {
        /// Of what is answered.
        number: u64,
    },
    /// The hashes of all that the sender holds, a branch each.
    Branches {
        /// By branch.
        hashes: Vec<u64>,
    },
    /// What the sender holds under branches that differ.
    Leaves {
        /// What it holds, by key.
        objects: Vec<(String, Object)>,
        /// In these branches the receiver shall answer with what it holds; none in the answer.
        branches: Vec<usize>,
    },
}
