//! The judge of a history whose every key is an object with a linear or near-linear judge of its own.
//!
//! Says of each key that is not linearizable which few operations show it. A key whose operations are not what its judge
//! needs is searched; where nobody can tell, that is a doubt, never a pass.

use rustc_hash::FxHashSet;
use schism_history::{CallKind, History, Key, Numbers, Operation, Outcome, Status, Value};

use super::accounting::Accounts;
use super::fallback::{self, Found};
use super::in_parts::InParts;
use super::object::{Case, Object};
use super::{Answer, Violation};
use crate::explain::wording::{did, when, who};
use crate::judge::{Chooses, Judge};
use crate::linear::{Allowance, Holding};
use crate::parts::{self, ByParts};
use crate::side_by_side::side_by_side;
use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement};

/// So many bad keys are explained in full; the rest are counted.
pub(super) const EXPLAINED: usize = 5;
/// So many operations of a witness are told of one by one.
const TOLD: usize = 6;
/// About the bytes that columns and judge take an operation.
const BYTES: usize = 100;

/// Judges every key of a history as the same kind of object.
#[derive(Clone, Copy, Debug)]
pub struct Objects {
    /// What each key is.
    pub object: Object,
}

/// One key.
#[derive(Clone, Copy)]
pub(super) struct Of<'h> {
    pub(super) key: &'h Key,
    pub(super) operations: &'h [u32],
}

/// What is known of one key.
pub(super) enum Known {
    Legal,
    /// The linear judge says so, and why.
    Illegal(Box<Anomaly>),
    /// The search says so: these operations have no legal order.
    Refuted(Vec<u32>),
    /// Nobody can tell, and why.
    Nothing(String),
    /// The search gave up.
    GaveUp(Doubt),
}

/// What became of one key.
pub(super) struct Judged<'h> {
    pub(super) of: Of<'h>,
    pub(super) known: Known,
    /// Why it was searched, if it was.
    pub(super) searched: Option<String>,
    pub(super) accounts: Option<Accounts>,
    pub(super) configurations: u64,
}

impl Checker for Objects {
    fn name(&self) -> &'static str {
        self.object.name()
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        self.check_by(Judge::Auto, history, budget)
    }

    fn by_parts(&self) -> Option<Box<dyn ByParts + '_>> {
        self.parts_by(Judge::Auto)
    }
}

impl Chooses for Objects {
    fn check_by(&self, judge: Judge, history: &History, budget: Budget<'_>) -> Judgement {
        parts::whole(Box::new(InParts::new(*self, judge)), history, budget)
    }

    fn parts_by(&self, judge: Judge) -> Option<Box<dyn ByParts + '_>> {
        Some(Box::new(InParts::new(*self, judge)))
    }
}

impl Objects {
    fn puts_and_takes(&self) -> bool {
        use Object::{Bag, PriorityQueue, Queue, Stack, TotalQueue};
        matches!(self.object, Queue | Bag | TotalQueue | PriorityQueue | Stack)
    }

