//! Who wrote what, who saw it, and since when it had been there: found by looking at every operation.

use schism_history::{Call, History, Operation, Outcome, Value};

/// The value an operation saw, if it is known to have seen one.
pub fn saw(operation: &Operation) -> Option<&Value> {
    match (&operation.call, &operation.outcome) {
        (Call::Read { .. }, _) => operation.read(),
        (Call::Cas { from, .. }, Outcome::Ok(_)) => Some(from),
        _ => None,
    }
}

/// The value an operation writes if it happens.
pub fn writes(operation: &Operation) -> Option<&Value> {
    match (&operation.call, &operation.outcome) {
        (_, Outcome::Fail(_)) => None,
        (Call::Write { value, .. } | Call::Cas { to: value, .. }, _) => Some(value),
        _ => None,
    }
}

/// Who wrote a value, if somebody may have.
fn writer<'h>(history: &'h History, key: &Value, value: &Value) -> Option<&'h Operation> {
    history.rows().iter().find(|other| other.call.key() == key && writes(other) == Some(value))
}

/// Whether an operation saw a value that nobody can have written by then.
pub fn impossible(history: &History, operation: &Operation) -> bool {
    let seen = match &operation.call {
        Call::Cas { from, .. } if happened(history, operation, history.len()) => Some(from),
        _ => saw(operation),
    };
    match seen {
        None | Some(Value::Nil) => false,
        Some(value) => {
            writer(history, operation.call.key(), value).is_none_or(|writer| operation.precedes(writer))
        }
    }
}

/// Whether an operation certainly happened: it was acknowledged, or what it wrote was seen, through so many cas at most.
fn happened(history: &History, operation: &Operation, steps: usize) -> bool {
    let Some(written) = writes(operation) else { return operation.outcome.is_ok() };
    let sees = |other: &Operation| match &other.call {
        Call::Cas { from, .. } => from == written && steps > 0 && happened(history, other, steps - 1),
        _ => saw(other) == Some(written) && !other.precedes(operation),
    };
    operation.outcome.is_ok()
        || history.rows().iter().any(|other| other.call.key() == operation.call.key() && sees(other))
}

/// Where and when an operation showed that a value had been there: its write was acknowledged, or somebody saw it.
fn shows(history: &History, operation: &Operation, value: &Value) -> Option<(u32, u64)> {
    let sees = saw(operation) == Some(value) && !impossible(history, operation);
    let shows = sees || writes(operation) == Some(value);
    (shows && operation.outcome.is_ok()).then_some((operation.complete, operation.completed.0))
}

/// Where and when a value had first been shown to be there; the initial one was there before all.
pub fn done(history: &History, key: &Value, value: &Value) -> Option<(i64, u64)> {
    if *value == Value::Nil {
        return Some((-1, 0));
    }
    let of_key = history.rows().iter().filter(|operation| operation.call.key() == key);
    of_key
        .filter_map(|operation| shows(history, operation, value))
        .min()
        .map(|(at, time)| (i64::from(at), time))
}
