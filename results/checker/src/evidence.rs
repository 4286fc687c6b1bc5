//! Whether a pass was earned: enough calls were answered, every fault bit, and the run came to its end.
//!
//! Finds what would make a Valid hollow, and says it as doubts with a hint: too few calls with outcome ok in all, before,
//! during or after the faults; a planned fault that never happened, never ended, or had no measured effect; an unanswered
//! final phase; a run that was cut; a node that died for a reason that may be the machine's; values written twice where
//! judges rely on unique ones; a store that was not empty at the start. Never finds an anomaly: a lack is no proof.
//!
//! Cannot find: a measurement of an effect that is itself wrong; a client that reports ok without asking the store.
//! Linear in the number of operations (times the logarithm of the number of fault windows).

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};
use schism_history::{Call, CallKind, FaultWindow, History, Key, Operation, Outcome, Time, Value};

use crate::verdict::{Budget, Checker, Doubt, Judgement};

/// How many doubts of the same sort are told one by one.
const TOLD: usize = 3;

/// How many calls of one kind must have ended in ok. Zero asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enough {
    /// The kind of call.
    pub kind: CallKind,
    /// In the whole run.
    pub in_all: usize,
    /// Completed before the first fault began. Asked for only if there was a fault.
    pub before: usize,
    /// Invoked and completed while faults of one kind were open, counted over all windows of that kind, and asked for of
    /// every kind of fault.
    pub during: usize,
    /// Invoked after the last fault had ended. Asked for only if there was a fault.
    pub after: usize,
}

impl Enough {
    /// A number for the whole run, and at least one before, during and after the faults.
    pub fn in_all(kind: CallKind, in_all: usize) -> Self {
        Enough { kind, in_all, before: 1, during: 1, after: 1 }
    }
}

/// The judge of whether a pass was earned.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What is asked of each kind of call the workload uses.
    pub calls: Vec<Enough>,
    /// The kinds of fault that were planned, by the word in [`FaultWindow::fault`]: each must have happened.
    pub faults: Vec<String>,
    /// Whether the workload promises never to write the same value twice to one key.
    pub unique_values: bool,
}

impl Checker for Evidence {
    fn name(&self) -> &'static str {
        "evidence"
    }

    fn check(&self, history: &History, _budget: Budget<'_>) -> Judgement {
        let windows = windows_by_fault(history);
        let mut doubts = Vec::new();
        phases(history, &mut doubts);
        self.enough_calls(history, &windows, &mut doubts);
        self.planned_faults(history, &mut doubts);
        fault_effects(history, &mut doubts);
        deaths(history, &mut doubts);
        dirty_start(history, &mut doubts);
        if self.unique_values {
            reused_values(history, &mut doubts);
        }
        facts(history, &windows, Judgement::new(self.name(), "whether a pass is earned", Vec::new(), doubts))
    }
}

fn doubt(doubts: &mut Vec<Doubt>, reason: String, hint: &str) {
    doubts.push(Doubt { reason, hint: Some(hint.into()) });
}

/// The times during which each kind of fault was open: disjoint and in order. An open end is [`Time::NEVER`].
fn windows_by_fault(history: &History) -> BTreeMap<&str, Vec<(Time, Time)>> {
    let mut windows: BTreeMap<&str, Vec<(Time, Time)>> = BTreeMap::new();
    for fault in &history.faults {
        let ended = fault.ended.unwrap_or(Time::NEVER);
        let merged = windows.entry(&fault.fault).or_default();
        match merged.last_mut() {
            Some(last) if fault.began <= last.1 => last.1 = last.1.max(ended),
            _ => merged.push((fault.began, ended)),
        }
    }
    windows
}

fn inside(windows: &[(Time, Time)], operation: &Operation) -> bool {
    let after = windows.partition_point(|(began, _)| *began <= operation.invoked);
    after > 0 && operation.completed <= windows[after - 1].1
}

fn count(history: &History, kind: CallKind, when: impl Fn(&Operation) -> bool) -> usize {
    let ok = |operation: &&Operation| operation.outcome.is_ok() && operation.call.kind() == kind;
    history.rows().iter().filter(ok).filter(|operation| when(operation)).count()
}

/// `no read was ok`, `only 2 reads were ok`.
fn only(count: usize, kind: CallKind) -> String {
    match count {
        0 => format!("no {kind} was ok"),
        1 => format!("only 1 {kind} was ok"),
        _ => format!("only {count} calls of {kind} were ok"),
    }
}

