//! The linear-time judge of registers against the definition, against the search, and against laws that any judge obeys.

#[path = "linearizable/brute_force.rs"]
mod brute_force;
#[path = "linearizable/dice.rs"]
mod dice;
#[path = "linearizable/script.rs"]
mod script;

use std::collections::BTreeMap;
use std::time::Duration;

use dice::Dice;
use schism_checker::linear::{Allowance, Entry, Finding, search};
use schism_checker::model::CasRegister;
use schism_checker::synthetic::{self, Mix};
use schism_checker::zones::{Columns, Rule, Zones};
use schism_checker::{Budget, Checker, Chooses, Judge, Linearizable, Verdict};
use schism_history::{Call, Event, History, Outcome, Position, Process, Ret, Time, Value, What};

/// More than any test needs: none may depend on the clock.
const BUDGET: Budget<'static> = Budget { bytes: 1 << 30, time: Duration::from_secs(3600), over: &|| false };

fn entries(history: &History) -> Vec<Entry<'_>> {
    history.rows().iter().enumerate().filter_map(|(at, operation)| Entry::of(at, operation)).collect()
}

/// What zones say, and of a violation the operations that show it.
fn zones(model: &CasRegister, history: &History) -> (Zones, Vec<usize>) {
    let entries = entries(history);
    let columns = Columns::of(&entries, &model.initial).expect("calls of a register");
    let answer = columns.judge();
    let witness = match &answer {
        Zones::NotLinearizable(conflict) => columns.witness(conflict),
        _ => Vec::new(),
    };
    let at = |invoke| history.rows().partition_point(|operation| operation.invoke < invoke);
    let witness = witness.into_iter().map(at).collect();
    (answer, witness)
}

fn only(history: &History, kept: &[usize]) -> History {
    history.with(kept.iter().map(|at| history.operation(*at)))
}

fn key() -> Value {
    Value::text("x")
}

/// Calls, answers and order all drawn blindly, over so few values that many histories are legal. The value that the
/// operation at `at` writes is `at + 1`; the register holds 0 at first, or nil.
fn blind(dice: &mut Dice, most: usize) -> (CasRegister, History) {
    let count = 2 + dice.below(most - 1);
    let nil = dice.percent(50);
    let show = |number: usize| if nil && number == 0 { Value::Nil } else { Value::Int(number as i64) };
    let model = CasRegister { initial: show(0) };
    let some_cas = dice.percent(70);
    let mut written = vec![0];
    let operations: Vec<(Call, Outcome)> = (0..count)
        .map(|at| {
            // Mostly what was written of late: of values all drawn blindly, almost none would be legal.
            let seen = show(match dice.below(12) {
                0 => dice.below(count + 2),
                _ => written[written.len() - 1 - dice.below(written.len().min(3))],
            });
            let to = show(at + 1);
            let call = match dice.below(if some_cas { 4 } else { 3 }) {
                0 => Call::Write { key: key(), value: to },
                1 | 2 => Call::Read { key: key() },
                _ => Call::Cas { key: key(), from: seen.clone(), to },
            };
            if call.changes() {
                written.push(at + 1);
            }
            let outcome = match dice.below(10) {
                0 => Outcome::Fail("refused".into()),
                1 | 2 => Outcome::Info("no answer".into()),
                _ if call.changes() => Outcome::Ok(Ret::Done),
                _ => Outcome::Ok(Ret::Value(seen)),
            };
            (call, outcome)
        })
        .collect();
    (model, laid_out(dice, operations))
}

