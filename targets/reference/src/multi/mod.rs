//! Multi-leader replication: every node takes writes and reads by itself and answers at once, whoever else can be reached;
//! what was changed goes to all others afterwards.
//!
//! The algorithm in one paragraph. What is under a key can be *joined* with another replica of it, in any order and any
//! number of times, to the same result. A change is a small replica of its own: the node joins it to what it holds, has it
//! on disk, answers, and *ships* it to every other node, again until that node acknowledges it. What shipping lost with a
//! crash is found by comparing trees of hashes with one another. So nodes that can reach one another come to hold the same;
//! what that is depends on how concurrent changes of a key join:
//!
//! | `resolution` | of concurrent changes | and then |
//! |---|---|---|
//! | `lww` | the one with the latest stamp stays | updates that did not know of one another are lost, all but one; what a client had read at its node is never preferred to what it wrote next, unless `stamps = wall` and clocks differ |
//! | `siblings` | all stay | a read gives all, with a *context*; a write that brings the context replaces what that read saw, and nothing else. No acknowledged write is lost but to a client that had seen it |
//! | `merge` | all take effect | a counter is the sum of all increments, a set holds what was added after every remove that had seen it, a text holds all that was typed and nobody took out, each author's words in a row, a register is as with `lww`; `cart.apples` is the field `apples` of the map `cart`. No acknowledged increment, add or character is lost |
//!
//! What it claims, whatever is cut off, crashed or paused: a node that runs answers; all nodes hold the same some while
//! after they can reach one another again; a client that stays with a node reads its own writes, reads no key backwards,
//! and writes after what it read. Nothing is linearizable, nor does one key's change wait for another's at other nodes
//! (no causal order across keys).
//!
//! With `regions` a node holds back for `region-delay-ms` what it sends to nodes of another region, to the next tick: the
//! delay is the store's own, as links are the harness's to slow (nemesis `delay`), not a setting's.
//!
//! One file a verb, to be read in this order:
//!
//! | file | what |
//! |---|---|
//! | `settings` | the modes, and what they must not contradict |
//! | `dotted` | values with dots and contexts: what siblings are made of |
//! | `counter` | counters that merge |
//! | `text` | texts that merge |
//! | `object` | what is under a key, and how it joins |
//! | `message` | what nodes say to one another and write to disk |
//! | `shelf` | what a node holds, and the hashes over it |
//! | `serving` | a client's request |
//! | `shipping` | changes on their way to the others |
//! | `comparing` | anti-entropy |
//! | `bugs` | what can be planted |
//!
//! What is left out: a change of the nodes, exactly-once retries, typing elsewhere than at a text's end, maps that are
//! removed as a whole, and the forgetting of tombstones.
//!
//! Sources: Terry et al., *Managing Update Conflicts in Bayou* (1995); DeCandia et al., *Dynamo* (2007); Kulkarni et al.,
//! *Logical Physical Clocks* (2014), for stamps; and those in `dotted`, `text` and `object`.

mod bugs;
mod comparing;
mod counter;
mod dotted;
mod message;
mod object;
mod serving;
mod settings;
mod shelf;
mod shipping;
mod text;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub use counter::Counter;
pub use dotted::{Context, Dot, Dotted};
pub use message::{Contents, Message, Record};
pub use object::Object;
pub use text::Text;

use schism_history::CallKind;

use crate::protocol::{Bug, Clock, Config, Input, NodeId, Protocol, Recovered, Status};
use crate::random::Random;
use crate::settings::{Setting, Settings};
use crate::turn::Turn;
use bugs::Bugs;
use settings::Mode;
use shelf::Shelf;
use shipping::Outbox;

/// A node.
pub struct Multi {
    id: NodeId,
    nodes: Vec<NodeId>,
    mode: Mode,
    bugs: Bugs,
    random: Random,
    snapshot_every: u64,

    // On disk.
    /// Counts the node's lives, so that no two of its stamps and parcels are ever the same.
    life: u64,
    shelf: Shelf,

    // In memory.
    /// The latest counter of any stamp that was heard of.
    latest: u64,
    next_number: u64,
    /// What each other node is not known to have.
    outboxes: BTreeMap<NodeId, Outbox>,
    /// What is held back on its way to other regions, until when.
    on_the_way: VecDeque<(Duration, NodeId, Message)>,
    compare_due: Duration,
    compared: usize,

