//! The plain sentences of broken session guarantees.

use schism_history::{Call, History, Operation};

use super::Guarantee;
use super::graph::Why;
use crate::verdict::Anomaly;
use crate::versions::{Register, who};

/// A guarantee that no order of versions gives, shown by a circle of versions.
pub(super) fn anomaly(
    history: &History,
    register: &Register<'_>,
    guarantee: Guarantee,
    circle: &[(usize, Why)],
) -> Anomaly {
    told(history, register, guarantee.anomaly(), guarantee.name(), circle)
}

/// Cas that were made from each other in a circle.
pub(super) fn misordered(history: &History, register: &Register<'_>, circle: &[(usize, Why)]) -> Anomaly {
    told(history, register, "misordered writes", "", circle)
}

fn told(
    history: &History,
    register: &Register<'_>,
    name: &str,
    promise: &str,
    circle: &[(usize, Why)],
) -> Anomaly {
    let at = |operation: usize| &history.rows()[operation];
    let value = |version: usize| register.versions[version].value;
    // What is known without the promise comes first, the promise that does not fit it last.
    let (mut sentences, mut promised) = (Vec::new(), Vec::new());
    let mut witness = Vec::new();
    let mut culprit = None;
    for (step, (older, why)) in circle.iter().enumerate() {
        let newer = circle[(step + 1) % circle.len()].0;
        witness.extend(register.versions[*older].writer);
        let order = format!("{} is older than {}", value(*older), value(newer));
        match *why {
            Why::Initial => sentences.push(format!("{order}: it was there at first.")),
            Why::Changed => {
                let writer = register.versions[newer].writer.expect("a cas made it");
                witness.push(writer);
                sentences.push(format!("{order}: {} changed the one to the other.", who(at(writer))));
            }
            Why::Time(shown, writer) => {
                witness.extend([shown, writer]);
                let (shown, writer) = (at(shown), at(writer));
                sentences.push(format!(
                    "{order}: {} {}, over at {}, before {} began at {} and {}.",
                    who(shown),
                    did(shown),
                    shown.completed,
                    who(writer),
                    writer.invoked,
                    did(writer)
                ));
            }
            Why::Session(first, then) => {
                witness.extend([first, then]);
                culprit = culprit.max(Some(then));
                let (first, then) = (at(first), at(then));
                promised.push(format!(
                    "{} {}, over at {}, then {} began at {} and {}: by {} {} is no newer than {}.",
                    who(first),
                    did(first),
                    first.completed,
                    who(then),
                    then.invoked,
                    did(then),
                    promise,
                    value(*older),
                    value(newer)
                ));
            }
        }
    }
    sentences.append(&mut promised);
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
    }
}

fn did(operation: &Operation) -> String {
    match (&operation.call, operation.read()) {
        (Call::Read { .. }, Some(value)) => format!("read {value}"),
        (Call::Write { value, .. }, _) => format!("wrote {value}"),
        (Call::Cas { from, to, .. }, _) => format!("changed {from} to {to}"),
        (call, _) => format!("called {call}"),
    }
}