/// The operations begun in their order, up to four at once, and ended in any order.
fn laid_out(dice: &mut Dice, operations: Vec<(Call, Outcome)>) -> History {
    let at_once = 1 + dice.below(4);
    let mut waiting = operations.into_iter().enumerate();
    let mut open: Vec<(Process, Call, Outcome)> = Vec::new();
    let mut events = Vec::new();
    loop {
        let begin = open.is_empty() || (open.len() < at_once && dice.percent(50));
        let what = if let Some((at, (call, outcome))) = begin.then(|| waiting.next()).flatten() {
            let process = Process(at as u32);
            open.push((process, call.clone(), outcome));
            What::Invoke { process, node: None, call }
        } else if open.is_empty() {
            break;
        } else {
            let (process, call, outcome) = open.swap_remove(dice.below(open.len()));
            What::Complete { process, call, outcome }
        };
        events.push(Event { time: Time(events.len() as u64 * 1_000_000), what });
    }
    History::from_events(events).expect("each operation has a process of its own")
}

/// Whether the part has the writer of each value that is asked for in it, where the history has: without, it would prove
/// another wrong than there was.
fn sourced(history: &History, part: &History) -> bool {
    let writes = |history: &History, value: &Value| {
        history.rows().iter().any(|operation| match &operation.call {
            _ if matches!(operation.outcome, Outcome::Fail(_)) => false,
            Call::Write { value: to, .. } => to == value,
            Call::Cas { from, to, .. } => from != to && to == value,
            _ => false,
        })
    };
    part.rows().iter().all(|operation| {
        let asked = match &operation.call {
            Call::Cas { from, .. } => Some(from),
            _ => operation.read(),
        };
        asked.is_none_or(|asked| writes(part, asked) || !writes(history, asked))
    })
}

/// Against the definition; and every violation is one still when nothing but its witness is left.
#[test]
fn definition() {
    let mut dice = Dice::new(51);
    let (mut legal, mut rules) = (0, BTreeMap::<Rule, usize>::new());
    const COUNT: usize = 400_000;
    for _ in 0..COUNT {
        let (model, history) = blind(&mut dice, 7);
        let expected = brute_force::linearizable(&model, &history);
        let (answer, witness) = zones(&model, &history);
        match answer {
            Zones::Linearizable => assert!(expected, "{:#?}", history.rows()),
            Zones::NotLinearizable(conflict) => {
                assert!(!expected, "{conflict:?} in {:#?}", history.rows());
                let part = only(&history, &witness);
                let proven = !brute_force::linearizable(&model, &part);
                assert!(proven, "{conflict:?}, {witness:?} of {:#?}", history.rows());
                let sourced = sourced(&history, &part);
                assert!(sourced, "{conflict:?}, {witness:?} of {:#?}", history.rows());
                *rules.entry(conflict.rule).or_default() += 1;
            }
            Zones::NotApplicable => panic!("every value is written once: {:#?}", history.rows()),
        }
        legal += usize::from(expected);
    }
    println!("brute force: {COUNT} histories, {legal} legal, broken rules {rules:?}");
    assert!(legal > COUNT / 5 && COUNT - legal > COUNT / 5);
    let all = [Rule::WrittenBefore, Rule::ChangedOnce, Rule::NoCycle, Rule::ChainOrder, Rule::ZonesApart];
    for rule in all {
        assert!(
            rules.get(&rule).is_some_and(|seen| *seen > 100),
            "{rule:?} was hardly ever broken: {rules:?}"
        );
    }
}

