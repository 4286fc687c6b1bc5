//! Operations as people speak of them.

use schism_history::{Call, Operation, Outcome, Ret, Value};

/// Who did it: `process 7 on n4`.
pub(crate) fn who(operation: &Operation) -> String {
    match &operation.node {
        Some(node) => format!("{} on {node}", operation.process),
        None => operation.process.to_string(),
    }
}

/// What it did, as a thing of the past: `read 12`, `changed 3 to 4`.
pub(crate) fn did(operation: &Operation) -> String {
    let answered = answered(operation);
    let taken = |verb: &str, what: &str| match answered {
        Some(Value::Nil) => format!("{verb} nothing"),
        Some(value) => format!("{verb} {value}"),
        None => format!("{verb} {what}"),
    };
    match &operation.call {
        Call::Read { .. } => answered.map_or("read something".into(), |seen| format!("read {seen}")),
        Call::Write { value, .. } => format!("wrote {value}"),
        Call::Cas { from, to, .. } => format!("changed {from} to {to}"),
        Call::Add { value, .. } => format!("added {value}"),
        Call::Remove { value, .. } => format!("removed {value}"),
        Call::Contains { value, .. } => match answered {
            Some(Value::Bool(true)) => format!("found {value} there"),
            Some(Value::Bool(false)) => format!("found {value} missing"),
            _ => format!("asked for {value}"),
        },
        Call::Append { value, .. } => format!("appended {value}"),
        Call::Enqueue { value, .. } => format!("enqueued {value}"),
        Call::Dequeue { .. } => taken("dequeued", "something"),
        Call::Push { value, .. } => format!("pushed {value}"),
        Call::Pop { .. } => taken("popped", "something"),
        Call::Increment { by, .. } => match answered {
            Some(before) => format!("added {by} to {before}"),
            None => format!("incremented by {by}"),
        },
        Call::Generate { .. } => taken("was given", "an identifier"),
        Call::Acquire { .. } => match answered {
            Some(token) => format!("acquired the lock with token {token}"),
            None => "acquired the lock".into(),
        },
        Call::Release { .. } => "released the lock".into(),
        Call::Use { token, .. } => format!("used what the lock guards with token {token}"),
        Call::Watch { from, .. } => format!("watched from revision {from} on"),
        Call::Txn { .. } => format!("did {}", operation.call),
    }
}

/// The operation as a noun: `read of 12`, `write of 3`, `change of 3 to 4`.
pub(crate) fn noun(operation: &Operation) -> String {
    let answered = answered(operation);
    let of = |noun: &str| match answered {
        Some(Value::Nil) => format!("{noun} of nothing"),
        Some(value) => format!("{noun} of {value}"),
        None => noun.to_string(),
    };
    match &operation.call {
        Call::Read { .. } => answered.map_or("read".into(), |seen| format!("read of {seen}")),
        Call::Write { value, .. } => format!("write of {value}"),
        Call::Cas { from, to, .. } => format!("change of {from} to {to}"),
        Call::Add { value, .. } => format!("addition of {value}"),
        Call::Remove { value, .. } => format!("removal of {value}"),
        Call::Contains { value, .. } => format!("question for {value}"),
        Call::Append { value, .. } => format!("append of {value}"),
        Call::Enqueue { value, .. } => format!("enqueue of {value}"),
        Call::Dequeue { .. } => of("dequeue"),
        Call::Push { value, .. } => format!("push of {value}"),
        Call::Pop { .. } => of("pop"),
        Call::Increment { by, .. } => format!("increment by {by}"),
        Call::Generate { .. } => of("identifier"),
        Call::Acquire { .. } => "acquisition of the lock".into(),
        Call::Release { .. } => "release of the lock".into(),
        Call::Use { token, .. } => format!("use with token {token}"),
        Call::Watch { from, .. } => format!("watch from revision {from} on"),
        Call::Txn { .. } => format!("transaction {}", operation.call),
    }
}

/// What it was answered, if that was a value.
fn answered(operation: &Operation) -> Option<&Value> {
    match &operation.outcome {
        Outcome::Ok(Ret::Value(value)) => Some(value),
        _ => None,
    }
}

/// When it was done, or what is not known of it: `from 8.209 s to 8.214 s`.
pub(crate) fn when(operation: &Operation) -> String {
    match operation.outcome {
        Outcome::Info(_) => format!("from {} on, nobody knows whether it happened", operation.invoked),
        _ => format!("from {} to {}", operation.invoked, operation.completed),
    }
}

/// Several things as one phrase: `3`, `3 or 4`, `3, 4 or 5`.
pub(crate) fn any_of(items: &[String]) -> String {
    match items {
        [] => "nothing".into(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The value an operation asks to be there.
pub(crate) fn asked(operation: &Operation) -> Option<&Value> {
    match &operation.call {
        Call::Read { .. } => operation.read(),
        Call::Cas { from, .. } => Some(from),
        _ => None,
    }
}

/// The value an operation leaves in a register.
pub(crate) fn left(operation: &Operation) -> Option<&Value> {
    match &operation.call {
        Call::Write { value, .. } | Call::Cas { to: value, .. } => Some(value),
        _ => None,
    }
}
