//! Every Invalid must show the smallest part of the history that proves it, name what has a name, and say it in English.

use std::sync::Arc;

use crate::dice::Dice;
use crate::script;
use crate::search::{reads, wrong};
use crate::tiny::{self, Shape};
use crate::{BUDGET, brute_force, entries};

use schism_checker::linear::{Allowance, Finding, search};
use schism_checker::model::{CasRegister, Model, TextRegister};
use schism_checker::synthetic::{self, Mix};
use schism_checker::{Anomaly, Checker, Judgement, Linearizable, Verdict};
use schism_history::{Call, History, Value};

fn judge(history: &History) -> Judgement {
    Linearizable { model: CasRegister::default() }.check(history, BUDGET)
}

/// The history with nothing but the operations of the witness.
fn alone(history: &History, anomaly: &Anomaly) -> History {
    history.with(anomaly.witness.iter().map(|at| history.operation(*at)))
}

/// The only anomaly of a script.
fn anomaly(text: &str) -> (History, Anomaly) {
    let history = script::history(text);
    let judgement = judge(&history);
    assert_eq!(judgement.verdict, Verdict::Invalid, "{judgement:#?}");
    let anomaly = judgement.anomalies[0].clone();
    assert!(!brute_force::linearizable(&CasRegister::default(), &alone(&history, &anomaly)), "{anomaly:#?}");
    (history, anomaly)
}

#[test]
fn stale_read() {
    let (history, anomaly) = anomaly(
        "p1 1-2 w7
         p3 10-20 w12
         p2 21-22 r12
         p3 8000-8102 w15
         p4 8100-8110 r15
         p7 8209-8214 r12
         p4 8300-8310 r15",
    );
    assert_eq!(anomaly.name, "stale read");
    assert_eq!(
        anomaly.sentences[0],
        "process 7 on n7 read 12 at 8.214 s, but 15 had been written by process 3 on n3 (finished 8.102 s) before that \
         read began at 8.209 s: a stale read"
    );
    assert_eq!(anomaly.sentences[1], "process 3 on n3 wrote 12 (from 0.010 s to 0.020 s)");
    let calls: Vec<String> = anomaly.witness.iter().map(|at| history.rows()[*at].call.to_string()).collect();
    assert_eq!(calls, ["write(12)", "write(15)", "read()"]);
    assert_eq!(anomaly.possible_states, ["15"]);
    assert_eq!(anomaly.refused[0].because, "the register could only be 15 then, not 12");
}

#[test]
fn stale_read_shown_by_another_read() {
    let (_, anomaly) = anomaly(
        "p1 1-2 w1
         p2 3-? w2
         p3 10-20 r2
         p4 21-30 r1",
    );
    assert_eq!(anomaly.name, "stale read");
    assert_eq!(anomaly.witness.len(), 4);
    assert!(anomaly.sentences[0].contains("process 3 on n3 had already found 2"), "{anomaly:#?}");
}

#[test]
fn out_of_thin_air() {
    let (_, anomaly) = anomaly(
        "p1 1-2 w1
         p2 3-4 r9
         p2 5-6 r1",
    );
    assert_eq!(anomaly.name, "value out of thin air");
    assert_eq!(anomaly.witness, [1]);
    assert!(
        anomaly.sentences[0]
            .starts_with("process 2 on n2 read 9 at 0.004 s, but nobody ever tried to write 9")
    );
}

#[test]
fn failed_write_seen() {
    let (_, anomaly) = anomaly(
        "p1 1-2 w1
         p2 3-4 w9!
         p3 5-6 r9",
    );
    assert_eq!(anomaly.name, "read of a failed write");
    assert_eq!(anomaly.witness, [1, 2], "the failed write belongs to the story");
}

#[test]
fn read_from_the_future() {
    let (_, anomaly) = anomaly(
        "p1 1-2 w1
         p3 3-4 r2
         p2 5-6 w2",
    );
    assert_eq!(anomaly.name, "read from the future");
}

#[test]
fn lost_update() {
    let (_, anomaly) = anomaly(
        "p1 1-2 w1
         p2 3-10 c1>2
         p3 4-11 c1>3
         p4 20-21 r3",
    );
    assert_eq!(anomaly.name, "lost update");
    assert_eq!(anomaly.witness, [0, 1, 2]);
    assert!(anomaly.sentences[0].contains("both were told that they succeeded"));
}

#[test]
fn seen_again_after_it_was_overwritten() {
    let (_, anomaly) = anomaly(
        "p1 1-100 w1
         p2 2-101 w2
         p3 3-4 r1
         p3 5-6 r2
         p3 7-8 r1",
    );
    assert_eq!(anomaly.name, "value seen again after it was overwritten");
    assert_eq!(anomaly.witness.len(), 5);
}

#[test]
fn unset_register_read_stale() {
    let (_, anomaly) = anomaly(
        "p1 1-2 w1
         p3 5-6 r-",
    );
    assert_eq!(anomaly.name, "stale read");
    assert_eq!(anomaly.witness, [0, 1]);
}

