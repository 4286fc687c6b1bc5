//! Leaderless replication: each key has `n` homes, any node coordinates, a write waits for `w` homes and a read for `r`.
//!
//! The algorithm in one paragraph. A value travels with a *stamp*; of two values the one with the later stamp counts,
//! everywhere and for ever, so it does not matter in which order a home hears of them. Whoever is asked by a client
//! coordinates: a write first asks `r` homes for the latest stamp they know, takes a later one, and is answered once `w`
//! homes have it on disk; a read asks `r` homes and answers with the latest. A read that *writes back* waits until `w`
//! homes have what it is about to answer: without that, one read may see a write that is still on its way and the next
//! one, asking others, not see it any more. What homes have missed reaches them by repair after reads, by hints that
//! others kept for them, and by comparing trees of hashes with one another.
//!
//! One file a verb, to be read in this order:
//!
//! | file | what |
//! |---|---|
//! | `settings` | the numbers and switches, and what they must not contradict |
//! | `message` | what nodes say to one another and write to disk |
//! | `shelf` | what a node holds: versions, tombstones, the tree of hashes over them |
//! | `coordinating` | a client's request: asking, putting, writing back, repairing |
//! | `hints` | sloppy quorums: keeping what is meant for somebody else, and handing it over |
//! | `comparing` | anti-entropy: what two homes find different they tell one another |
//! | `bugs` | what can be planted |
//!
//! What it claims, as long as stamps are asked for and quorums strict:
//!
//! | setting | and then |
//! |---|---|
//! | `w + r > n`, `write-back = true` | each key is an atomic register, with any minority of homes gone (the default) |
//! | `w + r > n` | a *regular* register: reads may see a write that is under way come and go again |
//! | `w + r ≤ n` | reads may miss any write for a while |
//! | any | homes that can reach one another come to hold the same, the latest of all that was acknowledged |
//!
//! With `sloppy = true` a write counts others in the place of homes that are not heard of: it is taken when a majority is
//! gone, and reads that ask the homes may miss it until it was handed over. With `stamps = wall` the coordinator's time
//! of day is the stamp: one round trip less, and what a slow clock stamps may be lost for ever.
//!
//! What is left out: a change of the nodes, ranges, and exactly-once retries.
//!
//! Sources: DeCandia et al., *Dynamo* (2007); Attiya, Bar-Noy, Dolev, *Sharing Memory Robustly in Message-Passing
//! Systems* (1995); Lynch & Shvartsman, *Robust emulation of shared memory using dynamic quorum-acknowledged broadcasts*
//! (1997), for many writers.

mod bugs;
mod comparing;
mod coordinating;
mod hints;
mod message;
mod settings;
mod shelf;

use std::collections::BTreeMap;
use std::time::Duration;

pub use message::{Contents, Message, Record};

use crate::protocol::{Bug, Clock, Config, Input, NodeId, Protocol, Recovered, Status};
use crate::random::Random;
use crate::settings::{Setting, Settings};
use crate::tree;
use crate::turn::Turn;
use crate::version::Version;
use bugs::Bugs;
use coordinating::Coordination;
use schism_history::CallKind;
use settings::Mode;
use shelf::Shelf;

/// Between two signs of life.
const SIGN: Duration = Duration::from_millis(100);
/// A node that was not heard of for so long is taken for gone.
const GONE: Duration = Duration::from_millis(500);

/// A node.
pub struct Quorum {
    id: NodeId,
    /// All nodes, in the order of the ring.
    nodes: Vec<NodeId>,
    mode: Mode,
    bugs: Bugs,
    random: Random,
    snapshot_every: u64,

    // On disk.
    /// Counts the node's lives, so that no two of its stamps and questions are ever the same.
    life: u64,
    shelf: Shelf,
    /// What is meant for a node that could not be reached.
    hints: BTreeMap<(NodeId, String), Version>,

    // In memory.
    next_number: u64,
    /// Requests this node coordinates, by the number of the question.
    open: BTreeMap<u64, Coordination>,
    heard: BTreeMap<NodeId, Duration>,
    sign_due: Duration,
    compare_due: Duration,
    hand_over_due: Duration,

    turn: Turn<Quorum>,
}

impl Protocol for Quorum {
    type Message = Message;
    type Record = Record;
    type Snapshot = Contents;

    const TICK: Duration = Duration::from_millis(20);
    const BUGS: &'static [Bug] = bugs::BUGS;
    const SETTINGS: &'static [Setting] = settings::SETTINGS;
    const SPEAKS: &'static [CallKind] = &[CallKind::Read, CallKind::Write];

    fn contradiction(settings: &Settings, nodes: usize) -> Option<String> {
        settings::contradiction(settings, nodes)
    }

    fn idle(bug: &str, settings: &Settings, nodes: usize) -> Option<String> {
        bugs::idle(bug, &Mode::of(settings, nodes))
    }

