//! A client's request, at the node that was asked: questions to the homes, versions to them, repair.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schism_history::Value;

use super::Quorum;
use super::message::Message;
use crate::protocol::{NodeId, Operation, Request, Response, Ticket};
use crate::version::{Stamp, Version};

/// A request that was not served after this is given up.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is not answered is sent again after this: messages get lost.
const AGAIN: Duration = Duration::from_millis(200);

/// A request under way.
#[derive(Clone, Debug)]
pub(super) struct Coordination {
    ticket: Ticket,
    key: String,
    stage: Stage,
    again: Duration,
    ends: Duration,
}

#[derive(Clone, Debug)]
enum Stage {
    /// Waits for `r` homes to tell what they hold.
    Asking { told: BTreeMap<NodeId, Option<Version>>, then: Then },
    /// Waits for `w` nodes to have it on disk.
    Putting { version: Version, stored: BTreeSet<NodeId>, stand_ins: BTreeMap<NodeId, NodeId>, then: Then },
    /// Is answered, and only waits for homes that may need repair.
    Repairing { newest: Version, told: BTreeSet<NodeId> },
}

/// What the client wants.
#[derive(Clone, Debug)]
enum Then {
    Read,
    Write(Value),
}

impl Quorum {
    pub(super) fn request(&mut self, ticket: Ticket, Request { key, operation, session, .. }: Request) {
        let then = match operation {
            _ if session.is_some() => return self.turn.refuse(ticket, "this store keeps no sessions"),
            Operation::Read => Then::Read,
            Operation::Write(value) => Then::Write(value),
            _ => {
                return self.turn.refuse(ticket, "a store without a leader has only reads and writes");
            }
        };
        let number = self.number();
        let ends = self.turn.now() + PATIENCE;
        let coordination =
            Coordination { ticket, key, stage: Stage::asking(then.clone()), again: Duration::ZERO, ends };
        self.open.insert(number, coordination);
        match then {
            Then::Write(value) if self.mode.wall_stamps || self.bugs.wall_stamps => {
                let counter = self.turn.clock.wall.as_micros() as u64;
                self.put(number, counter, value);
            }
            _ => self.push(number),
        }
    }

    /// Sends to whoever has not answered yet; to itself without a message.
    fn push(&mut self, number: u64) {
        let again = self.turn.now() + AGAIN;
        let Some(open) = self.open.get_mut(&number) else { return };
        open.again = again;
        let (key, stage) = (open.key.clone(), open.stage.clone());
        match stage {
            Stage::Asking { told, .. } => self.ask(number, key, &told),
            Stage::Putting { version, stored, stand_ins, .. } => {
                self.put_to_homes(number, &key, &version, &stored);
                let keeps_here = self.put_to_stand_ins(number, &key, &version, &stored, stand_ins);
                if keeps_here || self.homes(&key).contains(&self.id) {
                    self.on_stored(self.id, number);
                }
            }
            Stage::Repairing { .. } => {}
        }
    }

    fn ask(&mut self, number: u64, key: String, told: &BTreeMap<NodeId, Option<Version>>) {
        for home in self.homes(&key) {
            if home == self.id {
                let version = self.shelf.get(&key).cloned();
                self.on_told(home, number, version);
            } else if !told.contains_key(&home) {
                self.turn.send(home, Message::Ask { number, key: key.clone() });
            }
        }
    }

    fn put_to_homes(&mut self, number: u64, key: &str, version: &Version, stored: &BTreeSet<NodeId>) {
        for home in self.homes(key) {
            let (key, version) = (key.to_owned(), version.clone());
            if home == self.id {
                self.keep(key, version);
            } else if !stored.contains(&home) {
                self.turn.send(home, Message::Put { number, key, version });
            }
        }
    }

    /// Whether this node itself stands in for a home.
    fn put_to_stand_ins(
        &mut self,
        number: u64,
        key: &str,
        version: &Version,
        stored: &BTreeSet<NodeId>,
        mut stand_ins: BTreeMap<NodeId, NodeId>,
    ) -> bool {
        self.choose_stand_ins(key, &mut stand_ins);
        for (&home, &stand_in) in &stand_ins {
            let (key, version) = (key.to_owned(), version.clone());
            if stand_in == self.id {
                self.keep_for(home, key, version);
            } else if !stored.contains(&stand_in) {
                self.turn.send(stand_in, Message::KeepFor { number, home, key, version });
            }
        }
        let keeps_here = stand_ins.values().any(|stand_in| *stand_in == self.id);
        if let Some(Coordination { stage: Stage::Putting { stand_ins: chosen, .. }, .. }) =
            self.open.get_mut(&number)
        {
            *chosen = stand_ins;
        }
        keeps_here
    }

