//! The judge over whole histories: many keys, budgets, calls it has no rule for.

use std::time::Duration;

use schism_checker::linear::{Allowance, Finding, search};
use schism_checker::model::{CasRegister, Register};
use schism_checker::synthetic::{self, Mix};
use schism_checker::{Budget, Checker, Linearizable, Verdict};
use schism_history::{Call, Event, History, Outcome, Process, Ret, Time, Value, What};

use crate::dice::Dice;
use crate::{BUDGET, entries};

fn judge() -> Linearizable<CasRegister> {
    Linearizable { model: CasRegister::default() }
}

fn fact<'a>(judgement: &'a schism_checker::Judgement, name: &str) -> &'a str {
    &judgement.facts.iter().find(|(fact, _)| fact == name).expect("a fact of this name").1
}

#[test]
fn every_key_is_judged_and_the_first_five_are_explained() {
    let mut dice = Dice::new(41);
    let mix = Mix { keys: 20, info: 5, ..Mix::unique(4_000, 10) };
    let mut history = synthetic::history(&mix, &mut || dice.raw());
    let good = judge().check(&history, BUDGET);
    assert_eq!(good.verdict, Verdict::Valid);
    assert_eq!(fact(&good, "operations"), "4000");
    assert_eq!(fact(&good, "keys"), "20");
    assert_eq!(good.about, "linearizable cas-register");

    let mut keys = std::collections::BTreeSet::new();
    while keys.len() < 7 {
        let (worse, at) = synthetic::with_stale_read(&history, &mut || dice.raw()).expect("many reads");
        keys.insert(history.rows()[at].call.key().clone());
        history = worse;
    }
    let bad = judge().check(&history, BUDGET);
    assert_eq!(bad.verdict, Verdict::Invalid);
    assert_eq!(bad.anomalies.len(), 5);
    assert_eq!(
        bad.anomalies[4].sentences.last().map(String::as_str),
        Some("2 more keys are not linearizable either")
    );
    let culprits: Vec<_> = bad.anomalies.iter().map(|anomaly| anomaly.culprit).collect();
    assert!(culprits.is_sorted(), "the earliest trouble first: {culprits:?}");
}

#[test]
fn no_time_left_is_unknown_and_says_why() {
    let mut dice = Dice::new(42);
    let history = synthetic::history(&Mix::cas(20_000, 20), &mut || dice.raw());
    let budget = Budget { bytes: 1 << 30, time: Duration::from_secs(7), over: &|| true };
    let judgement = judge().check(&history, budget);
    assert_eq!(judgement.verdict, Verdict::Unknown);
    let reason = &judgement.doubts[0].reason;
    for part in
        ["the time (7 s) was over", "key 0", "legal up to", "pending at once", "1024 configurations explored"]
    {
        assert!(reason.contains(part), "{part} is not in {reason}");
    }
    assert!(judgement.doubts[0].hint.as_deref().is_some_and(|hint| hint.contains("--time")));
}

#[test]
fn no_memory_left_is_unknown_and_the_rest_is_still_judged() {
    let mut dice = Dice::new(43);
    let big = synthetic::history(&Mix::cas(20_000, 20), &mut || dice.raw());
    for bytes in [0, 10_000, 300_000] {
        let budget = Budget { bytes, time: Duration::from_secs(7), over: &|| false };
        let judgement = judge().check(&big, budget);
        assert_eq!(judgement.verdict, Verdict::Unknown, "{bytes} bytes");
        assert!(judgement.doubts[0].reason.starts_with("the memory"), "{:?}", judgement.doubts);
    }
    assert_eq!(judge().check(&big, BUDGET).verdict, Verdict::Valid);
}

