//! The seam between a protocol and the world: a protocol is a state machine without I/O; whoever drives it owns the
//! sockets, the disk and the clock. Two drivers exist: [`crate::runtime`] with the real ones, [`crate::simulation`] with
//! seeded, faulty ones. Both run the very same protocol code.
//!
//! The contract: same state and same input give the same output. A protocol reads no clock (time is an argument), draws
//! no randomness but from its seed, and touches nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schism_history::{CallKind, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::settings::{Setting, Settings};
use crate::turn::Turn;

/// A node of the cluster, counted from 0; people see `n1`, `n2`, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u8);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{}", self.0 + 1)
    }
}

/// What a node is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who it is.
    pub id: NodeId,
    /// All nodes, itself included.
    pub nodes: Vec<NodeId>,
    /// Where its randomness (election timeouts) comes from.
    pub seed: u64,
    /// The planted bugs that are switched on, by name.
    pub bugs: BTreeSet<String>,
    /// After how many applied entries a snapshot takes the place of the log, at least 1.
    /// [`Config::SNAPSHOT_EVERY`] unless there is a reason.
    pub snapshot_every: u64,
    /// What else the family is told; checked by [`Protocol::contradiction`] and against [`Protocol::SETTINGS`].
    pub settings: Settings,
}

impl Config {
    /// The usual [`Config::snapshot_every`]: often enough for a run of a minute to see several.
    pub const SNAPSHOT_EVERY: u64 = 1_000;
}

/// What the node's clocks show when an input arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Time since some fixed point; never goes back; stands still for nobody.
    pub monotonic: Duration,
    /// The time of day since the epoch: may jump.
    pub wall: Duration,
}

/// What a client asks of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// What is there?
    Read,
    /// Put this there.
    Write(Value),
    /// If it is `from`, make it `to`.
    Cas {
        /// What must be there.
        from: Value,
        /// What shall be there.
        to: Value,
    },
    /// Add this element to the set that is there.
    Add(Value),
    /// Take this element out of the set that is there.
    Remove(Value),
    /// Put this at the end of the list, or text, that is there.
    Append(Value),
    /// Add this to the number that is there.
    Increment(i64),
    /// Put this in the place of what a read saw that gave this context, and of nothing else.
    Replace {
        /// What to put.
        value: Value,
        /// As it was given.
        context: String,
    },
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Of which key.
    pub key: String,
    /// What.
    pub operation: Operation,
    /// A client's own session and its number in it, if it wants to retry and have it happen once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<(String, u64)>,
    /// What the client has seen so far, as the last [`Response::Seen`] said, at whichever node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It happened.
    Done,
    /// What a read saw.
    Value(Value),
    /// What a read saw where concurrent writes are kept side by side.
    Siblings {
        /// All that is there.
        values: Vec<Value>,
        /// To be given back by a write that replaces them: [`Operation::Replace`].
        context: String,
    },
    /// It happened (no value), or a read saw this; and what the client has seen by now, in the store's own words: it gives
    /// them back with its next request, here or at another node.
    Seen {
        /// What a read saw.
        value: Option<Value>,
        /// What the client has seen.
        seen: String,
    },
    /// The cas found something else, and changed nothing.
    Mismatch {
        /// What was there.
        found: Value,
    },
    /// Certainly not done: nobody to do it. Names the leader if this node knows one.
    Refused {
        /// Why.
        reason: String,
        /// Who might do it.
        leader: Option<NodeId>,
    },
    /// Nobody knows whether it happened or will.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Joins a response to its request within one life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input<M> {
    /// Time passed. Comes every [`Protocol::TICK`] or so.
    Tick,
    /// A message arrived. Messages may be lost, doubled, late or out of order.
    Message {
        /// From whom.
        from: NodeId,
        /// What.
        message: M,
    },
    /// A client asks.
    Request {
        /// To be given back with the response.
        ticket: Ticket,
        /// What it asks.
        request: Request,
    },
}

/// What a node wants done, in this order: `disk` made durable first, and only then `send` and `reply` let out.
pub struct Output<P: Protocol> {
    /// What must be on disk.
    pub disk: Vec<DiskWrite<P::Record, P::Snapshot>>,
    /// Messages to other nodes.
    pub send: Vec<(NodeId, P::Message)>,
    /// Responses to clients.
    pub reply: Vec<(Ticket, Response)>,
}