    pub(super) fn on_told(&mut self, from: NodeId, number: u64, version: Option<Version>) {
        let (r, bug) = (self.mode.r, self.bugs.reads_one);
        let Some(Coordination { key, stage, .. }) = self.open.get_mut(&number) else { return };
        let key = key.clone();
        match stage {
            Stage::Asking { told, then } => {
                told.insert(from, version);
                let enough = if bug && matches!(then, Then::Read) { 1 } else { r };
                if told.len() >= enough {
                    let (told, then) = (std::mem::take(told), then.clone());
                    self.asked(number, told, then);
                }
            }
            Stage::Repairing { newest, told } => {
                let is_behind = version.is_none_or(|version| version.stamp < newest.stamp);
                let newest = newest.clone();
                if told.insert(from) && is_behind {
                    self.turn.send(from, Message::Repair { key, version: newest });
                }
            }
            Stage::Putting { .. } => {}
        }
    }

    /// Enough homes have told what they hold.
    fn asked(&mut self, number: u64, told: BTreeMap<NodeId, Option<Version>>, then: Then) {
        let newest = told.values().flatten().max_by_key(|version| version.stamp).cloned();
        match (then, newest) {
            (Then::Write(value), newest) => {
                let counter = newest.map_or(0, |version| version.stamp.counter) + 1;
                self.put(number, counter, value);
            }
            (Then::Read, None) => {
                self.end(number, Response::Value(Value::Nil));
            }
            (Then::Read, Some(newest)) => {
                let have = told.iter().filter(|(_, version)| version.as_ref() == Some(&newest));
                let stored: BTreeSet<NodeId> = have.map(|(node, _)| *node).collect();
                if self.mode.write_back && !self.bugs.reads_one && stored.len() < self.mode.w {
                    return self.begin_putting(number, newest, stored, Then::Read);
                }
                self.repair(number, newest, &told);
            }
        }
    }

    /// Answers a read, and tells the homes that are behind.
    fn repair(&mut self, number: u64, newest: Version, told: &BTreeMap<NodeId, Option<Version>>) {
        let Some(Coordination { ticket, key, stage, .. }) = self.open.get_mut(&number) else { return };
        let (ticket, key) = (*ticket, key.clone());
        *stage = Stage::Repairing { newest: newest.clone(), told: told.keys().copied().collect() };
        self.turn.reply(ticket, Response::Value(newest.value.clone()));
        if !self.mode.read_repair {
            self.open.remove(&number);
            return;
        }
        if self.bugs.repair_overwrites {
            let others = self.homes(&key).into_iter().filter(|home| *home != self.id);
            return self.turn.send_all(others, &Message::Repair { key, version: newest });
        }
        for (node, version) in told {
            let is_behind = version.as_ref().is_none_or(|version| version.stamp < newest.stamp);
            if is_behind && *node == self.id {
                self.keep(key.clone(), newest.clone());
            } else if is_behind {
                self.turn.send(*node, Message::Repair { key: key.clone(), version: newest.clone() });
            }
        }
    }

    fn put(&mut self, number: u64, counter: u64, value: Value) {
        let stamp = Stamp { counter, node: self.id, number };
        let then = Then::Write(value.clone());
        self.begin_putting(number, Version { stamp, value }, BTreeSet::new(), then);
    }

    fn begin_putting(&mut self, number: u64, version: Version, stored: BTreeSet<NodeId>, then: Then) {
        let Some(open) = self.open.get_mut(&number) else { return };
        open.stage = Stage::Putting { version, stored, stand_ins: BTreeMap::new(), then };
        self.push(number);
    }

    pub(super) fn on_stored(&mut self, from: NodeId, number: u64) {
        let enough = if self.bugs.writes_one { 1 } else { self.mode.w };
        let Some(open) = self.open.get_mut(&number) else { return };
        let Stage::Putting { version, stored, then, .. } = &mut open.stage else { return };
        stored.insert(from);
        if stored.len() >= enough {
            let response = match then {
                Then::Read => Response::Value(version.value.clone()),
                Then::Write(_) => Response::Done,
            };
            self.end(number, response);
        }
    }

    fn end(&mut self, number: u64, response: Response) {
        if let Some(Coordination { ticket, .. }) = self.open.remove(&number) {
            self.turn.reply(ticket, response);
        }
    }

    /// Sends again what is not answered, and gives up what takes too long.
    pub(super) fn drive(&mut self) {
        let now = self.turn.now();
        let due: Vec<u64> =
            self.open.iter().filter(|(_, open)| now >= open.again.min(open.ends)).map(|(n, _)| *n).collect();
        for number in due {
            let Some(Coordination { ends, stage, .. }) = self.open.get(&number) else { continue };
            if now < *ends {
                self.push(number);
                continue;
            }
            match stage {
                Stage::Repairing { .. } => drop(self.open.remove(&number)),
                Stage::Putting { then: Then::Write(_), .. } => {
                    let reason = "too few homes have answered that they have it".into();
                    self.end(number, Response::Unknown { reason });
                }
                // A read changes nothing that was not written, and a write that has no stamp yet has reached nobody.
                Stage::Asking { .. } | Stage::Putting { then: Then::Read, .. } => {
                    let reason = "too few homes have answered".into();
                    self.end(number, Response::Refused { reason, leader: None });
                }
            }
        }
    }
}

impl Stage {
    fn asking(then: Then) -> Stage {
        Stage::Asking { told: BTreeMap::new(), then }
    }
}
