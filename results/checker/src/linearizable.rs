//! Linearizability of a whole history, object by object: every object can be judged for itself (Herlihy and Wing, 1990).
//!
//! It finds every object whose operations have no legal order, and shows the smallest part of the history that proves
//! it. It cannot find what involves several objects: a transaction torn in two is two legal registers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use schism_history::{CallKind, History, Key, Numbers, Operation, Ret, Status, Value};

use crate::explain::{self, Case};
use crate::linear::{Allowance, Effort, Entry, Finding, Spent, search};
use crate::model::Model;
use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement};
use crate::zones;

/// So many bad objects are explained in full; the rest are counted.
const EXPLAINED: usize = 5;

/// The key of an object that is everything stored.
static EVERYTHING: Key = Key::Nil;

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

/// What is judged by itself: the operations on one key, or all of them.
#[derive(Clone, Copy)]
struct Object<'h> {
    key: &'h Key,
    operations: &'h [u32],
}

/// What became of one object.
struct Judged<'h> {
    of: Object<'h>,
    finding: Finding,
    effort: Effort,
    by_zones: bool,
    /// The operations that show what is wrong, if they are fewer than all of the object's.
    part: Vec<u32>,
    /// Whether the model has no rule for some call.
    strange: bool,
    /// Why nothing is said of the object.
    doubt: Option<Doubt>,
}