impl<P: Protocol> Default for Output<P> {
    fn default() -> Self {
        Output { disk: Vec::new(), send: Vec::new(), reply: Vec::new() }
    }
}

/// One change of what is on disk: a node's disk is the latest snapshot and the records after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskWrite<R, S> {
    /// One more record at the end.
    Append(R),
    /// A snapshot takes the place of everything before it, in one step.
    Snapshot(S),
}

/// What a node finds on its disk when it starts.
pub struct Recovered<P: Protocol> {
    /// The latest whole snapshot.
    pub snapshot: Option<P::Snapshot>,
    /// The whole records after it, in order.
    pub records: Vec<P::Record>,
}

impl<P: Protocol> Default for Recovered<P> {
    fn default() -> Self {
        Recovered { snapshot: None, records: Vec::new() }
    }
}

/// What a node says of itself, for people and for a nemesis that aims by role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Who it is.
    pub node: String,
    /// `leader`, `follower`, `candidate`, or what else the protocol has.
    pub role: String,
    /// Its term, epoch or ballot.
    pub term: u64,
    /// Whom it takes for the leader.
    pub leader: Option<String>,
    /// The last log position it knows to be decided.
    pub commit: u64,
    /// The last log position it applied.
    pub applied: u64,
    /// Whether it would take calls now.
    pub ready: bool,
    /// What else the family has to say, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Value>,
}

/// A planted bug: a named switch that makes a protocol break its promise in a known way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bug {
    /// Its switch.
    pub name: &'static str,
    /// What it does wrong, in a sentence.
    pub about: &'static str,
}

/// The bug every driver plants alike, below the protocol: responses and messages leave before the disk is durable.
pub const ACK_BEFORE_FSYNC: Bug = Bug {
    name: "ack-before-fsync",
    about: "answers before its fsync: for up to a second writes are only in the kernel's memory, and go with the power",
};

/// The rule that settings and bugs break together, for a cluster of so many nodes.
pub fn contradiction<P: Protocol>(
    settings: &Settings,
    nodes: usize,
    bugs: &BTreeSet<String>,
) -> Option<String> {
    let idle = |bug: &String| {
        let why = P::idle(bug, settings, nodes)?;
        Some(format!("the bug {bug} would do nothing: {why}"))
    };
    P::contradiction(settings, nodes).or_else(|| bugs.iter().find_map(idle))
}

/// A replication protocol as a state machine without I/O.
pub trait Protocol: Sized + Send + 'static {
    /// What nodes say to one another.
    type Message: Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static;
    /// One record of the log on disk.
    type Record: Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static;
    /// What takes the place of a prefix of records.
    type Snapshot: Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static;

    /// How often [`Input::Tick`] comes.
    const TICK: Duration;

    /// The bugs it can be planted with.
    const BUGS: &'static [Bug];

    /// What it can be told.
    const SETTINGS: &'static [Setting] = &[];

    /// The calls it understands; it refuses the others.
    const SPEAKS: &'static [CallKind] = &[
        CallKind::Read,
        CallKind::Write,
        CallKind::Cas,
        CallKind::Add,
        CallKind::Remove,
        CallKind::Increment,
        CallKind::Append,
    ];

    /// Whether a request that is sent again within its session happens once. If not, it refuses sessions.
    const KEEPS_SESSIONS: bool = false;

    /// What contradicts what in these settings, each of which is allowed by itself: the rule that is broken.
    fn contradiction(_settings: &Settings, _nodes: usize) -> Option<String> {
        None
    }

    /// Why a bug would do nothing with these settings, if it would not.
    fn idle(_bug: &str, _settings: &Settings, _nodes: usize) -> Option<String> {
        None
    }

    /// A node starts, for the first time or after a crash.
    fn start(config: Config, recovered: Recovered<Self>, clock: Clock) -> Self;

    /// The turn at hand.
    fn turn(&mut self) -> &mut Turn<Self>;

    /// Something happens: takes it, and leaves what follows with the turn.
    fn step(&mut self, input: Input<Self::Message>);

    /// Something happens; what follows is appended to `output`. This is what a driver calls.
    fn handle(&mut self, clock: Clock, input: Input<Self::Message>, output: &mut Output<Self>) {
        self.turn().begin(clock);
        self.step(input);
        self.turn().end(output);
    }

    /// What it says of itself.
    fn status(&self) -> Status;
}
