//! A client's request, at the node that was asked: it finds the group of the key, asks a majority of it, and puts to a
//! majority of it. Each item is an atomic register (as in the family `quorum`, with write-back), within one epoch; what
//! is under way when an epoch ends begins again in the next one, a write with the stamp that it has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schism_history::Value;

use super::Sharded;
use super::message::Message;
use super::placement::{Item, Part, majority};
use crate::protocol::{NodeId, Operation, Request, Response, Ticket};
use crate::version::{Stamp, Version};

/// A request that was not served after this is given up.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is not answered is sent again after this: messages get lost, and nodes of another epoch say nothing.
const AGAIN: Duration = Duration::from_millis(100);

/// A read of `KEY@here` is answered with what the node that is asked holds of `KEY` itself.
const HERE: &str = "@here";

/// A request under way.
pub(super) struct Open {
    ticket: Ticket,
    does: Does,
    stage: Stage,
    again: Duration,
    ends: Duration,
}

/// What the client wants.
#[derive(Clone)]
enum Does {
    Scan { key: String },
    Write { item: Item, value: Value },
    Add { item: Item },
}

enum Stage {
    /// Waits until a majority of each part's group has told.
    Asking(Vec<Asked>),
    /// Waits until a majority of each item's group has it on disk.
    Putting { puts: Vec<Put>, then: Response },
}

struct Asked {
    part: Part,
    group: Vec<NodeId>,
    told: BTreeMap<NodeId, Vec<(Item, Version)>>,
}

struct Put {
    item: Item,
    version: Version,
    group: Vec<NodeId>,
    stored: BTreeSet<NodeId>,
}

impl Sharded {
    pub(super) fn request(&mut self, ticket: Ticket, Request { key, operation, session, .. }: Request) {
        let register = Item { key: key.clone(), element: None };
        let does = match operation {
            _ if session.is_some() => return self.turn.refuse(ticket, "this store keeps no sessions"),
            Operation::Read if key.ends_with(HERE) => return self.look_here(ticket, &key),
            Operation::Read => Does::Scan { key },
            Operation::Write(value) => Does::Write { item: register.clone(), value },
            Operation::Add(element) => Does::Add { item: Item { key, element: Some([element]) } },
            _ => return self.turn.refuse(ticket, "this store has reads, writes, and sets that are added to"),
        };
        if self.placement.group(&register).is_empty() {
            let region = self.placement.region_of_key(&register.key) + 1;
            let rule = format!("no node of region r{region} is a member, and its keys must not leave it");
            return self.turn.refuse(ticket, &rule);
        }
        *self.asked.entry(self.placement.shard(&register)).or_default() += 1;
        let number = self.number();
        let stage = self.asking(&does);
        self.open.insert(
            number,
            Open { ticket, does, stage, again: self.turn.now(), ends: self.turn.now() + PATIENCE },
        );
        self.begin(number);
    }

    /// Answers with what stands here under a key, whoever else holds it: so that it can be seen where keys are.
    fn look_here(&mut self, ticket: Ticket, asked: &str) {
        let key = asked.strip_suffix(HERE).unwrap_or(asked).to_string();
        let held = self.items.get(&Item { key, element: None });
        let value = held.map_or(Value::Nil, |version| version.value.clone());
        self.turn.reply(ticket, Response::Value(value));
    }

    /// A new epoch: all that is under way begins again in it.
    pub(super) fn begin_again(&mut self) {
        self.open.keys().copied().collect::<Vec<_>>().into_iter().for_each(|number| self.begin(number));
    }

    fn begin(&mut self, number: u64) {
        let Some(open) = self.open.remove(&number) else { return };
        let stage = match (&open.does, open.stage) {
            (Does::Add { item }, _) => {
                // To add twice is to add once: any stamp will do.
                let stamp = Stamp { counter: 1, node: self.id, number };
                self.putting(
                    vec![(item.clone(), Version { stamp, value: Value::Bool(true) })],
                    Response::Done,
                )
            }
            (Does::Write { .. }, Stage::Putting { puts, then }) if !self.bugs.retry_takes_new_stamp => {
                self.putting(puts.into_iter().map(|put| (put.item, put.version)).collect(), then)
            }
            (does, _) => self.asking(does),
        };
        self.open.insert(number, Open { stage, ..open });
        self.push(number);
    }

