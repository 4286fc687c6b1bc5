//! What nodes say to one another and what they write to disk.

use serde::{Deserialize, Serialize};

use crate::protocol::NodeId;
use crate::version::{Stamp, Version};

/// A record on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The node started once more.
    Life(u64),
    /// This is under the key now.
    Put {
        /// The key.
        key: String,
        /// What is there.
        version: Version,
    },
    /// Nothing is under the key any more, not even a tombstone.
    Forget {
        /// The key.
        key: String,
    },
    /// This is meant for somebody else.
    Hint {
        /// For whom.
        home: NodeId,
        /// The key.
        key: String,
        /// What shall be there.
        version: Version,
    },
    /// Who it was meant for has it.
    HandedOver {
        /// Who.
        home: NodeId,
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
    pub versions: Vec<(String, Version)>,
    /// What is meant for others.
    pub hints: Vec<(NodeId, String, Version)>,
}

/// What nodes say to one another. Each may be lost, doubled or late.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// A sign of life.
    Alive,
    /// What is under this key?
    Ask {
        /// Comes back with the answer.
        number: u64,
        /// The key.
        key: String,
    },
    /// That is under it.
    Told {
        /// Of the question.
        number: u64,
        /// What is there, if anything.
        version: Option<Version>,
    },
    /// Put this there, unless something later is.
    Put {
        /// Comes back with the answer.
        number: u64,
        /// The key.
        key: String,
        /// What to put.
        version: Version,
    },
    /// It, or something later, is on disk.
    Stored {
        /// Of what is answered.
        number: u64,
    },
    /// A read has seen that you are behind.
    Repair {
        /// The key.
        key: String,
        /// What is there by now.
        version: Version,
    },
    /// Keep this for a home that is gone.
    KeepFor {
        /// Comes back with the answer.
        number: u64,
        /// For whom.
        home: NodeId,
        /// The key.
        key: String,
        /// What shall be there.
        version: Version,
    },
    /// This was kept for you.
    HandOver {
        /// The key.
        key: String,
        /// What shall be there.
        version: Version,
    },
    /// It is here.
    TakenOver {
        /// The key.
        key: String,
        /// Of what was taken over.
        stamp: Stamp,
    },
    /// The hashes of all that the two of us are homes of, a branch each.
    Branches {
        /// By branch.
        hashes: Vec<u64>,
    },
    /// What the sender holds under branches that differ.
    Leaves {
        /// What it holds.
        versions: Vec<(String, Version)>,
        /// In these branches the receiver shall answer with what it holds; none in the answer.
        branches: Vec<usize>,
    },
}
