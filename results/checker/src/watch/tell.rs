//! The plain sentences of what is wrong with watches.

use schism_history::{Call, History, Operation};

use super::{Kind, Wrong};
use crate::verdict::Anomaly;

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Lost => "lost event",
            Kind::Missed => "missed event",
            Kind::MadeUp => "made-up event",
            Kind::Duplicated => "duplicated event",
            Kind::Disorder => "events out of order",
            Kind::Disagree => "watchers disagree",
            Kind::RealTime => "revisions against real time",
            Kind::Before => "event before the watch",
        }
    }
}

/// One anomaly a kind and key, the most telling first: the first finding of each told in full, the rest by number.
pub(super) fn anomalies(history: &History, found: &[Wrong<'_>]) -> Vec<Anomaly> {
    let mut order: Vec<&Wrong<'_>> = found.iter().collect();
    order.sort_by_key(|wrong| (wrong.kind, wrong.key));
    let groups = order.chunk_by(|one, other| (one.kind, one.key) == (other.kind, other.key));
    groups.map(|group| one(history, group[0], group.len())).collect()
}

fn one(history: &History, wrong: &Wrong<'_>, count: usize) -> Anomaly {
    let mut sentences = vec![tell(history, wrong)];
    if count > 1 {
        sentences.push(format!("This was seen {count} times in all on key {}.", wrong.key));
    }
    let mut witness: Vec<usize> = [wrong.watch, wrong.other, wrong.write].into_iter().flatten().collect();
    witness.sort_unstable();
    witness.dedup();
    Anomaly {
        name: wrong.kind.name().into(),
        key: Some(wrong.key.clone()),
        sentences,
        witness,
        culprit: wrong.watch.or(wrong.write),
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof: Vec::new(),
    }
}

fn tell(history: &History, wrong: &Wrong<'_>) -> String {
    let Wrong { value, revision, .. } = wrong;
    let operation = |at: Option<usize>| at.map(|at| &history.rows()[at]);
    let (watch, other) = (operation(wrong.watch), operation(wrong.other));
    let watch = watch.map_or_else(|| "no watch".to_string(), who_watched);
    let write = operation(wrong.write);
    let wrote = write.map_or_else(|| "nobody".to_string(), who);
    let other = other.map_or_else(String::new, |other| match other.call {
        Call::Watch { .. } => who_watched(other),
        _ => format!("the {} of {}", other.call, who(other)),
    });
    match wrong.kind {
        Kind::Lost => format!(
            "No watch told of {value}, which {wrote} had written and {}; {other}, which began after that, is told at \
             revision {revision}, and all revisions up to there were told without a gap.",
            ended(write)
        ),
        Kind::Missed => format!(
            "{watch} was told of later changes but not of {value} at revision {revision}, of which {other} was told."
        ),
        Kind::MadeUp => match write {
            None => {
                format!("{watch} was told of {value} at revision {revision}, which nobody can have written.")
            }
            Some(_) => format!(
                "{watch} was told of {value} at revision {revision} before {wrote} began to write it."
            ),
        },
        Kind::Duplicated => {
            format!("{watch} was told of {value} at revision {revision}, for the second time.")
        }
        Kind::Disorder => {
            format!("{watch} was told of {value} at revision {revision} after a later revision.")
        }
        Kind::Disagree => {
            format!("{watch} was told of {value} at revision {revision}, and {other} of another value there.")
        }
        Kind::RealTime => format!(
            "{wrote} began to write {value} after {other} was acknowledged, and yet it is told at revision {revision}, \
             which is the earlier one."
        ),
        Kind::Before => {
            format!("{watch} was told of {value} at revision {revision}, which is older than it asked for.")
        }
    }
}

fn who_watched(operation: &Operation) -> String {
    match operation.call {
        Call::Watch { from, .. } => {
            format!("{} watching from revision {from} until {}", who(operation), operation.completed)
        }
        _ => who(operation),
    }
}

fn ended(write: Option<&Operation>) -> String {
    write.map_or_else(String::new, |write| format!("was acknowledged at {}", write.completed))
}

fn who(operation: &Operation) -> String {
    match &operation.node {
        Some(node) => format!("{} on {node}", operation.process),
        None => operation.process.to_string(),
    }
}
