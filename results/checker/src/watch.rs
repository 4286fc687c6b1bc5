//! Watches: what a store told of its changes, one after the other, by revision.
//!
//! Finds, per key, with every value written once: **events out of order** and **duplicated event** (revisions must strictly
//! grow, and a value comes once), **event before the watch** (older than what was asked for), **missed event** (a watch
//! that told of later changes left out one that another told of), **lost event** (nobody was told of a write that was
//! acknowledged, though by real time it lies among changes that were told without a gap), **made-up event** (nobody had
//! written that value, or its write certainly failed), **watchers disagree** (two values at one revision) and **revisions
//! against real time** (the later write has the earlier revision). They are the guarantees that etcd documents for its
//! watches: ordered, unique, reliable, resumable.
//!
//! A watch claims its changes up to the last one that it told; it may lag behind as far as it likes. Cannot find: a watch
//! that never tells anything (that is a doubt); order between keys. O(n log n) in the number of writes and events.

mod tell;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use schism_history::{Call, History, Key, Operation, Outcome, Position, Ret, Value};

use self::tell::anomalies;
use crate::verdict::{Budget, Checker, Doubt, Judgement};

/// The judge of registers under [`Call::Write`] and [`Call::Watch`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Watches;

impl Checker for Watches {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let (mut found, mut doubts) = (Vec::new(), Vec::new());
        let (mut told, mut unseen, mut watches, mut acknowledged) = (0, 0, 0, 0);
        for (key, of) in keys(history) {
            let watched = Watched::of(history, of, &mut found, key);
            watches += watched.answers.len();
            told += watched.union.len();
            acknowledged += watched.writes.iter().filter(|write| write.ok).count();
            unseen += watched.judge(key, &mut found);
        }
        if watches == 0 {
            let hint = Some("raise --time-limit, or look at why watches fail".into());
            doubts.push(Doubt { reason: "no watch was answered".into(), hint });
        } else if unseen > 0 {
            let reason = format!("{unseen} acknowledged writes lie beyond what any watch told");
            let hint =
                Some("see why the cluster did not answer at the end: its logs are kept with the run".into());
            doubts.push(Doubt { reason, hint });
        }
        let anomalies = anomalies(history, &found);
        Judgement::new(self.name(), "watches tell every change once and in order", anomalies, doubts)
            .with_fact("watches", watches)
            .with_fact("changes told", told)
            .with_fact("writes acknowledged", acknowledged)
    }
}

/// What can be wrong, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Lost,
    Missed,
    MadeUp,
    Duplicated,
    Disorder,
    Disagree,
    RealTime,
    Before,
}

/// One thing wrong: the watch that shows it if one does, the write it is about, another operation for comparison.
#[derive(Clone, Debug)]
struct Wrong<'h> {
    kind: Kind,
    key: &'h Key,
    watch: Option<usize>,
    other: Option<usize>,
    write: Option<usize>,
    revision: i64,
    value: &'h Value,
}

/// The operations on one key.
#[derive(Default)]
struct OfKey {
    writes: Vec<usize>,
    watches: Vec<usize>,
}

fn keys(history: &History) -> BTreeMap<&Key, OfKey> {
    let mut keys: BTreeMap<&Key, OfKey> = BTreeMap::new();
    for (at, operation) in history.rows().iter().enumerate() {
        match &operation.call {
            Call::Write { key, .. } => keys.entry(key).or_default().writes.push(at),
            Call::Watch { key, .. } => keys.entry(key).or_default().watches.push(at),
            _ => {}
        }
    }
    keys.retain(|_, of| !of.watches.is_empty());
    keys
}

/// A write, and at which revision it was told, if it was.
struct Write<'h> {
    at: usize,
    value: &'h Value,
    ok: bool,
    invoke: Position,
    complete: Position,
    revision: Option<i64>,
}

/// An answer: revisions `from` to `last` were told of.
struct Answer {
    at: usize,
    from: i64,
    last: i64,
    revisions: Vec<i64>,
}