/// An Unknown key never hides an Invalid one, and says so beside it.
#[test]
fn unknown_and_invalid_stand_side_by_side() {
    let mut builder = schism_history::Builder::default();
    let mut time = 0;
    let mut one = |process: u32, call: Call, ret: Ret| {
        for what in [
            What::Invoke { process: Process(process), node: None, call: call.clone() },
            What::Complete { process: Process(process), call, outcome: Outcome::Ok(ret) },
        ] {
            time += 1_000_000;
            builder.push(Event { time: Time(time), what }).expect("one after the other");
        }
    };
    one(0, Call::Write { key: 1.into(), value: 5.into() }, Ret::Done);
    one(1, Call::Read { key: 1.into() }, Ret::Value(Value::Nil));
    one(1, Call::Append { key: 2.into(), value: "a".into() }, Ret::Done);
    let judgement = judge().check(&builder.finish(), BUDGET);
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert_eq!(judgement.doubts.len(), 1);
    assert!(
        judgement.doubts[0].reason.contains("a cas-register has no rule for append"),
        "{:?}",
        judgement.doubts
    );
}

/// More clients on one key than any fixed mask holds, and both verdicts.
#[test]
fn any_number_of_clients() {
    for clients in [64, 65, 128, 129, 400] {
        let mut events = Vec::new();
        let key = || Value::Int(0);
        let mut push = |what| events.push(Event { time: Time(events.len() as u64), what });
        let write = |process: usize| Call::Write { key: key(), value: Value::Int(process as i64) };
        for process in 0..clients {
            push(What::Invoke { process: Process(process as u32), node: None, call: write(process) });
        }
        for process in 0..clients {
            push(What::Complete {
                process: Process(process as u32),
                call: write(process),
                outcome: Outcome::Ok(Ret::Done),
            });
        }
        for (at, seen) in [clients - 1, clients - 1, 3].into_iter().enumerate() {
            let process = Process(at as u32);
            let call = Call::Read { key: key() };
            push(What::Invoke { process, node: None, call: call.clone() });
            push(What::Complete { process, call, outcome: Outcome::Ok(Ret::Value(Value::Int(seen as i64))) });
        }
        let bad = History::from_events(events.clone()).expect("consistent");
        let good = History::from_events(events[..events.len() - 2].to_vec()).expect("consistent");
        let (finding, effort) =
            search(&Register::default(), &entries(&good), &Allowance::new(BUDGET), 100_000);
        assert_eq!((finding, effort.concurrency), (Finding::Linearizable, clients));
        let (finding, _) = search(&Register::default(), &entries(&bad), &Allowance::new(BUDGET), 100_000);
        assert_eq!(finding, Finding::NotLinearizable);
    }
}

/// Process retirement leaves hundreds of calls of unknown fate on a key: they must not cost more than a few
/// configurations an operation.
#[test]
fn hundreds_of_calls_of_unknown_fate() {
    let mut dice = Dice::new(44);
    for (info, mix) in [
        (200, Mix::unique(3_000, 8)),
        (30, Mix { values: 20, ..Mix::cas(3_000, 8) }),
        (50, Mix { values: 20, ..Mix::cas(3_000, 8) }),
        (100, Mix { values: 20, ..Mix::cas(3_000, 8) }),
        (200, Mix { values: 20, ..Mix::cas(3_000, 8) }),
        (30, Mix::cas(3_000, 8)),
        (50, Mix::cas(3_000, 8)),
        (100, Mix::cas(3_000, 8)),
        (200, Mix::cas(3_000, 8)),
    ] {
        let history = synthetic::history(&Mix { info, ..mix }, &mut || dice.raw());
        let count =
            history.operations().filter(|operation| matches!(operation.outcome, Outcome::Info(_))).count();
        let (finding, effort) =
            search(&CasRegister::default(), &entries(&history), &Allowance::new(BUDGET), 300_000);
        println!(
            "{count} of unknown fate, {} of them matter: {} configurations {finding:?}",
            effort.optional, effort.configurations
        );
        assert_eq!(finding, Finding::Linearizable);
        assert!(effort.configurations < 3_000, "a configuration an operation, but {}", effort.configurations);
    }
}
