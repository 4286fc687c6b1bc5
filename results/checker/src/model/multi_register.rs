//! Several registers and lists that transactions read and write all at once: strict serializability of whole transactions.
//!
//! The one model whose object is all keys together: nothing can be judged key by key. It finds every violation of strict
//! serializability, by search; so it is for histories of hundreds of transactions with few clients, or for proof that a
//! faster judge is right.

use std::collections::BTreeMap;
use std::sync::Arc;

use schism_history::{Call, Key, Ret, Step, Value};

use super::{Effect, Gives, Model, Needs};

/// Any number of registers and lists, all nil at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MultiRegister;

/// What is stored; keys that are not in it hold nil.
type Store = Arc<BTreeMap<Key, Value>>;

fn get<'s>(store: &'s BTreeMap<Key, Value>, key: &Key) -> &'s Value {
    store.get(key).unwrap_or(&Value::Nil)
}

/// The list with one more element; `None` if this is no list.
fn appended(list: &Value, value: &Value) -> Option<Value> {
    let items = match list {
        Value::Nil => &[],
        list => list.elements()?,
    };
    Some(Value::list(items.iter().chain([value]).cloned()))
}

/// One step, with what a read saw, where that is known.
fn one(store: &mut Store, step: &Step, seen: Option<&Value>) -> Option<()> {
    match step {
        Step::Read { key } => seen.is_none_or(|seen| seen == get(store, key)).then_some(()),
        Step::Write { key, value } => {
            Arc::make_mut(store).insert(key.clone(), value.clone());
            Some(())
        }
        Step::Append { key, value } => {
            let longer = appended(get(store, key), value)?;
            Arc::make_mut(store).insert(key.clone(), longer);
            Some(())
        }
    }
}

impl Model for MultiRegister {
    type State = Store;

    fn name(&self) -> &'static str {
        "multi-register"
    }

    fn noun(&self) -> &'static str {
        "store"
    }

    fn initial(&self) -> Store {
        Arc::default()
    }

    fn spans_keys(&self) -> bool {
        true
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        match (call, ret) {
            (Call::Txn { steps }, Some(Ret::Value(seen))) => {
                seen.elements().is_some_and(|seen| seen.len() == steps.len())
            }
            (Call::Txn { steps }, Some(Ret::Done)) => {
                steps.iter().all(|step| !matches!(step, Step::Read { .. }))
            }
            (Call::Txn { .. } | Call::Read { .. }, None) => true,
            (Call::Read { .. }, Some(ret)) => matches!(ret, Ret::Value(_)),
            (Call::Write { .. } | Call::Cas { .. }, _) => true,
            _ => false,
        }
    }

    fn step(&self, state: &Store, call: &Call, ret: Option<&Ret>) -> Option<Store> {
        let mut store = state.clone();
        match (call, ret) {
            (Call::Txn { steps }, Some(Ret::Value(seen))) => {
                let seen = seen.elements().filter(|seen| seen.len() == steps.len())?;
                steps.iter().zip(seen).try_for_each(|(step, seen)| one(&mut store, step, Some(seen)))?;
            }
            (Call::Txn { steps }, _) => steps.iter().try_for_each(|step| one(&mut store, step, None))?,
            (Call::Read { key }, Some(Ret::Value(seen))) if seen != get(state, key) => return None,
            (Call::Read { .. }, _) => {}
            (Call::Write { key, value }, _) => {
                Arc::make_mut(&mut store).insert(key.clone(), value.clone());
            }
            (Call::Cas { key, from, to }, _) => {
                if get(state, key) != from {
                    return None;
                }
                Arc::make_mut(&mut store).insert(key.clone(), to.clone());
            }
            _ => return None,
        }
        Some(store)
    }

    fn show(&self, state: &Store) -> String {
        let held: Vec<String> = state.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        format!("{{{}}}", held.join(", "))
    }

    fn effect(&self, call: &Call, _: Option<&Ret>) -> Effect<Store> {
        let gives = if call.changes() { Gives::Unknown } else { Gives::Same };
        Effect { needs: Needs::Unknown, gives }
    }

    /// Blind writes of values nobody saw, on keys that are neither appended to nor compared, can be left out.
    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], optional: &[&Call]) -> bool {
        let writes: Vec<(&Key, &Value)> = match call {
            Call::Write { key, value } => vec![(key, value)],
            Call::Txn { steps } if steps.iter().all(|step| !matches!(step, Step::Append { .. })) => {
                let writes = steps.iter().filter_map(|step| match step {
                    Step::Write { key, value } => Some((key, value)),
                    _ => None,
                });
                writes.collect()
            }
            _ => return false,
        };
        let mixed = |other: &Call, key: &Key| match other {
            Call::Cas { key: compared, .. } => compared == key,
            Call::Txn { steps } => {
                steps.iter().any(|step| matches!(step, Step::Append { key: longer, .. } if longer == key))
            }
            _ => false,
        };
        let saw = |(other, ret): &(&Call, &Ret), key: &Key, value: &Value| match (other, ret) {
            (Call::Read { key: read }, Ret::Value(seen)) => read == key && seen == value,
            (Call::Txn { steps }, Ret::Value(seen)) => seen.elements().is_none_or(|seen| {
                steps.iter().zip(seen).any(|(step, seen)| {
                    matches!(step, Step::Read { key: read } if read == key) && seen == value
                })
            }),
            _ => false,
        };
        writes.iter().all(|(key, value)| {
            !optional.iter().any(|other| mixed(other, key))
                && !required.iter().any(|other| mixed(other.0, key) || saw(other, key, value))
        })
    }

    fn bytes(&self, state: &Store) -> usize {
        let held = state
            .iter()
            .map(|(key, value)| super::register::value_bytes(key) + super::register::value_bytes(value));
        64 + 2 * held.sum::<usize>()
    }
}