/// What was told of one key.
struct Watched<'h> {
    history: &'h History,
    writes: Vec<Write<'h>>,
    answers: Vec<Answer>,
    /// Every revision told of, its value, and the watch that completed first of those that told it.
    union: BTreeMap<i64, (&'h Value, usize)>,
}

/// The changes of an answered watch.
fn events(operation: &Operation) -> Option<Vec<(i64, &Value)>> {
    let Outcome::Ok(Ret::Value(value)) = &operation.outcome else { return None };
    let event = |event: &'_ Value| match event.elements() {
        Some([Value::Int(revision), _]) => Some(*revision),
        _ => None,
    };
    let list = value.elements()?;
    list.iter().map(|one| Some((event(one)?, &one.elements()?[1]))).collect()
}

impl<'h> Watched<'h> {
    /// Reads all answers, and notes what is wrong with one of them by itself or beside another.
    fn of(history: &'h History, of: OfKey, found: &mut Vec<Wrong<'h>>, key: &'h Key) -> Self {
        let writes = of.writes.iter().filter_map(|at| {
            let operation = &history.rows()[*at];
            let Call::Write { value, .. } = &operation.call else { return None };
            let failed = matches!(operation.outcome, Outcome::Fail(_));
            let (invoke, complete) = (operation.invoke, operation.complete);
            let ok = operation.outcome.is_ok();
            (!failed).then_some(Write { at: *at, value, ok, invoke, complete, revision: None })
        });
        let mut watched =
            Watched { history, writes: writes.collect(), answers: Vec::new(), union: BTreeMap::new() };
        let mut in_order = of.watches;
        in_order.sort_unstable_by_key(|at| history.rows()[*at].complete);
        for at in in_order {
            watched.take(at, key, found);
        }
        watched
    }

    fn take(&mut self, at: usize, key: &'h Key, found: &mut Vec<Wrong<'h>>) {
        let operation = &self.history.rows()[at];
        let (Call::Watch { from, .. }, Some(events)) = (&operation.call, events(operation)) else { return };
        let mut wrong = |kind, revision, value, other| {
            found.push(Wrong { kind, key, watch: Some(at), other, write: None, revision, value });
        };
        let mut before: Option<i64> = None;
        let mut sane = true;
        for &(revision, value) in &events {
            if revision < *from {
                wrong(Kind::Before, revision, value, None);
                sane = false;
            }
            if let Some(before) = before.filter(|before| revision <= *before) {
                let kind = if revision == before { Kind::Duplicated } else { Kind::Disorder };
                wrong(kind, revision, value, None);
                sane = false;
            }
            before = Some(revision);
            let (known, by) = *self.union.entry(revision).or_insert((value, at));
            if known != value {
                wrong(Kind::Disagree, revision, value, Some(by));
            }
        }
        let revisions: Vec<i64> = events.iter().map(|(revision, _)| *revision).collect();
        let last = revisions.last().copied().filter(|_| sane).unwrap_or(i64::MIN);
        self.answers.push(Answer { at, from: *from, last, revisions });
    }

    /// Judges all answers together. Returns how many acknowledged writes nobody can say anything about.
    fn judge(mut self, key: &'h Key, found: &mut Vec<Wrong<'h>>) -> usize {
        self.follow_values(key, found);
        self.find_missed(key, found);
        self.find_by_real_time(key, found)
    }

    /// From each change to the write it comes from.
    fn follow_values(&mut self, key: &'h Key, found: &mut Vec<Wrong<'h>>) {
        let writer: FxHashMap<&Value, usize> =
            self.writes.iter().enumerate().map(|(place, write)| (write.value, place)).collect();
        for (&revision, &(value, watch)) in &self.union {
            let place = writer.get(value).copied();
            let write = place.map(|place| &mut self.writes[place]);
            let mut wrong = |kind, write: Option<usize>| {
                found.push(Wrong { kind, key, watch: Some(watch), other: None, write, revision, value });
            };
            match write {
                None => wrong(Kind::MadeUp, None),
                Some(write) if self.history.rows()[watch].complete < write.invoke => {
                    wrong(Kind::MadeUp, Some(write.at));
                }
                Some(write) if write.revision.is_some() => wrong(Kind::Duplicated, Some(write.at)),
                Some(write) => write.revision = Some(revision),
            }
        }
    }

