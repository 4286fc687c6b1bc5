//! The search must agree with the definition of linearizability on every history small enough to try all orders.

mod support;

use std::time::Duration;

use schism_checker::Budget;
use schism_checker::linear::{Allowance, Entry, Finding, Frontier, frontier, search};
use schism_checker::model::{CasRegister, GrowSet, Model, Register, TextRegister};
use schism_history::{Call, History, Value};
use support::brute_force;
use support::dice::Dice;
use support::tiny::{self, Shape};

const BUDGET: Budget<'static> = Budget { bytes: 1 << 30, time: Duration::from_secs(3600), over: &|| false };

fn entries(history: &History) -> Vec<Entry<'_>> {
    history.operations.iter().enumerate().filter_map(|(at, operation)| Entry::of(at, operation)).collect()
}

fn key() -> Value {
    Value::Int(0)
}

/// Judges `count` random histories three ways, and shows the first on which they differ.
fn agree<M: Model>(
    model: &M,
    seed: u64,
    count: usize,
    call: &dyn Fn(&mut Dice) -> Call,
    lie: &dyn Fn(&mut Dice) -> Value,
    answer: &dyn Fn(&M::State) -> Value,
) {
    // For a longer hunt: SCHISM_FUZZ=100 tries a hundred times as many.
    let factor = std::env::var("SCHISM_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let count = count * factor;
    let mut dice = Dice::new(seed + factor as u64);
    let (mut legal, mut with_info) = (0, 0);
    for number in 0..count {
        let shape = Shape {
            call,
            lie,
            operations: 8,
            clients: 4,
            info: [0, 20, 45][number % 3],
            lies: [5, 30, 60][number / 3 % 3],
        };
        let history = tiny::history(model, &mut dice, &shape, answer);
        let expected = brute_force::linearizable(model, &history);
        let entries = entries(&history);
        let allowance = Allowance::new(BUDGET);
        let (finding, _) = search(model, &entries, &allowance, u64::MAX);
        let wanted = if expected { Finding::Linearizable } else { Finding::NotLinearizable };
        assert_eq!(finding, wanted, "history {number} of seed {seed}: {:#?}", history.operations);
        if number % 4 == 0 {
            let plain = frontier(model, &entries, 1 << 20);
            assert_eq!(plain == Frontier::Explained, expected, "frontier: {:#?}", history.operations);
        }
        legal += usize::from(expected);
        with_info += usize::from(entries.iter().any(|entry| entry.ret.is_none()));
    }
    println!("{}: {count} histories, {legal} legal, {with_info} with optional operations", model.name());
    assert!(
        legal > count / 8 && count - legal > count / 8,
        "both verdicts must be common: {legal} of {count}"
    );
    assert!(with_info > count / 5);
}

#[test]
fn register() {
    let call = |dice: &mut Dice| match dice.below(2) {
        0 => Call::Read { key: key() },
        _ => Call::Write { key: key(), value: Value::Int(dice.below(3) as i64) },
    };
    let lie = |dice: &mut Dice| if dice.percent(10) { Value::Nil } else { Value::Int(dice.below(3) as i64) };
    agree(&Register::default(), 1, 100_000, &call, &lie, &Value::clone);
}

#[test]
fn register_with_unique_values() {
    let next = std::cell::Cell::new(0);
    let call = |dice: &mut Dice| match dice.below(2) {
        0 => Call::Read { key: key() },
        _ => {
            next.set(next.get() + 1);
            Call::Write { key: key(), value: Value::Int(next.get()) }
        }
    };
    let lie = |dice: &mut Dice| Value::Int(next.get() - dice.below(4) as i64);
    agree(&Register::default(), 2, 100_000, &call, &lie, &Value::clone);
}

#[test]
fn cas_register() {
    let call = |dice: &mut Dice| match dice.below(3) {
        0 => Call::Read { key: key() },
        1 => Call::Write { key: key(), value: Value::Int(dice.below(3) as i64) },
        _ => Call::Cas {
            key: key(),
            from: Value::Int(dice.below(3) as i64),
            to: Value::Int(dice.below(3) as i64),
        },
    };
    let lie = |dice: &mut Dice| Value::Int(dice.below(3) as i64);
    agree(&CasRegister { initial: Value::Int(0) }, 3, 150_000, &call, &lie, &Value::clone);
}

#[test]
fn string() {
    let texts = ["a", "b", "ab"];
    let call = |dice: &mut Dice| match dice.below(5) {
        0 | 1 => Call::Read { key: key() },
        2 | 3 => Call::Append { key: key(), value: dice.one_of(&texts).into() },
        _ => Call::Write { key: key(), value: dice.one_of(&["", "a", "b"]).into() },
    };
    let lie = |dice: &mut Dice| match dice.below(5) {
        0 => Value::Nil,
        1 => "".into(),
        2 => "ab".into(),
        _ => dice.one_of(&texts).into(),
    };
    agree(&TextRegister, 4, 100_000, &call, &lie, &|state| Value::Text(state.clone()));
}

#[test]
fn set() {
    let call = |dice: &mut Dice| match dice.below(2) {
        0 => Call::Read { key: key() },
        _ => Call::Add { key: key(), value: Value::Int(dice.below(4) as i64) },
    };
    let lie = |dice: &mut Dice| match dice.below(6) {
        0 => Value::Nil,
        1 => Value::list([1.into(), 1.into()]),
        _ => Value::list((0..4).filter(|_| dice.percent(50)).map(Value::Int)),
    };
    agree(&GrowSet, 5, 100_000, &call, &lie, &|state| Value::list(state.iter().cloned()));
}