    pub(super) fn judge<'h>(
        &self,
        judge: Judge,
        history: &'h History,
        of: Of<'h>,
        numbers: &mut Numbers,
        allowance: &Allowance<'_>,
    ) -> Judged<'h> {
        let mut judged =
            Judged { of, known: Known::Legal, searched: None, accounts: None, configurations: 0 };
        if allowance.over() {
            judged.known = Known::Nothing("the budget of time was over before it was judged".into());
            return judged;
        }
        let mut unfit = "the search was asked for".to_string();
        if judge != Judge::Search {
            unfit = match self.by_columns(history, &mut judged, numbers, allowance) {
                Ok(known) => {
                    judged.known = known;
                    return judged;
                }
                Err(reason) => reason,
            };
        }
        if judge == Judge::Linear || (judge == Judge::Auto && !self.object.searchable()) {
            judged.known = Known::Nothing(unfit);
            return judged;
        }
        match fallback::search(self.object, history, of.key, of.operations, allowance) {
            Ok(Found { illegal, doubt, configurations }) => {
                judged.searched = Some(unfit);
                judged.configurations = configurations;
                judged.known = match (illegal, doubt) {
                    (Some(part), _) => Known::Refuted(part),
                    (None, Some(doubt)) => Known::GaveUp(doubt),
                    (None, None) => Known::Legal,
                };
            }
            Err(reason) => judged.known = Known::Nothing(reason),
        }
        judged
    }

    /// What the linear judge says.
    ///
    /// # Errors
    /// Why it cannot judge these operations.
    fn by_columns(
        &self,
        history: &History,
        judged: &mut Judged<'_>,
        numbers: &mut Numbers,
        allowance: &Allowance<'_>,
    ) -> Result<Known, String> {
        let of = judged.of;
        let mut holding = Holding::new(allowance);
        if holding.grow(of.operations.len().saturating_mul(BYTES)).is_err() {
            return Ok(Known::Nothing("the budget of memory is too small for it".into()));
        }
        let case = Case::of(self.object, history, of.operations, numbers)?;
        if self.puts_and_takes() {
            judged.accounts = Some(Accounts::of(&case.columns));
        }
        match case.judge() {
            Answer::Legal => Ok(Known::Legal),
            Answer::Unfit(reason) => Err(reason.into()),
            Answer::Illegal(violation) => {
                let mut anomaly = told(history, of, &case, &violation);
                fallback::add_states(self.object, history, of.key, &mut anomaly);
                Ok(Known::Illegal(Box::new(anomaly)))
            }
        }
    }

    /// The earliest anomalies in full, by where their culprits' calls were over, and how many keys more are bad.
    pub(super) fn explain(
        &self,
        history: &History,
        judged: Vec<Judged<'_>>,
        allowance: &Allowance<'_>,
        doubts: &mut Vec<Doubt>,
    ) -> (Vec<(u32, Anomaly)>, usize) {
        let complete = history.columns().complete();
        let mut bad: Vec<(u32, Judged<'_>)> = judged
            .into_iter()
            .filter_map(|key| match &key.known {
                Known::Illegal(anomaly) => {
                    Some((anomaly.culprit.map_or(u32::MAX, |culprit| complete[culprit]), key))
                }
                Known::Refuted(part) => {
                    let over = part.iter().map(|at| complete[*at as usize]);
                    Some((over.min().unwrap_or(u32::MAX), key))
                }
                _ => None,
            })
            .collect();
        bad.sort_by_key(|(over, _)| *over);
        let others = bad.len().saturating_sub(EXPLAINED);
        bad.truncate(EXPLAINED);
        let explained = side_by_side(
            bad,
            |(_, key)| key.of.operations.len(),
            |(over, key), _: &mut ()| match key.known {
                Known::Refuted(part) => {
                    let told = fallback::explain(self.object, history, key.of.key, &part, allowance);
                    told.map(|anomaly| Some((over, anomaly)))
                }
                Known::Illegal(anomaly) => Ok(Some((over, *anomaly))),
                _ => Ok(None),
            },
        );
        let mut anomalies = Vec::new();
        for outcome in explained {
            match outcome {
                Ok(anomaly) => anomalies.extend(anomaly),
                Err(doubt) => doubts.push(doubt),
            }
        }
        (anomalies, others)
    }
}

/// Who did what, and when.
fn deed(operation: &Operation) -> String {
    format!("{} {} ({})", who(operation), did(operation), when(operation))
}

/// What the linear judge found, for people.
fn told(history: &History, of: Of<'_>, case: &Case, violation: &Violation) -> Anomaly {
    let at = |place: &u32| case.positions[*place as usize] as usize;
    let operation = |place: &u32| history.operation(at(place));
    let mut law = violation.rule.law.to_string();
    let mut rest: Vec<&u32> = Vec::new();
    for (number, place) in violation.operations.iter().enumerate() {
        let stands = format!("{{{number}}}");
        if law.contains(&stands) {
            law = law.replace(&stands, &deed(&operation(place)));
        } else {
            rest.push(place);
        }
    }
    let mut sentences = vec![law];
    sentences.extend(rest.iter().take(TOLD).map(|place| deed(&operation(place))));
    if rest.len() > TOLD {
        sentences.push(format!("and {} more operations like these", rest.len() - TOLD));
    }
    let mut witness: Vec<usize> = violation.operations.iter().map(at).collect();
    // Who failed to put in what was found is part of the story.
    if violation.rule.name == "unexpected element"
        && let Some(failed) = violation.operations.iter().find_map(|place| failed(history, of, at(place)))
    {
        let put = history.operation(failed);
        let why = if let Outcome::Fail(why) = &put.outcome { why.as_str() } else { "" };
        sentences.push(format!("{}, but was told that it had failed: {why}", deed(&put)));
        witness.push(failed);
    }
    witness.sort_unstable();
    let culprit = violation.operations.iter().filter(|place| operation(place).outcome.is_ok());
    Anomaly {
        name: violation.rule.name.into(),
        key: Some(of.key.clone()),
        sentences,
        witness,
        culprit: culprit.max_by_key(|place| operation(place).complete).map(at),
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof: Vec::new(),
    }
}

/// The failed call that would have put in something that this operation found.
fn failed(history: &History, of: Of<'_>, found: usize) -> Option<usize> {
    let columns = history.columns();
    if columns.status()[found] != Status::Answered {
        return None;
    }
    let value = |number: u32| &columns.values()[number as usize];
    let found = value(columns.answer()[found]);
    let elements: FxHashSet<&Value> =
        found.elements().unwrap_or(std::slice::from_ref(found)).iter().collect();
    let would_have_put = |at: &usize| {
        use CallKind::{Add, Append, Enqueue, Push};
        columns.status()[*at] == Status::Fail
            && matches!(columns.kind()[*at], Add | Append | Enqueue | Push)
            && elements.contains(value(columns.argument()[*at]))
    };
    of.operations.iter().map(|at| *at as usize).find(would_have_put)
}