/// Against the search, on histories too long for brute force: legal ones, and ones in which a read was garbled.
#[test]
fn search_agrees() {
    let mut dice = Dice::new(52);
    let (mut count, mut bad) = (0, 0);
    let model = CasRegister::default();
    for number in 0..1_500 {
        let clients = [1, 2, 5, 10, 40][number % 5];
        let mix = Mix {
            cas: (number % 3) as u64,
            info: [0, 20, 150][number % 3],
            ..Mix::unique(60 + 40 * (number % 7), clients)
        };
        let history = synthetic::history(&mix, &mut || dice.raw());
        let (answer, _) = zones(&model, &history);
        assert_eq!(answer, Zones::Linearizable, "made by a correct register: {:#?}", history.rows());
        let mut garbled = history.rows().to_vec();
        let reads: Vec<usize> =
            (0..mix.operations).filter(|at| history.rows()[*at].read().is_some()).collect();
        let at = dice.below(reads.len());
        let near = (at + dice.below(12)).saturating_sub(6).min(reads.len() - 1);
        garbled[reads[at]].outcome = history.rows()[reads[near]].outcome.clone();
        let garbled = history.with(garbled);
        let (answer, witness) = zones(&model, &garbled);
        let judge = |history: &History| {
            search(&model, &entries(history), &Allowance::new(BUDGET), u64::MAX).0 == Finding::Linearizable
        };
        assert_eq!(answer == Zones::Linearizable, judge(&garbled), "{:#?}", garbled.rows());
        count += 2;
        if answer != Zones::Linearizable {
            bad += 1;
            assert!(!judge(&only(&garbled, &witness)), "{witness:?} of {:#?}", garbled.rows());
        }
    }
    println!("search: {count} histories, {bad} not linearizable");
    assert!(bad > 300);
}

/// What never makes a legal history illegal: not to know what became of a call, not to have looked, and to know only
/// that a call took longer.
#[test]
fn to_know_less_never_hurts() {
    let mut dice = Dice::new(53);
    let model = CasRegister::default();
    let mut changes = 0;
    for number in 0..400 {
        let mix = Mix { cas: number % 3, info: 50, ..Mix::unique(40, 1 + number as usize % 8) };
        let history = synthetic::history(&mix, &mut || dice.raw());
        for at in 0..history.len() {
            let mut less = history.rows().to_vec();
            let operation = &mut less[at];
            if operation.call.changes() && !dice.percent(30) {
                operation.outcome = Outcome::Info("?".into());
                operation.complete = Position::MAX;
            } else if !operation.call.changes() && !dice.percent(30) {
                less.remove(at);
            } else if operation.outcome.is_ok() {
                // Positions beyond the history's own: no two ends may be at the same one.
                operation.complete = history.events + dice.below(1_000) as u32;
            }
            changes += 1;
            let (answer, _) = zones(&model, &history.with(less));
            assert_eq!(answer, Zones::Linearizable, "{at} of {:#?}", history.rows());
        }
    }
    println!("metamorphic: {changes} legal histories, each with one operation less known");
}

/// What never makes an illegal history legal: to know of another operation what it did.
#[test]
fn to_know_more_never_heals() {
    let mut dice = Dice::new(54);
    let mut kept = 0;
    while kept < 5_000 {
        let (model, history) = blind(&mut dice, 9);
        let unknown: Vec<usize> = (0..history.len())
            .filter(|at| {
                let operation = &history.rows()[*at];
                operation.call.changes() && matches!(operation.outcome, Outcome::Info(_))
            })
            .collect();
        if unknown.is_empty() || zones(&model, &history).0 == Zones::Linearizable {
            continue;
        }
        kept += 1;
        let mut more = history.rows().to_vec();
        let operation = &mut more[unknown[dice.below(unknown.len())]];
        operation.outcome = Outcome::Ok(Ret::Done);
        operation.complete = history.events;
        let (answer, _) = zones(&model, &history.with(more));
        assert!(matches!(answer, Zones::NotLinearizable(_)), "{:#?}", history.rows());
    }
}

#[test]
fn a_value_written_twice_is_for_the_search() {
    for text in [
        "p1 1-2 w1
         p2 3-4 w1",
        "p1 1-2 w-",
        "p1 1-2 w1
         p2 3-4 c1>-",
        "p1 1-2 w1
         p2 3-? w1",
    ] {
        let history = script::history(text);
        assert_eq!(zones(&CasRegister::default(), &history).0, Zones::NotApplicable, "{text}");
        let judgement = Linearizable { model: CasRegister::default() }.check(&history, BUDGET);
        assert_eq!(fact(&judgement.facts, "judge"), "zones 0 keys, search 1");
    }
    // A failed write wrote nothing, and a cas from a value to itself neither.
    let history = script::history(
        "p1 1-2 w1
         p2 3-4 w1!
         p3 5-6 c1>1",
    );
    assert_eq!(zones(&CasRegister::default(), &history).0, Zones::Linearizable);
}

