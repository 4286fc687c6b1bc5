//! Raft: a log kept alike on all nodes by an elected leader, and a key–value store that applies it.
//!
//! The algorithm in one paragraph. Time is cut into *terms*; a majority elects at most one leader a term, and only one
//! whose log is at least as up to date as its voters' (so it holds everything decided). The leader appends what clients
//! propose to its log and sends it to the others; an entry of its own term that stands on a majority of disks is
//! *committed*: it and all before it are decided for ever, and every node applies them in order. Everybody answers its
//! own clients once it has applied what they asked.
//!
//! One file a verb, to be read in this order:
//!
//! | file | what |
//! |---|---|
//! | `message` | what nodes say to one another and write to disk |
//! | `log` | the entries |
//! | `election` | pre-vote, vote, who leads; stepping down |
//! | `replication` | sending entries, answering them, finding where two logs part |
//! | `commit` | when an entry is decided; applying it |
//! | `proposals` | a write's way: to the leader, again if need be, back to the client |
//! | `reads` | a read's way: read-index, without writing to the log |
//! | `snapshot` | cutting the log's beginning off; catching up those who need it |
//! | `sessions`, `store` | exactly once; the state machine |
//! | `bugs` | what can be planted |
//! | `invariants` | what must hold over all nodes at all times, watched in the simulation |
//!
//! What it claims: linearizable reads, writes, cas and set additions; each proposal applied at most once, and exactly
//! once if it was answered; any minority may crash, pause, be cut off or see its clock jump. Time decides only how soon
//! it answers, never what.
//!
//! What is left out, and what it would buy: membership change (fixed here); leases (reads without a round of messages, at
//! the price of trusting clocks; see the bug `lease-trusts-clock`); snapshots in chunks (states larger than one message);
//! a leader that sends before its own disk is done (a little latency).
//!
//! Sources: Ongaro & Ousterhout, *In Search of an Understandable Consensus Algorithm* (2014), cited as §n; Ongaro's
//! thesis *Consensus: Bridging Theory and Practice* (2014), cited as thesis §n.

mod bugs;
mod commit;
mod election;
pub mod invariants;
mod log;
mod message;
mod proposals;
mod reads;
mod replication;
mod sessions;
mod snapshot;
mod store;

use std::collections::BTreeMap;
use std::time::Duration;

pub use log::Log;
pub use message::{
    AppendResult, Entry, HardState, Image, Index, Message, Origin, Position, Proposal, Record, Snapshot, Term,
};
pub use sessions::Sessions;
pub use store::Store;

use crate::protocol::{
    Bug, Clock, Config, Input, NodeId, Protocol, Recovered, Request, Response, Status, Ticket,
};
use crate::random::Random;
use crate::turn::Turn;
use bugs::Bugs;
use election::Role;

/// Between two heartbeats of a leader.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// Without a leader's word for this long and up to twice as long, a follower wants to be elected.
const ELECTION: Duration = Duration::from_millis(500);
/// A proposal or read that has no answer yet is sent to the leader again after this.
const RETRY: Duration = Duration::from_millis(500);
/// A request without an answer after this is answered [`Response::Unknown`].
const PATIENCE: Duration = Duration::from_secs(5);

/// A node.
pub struct Raft {
    id: NodeId,
    /// All other nodes.
    peers: Vec<NodeId>,
    snapshot_every: u64,
    bugs: Bugs,
    random: Random,

    // On disk.
    hard: HardState,
    incarnation: u64,
    log: Log,

    // In memory.
    role: Role,
    leader: Option<NodeId>,
    commit: Index,
    applied: Index,
    store: Store,
    /// Where the last snapshot on disk ends.
    snapshot: Index,
    /// When a leader was heard last.
    heard_leader: Option<Duration>,
    /// When to want to be elected.
    election_due: Duration,
    /// Requests of this node's own clients, by their numbers.
    proposals: BTreeMap<u64, proposals::Waiting>,
    reads: BTreeMap<u64, reads::Waiting>,
    next_sequence: u64,
    /// The time of day as it was looked up last: only the bug `lease-trusts-clock` looks at it.
    cached_wall: Duration,
    cached_ticks: u32,

    turn: Turn<Raft>,
}

impl Protocol for Raft {
    type Message = Message;
    type Record = Record;
    type Snapshot = Snapshot;

    const TICK: Duration = Duration::from_millis(20);
    const BUGS: &'static [Bug] = bugs::BUGS;
    const KEEPS_SESSIONS: bool = true;

