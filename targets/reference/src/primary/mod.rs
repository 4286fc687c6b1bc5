//! Leader–follower replication: one node takes the writes and ships its log to the others; when it falls silent, another
//! takes over.
//!
//! The algorithm in one paragraph. Time is cut into *epochs*, each with at most one leader, chosen by a majority. An epoch
//! is the leader's *fencing token*: every message of a leader carries it, and a node that has promised itself to a later
//! epoch refuses it. A leader also holds a *lease*: whoever answers it votes for nobody else for a while, so as long as a
//! majority has answered lately nobody else can lead, and the leader may answer reads from its own state. A write is
//! answered once it is on as many disks as the mode asks for. A follower whose log is no prefix of the leader's gets a
//! copy of the leader's whole state: what it alone held is gone.
//!
//! One file a verb, to be read in this order:
//!
//! | file | what |
//! |---|---|
//! | `settings` | the modes, and what they must not contradict |
//! | `message` | what nodes say to one another and write to disk |
//! | `log` | the entries, the state they add up to, copies of it |
//! | `failover` | promises, votes, leases |
//! | `shipping` | sending entries, taking them, counting disks |
//! | `serving` | a client's request: at the leader, at a follower, on its way between them |
//! | `bugs` | what can be planted |
//!
//! What it claims, with 2f+1 nodes of which any f may crash, pause or be cut off:
//!
//! | `replication` | a write is answered when it is on | and then |
//! |---|---|---|
//! | `sync` | a majority | survives every failover; with `reads = leader` all is linearizable |
//! | `semi-sync` | the leader and `acks` others | survives if one of these votes in the next election: always once they are a majority |
//! | `async` | the leader | is lost if the leader falls silent before it has shipped it |
//!
//! | `reads` | answered by | from |
//! |---|---|---|
//! | `leader` | the leader under its lease, whoever was asked | what is decided now |
//! | `any` | whoever is asked | what was decided when it last heard of it: any time ago |
//! | `bounded` | whoever is asked, if it knows that it is no more than `bound-ms` behind; else it refuses, or forwards (`too-far = forward`) | what was decided at most that long ago (in mode `sync`) |
//!
//! What is assumed of clocks: times of day mean nothing; monotonic clocks run at rates that differ by less than a half
//! (`LEASE_HELD` against `LEASE_KEPT`), go on while a node is paused, and a node that starts may
//! have made a promise just before it crashed, so it waits a lease out before it votes. The fencing does not depend on
//! clocks: a write is safe whatever they do.
//!
//! What is left out: exactly-once retries (a write without an answer is `unknown`), membership change.
//!
//! Sources: Gray & Cheriton, *Leases* (1989); Kleppmann, *Designing Data-Intensive Applications* (2017), ch. 5 and 8.

mod bugs;
mod failover;
mod log;
mod message;
mod serving;
mod settings;
mod shipping;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use message::{Copy, Entry, Fits, Forward, Message, Position, Promise, Record, Stamp};

use crate::protocol::{Bug, Clock, Config, Input, NodeId, Protocol, Recovered, Status, Ticket};
use crate::random::Random;
use crate::settings::{Setting, Settings};
use crate::turn::Turn;
use bugs::Bugs;
use failover::Role;
use log::Log;
use settings::Mode;

/// A node.
pub struct Primary {
    id: NodeId,
    /// All other nodes.
    peers: Vec<NodeId>,
    mode: Mode,
    bugs: Bugs,
    random: Random,
    snapshot_every: u64,

    // On disk.
    promise: Promise,
    /// Counts the node's lives, so that what it forwarded in an earlier one is not taken for new.
    life: u64,
    log: Log,

    // In memory.
    role: Role,
    leader: Option<NodeId>,
    /// Until when it votes for nobody but the leader it has answered, itself included.
    lease_kept: Duration,
    /// When to want to lead.
    stand_due: Duration,
    /// It knows all that was decided at this time of its own clock, if any.
    fresh_at: Option<Duration>,
    /// In this epoch its log equals the leader's up to here.
    matched: u64,
    /// Requests that wait at this node, as leader, for the entry at an index.
    waiting: BTreeMap<u64, serving::Whose>,
    /// Reads that wait for the leader's first entry to be decided.
    reads: Vec<(serving::Whose, String)>,
    /// Requests of this node's clients that it forwarded, by number, with when it gives up.
    forwarded: BTreeMap<u64, (Ticket, Duration)>,
    next_number: u64,
    /// What was forwarded to this node in this epoch: a doubled message is not a second request.
    seen: BTreeSet<(NodeId, u64)>,

    turn: Turn<Primary>,
}

impl Protocol for Primary {
    type Message = Message;
    type Record = Record;
    type Snapshot = Copy;