    /// Each answer beside all that was ever told between where it begins and where it ends.
    fn find_missed(&self, key: &'h Key, found: &mut Vec<Wrong<'h>>) {
        let all: Vec<i64> = self.union.keys().copied().collect();
        for answer in self.answers.iter().filter(|answer| answer.last >= answer.from) {
            let begin = all.partition_point(|revision| *revision < answer.from);
            let end = all.partition_point(|revision| *revision <= answer.last);
            if end - begin == answer.revisions.len() {
                continue;
            }
            let told = &answer.revisions;
            let missed = all[begin..end].iter().find(|revision| told.binary_search(revision).is_err());
            if let Some(revision) = missed {
                let (value, by) = self.union[revision];
                let write = self.writes.iter().find(|write| write.value == value).map(|write| write.at);
                found.push(Wrong {
                    kind: Kind::Missed,
                    key,
                    watch: Some(answer.at),
                    other: Some(by),
                    write,
                    revision: *revision,
                    value,
                });
            }
        }
    }

    /// Revisions told without a gap: first and last, disjoint and in order.
    fn covered(&self) -> Vec<(i64, i64)> {
        let answers = self.answers.iter().filter(|answer| answer.last >= answer.from);
        let mut spans: Vec<(i64, i64)> = answers.map(|answer| (answer.from, answer.last)).collect();
        spans.sort_unstable();
        let mut covered: Vec<(i64, i64)> = Vec::new();
        for (from, last) in spans {
            match covered.last_mut() {
                Some(end) if from <= end.1 + 1 => end.1 = end.1.max(last),
                _ => covered.push((from, last)),
            }
        }
        covered
    }

    /// A write that was over before another began has the lower revision. Where its own is not known, it lies between
    /// those of its neighbours.
    fn find_by_real_time(&self, key: &'h Key, found: &mut Vec<Wrong<'h>>) -> usize {
        let told: Vec<(&Write<'_>, i64)> =
            self.writes.iter().filter_map(|write| Some((write, write.revision?))).collect();
        let mut ended = told.clone();
        ended.sort_unstable_by_key(|(write, _)| write.complete);
        // Of those told that began at this place of the order or later, the one with the lowest revision.
        let mut lowest_from = vec![None; told.len()];
        let mut lowest: Option<(&Write<'_>, i64)> = None;
        for (place, one) in told.iter().enumerate().rev() {
            lowest = lowest.filter(|lowest| lowest.1 < one.1).or(Some(*one));
            lowest_from[place] = lowest;
        }
        let covered = self.covered();
        let (mut over, mut newest): (usize, Option<(&Write<'_>, i64)>) = (0, None);
        let mut unknown = 0;
        for write in &self.writes {
            while let Some(one) = ended.get(over).filter(|(one, _)| one.complete < write.invoke) {
                newest = newest.filter(|newest| newest.1 > one.1).or(Some(*one));
                over += 1;
            }
            let wrong = |kind, other: Option<usize>, revision| {
                let (write, value) = (Some(write.at), write.value);
                Wrong { kind, key, watch: None, other, write, revision, value }
            };
            if let Some(revision) = write.revision {
                if let Some((earlier, _)) = newest.filter(|newest| newest.1 > revision) {
                    found.push(wrong(Kind::RealTime, Some(earlier.at), revision));
                }
                continue;
            }
            if !write.ok {
                continue;
            }
            let after = told.partition_point(|(other, _)| other.invoke < write.complete);
            let above = lowest_from.get(after).copied().flatten();
            let floor = newest.map_or(1, |(_, revision)| revision + 1);
            let proven = above.filter(|(_, revision)| {
                let (first, last) = (floor, *revision);
                covered.iter().any(|(from, until)| *from <= first.max(1) && last <= *until)
            });
            match proven {
                Some((later, revision)) => found.push(wrong(Kind::Lost, Some(later.at), revision)),
                None => unknown += 1,
            }
        }
        unknown
    }
}

#[cfg(test)]
mod tests;
