//! Whole histories, with calls that fail or get no answer: the witness shows it alone, and laws that no judge may break.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use schism_checker::weak::Model;
use schism_checker::{Anomaly, Budget, Checker, Judgement, Sessions, Verdict, Weak, synthetic};
use schism_history::{Call, Event, History, Operation, Outcome, Position, Process, Ret, Time, Value, What};

use crate::dice::Dice;
use crate::weak::{self, Shape};
use crate::{BUDGET, Store, of_store, rounds};

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
    let (mut shown, mut long, mut longest) = (0, 0, 0);
    for _ in 0..rounds(600) {
        let history = drawn(&mut dice);
        for model in Model::ALL {
            let judgement = check(model, &history);
            // What nobody can have written is another matter, told without a model.
            for anomaly in judgement.anomalies.iter().filter(|anomaly| own(anomaly)) {
                let alone = part(&history, |at| anomaly.witness.contains(&at));
                let again = check(model, &alone);
                assert_eq!(again.verdict, Verdict::Invalid, "{anomaly:#?} {history:#?}");
                assert!(!anomaly.sentences.is_empty(), "{anomaly:#?}");
                shown += 1;
                if anomaly.witness.len() > 6 {
                    long += 1;
                    longest = longest.max(anomaly.witness.len());
                    let needed = nothing_to_spare(model, &history, &anomaly.witness);
                    assert!(needed, "{model:?} {anomaly:#?} {history:#?}");
                }
            }
        }
    }
    println!("{shown} witnesses, {long} of them longer than 6 operations, the longest of {longest}");
    assert!(shown > 400 && long * 100 < shown);
}

/// Whether it is about a model, and not about what nobody can have written.
fn own(anomaly: &Anomaly) -> bool {
    !["aborted read", "thin-air read", "future read"].contains(&&*anomaly.name)
}

/// Whether a witness shows nothing any more without any of its operations, and without those that saw what it wrote.
fn nothing_to_spare(model: Model, history: &History, witness: &[usize]) -> bool {
    let wrote = |call: &Call| match call {
        Call::Write { value, .. } | Call::Cas { to: value, .. } => Some(value.clone()),
        _ => None,
    };
    let saw = |at: usize, key: &Value, value: &Value| {
        let operation = history.operation(at);
        let asked = matches!(&operation.call, Call::Cas { from, .. } if from == value);
        operation.call.key() == key && (asked || operation.read() == Some(value))
    };
    witness.iter().all(|one| {
        let (mut out, mut next) = (vec![*one], 0);
        while let Some(at) = out.get(next).copied() {
            next += 1;
            let call = history.operation(at).call;
            let Some(value) = wrote(&call) else { continue };
            let more: Vec<usize> = witness
                .iter()
                .copied()
                .filter(|at| !out.contains(at) && saw(*at, call.key(), &value))
                .collect();
            out.extend(more);
        }
        let rest = part(history, |at| witness.contains(&at) && !out.contains(&at));
        !check(model, &rest).anomalies.iter().any(own)
    })
}

/// No number bounds the length of a witness: each of so many writes its own key and then does not see the next one's write,
/// so each write would have to come after the next one's, all around.
#[test]
fn a_witness_may_need_two_operations_of_everybody() {
    for clients in [2, 3, 6, 7, 30u32] {
        let mut events = Vec::new();
        for process in 0..clients {
            let (own, next) = (i64::from(process), i64::from((process + 1) % clients));
            let write = Call::Write { key: own.into(), value: 1.into() };
            let read = Call::Read { key: next.into() };
            let seen = Ret::Value(Value::Nil);
            for (call, ret) in [(write, Ret::Done), (read, seen)] {
                let process = Process(process);
                events.push(What::Invoke { process, node: None, call: call.clone() });
                events.push(What::Complete { process, call, outcome: Outcome::Ok(ret) });
            }
        }
        let events = events.into_iter().enumerate().map(|(at, what)| Event { time: Time(at as u64), what });
        let history = History::from_events(events).unwrap();
        let judgement = check(Model::Sequential, &history);
        assert_eq!(judgement.verdict, Verdict::Invalid);
        let all: Vec<usize> = (0..2 * clients as usize).collect();
        assert_eq!(judgement.anomalies[0].witness, all);
        assert!(nothing_to_spare(Model::Sequential, &history, &all));
    }
}

