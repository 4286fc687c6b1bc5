//! Why an object is not linearizable, for people: the smallest part of the history that shows it, what the state could
//! have been, why each operation that could have come next could not, and the name of the shape if it has one.
//!
//! The part is brought before a second judge, the frontier, which skips nothing. Should the two disagree, the finding is
//! withdrawn: it would be our own mistake.

mod shapes;
mod shrink;
pub(crate) mod wording;

pub use shrink::in_chunks;

use schism_history::{History, Key, Operation};

use crate::linear::{Allowance, Configuration, Entry, Frontier, frontier};
use crate::model::Model;
use crate::verdict::{Anomaly, Doubt, Refused};
use shapes::Scene;
use wording::{any_of, asked, did, noun, when, who};

/// More configurations than that at once, and a part is not followed by the second judge.
const WIDEST: usize = 20_000;
/// So many operations of a part are told of one by one.
const TOLD: usize = 8;

/// An object that is known not to be linearizable.
#[derive(Clone, Copy)]
pub struct Case<'a, 'h> {
    /// The whole history.
    pub history: &'h History,
    /// The object.
    pub key: &'h Key,
    /// What was done to it.
    pub entries: &'a [Entry<'h>],
}

/// The anomaly of an object that is known not to be linearizable.
///
/// # Errors
/// When the second judge finds the part legal after all.
pub fn explain<M: Model>(
    model: &M,
    case: &Case<'_, '_>,
    allowance: &Allowance<'_>,
) -> Result<Anomaly, Doubt> {
    let part = shrink::shrink(model, case.entries, allowance);
    let witness: Vec<usize> = part.iter().map(|entry| entry.operation).collect();
    let mut anomaly = Anomaly {
        name: "not linearizable".into(),
        key: Some(case.key.clone()),
        sentences: Vec::new(),
        witness,
        culprit: None,
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof: Vec::new(),
    };
    match frontier(model, &part, WIDEST) {
        Frontier::Explained => Err(Doubt {
            reason: format!(
                "two judges disagree on key {}: the search found no legal order of {} operations, the frontier did",
                case.key,
                part.len()
            ),
            hint: Some("this is a mistake in schism: please report it with the history".into()),
        }),
        Frontier::TooWide => {
            anomaly.sentences.push(unexplained(model, case, &part));
            Ok(anomaly)
        }
        Frontier::Stuck { culprit, possible } => {
            tell(model, case, &part, culprit, &possible, &mut anomaly);
            Ok(anomaly)
        }
    }
}

/// Adds to an anomaly what the state could have been before the first of its operations that nobody can explain, and why
/// that one and all others that could have come next were refused. Adds nothing if there is no such operation.
pub fn add_states<M: Model>(model: &M, case: &Case<'_, '_>, anomaly: &mut Anomaly) {
    if let Frontier::Stuck { culprit, possible } = frontier(model, case.entries, WIDEST) {
        let known = anomaly.culprit;
        note_states(model, case, case.entries, culprit, &possible, anomaly);
        anomaly.culprit = known.or(anomaly.culprit);
    }
}