/// Whatever random trouble there is, the witness alone is wrong by definition.
#[test]
fn the_witness_alone_is_invalid() {
    let mut dice = Dice::new(11);
    let key = Value::Int(0);
    let call = |dice: &mut Dice| match dice.below(3) {
        0 => Call::Read { key: key.clone() },
        1 => Call::Write { key: key.clone(), value: Value::Int(dice.below(4) as i64) },
        _ => Call::Cas {
            key: key.clone(),
            from: Value::Int(dice.below(4) as i64),
            to: Value::Int(dice.below(4) as i64),
        },
    };
    let lie = |dice: &mut Dice| Value::Int(dice.below(4) as i64);
    let (mut bad, mut named, mut kept, mut whole, mut untold) = (0, 0, 0, 0, 0);
    for _ in 0..30_000 {
        let shape = Shape { call: &call, lie: &wrong(&lie), operations: 9, clients: 4, info: 15, lies: 25 };
        let history = tiny::history(&CasRegister::default(), &mut dice, &shape, &reads(&Value::clone));
        let judgement = judge(&history);
        let [anomaly] = &judgement.anomalies[..] else { continue };
        bad += 1;
        named += usize::from(anomaly.name != "not linearizable");
        kept += anomaly.witness.len();
        whole += history.len();
        assert!(
            !brute_force::linearizable(&CasRegister::default(), &alone(&history, anomaly)),
            "{anomaly:#?}\nof {:#?}",
            history.rows()
        );
        assert!(anomaly.culprit.is_some_and(|culprit| anomaly.witness.contains(&culprit)));
        assert!(!anomaly.possible_states.is_empty() && !anomaly.refused.is_empty());
        untold += usize::from(!told_who_wrote_it(&history, anomaly));
    }
    println!("{bad} anomalies, {named} named, {untold} untold, {kept} operations shown of {whole}");
    assert!(untold * 200 < bad, "who wrote it is missing in {untold} of {bad}");
    assert!(bad > 5_000 && named > bad / 2);
    assert!(kept * 2 < whole);
}

fn legal_alone<M: Model>(model: &M, history: &History, anomaly: &Anomaly) -> bool {
    let part = alone(history, anomaly);
    search(model, &entries(&part), &Allowance::new(BUDGET), u64::MAX).0 != Finding::NotLinearizable
}

/// Whether somebody who could have written what the culprit asks for is shown, if there is anybody: else the witness
/// would seem to say that nobody did.
fn told_who_wrote_it(history: &History, anomaly: &Anomaly) -> bool {
    let Some(culprit) = anomaly.culprit.map(|at| &history.rows()[at]) else { return true };
    let asked = match &culprit.call {
        Call::Cas { from, .. } => Some(from),
        _ => culprit.read(),
    };
    let wrote = |at: &usize| {
        let operation = &history.rows()[*at];
        let left = match &operation.call {
            Call::Write { value, .. } => Some(value),
            Call::Cas { from, to, .. } if from != to => Some(to),
            _ => None,
        };
        operation.outcome.word() != "fail"
            && operation.call != culprit.call
            && left == asked
            && operation.invoke < culprit.complete
    };
    asked == Some(&Value::Nil)
        || anomaly.witness.iter().any(wrote)
        || !(0..history.len()).any(|at| wrote(&at))
}

/// Values that lead to one another by cas are left out together or not at all.
#[test]
fn a_chain_of_cas_stays_whole() {
    let (_, anomaly) = anomaly(
        "p1 1-2 c->1
         p2 3-4 c1>2
         p3 5-6 c2>3
         p4 7-8 r3
         p5 9-10 r2",
    );
    assert_eq!(anomaly.name, "stale read");
    assert_eq!(anomaly.witness, [0, 1, 2, 4]);
    assert!(anomaly.sentences[0].contains("but 3 had been written by process 3"), "{anomaly:#?}");
}

/// One stale read among thousands of operations is shown by a handful of them, and the right one is blamed.
#[test]
fn a_stale_read_among_thousands_is_shown_by_a_handful() {
    let mut dice = Dice::new(12);
    let mut sizes = Vec::new();
    for number in 0..24 {
        let mix = Mix { info: [0, 10][number % 2], ..Mix::unique(2_000, [4, 10][number / 2 % 2]) };
        let history = synthetic::history(&mix, &mut || dice.raw());
        assert_eq!(judge(&history).verdict, Verdict::Valid);
        let (stale, at) = synthetic::with_stale_read(&history, &mut || dice.raw()).expect("many reads");
        let judgement = judge(&stale);
        assert_eq!(judgement.verdict, Verdict::Invalid);
        let anomaly = &judgement.anomalies[0];
        assert!(!legal_alone(&CasRegister::default(), &stale, anomaly), "{anomaly:#?}");
        assert_eq!(anomaly.culprit, Some(at), "{anomaly:#?}");
        assert_eq!(anomaly.name, "stale read");
        sizes.push(anomaly.witness.len());
    }
    sizes.sort_unstable();
    println!("operations shown: {sizes:?}");
    assert!(sizes[sizes.len() - 1] <= 6);
}

#[test]
fn a_lost_append_is_told() {
    let key = Value::text("log");
    let mut dice = Dice::new(13);
    let next = std::cell::Cell::new(0);
    let call = |_: &mut Dice| match next.replace(next.get() + 1) % 3 {
        0 => Call::Read { key: key.clone() },
        _ => Call::Append { key: key.clone(), value: Value::text(&format!(" {}", next.get())) },
    };
    let lie = |_: &mut Dice| Value::text(" 1");
    let mut bad = 0;
    for _ in 0..2_000 {
        next.set(0);
        let shape = Shape { call: &call, lie: &wrong(&lie), operations: 9, clients: 3, info: 10, lies: 20 };
        let history = tiny::history(
            &TextRegister,
            &mut dice,
            &shape,
            &reads(&|state: &Arc<str>| Value::Text(state.clone())),
        );
        let judgement = Linearizable { model: TextRegister }.check(&history, BUDGET);
        let Some(anomaly) = judgement.anomalies.first() else { continue };
        assert!(!brute_force::linearizable(&TextRegister, &alone(&history, anomaly)), "{anomaly:#?}");
        assert!(anomaly.sentences[0].contains("string"), "{anomaly:#?}");
        bad += 1;
    }
    assert!(bad > 200, "{bad}");
}
