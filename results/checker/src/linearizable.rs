//! Linearizability of a whole history, object by object: every object can be judged for itself (Herlihy and Wing, 1990).
//!
//! It finds every object whose operations have no legal order, and shows the smallest part of the history that proves
//! it. It cannot find what involves several objects: a transaction torn in two is two legal registers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use schism_history::{History, Key, Outcome};

use crate::explain::{self, Case};
use crate::linear::{Allowance, Effort, Entry, Finding, Spent, search};
use crate::model::Model;
use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement};
use crate::zones;

/// So many bad objects are explained in full; the rest are counted.
const EXPLAINED: usize = 5;

/// Judges each object of a history by a model.
#[derive(Clone, Debug, Default)]
pub struct Linearizable<M> {
    /// What each object should do.
    pub model: M,
}

/// Who judges an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Judge {
    /// The zones, where every value is written to it once and it is a register; else the search.
    #[default]
    Fitting,
    /// The search, whatever it is.
    Search,
}

/// What became of one object.
struct Judged<'h> {
    key: &'h Key,
    entries: Vec<Entry<'h>>,
    finding: Finding,
    effort: Effort,
    by_zones: bool,
}

impl<M: Model> Checker for Linearizable<M> {
    fn name(&self) -> &'static str {
        "linearizable"
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        self.check_by(Judge::Fitting, history, budget)
    }
}

impl<M: Model> Linearizable<M> {
    /// Judges with a judge of the caller's choice: the answers are the same, for all that is known.
    pub fn check_by(&self, judge: Judge, history: &History, budget: Budget<'_>) -> Judgement {
        let allowance = Allowance::new(budget);
        let mut doubts = Vec::new();
        let objects = self.objects(history, &mut doubts);
        let keys = objects.len();
        let judged = side_by_side(
            objects,
            |(_, entries)| entries.len(),
            |(key, entries)| self.judge(judge, key, entries, &allowance),
        );
        let by_zones = judged.iter().filter(|object| object.by_zones).count();
        let judges = format!("zones {by_zones} keys, search {}", judged.len() - by_zones);
        let configurations: u64 = judged.iter().map(|object| object.effort.configurations).sum();
        for object in &judged {
            if let Finding::GaveUp(spent) = object.finding {
                doubts.push(gave_up(history, object, spent, budget));
            }
        }
        let anomalies = self.explain(history, judged, &allowance, &mut doubts);
        let about = format!("linearizable {}", self.model.name());
        let count = |outcome: fn(&Outcome) -> bool| {
            history.operations.iter().filter(|operation| outcome(&operation.outcome)).count()
        };
        Judgement::new("linearizable", &about, anomalies, doubts)
            .with_fact("operations", history.operations.len())
            .with_fact("keys", keys)
            .with_fact("ok", count(Outcome::is_ok))
            .with_fact("fail", count(|outcome| matches!(outcome, Outcome::Fail(_))))
            .with_fact("info", count(|outcome| matches!(outcome, Outcome::Info(_))))
            .with_fact("judge", judges)
            .with_fact("configurations explored", configurations)
    }

