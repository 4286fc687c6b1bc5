//! Whether a pass was earned: enough calls were answered, every fault bit, and the run came to its end.
//!
//! Finds what would make a Valid hollow, and says it as doubts with a hint: too few calls with outcome ok in all, before,
//! during or after the faults; a planned fault that never happened, never ended, or had no measured effect; a step of the
//! script that was left out; an unanswered final phase; a run that was cut; a node that died for a reason that may be the
//! machine's; values written twice where judges rely on unique ones; a store that was not empty at the start. Never finds an
//! anomaly: a lack is no proof.
//!
//! Cannot find: a measurement of an effect that is itself wrong; a client that reports ok without asking the store.
//! Linear in the number of operations (times the logarithm of the number of fault windows).

mod counts;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use schism_history::{CallKind, FaultWindow, History, Time};

use self::counts::Counts;
use crate::parts::{self, ByParts, Concluded, Part};
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

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        parts::whole(Box::new(InParts::new(self)), history, budget)
    }

    fn by_parts(&self) -> Option<Box<dyn ByParts + '_>> {
        Some(Box::new(InParts::new(self)))
    }
}

/// What is counted after some parts.
struct InParts<'c> {
    checker: &'c Evidence,
    counts: Counts,
    /// Faults, phases and notes: all parts have the same.
    around: History,
    doubts: Vec<Doubt>,
}

impl<'c> InParts<'c> {
    fn new(checker: &'c Evidence) -> Self {
        InParts { checker, counts: Counts::default(), around: History::default(), doubts: Vec::new() }
    }
}

impl ByParts for InParts<'_> {
    fn take(&mut self, part: &Part<'_>, _budget: Budget<'_>) {
        self.around = part.history.with([]);
        self.counts.take(part, &windows_by_fault(part.history), self.checker.unique_values);
        self.doubts.extend(part.doubt());
    }

    fn conclude(self: Box<Self>) -> Concluded {
        let InParts { checker, counts, around, doubts: cut } = *self;
        let windows = windows_by_fault(&around);
        let mut doubts = Vec::new();
        phases(&around, &counts, &mut doubts);
        checker.enough_calls(&around, &counts, &windows, &mut doubts);
        checker.planned_faults(&around, &mut doubts);
        fault_effects(&around, &mut doubts);
        doubtful_notes(&around, &mut doubts);
        counts.tell_dirty_start(&mut doubts);
        counts.tell_reused_values(&mut doubts);
        doubts.extend(cut);
        let judgement = Judgement::new(checker.name(), "whether a pass is earned", Vec::new(), doubts);
        let judgement = facts(&around, &counts, &windows, judgement);
        Concluded { judgement, cited: BTreeMap::new() }
    }
}

fn doubt(doubts: &mut Vec<Doubt>, reason: String, hint: &str) {
    doubts.push(Doubt { reason, hint: Some(hint.into()) });
}

/// The times during which each kind of fault was open: disjoint and in order. An open end is [`Time::NEVER`].
type Windows<'h> = BTreeMap<&'h str, Vec<(Time, Time)>>;