fn fact<'a>(facts: &'a [(String, String)], name: &str) -> &'a str {
    &facts.iter().find(|(fact, _)| fact == name).expect("a fact of this name").1
}

/// Values that are no small integers, and integers far apart, are values all the same.
#[test]
fn values_of_every_kind() {
    let values = [
        Value::Int(i64::MIN),
        Value::text("a"),
        Value::Bool(true),
        Value::Int(i64::MAX),
        Value::list([Value::Int(1)]),
        Value::Int(0),
    ];
    let mut events = Vec::new();
    let mut one = |call: Call, ret: Ret| {
        let process = Process(0);
        for what in [
            What::Invoke { process, node: None, call: call.clone() },
            What::Complete { process, call, outcome: Outcome::Ok(ret) },
        ] {
            events.push(Event { time: Time(events.len() as u64), what });
        }
    };
    for value in &values {
        one(Call::Write { key: key(), value: value.clone() }, Ret::Done);
        one(Call::Read { key: key() }, Ret::Value(value.clone()));
    }
    let model = CasRegister::default();
    let good = History::from_events(events.clone()).expect("one after the other");
    assert_eq!(zones(&model, &good).0, Zones::Linearizable);
    for (at, value) in values.iter().enumerate() {
        let mut bad = good.rows().to_vec();
        bad[(2 * at + 3) % 12].outcome = Outcome::Ok(Ret::Value(value.clone()));
        let bad = good.with(bad);
        assert!(matches!(zones(&model, &bad).0, Zones::NotLinearizable(_)), "{value} a write too late");
    }
}

/// Which judge it was makes no difference to what is said: the same verdict, and a witness that proves it.
#[test]
fn both_judges_tell_the_same() {
    let mut dice = Dice::new(55);
    let judge = Linearizable { model: CasRegister::default() };
    let (mut told, mut alike) = (0, 0);
    let (mut ours_in_all, mut theirs_in_all) = (0, 0);
    for number in 0..300 {
        let mix = Mix { cas: number % 2, info: 10, keys: 2, ..Mix::unique(200, 2 + number as usize % 9) };
        let history = synthetic::history(&mix, &mut || dice.raw());
        let Some((bad, _)) = synthetic::with_stale_read(&history, &mut || dice.raw()) else { continue };
        let ours = judge.check(&bad, BUDGET);
        let theirs = judge.check_by(Judge::Search, &bad, BUDGET);
        assert_eq!(fact(&ours.facts, "judge"), "zones 2 keys, search 0");
        assert_eq!(fact(&theirs.facts, "judge"), "zones 0 keys, search 2");
        assert_eq!((ours.verdict, theirs.verdict), (Verdict::Invalid, Verdict::Invalid));
        let (ours, theirs) = (&ours.anomalies[0], &theirs.anomalies[0]);
        let part = only(&bad, &ours.witness);
        assert!(!brute_force::linearizable(&judge.model, &part), "{ours:#?}");
        // Both stop at the first return that cannot be explained, though the rest of the witness may differ.
        assert_eq!(ours.culprit, theirs.culprit, "{ours:#?} {theirs:#?}");
        ours_in_all += ours.witness.len();
        told += 1;
        theirs_in_all += theirs.witness.len();
        alike += usize::from(ours.name == theirs.name);
    }
    println!(
        "told of {told} stale reads, {alike} by the same name, by {ours_in_all} operations to {theirs_in_all}"
    );
    assert!(told > 200 && alike > told * 9 / 10, "{alike} of {told}");
    assert!(
        ours_in_all * 10 < theirs_in_all * 11,
        "as short as those of the search: {ours_in_all} to {theirs_in_all}"
    );
}