    fn judge<'h>(
        &self,
        judge: Judge,
        key: &'h Key,
        entries: Vec<Entry<'h>>,
        allowance: &Allowance<'_>,
    ) -> Judged<'h> {
        if let (Judge::Fitting, Some(initial)) = (judge, self.model.as_register())
            && let Some(zones::Judged { finding, effort, part }) = zones::judge(&entries, &initial, allowance)
        {
            // What is not needed to show the violation need not be gone through to explain it.
            let entries = if part.is_empty() { entries } else { part };
            return Judged { key, entries, finding, effort, by_zones: true };
        }
        let (finding, effort) = search(&self.model, &entries, allowance, u64::MAX);
        Judged { key, entries, finding, effort, by_zones: false }
    }

    /// The operations of each object that constrain it, keys in the order of their first use. An object with a call the
    /// model has no rule for is left out with a doubt.
    fn objects<'h>(&self, history: &'h History, doubts: &mut Vec<Doubt>) -> Vec<(&'h Key, Vec<Entry<'h>>)> {
        let mut at = rustc_hash::FxHashMap::default();
        let mut objects: Vec<(&Key, Vec<Entry<'_>>)> = Vec::new();
        for (position, operation) in history.operations.iter().enumerate() {
            let key = operation.call.key();
            let object = *at.entry(key).or_insert_with(|| {
                objects.push((key, Vec::new()));
                objects.len() - 1
            });
            objects[object].1.extend(Entry::of(position, operation));
        }
        objects.retain(|(key, entries)| {
            let strange = entries.iter().find(|entry| !self.model.understands(entry.call, entry.ret));
            if let Some(entry) = strange {
                doubts.push(Doubt {
                    reason: format!(
                        "key {key} was not judged: a {} has no rule for {}",
                        self.model.name(),
                        entry.call
                    ),
                    hint: Some("judge it by a model that knows this call".into()),
                });
            }
            strange.is_none()
        });
        objects
    }

    fn explain(
        &self,
        history: &History,
        judged: Vec<Judged<'_>>,
        allowance: &Allowance<'_>,
        doubts: &mut Vec<Doubt>,
    ) -> Vec<Anomaly> {
        let mut bad: Vec<Judged<'_>> =
            judged.into_iter().filter(|object| object.finding == Finding::NotLinearizable).collect();
        // The earliest trouble first: what goes wrong later may follow from it.
        bad.sort_by_key(|object| (object.effort.reached, object.entries.len()));
        let others = bad.len().saturating_sub(EXPLAINED);
        bad.truncate(EXPLAINED);
        let explained = side_by_side(
            bad,
            |object| object.entries.len(),
            |object| {
                explain::explain(
                    &self.model,
                    &Case { history, key: object.key, entries: &object.entries },
                    allowance,
                )
            },
        );
        let mut anomalies = Vec::new();
        for outcome in explained {
            match outcome {
                Ok(anomaly) => anomalies.push(anomaly),
                Err(doubt) => doubts.push(doubt),
            }
        }
        anomalies.sort_by_key(|anomaly| anomaly.culprit);
        if others > 0
            && let Some(last) = anomalies.last_mut()
        {
            last.sentences.push(format!("{others} more keys are not linearizable either"));
        }
        anomalies
    }
}

/// Applies `judge` to each item, the ones with most operations begun first, on the threads of the current pool; answers
/// in the order of the items.
fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    size: impl Fn(&T) -> usize,
    judge: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(size(&items[*index])));
    let slots: Vec<Mutex<(Option<T>, Option<R>)>> =
        items.into_iter().map(|item| Mutex::new((Some(item), None))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut slot = slots[*index].lock().expect("a judge does not panic");
            let item = slot.0.take().expect("each index is given out once");
            slot.1 = Some(judge(item));
        }
    };
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(order.len()) {
            scope.spawn(|_| work());
        }
    });
    slots.into_iter().filter_map(|slot| slot.into_inner().expect("a judge does not panic").1).collect()
}

fn gave_up(history: &History, object: &Judged<'_>, spent: Spent, budget: Budget<'_>) -> Doubt {
    let effort = &object.effort;
    let what = match spent {
        Spent::Time => format!("the time ({} s)", budget.time.as_secs_f64()),
        Spent::Memory => format!("the memory ({} MiB)", budget.bytes >> 20),
        Spent::Steps => "the number of steps".to_string(),
    };
    let far = match effort.reached {
        Some(position) => {
            let operation = &history.operations[position];
            let before = object
                .entries
                .iter()
                .filter(|entry| entry.ret.is_some() && entry.complete < operation.complete)
                .count();
            format!("legal up to {} ({before} operations)", operation.completed)
        }
        None => "nothing proven yet".into(),
    };
    let reason = format!(
        "{what} was over while key {} was searched: {far}; {} operations, up to {} pending at once, {} of unknown fate \
         that matter, {} configurations explored",
        object.key,
        object.entries.len(),
        effort.concurrency,
        effort.optional,
        effort.configurations,
    );
    let hint = match spent {
        Spent::Memory => {
            "raise check.memory (--memory of `schism check`), or use more keys, fewer clients a key, or unique values"
        }
        _ => {
            "raise check.time (--time of `schism check`), or use more keys, fewer clients a key, or unique values"
        }
    };
    Doubt { reason, hint: Some(hint.into()) }
}
