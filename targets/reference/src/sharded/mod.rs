//! Partitioning: each key lives on a few of the nodes, any node finds them, and keys move when nodes come, leave or fail.
//!
//! The algorithm in one paragraph. A *layout* says who is a member and, for ranges, where they begin; a pure function of
//! it names the *group* of each key. Within its group a key is an atomic register: a write asks a majority for the latest
//! stamp and puts a later one to a majority, a read asks a majority and puts back what not all of them had. Layouts follow
//! one another in *epochs*, agreed on in a small store of its own that the family `raft` replicates to all nodes. Every
//! message carries its epoch, and a node takes none of another one: to adopt an epoch is to be fenced off from all
//! before. What was a node's in the old epoch and is another's in the new one is pulled by that one, from a majority of
//! the old group; when all members have all that is theirs, the epoch is settled, and only then may the next one begin.
//!
//! One file a verb, to be read in this order:
//!
//! | file | what |
//! |---|---|
//! | `settings` | where keys live, how many copies, when nodes come and go |
//! | `placement` | the group of a key: the ring, ranges, regions |
//! | `message` | what nodes say to one another and write to disk |
//! | `coordinating` | a client's request: asking and putting, within one epoch |
//! | `agreement` | how configurations are agreed on, and the reasons to change them |
//! | `moving` | adopting an epoch, pulling keys, who answers when |
//! | `bugs` | what can be planted |
//!
//! What it claims, as long as a majority of each group is up and connected:
//!
//! | `placement` | a key lives | and |
//! |---|---|---|
//! | `ring` | on the `copies` nodes after its hash | the n-th node takes about 1/n of the keys, and nothing else moves |
//! | `ranges` | on those after the hash of its range's beginning | ranges that hold too much are split; scans are in order |
//! | `regions` | on nodes of its region alone | a region of which no node is a member is refused, by rule |
//!
//! In all three each key is linearizable, whatever moves meanwhile, and a scan sees every element that was added before
//! it began. A scan is no snapshot: it may see one of two concurrent adds and not the other.
//!
//! What is left out: a change of the set of nodes beyond those it was started with, joining ranges again, deletes,
//! exactly-once retries, and an end to an epoch whose old groups have lost their majorities: it waits until they are back.
//!
//! Sources: Karger et al., *Consistent Hashing and Random Trees* (1997); Attiya, Bar-Noy, Dolev, *Sharing Memory Robustly*
//! (1995); Gilbert, Lynch, Shvartsman, *RAMBO: a robust, reconfigurable atomic memory service* (2010); DeCandia et al.,
//! *Dynamo* (2007); Chang et al., *Bigtable* (2006), for ranges.

mod agreement;
mod bugs;
mod coordinating;
mod message;
mod moving;
mod placement;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schism_history::{CallKind, Value};

pub use message::{Configuration, Contents, Message, Record};
pub use placement::{Item, Layout};

use crate::protocol::{Bug, Clock, Config, Input, NodeId, Protocol, Recovered, Status};
use crate::raft::Raft;
use crate::random::Random;
use crate::settings::{Setting, Settings};
use crate::turn::Turn;
use crate::version::Version;
use agreement::Kept;
use bugs::Bugs;
use coordinating::Open;
use placement::{Part, Placement};
use settings::{Mode, Place};

/// Between two signs of life.
const SIGN: Duration = Duration::from_millis(100);

/// What another node said of itself last.
struct Heard {
    at: Duration,
    epoch: u64,
    is_complete: bool,
    holds: u64,
    largest: Option<(u64, Item)>,
}

/// A node.
pub struct Sharded {
    id: NodeId,
    nodes: Vec<NodeId>,
    mode: Mode,
    bugs: Bugs,
    random: Random,
    snapshot_every: u64,

    // On disk.
    /// Counts the node's lives, so that no two of its stamps and questions are ever the same.
    life: u64,
    items: BTreeMap<Item, Version>,
    /// Where it lives.
    configuration: Configuration,
    /// The last epoch in which it had all that was its own.
    complete: u64,
    /// The node of `raft` by which configurations are agreed on, and what that one has on disk.
    raft: Raft,
    kept: Kept,

    // In memory.
    placement: Placement,
    /// The layout before this one, where keys come from.
    before: Placement,
    /// Who has told what it held before, in this epoch.
    told: BTreeSet<NodeId>,
    /// The text of what was agreed last, as far as this node has looked at it.
    looked_at: Value,
    is_proposing: bool,
    open: BTreeMap<u64, Open>,
    heard: BTreeMap<NodeId, Heard>,
    next_number: u64,
    /// Names that came here from others.
    moved: u64,
    /// Requests by shard.
    asked: BTreeMap<String, u64>,
    started: Duration,
    sign_due: Duration,
    look_due: Duration,
    pull_due: Duration,
    churn_due: Duration,