    fn start(config: Config, recovered: Recovered<Self>, clock: Clock) -> Self {
        let peers = config.nodes.iter().copied().filter(|node| *node != config.id).collect();
        let mut raft = Raft {
            id: config.id,
            peers,
            snapshot_every: config.snapshot_every.max(1),
            bugs: Bugs::new(&config.bugs),
            random: Random::new(config.seed, u64::from(config.id.0)),
            hard: HardState::default(),
            incarnation: 0,
            log: Log::default(),
            role: Role::Follower,
            leader: None,
            commit: 0,
            applied: 0,
            store: Store::default(),
            snapshot: 0,
            heard_leader: None,
            election_due: clock.monotonic,
            proposals: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_sequence: 1,
            cached_wall: clock.wall,
            cached_ticks: 0,
            turn: Turn::new(clock),
        };
        raft.recover(recovered);
        raft.incarnation += 1;
        // Durable with the first output, and so before anything is proposed in this life's name.
        raft.turn.append(Record::Incarnation(raft.incarnation));
        // Every life draws its own election timeouts.
        raft.random = Random::new(config.seed ^ raft.incarnation << 32, u64::from(config.id.0));
        raft.put_off_election();
        raft
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
        self.begin_read_round();
        self.replicate();
    }

    fn status(&self) -> Status {
        let role = match self.role {
            Role::Follower => "follower",
            Role::PreCandidate { .. } | Role::Candidate { .. } => "candidate",
            Role::Leader(_) => "leader",
        };
        Status {
            node: self.id.to_string(),
            role: role.into(),
            term: self.hard.term,
            leader: self.leader.map(|leader| leader.to_string()),
            commit: self.commit,
            applied: self.applied,
            ready: self.leader.is_some(),
            details: Default::default(),
        }
    }
}

impl Raft {
    /// What is under a key as far as this node has applied the log, which may be the past: for those that build on it.
    pub(crate) fn applied_value(&self, key: &str) -> schism_history::Value {
        self.store.read(key)
    }

    fn tick(&mut self) {
        self.cached_ticks += 1;
        if self.cached_ticks >= reads::CLOCK_CACHED_TICKS {
            self.cached_ticks = 0;
            self.cached_wall = self.turn.clock.wall;
        }
        if matches!(self.role, Role::Leader(_)) {
            self.step_down_if_alone();
            self.heartbeat_if_due();
        } else if self.turn.now() >= self.election_due {
            self.ask_whether_electable();
        }
        self.ask_again();
        self.give_up_old();
    }

    fn receive(&mut self, from: NodeId, message: Message) {
        match message {
            Message::PreVote { term, last } => self.on_pre_vote(from, term, last),
            Message::PreVoteReply { term, granted } => self.on_pre_vote_reply(from, term, granted),
            Message::Vote { term, last } => self.on_vote(from, term, last),
            Message::VoteReply { term, granted } => self.on_vote_reply(from, term, granted),
            Message::Append { term, previous, entries, commit, round } => {
                if let Some(result) = self.on_append(from, term, previous, entries, commit) {
                    self.turn.send(from, Message::AppendReply { term: self.hard.term, round, result });
                }
            }
            Message::Install { term, image, round } => {
                if let Some(result) = self.on_install(from, term, image) {
                    self.turn.send(from, Message::AppendReply { term: self.hard.term, round, result });
                }
            }
            Message::AppendReply { term, round, result } => self.on_append_reply(from, term, round, result),
            Message::Propose(proposal) => self.accept(proposal),
            Message::ReadIndex(read) => self.on_read_index(read),
            Message::ReadIndexReply { read, index } => self.on_read_index_reply(read, index),
        }
    }

    fn request(&mut self, ticket: Ticket, request: Request) {
        match request.operation {
            crate::protocol::Operation::Read => self.start_read(ticket, request.key),
            _ => self.start_proposal(ticket, request),
        }
    }

    /// How many nodes, this one included, are more than half of all.
    fn majority(&self) -> usize {
        self.peers.len().div_ceil(2) + 1
    }

    fn send_all(&mut self, message: &Message) {
        self.turn.send_all(self.peers.iter().copied(), message);
    }

    fn refuse(&mut self, ticket: Ticket, reason: &str) {
        self.turn.reply(ticket, Response::Refused { reason: reason.into(), leader: self.leader });
    }
}
