//! Small situations with the answer expected, and many random ones against the definition taken word for word.

use schism_history::{Event, What};

use super::*;
use crate::verdict::Verdict;

const LEASE: Duration = Duration::from_millis(6);

/// One event a line, a millisecond apart: `0 acquire`, `0 ok 5`, `0 use 5`, `0 ok`, `0 release`, `0 fail`, `0 info`, `-`.
fn history(text: &str) -> History {
    let key = Value::Int(1);
    let mut open: Vec<Option<Call>> = vec![None; 40];
    let mut events = Vec::new();
    for (at, line) in text.split(',').map(str::trim).enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(process) = words.first().and_then(|word| word.parse::<u32>().ok()) else { continue };
        let number = || words[2].parse::<i64>().unwrap();
        let slot = &mut open[process as usize];
        let call = match words[1] {
            "acquire" => Some(Call::Acquire { key: key.clone() }),
            "release" => Some(Call::Release { key: key.clone() }),
            "use" => Some(Call::Use { key: key.clone(), token: number().into() }),
            _ => None,
        };
        let process = Process(process);
        let what = match call {
            Some(call) => {
                *slot = Some(call.clone());
                What::Invoke { process, node: None, call }
            }
            None => {
                let call = slot.take().unwrap();
                let outcome = match words[1] {
                    "ok" if words.len() == 3 => Outcome::Ok(Ret::Value(number().into())),
                    "ok" => Outcome::Ok(Ret::Done),
                    "fail" => Outcome::Fail("refused".into()),
                    _ => Outcome::Info("no answer".into()),
                };
                What::Complete { process, call, outcome }
            }
        };
        events.push(Event { time: Time(at as u64 * 1_000_000), what });
    }
    History::from_events(events).unwrap()
}

fn judge(text: &str) -> Judgement {
    let budget = Budget { bytes: usize::MAX, time: Duration::MAX, over: &|| false };
    Fencing { lease: LEASE }.check(&history(text), budget)
}

fn names(text: &str) -> Vec<String> {
    judge(text).anomalies.into_iter().map(|anomaly| anomaly.name).collect()
}

/// The holder sleeps past its lease, another takes the lock and uses it, and the first one's use is let in.
const PAUSED: &str = "0 acquire, 0 ok 5, -, -, -, -, -, -, -, 1 acquire, 1 ok 8, 1 use 8, 1 ok, 0 use 5, 0 LAST, 0 release, 0 fail";

#[test]
fn a_stale_holder_that_is_let_in_breaks_mutual_exclusion() {
    let judgement = judge(&PAUSED.replace("LAST", "ok"));
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert_eq!(judgement.anomalies.len(), 1);
    let anomaly = &judgement.anomalies[0];
    assert_eq!((anomaly.name.as_str(), anomaly.witness.len()), ("mutual exclusion broken", 4));
    assert!(anomaly.sentences[1].contains("token 5, which is older"), "{:?}", anomaly.sentences);
}

#[test]
fn one_that_is_refused_or_unknown_does_not() {
    for last in ["fail", "info"] {
        let judgement = judge(&PAUSED.replace("LAST", last).replace(", 0 release, 0 fail", ""));
        assert_eq!(judgement.verdict, Verdict::Valid, "{last}: {:?}", judgement.anomalies);
    }
}

#[test]
fn uses_that_overlap_prove_nothing() {
    let text = "0 acquire, 0 ok 5, 0 release, 0 ok, 1 acquire, 1 ok 8, 0 use 5, 1 use 8, 1 ok, 0 ok";
    assert_eq!(judge(text).verdict, Verdict::Valid);
}

#[test]
fn a_lock_granted_twice_within_a_lease_has_two_holders() {
    let twice = "0 acquire, 0 ok 5, 1 acquire, 1 ok 8, 1 use 8, 1 ok";
    assert_eq!(names(twice), ["two holders"]);
    // Given back, or on the way of it, or after the lease: nothing is proven.
    for fine in [
        "0 acquire, 0 ok 5, 0 release, 1 acquire, 1 ok 8, 0 ok, 1 use 8, 1 ok",
        "0 acquire, 0 ok 5, -, -, -, -, 1 acquire, 1 ok 8, 1 use 8, 1 ok",
    ] {
        assert_eq!(judge(fine).verdict, Verdict::Valid, "{fine}");
    }
}

