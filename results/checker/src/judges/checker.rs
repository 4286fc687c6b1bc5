//! The judge of a history whose every key is an object with a linear or near-linear judge of its own.
//!
//! Says of each key that is not linearizable which few operations show it. A key whose operations are not what its judge
//! needs is searched; where nobody can tell, that is a doubt, never a pass.

use std::collections::BTreeMap;

use schism_history::{History, Key, Operation, Outcome};

use super::accounting::Accounts;
use super::fallback::{self, Found};
use super::object::{Case, Object};
use super::{Answer, Violation};
use crate::explain::wording::{did, when, who};
use crate::judge::{Chooses, Judge};
use crate::linear::{Allowance, Holding};
use crate::side_by_side::side_by_side;
use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement};

/// So many bad keys are explained in full; the rest are counted.
const EXPLAINED: usize = 5;
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
struct Of<'h> {
    key: &'h Key,
    operations: &'h [u32],
}

/// What is known of one key.
enum Known {
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
struct Judged<'h> {
    of: Of<'h>,
    known: Known,
    /// Why it was searched, if it was.
    searched: Option<String>,
    accounts: Option<Accounts>,
    configurations: u64,
}

impl Checker for Objects {
    fn name(&self) -> &'static str {
        self.object.name()
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        self.check_by(Judge::Auto, history, budget)
    }
}

impl Chooses for Objects {
    fn check_by(&self, judge: Judge, history: &History, budget: Budget<'_>) -> Judgement {
        let allowance = Allowance::new(budget);
        let by_key = history.by_key();
        let keys: Vec<Of<'_>> =
            by_key.iter().map(|of| Of { key: of.key, operations: of.operations }).collect();
        let judged = side_by_side(
            keys,
            |of| of.operations.len(),
            |of, _: &mut ()| self.judge(judge, history, of, &allowance),
        );
        let mut doubts = doubts(&judged, judge);
        let accounts = judged.iter().filter_map(|key| key.accounts).reduce(|mut sum, of| {
            sum.add(&of);
            sum
        });
        if let (Object::TotalQueue, Some(accounts)) = (self.object, &accounts)
            && accounts.left > 0
            && !accounts.drained
        {
            doubts.push(Doubt {
                reason: format!(
                    "{} acknowledged elements were never taken, and nobody found it empty",
                    accounts.left
                ),
                hint: Some("take everything out at the end, until nothing is left".into()),
            });
        }
        let count = |wanted: fn(&Judged<'_>) -> bool| judged.iter().filter(|key| wanted(key)).count();
        let cannot_tell = count(|key| matches!(key.known, Known::Nothing(_)));
        let searched = count(|key| key.searched.is_some() && !matches!(key.known, Known::Nothing(_)));
        let linear = judged.len() - searched - cannot_tell;
        let why = judged.iter().find_map(|key| key.searched.clone());
        let configurations: u64 = judged.iter().map(|key| key.configurations).sum();
        let keys = judged.len();
        let bad = self.explain(history, judged, &allowance, &mut doubts);
        let about = format!("linearizable {}", self.object.name());
        let mut judgement = Judgement::new(self.name(), &about, bad, doubts)
            .with_fact("operations", history.len())
            .with_fact("keys", keys)
            .with_fact(
                "judge",
                format!("linear {linear} keys, search {searched}, cannot tell {cannot_tell}"),
            );
        if let Some(why) = why.filter(|_| searched > 0) {
            judgement = judgement
                .with_fact("searched because", why)
                .with_fact("configurations explored", configurations);
        }
        match accounts {
            Some(accounts) => accounts.facts(judgement),
            None => judgement,
        }
    }
}

impl Objects {
    fn puts_and_takes(&self) -> bool {
        use Object::{Bag, PriorityQueue, Queue, Stack, TotalQueue};
        matches!(self.object, Queue | Bag | TotalQueue | PriorityQueue | Stack)
    }

    fn judge<'h>(
        &self,
        judge: Judge,
        history: &'h History,
        of: Of<'h>,
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
            unfit = match self.by_columns(history, &mut judged, allowance) {
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
        allowance: &Allowance<'_>,
    ) -> Result<Known, String> {
        let of = judged.of;
        let mut holding = Holding::new(allowance);
        if holding.grow(of.operations.len().saturating_mul(BYTES)).is_err() {
            return Ok(Known::Nothing("the budget of memory is too small for it".into()));
        }
        let rows = history.rows();
        let operations: Vec<(usize, &Operation)> =
            of.operations.iter().map(|at| (*at as usize, &rows[*at as usize])).collect();
        let case = Case::of(self.object, &operations)?;
        if self.puts_and_takes() {
            judged.accounts = Some(Accounts::of(&case.columns));
        }
        match case.judge() {
            Answer::Legal => Ok(Known::Legal),
            Answer::Unfit(reason) => Err(reason.into()),
            Answer::Illegal(violation) => {
                let mut anomaly = told(history, of.key, &case, &violation);
                fallback::add_states(self.object, history, of.key, &mut anomaly);
                Ok(Known::Illegal(Box::new(anomaly)))
            }
        }
    }

