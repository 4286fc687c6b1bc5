//! Whole histories, with calls that fail or get no answer: the witness shows it alone, and laws that no judge may break.

use schism_checker::weak::Model;
use schism_checker::{Checker, Judgement, Verdict, Weak, synthetic};
use schism_history::{Call, History, Operation, Outcome, Position, Ret, Time, Value};

use crate::dice::Dice;
use crate::weak::{self, Shape};
use crate::{BUDGET, rounds};

fn check(model: Model, history: &History) -> Judgement {
    Weak { model, initial: Value::Nil }.check(history, BUDGET)
}

fn drawn(dice: &mut Dice) -> History {
    let keys = 1 + dice.below(2);
    let lies = if dice.percent(10) { 3 } else { 0 };
    weak::history(dice, &Shape { operations: 12, clients: 4, keys, reads: 55, fresh: 50, lies, ahead: 3 })
}

fn part(history: &History, kept: impl Fn(usize) -> bool) -> History {
    let operations = history.operations().enumerate().filter(|(at, _)| kept(*at));
    history.with(operations.map(|(_, operation)| operation))
}

#[test]
fn a_witness_shows_it_alone_in_a_handful_of_operations() {
    let mut dice = Dice::new(51);
    let (mut shown, mut long) = (0, 0);
    for _ in 0..rounds(600) {
        let history = drawn(&mut dice);
        for model in Model::ALL {
            let judgement = check(model, &history);
            // What nobody can have written is another matter, told without a model.
            let own = |name: &str| !["aborted read", "thin-air read", "future read"].contains(&name);
            for anomaly in judgement.anomalies.iter().filter(|anomaly| own(&anomaly.name)) {
                let alone = part(&history, |at| anomaly.witness.contains(&at));
                let again = check(model, &alone);
                assert_eq!(again.verdict, Verdict::Invalid, "{anomaly:#?} {history:#?}");
                assert!(anomaly.witness.len() <= 9 && !anomaly.sentences.is_empty(), "{anomaly:#?}");
                long += usize::from(anomaly.witness.len() > 6);
                shown += 1;
            }
        }
    }
    println!("{shown} witnesses, {long} of them longer than 6 operations");
    assert!(shown > 400 && long * 100 < shown);
}

/// A history with one thing changed that must never make it worse, and what that is.
fn changed(dice: &mut Dice, history: &History) -> (&'static str, History) {
    let at = dice.below(history.len());
    let mut operations = history.rows().to_vec();
    let how = match dice.below(4) {
        0 if !operations[at].call.changes() => {
            operations.remove(at);
            "without an observer"
        }
        0 | 1 => {
            let operation = &mut operations[at];
            if operation.outcome.is_ok() {
                operation.outcome = Outcome::Info("lost".into());
                (operation.completed, operation.complete) = (Time::NEVER, Position::MAX);
            }
            "with an info"
        }
        2 => {
            operations.iter_mut().for_each(rename);
            "renamed"
        }
        _ => {
            for operation in &mut operations {
                operation.invoked = Time(operation.invoked.0 * 7);
                if operation.completed != Time::NEVER {
                    operation.completed = Time(operation.completed.0 * 7);
                }
            }
            "dilated"
        }
    };
    (how, history.with(operations))
}

/// Gives its process, its key and its values other names.
fn rename(operation: &mut Operation) {
    operation.process.0 = 1_000 - operation.process.0;
    operation.node = None;
    let renamed = |value: &Value| match value {
        Value::Int(number) => Value::Int(5_000 - number),
        other => other.clone(),
    };
    operation.call = match &operation.call {
        Call::Read { key } => Call::Read { key: renamed(key) },
        Call::Write { key, value } => Call::Write { key: renamed(key), value: renamed(value) },
        Call::Cas { key, from, to } => Call::Cas { key: renamed(key), from: renamed(from), to: renamed(to) },
        other => unreachable!("never drawn: {other}"),
    };
    if let Outcome::Ok(Ret::Value(value)) = &operation.outcome {
        operation.outcome = Outcome::Ok(Ret::Value(renamed(value)));
    }
}

#[test]
fn knowing_less_never_makes_a_history_worse() {
    let mut dice = Dice::new(52);
    let mut better = 0;
    for _ in 0..rounds(2_000) {
        let history = drawn(&mut dice);
        let (how, other) = changed(&mut dice, &history);
        for model in Model::ALL {
            let (before, after) = (check(model, &history).verdict, check(model, &other).verdict);
            assert!(after <= before, "{model:?} {how}: {before:?} to {after:?} of {history:#?} {other:#?}");
            let same = matches!(how, "renamed" | "dilated");
            assert!(!same || after == before, "{model:?} {how} of {history:#?}");
            better += usize::from(after < before);
        }
    }
    println!("{better} times it became better");
    assert!(better > 100);
}

#[test]
fn a_linearizable_history_keeps_them_all_and_a_stale_read_is_told_apart() {
    let mut dice = Dice::new(53);
    let mut broken = [0; Model::ALL.len()];
    for round in 0..40 {
        let clients = if round % 4 == 0 { 20 } else { 5 };
        let cas = round % 2;
        let mix = synthetic::Mix { cas, keys: 3, info: 20, ..synthetic::Mix::unique(500, clients) };
        let history = synthetic::history(&mix, &mut || dice.raw());
        for model in Model::ALL {
            let judgement = check(model, &history);
            assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:#?}");
        }
        let Some((garbled, at)) = synthetic::with_stale_read(&history, &mut || dice.raw()) else { continue };
        for (model, broken) in Model::ALL.into_iter().zip(&mut broken) {
            let judgement = check(model, &garbled);
            for anomaly in &judgement.anomalies {
                // What was made by cas stays with all it was made from.
                assert!(anomaly.witness.contains(&at) || cas > 0, "{model:?} {at} {anomaly:#?}");
                assert!(anomaly.witness.len() <= 8 || cas > 0, "{model:?} {at} {anomaly:#?}");
            }
            *broken += usize::from(judgement.verdict == Verdict::Invalid);
        }
    }
    println!("a stale read broke {broken:?} of {:?}, of 40", Model::ALL);
    assert!(broken.iter().all(|count| *count > 4));
}
