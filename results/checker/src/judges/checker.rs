//! The judge of a history whose every key is an object with a linear or near-linear judge of its own.
//!
//! Says of each key that is not linearizable which few operations show it. Where a key's operations are not what its judge
//! needs, it says so: that is a doubt, never a pass.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use schism_history::{History, Key, Operation, Outcome};

use super::accounting::Accounts;
use super::object::{Case, Object};
use super::{Answer, Violation};
use crate::explain::wording::{did, when, who};
use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement};

/// So many bad keys are explained in full; the rest are counted.
const EXPLAINED: usize = 5;
/// So many operations of a witness are told of one by one.
const TOLD: usize = 6;

/// Judges every key of a history as the same kind of object.
#[derive(Clone, Copy, Debug)]
pub struct Objects {
    /// What each key is.
    pub object: Object,
}

impl Checker for Objects {
    fn name(&self) -> &'static str {
        self.object.name()
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        let (mut bad, mut doubts) = (Vec::new(), BTreeMap::<String, (usize, String)>::new());
        let mut doubt = |reason: String, key: &Key| {
            let count = doubts.entry(reason).or_insert((0, key.to_string()));
            count.0 += 1;
        };
        let (mut accounts, mut keys, mut judged) = (Accounts::default(), 0, 0);
        for (key, operations) in by_key(history) {
            keys += 1;
            if (budget.over)() || operations.len().saturating_mul(BYTES) > budget.bytes {
                doubt("the budget of time or memory was over before it was judged".into(), key);
                continue;
            }
            let case = match Case::of(self.object, &operations) {
                Ok(case) => case,
                Err(reason) => {
                    doubt(reason, key);
                    continue;
                }
            };
            if self.puts_and_takes() {
                accounts.take(&case.columns);
            }
            match case.judge() {
                Answer::Legal => judged += 1,
                Answer::Unfit(reason) => doubt(reason.into(), key),
                Answer::Illegal(violation) => {
                    judged += 1;
                    bad.push(told(history, key, &case, &violation));
                }
            }
        }
        bad.sort_by_key(|anomaly: &Anomaly| anomaly.culprit.map(|culprit| history.rows()[culprit].completed));
        let others = bad.len().saturating_sub(EXPLAINED);
        bad.truncate(EXPLAINED);
        if let Some(last) = bad.last_mut().filter(|_| others > 0) {
            last.sentences.push(format!("{others} more keys are not linearizable either"));
        }
        let mut doubts: Vec<Doubt> = doubts.into_iter().map(as_doubt).collect();
        if self.object == Object::TotalQueue && accounts.left > 0 && !accounts.drained {
            doubts.push(Doubt {
                reason: format!(
                    "{} acknowledged elements were never taken, and nobody found it empty",
                    accounts.left
                ),
                hint: Some("take everything out at the end, until nothing is left".into()),
            });
        }
        let about = format!("linearizable {}", self.object.name());
        let judgement = Judgement::new(self.name(), &about, bad, doubts)
            .with_fact("operations", history.len())
            .with_fact("keys", keys)
            .with_fact(
                "judge",
                format!("{} {judged} keys, cannot tell {}", self.object.name(), keys - judged),
            );
        if self.puts_and_takes() { accounts.facts(judgement) } else { judgement }
    }
}

/// About the bytes that columns and judge take an operation.
const BYTES: usize = 100;

impl Objects {
    fn puts_and_takes(&self) -> bool {
        matches!(self.object, Object::Queue | Object::TotalQueue | Object::PriorityQueue | Object::Stack)
    }
}

fn as_doubt((reason, (count, key)): (String, (usize, String))) -> Doubt {
    let keys =
        if count > 1 { format!("key {key} and {} others were", count - 1) } else { format!("key {key} was") };
    Doubt {
        reason: format!("{keys} not judged: {reason}"),
        hint: Some("let the workload use every element once, or judge by another model".into()),
    }
}

/// The operations of each key with their positions, keys in the order of their first use.
fn by_key(history: &History) -> Vec<(&Key, Vec<(usize, &Operation)>)> {
    let mut at: FxHashMap<&Key, usize> = FxHashMap::default();
    let mut keys: Vec<(&Key, Vec<(usize, &Operation)>)> = Vec::new();
    for (position, operation) in history.rows().iter().enumerate() {
        let key = operation.call.key();
        let slot = *at.entry(key).or_insert_with(|| {
            keys.push((key, Vec::new()));
            keys.len() - 1
        });
        keys[slot].1.push((position, operation));
    }
    keys
}

/// Who did what, and when.
fn deed(operation: &Operation) -> String {
    format!("{} {} ({})", who(operation), did(operation), when(operation))
}

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
    }
}

/// The failed call that would have put in something that this operation found.
fn failed(case: &Case, operation: &Operation) -> Option<usize> {
    let Outcome::Ok(schism_history::Ret::Value(found)) = &operation.outcome else { return None };
    let elements = found.elements().unwrap_or(std::slice::from_ref(found));
    elements.iter().find_map(|element| case.failed.get(element)).copied()
}