fn unexplained<M: Model>(model: &M, case: &Case<'_, '_>, part: &[Entry<'_>]) -> String {
    let last = part.iter().filter(|entry| entry.ret.is_some()).max_by_key(|entry| entry.complete);
    let until = last.map_or(case.history.end, |entry| case.history.rows()[entry.operation].completed);
    format!(
        "no order of these {} operations on {} {} up to {until} respects time and what a {} does",
        part.len(),
        model.noun(),
        case.key,
        model.noun()
    )
}

fn tell<M: Model>(
    model: &M,
    case: &Case<'_, '_>,
    part: &[Entry<'_>],
    culprit: usize,
    possible: &[Configuration<M::State>],
    anomaly: &mut Anomaly,
) {
    let operations = case.history.rows();
    let culprit_at = part[culprit].operation;
    let refusal = note_states(model, case, part, culprit, possible, anomaly);
    let shape = model.as_register().and_then(|initial| {
        shapes::recognise(&Scene {
            operations,
            key: case.key,
            initial: &initial,
            witness: &anomaly.witness,
            culprit: culprit_at,
        })
    });
    let mut spoken_of = vec![culprit_at];
    match shape {
        Some(shape) => {
            anomaly.name = shape.name.into();
            anomaly.sentences.push(shape.sentence);
            spoken_of.extend(shape.speaks_of);
        }
        None => {
            let culprit = &operations[culprit_at];
            anomaly.sentences.push(format!(
                "{} {} ({}), but {refusal}",
                who(culprit),
                did(culprit),
                when(culprit)
            ));
        }
    }
    let rest: Vec<usize> = anomaly.witness.iter().copied().filter(|at| *at != culprit_at).collect();
    if rest.len() <= TOLD {
        for at in rest {
            let operation = &operations[at];
            let mut sentence = format!("{} {} ({})", who(operation), did(operation), when(operation));
            if !operation.outcome.is_ok() {
                sentence = format!(
                    "{} may have done this: {} ({})",
                    who(operation),
                    noun(operation),
                    when(operation)
                );
            }
            anomaly.sentences.push(sentence);
        }
    } else {
        anomaly.sentences.push(format!(
            "it takes {} operations to show it, from {} to {}",
            anomaly.witness.len(),
            anomaly.witness.iter().map(|at| operations[*at].invoked).min().unwrap_or_default(),
            operations[culprit_at].completed,
        ));
    }
    // A failed write is part of the story, though it constrains nothing.
    anomaly.witness.extend(spoken_of.into_iter().filter(|at| operations[*at].outcome.word() == "fail"));
    anomaly.witness.sort_unstable();
    anomaly.witness.dedup();
}

/// Notes what the state could have been, and who could not come next. Answers why the culprit could not.
fn note_states<M: Model>(
    model: &M,
    case: &Case<'_, '_>,
    part: &[Entry<'_>],
    culprit: usize,
    possible: &[Configuration<M::State>],
    anomaly: &mut Anomaly,
) -> String {
    let culprit_at = part[culprit].operation;
    anomaly.culprit = Some(culprit_at);
    for (state, _) in possible {
        let shown = model.show(state);
        if !anomaly.possible_states.contains(&shown) {
            anomaly.possible_states.push(shown);
        }
    }
    let refusal = refusal(model, &case.history.rows()[culprit_at], &anomaly.possible_states);
    anomaly.refused = refused(model, case, part, culprit, possible, refusal.clone());
    refusal
}

/// Why the culprit cannot be put in line: `the register could only hold 15 or 16 then`.
fn refusal<M: Model>(model: &M, culprit: &Operation, possible: &[String]) -> String {
    let states = any_of(possible);
    match asked(culprit) {
        Some(value) => format!("the {} could only be {states} then, not {value}", model.noun()),
        None => format!("the {} could only be {states} then, which refuses this", model.noun()),
    }
}

fn refused<M: Model>(
    model: &M,
    case: &Case<'_, '_>,
    part: &[Entry<'_>],
    culprit: usize,
    possible: &[Configuration<M::State>],
    refusal: String,
) -> Vec<Refused> {
    let operations = case.history.rows();
    let end = part[culprit].complete;
    let last = format!("the {}", noun(&operations[part[culprit].operation]));
    let mut refused = vec![Refused { operation: part[culprit].operation, because: refusal }];
    for (index, entry) in part.iter().enumerate() {
        let pending = entry.invoke < end && (entry.ret.is_none() || entry.complete > end);
        let free: Vec<&M::State> =
            possible.iter().filter(|(_, in_line)| !in_line[index]).map(|(state, _)| state).collect();
        if !pending || free.is_empty() {
            continue;
        }
        let mut after: Vec<String> = Vec::new();
        for state in free {
            if let Some(next) = model.step(state, entry.call, entry.ret) {
                let shown = model.show(&next);
                if !after.contains(&shown) {
                    after.push(shown);
                }
            }
        }
        let because = if after.is_empty() {
            "no state that is possible then accepts it".to_string()
        } else {
            format!("it could come next, but leaves {}, and {last} is still not possible", any_of(&after))
        };
        refused.push(Refused { operation: entry.operation, because });
    }
    refused
}