    turn: Turn<Sharded>,
}

impl Protocol for Sharded {
    type Message = Message;
    type Record = Record;
    type Snapshot = Contents;

    const TICK: Duration = Duration::from_millis(20);
    const BUGS: &'static [Bug] = bugs::BUGS;
    const SETTINGS: &'static [Setting] = settings::SETTINGS;
    const SPEAKS: &'static [CallKind] = &[CallKind::Read, CallKind::Write, CallKind::Add];

    fn contradiction(settings: &Settings, nodes: usize) -> Option<String> {
        settings::contradiction(settings, nodes)
    }

    fn idle(bug: &str, settings: &Settings, _: usize) -> Option<String> {
        bugs::idle(bug, &Mode::of(settings))
    }

    fn start(config: Config, recovered: Recovered<Self>, clock: Clock) -> Self {
        let disk = Disk::of(recovered, &config);
        let (mode, bugs) = (Mode::of(&config.settings), Bugs::new(&config.bugs));
        let agreement =
            Recovered { snapshot: disk.kept.snapshot.clone(), records: disk.kept.records.clone() };
        let mut raft_config = config.clone();
        (raft_config.bugs, raft_config.settings) = (BTreeSet::new(), Settings::default());
        let placement = |layout: &Layout| Placement::new(mode, layout.clone(), bugs.leaves_region);
        let was_member = disk.configuration.previous.members.contains(&config.id);
        let life = disk.life + 1;
        let mut node = Sharded {
            id: config.id,
            mode,
            random: Random::new(config.seed ^ life << 32, u64::from(config.id.0)),
            snapshot_every: config.snapshot_every.max(1),
            life,
            items: disk.items,
            placement: placement(&disk.configuration.layout),
            before: placement(&disk.configuration.previous),
            configuration: disk.configuration,
            complete: disk.complete,
            raft: Raft::start(raft_config, agreement, clock),
            kept: disk.kept,
            told: was_member.then_some(config.id).into_iter().collect(),
            looked_at: Value::Nil,
            is_proposing: false,
            open: BTreeMap::new(),
            heard: BTreeMap::new(),
            next_number: life << 32,
            moved: 0,
            asked: BTreeMap::new(),
            started: clock.monotonic,
            sign_due: Duration::ZERO,
            look_due: Duration::ZERO,
            pull_due: Duration::ZERO,
            churn_due: clock.monotonic + mode.churn.unwrap_or_default(),
            bugs,
            nodes: config.nodes,
            turn: Turn::new(clock),
        };
        node.turn.append(Record::Life(life));
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
        if self.turn.appended() >= self.snapshot_every {
            self.save();
        }
    }

    fn status(&self) -> Status {
        // Whom nemeses take for the leader is the one that leads the agreement.
        let raft = self.raft.status();
        let applied = self.items.len() as u64;
        Status { commit: applied, applied, details: self.details(), ..raft }
    }
}

impl Sharded {
    fn tick(&mut self) {
        self.agree(Input::Tick);
        if self.turn.now() >= self.sign_due {
            self.sign_due = self.turn.now() + SIGN;
            let alive = Message::Alive {
                epoch: self.configuration.epoch,
                is_complete: self.complete == self.configuration.epoch,
                holds: self.items.len() as u64,
                largest: self.largest(),
            };
            let others = self.nodes.iter().copied().filter(|node| *node != self.id);
            self.turn.send_all(others, &alive);
        }
        self.pull();
        self.look();
        self.drive();
    }

    fn receive(&mut self, from: NodeId, message: Message) {
        let current = self.configuration.epoch;
        match message {
            Message::Alive { epoch, is_complete, holds, largest } => {
                self.heard.insert(from, Heard { at: self.turn.now(), epoch, is_complete, holds, largest });
            }
            Message::Ask { number, epoch, part, from: first, to } => {
                self.on_ask(from, number, epoch, part, Part { from: first, to });
            }
            Message::Told { number, epoch, part, items } if epoch == current => {
                self.on_told(from, number, part, items);
            }
            Message::Put { number, epoch, item, version } => self.on_put(from, number, epoch, item, version),
            Message::Stored { number, epoch, item } if epoch == current => {
                self.on_stored(from, number, &item)
            }
            // Of an epoch that is over.
            Message::Told { .. } | Message::Stored { .. } => {}
            Message::Pull { epoch } => self.on_pull(from, epoch),
            Message::Moved { epoch, items } => self.on_moved(from, epoch, items),
            Message::Agreement(message) => self.agree(Input::Message { from, message }),
        }
    }

    /// Takes a version, unless a later one is there.
    fn keep(&mut self, item: Item, version: Version) {
        if self.items.get(&item).is_none_or(|held| held.stamp < version.stamp) {
            self.items.insert(item.clone(), version.clone());
            self.turn.append(Record::Put { item, version });
        }
    }