    const TICK: Duration = Duration::from_millis(20);
    const BUGS: &'static [Bug] = bugs::BUGS;
    const SETTINGS: &'static [Setting] = settings::SETTINGS;

    fn contradiction(settings: &Settings, nodes: usize) -> Option<String> {
        settings::contradiction(settings, nodes)
    }

    fn idle(bug: &str, settings: &Settings, nodes: usize) -> Option<String> {
        bugs::idle(bug, &Mode::of(settings, nodes))
    }

    fn start(config: Config, recovered: Recovered<Self>, clock: Clock) -> Self {
        let mut node = Primary {
            id: config.id,
            peers: config.nodes.iter().copied().filter(|node| *node != config.id).collect(),
            mode: Mode::of(&config.settings, config.nodes.len()),
            bugs: Bugs::new(&config.bugs),
            random: Random::new(config.seed, u64::from(config.id.0)),
            snapshot_every: config.snapshot_every.max(1),
            promise: Promise::default(),
            life: 0,
            log: Log::default(),
            role: Role::Follower,
            leader: None,
            lease_kept: Duration::ZERO,
            stand_due: Duration::ZERO,
            fresh_at: None,
            matched: 0,
            waiting: BTreeMap::new(),
            reads: Vec::new(),
            forwarded: BTreeMap::new(),
            next_number: 0,
            seen: BTreeSet::new(),
            turn: Turn::new(clock),
        };
        node.recover(recovered);
        node.life += 1;
        node.turn.append(Record::Life(node.life));
        // Never the number of an earlier life.
        node.next_number = node.life << 32;
        // Every life draws its own times to stand.
        node.random = Random::new(config.seed ^ node.life << 32, u64::from(config.id.0));
        node.keep_lease();
        node
    }

    fn turn(&mut self) -> &mut Turn<Self> {
        &mut self.turn
    }

    fn step(&mut self, input: Input<Message>) {
        match input {
            Input::Tick => self.tick(),
            Input::Message { from, message } => self.receive(from, message),
            Input::Request { ticket, request } => self.request(ticket, request),
        }
        self.ship(false);
    }

    fn status(&self) -> Status {
        let role = match self.role {
            Role::Follower => "follower",
            Role::Candidate { .. } => "candidate",
            Role::Leader(_) => "leader",
        };
        Status {
            node: self.id.to_string(),
            role: role.into(),
            term: self.promise.epoch,
            leader: self.leader.map(|leader| leader.to_string()),
            commit: self.log.decided(),
            applied: self.log.decided(),
            ready: self.leader.is_some(),
            details: Default::default(),
        }
    }
}

impl Primary {
    fn recover(&mut self, recovered: Recovered<Self>) {
        if let Some(copy) = recovered.snapshot {
            (self.promise, self.life) = (copy.promise, copy.life);
            self.log = Log::of(copy);
        }
        for record in recovered.records {
            match record {
                Record::Promise(promise) => self.promise = promise,
                Record::Life(life) => self.life = life,
                Record::Entry(entry) => self.log.push(entry),
            }
        }
    }

    fn tick(&mut self) {
        match self.role {
            Role::Leader(_) => self.lead_on(),
            _ if self.turn.now() >= self.stand_due => self.stand(),
            _ => {}
        }
        self.give_up_forwarded();
        if self.log.settled_entries() >= self.snapshot_every {
            self.log.settle();
            self.save();
        }
    }

    fn receive(&mut self, from: NodeId, message: Message) {
        match message {
            Message::Vote { epoch, last } => self.on_vote(from, epoch, last),
            Message::Voted { epoch } => self.on_voted(from, epoch),
            Message::Fenced { epoch } => self.on_fenced(epoch),
            Message::Ship { epoch, at, fresh, previous, entries, decided } => {
                self.on_ship(from, epoch, previous, entries, decided, (at, fresh));
            }
            Message::Replace { epoch, at, copy } => self.on_replace(from, epoch, at, copy),
            Message::Shipped { epoch, at, clock, last, fits } => {
                self.on_shipped(from, epoch, at, clock, (last, fits));
            }
            Message::Forward(forward) => self.on_forward(from, forward),
            Message::Forwarded { epoch, decided, number, response } => {
                if epoch == self.promise.epoch {
                    self.log.decide(decided.min(self.matched), |_, _| {});
                }
                self.on_forwarded(number, response);
            }
        }
    }

    /// How many nodes, this one included, are more than half of all.
    fn majority(&self) -> usize {
        self.peers.len().div_ceil(2) + 1
    }

    /// Writes everything that is on disk anew, in one step.
    fn save(&mut self) {
        let copy = Copy { promise: self.promise, life: self.life, ..self.log.copy() };
        self.turn.snapshot(copy);
    }
}
