//! The plain sentences of broken session guarantees.

use schism_history::{Call, History, Operation};

use super::Guarantee;
use super::graph::Why;
use crate::verdict::{Anomaly, ProofStep};
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
    let (mut proof, mut promised) = (Vec::new(), Vec::new());
    let mut witness = Vec::new();
    let mut culprit = None;
    for (step, (older, why)) in circle.iter().enumerate() {
        let newer = circle[(step + 1) % circle.len()].0;
        witness.extend(register.versions[*older].writer);
        let order = format!("{} is older than {}", value(*older), value(newer));
        let (what, operations, because) = match *why {
            Why::Initial => ("initial value", Vec::new(), format!("{order}: it was there at first.")),
            Why::Changed => {
                let writer = register.versions[newer].writer.expect("a cas made it");
                let because = format!("{order}: {} changed the one to the other.", who(at(writer)));
                ("cas", vec![writer], because)
            }
            Why::Time(shown, writer) => {
                let (earlier, later) = (at(shown), at(writer));
                let because = format!(
                    "{order}: {} {}, over at {}, before {} began at {} and {}.",
                    who(earlier),
                    did(earlier),
                    earlier.completed,
                    who(later),
                    later.invoked,
                    did(later)
                );
                ("real time", vec![shown, writer], because)
            }
            Why::Session(first, then) => {
                culprit = culprit.max(Some(then));
                let (earlier, later) = (at(first), at(then));
                let because = format!(
                    "{} {}, over at {}, then {} began at {} and {}: by {} {} is no newer than {}.",
                    who(earlier),
                    did(earlier),
                    earlier.completed,
                    who(later),
                    later.invoked,
                    did(later),
                    promise,
                    value(*older),
                    value(newer)
                );
                ("session order", vec![first, then], because)
            }
        };
        witness.extend(&operations);
        let values = vec![value(*older).to_string(), value(newer).to_string()];
        let step = ProofStep { what: what.into(), operations, values, because };
        if what == "session order" { promised.push(step) } else { proof.push(step) }
    }
    proof.append(&mut promised);
    witness.sort_unstable();
    witness.dedup();
    Anomaly {
        name: name.into(),
        key: Some(register.key.clone()),
        sentences: proof.iter().map(|step| step.because.clone()).collect(),
        witness,
        culprit,
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof,
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
