//! What nodes say to one another and what they write to disk.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::keys::Keys;
use crate::protocol::{NodeId, Request, Response};

/// A place in the log with the epoch of the entry there. Orders as "knows more" does: what a later epoch's leader wrote
/// counts for more than any length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// In which epoch its leader wrote it.
    pub epoch: u64,
    /// Counted from 1; 0 is before all.
    pub index: u64,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// In which epoch its leader wrote it.
    pub epoch: u64,
    /// What to do. `None`: a new leader's first entry.
    pub request: Option<Request>,
}

/// To whom a node has promised itself: it takes nothing of earlier epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The epoch.
    pub epoch: u64,
    /// For whom it voted in it.
    pub vote: Option<NodeId>,
}

/// A record on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// One more entry of the log.
    Entry(Entry),
    /// A later promise.
    Promise(Promise),
    /// The node started once more.
    Life(u64),
}

/// A node's whole state: on disk a snapshot; on its way to a follower what takes the place of its log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Copy {
    /// The state that the log's forgotten beginning adds up to.
    pub(super) keys: Keys,
    /// The last forgotten entry.
    pub base: Position,
    /// All entries since.
    pub entries: Vec<Entry>,
    /// How many entries are known to be decided.
    pub decided: u64,
    /// Of the node that wrote it; not looked at by others.
    pub promise: Promise,
    /// Of the node that wrote it; not looked at by others.
    pub life: u64,
}

/// What a node's clock showed, in which of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Which life.
    pub life: u64,
    /// Its monotonic clock.
    pub at: Duration,
}

/// A client's request on its way to the leader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forward {
    /// Only the leader of this epoch may take it.
    pub epoch: u64,
    /// Counted by the sender, never twice the same: a doubled message is taken once.
    pub number: u64,
    /// What the client asks.
    pub request: Request,
}

/// What nodes say to one another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// Vote for me in this epoch; my log ends here.
    Vote {
        /// The epoch.
        epoch: u64,
        /// The end of the candidate's log.
        last: Position,
    },
    /// You have my vote.
    Voted {
        /// In this epoch.
        epoch: u64,
    },
    /// I have promised myself to this epoch, which is later than yours.
    Fenced {
        /// The epoch.
        epoch: u64,
    },
    /// The leader's entries after `previous`, or none: then it is a sign of life.
    Ship {
        /// The leader's epoch.
        epoch: u64,
        /// The leader's clock when it sent this; comes back in [`Message::Shipped`].
        at: Duration,
        /// What the follower's clock showed in its last answer, if the leader holds its lease: whatever was decided by
        /// then is in this message or before it.
        fresh: Option<Stamp>,
        /// What stands before the entries.
        previous: Position,
        /// The entries.
        entries: Vec<Entry>,
        /// How many entries are decided.
        decided: u64,
    },
    /// The leader's whole state.
    Replace {
        /// The leader's epoch.
        epoch: u64,
        /// As in [`Message::Ship`].
        at: Duration,
        /// The state.
        copy: Copy,
    },
    /// What was shipped is on disk, if it fits.
    Shipped {
        /// The leader's epoch.
        epoch: u64,
        /// The leader's clock when it sent what this answers.
        at: Duration,
        /// The follower's clock now.
        clock: Stamp,
        /// If it fits: the follower's log equals the leader's up to here. Else: the follower's log ends here.
        last: u64,
        /// Whether `previous` stood where it should.
        fits: Fits,
    },
    /// A client's request.
    Forward(Forward),
    /// Its response.
    Forwarded {
        /// The leader's.
        epoch: u64,
        /// What was decided by then: who is told that a write was done does not read what was there before.
        decided: u64,
        /// The request's number.
        number: u64,
        /// The response.
        response: Response,
    },
}

/// How what a leader shipped fits a follower's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fits {
    /// It does.
    Yes,
    /// Something is missing in between.
    Gap,
    /// The follower holds something else: it needs a copy.
    No,
}