    fn start(config: Config, recovered: Recovered<Self>, clock: Clock) -> Self {
        let mut node = Quorum {
            id: config.id,
            mode: Mode::of(&config.settings, config.nodes.len()),
            bugs: Bugs::new(&config.bugs),
            random: Random::new(config.seed, u64::from(config.id.0)),
            snapshot_every: config.snapshot_every.max(1),
            life: 0,
            shelf: Shelf::default(),
            hints: BTreeMap::new(),
            next_number: 0,
            open: BTreeMap::new(),
            heard: config.nodes.iter().map(|node| (*node, clock.monotonic)).collect(),
            sign_due: Duration::ZERO,
            compare_due: Duration::ZERO,
            hand_over_due: Duration::ZERO,
            nodes: config.nodes,
            turn: Turn::new(clock),
        };
        if let Some(contents) = recovered.snapshot {
            node.life = contents.life;
            contents
                .versions
                .into_iter()
                .for_each(|(key, version)| node.shelf.put(key, version, clock.monotonic));
            node.hints =
                contents.hints.into_iter().map(|(home, key, version)| ((home, key), version)).collect();
        }
        for record in recovered.records {
            node.redo(record);
        }
        node.life += 1;
        node.turn.append(Record::Life(node.life));
        node.next_number = node.life << 32;
        node.random = Random::new(config.seed ^ node.life << 32, u64::from(config.id.0));
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
        Status {
            node: self.id.to_string(),
            role: "replica".into(),
            term: 0,
            leader: None,
            commit: self.shelf.len() as u64,
            applied: self.shelf.len() as u64,
            ready: true,
            details: Default::default(),
        }
    }
}

impl Quorum {
    fn redo(&mut self, record: Record) {
        let now = self.turn.now();
        match record {
            Record::Life(life) => self.life = life,
            Record::Put { key, version } => self.shelf.put(key, version, now),
            Record::Forget { key } => self.shelf.forget(&key),
            Record::Hint { home, key, version } => {
                self.hints.insert((home, key), version);
            }
            Record::HandedOver { home, key } => {
                self.hints.remove(&(home, key));
            }
        }
    }

    fn tick(&mut self) {
        let now = self.turn.now();
        if now >= self.sign_due {
            self.sign_due = now + SIGN;
            self.turn.send_all(self.others(), &Message::Alive);
        }
        self.drive();
        self.hand_over();
        self.compare();
        for key in self.shelf.forgettable(now, self.mode.grace) {
            self.shelf.forget(&key);
            self.turn.append(Record::Forget { key });
        }
    }

    fn receive(&mut self, from: NodeId, message: Message) {
        self.heard.insert(from, self.turn.now());
        match message {
            Message::Alive => {}
            Message::Ask { number, key } => {
                let version = self.shelf.get(&key).cloned();
                self.turn.send(from, Message::Told { number, version });
            }
            Message::Told { number, version } => self.on_told(from, number, version),
            Message::Put { number, key, version } => {
                self.keep(key, version);
                self.turn.send(from, Message::Stored { number });
            }
            Message::Stored { number } => self.on_stored(from, number),
            Message::Repair { key, version } if self.bugs.repair_overwrites => self.overwrite(key, version),
            Message::Repair { key, version } => self.keep(key, version),
            Message::KeepFor { number, home, key, version } => {
                self.keep_for(home, key, version);
                self.turn.send(from, Message::Stored { number });
            }
            Message::HandOver { key, version } => {
                let stamp = version.stamp;
                self.keep(key.clone(), version);
                self.turn.send(from, Message::TakenOver { key, stamp });
            }
            Message::TakenOver { key, stamp } => self.on_taken_over(from, key, stamp),
            Message::Branches { hashes } => self.on_branches(from, &hashes),
            Message::Leaves { versions, branches } => self.on_leaves(from, versions, &branches),
        }
    }

    /// Takes a version, unless a later one is there.
    fn keep(&mut self, key: String, version: Version) {
        if self.shelf.get(&key).is_none_or(|held| held.stamp < version.stamp) {
            self.overwrite(key, version);
        }
    }

    fn overwrite(&mut self, key: String, version: Version) {
        if version.is_tombstone() && self.bugs.tombstones_forgotten {
            self.shelf.forget(&key);
            return self.turn.append(Record::Forget { key });
        }
        self.shelf.put(key.clone(), version.clone(), self.turn.now());
        self.turn.append(Record::Put { key, version });
    }

    /// The homes of a key, in the order of the ring.
    fn homes(&self, key: &str) -> Vec<NodeId> {
        self.ring_from(key).take(self.mode.n).collect()
    }

    /// All nodes, from a key's first home on.
    fn ring_from(&self, key: &str) -> impl Iterator<Item = NodeId> {
        let first = tree::hash(key.as_bytes()) as usize % self.nodes.len();
        let nodes = &self.nodes;
        (0..nodes.len()).map(move |step| nodes[(first + step) % nodes.len()])
    }

    fn others(&self) -> std::vec::IntoIter<NodeId> {
        let others: Vec<NodeId> = self.nodes.iter().copied().filter(|node| *node != self.id).collect();
        others.into_iter()
    }

    fn is_gone(&self, node: NodeId) -> bool {
        node != self.id
            && self.heard.get(&node).is_none_or(|heard| self.turn.now().saturating_sub(*heard) > GONE)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Writes everything that is on disk anew, in one step.
    fn save(&mut self) {
        let hints = self.hints.iter().map(|((home, key), version)| (*home, key.clone(), version.clone()));
        let contents = Contents { life: self.life, versions: self.shelf.versions(), hints: hints.collect() };
        self.turn.snapshot(contents);
    }
}