    fn asking(&self, does: &Does) -> Stage {
        let parts = match does {
            Does::Scan { key } => self.placement.parts(key, self.bugs.scan_ends_at_split),
            Does::Write { item, .. } | Does::Add { item } => {
                let first_element = Item { key: item.key.clone(), element: Some([Value::Nil]) };
                vec![Part { from: item.clone(), to: Some(first_element) }]
            }
        };
        let asked =
            |part: Part| Asked { group: self.placement.group(&part.from), part, told: BTreeMap::new() };
        Stage::Asking(parts.into_iter().map(asked).collect())
    }

    fn putting(&self, versions: Vec<(Item, Version)>, then: Response) -> Stage {
        let put = |(item, version)| Put {
            group: self.placement.group(&item),
            item,
            version,
            stored: BTreeSet::new(),
        };
        Stage::Putting { puts: versions.into_iter().map(put).collect(), then }
    }

    /// Sends to whoever has not answered yet; to itself last.
    fn push(&mut self, number: u64) {
        let (epoch, again) = (self.configuration.epoch, self.turn.now() + AGAIN);
        let Some(open) = self.open.get_mut(&number) else { return };
        open.again = again;
        let mut messages = Vec::new();
        match &open.stage {
            Stage::Asking(parts) => {
                for (part, Asked { part: Part { from, to }, group, told }) in parts.iter().enumerate() {
                    let ask = Message::Ask { number, epoch, part, from: from.clone(), to: to.clone() };
                    let silent = group.iter().filter(|node| !told.contains_key(node));
                    messages.extend(silent.map(|node| (*node, ask.clone())));
                }
            }
            Stage::Putting { puts, .. } => {
                for Put { item, version, group, stored } in puts {
                    let put = Message::Put { number, epoch, item: item.clone(), version: version.clone() };
                    let silent = group.iter().filter(|node| !stored.contains(node));
                    messages.extend(silent.map(|node| (*node, put.clone())));
                }
            }
        }
        messages.sort_by_key(|(node, _)| *node == self.id);
        messages.into_iter().for_each(|(node, message)| self.send(node, message));
    }

    pub(super) fn on_ask(&mut self, from: NodeId, number: u64, epoch: u64, part: usize, scan: Part) {
        if !self.serves(epoch, &scan.from) {
            return;
        }
        let is_within =
            |item: &Item| item.key == scan.from.key && scan.to.as_ref().is_none_or(|to| item < to);
        let items = self.items.range(&scan.from..).take_while(|(item, _)| is_within(item));
        let items = items.map(|(item, version)| (item.clone(), version.clone())).collect();
        self.send(from, Message::Told { number, epoch, part, items });
    }

    pub(super) fn on_told(&mut self, from: NodeId, number: u64, part: usize, items: Vec<(Item, Version)>) {
        let Some(Open { does, stage: Stage::Asking(parts), .. }) = self.open.get_mut(&number) else { return };
        let Some(asked) = parts.get_mut(part) else { return };
        asked.told.insert(from, items);
        if parts.iter().all(|asked| asked.told.len() >= majority(&asked.group)) {
            let (does, parts) = (does.clone(), std::mem::take(parts));
            self.asked(number, does, parts);
        }
    }

