//! Every model beyond the registers, by brute force: histories of a few operations, legal by construction and garbled.

use std::sync::Arc;

use schism_checker::model::{
    Collection, Counter, Element, Fence, FencedLock, Log, Model, MultiRegister, Mutex, Set,
};
use schism_history::{Call, Ret, Step, Value};

use crate::dice::Dice;
use crate::search::agree;

fn key() -> Value {
    Value::Int(0)
}

fn small(dice: &mut Dice, below: usize) -> Value {
    Value::Int(dice.below(below) as i64)
}

fn enqueue_or_dequeue(dice: &mut Dice) -> Call {
    if dice.percent(55) {
        Call::Enqueue { key: key(), value: small(dice, 3) }
    } else {
        Call::Dequeue { key: key() }
    }
}

/// Some element, or none; nothing for a call that puts one in.
fn taken(dice: &mut Dice, call: &Call) -> Ret {
    match call {
        Call::Enqueue { .. } | Call::Push { .. } => Ret::Done,
        _ if dice.percent(25) => Ret::Value(Value::Nil),
        _ => Ret::Value(small(dice, 3)),
    }
}

fn take(element: Option<&Value>, call: &Call) -> Ret {
    match call {
        Call::Enqueue { .. } | Call::Push { .. } => Ret::Done,
        _ => Ret::Value(element.cloned().unwrap_or_default()),
    }
}

/// What a collection answers; of a bag, some element.
pub fn given(of: Collection, state: &Arc<[Value]>, call: &Call, dice: &mut Dice) -> Ret {
    let next = match of {
        Collection::Queue | Collection::PriorityQueue => state.first(),
        Collection::Bag => state.get(dice.below(state.len().max(1))),
        Collection::Stack => state.last(),
    };
    take(next, call)
}

/// Puts and takes of a collection.
pub fn collection(of: Collection, dice: &mut Dice) -> Call {
    match of {
        Collection::Stack if dice.percent(55) => Call::Push { key: key(), value: small(dice, 3) },
        Collection::Stack => Call::Pop { key: key() },
        _ => enqueue_or_dequeue(dice),
    }
}

fn collections(of: Collection, seed: u64) {
    agree(&of, seed, &|dice| collection(of, dice), &taken, &|state: &Arc<[Value]>, call, dice| {
        given(of, state, call, dice)
    });
}

#[test]
fn queue() {
    collections(Collection::Queue, 11);
}

#[test]
fn bag() {
    collections(Collection::Bag, 12);
}

#[test]
fn priority_queue() {
    collections(Collection::PriorityQueue, 13);
}

#[test]
fn stack() {
    collections(Collection::Stack, 14);
}

/// A push is no call of a queue: a history with one is not judged, rather than refused.
#[test]
fn calls_of_others_are_not_understood() {
    let push = Call::Push { key: key(), value: 1.into() };
    let enqueue = Call::Enqueue { key: key(), value: 1.into() };
    let nothing = Call::Enqueue { key: key(), value: Value::Nil };
    assert!(Collection::Stack.understands(&push, None) && !Collection::Stack.understands(&enqueue, None));
    for of in [Collection::Queue, Collection::Bag, Collection::PriorityQueue] {
        assert!(of.understands(&enqueue, None) && !of.understands(&push, None));
        assert!(!of.understands(&nothing, None), "nil says that there was no element");
    }
}

#[test]
fn log() {
    let call = |dice: &mut Dice| match dice.below(5) {
        0 | 1 => Call::Read { key: key() },
        _ => Call::Append { key: key(), value: small(dice, 3) },
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Read { .. } if dice.percent(20) => Ret::Value(Value::Nil),
        Call::Read { .. } => {
            Ret::Value(Value::list((0..dice.below(4)).map(|_| small(dice, 3)).collect::<Vec<_>>()))
        }
        _ if dice.percent(60) => Ret::Done,
        _ => Ret::Value(small(dice, 4)),
    };
    agree(&Log, 22, &call, &lie, &|state, call, dice| match call {
        Call::Read { .. } => Ret::Value(Value::list(state.iter().cloned())),
        _ if dice.percent(60) => Ret::Done,
        _ => Ret::Value(Value::Int(state.len() as i64)),
    });
}

#[test]
fn element() {
    let call = |dice: &mut Dice| match dice.below(4) {
        0 => Call::Contains { key: key(), value: 1.into() },
        1 => Call::Remove { key: key(), value: 1.into() },
        _ => Call::Add { key: key(), value: 1.into() },
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Add { .. } | Call::Remove { .. } if dice.percent(50) => Ret::Done,
        _ => Ret::Value(Value::Bool(dice.percent(50))),
    };
    agree(&Element, 23, &call, &lie, &|there, call, dice| match call {
        Call::Contains { .. } => Ret::Value(Value::Bool(*there)),
        _ if dice.percent(40) => Ret::Done,
        Call::Add { .. } => Ret::Value(Value::Bool(!there)),
        _ => Ret::Value(Value::Bool(*there)),
    });
}

#[test]
fn counter() {
    let call = |dice: &mut Dice| match dice.below(3) {
        0 => Call::Read { key: key() },
        _ => Call::Increment { key: key(), by: dice.below(4) as i64 - 1 },
    };
    let lie = |dice: &mut Dice, call: &Call| {
        if call.changes() && dice.percent(50) {
            Ret::Done
        } else {
            Ret::Value(Value::Int(dice.below(5) as i64 - 1))
        }
    };
    agree(&Counter, 15, &call, &lie, &|state: &i64, call, dice| {
        if call.changes() && dice.percent(60) { Ret::Done } else { Ret::Value(Value::Int(*state)) }
    });
}

