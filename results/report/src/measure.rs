//! What a history holds, counted: outcomes, latency before, during and after faults, what each kind of fault did, and
//! how each node fared.
//!
//! It counts only. Whether enough happened is a judge's question, and its answer stands among the judgements.

use std::collections::{BTreeMap, HashMap};

use schism_history::{FaultWindow, History, Operation, Outcome};
use serde::{Deserialize, Serialize};

use crate::wording::natural;

/// How many operations ended which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// It happened.
    pub ok: u64,
    /// It certainly did not happen.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
}

impl Counts {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.ok + self.fail + self.info
    }

    fn join(&mut self, other: &Counts) {
        self.ok += other.ok;
        self.fail += other.fail;
        self.info += other.info;
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Ok(_) => self.ok += 1,
            Outcome::Fail(_) => self.fail += 1,
            Outcome::Info(_) => self.info += 1,
        }
    }
}

/// A part of a run: how its operations ended, and how long the ok ones took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// How they ended.
    #[serde(flatten)]
    pub counts: Counts,
    /// Half of the ok ones took at most this long, in nanoseconds.
    pub ok_p50_ns: Option<u64>,
    /// 99 of 100 of the ok ones took at most this long, in nanoseconds.
    pub ok_p99_ns: Option<u64>,
}

impl Period {
    fn join(&mut self, other: &Period) {
        self.counts.join(&other.counts);
        (self.ok_p50_ns, self.ok_p99_ns) = (None, None);
    }
}

/// A run cut by its faults. An operation belongs to `during` if any part of it lies in any fault window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// Over before the first fault.
    pub before: Period,
    /// Touched by a fault.
    pub during: Period,
    /// Begun after a fault and touched by none: between faults, and after the last one.
    pub after: Period,
}

/// All windows of one kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultTotals {
    /// The kind, in a word.
    pub fault: String,
    /// How many windows.
    pub windows: u64,
    /// The time at least one of them was open, in nanoseconds.
    pub total_ns: u64,
    /// Every node it struck.
    pub nodes: Vec<String>,
    /// How many were measured to have broken something.
    pub bit: u64,
    /// How many were measured to have broken nothing.
    pub missed: u64,
    /// How many were not measured, or never ended.
    pub unmeasured: u64,
    /// What was measured: the sum where all say the same with different numbers, else the first that bit; if none
    /// bit, what the first one measured.
    pub evidence: Option<String>,
}

/// One node: what was asked of it, and what befell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTotals {
    /// Its name.
    pub node: String,
    /// How the operations sent to it fared.
    #[serde(flatten)]
    pub operations: Period,
    /// How many fault windows struck it.
    pub faults: u64,
    /// What it did by itself, with the time in nanoseconds since the run began.
    pub notes: Vec<(u64, String)>,
}

/// Everything counted of one history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// How long the history is, in nanoseconds.
    pub duration_ns: u64,
    /// How many different keys its calls are about.
    pub keys: u64,
    /// Of the whole run.
    pub operations: Period,
    /// The same by the kind of call.
    pub calls: BTreeMap<String, Counts>,
    /// The same before, during and after faults.
    pub availability: Availability,
    /// By kind of fault, in the order of their first windows.
    pub faults: Vec<FaultTotals>,
    /// By node.
    pub nodes: Vec<NodeTotals>,
}

impl Measured {
    /// Counts a history: n log n in the number of operations.
    pub fn of(history: &History) -> Self {
        let mut whole = Sample::default();
        let (mut before, mut during, mut after) = (Sample::default(), Sample::default(), Sample::default());
        let mut calls: BTreeMap<String, Counts> = BTreeMap::new();
        let merged = merge(history.faults.iter(), history);
        for operation in history.operations() {
            whole.add(&operation);
            calls.entry(operation.call.kind().word().into()).or_default().add(&operation.outcome);
            match place(&operation, &merged, history) {
                Place::Before => before.add(&operation),
                Place::During => during.add(&operation),
                Place::After => after.add(&operation),
            }
        }
        Measured {
            duration_ns: history.end.0,
            keys: history.by_key().iter().count() as u64,
            operations: whole.period(),
            calls,
            availability: Availability {
                before: before.period(),
                during: during.period(),
                after: after.period(),
            },
            faults: faults(history),
            nodes: nodes(history),
        }
    }
}

/// What is counted of parts of a history, whose keys are no other part's, is added up. How long calls took in all parts
/// together is not known from what is known of each: those quantiles are left out.
impl Measured {
    /// Adds another part.
    pub fn join(&mut self, other: Measured) {
        self.keys += other.keys;
        self.operations.join(&other.operations);
        for (call, counts) in &other.calls {
            self.calls.entry(call.clone()).or_default().join(counts);
        }
        self.availability.before.join(&other.availability.before);
        self.availability.during.join(&other.availability.during);
        self.availability.after.join(&other.availability.after);
        for node in other.nodes {
            match self.nodes.iter_mut().find(|known| known.node == node.node) {
                Some(known) => known.operations.join(&node.operations),
                None => self.nodes.push(node),
            }
        }
        self.nodes.sort_by_cached_key(|totals| natural(&totals.node));
    }
}

/// Outcomes and the latencies of the ok ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    counts: Counts,
    ok_ns: Vec<u64>,
}

impl Sample {
    pub(crate) fn add(&mut self, operation: &Operation) {
        self.counts.add(&operation.outcome);
        if operation.outcome.is_ok() {
            self.ok_ns.push(operation.completed.0 - operation.invoked.0);
        }
    }

    /// One that was not answered in time, however it ended.
    pub(crate) fn miss(&mut self) {
        self.counts.info += 1;
    }