    /// The earliest anomalies in full; the rest are counted.
    fn explain(
        &self,
        history: &History,
        judged: Vec<Judged<'_>>,
        allowance: &Allowance<'_>,
        doubts: &mut Vec<Doubt>,
    ) -> Vec<Anomaly> {
        let rows = history.rows();
        let mut bad: Vec<(u32, Judged<'_>)> = judged
            .into_iter()
            .filter_map(|key| match &key.known {
                Known::Illegal(anomaly) => {
                    Some((anomaly.culprit.map_or(u32::MAX, |culprit| rows[culprit].complete), key))
                }
                Known::Refuted(part) => {
                    let over = part.iter().map(|at| history.columns().complete()[*at as usize]);
                    Some((over.min().unwrap_or(u32::MAX), key))
                }
                _ => None,
            })
            .collect();
        bad.sort_by_key(|(culprit, _)| *culprit);
        let others = bad.len().saturating_sub(EXPLAINED);
        bad.truncate(EXPLAINED);
        let explained = side_by_side(
            bad,
            |(_, key)| key.of.operations.len(),
            |(_, key), _: &mut ()| match key.known {
                Known::Refuted(part) => {
                    fallback::explain(self.object, history, key.of.key, &part, allowance).map(Some)
                }
                Known::Illegal(anomaly) => Ok(Some(*anomaly)),
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
        if let Some(last) = anomalies.last_mut().filter(|_| others > 0) {
            last.sentences.push(format!("{others} more keys are not linearizable either"));
        }
        anomalies
    }
}

/// Why nothing is known of some keys: each reason once.
fn doubts(judged: &[Judged<'_>], judge: Judge) -> Vec<Doubt> {
    let (mut gave_up, mut reasons) = (Vec::new(), BTreeMap::<&str, (usize, &Key)>::new());
    for key in judged {
        match &key.known {
            Known::GaveUp(doubt) => gave_up.push(doubt.clone()),
            Known::Nothing(reason) => reasons.entry(reason).or_insert((0, key.of.key)).0 += 1,
            _ => {}
        }
    }
    let hint = match judge {
        Judge::Linear => "--judge auto lets the search decide",
        _ => "let the workload use every element once, or judge by another model",
    };
    let doubts = reasons.into_iter().map(|(reason, (count, key))| {
        let keys = match count {
            1 => format!("key {key} was"),
            more => format!("key {key} and {} others were", more - 1),
        };
        Doubt { reason: format!("{keys} not judged: {reason}"), hint: Some(hint.into()) }
    });
    doubts.chain(gave_up).collect()
}

/// Who did what, and when.
fn deed(operation: &Operation) -> String {
    format!("{} {} ({})", who(operation), did(operation), when(operation))
}

/// What the linear judge found, for people.
fn told(history: &History, key: &Key, case: &Case, violation: &Violation) -> Anomaly {
    let at = |place: &u32| case.positions[*place as usize];
    let operation = |place: &u32| &history.rows()[at(place)];
    let mut law = violation.rule.law.to_string();
    let mut rest: Vec<&u32> = Vec::new();
    for (number, place) in violation.operations.iter().enumerate() {
        let stands = format!("{{{number}}}");
        if law.contains(&stands) {
            law = law.replace(&stands, &deed(operation(place)));
        } else {
            rest.push(place);
        }
    }
    let mut sentences = vec![law];
    sentences.extend(rest.iter().take(TOLD).map(|place| deed(operation(place))));
    if rest.len() > TOLD {
        sentences.push(format!("and {} more operations like these", rest.len() - TOLD));
    }
    let mut witness: Vec<usize> = violation.operations.iter().map(at).collect();
    // Who failed to put in what was found is part of the story.
    if violation.rule.name == "unexpected element"
        && let Some(failed) = violation.operations.iter().find_map(|place| failed(case, operation(place)))
    {
        let Operation { outcome, .. } = &history.rows()[failed];
        let why = if let Outcome::Fail(why) = outcome { why.as_str() } else { "" };
        sentences.push(format!("{}, but was told that it had failed: {why}", deed(&history.rows()[failed])));
        witness.push(failed);
    }
    witness.sort_unstable();
    let culprit = violation.operations.iter().filter(|place| operation(place).outcome.is_ok());
    Anomaly {
        name: violation.rule.name.into(),
        key: Some(key.clone()),
        sentences,
        witness,
        culprit: culprit.max_by_key(|place| operation(place).complete).map(at),
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof: Vec::new(),
    }
}

/// The failed call that would have put in something that this operation found.
fn failed(case: &Case, operation: &Operation) -> Option<usize> {
    let Outcome::Ok(schism_history::Ret::Value(found)) = &operation.outcome else { return None };
    let elements = found.elements().unwrap_or(std::slice::from_ref(found));
    elements.iter().find_map(|element| case.failed.get(element)).copied()
}