    /// Of the ranges that this node is the first of its group for, the one that holds most, and the middle of it.
    fn largest(&self) -> Option<(u64, Item)> {
        if self.mode.place != Place::Ranges {
            return None;
        }
        let mut starts = self.placement.layout.splits.iter().peekable();
        let (mut largest, mut range) = (None, Vec::new());
        let mut close = |range: &mut Vec<&Item>| {
            let held = range.len() as u64;
            let is_larger = largest.as_ref().is_none_or(|(most, _)| held > *most);
            if let Some(middle) = range.get(range.len() / 2)
                && is_larger
                && self.placement.group(middle).first() == Some(&self.id)
            {
                largest = Some((held, (*middle).clone()));
            }
            range.clear();
        };
        for item in self.items.keys() {
            while starts.peek().is_some_and(|start| *start <= item) {
                starts.next();
                close(&mut range);
            }
            range.push(item);
        }
        close(&mut range);
        largest
    }

    /// The epoch it lives in.
    pub fn epoch(&self) -> u64 {
        self.configuration.epoch
    }

    /// How many names it holds that must not leave another region than its own.
    pub fn astray(&self) -> usize {
        self.items.keys().filter(|item| self.placement.is_astray(item, self.id)).count()
    }

    /// What people want to know of shards: who holds how much, what moved here, what is asked for most.
    fn details(&self) -> BTreeMap<String, Value> {
        let mut holds: Vec<(NodeId, u64)> =
            self.heard.iter().map(|(node, heard)| (*node, heard.holds)).collect();
        holds.push((self.id, self.items.len() as u64));
        holds.sort_unstable();
        let hottest = self.asked.iter().max_by_key(|(_, asked)| **asked);
        let members = self.configuration.layout.members.iter().map(|node| Value::text(&node.to_string()));
        BTreeMap::from([
            ("epoch".into(), Value::Int(self.configuration.epoch as i64)),
            ("settled".into(), Value::Bool(self.configuration.is_settled)),
            ("members".into(), Value::list(members)),
            (
                "keys-held".into(),
                Value::list(holds.iter().map(|(node, held)| Value::text(&format!("{node} {held}")))),
            ),
            ("keys-moved-here".into(), Value::Int(self.moved as i64)),
            ("keys-astray".into(), Value::Int(self.astray() as i64)),
            ("ranges".into(), Value::Int(self.placement.layout.splits.len() as i64 + 1)),
            (
                "hottest-shard".into(),
                hottest.map_or(Value::Nil, |(shard, asked)| {
                    Value::text(&format!("{shard}, asked here {asked} times"))
                }),
            ),
        ])
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// To itself without a message.
    fn send(&mut self, to: NodeId, message: Message) {
        if to == self.id {
            return self.receive(to, message);
        }
        self.turn.send(to, message);
    }

    /// Writes everything that is on disk anew, in one step.
    fn save(&mut self) {
        let contents = Contents {
            life: self.life,
            items: self.items.iter().map(|(item, version)| (item.clone(), version.clone())).collect(),
            configuration: self.configuration.clone(),
            complete: self.complete,
            agreement_snapshot: self.kept.snapshot.clone(),
            agreement: self.kept.records.clone(),
        };
        self.turn.snapshot(contents);
    }
}

/// What a node found on its disk, put together.
struct Disk {
    life: u64,
    items: BTreeMap<Item, Version>,
    configuration: Configuration,
    complete: u64,
    kept: Kept,
}

impl Disk {
    fn of(recovered: Recovered<Sharded>, config: &Config) -> Disk {
        // In the beginning all nodes are members, and nobody holds anything.
        let layout = Layout { members: config.nodes.iter().copied().collect(), splits: BTreeSet::new() };
        let first =
            Configuration { epoch: 1, previous: layout.clone(), layout, is_settled: true, resting: None };
        let mut disk = Disk {
            life: 0,
            items: BTreeMap::new(),
            configuration: first,
            complete: 1,
            kept: Kept::default(),
        };
        if let Some(contents) = recovered.snapshot {
            disk = Disk {
                life: contents.life,
                items: contents.items.into_iter().collect(),
                configuration: contents.configuration,
                complete: contents.complete,
                kept: Kept { snapshot: contents.agreement_snapshot, records: contents.agreement },
            };
        }
        for record in recovered.records {
            match record {
                Record::Life(life) => disk.life = life,
                Record::Put { item, version } => drop(disk.items.insert(item, version)),
                Record::Adopted(configuration) => disk.configuration = configuration,
                Record::Complete(epoch) => disk.complete = epoch,
                Record::Agreement(record) => disk.kept.records.push(record),
                Record::AgreementSnapshot(snapshot) => disk.kept.replace(snapshot),
            }
        }
        disk
    }
}
