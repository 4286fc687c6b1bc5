//! What nodes say to one another and what they write to disk.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::log::Log;
use super::store::Store;
use crate::protocol::{NodeId, Operation, Request};

/// Elections are counted in terms; there is at most one leader a term.
pub type Term = u64;

/// A place in the log, counted from 1; 0 is before all.
pub type Index = u64;

/// A place in the log with the term of the entry there: equal positions mean equal logs up to there (§5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Of the entry. First, so that positions order as "more up to date" does (§5.4.1).
    pub term: Term,
    /// In the log.
    pub index: Index,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The leader's term when it was appended.
    pub term: Term,
    /// What to apply. `None`: a new leader's first entry, which changes nothing.
    pub proposal: Option<Proposal>,
}

/// Names a proposal or a read for ever: a node's lives are told apart by its incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The node a client asked.
    pub node: NodeId,
    /// Which of its lives.
    pub incarnation: u64,
    /// Counted within that life.
    pub sequence: u64,
}

/// A client's request on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Who waits for it.
    pub origin: Origin,
    /// Nobody waits for sequences below this one: what is remembered of them may be dropped, and a late copy of one is
    /// not to be applied.
    pub answered_below: u64,
    /// What is asked. Shared, since it stands in every node's memory and in many messages at once.
    pub request: Arc<Request>,
}

/// What nodes say to one another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// "Would you vote for me in this term?" Changes nothing at either side (thesis §9.6).
    PreVote {
        /// The term it would be.
        term: Term,
        /// The end of the asker's log.
        last: Position,
    },
    /// The answer to [`Message::PreVote`].
    PreVoteReply {
        /// The term asked for if granted, else the answerer's own.
        term: Term,
        /// Whether it would.
        granted: bool,
    },
    /// "Vote for me."
    Vote {
        /// The candidate's term.
        term: Term,
        /// The end of its log.
        last: Position,
    },
    /// The answer to [`Message::Vote`].
    VoteReply {
        /// The answerer's term.
        term: Term,
        /// Whether the vote is given.
        granted: bool,
    },
    /// The leader's entries after `previous`; a heartbeat without any.
    Append {
        /// The leader's term.
        term: Term,
        /// Where they go: right after this.
        previous: Position,
        /// The entries.
        entries: Vec<Entry>,
        /// How far the leader's log is decided.
        commit: Index,
        /// The leader's latest round, given back with the reply: it proves that the reply is younger.
        round: u64,
    },
    /// The leader's state at a position, for a follower that needs entries which are no longer there.
    Install {
        /// The leader's term.
        term: Term,
        /// The state.
        image: Image,
        /// As in [`Message::Append`].
        round: u64,
    },
    /// The answer to both.
    AppendReply {
        /// The answerer's term.
        term: Term,
        /// The round answered.
        round: u64,
        /// What became of it.
        result: AppendResult,
    },
    /// A follower passes on what a client asked of it. May come twice.
    Propose(Proposal),
    /// A follower asks how far it must have applied before it may answer a read. May come twice.
    ReadIndex(Origin),
    /// The answer to [`Message::ReadIndex`].
    ReadIndexReply {
        /// The read asked about.
        read: Origin,
        /// All writes that were answered before the question are at or below this.
        index: Index,
    },
}

/// What a follower says to entries or a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppendResult {
    /// Its log is the leader's up to here.
    Matches(Index),
    /// Its log has something else, or nothing, before these entries: start again from here.
    Differs {
        /// The first index that may differ: the first of the conflicting term, or one after the log's end.
        from: Index,
    },
}

/// What the state machine holds after applying a prefix of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The end of that prefix.
    pub last: Position,
    /// Keys and sessions.
    pub store: Store,
}

/// What must outlive a crash besides the log (§5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this node knows.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<NodeId>,
}

/// One record on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// A life begins.
    Incarnation(u64),
    /// Term and vote from now on.
    HardState(HardState),
    /// An entry; whatever stood at its index or after it is gone.
    Entry {
        /// Where.
        index: Index,
        /// What.
        entry: Entry,
    },
}

/// Everything on disk in one piece: the state machine, and the log around it, which reaches further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The state machine.
    pub image: Image,
    /// The log: a little before the image, for followers that lag a little, and all after it.
    pub log: Log,
    /// Term and vote.
    pub hard: HardState,
    /// The present life.
    pub incarnation: u64,
}

impl Entry {
    /// About how many bytes it takes in a message.
    pub(super) fn weight(&self) -> usize {
        self.proposal.as_ref().map_or(16, |proposal| 64 + proposal.request.weight())
    }
}

impl Request {
    fn weight(&self) -> usize {
        use schism_history::Value;
        fn of(value: &Value) -> usize {
            match value {
                Value::Nil | Value::Bool(_) | Value::Int(_) => 8,
                Value::Text(text) => text.len() + 2,
                Value::List(items) => items.iter().map(of).sum::<usize>() + 2,
            }
        }
        let operation = match &self.operation {
            Operation::Read => 0,
            Operation::Write(value)
            | Operation::Add(value)
            | Operation::Remove(value)
            | Operation::Append(value) => of(value),
            Operation::Increment(_) => 8,
            Operation::Replace { value, context } => of(value) + context.len(),
            Operation::Cas { from, to } => of(from) + of(to),
        };
        self.key.len() + operation + self.session.as_ref().map_or(0, |(name, _)| name.len())
    }
}

/// A proposal's text form; written out because the request is shared in memory and plain on the wire.
#[derive(Serialize, Deserialize)]
struct PlainProposal<R> {
    origin: Origin,
    answered_below: u64,
    request: R,
}

impl Serialize for Proposal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Proposal { origin, answered_below, request } = self;
        PlainProposal { origin: *origin, answered_below: *answered_below, request: &**request }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let plain = PlainProposal::<Request>::deserialize(deserializer)?;
        Ok(Proposal {
            origin: plain.origin,
            answered_below: plain.answered_below,
            request: Arc::new(plain.request),
        })
    }
}
