//! What nodes say to one another and what they write to disk.

use serde::{Deserialize, Serialize};

use super::placement::{Item, Layout};
use crate::raft;
use crate::version::Version;

/// Who holds what, agreed by all: one epoch after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Counted from 1. Nothing of one epoch is taken in another.
    pub epoch: u64,
    /// Who holds what in it.
    pub layout: Layout,
    /// Who held what before: where keys come from.
    pub previous: Layout,
    /// All members have what is theirs. Only then may the next epoch begin.
    pub is_settled: bool,
    /// Who left to come back later, if `churn-ms` asks for that.
    pub resting: Option<crate::protocol::NodeId>,
}

/// A record on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The node started once more.
    Life(u64),
    /// This is under the name now.
    Put {
        /// The name.
        item: Item,
        /// What is there.
        version: Version,
    },
    /// The node lives in this configuration, and answers in no earlier one any more.
    Adopted(Configuration),
    /// The node has all that is its own in this epoch.
    Complete(u64),
    /// Of the log in which configurations are agreed on.
    Agreement(raft::Record),
    /// It takes the place of that log's earlier records.
    AgreementSnapshot(raft::Snapshot),
}

/// All that is on a node's disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contents {
    /// Counts the node's lives.
    pub life: u64,
    /// What is under each name.
    pub items: Vec<(Item, Version)>,
    /// Where the node lives.
    pub configuration: Configuration,
    /// The last epoch in which it had all that was its own.
    pub complete: u64,
    /// The latest snapshot of the log in which configurations are agreed on.
    pub agreement_snapshot: Option<raft::Snapshot>,
    /// The records of that log since.
    pub agreement: Vec<raft::Record>,
}

/// What nodes say to one another. Each may be lost, doubled or late.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// A sign of life.
    Alive {
        /// Where the sender lives.
        epoch: u64,
        /// Whether it has all that is its own there.
        is_complete: bool,
        /// How many names it holds.
        holds: u64,
        /// Of the range of its own that holds most: how much, and where its middle is.
        largest: Option<(u64, Item)>,
    },
    /// What is under this key, from one name to another?
    Ask {
        /// Comes back with the answer.
        number: u64,
        /// In this epoch.
        epoch: u64,
        /// Which part of the scan; comes back too.
        part: usize,
        /// From here.
        from: Item,
        /// Up to here, without it; `None`: to the end of the key.
        to: Option<Item>,
    },
    /// That is under it.
    Told {
        /// Of the question.
        number: u64,
        /// In this epoch.
        epoch: u64,
        /// Of the question.
        part: usize,
        /// What is there.
        items: Vec<(Item, Version)>,
    },
    /// Put this there, unless something later is.
    Put {
        /// Comes back with the answer.
        number: u64,
        /// In this epoch.
        epoch: u64,
        /// Where.
        item: Item,
        /// What.
        version: Version,
    },
    /// It, or something later, is on disk.
    Stored {
        /// Of what is answered.
        number: u64,
        /// In this epoch.
        epoch: u64,
        /// Where.
        item: Item,
    },
    /// What of yours in this epoch did you hold in the one before that is mine now?
    Pull {
        /// The epoch.
        epoch: u64,
    },
    /// That.
    Moved {
        /// The epoch.
        epoch: u64,
        /// All of it.
        items: Vec<(Item, Version)>,
    },
    /// About the next configuration.
    Agreement(raft::Message),
}
