//! Operations as people speak of them.

use schism_history::{Call, Operation, Outcome, Value};

/// Who did it: `process 7 on n4`.
pub(super) fn who(operation: &Operation) -> String {
    match &operation.node {
        Some(node) => format!("{} on {node}", operation.process),
        None => operation.process.to_string(),
    }
}

/// What it did, as a thing of the past: `read 12`, `changed 3 to 4`.
pub(super) fn did(operation: &Operation) -> String {
    match &operation.call {
        Call::Read { .. } => match operation.read() {
            Some(seen) => format!("read {seen}"),
            None => "read something".into(),
        },
        Call::Write { value, .. } => format!("wrote {value}"),
        Call::Cas { from, to, .. } => format!("changed {from} to {to}"),
        Call::Add { value, .. } => format!("added {value}"),
        Call::Append { value, .. } => format!("appended {value}"),
    }
}

/// The operation as a noun: `read of 12`, `write of 3`, `change of 3 to 4`.
pub(super) fn noun(operation: &Operation) -> String {
    match &operation.call {
        Call::Read { .. } => match operation.read() {
            Some(seen) => format!("read of {seen}"),
            None => "read".into(),
        },
        Call::Write { value, .. } => format!("write of {value}"),
        Call::Cas { from, to, .. } => format!("change of {from} to {to}"),
        Call::Add { value, .. } => format!("addition of {value}"),
        Call::Append { value, .. } => format!("append of {value}"),
    }
}

/// When it was done, or what is not known of it: `from 8.209 s to 8.214 s`.
pub(super) fn when(operation: &Operation) -> String {
    match operation.outcome {
        Outcome::Info(_) => format!("from {} on, nobody knows whether it happened", operation.invoked),
        _ => format!("from {} to {}", operation.invoked, operation.completed),
    }
}

/// Several things as one phrase: `3`, `3 or 4`, `3, 4 or 5`.
pub(super) fn any_of(items: &[String]) -> String {
    match items {
        [] => "nothing".into(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The value an operation asks to be there.
pub(super) fn asked(operation: &Operation) -> Option<&Value> {
    match &operation.call {
        Call::Read { .. } => operation.read(),
        Call::Cas { from, .. } => Some(from),
        _ => None,
    }
}

/// The value an operation leaves in a register.
pub(super) fn left(operation: &Operation) -> Option<&Value> {
    match &operation.call {
        Call::Write { value, .. } | Call::Cas { to: value, .. } => Some(value),
        _ => None,
    }
}