impl Evidence {
    fn enough_calls(
        &self,
        history: &History,
        windows: &BTreeMap<&str, Vec<(Time, Time)>>,
        doubts: &mut Vec<Doubt>,
    ) {
        let first = history.faults.iter().map(|fault| fault.began).min();
        // After a fault that never ended there is no "after": that fault is a doubt of its own.
        let last =
            history.faults.iter().map(|fault| fault.ended).max_by_key(|end| end.unwrap_or(Time::NEVER));
        for enough in &self.calls {
            let kind = enough.kind;
            let mut ask = |asked: usize, got: usize, when: &str, hint: &str| {
                if got < asked {
                    doubt(doubts, format!("{}{when}; at least {asked} needed", only(got, kind)), hint);
                }
            };
            let in_all = count(history, kind, |_| true);
            ask(
                enough.in_all,
                in_all,
                " in the whole run",
                "raise --time-limit or --rate, or look at why calls fail",
            );
            if in_all == 0 {
                continue;
            }
            if let Some(first) = first {
                let got = count(history, kind, |operation| operation.completed < first);
                ask(
                    enough.before,
                    got,
                    " before the first fault",
                    "let the run go on for longer before the first fault",
                );
            }
            for (fault, windows) in windows {
                let got = count(history, kind, |operation| inside(windows, operation));
                let when = format!(" during {fault}");
                ask(enough.during, got, &when, "let the fault last longer, or strike fewer nodes at once");
            }
            if let Some(Some(last)) = last {
                let got = count(history, kind, |operation| operation.invoked > last);
                ask(
                    enough.after,
                    got,
                    " after the last fault",
                    "let the run go on for longer after the last fault",
                );
            }
        }
    }

    fn planned_faults(&self, history: &History, doubts: &mut Vec<Doubt>) {
        let happened: BTreeSet<&str> = history.faults.iter().map(|fault| fault.fault.as_str()).collect();
        for planned in self.faults.iter().filter(|planned| !happened.contains(planned.as_str())) {
            doubt(
                doubts,
                format!("{planned} was planned but never happened"),
                "raise --time-limit, or see `schism doctor` for what this machine can do",
            );
        }
    }
}

/// The run must have ended by itself, and its final phase must have been answered.
fn phases(history: &History, doubts: &mut Vec<Doubt>) {
    let entered = |name| history.phases.iter().rfind(|(_, phase)| phase == name).map(|(time, _)| *time);
    if entered("end").is_none() {
        doubt(doubts, "the run was cut: its history has no end".into(), "let the run end by itself");
    }
    let Some(time) = entered("final") else {
        let hint = "raise --time-limit, and let the workload read everything once more at the end";
        return doubt(doubts, "the run never came to its final phase".into(), hint);
    };
    if count(history, CallKind::Read, |operation| operation.invoked >= time) == 0 {
        let hint = "see why the cluster did not recover after the last fault: its logs are kept with the run";
        doubt(doubts, "no read was ok in the final phase".into(), hint);
    }
}

/// Each fault must have ended, and have been measured to bite.
fn fault_effects(history: &History, doubts: &mut Vec<Doubt>) {
    let mut told: FxHashMap<&str, usize> = FxHashMap::default();
    for window in &history.faults {
        let Some((what, hint)) = lack(window) else { continue };
        let number = told.entry(&window.fault).or_default();
        *number += 1;
        if *number <= TOLD {
            let detail = if window.detail.is_empty() { "no detail" } else { &window.detail };
            let reason = format!("{} (fault {}: {detail}) {what}", window.fault, window.id);
            doubt(doubts, reason, hint);
        }
    }
    let mut more: Vec<_> = told.into_iter().filter(|(_, number)| *number > TOLD).collect();
    more.sort_unstable();
    for (fault, number) in more {
        let reason = format!("{} more faults of {fault} like this", number - TOLD);
        doubt(doubts, reason, "see the fault lines of the history");
    }
}

fn lack(window: &FaultWindow) -> Option<(String, &'static str)> {
    if window.ended.is_none() {
        let hint = "let the run end by itself, or look at why the fault could not be undone";
        return Some((format!("began at {} and never ended", window.began), hint));
    }
    match &window.effect {
        None => Some(("left no measured effect".into(), "the nemesis must measure what it broke")),
        Some(effect) if !effect.bit => Some((
            format!("did not bite: {}", effect.evidence),
            "let the fault last longer, or see `schism doctor` for what this machine can do",
        )),
        Some(_) => None,
    }
}

