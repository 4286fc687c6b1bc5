//! The plain sentences of what is staler than allowed.

use std::time::Duration;

use schism_history::{Call, History, Operation};

use super::ReadStaleness;
use super::delta::{Conflict, Delta};
use super::fresh;
use crate::verdict::{Anomaly, ProofStep};
use crate::versions::{Moment, Register, who};

/// So many of the versions that were missed are named.
const NAMED: usize = 3;

/// A Δ beyond the one allowed.
pub(super) fn too_late(
    history: &History,
    register: &Register<'_>,
    delta: &Delta,
    least: Duration,
    allowed: Duration,
) -> Anomaly {
    let mut anomaly = conflict(history, register, delta, "stale read");
    fresh::add(history, register, &mut anomaly);
    anomaly.sentences.push(format!(
        "Only if reads may be {least:?} out of date has all this an order; {allowed:?} are allowed."
    ));
    anomaly
}

/// Writes out of order: no Δ is enough.
pub(super) fn misordered(history: &History, register: &Register<'_>, delta: &Delta) -> Anomaly {
    let mut anomaly = conflict(history, register, delta, "misordered writes");
    anomaly.sentences.push("However far out of date reads may be, there is no order for that.".into());
    anomaly
}

/// A read that missed more versions than allowed.
pub(super) fn too_many(
    history: &History,
    register: &Register<'_>,
    read: ReadStaleness,
    allowed: u64,
) -> Anomaly {
    let operation = &history.rows()[read.operation];
    let seen = register.versions.iter().find(|version| version.reads.contains(&read.operation));
    let seen = seen.expect("a read that was measured saw a version");
    let began = Moment::invoked(operation);
    let mut sentences = Vec::new();
    let mut witness = vec![read.operation];
    if let Some(shown) = seen.shown_by {
        sentences.push(format!("{}.", over(&history.rows()[shown])));
        witness.push(shown);
    }
    let newer = register.versions.iter().filter(|version| {
        version.happened && version.writer.is_some() && version.call > seen.done && version.done < began
    });
    let named: Vec<String> = newer
        .filter_map(|version| {
            witness.extend(version.shown_by);
            Some(version.value.to_string()).filter(|_| version.shown_by.is_some())
        })
        .take(NAMED)
        .collect();
    let rest = if read.versions > NAMED as u64 { ", …" } else { "" };
    sentences.push(format!(
        "Writes that began after that were over before {}: {} of them, {}{rest}.",
        operation.invoked,
        read.versions,
        named.join(", ")
    ));
    sentences.push(format!(
        "Then {} read {}: it missed {} newer versions; {allowed} are allowed.",
        who(operation),
        seen.value,
        read.versions
    ));
    let mut anomaly = anomaly(register, "stale read", sentences, witness, Some(read.operation));
    fresh::add(history, register, &mut anomaly);
    anomaly
}

fn conflict(history: &History, register: &Register<'_>, delta: &Delta, name: &str) -> Anomaly {
    let at = |operation: usize| &history.rows()[operation];
    let conflict = delta.conflict.as_ref().expect("a Δ above zero is forced by something");
    let precedes = |(end, begin): (usize, usize)| format!("{}, before {}.", over(at(end)), began(at(begin)));
    let (sentences, witness) = match conflict {
        Conflict::Blocks([one, other]) => {
            let mut sentences = Vec::new();
            for pair in [one, other] {
                if pair.0 == pair.1 {
                    sentences.push(format!("{}, which is what was there at first.", over(at(pair.0))));
                } else {
                    sentences.push(precedes(*pair));
                }
            }
            sentences.push(
                "The operations on one version stand together, and of these two sets neither can be first."
                    .into(),
            );
            (sentences, vec![one.0, one.1, other.0, other.1])
        }
        Conflict::Chain(end, begin) => {
            let chain = "But by the chain of cas between them the first comes after the second.".to_string();
            (vec![precedes((*end, *begin)), chain], vec![*end, *begin])
        }
        Conflict::ChangedTwice(one, other) => (
            vec![
                format!("{}.", over(at(*one))),
                format!("{}.", over(at(*other))),
                "Only one of them can have found what it was to change: an update was lost.".into(),
            ],
            vec![*one, *other],
        ),
        Conflict::Circle(one) => (
            vec![format!("{}, but what it changed was made from its own result.", over(at(*one)))],
            vec![*one],
        ),
    };
    let proof = steps(conflict, &sentences);
    let reads = witness.iter().copied().filter(|at| !history.rows()[*at].call.changes());
    let culprit = reads.max_by_key(|at| history.rows()[*at].invoke);
    let mut anomaly = anomaly(register, name, sentences, witness, culprit);
    anomaly.proof = proof;
    anomaly
}

/// What of a conflict is shown by whom, in the words of its first sentences.
fn steps(conflict: &Conflict, sentences: &[String]) -> Vec<ProofStep> {
    let shown: Vec<(&str, Vec<usize>)> = match conflict {
        Conflict::Blocks(pairs) => pairs
            .iter()
            .map(|(end, begin)| match end == begin {
                true => ("initial value", vec![*end]),
                false => ("real time", vec![*end, *begin]),
            })
            .collect(),
        Conflict::Chain(end, begin) => vec![("real time", vec![*end, *begin]), ("cas", vec![*begin, *end])],
        Conflict::ChangedTwice(one, other) => vec![("cas", vec![*one]), ("cas", vec![*other])],
        Conflict::Circle(one) => vec![("cas", vec![*one])],
    };
    shown
        .into_iter()
        .zip(sentences)
        .map(|((what, operations), because)| ProofStep {
            what: what.into(),
            operations,
            values: Vec::new(),
            because: because.clone(),
        })
        .collect()
}

fn anomaly(
    register: &Register<'_>,
    name: &str,
    sentences: Vec<String>,
    mut witness: Vec<usize>,
    culprit: Option<usize>,
) -> Anomaly {
    witness.sort_unstable();
    witness.dedup();
    Anomaly {
        name: name.into(),
        key: Some(register.key.clone()),
        sentences,
        witness,
        culprit,
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof: Vec::new(),
    }
}

/// `process 1 on n2 read 3, over at 1.000 s`.
pub(super) fn over(operation: &Operation) -> String {
    format!("{} {}, over at {}", who(operation), did(operation), operation.completed)
}

/// `process 1 on n2 began at 1.000 s and wrote 3`.
fn began(operation: &Operation) -> String {
    format!("{} began at {} and {}", who(operation), operation.invoked, did(operation))
}

fn did(operation: &Operation) -> String {
    match (&operation.call, operation.read()) {
        (Call::Read { .. }, Some(value)) => format!("read {value}"),
        (Call::Write { value, .. }, _) => format!("wrote {value}"),
        (Call::Cas { from, to, .. }, _) => format!("changed {from} to {to}"),
        (call, _) => format!("called {call}"),
    }
}