fn windows_by_fault(history: &History) -> Windows<'_> {
    let mut windows = Windows::new();
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
        around: &History,
        counts: &Counts,
        windows: &Windows<'_>,
        doubts: &mut Vec<Doubt>,
    ) {
        // After a fault that never ended there is no "after": that fault is a doubt of its own.
        let ended = around.faults.iter().all(|fault| fault.ended.is_some());
        let struck = !around.faults.is_empty();
        for enough in &self.calls {
            let kind = enough.kind;
            let mut ask = |asked: usize, got: usize, when: &str, hint: &str| {
                if got < asked {
                    doubt(doubts, format!("{}{when}; at least {asked} needed", only(got, kind)), hint);
                }
            };
            let of = counts.of(kind);
            let in_all = of.ok();
            ask(
                enough.in_all,
                in_all,
                " in the whole run",
                "raise --time-limit or --rate, or look at why calls fail",
            );
            if in_all == 0 {
                continue;
            }
            if struck {
                ask(
                    enough.before,
                    of.before,
                    " before the first fault",
                    "let the run go on for longer before the first fault",
                );
            }
            for fault in windows.keys() {
                let got = of.during.get(*fault).copied().unwrap_or(0);
                let when = format!(" during {fault}");
                ask(enough.during, got, &when, "let the fault last longer, or strike fewer nodes at once");
            }
            if struck && ended {
                ask(
                    enough.after,
                    of.after,
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

/// When a phase began, the last time.
fn entered(history: &History, phase: &str) -> Option<Time> {
    history.phases.iter().rfind(|(_, name)| name == phase).map(|(time, _)| *time)
}

/// The run must have ended by itself, and its final phase must have been answered.
fn phases(history: &History, counts: &Counts, doubts: &mut Vec<Doubt>) {
    if entered(history, "end").is_none() {
        doubt(doubts, "the run was cut: its history has no end".into(), "let the run end by itself");
    }
    if entered(history, "final").is_none() {
        let hint = "raise --time-limit, and let the workload read everything once more at the end";
        return doubt(doubts, "the run never came to its final phase".into(), hint);
    }
    if counts.final_reads == 0 {
        let hint = "see why the cluster did not recover after the last fault: its logs are kept with the run";
        doubt(doubts, "no read was ok in the final phase".into(), hint);
    }
}

/// Each fault must have ended and been measured, and of each kind three in four must have bitten: of many in a mix, one may meet
/// a node that has nothing to do.
fn fault_effects(history: &History, doubts: &mut Vec<Doubt>) {
    let missed = |window: &FaultWindow| window.effect.as_ref().is_some_and(|effect| !effect.bit);
    let mut counts: FxHashMap<&str, (usize, usize)> = FxHashMap::default();
    for window in &history.faults {
        let (all, none) = counts.entry(&window.fault).or_default();
        *all += 1;
        *none += usize::from(missed(window));
    }
    let enough = |window: &FaultWindow| {
        let (all, none) = counts[window.fault.as_str()];
        4 * none <= all
    };
    let mut told: FxHashMap<&str, usize> = FxHashMap::default();
    for window in &history.faults {
        let Some((what, hint)) = lack(window) else { continue };
        if window.ended.is_some() && missed(window) && enough(window) {
            continue;
        }
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

/// What was written down while the run went as a reason to doubt it: a node that died for a reason that may be the machine's,
/// or did not come back; a step of the script that did not happen.
fn doubtful_notes(history: &History, doubts: &mut Vec<Doubt>) {
    let doubtful: Vec<_> = history.notes.iter().filter(|(_, note)| note.doubt).collect();
    for (time, note) in doubtful.iter().take(TOLD) {
        doubt(
            doubts,
            format!("{} at {time}: {}", note.node, note.text),
            "see the node's log, and the note lines of the history",
        );
    }
    if doubtful.len() > TOLD {
        let reason = format!("{} more notes like this", doubtful.len() - TOLD);
        doubt(doubts, reason, "see the note lines of the history");
    }
}

/// The table: what became of the calls of each kind, how available each node was, what was ok during each fault.
fn facts(around: &History, counts: &Counts, windows: &Windows<'_>, mut judgement: Judgement) -> Judgement {
    for (kind, of) in &counts.kinds {
        let [ok, fail, info] = of.outcomes;
        judgement = judgement.with_fact(kind.word(), format!("{ok} ok, {fail} fail, {info} info"));
    }
    for (node, (ok, all)) in &counts.nodes {
        let percent = *ok as f64 * 100.0 / *all as f64;
        judgement = judgement.with_fact(&format!("ok on {node}"), format!("{percent:.1} % of {all}"));
    }
    for fault in windows.keys() {
        let during = |of: &counts::OfKind| of.during.get(*fault).copied().unwrap_or(0);
        let ok: usize = counts.kinds.values().map(during).sum();
        let struck = around.faults.iter().filter(|window| window.fault == *fault).count();
        judgement = judgement.with_fact(&format!("ok during {fault}"), format!("{ok}, in {struck} faults"));
    }
    if !around.notes.is_empty() {
        judgement = judgement.with_fact("notes", around.notes.len());
    }
    judgement
}

#[cfg(test)]
mod tests;
