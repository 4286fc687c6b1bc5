//! Linearizability of a whole history, object by object: every object can be judged for itself (Herlihy and Wing, 1990).
//!
//! It finds every object whose operations have no legal order, and shows the smallest part of the history that proves
//! it. It cannot find what involves several objects: a transaction torn in two is two legal registers.

use schism_history::{CallKind, History, Key, Numbers, Ret, Value};

use crate::by_search::{by_search, entries, rows, strange};
use crate::explain::{self, Case};
use crate::judge::{Chooses, Judge};
use crate::linear::{Allowance, Effort, Finding, straight};
use crate::model::Model;
use crate::parts::{self, ByParts, Concluded, Found, Part};
use crate::side_by_side::side_by_side;
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
    /// Whether nobody looked for an order: the model has no rule for some call, or only the search could tell.
    left_out: bool,
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
        self.check_by(Judge::Auto, history, budget)
    }

    fn by_parts(&self) -> Option<Box<dyn ByParts + '_>> {
        self.parts_by(Judge::Auto)
    }
}

impl<M: Model> Chooses for Linearizable<M> {
    fn check_by(&self, judge: Judge, history: &History, budget: Budget<'_>) -> Judgement {
        parts::whole(Box::new(InParts::new(self, judge)), history, budget)
    }

    fn parts_by(&self, judge: Judge) -> Option<Box<dyn ByParts + '_>> {
        (!self.model.spans_keys()).then(|| Box::new(InParts::new(self, judge)) as Box<dyn ByParts + '_>)
    }
}

/// How early trouble comes: how far an order was found, and how many operations show that there is no other.
type Order = (Option<usize>, usize);

/// What is known after some parts.
struct InParts<'c, M> {
    checker: &'c Linearizable<M>,
    judge: Judge,
    operations: usize,
    keys: usize,
    by_zones: usize,
    configurations: u64,
    outcomes: [usize; 3],
    doubts: Vec<Doubt>,
    found: Found<Order>,
}

impl<'c, M: Model> InParts<'c, M> {
    fn new(checker: &'c Linearizable<M>, judge: Judge) -> Self {
        InParts {
            checker,
            judge,
            operations: 0,
            keys: 0,
            by_zones: 0,
            configurations: 0,
            outcomes: [0; 3],
            doubts: Vec::new(),
            found: Found::with_most(EXPLAINED),
        }
    }
}

impl<M: Model> ByParts for InParts<'_, M> {
    fn take(&mut self, part: &Part<'_>, budget: Budget<'_>) {
        let (history, checker) = (part.history, self.checker);
        let allowance = Allowance::new(budget);
        let by_key = history.by_key();
        let register = checker.model.as_register().filter(|_| self.judge != Judge::Search).map(|initial| {
            let number = history.columns().number_of(&initial).unwrap_or(u32::MAX);
            AsRegister { initial, number }
        });
        let spans_keys = checker.model.spans_keys();
        let everything: Vec<u32> = if spans_keys { (0..history.len() as u32).collect() } else { Vec::new() };
        let objects: Vec<Object<'_>> = if spans_keys {
            vec![Object { key: &EVERYTHING, operations: &everything }]
        } else {
            by_key.iter().map(|of| Object { key: of.key, operations: of.operations }).collect()
        };
        let judged = side_by_side(
            objects,
            |of| of.operations.len(),
            |of, numbers| checker.judge(self.judge, history, of, register.as_ref(), numbers, &allowance),
        );
        let (judged, left_out): (Vec<Judged<'_>>, Vec<Judged<'_>>) =
            judged.into_iter().partition(|object| !object.left_out);
        self.doubts.extend(left_out.into_iter().filter_map(|object| object.doubt));
        self.operations += history.len();
        self.keys += judged.len();
        self.by_zones += judged.iter().filter(|object| object.by_zones).count();
        self.configurations += judged.iter().map(|object| object.effort.configurations).sum::<u64>();
        for status in history.columns().status() {
            let outcome = if status.is_ok() { 0 } else { 1 + usize::from(status.is_info()) };
            self.outcomes[outcome] += 1;
        }
        self.doubts.extend(judged.iter().filter_map(|object| object.doubt.clone()));
        self.doubts.extend(part.doubt());
        let (anomalies, others) = checker.explain(history, judged, &allowance, &mut self.doubts);
        let anomalies = anomalies
            .into_iter()
            .map(|((reached, shown), anomaly)| ((reached.map(|at| part.place(at)), shown), anomaly));
        self.found.take(part, anomalies, others);
    }

    fn conclude(self: Box<Self>) -> Concluded {
        let (mut anomalies, others, cited) = self.found.conclude();
        anomalies.sort_by_key(|anomaly| anomaly.culprit);
        parts::tell_others(&mut anomalies, others);
        let about = format!("linearizable {}", self.checker.model.name());
        let judges = format!("zones {} keys, search {}", self.by_zones, self.keys - self.by_zones);
        let [ok, fail, info] = self.outcomes;
        let judgement = Judgement::new("linearizable", &about, anomalies, self.doubts)
            .with_fact("operations", self.operations)
            .with_fact("keys", self.keys)
            .with_fact("ok", ok)
            .with_fact("fail", fail)
            .with_fact("info", info)
            .with_fact("judge", judges)
            .with_fact("configurations explored", self.configurations);
        Concluded { judgement, cited }
    }
}

