//! How configurations are agreed on: one value in a small store of its own, replicated by the family `raft` to all nodes,
//! members or not, and changed only by compare-and-set. Whoever sees a reason proposes the next one; of two that propose
//! at once, one is too late, and looks again.

use std::time::Duration;

use schism_history::Value;

use super::Sharded;
use super::message::{Configuration, Message, Record};
use super::placement::{Item, Layout, majority};
use super::settings::Place;
use crate::protocol::{DiskWrite, Input, NodeId, Operation, Output, Protocol, Request, Ticket};
use crate::raft::{self, Raft};

/// The key in the store of the configuration.
const KEY: &str = "configuration";
/// What another node said of its ranges counts for so long.
const HEARD_LATELY: Duration = Duration::from_millis(500);
/// Between two looks for a reason to change the configuration, at least and at most: nodes do not look at the same time.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(300));

/// What an embedded node of `raft` has on disk, as records of ours.
#[derive(Default)]
pub(super) struct Kept {
    pub snapshot: Option<raft::Snapshot>,
    pub records: Vec<raft::Record>,
}

impl Kept {
    /// A snapshot took the place of what was kept.
    pub(super) fn replace(&mut self, snapshot: raft::Snapshot) {
        self.snapshot = Some(snapshot);
        self.records.clear();
    }
}

impl Sharded {
    pub(super) fn agree(&mut self, input: Input<raft::Message>) {
        let mut output: Output<Raft> = Output::default();
        self.raft.handle(self.turn.clock, input, &mut output);
        for write in output.disk {
            match write {
                DiskWrite::Append(record) => {
                    self.kept.records.push(record.clone());
                    self.turn.append(Record::Agreement(record));
                }
                DiskWrite::Snapshot(snapshot) => {
                    self.kept.replace(snapshot.clone());
                    self.turn.append(Record::AgreementSnapshot(snapshot));
                }
            }
        }
        for (to, message) in output.send {
            self.turn.send(to, Message::Agreement(message));
        }
        if !output.reply.is_empty() {
            self.is_proposing = false;
        }
        let agreed = self.raft.applied_value(KEY);
        if agreed != self.looked_at {
            self.looked_at = agreed;
            if let Some(agreed) = self.agreed() {
                self.adopt(agreed);
            }
        }
    }

    /// What this node knows to be agreed last, if anything was ever agreed.
    fn agreed(&self) -> Option<Configuration> {
        let Value::Text(text) = &self.looked_at else { return None };
        serde_json::from_str(text).ok()
    }

    fn propose(&mut self, next: Configuration) {
        let Ok(text) = serde_json::to_string(&next) else { return };
        let (from, to) = (self.looked_at.clone(), Value::text(&text));
        let operation = if self.bugs.configuration_overwritten {
            Operation::Write(to)
        } else {
            Operation::Cas { from, to }
        };
        self.is_proposing = true;
        let request = Request { key: KEY.into(), operation, session: None, seen: None };
        self.agree(Input::Request { ticket: Ticket(0), request });
    }

    /// Looks for a reason to change the configuration.
    pub(super) fn look(&mut self) {
        if self.turn.now() < self.look_due || self.is_proposing {
            return;
        }
        self.look_due = self.turn.now() + self.random.time(LOOK.0, LOOK.1);
        // What is agreed may be further than where this node lives, if it lives there only in part.
        let current = self.configuration.clone();
        if self.agreed().is_some_and(|agreed| agreed != current) {
            return;
        }
        if !current.is_settled {
            if current.layout.members.iter().all(|node| self.is_complete(*node)) {
                self.propose(Configuration { is_settled: true, ..current });
            }
            return;
        }
        let leads = self.raft.status().role == "leader";
        let changed = self.joining(&current).or_else(|| if leads { self.leading(&current) } else { None });
        if let Some((layout, resting)) = changed {
            let (epoch, previous) = (current.epoch + 1, current.layout);
            self.propose(Configuration { epoch, layout, previous, is_settled: false, resting });
        }
    }

    /// Whether a member has all that is its own, as far as this node knows.
    fn is_complete(&self, node: NodeId) -> bool {
        if node == self.id {
            return self.complete == self.configuration.epoch;
        }
        self.heard
            .get(&node)
            .is_some_and(|heard| heard.is_complete && heard.epoch == self.configuration.epoch)
    }

    /// A node that is no member comes back by itself.
    fn joining(&self, current: &Configuration) -> Option<(Layout, Option<NodeId>)> {
        let is_wanted = !current.layout.members.contains(&self.id) && current.resting != Some(self.id);
        is_wanted.then(|| {
            let mut layout = current.layout.clone();
            layout.members.insert(self.id);
            (layout, current.resting)
        })
    }

    /// What the node that leads the agreement sees to: members that are gone, members in turns, ranges that are full.
    fn leading(&mut self, current: &Configuration) -> Option<(Layout, Option<NodeId>)> {
        let mut layout = current.layout.clone();
        let now = self.turn.now();
        let silent = |node: &NodeId| {
            let heard = self.heard.get(node).map_or(self.started, |heard| heard.at);
            *node != self.id && self.mode.failover.is_some_and(|limit| now.saturating_sub(heard) > limit)
        };
        // Nobody is taken out while a group would have no majority left to take its keys from.
        let can_move =
            |group: &Vec<NodeId>| group.iter().filter(|node| !silent(node)).count() >= majority(group);
        if layout.members.iter().any(silent) && self.placement.groups().iter().all(can_move) {
            layout.members.retain(|node| !silent(node));
            return Some((layout, current.resting));
        }
        if let Some(churn) = self.mode.churn
            && now >= self.churn_due
        {
            self.churn_due = now + churn;
            if let Some(back) = current.resting {
                layout.members.insert(back);
                return Some((layout, None));
            }
            let members: Vec<NodeId> = layout.members.iter().copied().collect();
            let leaves = *self.random.choose(&members)?;
            // A region keeps its last node: its keys could go nowhere.
            let region = |node: &NodeId| self.placement.region_of_node(*node);
            if !members.iter().any(|node| *node != leaves && region(node) == region(&leaves)) {
                return None;
            }
            layout.members.remove(&leaves);
            return Some((layout, Some(leaves)));
        }
        let split = self.fullest()?;
        layout.splits.insert(split).then_some((layout, current.resting))
    }

    /// The middle of the fullest range of all, if it is too full.
    fn fullest(&self) -> Option<Item> {
        if self.mode.place != Place::Ranges {
            return None;
        }
        let is_fresh = |at: Duration| self.turn.now().saturating_sub(at) < HEARD_LATELY;
        let others =
            self.heard.values().filter(|heard| is_fresh(heard.at)).filter_map(|heard| heard.largest.clone());
        let (held, middle) = others.chain(self.largest()).max_by_key(|(held, _)| *held)?;
        (held as usize > self.mode.split_at).then_some(middle)
    }
}