/// What a store says that converges by causes, each call at one moment. All that a client is promised by itself follows from
/// that, but not that the later of two concurrent writes is the newer one.
#[test]
fn a_convergent_store_keeps_the_session_guarantees() {
    let mut dice = Dice::new(55);
    let mut against_time = 0;
    for _ in 0..100 {
        let ops = of_store(&mut dice, Store::Convergent, 100, 5, 2);
        let events = ops.iter().flat_map(|op| {
            let (key, process) = (Value::from(i64::from(op.key)), Process(op.session as u32));
            let value = |number: u32| if number == 0 { Value::Nil } else { i64::from(number).into() };
            let (call, ret) = match (op.wrote, op.saw) {
                (Some(wrote), _) => (Call::Write { key, value: value(wrote) }, Ret::Done),
                (None, saw) => (Call::Read { key }, Ret::Value(value(saw.expect("it reads")))),
            };
            let outcome = Outcome::Ok(ret);
            [
                What::Invoke { process, node: None, call: call.clone() },
                What::Complete { process, call, outcome },
            ]
        });
        let events = events.enumerate().map(|(at, what)| Event { time: Time(at as u64), what });
        let history = History::from_events(events).unwrap();
        assert_eq!(check(Model::Convergent, &history).verdict, Verdict::Valid);
        let judgement = Sessions::default().check(&history, BUDGET);
        assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:#?}");
        let timed = Sessions { real_time: true, ..Sessions::default() };
        against_time += usize::from(timed.check(&history, BUDGET).verdict == Verdict::Invalid);
    }
    println!("{against_time} of 100 contradict the order of time");
    assert!(against_time > 50);
}

/// However early the time is over, what was found is shown; and unless it says that it ran out, nothing of it can be spared.
#[test]
fn a_witness_is_shown_though_the_time_is_over() {
    let mut dice = Dice::new(54);
    let (mut cut, mut whole) = (0, 0);
    for _ in 0..60 {
        let shape = Shape { operations: 40, clients: 4, keys: 2, reads: 55, fresh: 50, lies: 0, ahead: 3 };
        let history = weak::history(&mut dice, &shape);
        for model in Model::ALL {
            for looks in [0, 1, 2, 5, 10, 20, 50, 1_000] {
                let left = AtomicUsize::new(looks);
                let over = || left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err();
                let judge = Weak { model, initial: Value::Nil };
                let judgement = judge.check(&history, Budget { over: &over, ..BUDGET });
                for anomaly in judgement.anomalies.iter().filter(|anomaly| own(anomaly)) {
                    let alone = part(&history, |at| anomaly.witness.contains(&at));
                    assert_eq!(check(model, &alone).verdict, Verdict::Invalid, "{anomaly:#?}");
                    let ran_out = anomaly.sentences.iter().any(|said| said.contains("the time was over"));
                    assert!(ran_out || nothing_to_spare(model, &history, &anomaly.witness), "{anomaly:#?}");
                    assert!(!ran_out || left.load(Relaxed) == 0, "{anomaly:#?}");
                    cut += usize::from(ran_out);
                    whole += usize::from(!ran_out);
                }
            }
        }
    }
    println!("{cut} witnesses when the time was over, {whole} before");
    assert!(cut > 100 && whole > 100);
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
                // No number bounds it, so the bound is that each is needed.
                assert!(nothing_to_spare(model, &garbled, &anomaly.witness), "{model:?} {anomaly:#?}");
            }
            *broken += usize::from(judgement.verdict == Verdict::Invalid);
        }
    }
    println!("a stale read broke {broken:?} of {:?}, of 40", Model::ALL);
    assert!(broken.iter().all(|count| *count > 4));
}