    /// Enough nodes of each group have told what they hold.
    fn asked(&mut self, number: u64, does: Does, parts: Vec<Asked>) {
        let (newest, unsure) = newest(&parts);
        let (puts, then) = match does {
            Does::Write { item, value } => {
                let counter = newest.get(&item).map_or(0, |version| version.stamp.counter) + 1;
                let stamp = Stamp { counter, node: self.id, number };
                (vec![(item, Version { stamp, value })], Response::Done)
            }
            Does::Scan { .. } | Does::Add { .. } => (unsure, Response::Value(what_is_there(newest))),
        };
        let stage = self.putting(puts, then);
        let Some(open) = self.open.get_mut(&number) else { return };
        open.stage = stage;
        self.push(number);
        self.end_if_stored(number);
    }

    pub(super) fn on_put(&mut self, from: NodeId, number: u64, epoch: u64, item: Item, version: Version) {
        if self.serves(epoch, &item) {
            self.keep(item.clone(), version);
            self.send(from, Message::Stored { number, epoch, item });
        }
    }

    pub(super) fn on_stored(&mut self, from: NodeId, number: u64, item: &Item) {
        let Some(Open { stage: Stage::Putting { puts, .. }, .. }) = self.open.get_mut(&number) else {
            return;
        };
        puts.iter_mut().filter(|put| put.item == *item).for_each(|put| {
            put.stored.insert(from);
        });
        self.end_if_stored(number);
    }

    fn end_if_stored(&mut self, number: u64) {
        if let Some(Open { stage: Stage::Putting { puts, then }, .. }) = self.open.get(&number)
            && puts.iter().all(|put| put.stored.len() >= majority(&put.group))
        {
            let response = then.clone();
            self.end(number, response);
        }
    }

    fn end(&mut self, number: u64, response: Response) {
        if let Some(Open { ticket, .. }) = self.open.remove(&number) {
            self.turn.reply(ticket, response);
        }
    }

    /// Sends again what is not answered, and gives up what takes too long.
    pub(super) fn drive(&mut self) {
        let now = self.turn.now();
        let due = self.open.iter().filter(|(_, open)| now >= open.again.min(open.ends));
        for number in due.map(|(number, _)| *number).collect::<Vec<_>>() {
            match self.open.get(&number) {
                Some(Open { ends, .. }) if now < *ends => self.push(number),
                Some(Open { stage: Stage::Putting { then: Response::Done, .. }, .. }) => {
                    let reason = "too few nodes of the key's group have answered that they have it".into();
                    self.end(number, Response::Unknown { reason });
                }
                // A read changes nothing, and a write without a stamp has reached nobody.
                _ => {
                    let reason = "too few nodes of the key's group have answered".into();
                    self.end(number, Response::Refused { reason, leader: None });
                }
            }
        }
    }
}

/// The newest version of each item that was told, and those of which it is not known that a majority has them.
fn newest(parts: &[Asked]) -> (BTreeMap<Item, Version>, Vec<(Item, Version)>) {
    let (mut newest, mut unsure) = (BTreeMap::<Item, Version>::new(), Vec::new());
    for Asked { group, told, .. } in parts {
        let mut of_part = BTreeMap::<&Item, (&Version, usize)>::new();
        for (item, version) in told.values().flatten() {
            let (held, by) = of_part.entry(item).or_insert((version, 0));
            match version.stamp.cmp(&held.stamp) {
                std::cmp::Ordering::Greater => (*held, *by) = (version, 1),
                std::cmp::Ordering::Equal => *by += 1,
                std::cmp::Ordering::Less => {}
            }
        }
        for (item, (version, by)) in of_part {
            if by < majority(group) {
                unsure.push((item.clone(), version.clone()));
            }
            newest.insert(item.clone(), version.clone());
        }
    }
    (newest, unsure)
}

/// What a read of a key answers: the register if there is one, else the set of what was added, in order.
fn what_is_there(newest: BTreeMap<Item, Version>) -> Value {
    let register = newest.iter().find(|(item, _)| item.element.is_none());
    match register {
        Some((_, version)) => version.value.clone(),
        None if newest.is_empty() => Value::Nil,
        None => Value::list(newest.into_keys().filter_map(|item| item.element).flatten()),
    }
}
