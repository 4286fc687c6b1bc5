//! What is known of one run: the models it kept, how stale its reads were, what was lost, how available and how fast the
//! cluster was before, during and after its faults and on either side of them, and how soon it served again.
//!
//! A call counts as answered if it was ok. Compare-and-sets are left out of availability: one that is refused because it
//! came late was answered, and nothing tells that from a node that had nobody to ask.

use std::collections::{BTreeMap, BTreeSet};

use schism_checker::Verdict;
use schism_history::{Call, CallKind, History, Key, Operation, Outcome, Ret, Time, Value};

use super::lattice::{Levels, SETTLED};
use super::rows::Losses;
use crate::measure::{Place, Sample, merge, place};
use crate::summary::{Judged, Summary};

/// Kinds of call that, when they are not ok, were not answered.
const ANSWERED: [CallKind; 5] =
    [CallKind::Read, CallKind::Write, CallKind::Add, CallKind::Append, CallKind::Increment];

/// What is known of one run.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What the run itself was judged to be.
    pub verdict: Option<Verdict>,
    /// Why a pass of it would not count, if it would not.
    pub unearned: Option<String>,
    /// The models.
    pub levels: Levels,
    /// What the workload's own judges said: their names, and what broke if something did.
    pub invariants: Vec<(String, Verdict, Option<String>)>,
    /// How stale its reads were, if they are of registers.
    pub staleness: Option<Staleness>,
    /// What was acknowledged and is not there in the end.
    pub losses: Losses,
    /// Writes that were acknowledged, and how many of them overlapped with another one of the same key.
    pub conflicts: (u64, u64),
    /// Whether links were cut.
    pub partitioned: bool,
    /// Whether nothing went wrong, but that links were slow.
    pub nothing_cut: bool,
    pub(crate) before: Sample,
    pub(crate) during: Sample,
    pub(crate) after: Sample,
    /// During faults, at the nodes that were struck and at the others.
    pub(crate) struck: Sample,
    pub(crate) spared: Sample,
    /// At nodes while they were cut off: only what was answered before they were joined again.
    pub(crate) cut_off: Sample,
    /// For each fault, in nanoseconds from its end until every node had answered a call made after that; none if one never
    /// did.
    pub recovery_ns: Vec<Option<u64>>,
    /// Calls answered and nanoseconds, while all was well.
    pub healthy: (u64, u64),
}

/// How stale the reads of registers were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staleness {
    /// The least Δ, in nanoseconds; none if no Δ is enough.
    pub delta_ns: Option<u64>,
    /// The least k is no less than this.
    pub k: u64,
    /// By how much each stale read was late, in nanoseconds.
    pub stale_ns: Vec<u64>,
    /// How many reads there were.
    pub reads: u64,
}

impl Observed {
    /// Looks at a run. `summary` is its own `verdict.json`; `levels` and the number of lost writes come of
    /// [`judged`](super::judged).
    pub fn of(history: &History, summary: &Summary, levels: Levels, lost_writes: u64) -> Self {
        let evidence = summary.judgements.iter().find(|judged| judged.checker == "evidence");
        let unearned = evidence.and_then(|judged| judged.doubts.first()).map(|doubt| doubt.reason.clone());
        let own = summary.judgements.iter().filter(|judged| judged.checker != "evidence");
        let mut observed = Observed {
            verdict: Some(summary.verdict),
            unearned,
            levels,
            invariants: own.map(invariant).collect(),
            staleness: staleness(history),
            losses: losses(history, lost_writes),
            conflicts: conflicts(history),
            partitioned: history.faults.iter().any(|window| window.fault == "partition"),
            nothing_cut: history.faults.iter().all(|window| window.fault == "delay"),
            recovery_ns: history
                .faults
                .iter()
                .filter_map(|window| Some(recovery(history, window.ended?.0)))
                .collect(),
            ..Observed::default()
        };
        observed.phases(history);
        observed
    }

    fn phases(&mut self, history: &History) {
        let entered =
            |name: &str| history.phases.iter().find(|(_, phase)| phase == name).map(|(time, _)| time.0);
        let (load, over) = (entered("load").unwrap_or(0), entered("recover").unwrap_or(history.end.0));
        let merged = merge(history.faults.iter(), history);
        let first = merged.first().map_or(over, |window| window.0);
        self.healthy.1 = first.saturating_sub(load);
        for operation in history.rows() {
            let within = (load..over).contains(&operation.invoked.0);
            if !within || !ANSWERED.contains(&operation.call.kind()) {
                continue;
            }
            match place(operation, &merged, history) {
                Place::Before => {
                    self.before.add(operation);
                    self.healthy.0 += u64::from(operation.outcome.is_ok());
                }
                Place::After => self.after.add(operation),
                Place::During => {
                    self.during.add(operation);
                    let is_struck = struck(history, operation);
                    let side = if is_struck { &mut self.struck } else { &mut self.spared };
                    side.add(operation);
                    if let Some(joined) = joined_again(history, operation) {
                        let is_late = operation.ended.is_none_or(|ended| ended >= joined);
                        if is_late { self.cut_off.miss() } else { self.cut_off.add(operation) }
                    }
                }
            }
        }
    }
}

fn invariant(judged: &Judged) -> (String, Verdict, Option<String>) {
    let broke = judged.anomalies.first().map(|finding| {
        let name = finding.name.clone();
        format!("{name}: {}", finding.sentences.join(" "))
    });
    (judged.about.clone(), judged.verdict, broke)
}

