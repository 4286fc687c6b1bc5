//! Whether a part of a history leaves out something that what stayed rests on.
//!
//! It goes over the finished part and the whole, and knows nothing of how the part was made.

use rustc_hash::{FxHashMap, FxHashSet};
use schism_history::{Call, History, Key, Operation, Outcome, Process, Ret, Value};

use super::{Wholes, parts::collections};

/// What of the whole is not in the part though something in the part needs it; `None` if there is nothing like that. `kept`
/// says where each operation of the part stands in the whole.
pub fn left_out_too_much(whole: &History, part: &History, kept: &[usize], wholes: Wholes) -> Option<String> {
    if part.len() != kept.len() || !kept.is_sorted_by(|a, b| a < b) {
        return Some(format!("{} operations, where {} were kept", part.len(), kept.len()));
    }
    let (gone, columns) = (gone(whole, kept), whole.columns());
    let collections: FxHashSet<Key> =
        collections(columns).into_iter().map(|key| columns.keys()[key as usize].clone()).collect();
    for (operation, at) in part.operations().zip(kept) {
        let before = whole.operation(*at);
        if operation.call != before.call || !answered_alike(&operation, &before, gone.get(before.call.key()))
        {
            return Some(format!("{} of {} is not what it was", operation.call, operation.process));
        }
    }
    let mut rests_on: FxHashSet<(Key, Value)> = FxHashSet::default();
    let (mut keys, mut processes) = (FxHashSet::default(), FxHashSet::<(Key, Process)>::default());
    for (operation, at) in part.operations().zip(kept) {
        let key = operation.call.key();
        keys.insert(key.clone());
        // A peer's process may go on under another number after an info: the whole has the one it was called by.
        processes.insert((key.clone(), whole.operation(*at).process));
        rests_on.extend(
            speaks_of(&operation, collections.contains(key)).into_iter().map(|value| (key.clone(), value)),
        );
    }
    let kept: FxHashSet<usize> = kept.iter().copied().collect();
    let missing =
        whole.operations().enumerate().filter(|(at, _)| !kept.contains(at)).find(|(_, operation)| {
            let key = operation.call.key();
            if !keys.contains(key) || observes(operation) {
                return false;
            }
            let leaves = leaves(operation);
            match wholes {
                Wholes::Values if !leaves.is_empty() => {
                    leaves.into_iter().any(|value| rests_on.contains(&(key.clone(), value)))
                }
                Wholes::Processes => processes.contains(&(key.clone(), operation.process)),
                Wholes::Values | Wholes::Keys => true,
            }
        });
    missing.map(|(_, operation)| {
        let (process, call) = (operation.process, &operation.call);
        format!("{call} of {process} at {} is gone, though others that rest on it stay", operation.invoked)
    })
}

/// The values of each key that nothing left speaks of as an element put in.
fn gone(whole: &History, kept: &[usize]) -> FxHashMap<Key, FxHashSet<Value>> {
    let kept: FxHashSet<usize> = kept.iter().copied().collect();
    let mut gone: FxHashMap<Key, FxHashSet<Value>> = FxHashMap::default();
    for (at, operation) in whole.operations().enumerate() {
        if let Call::Add { key, value } | Call::Append { key, value } = &operation.call
            && !kept.contains(&at)
        {
            gone.entry(key.clone()).or_default().insert(value.clone());
        }
    }
    for at in kept {
        if let Call::Add { key, value } | Call::Append { key, value } = &whole.operation(at).call
            && let Some(values) = gone.get_mut(key)
        {
            values.remove(value);
        }
    }
    gone
}

/// Whether it was answered as before, but for elements of lists that are gone.
fn answered_alike(now: &Operation, before: &Operation, gone: Option<&FxHashSet<Value>>) -> bool {
    if now.outcome == before.outcome {
        return true;
    }
    match (now.read().and_then(Value::elements), before.read().and_then(Value::elements), gone) {
        (Some(left), Some(all), Some(gone)) => left.iter().eq(all.iter().filter(|item| !gone.contains(item))),
        _ => false,
    }
}

/// What a removed operation would have to leave nobody with.
fn leaves(operation: &Operation) -> Vec<Value> {
    match (&operation.call, &operation.outcome) {
        (Call::Cas { to: value, .. }, _)
        | (
            Call::Write { value, .. }
            | Call::Add { value, .. }
            | Call::Remove { value, .. }
            | Call::Append { value, .. }
            | Call::Enqueue { value, .. }
            | Call::Push { value, .. }
            | Call::Use { token: value, .. },
            _,
        )
        | (
            Call::Dequeue { .. } | Call::Pop { .. } | Call::Generate { .. } | Call::Acquire { .. },
            Outcome::Ok(Ret::Value(value)),
        ) => vec![value.clone()],
        _ => Vec::new(),
    }
}

/// Every value an operation that stayed mentions.
fn speaks_of(operation: &Operation, in_collection: bool) -> Vec<Value> {
    if found_nothing(operation) {
        return Vec::new();
    }
    let mut values = leaves(operation);
    match &operation.call {
        Call::Cas { from, .. } => values.push(from.clone()),
        Call::Contains { value, .. } => values.push(value.clone()),
        _ => {}
    }
    match operation.read().filter(|_| in_collection).and_then(Value::elements) {
        Some(items) => values.extend(items.iter().cloned()),
        None => values.extend(operation.read().cloned()),
    }
    values
}

fn observes(operation: &Operation) -> bool {
    let failed_bare = matches!(operation.outcome, Outcome::Fail(_)) && leaves(operation).is_empty();
    !operation.call.changes() || failed_bare || found_nothing(operation)
}

/// Whether it is a take that found nothing.
fn found_nothing(operation: &Operation) -> bool {
    matches!(operation.call, Call::Dequeue { .. } | Call::Pop { .. })
        && operation.outcome == Outcome::Ok(Ret::Value(Value::Nil))
}