    turn: Turn<Multi>,
}

impl Protocol for Multi {
    type Message = Message;
    type Record = Record;
    type Snapshot = Contents;

    const TICK: Duration = Duration::from_millis(20);
    const BUGS: &'static [Bug] = bugs::BUGS;
    const SETTINGS: &'static [Setting] = settings::SETTINGS;
    const SPEAKS: &'static [CallKind] = &[
        CallKind::Read,
        CallKind::Write,
        CallKind::Add,
        CallKind::Remove,
        CallKind::Increment,
        CallKind::Append,
    ];

    fn contradiction(settings: &Settings, nodes: usize) -> Option<String> {
        settings::contradiction(settings, nodes)
    }

    fn idle(bug: &str, settings: &Settings, _: usize) -> Option<String> {
        bugs::idle(bug, &Mode::of(settings))
    }

    fn start(config: Config, recovered: Recovered<Self>, clock: Clock) -> Self {
        let others = config.nodes.iter().copied().filter(|node| *node != config.id);
        let mut node = Multi {
            id: config.id,
            mode: Mode::of(&config.settings),
            bugs: Bugs::new(&config.bugs),
            random: Random::new(config.seed, u64::from(config.id.0)),
            snapshot_every: config.snapshot_every.max(1),
            life: 0,
            shelf: Shelf::default(),
            latest: 0,
            next_number: 0,
            outboxes: others.map(|node| (node, Outbox::default())).collect(),
            on_the_way: VecDeque::new(),
            compare_due: Duration::ZERO,
            compared: 0,
            nodes: config.nodes,
            turn: Turn::new(clock),
        };
        if let Some(Contents { life, objects }) = recovered.snapshot {
            node.life = life;
            for (key, object) in objects {
                node.take(&key, &object);
            }
        }
        recovered.records.into_iter().for_each(|record| node.redo(record));
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
            Input::Tick => self.compare(),
            Input::Message { from, message } => self.receive(from, message),
            Input::Request { ticket, request } => self.request(ticket, request),
        }
        self.ship();
        self.let_out();
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

impl Multi {
    fn receive(&mut self, from: NodeId, message: Message) {
        match message {
            Message::Ship { number, deltas } => self.on_ship(from, number, deltas),
            Message::Shipped { number } => self.on_shipped(from, number),
            Message::Branches { hashes } => self.on_branches(from, &hashes),
            Message::Leaves { objects, branches } => self.on_leaves(from, objects, &branches),
        }
    }

    fn redo(&mut self, record: Record) {
        match record {
            Record::Life(life) => self.life = life,
            Record::Join { key, delta } => {
                self.take(&key, &delta);
            }
            Record::Forget { key } => self.shelf.forget(&key),
        }
    }

    /// A client's change: joined here, and to be shipped.
    fn change(&mut self, key: String, delta: Object) {
        let bugs = self.bugs;
        self.outboxes.values_mut().for_each(|outbox| outbox.add(&key, &delta, &bugs));
        self.learn(key, delta);
    }

    /// Joins what somebody tells to what is here, in memory and on disk.
    fn learn(&mut self, key: String, delta: Object) {
        if !self.take(&key, &delta) {
            return;
        }
        if self.bugs.deletes_forgotten && self.shelf.get(&key).is_some_and(Object::is_deleted) {
            self.shelf.forget(&key);
            return self.turn.append(Record::Forget { key });
        }
        self.turn.append(Record::Join { key, delta });
    }

    /// Joins something in memory. True if anything changes.
    fn take(&mut self, key: &str, delta: &Object) -> bool {
        if let Object::Latest(version) = delta {
            self.latest = self.latest.max(version.stamp.counter);
        }
        self.shelf.join(key, delta, &self.bugs)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Writes everything that is on disk anew, in one step.
    fn save(&mut self) {
        let objects = self.shelf.objects().map(|(key, object)| (key.clone(), object.clone())).collect();
        self.turn.snapshot(Contents { life: self.life, objects });
    }
}

/// A map as a list of pairs, since keys of objects are strings in JSON.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