/// When the node was joined again that an operation asked while it was cut off from others.
fn joined_again(history: &History, operation: &Operation) -> Option<Time> {
    let node = operation.node.as_deref()?;
    let cuts = history.faults.iter().filter(|window| window.fault == "partition");
    let of_node = cuts.filter(|window| window.nodes.iter().any(|name| name == node));
    let mut ends = of_node.filter_map(|window| Some((window.began, window.ended?)));
    ends.find(|(began, ended)| (began..ended).contains(&&operation.invoked)).map(|(_, ended)| ended)
}

/// Whether the node of an operation was struck by a fault that was open meanwhile.
fn struck(history: &History, operation: &Operation) -> bool {
    let (from, to) = (operation.invoked, operation.ended.unwrap_or(history.end));
    let Some(node) = &operation.node else { return false };
    history.faults.iter().any(|window| {
        let open = window.began <= to && window.ended.is_none_or(|ended| from <= ended);
        open && window.nodes.iter().any(|name| **name == **node)
    })
}

/// From a moment until every node has answered a call made after it.
fn recovery(history: &History, healed: u64) -> Option<u64> {
    let mut first: BTreeMap<&str, u64> = BTreeMap::new();
    let mut nodes: BTreeSet<&str> = BTreeSet::new();
    for operation in history.rows() {
        let Some(node) = operation.node.as_deref() else { continue };
        nodes.insert(node);
        let answers = operation.outcome.is_ok() && ANSWERED.contains(&operation.call.kind());
        if answers && operation.invoked.0 >= healed {
            let took = operation.completed.0 - healed;
            first.entry(node).and_modify(|least| *least = took.min(*least)).or_insert(took);
        }
    }
    if first.len() == nodes.len() { first.into_values().max() } else { None }
}

fn staleness(history: &History) -> Option<Staleness> {
    let registers = [CallKind::Read, CallKind::Write, CallKind::Cas];
    let kinds = history.columns().kind();
    if kinds.is_empty() || !kinds.iter().all(|kind| registers.contains(kind)) {
        return None;
    }
    let measured = schism_checker::Staleness::default().measure(history);
    let delta = measured.iter().map(|key| key.delta).collect::<Option<Vec<_>>>();
    let nanos = |time: std::time::Duration| time.as_nanos() as u64;
    let reads = measured.iter().flat_map(|key| &key.reads);
    Some(Staleness {
        delta_ns: delta.map(|all| all.into_iter().max().map_or(0, nanos)),
        k: measured.iter().map(|key| key.k.at_least).max().unwrap_or(1),
        stale_ns: reads.clone().filter(|read| read.versions > 0).map(|read| nanos(read.time)).collect(),
        reads: reads.count() as u64,
    })
}

/// Elements that were acknowledged and that no final read shows, and ends of registers that an acknowledged write should
/// have overwritten. An element that was put in just before may only be late: it counts neither way.
fn losses(history: &History, lost_writes: u64) -> Losses {
    let begin = history.phases.iter().rev().find(|(_, phase)| phase == "final").map(|(time, _)| *time);
    let Some(begin) = begin else { return Losses::default() };
    // By key: what the final reads show, and when the last of them began.
    let mut held: BTreeMap<&Key, (BTreeSet<&Value>, Time)> = BTreeMap::new();
    for operation in history.rows().iter().filter(|operation| operation.invoked >= begin) {
        if let (Call::Read { key }, Outcome::Ok(Ret::Value(value))) = (&operation.call, &operation.outcome) {
            let (held, asked) = held.entry(key).or_insert_with(|| (BTreeSet::new(), Time(0)));
            held.extend(value.elements().unwrap_or_default());
            *asked = (*asked).max(operation.invoked);
        }
    }
    let (mut losses, mut written) = (Losses { acknowledged: 0, lost: lost_writes }, BTreeSet::new());
    for operation in history.rows().iter().filter(|operation| operation.outcome.is_ok()) {
        match &operation.call {
            Call::Add { key, value } => {
                let Some((held, asked)) = held.get(key) else { continue };
                let late = !held.contains(value) && asked.since(operation.completed) < SETTLED;
                losses.acknowledged += u64::from(!late);
                losses.lost += u64::from(!late && !held.contains(value));
            }
            Call::Write { key, .. } | Call::Cas { key, .. } if held.contains_key(key) => {
                written.insert(key);
            }
            _ => {}
        }
    }
    losses.acknowledged += written.len() as u64;
    losses
}

/// Acknowledged writes, and those of them that overlapped with another acknowledged write of their key.
fn conflicts(history: &History) -> (u64, u64) {
    let mut by_key: BTreeMap<&Key, Vec<(u64, u64)>> = BTreeMap::new();
    for operation in history.rows().iter().filter(|operation| operation.outcome.is_ok()) {
        if let Call::Write { key, .. } | Call::Cas { key, .. } = &operation.call {
            by_key.entry(key).or_default().push((operation.invoked.0, operation.completed.0));
        }
    }
    let (mut writes, mut overlapping) = (0, 0);
    for spans in by_key.into_values() {
        // In the order of their beginnings: one overlaps with an earlier one that was not over, or with the next.
        let mut latest = 0;
        for (at, (from, to)) in spans.iter().enumerate() {
            let next = spans.get(at + 1).is_some_and(|next| next.0 <= *to);
            overlapping += u64::from((at > 0 && *from <= latest) || next);
            latest = latest.max(*to);
            writes += 1;
        }
    }
    (writes, overlapping)
}