/// What the model says of registers, if it is one.
struct AsRegister {
    initial: Value,
    /// Its number in the history.
    number: u32,
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
        let by_key = history.by_key();
        let register = self.model.as_register().filter(|_| judge == Judge::Fitting).map(|initial| {
            let number = history.columns().number_of(&initial).unwrap_or(u32::MAX);
            AsRegister { initial, number }
        });
        let everything: Vec<u32> =
            if self.model.spans_keys() { (0..history.len() as u32).collect() } else { Vec::new() };
        let objects: Vec<Object<'_>> = if self.model.spans_keys() {
            vec![Object { key: &EVERYTHING, operations: &everything }]
        } else {
            by_key.iter().map(|of| Object { key: of.key, operations: of.operations }).collect()
        };
        let judged = side_by_side(
            objects,
            |of| of.operations.len(),
            |of, numbers| self.judge(history, of, register.as_ref(), numbers, &allowance, budget),
        );
        let (judged, strange): (Vec<Judged<'_>>, Vec<Judged<'_>>) =
            judged.into_iter().partition(|object| !object.strange);
        let mut doubts: Vec<Doubt> = strange.into_iter().filter_map(|object| object.doubt).collect();
        let keys = judged.len();
        let by_zones = judged.iter().filter(|object| object.by_zones).count();
        let judges = format!("zones {by_zones} keys, search {}", keys - by_zones);
        let configurations: u64 = judged.iter().map(|object| object.effort.configurations).sum();
        doubts.extend(judged.iter().filter_map(|object| object.doubt.clone()));
        let anomalies = self.explain(history, judged, &allowance, &mut doubts);
        let about = format!("linearizable {}", self.model.name());
        let count = |wanted: fn(Status) -> bool| {
            history.columns().status().iter().filter(|status| wanted(**status)).count()
        };
        Judgement::new("linearizable", &about, anomalies, doubts)
            .with_fact("operations", history.len())
            .with_fact("keys", keys)
            .with_fact("ok", count(Status::is_ok))
            .with_fact("fail", count(|status| status == Status::Fail))
            .with_fact("info", count(Status::is_info))
            .with_fact("judge", judges)
            .with_fact("configurations explored", configurations)
    }

    fn judge<'h>(
        &self,
        history: &'h History,
        of: Object<'h>,
        register: Option<&AsRegister>,
        numbers: &mut Numbers,
        allowance: &Allowance<'_>,
        budget: Budget<'_>,
    ) -> Judged<'h> {
        let mut judged = Judged {
            of,
            finding: Finding::Linearizable,
            effort: Effort::default(),
            by_zones: true,
            part: Vec::new(),
            strange: false,
            doubt: None,
        };
        if let Some(register) = register
            && self.has_rules_for_cas(history, of)
            && zones::linearizable(history.columns(), of.operations, register.number, numbers, allowance)
        {
            return judged;
        }
        let rows = rows(history, of.operations);
        let entries = entries(&rows);
        if let Some(doubt) = self.strange(of.key, &entries) {
            return Judged { doubt: Some(doubt), strange: true, ..judged };
        }
        if let Some(register) = register
            && let Some(zones::Judged { finding, effort, part }) =
                zones::judge(&entries, &register.initial, allowance)
        {
            // What is not needed to show the violation need not be gone through to explain it.
            let part = part.iter().map(|entry| entry.operation as u32).collect();
            return Judged { finding, effort, part, ..judged };
        }
        let (finding, effort) = search(&self.model, &entries, allowance, u64::MAX);
        if let Finding::GaveUp(spent) = finding {
            judged.doubt = Some(gave_up(history, of.key, &entries, &effort, spent, budget));
        }
        Judged { finding, effort, by_zones: false, ..judged }
    }

    /// Whether the model has a rule for each cas, or there is none.
    fn has_rules_for_cas(&self, history: &History, of: Object<'_>) -> bool {
        let columns = history.columns();
        let cas = of.operations.iter().find(|at| columns.kind()[**at as usize] == CallKind::Cas);
        cas.is_none_or(|at| self.model.understands(&columns.call(*at as usize), Some(&Ret::Done)))
    }

    /// Why an object cannot be judged by the model: the first call that it has no rule for.
    fn strange(&self, key: &Key, entries: &[Entry<'_>]) -> Option<Doubt> {
        let entry = entries.iter().find(|entry| !self.model.understands(entry.call, entry.ret))?;
        let reason =
            format!("key {key} was not judged: a {} has no rule for {}", self.model.name(), entry.call);
        Some(Doubt { reason, hint: Some("judge it by a model that knows this call".into()) })
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
        bad.sort_by_key(|object| (object.effort.reached, object.shown_by().len()));
        let others = bad.len().saturating_sub(EXPLAINED);
        bad.truncate(EXPLAINED);
        let explained = side_by_side(
            bad,
            |object| object.shown_by().len(),
            |object, _: &mut ()| {
                let rows = rows(history, object.shown_by());
                let case = Case { history, key: object.of.key, entries: &entries(&rows) };
                explain::explain(&self.model, &case, allowance)
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

impl Judged<'_> {
    /// The operations that show what is wrong.
    fn shown_by(&self) -> &[u32] {
        if self.part.is_empty() { self.of.operations } else { &self.part }
    }
}

/// These operations as rows, with their places in the history.
fn rows(history: &History, operations: &[u32]) -> Vec<(usize, Operation)> {
    operations.iter().map(|at| (*at as usize, history.operation(*at as usize))).collect()
}

/// Those of them that constrain the object.
fn entries(rows: &[(usize, Operation)]) -> Vec<Entry<'_>> {
    rows.iter().filter_map(|(at, operation)| Entry::of(*at, operation)).collect()
}

/// Applies `judge` to each item, the ones with most operations begun first, on the threads of the current pool, each with
/// something of its own to work with; answers in the order of the items.
fn side_by_side<T: Send, R: Send, W: Default>(
    items: Vec<T>,
    size: impl Fn(&T) -> usize,
    judge: impl Fn(T, &mut W) -> R + Sync,
) -> Vec<R> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(size(&items[*index])));
    let slots: Vec<Mutex<(Option<T>, Option<R>)>> =
        items.into_iter().map(|item| Mutex::new((Some(item), None))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut own = W::default();
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut slot = slots[*index].lock().expect("a judge does not panic");
            let item = slot.0.take().expect("each index is given out once");
            slot.1 = Some(judge(item, &mut own));
        }
    };
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(order.len()) {
            scope.spawn(|_| work());
        }
    });
    slots.into_iter().filter_map(|slot| slot.into_inner().expect("a judge does not panic").1).collect()
}

fn gave_up(
    history: &History,
    key: &Key,
    entries: &[Entry<'_>],
    effort: &Effort,
    spent: Spent,
    budget: Budget<'_>,
) -> Doubt {
    let what = match spent {
        Spent::Time => format!("the time ({} s)", budget.time.as_secs_f64()),
        Spent::Memory => format!("the memory ({} MiB)", budget.bytes >> 20),
        Spent::Steps => "the number of steps".to_string(),
    };
    let far = match effort.reached {
        Some(position) => {
            let operation = history.operation(position);
            let over = |entry: &&Entry<'_>| entry.ret.is_some() && entry.complete < operation.complete;
            let before = entries.iter().filter(over).count();
            format!("legal up to {} ({before} operations)", operation.completed)
        }
        None => "nothing proven yet".into(),
    };
    let reason = format!(
        "{what} was over while key {key} was searched: {far}; {} operations, up to {} pending at once, {} of unknown fate \
         that matter, {} configurations explored",
        entries.len(),
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
