//! What is counted of a run for the evidence, part by part: the operations of any key are in one part.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use schism_history::{Argument, CallKind, History, Operation, Outcome, Position, Time, Value};

use super::{Windows, doubt, entered};
use crate::everyday::HERE;
use crate::parts::Part;
use crate::verdict::Doubt;

/// Everything counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) kinds: BTreeMap<CallKind, OfKind>,
    /// By node: how many calls were ok, of all.
    pub(super) nodes: BTreeMap<Arc<str>, (usize, usize)>,
    /// Reads that were ok and began in the final phase.
    pub(super) final_reads: usize,
    /// Keys that were not empty before anybody changed them, and the first read that saw it, with its place.
    dirty: usize,
    first_dirty: Option<(usize, Operation)>,
    /// Writes of what had been written to their key before, and the first of them, with its place, after the earlier one.
    reused: usize,
    first_reused: Option<(usize, Operation, Operation)>,
}

/// The calls of one kind; beside outcomes, those that were ok.
#[derive(Debug, Default)]
pub(super) struct OfKind {
    /// How many were ok, failed, and are of unknown fate.
    pub(super) outcomes: [usize; 3],
    /// Over before the first fault.
    pub(super) before: usize,
    /// By kind of fault: from begin to end while such a one was open.
    pub(super) during: BTreeMap<String, usize>,
    /// Begun after the last fault.
    pub(super) after: usize,
}

impl OfKind {
    pub(super) fn ok(&self) -> usize {
        self.outcomes[0]
    }
}

/// What was counted of a kind that nobody called.
static NONE: OfKind = OfKind { outcomes: [0; 3], before: 0, during: BTreeMap::new(), after: 0 };

impl Counts {
    pub(super) fn of(&self, kind: CallKind) -> &OfKind {
        self.kinds.get(&kind).unwrap_or(&NONE)
    }

    /// Counts one part.
    pub(super) fn take(&mut self, part: &Part<'_>, windows: &Windows<'_>, unique_values: bool) {
        let history = part.history;
        let first = history.faults.iter().map(|fault| fault.began).min().unwrap_or(Time(0));
        let last = history.faults.iter().map(|fault| fault.ended.unwrap_or(Time::NEVER)).max();
        let last = last.unwrap_or(Time::NEVER);
        let the_end = entered(history, "final").unwrap_or(Time::NEVER);
        for operation in history.operations() {
            let of = self.kinds.entry(operation.call.kind()).or_default();
            let slot = match operation.outcome {
                Outcome::Ok(_) => 0,
                Outcome::Fail(_) => 1,
                Outcome::Info(_) => 2,
            };
            of.outcomes[slot] += 1;
            if let Some(node) = &operation.node {
                let (ok, all) = match self.nodes.get_mut(node) {
                    Some(known) => known,
                    None => self.nodes.entry(node.clone()).or_default(),
                };
                *ok += usize::from(slot == 0);
                *all += 1;
            }
            if slot != 0 {
                continue;
            }
            of.before += usize::from(operation.completed < first);
            of.after += usize::from(operation.invoked > last);
            for (fault, _) in windows.iter().filter(|(_, windows)| inside(windows, &operation)) {
                *of.during.entry((*fault).into()).or_default() += 1;
            }
            let is_read = operation.call.kind() == CallKind::Read;
            self.final_reads += usize::from(is_read && operation.invoked >= the_end);
        }
        self.dirty_start(part);
        if unique_values {
            self.reused_values(part);
        }
    }

    /// Before anybody changed a key, it must read as empty.
    fn dirty_start(&mut self, part: &Part<'_>) {
        let columns = part.history.columns();
        let mut changed = vec![Position::MAX; columns.keys().len()];
        for (at, key) in columns.key().iter().enumerate() {
            let changed = &mut changed[*key as usize];
            if *changed == Position::MAX && changes(part.history, at) {
                *changed = columns.invoke()[at];
            }
        }
        let mut dirty = vec![false; columns.keys().len()];
        for (at, key) in columns.key().iter().enumerate() {
            if columns.kind()[at] != CallKind::Read || columns.complete()[at] >= changed[*key as usize] {
                continue;
            }
            let operation = part.history.operation(at);
            // What a node holds of another key: that one is changed, and never this.
            let asks_of_another = matches!(operation.call.key(), Value::Text(key) if key.ends_with(HERE));
            if !asks_of_another && operation.read().is_some_and(|value| !is_empty(value)) {
                self.dirty += usize::from(!std::mem::replace(&mut dirty[*key as usize], true));
                keep(
                    &mut self.first_dirty,
                    part.place(at),
                    |(place, _)| *place,
                    || (part.place(at), operation),
                );
            }
        }
    }

    /// Judges that follow a value back to its write need it to be written once.
    fn reused_values(&mut self, part: &Part<'_>) {
        let columns = part.history.columns();
        let mut writers: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        for (at, key) in columns.key().iter().enumerate() {
            use CallKind::{Add, Append, Cas, Enqueue, Push, Write};
            let argument = columns.argument()[at];
            let value = match columns.kind()[at] {
                Write | Add | Append | Enqueue | Push => argument,
                Cas => columns.swaps()[argument as usize][1],
                _ => continue,
            };
            if let Some(earlier) = writers.insert((*key, value), at as u32) {
                self.reused += 1;
                let both = || {
                    let earlier = part.history.operation(earlier as usize);
                    (part.place(at), earlier, part.history.operation(at))
                };
                keep(&mut self.first_reused, part.place(at), |(place, ..)| *place, both);
            }
        }
    }

    pub(super) fn tell_dirty_start(&self, doubts: &mut Vec<Doubt>) {
        let Some((_, read)) = &self.first_dirty else { return };
        let value = read.read().unwrap_or(&Value::Nil);
        let others = match self.dirty {
            1 => String::new(),
            keys => format!(", and so were {} other keys", keys - 1),
        };
        doubt(
            doubts,
            format!(
                "dirty start: {} read {value} of key {} at {}, before anybody changed it{others}",
                read.process,
                read.call.key(),
                read.completed
            ),
            "start from an empty store: `schism clean` removes what an earlier run left",
        );
    }

    pub(super) fn tell_reused_values(&self, doubts: &mut Vec<Doubt>) {
        let Some((_, earlier, later)) = &self.first_reused else { return };
        let (Argument::Value(value) | Argument::Two(_, value)) = later.call.argument() else { return };
        let others = match self.reused {
            1 => String::new(),
            all => format!(", and {} more like this", all - 1),
        };
        doubt(
            doubts,
            format!(
                "{value} was written to key {} twice, by {} at {} and by {} at {}{others}",
                later.call.key(),
                earlier.process,
                earlier.invoked,
                later.process,
                later.invoked
            ),
            "let the workload write every value once",
        );
    }
}

/// Keeps the one with the smaller place.
fn keep<T>(first: &mut Option<T>, place: usize, of: impl Fn(&T) -> usize, new: impl FnOnce() -> T) {
    if first.as_ref().is_none_or(|first| place < of(first)) {
        *first = Some(new());
    }
}

fn inside(windows: &[(Time, Time)], operation: &Operation) -> bool {
    let after = windows.partition_point(|(began, _)| *began <= operation.invoked);
    after > 0 && operation.completed <= windows[after - 1].1
}

fn changes(history: &History, at: usize) -> bool {
    match history.columns().kind()[at] {
        CallKind::Read | CallKind::Contains | CallKind::Watch => false,
        CallKind::Txn => history.columns().call(at).changes(),
        _ => true,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Bool(_) | Value::Int(_) => false,
    }
}
