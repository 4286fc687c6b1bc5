//! Causal consistency with convergence (causal+): every node has all keys and answers by itself, and nobody sees an effect
//! without its cause.
//!
//! The algorithm in one paragraph. A node answers reads and takes writes without asking anybody, cut off or not. The
//! *context* of a session says what it has seen: so many writes of each node. It travels with the client, which gives it
//! with every request and gets it back with every answer. A write carries the context of its session as its
//! *dependencies*; another node *shows* it, lets clients read it, only when it shows all of these, and shows each node's
//! writes in the order of their numbers. Of two writes of a key the one with the later stamp counts; stamps come from
//! Lamport clocks, so no write loses to one that it depends on. A session may go to another node: one that shows less
//! than the session has seen waits before it answers, and refuses after a while.
//!
//! One file a verb, to be read in this order:
//!
//! | file | what |
//! |---|---|
//! | `settings` | what writes carry, for whom nodes wait |
//! | `vector` | how many writes of each node: contexts, dependencies, what is shown |
//! | `message` | what nodes say to one another and write to disk |
//! | `serving` | a client's request, and sessions that wait |
//! | `showing` | when a write of another node may be shown, and what counts then |
//! | `sharing` | sending writes, and passing on what others have missed |
//! | `bugs` | what can be planted |
//!
//! What it claims, with any nodes crashed, paused or cut off, of those that answer:
//!
//! | `dependencies` | `sessions` | claim |
//! |---|---|---|
//! | `tracked` | `moving` | causal convergence (CCv) and all session guarantees, wherever sessions go |
//! | `tracked` | `sticky` | the same for sessions that stay at their node |
//! | `none` | `moving` | read your writes and monotonic reads, wherever sessions go; a node's writes in its order; no causality |
//! | any | any | nodes that can reach one another, through others too, come to show the same |
//!
//! What is left out: reads of several keys at once (get transactions), deletes that are forgotten, nodes that come and go,
//! and exactly-once retries.
//!
//! Sources: Lloyd, Freedman, Kaminsky, Andersen, *Don't Settle for Eventual: Scalable Causal Consistency for Wide-Area
//! Storage with COPS* (2011); Terry et al., *Session Guarantees for Weakly Consistent Replicated Data* (1994); Petersen et
//! al., *Flexible Update Propagation for Weakly Consistent Replication* (1997).

mod bugs;
mod message;
mod serving;
mod settings;
mod sharing;
mod showing;
mod vector;

use std::collections::BTreeMap;
use std::time::Duration;

use schism_history::CallKind;

pub use message::{Contents, Message, Stamp, Write};
pub use vector::Vector;

use crate::protocol::{Bug, Clock, Config, Input, NodeId, Protocol, Recovered, Status};
use crate::random::Random;
use crate::settings::{Setting, Settings};
use crate::turn::Turn;
use bugs::Bugs;
use serving::Waiting;
use settings::Mode;

/// A node.
pub struct Causal {
    id: NodeId,
    nodes: Vec<NodeId>,
    mode: Mode,
    bugs: Bugs,
    random: Random,
    snapshot_every: u64,

    // On disk.
    /// What is shown of each node.
    shown: Vector,
    /// The write that counts, by key.
    keys: BTreeMap<String, Write>,
    /// All writes that some node may lack, by stamp: no write stands before what it depends on.
    log: BTreeMap<Stamp, Write>,

    // In memory.
    /// The Lamport clock: no less than the time of any stamp that is shown.
    clock_time: u64,
    /// Writes of other nodes that cannot be shown yet.
    pending: BTreeMap<(NodeId, u64), Write>,
    /// Requests of sessions that have seen more than is shown.
    waiting: Vec<Waiting>,
    /// What each other node shows, as it said last.
    known: BTreeMap<NodeId, Vector>,
    share_due: Duration,

    turn: Turn<Causal>,
}

impl Protocol for Causal {
    type Message = Message;
    /// A write that is shown.
    type Record = Write;
    type Snapshot = Contents;

    const TICK: Duration = Duration::from_millis(20);
    const BUGS: &'static [Bug] = bugs::BUGS;
    const SETTINGS: &'static [Setting] = settings::SETTINGS;
    const SPEAKS: &'static [CallKind] = &[CallKind::Read, CallKind::Write];

    fn idle(bug: &str, settings: &Settings, _: usize) -> Option<String> {
        bugs::idle(bug, Mode::of(settings))
    }

    fn start(config: Config, recovered: Recovered<Self>, clock: Clock) -> Self {
        let mut node = Causal {
            id: config.id,
            mode: Mode::of(&config.settings),
            bugs: Bugs::new(&config.bugs),
            random: Random::new(config.seed, u64::from(config.id.0)),
            snapshot_every: config.snapshot_every.max(1),
            shown: Vector::default(),
            keys: BTreeMap::new(),
            log: BTreeMap::new(),
            clock_time: 0,
            pending: BTreeMap::new(),
            waiting: Vec::new(),
            known: BTreeMap::new(),
            share_due: Duration::ZERO,
            nodes: config.nodes,
            turn: Turn::new(clock),
        };
        if let Some(contents) = recovered.snapshot {
            node.shown = contents.shown;
            node.keys = contents.keys.into_iter().map(|write| (write.key.clone(), write)).collect();
            node.log = contents.log.into_iter().map(|write| (write.stamp, write)).collect();
        }
        recovered.records.into_iter().for_each(|write| node.place(write));
        // The latest stamp of all is that of some key.
        node.clock_time = node.keys.values().map(|write| write.stamp.time).max().unwrap_or(0);
        node
    }

    fn turn(&mut self) -> &mut Turn<Self> {
        &mut self.turn
    }

    fn step(&mut self, input: Input<Message>) {
        match input {
            Input::Tick => {
                self.share();
                self.refuse_late();
            }
            Input::Message { from, message: Message::Writes(writes) } => self.on_writes(from, writes),
            Input::Message { from, message: Message::Shown { shown, asks } } => {
                self.on_shown(from, shown, asks)
            }
            Input::Request { ticket, request } => self.request(ticket, request),
        }
        if self.turn.appended() >= self.snapshot_every {
            self.save();
        }
    }

    fn status(&self) -> Status {
        Status {
            node: self.id.to_string(),
            role: "replica".into(),
            term: 0,
            leader: None,
            commit: self.shown.total(),
            applied: self.shown.total(),
            ready: true,
            details: Default::default(),
        }
    }
}

impl Causal {
    fn others(&self) -> std::vec::IntoIter<NodeId> {
        let others: Vec<NodeId> = self.nodes.iter().copied().filter(|node| *node != self.id).collect();
        others.into_iter()
    }

    /// Writes everything that is on disk anew, in one step.
    fn save(&mut self) {
        let contents = Contents {
            shown: self.shown.clone(),
            keys: self.keys.values().cloned().collect(),
            log: self.log.values().cloned().collect(),
        };
        self.turn.snapshot(contents);
    }
}
