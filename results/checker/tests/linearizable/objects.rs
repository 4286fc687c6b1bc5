//! Objects through the whole of their judge, from recorded history to verdict: by linear judge where the history is fit
//! for one, else by search, both against the definition.

use std::sync::Arc;

use schism_checker::judges::{Object, Objects};
use schism_checker::model::{Collection, Counter, FencedLock, Log, Model, Mutex, Set};
use schism_checker::{By, Checker, Chooses, Judge, Verdict};
use schism_history::{Call, History, Ret, Value};

use crate::dice::Dice;
use crate::models::{collection, given};
use crate::tiny::{self, Shape};
use crate::{BUDGET, brute_force};

fn key() -> Value {
    Value::Int(0)
}

/// Judges random histories by each judge, and shows the first that one of them gets wrong.
fn agree<M: Model>(
    object: Object,
    model: &M,
    seed: u64,
    call: &dyn Fn(&mut Dice) -> Call,
    lie: &dyn Fn(&mut Dice, &Call) -> Ret,
    answer: &dyn Fn(&M::State, &Call, &mut Dice) -> Ret,
) {
    let factor: usize = std::env::var("SCHISM_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let count = 4_000 * factor;
    let mut dice = Dice::new(seed);
    let (mut legal, mut linear, mut searched) = (0, 0, 0);
    for number in 0..count {
        let (info, lies) = ([0, 20, 45][number % 3], [5, 30, 60][number / 3 % 3]);
        let shape = Shape { call, lie, operations: 8, clients: 4, info, lies };
        let history = tiny::history(model, &mut dice, &shape, answer);
        let wanted =
            if brute_force::linearizable(model, &history) { Verdict::Valid } else { Verdict::Invalid };
        let by = |judge| verdict(object, judge, &history);
        let shown = || format!("{object:?}, history {number}: {:#?}", history.rows());
        assert_eq!(by(Judge::Auto), wanted, "{}", shown());
        let said = by(Judge::Linear);
        assert!(said == wanted || said == Verdict::Unknown, "linear: {said:?}, {}", shown());
        if object.searchable() {
            assert_eq!(by(Judge::Search), wanted, "search, {}", shown());
        }
        legal += usize::from(wanted == Verdict::Valid);
        linear += usize::from(said != Verdict::Unknown);
        searched += usize::from(said == Verdict::Unknown);
    }
    println!(
        "{object:?}: {count} histories, {legal} legal, {linear} judged without a search, {searched} not"
    );
    assert!(legal * 8 > count && (count - legal) * 8 > count, "both must be common: {legal} of {count}");
    assert!(linear * 8 > count, "hardly any was fit for the linear judge: {linear} of {count}");
}

fn verdict(object: Object, judge: Judge, history: &History) -> Verdict {
    let judgement = By { judge, checker: Objects { object } }.check(history, BUDGET);
    if judge == Judge::Auto {
        assert_eq!(judgement, Objects { object }.check_by(judge, history, BUDGET));
    }
    judgement.verdict
}

fn collections(object: Object, of: Collection, seed: u64) {
    let next = std::cell::Cell::new(0);
    let call = |dice: &mut Dice| match collection(of, dice) {
        // Mostly elements that are put in once; of a priority queue in no order.
        Call::Enqueue { key, .. } if dice.percent(85) => Call::Enqueue { key, value: fresh(&next) },
        Call::Push { key, .. } if dice.percent(85) => Call::Push { key, value: fresh(&next) },
        call => call,
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Enqueue { .. } | Call::Push { .. } => Ret::Done,
        _ if dice.percent(25) => Ret::Value(Value::Nil),
        _ => Ret::Value(Value::Int((next.get() - dice.below(4) as i64) * 7 % 1009 + 3)),
    };
    agree(object, &of, seed, &call, &lie, &|state: &Arc<[Value]>, call, dice| given(of, state, call, dice));
}

fn fresh(next: &std::cell::Cell<i64>) -> Value {
    next.set(next.get() + 1);
    Value::Int(next.get() * 7 % 1009 + 3)
}

#[test]
fn queue() {
    collections(Object::Queue, Collection::Queue, 31);
}

#[test]
fn bag() {
    collections(Object::Bag, Collection::Bag, 32);
}

#[test]
fn priority_queue() {
    collections(Object::PriorityQueue, Collection::PriorityQueue, 33);
}

#[test]
fn stack() {
    collections(Object::Stack, Collection::Stack, 34);
}

#[test]
fn counter() {
    let other = std::cell::Cell::new(false);
    let call = |dice: &mut Dice| {
        if dice.percent(10) {
            other.set(!other.get());
        }
        match dice.below(3) {
            0 => Call::Read { key: key() },
            _ if other.get() && dice.percent(30) => {
                Call::Increment { key: key(), by: dice.below(4) as i64 - 1 }
            }
            _ => Call::Increment { key: key(), by: 1 },
        }
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Read { .. } if dice.percent(20) => Ret::Value(Value::Nil),
        Call::Increment { .. } if dice.percent(50) => Ret::Done,
        _ => Ret::Value(Value::Int(dice.below(5) as i64)),
    };
    agree(Object::Counter, &Counter, 35, &call, &lie, &|state: &i64, call, dice| {
        if call.changes() && dice.percent(60) { Ret::Done } else { Ret::Value(Value::Int(*state)) }
    });
}

#[test]
fn set_by_element() {
    let call = |dice: &mut Dice| {
        let (key, value) = (key(), Value::Int(dice.below(4) as i64));
        match dice.below(6) {
            0 => Call::Remove { key, value },
            1 | 2 => Call::Contains { key, value },
            _ => Call::Add { key, value },
        }
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Add { .. } | Call::Remove { .. } if dice.percent(50) => Ret::Done,
        _ => Ret::Value(Value::Bool(dice.percent(50))),
    };
    agree(Object::Elements, &Set, 36, &call, &lie, &|state, call, dice| match call {
        Call::Contains { value, .. } => Ret::Value(Value::Bool(state.contains(value))),
        _ if dice.percent(30) => Ret::Done,
        Call::Add { value, .. } => Ret::Value(Value::Bool(!state.contains(value))),
        Call::Remove { value, .. } => Ret::Value(Value::Bool(state.contains(value))),
        other => unreachable!("never drawn: {other}"),
    });
}

#[test]
fn growing_set() {
    let next = std::cell::Cell::new(0);
    let call = |dice: &mut Dice| match dice.below(20) {
        0 => Call::Add { key: key(), value: Value::Int(next.get()) },
        1..=10 => Call::Add { key: key(), value: fresh(&next) },
        11 => Call::Remove { key: key(), value: Value::Int(next.get()) },
        _ => Call::Read { key: key() },
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Read { .. } if dice.percent(15) => Ret::Value(Value::Nil),
        Call::Read { .. } => {
            let last = next.get();
            let seen = (last - 3..=last).filter(|_| dice.percent(60));
            Ret::Value(Value::list(seen.map(|at| Value::Int(at * 7 % 1009 + 3)).collect::<Vec<_>>()))
        }
        _ => Ret::Done,
    };
    agree(Object::GrowingSet, &Set, 37, &call, &lie, &|state, call, _| match call {
        Call::Read { .. } => Ret::Value(Value::list(state.iter().cloned())),
        _ => Ret::Done,
    });
}

#[test]
fn log() {
    let next = std::cell::Cell::new(0);
    let call = |dice: &mut Dice| match dice.below(20) {
        0 => Call::Append { key: key(), value: 5.into() },
        1..=10 => Call::Append { key: key(), value: fresh(&next) },
        _ => Call::Read { key: key() },
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Read { .. } if dice.percent(15) => Ret::Value(Value::Nil),
        Call::Read { .. } => {
            let seen = (0..dice.below(3)).map(|back| Value::Int((next.get() - back as i64) * 7 % 1009 + 3));
            Ret::Value(Value::list(seen.collect::<Vec<_>>()))
        }
        _ if dice.percent(60) => Ret::Done,
        _ => Ret::Value(Value::Int(dice.below(4) as i64)),
    };
    agree(Object::Log, &Log, 38, &call, &lie, &|state, call, dice| match call {
        Call::Read { .. } => Ret::Value(Value::list(state.iter().cloned())),
        _ if dice.percent(60) => Ret::Done,
        _ => Ret::Value(Value::Int(state.len() as i64)),
    });
}

#[test]
fn semaphore() {
    let call = |dice: &mut Dice| {
        if dice.percent(50) { Call::Acquire { key: key() } } else { Call::Release { key: key() } }
    };
    agree(Object::Semaphore, &Mutex, 39, &call, &|_, _| Ret::Done, &|_, _, _| Ret::Done);
}

#[test]
fn fencing_tokens() {
    let call = |dice: &mut Dice| match dice.below(5) {
        0 | 1 => Call::Acquire { key: key() },
        2 => Call::Release { key: key() },
        _ => Call::Use { key: key(), token: Value::Int(dice.below(4) as i64) },
    };
    let lie = |dice: &mut Dice, call: &Call| match call {
        Call::Acquire { .. } => Ret::Value(Value::Int(dice.below(5) as i64)),
        _ => Ret::Done,
    };
    let model = FencedLock { expires: true };
    agree(Object::Fencing, &model, 40, &call, &lie, &|state, call, dice| match call {
        Call::Acquire { .. } => {
            Ret::Value(Value::Int(state.largest.map_or(0, |last| last + 1) + i64::from(dice.percent(20))))
        }
        _ => Ret::Done,
    });
}