#[test]
fn a_later_grant_needs_a_newer_token() {
    let text = "0 acquire, 0 ok 5, 0 release, 0 ok, 1 acquire, 1 ok TOKEN, 1 use 9, 1 ok";
    assert_eq!(names(&text.replace("TOKEN", "4")), ["fencing token not monotonic"]);
    assert_eq!(names(&text.replace("TOKEN", "5")), ["fencing token not monotonic"]);
    assert!(names(&text.replace("TOKEN", "6")).is_empty());
}

#[test]
fn a_run_in_which_nothing_was_used_is_unknown() {
    assert_eq!(judge("0 acquire, 0 ok 5, 0 release, 0 ok").verdict, Verdict::Unknown);
}

/// Any short history of one lock, most of it impossible for a good one.
fn random_history(seed: &mut u64) -> String {
    let mut draw = |below: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % below
    };
    // What each client has open; a retired one goes on under another number.
    let (mut open, mut number) = ([None; 3], [0u64, 1, 2]);
    let mut lines = Vec::new();
    for _ in 0..4 + draw(12) {
        let client = draw(3) as usize;
        let process = number[client];
        lines.push(match open[client].take() {
            None => {
                let call = ["acquire", "use", "release"][draw(3) as usize];
                open[client] = Some(call);
                if call == "use" { format!("{process} use {}", draw(4)) } else { format!("{process} {call}") }
            }
            Some(call) => match (draw(5), call) {
                (0, _) => {
                    number[client] += 3;
                    format!("{process} info")
                }
                (1, _) => format!("{process} fail"),
                (_, "acquire") => format!("{process} ok {}", draw(4)),
                _ => format!("{process} ok"),
            },
        });
    }
    lines.join(",")
}

/// Every pair looked at, word for word as the definitions say.
fn definition(history: &History) -> [bool; 3] {
    let operations = history.rows();
    let pairs = || operations.iter().flat_map(|one| operations.iter().map(move |other| (one, other)));
    let used = |operation: &Operation| match (&operation.call, &operation.outcome) {
        (Call::Use { token: Value::Int(token), .. }, Outcome::Ok(_)) => Some(*token),
        _ => None,
    };
    let granted = |operation: &Operation| match (&operation.call, &operation.outcome) {
        (Call::Acquire { .. }, Outcome::Ok(Ret::Value(Value::Int(token)))) => Some(*token),
        _ => None,
    };
    let ends = |grant: &Operation| {
        let released = operations.iter().find(|operation| {
            operation.process == grant.process
                && matches!(operation.call, Call::Release { .. })
                && operation.invoke > grant.complete
        });
        // A process that acquires again without giving back keeps the first one's lease: only the last is given back.
        let again = operations.iter().find(|operation| {
            operation.process == grant.process
                && operation.invoke > grant.complete
                && granted(operation).is_some()
        });
        let lease = grant.invoked.0 + 6_000_000;
        match (released, again) {
            (Some(release), Some(again)) if again.invoke < release.invoke => lease,
            (Some(release), _) => lease.min(release.invoked.0),
            _ => lease,
        }
    };
    [
        pairs().any(|(one, other)| {
            one.precedes(other) && used(one).zip(used(other)).is_some_and(|(one, other)| other < one)
        }),
        pairs().any(|(one, other)| {
            granted(one).is_some()
                && granted(other).is_some()
                && one.invoke != other.invoke
                && one.completed.0 < ends(one)
                && other.completed.0 < ends(other)
                && one.completed.0 < ends(other)
                && other.completed.0 < ends(one)
        }),
        pairs().any(|(one, other)| {
            one.precedes(other) && granted(one).zip(granted(other)).is_some_and(|(one, other)| other <= one)
        }),
    ]
}

#[test]
fn agrees_with_the_definition_on_many_random_histories() {
    let mut seed = 7;
    let mut seen = [0; 3];
    for _ in 0..30_000 {
        let text = random_history(&mut seed);
        let found = names(&text);
        let is = ["mutual exclusion broken", "two holders", "fencing token not monotonic"]
            .map(|name| found.iter().any(|found| found == name));
        assert_eq!(is, definition(&history(&text)), "{text}");
        for (seen, is) in seen.iter_mut().zip(is) {
            *seen += usize::from(is);
        }
    }
    assert!(seen.iter().all(|seen| *seen > 300), "each is found often enough to be tested: {seen:?}");
}