    /// All of both.
    pub(crate) fn join(&mut self, other: &Sample) {
        self.counts.join(&other.counts);
        self.ok_ns.extend_from_slice(&other.ok_ns);
    }

    pub(crate) fn period(mut self) -> Period {
        self.ok_ns.sort_unstable();
        Period {
            counts: self.counts,
            ok_p50_ns: quantile(&self.ok_ns, 50),
            ok_p99_ns: quantile(&self.ok_ns, 99),
        }
    }
}

/// The nearest-rank quantile: the smallest value that at least so many of a hundred do not exceed.
pub(crate) fn quantile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Where an operation lies relative to the faults of its run.
pub(crate) enum Place {
    Before,
    During,
    After,
}

/// Where an operation lies relative to the merged windows.
pub(crate) fn place(operation: &Operation, merged: &[(u64, u64)], history: &History) -> Place {
    let (from, to) = (operation.invoked.0, operation.ended.unwrap_or(history.end).0);
    let next = merged.partition_point(|window| window.1 < from);
    match merged.get(next) {
        Some(window) if window.0 <= to => Place::During,
        _ if next == 0 => Place::Before,
        _ => Place::After,
    }
}

/// Windows as disjoint intervals in the order of time; one that never ended lasts to the end of the history.
pub(crate) fn merge<'a>(
    windows: impl Iterator<Item = &'a FaultWindow>,
    history: &History,
) -> Vec<(u64, u64)> {
    let mut spans: Vec<(u64, u64)> =
        windows.map(|w| (w.began.0, w.ended.unwrap_or(history.end).0.max(w.began.0))).collect();
    spans.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.0 <= last.1 => last.1 = last.1.max(span.1),
            _ => merged.push(span),
        }
    }
    merged
}

fn faults(history: &History) -> Vec<FaultTotals> {
    let mut kinds: Vec<(&str, Vec<&FaultWindow>)> = Vec::new();
    for window in &history.faults {
        match kinds.iter_mut().find(|(kind, _)| *kind == window.fault) {
            Some((_, windows)) => windows.push(window),
            None => kinds.push((&window.fault, vec![window])),
        }
    }
    kinds.into_iter().map(|(kind, windows)| fault_totals(kind, &windows, history)).collect()
}

fn fault_totals(kind: &str, windows: &[&FaultWindow], history: &History) -> FaultTotals {
    let effects: Vec<_> = windows.iter().filter_map(|window| window.effect.as_ref()).collect();
    let bit: Vec<&str> = effects.iter().filter(|e| e.bit).map(|e| e.evidence.as_str()).collect();
    let mut nodes: Vec<String> = windows.iter().flat_map(|window| window.nodes.clone()).collect();
    nodes.sort_by_key(|node| natural(node));
    nodes.dedup();
    FaultTotals {
        fault: kind.into(),
        windows: windows.len() as u64,
        total_ns: merge(windows.iter().copied(), history).iter().map(|span| span.1 - span.0).sum(),
        nodes,
        bit: bit.len() as u64,
        missed: (effects.len() - bit.len()) as u64,
        unmeasured: (windows.len() - effects.len()) as u64,
        evidence: evidence(&bit).or_else(|| effects.first().map(|effect| effect.evidence.clone())),
    }
}

/// `["4 packets dropped", "3 packets dropped"]` is `7 packets dropped`; what cannot be summed is cited once.
fn evidence(all: &[&str]) -> Option<String> {
    let first = *all.first()?;
    let numbered = |text: &str| {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        Some((text[..digits].parse::<u64>().ok()?, text[digits..].to_string()))
    };
    let parts: Option<Vec<(u64, String)>> = all.iter().map(|text| numbered(text)).collect();
    match parts {
        Some(parts) if all.len() > 1 && parts.iter().all(|part| part.1 == parts[0].1) => {
            let sum = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.0));
            Some(format!("{sum}{}", parts[0].1))
        }
        _ => Some(first.into()),
    }
}

/// What is gathered of one node.
#[derive(Default)]
struct Fate {
    sample: Sample,
    faults: u64,
    notes: Vec<(u64, String)>,
}

fn nodes(history: &History) -> Vec<NodeTotals> {
    let mut fates: HashMap<&str, Fate> = HashMap::new();
    for (at, node) in history.columns().node().iter().enumerate() {
        if let Some(node) = history.columns().texts().get(*node as usize) {
            fates.entry(node).or_default().sample.add(&history.operation(at));
        }
    }
    for node in history.faults.iter().flat_map(|window| &window.nodes) {
        fates.entry(node).or_default().faults += 1;
    }
    for (time, note) in &history.notes {
        fates.entry(&note.node).or_default().notes.push((time.0, note.text.clone()));
    }
    let mut nodes: Vec<NodeTotals> = fates
        .into_iter()
        .map(|(node, fate)| NodeTotals {
            node: node.into(),
            operations: fate.sample.period(),
            faults: fate.faults,
            notes: fate.notes,
        })
        .collect();
    nodes.sort_by_cached_key(|totals| natural(&totals.node));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!(quantile(&[], 50), None);
        assert_eq!(quantile(&[7], 99), Some(7));
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((quantile(&hundred, 50), quantile(&hundred, 99)), (Some(50), Some(99)));
    }

    #[test]
    fn evidence_is_summed_only_where_it_says_the_same() {
        let sum = |all: &[&str]| evidence(all).unwrap();
        assert_eq!(sum(&["4 packets dropped", "3 packets dropped"]), "7 packets dropped");
        assert_eq!(sum(&["4 packets dropped", "3 packets lost"]), "4 packets dropped");
        assert_eq!(sum(&["n2: pid 17 → 42", "n3: pid 8 → 9"]), "n2: pid 17 → 42");
        assert_eq!(sum(&["n2: pid 17 → 42"]), "n2: pid 17 → 42");
    }
}