impl<M: Model> Linearizable<M> {
    fn judge<'h>(
        &self,
        judge: Judge,
        history: &'h History,
        of: Object<'h>,
        register: Option<&AsRegister>,
        numbers: &mut Numbers,
        allowance: &Allowance<'_>,
    ) -> Judged<'h> {
        let judged = Judged {
            of,
            finding: Finding::Linearizable,
            effort: Effort::default(),
            by_zones: true,
            part: Vec::new(),
            left_out: false,
            doubt: None,
        };
        if let Some(register) = register
            && self.has_rules_for_cas(history, of)
            && zones::linearizable(history.columns(), of.operations, register.number, numbers, allowance)
        {
            return judged;
        }
        let searched = match judge {
            Judge::Linear => None,
            _ => straight(
                &self.model,
                history.columns(),
                of.operations.iter().map(|at| *at as usize),
                allowance,
            ),
        };
        if let Some((Finding::Linearizable, effort)) = searched {
            return Judged { effort, by_zones: false, ..judged };
        }
        let rows = rows(history, of.operations);
        let entries = entries(&rows);
        if let Some(entry) = strange(&self.model, &entries) {
            let reason = format!(
                "key {} was not judged: a {} has no rule for {}",
                of.key,
                self.model.name(),
                entry.call
            );
            let hint = Some("judge it by a model that knows this call".into());
            return Judged { doubt: Some(Doubt { reason, hint }), left_out: true, ..judged };
        }
        if let Some(register) = register
            && let Some(zones::Judged { finding, effort, part }) =
                zones::judge(&entries, &register.initial, allowance)
        {
            // What is not needed to show the violation need not be gone through to explain it.
            let part = part.iter().map(|entry| entry.operation as u32).collect();
            return Judged { finding, effort, part, ..judged };
        }
        if judge == Judge::Linear {
            let why = match register {
                Some(_) => "a value was written to it twice, or the memory does not suffice".into(),
                None => format!("no linear judge knows a {}", self.model.name()),
            };
            let reason = format!("key {} was not judged: {why}", of.key);
            let hint = Some("--judge auto lets the search decide".into());
            return Judged { doubt: Some(Doubt { reason, hint }), left_out: true, ..judged };
        }
        if let Some((finding, effort)) = searched {
            return Judged { finding, effort, by_zones: false, ..judged };
        }
        let searched = by_search(&self.model, history, of.key, &entries, allowance);
        Judged {
            finding: searched.finding,
            effort: searched.effort,
            doubt: searched.doubt,
            by_zones: false,
            ..judged
        }
    }

    /// Whether the model has a rule for each cas, or there is none.
    fn has_rules_for_cas(&self, history: &History, of: Object<'_>) -> bool {
        let columns = history.columns();
        let cas = of.operations.iter().find(|at| columns.kind()[**at as usize] == CallKind::Cas);
        cas.is_none_or(|at| self.model.understands(&columns.call(*at as usize), Some(&Ret::Done)))
    }

    /// The first anomalies in full, and how many keys more are bad.
    fn explain(
        &self,
        history: &History,
        judged: Vec<Judged<'_>>,
        allowance: &Allowance<'_>,
        doubts: &mut Vec<Doubt>,
    ) -> (Vec<(Order, Anomaly)>, usize) {
        let mut bad: Vec<Judged<'_>> =
            judged.into_iter().filter(|object| object.finding == Finding::NotLinearizable).collect();
        let order = |object: &Judged<'_>| (object.effort.reached, object.shown_by().len());
        // The earliest trouble first: what goes wrong later may follow from it.
        bad.sort_by_key(order);
        let others = bad.len().saturating_sub(EXPLAINED);
        bad.truncate(EXPLAINED);
        let explained = side_by_side(
            bad,
            |object| object.shown_by().len(),
            |object, _: &mut ()| {
                let rows = rows(history, object.shown_by());
                let case = Case { history, key: object.of.key, entries: &entries(&rows) };
                let explained = explain::explain(&self.model, &case, allowance);
                explained.map(|anomaly| (order(&object), anomaly))
            },
        );
        let mut anomalies = Vec::new();
        for outcome in explained {
            match outcome {
                Ok(anomaly) => anomalies.push(anomaly),
                Err(doubt) => doubts.push(doubt),
            }
        }
        (anomalies, others)
    }
}

impl Judged<'_> {
    /// The operations that show what is wrong.
    fn shown_by(&self) -> &[u32] {
        if self.part.is_empty() { self.of.operations } else { &self.part }
    }
}
