//! Every model beyond the registers, by brute force: histories of a few operations, legal by construction and garbled.

use std::sync::Arc;

use schism_checker::model::{
    Bag, Counter, Fence, FencedLock, Model, MultiRegister, Mutex, PriorityQueue, Queue, Set, Stack,
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

#[test]
fn queue() {
    agree(&Queue, 11, &enqueue_or_dequeue, &taken, &|state: &Arc<[Value]>, call, _| {
        take(state.first(), call)
    });
}

#[test]
fn unordered_queue() {
    agree(&Bag, 12, &enqueue_or_dequeue, &taken, &|state: &Arc<[Value]>, call, dice| {
        take(state.get(dice.below(state.len().max(1))), call)
    });
}

#[test]
fn priority_queue() {
    agree(&PriorityQueue, 13, &enqueue_or_dequeue, &taken, &|state: &Arc<[Value]>, call, _| {
        take(state.last(), call)
    });
}

#[test]
fn stack() {
    let call = |dice: &mut Dice| {
        if dice.percent(55) {
            Call::Push { key: key(), value: small(dice, 3) }
        } else {
            Call::Pop { key: key() }
        }
    };
    agree(&Stack, 14, &call, &taken, &|state: &Arc<[Value]>, call, _| take(state.last(), call));
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
            Ret::Value(Value::Int(state.given.map_or(0, |last| last + 1) + i64::from(dice.percent(20))))
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