#[test]
fn mutex() {
    let call = |dice: &mut Dice| {
        if dice.percent(50) { Call::Acquire { key: key() } } else { Call::Release { key: key() } }
    };
    agree(&Mutex, 16, &call, &|_, _| Ret::Done, &|_, _, _| Ret::Done);
}

fn fenced(model: &FencedLock, seed: u64) {
    let call = |dice: &mut Dice| match dice.below(5) {
        0 | 1 => Call::Acquire { key: key() },
        2 => Call::Release { key: key() },
        _ => Call::Use { key: key(), token: small(dice, 4) },
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Acquire { .. } => Ret::Value(small(dice, 5)),
        _ => Ret::Done,
    };
    agree(model, seed, &call, &lie, &|state: &Fence, call, dice| match call {
        Call::Acquire { .. } => {
            Ret::Value(Value::Int(state.largest.map_or(0, |last| last + 1) + i64::from(dice.percent(20))))
        }
        _ => Ret::Done,
    });
}

#[test]
fn fenced_lock() {
    fenced(&FencedLock { expires: false }, 17);
}

#[test]
fn fenced_lock_with_lease() {
    fenced(&FencedLock { expires: true }, 18);
}

#[test]
fn set() {
    let call = |dice: &mut Dice| {
        let (key, value) = (key(), small(dice, 3));
        match dice.below(6) {
            0 => Call::Read { key },
            1 => Call::Contains { key, value },
            2 | 3 => Call::Remove { key, value },
            _ => Call::Add { key, value },
        }
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Read { .. } if dice.percent(10) => Ret::Value(Value::list([1.into(), 1.into()])),
        Call::Read { .. } => Ret::Value(Value::list((0..3).filter(|_| dice.percent(50)).map(Value::Int))),
        Call::Contains { .. } => Ret::Value(Value::Bool(dice.percent(50))),
        _ if dice.percent(50) => Ret::Done,
        _ => Ret::Value(Value::Bool(dice.percent(50))),
    };
    agree(&Set, 19, &call, &lie, &|state, call, dice| match call {
        Call::Read { .. } => Ret::Value(Value::list(state.iter().cloned())),
        Call::Contains { value, .. } => Ret::Value(Value::Bool(state.contains(value))),
        _ if dice.percent(50) => Ret::Done,
        Call::Add { value, .. } => Ret::Value(Value::Bool(!state.contains(value))),
        Call::Remove { value, .. } => Ret::Value(Value::Bool(state.contains(value))),
        other => unreachable!("never drawn: {other}"),
    });
}

/// A set that only grows, as most recorded ones do.
#[test]
fn grow_only_set() {
    let call = |dice: &mut Dice| match dice.below(2) {
        0 => Call::Read { key: key() },
        _ => Call::Add { key: key(), value: small(dice, 4) },
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Read { .. } if dice.percent(15) => Ret::Value(Value::Nil),
        Call::Read { .. } => Ret::Value(Value::list((0..4).filter(|_| dice.percent(50)).map(Value::Int))),
        _ => Ret::Done,
    };
    agree(&Set, 20, &call, &lie, &|state, call, _| match call {
        Call::Read { .. } => Ret::Value(Value::list(state.iter().cloned())),
        _ => Ret::Done,
    });
}

#[test]
fn multi_register() {
    let step = |dice: &mut Dice| {
        // Registers and lists have keys of their own.
        let key = Value::Int(dice.below(4) as i64);
        match (dice.percent(50), &key) {
            (true, _) => Step::Read { key },
            (_, Value::Int(0 | 1)) => Step::Write { key, value: small(dice, 2) },
            _ => Step::Append { key, value: small(dice, 2) },
        }
    };
    let call = |dice: &mut Dice| match dice.below(6) {
        0 => Call::Read { key: small(dice, 2) },
        1 => Call::Write { key: small(dice, 2), value: small(dice, 2) },
        2 => Call::Cas { key: small(dice, 2), from: small(dice, 2), to: small(dice, 2) },
        _ => Call::Txn { steps: (0..1 + dice.below(3)).map(|_| step(dice)).collect() },
    };
    let seen = |dice: &mut Dice, key: &Value| match key {
        _ if dice.percent(40) => Value::Nil,
        Value::Int(0 | 1) => small(dice, 2),
        _ => Value::list((0..1 + dice.below(2)).map(|_| small(dice, 2)).collect::<Vec<_>>()),
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Read { key } => Ret::Value(seen(dice, key)),
        Call::Txn { steps } => Ret::Value(Value::list(
            steps
                .iter()
                .map(|step| match step {
                    Step::Read { key } => seen(dice, key),
                    _ => Value::Nil,
                })
                .collect::<Vec<_>>(),
        )),
        _ => Ret::Done,
    };
    agree(&MultiRegister, 21, &call, &lie, &|state, call, _| match call {
        Call::Read { key } => Ret::Value(state.get(key).cloned().unwrap_or_default()),
        Call::Txn { steps } => {
            // One step at a time, each seeing what those before it did.
            let mut store = state.clone();
            let mut answers = Vec::new();
            for step in steps.iter() {
                answers.push(match step {
                    Step::Read { key } => store.get(key).cloned().unwrap_or_default(),
                    _ => Value::Nil,
                });
                let alone = Call::Txn { steps: [step.clone()].into() };
                store = MultiRegister.step(&store, &alone, None).expect("registers and lists are apart");
            }
            Ret::Value(Value::list(answers))
        }
        _ => Ret::Done,
    });
}