/// Nodes that died for a reason that may be the machine's.
fn deaths(history: &History, doubts: &mut Vec<Doubt>) {
    let doubtful: Vec<_> = history.notes.iter().filter(|(_, note)| note.doubt).collect();
    for (time, note) in doubtful.iter().take(TOLD) {
        doubt(
            doubts,
            format!("{} by itself at {time}: {}; that may be the machine's doing", note.node, note.text),
            "see whether the machine ran out of memory, and the node's log",
        );
    }
    if doubtful.len() > TOLD {
        let reason = format!("{} more nodes like this", doubtful.len() - TOLD);
        doubt(doubts, reason, "see the note lines of the history");
    }
}

/// Before anybody changed a key, it must read as empty.
fn dirty_start(history: &History, doubts: &mut Vec<Doubt>) {
    let mut changed: FxHashMap<&Key, u32> = FxHashMap::default();
    for operation in history.rows().iter().filter(|operation| operation.call.changes()) {
        changed.entry(operation.call.key()).or_insert(operation.invoke);
    }
    let empty = |value: &Value| match value {
        Value::Nil => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Bool(_) | Value::Int(_) => false,
    };
    let mut dirty: FxHashSet<&Key> = FxHashSet::default();
    let mut first: Option<&Operation> = None;
    for operation in history.rows() {
        let key = operation.call.key();
        let early = changed.get(key).is_none_or(|change| operation.complete < *change);
        if early && operation.read().is_some_and(|value| !empty(value)) {
            dirty.insert(key);
            first = first.or(Some(operation));
        }
    }
    if let Some(read) = first {
        let value = read.read().unwrap_or(&Value::Nil);
        let others = match dirty.len() {
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
}

/// Judges that follow a value back to its write need it to be written once.
fn reused_values(history: &History, doubts: &mut Vec<Doubt>) {
    let mut writers: FxHashMap<(&Key, &Value), &Operation> = FxHashMap::default();
    let mut first: Option<(&Operation, &Operation, &Value)> = None;
    let mut reused = 0usize;
    for operation in history.rows() {
        let (key, value) = match &operation.call {
            Call::Write { key, value }
            | Call::Add { key, value }
            | Call::Append { key, value }
            | Call::Enqueue { key, value }
            | Call::Push { key, value } => (key, value),
            Call::Cas { key, to, .. } => (key, to),
            _ => continue,
        };
        if let Some(earlier) = writers.insert((key, value), operation) {
            reused += 1;
            first = first.or(Some((earlier, operation, value)));
        }
    }
    if let Some((earlier, later, value)) = first {
        let others = if reused > 1 { format!(", and {} more like this", reused - 1) } else { String::new() };
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

/// The table: what became of the calls of each kind, how available each node was, what was ok during each fault.
fn facts(
    history: &History,
    windows: &BTreeMap<&str, Vec<(Time, Time)>>,
    mut judgement: Judgement,
) -> Judgement {
    let mut kinds: BTreeMap<CallKind, [usize; 3]> = BTreeMap::new();
    let mut nodes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for operation in history.rows() {
        let slot = match operation.outcome {
            Outcome::Ok(_) => 0,
            Outcome::Fail(_) => 1,
            Outcome::Info(_) => 2,
        };
        kinds.entry(operation.call.kind()).or_default()[slot] += 1;
        if let Some(node) = &operation.node {
            let (ok, all) = nodes.entry(node).or_default();
            *ok += usize::from(slot == 0);
            *all += 1;
        }
    }
    for (kind, [ok, fail, info]) in kinds {
        judgement = judgement.with_fact(kind.word(), format!("{ok} ok, {fail} fail, {info} info"));
    }
    for (node, (ok, all)) in nodes {
        let percent = ok as f64 * 100.0 / all as f64;
        judgement = judgement.with_fact(&format!("ok on {node}"), format!("{percent:.1} % of {all}"));
    }
    for (fault, windows) in windows {
        let ok = history.rows().iter().filter(|op| op.outcome.is_ok() && inside(windows, op)).count();
        let struck = history.faults.iter().filter(|window| window.fault == *fault).count();
        judgement = judgement.with_fact(&format!("ok during {fault}"), format!("{ok}, in {struck} faults"));
    }
    if !history.notes.is_empty() {
        judgement = judgement.with_fact("nodes' own doings", history.notes.len());
    }
    judgement
}

#[cfg(test)]
mod tests;
