//! Small histories as clients record them: the verdict, the name, and the sentences.

use std::time::Duration;

use schism_checker::judges::{Object, Objects};
use schism_checker::{Budget, By, Checker, Judge, Judgement, Verdict};
use schism_history::{Call, CallKind, Event, History, Outcome, Process, Ret, Time, Value, What};

const BUDGET: Budget<'static> = Budget { bytes: 1 << 30, time: Duration::from_secs(3600), over: &|| false };

/// An operation a line: process, from, to (`?` for no answer) in milliseconds, call, argument, answer; `-` for none. An
/// answer `!` is a failure, `nil` is nil.
fn history(text: &str) -> History {
    let mut events: Vec<(u64, What)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [process, from, to, kind, argument, answer] = words[..] else {
            panic!("six words, not {line:?}")
        };
        let process = Process(process.parse().expect("a process"));
        let kind = CallKind::ALL.into_iter().find(|known| known.word() == kind).expect("a call");
        let call = Call::of(kind, Value::text("k"), value(argument)).expect("its argument");
        events.push((
            from.parse().expect("a time"),
            What::Invoke { process, node: Some(format!("n{}", process.0)), call: call.clone() },
        ));
        let (end, outcome) = match (to, answer) {
            ("?", _) => (100_000 + u64::from(process.0), Outcome::Info("no answer".into())),
            (to, "!") => (to.parse().expect("a time"), Outcome::Fail("refused".into())),
            (to, answer) => {
                let ret = value(answer).map_or(Ret::Done, Ret::Value);
                (to.parse().expect("a time"), Outcome::Ok(ret))
            }
        };
        events.push((end, What::Complete { process, call, outcome }));
    }
    events.sort_by_key(|(time, _)| *time);
    let events = events.into_iter().map(|(time, what)| Event { time: Time(time * 1_000_000), what });
    History::from_events(events).expect("a consistent history")
}

fn value(text: &str) -> Option<Value> {
    match text {
        "-" => None,
        "nil" => Some(Value::Nil),
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        list if list.starts_with('[') => {
            let items = list.trim_matches(['[', ']']).split(',').filter(|item| !item.is_empty());
            Some(Value::list(items.map(|item| value(item).expect("an element"))))
        }
        number => Some(number.parse().map_or_else(|_| Value::text(number), Value::Int)),
    }
}

fn judged(object: Object, text: &str) -> Judgement {
    Objects { object }.check(&history(text), BUDGET)
}

#[track_caller]
fn invalid(object: Object, text: &str, name: &str, sentence: &str) {
    let judgement = judged(object, text);
    assert_eq!(judgement.verdict, Verdict::Invalid, "{judgement:#?}");
    let anomaly = &judgement.anomalies[0];
    assert_eq!(anomaly.name, name, "{anomaly:#?}");
    assert_eq!(anomaly.sentences[0], sentence, "{anomaly:#?}");
    assert!(anomaly.witness.len() <= 6 && anomaly.culprit.is_some(), "{anomaly:#?}");
}

#[track_caller]
fn valid(object: Object, text: &str) {
    let judgement = judged(object, text);
    assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:#?}");
}

/// What nobody can tell without a search.
#[track_caller]
fn unknown(object: Object, text: &str, reason: &str) {
    let judgement = By { judge: Judge::Linear, checker: Objects { object } }.check(&history(text), BUDGET);
    assert_eq!(judgement.verdict, Verdict::Unknown, "{judgement:#?}");
    assert!(judgement.doubts[0].reason.contains(reason), "{:?}", judgement.doubts);
}

#[test]
fn queues() {
    let overtaken = "
        1 10 20 enqueue 5 -
        2 30 40 enqueue 6 -
        3 50 60 dequeue - 6
        4 70 80 dequeue - 5";
    invalid(
        Object::Queue,
        overtaken,
        "reordered elements",
        "process 1 on n1 enqueued 5 (from 0.010 s to 0.020 s); only after that, process 2 on n2 enqueued 6 (from 0.030 s to \
         0.040 s); and yet process 3 on n3 dequeued 6 (from 0.050 s to 0.060 s), before this began: process 4 on n4 \
         dequeued 5 (from 0.070 s to 0.080 s)",
    );
    valid(Object::TotalQueue, overtaken);
    invalid(
        Object::PriorityQueue,
        overtaken,
        "reordered elements",
        "process 3 on n3 dequeued 6 (from 0.050 s to 0.060 s), but at every moment of it something smaller was inside",
    );
    // Whoever got no answer may have taken the first.
    let crashed = "
        1 10 20 enqueue 5 -
        2 30 40 enqueue 6 -
        5 45 ?  dequeue - -
        3 50 60 dequeue - 6
        4 70 80 dequeue - nil";
    valid(Object::Queue, crashed);
    let late = crashed.replace("5 45", "5 65").replace("4 70", "4 68");
    invalid(
        Object::Queue,
        &late,
        "lost element",
        "process 1 on n1 enqueued 5 (from 0.010 s to 0.020 s); only after that, process 2 on n2 enqueued 6 (from 0.030 s to \
         0.040 s); and yet process 3 on n3 dequeued 6 (from 0.050 s to 0.060 s), while nobody had taken the first",
    );
    invalid(
        Object::TotalQueue,
        "1 10 20 enqueue 5 -
         2 30 40 dequeue - nil",
        "false empty",
        "process 2 on n2 dequeued nothing (from 0.030 s to 0.040 s), but at every moment of it something was inside",
    );
    unknown(Object::TotalQueue, "1 10 20 enqueue 5 -", "nobody found it empty");
    unknown(
        Object::Queue,
        "1 10 20 enqueue 5 -
         1 30 40 enqueue 5 -",
        "an element was put in twice",
    );
    unknown(Object::Queue, "1 10 20 write 5 -", "a queue has no rule for write(5)");
}

/// What the state could have been before the bad operation, and who could not come next, whichever judge it was.
#[test]
fn linear_judges_tell_of_states() {
    let of = |object, text| {
        let Judgement { anomalies, .. } = judged(object, text);
        let [anomaly] = &anomalies[..] else { panic!("one anomaly, not {anomalies:#?}") };
        let refused: Vec<(usize, String)> =
            anomaly.refused.iter().map(|refused| (refused.operation, refused.because.clone())).collect();
        (anomaly.possible_states.clone(), refused)
    };
    let overtaken = "
        1 10 20 enqueue 5 -
        2 30 40 enqueue 6 -
        3 50 60 dequeue - 6
        4 70 80 dequeue - 5";
    let because = "the queue could only be [5 6] then, which refuses this".to_string();
    assert_eq!(of(Object::Queue, overtaken), (vec!["[5 6]".to_string()], vec![(2, because)]));
    let held = "
        1 1000 2000 acquire - 1
        2 3000 4000 acquire - 2
        1 5000 6000 release - -";
    let because = "the lock could only be held then, which refuses this".to_string();
    assert_eq!(of(Object::Mutex, held), (vec!["held".to_string()], vec![(1, because)]));
    let missing = "
        1 10 20 add 5 true
        3 25 45 remove 6 -
        2 30 40 contains 5 false";
    let because = "the element could only be there then, which refuses this".to_string();
    assert_eq!(of(Object::Elements, missing), (vec!["there".to_string()], vec![(2, because)]));
    let counted = "
        1 10 20 increment 1 -
        3 25 45 increment 1 -
        2 30 40 read - 0";
    let (states, refused) = of(Object::Counter, counted);
    assert_eq!(states.first().map(String::as_str), Some("1"));
    assert_eq!(refused[0].0, 2, "{refused:?}");
}

/// A key whose elements are equal is searched, others are not; the verdict says so.
#[test]
fn what_is_not_put_in_once_is_searched() {
    let equal = "
        1 10 20 enqueue 5 -
        1 30 40 enqueue 5 -
        2 50 60 enqueue 6 -
        3 70 80 dequeue - 6
        4 90 95 dequeue - 5";
    assert_eq!(judged(Object::Bag, equal).verdict, Verdict::Valid);
    let judgement = judged(Object::Queue, equal);
    let anomaly = &judgement.anomalies[0];
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert_eq!(
        anomaly.sentences[0],
        "process 3 on n3 dequeued 6 (from 0.070 s to 0.080 s), but the queue could only be [5 6] then, which refuses this"
    );
    assert_eq!((anomaly.possible_states.as_slice(), anomaly.refused.len()), (&["[5 6]".to_string()][..], 1));
    for fact in [
        ("judge", "linear 0 keys, search 1, cannot tell 0"),
        ("searched because", "an element was put in twice"),
    ] {
        assert!(judgement.facts.contains(&(fact.0.into(), fact.1.into())), "{:?}", judgement.facts);
    }
    let counted = judged(Object::Counter, "1 10 20 increment 5 -\n 2 30 40 read - 5");
    assert_eq!(counted.verdict, Verdict::Valid);
    // Twice added, and removed in between: judged element by element.
    let elements = "
        1 10 20 add 5 true
        1 30 40 remove 5 true
        2 50 60 add 5 true
        3 70 80 contains 5 false
        3 90 95 contains 6 false";
    let judgement = judged(Object::Elements, elements);
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert_eq!(judgement.anomalies[0].witness, [0, 1, 2, 3], "{:#?}", judgement.anomalies[0]);
    // A log that was given an element twice holds it twice.
    let log = "
        1 10 20 append 5 0
        1 30 40 append 5 1
        2 50 60 read - [5,5]";
    valid(Object::Log, log);
    unknown(Object::Log, log, "an element was appended twice");
    // Nobody searches for what a model cannot say.
    let forced = By { judge: Judge::Search, checker: Objects { object: Object::Mutex } };
    let judgement = forced.check(&history("1 10 20 acquire - -"), BUDGET);
    assert_eq!(
        judgement.doubts[0].reason,
        "key \"k\" was not judged: nobody can search for the order of a mutex"
    );
}

#[test]
fn what_failed_is_remembered() {
    let judgement = judged(
        Object::Stack,
        "1 10 20 push 5 !
         2 30 40 pop - 5",
    );
    assert_eq!(judgement.anomalies[0].name, "unexpected element");
    assert_eq!(judgement.anomalies[0].witness, [0, 1]);
    assert_eq!(
        judgement.anomalies[0].sentences[1],
        "process 1 on n1 pushed 5 (from 0.010 s to 0.020 s), but was told that it had failed: refused"
    );
}

#[test]
fn sums_of_a_total_queue() {
    let judgement = judged(
        Object::TotalQueue,
        "1 10 20 enqueue 5 -
         2 30 ?  enqueue 6 -
         3 40 50 dequeue - 6
         4 60 70 dequeue - 5
         5 80 90 dequeue - nil",
    );
    let facts: Vec<String> = judgement.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    assert_eq!(judgement.verdict, Verdict::Valid);
    for fact in ["attempted 2", "acknowledged 1", "taken 2", "left or lost 0", "recovered 1", "duplicated 0"]
    {
        assert!(facts.iter().any(|told| told == fact), "{fact} in {facts:?}");
    }
}

#[test]
fn counters() {
    invalid(
        Object::Counter,
        "1 10 20 increment 1 -
         2 30 40 read - 0",
        "lost increment",
        "process 1 on n1 incremented by 1 (from 0.010 s to 0.020 s); all that count it began only afterwards, and none of \
         them has room for it: process 2 on n2 read 0 (from 0.030 s to 0.040 s)",
    );
    invalid(
        Object::Counter,
        "1 10 20 increment 5 -
         2 30 40 increment -2 -
         3 50 60 read - 9",
        "unexpected increment",
        "process 3 on n3 read 9 (from 0.050 s to 0.060 s), more than all that can have been added by then",
    );
    // A peer's counter is under `add`.
    let added = "1 10 20 add 1 -\n1 30 40 add 1 -\n2 50 60 read - SEEN";
    valid(Object::Counter, &added.replace("SEEN", "2"));
    assert_eq!(judged(Object::Counter, &added.replace("SEEN", "1")).verdict, Verdict::Invalid);
    assert_eq!(
        judged(Object::Counter, &added.replace("add 1", "add 5").replace("SEEN", "11")).verdict,
        Verdict::Invalid
    );
    unknown(
        Object::Counter,
        "1 10 20 increment 5 -
         2 30 40 read - 5",
        "not all by one",
    );
    invalid(
        Object::Counter,
        "1 10 20 increment 1 0
         2 30 40 increment 1 0",
        "duplicated ticket",
        "process 1 on n1 added 1 to 0 (from 0.010 s to 0.020 s), and process 2 on n2 added 1 to 0 (from 0.030 s to 0.040 \
         s): the same place in line was given twice",
    );
}

#[test]
fn sets_logs_and_identifiers() {
    invalid(
        Object::GrowingSet,
        "1 10 20 add 5 -
         2 30 40 read - []",
        "stale read",
        "process 1 on n1 added 5 (from 0.010 s to 0.020 s); only after that began this, and it did not see it: process 2 on \
         n2 read [] (from 0.030 s to 0.040 s)",
    );
    invalid(
        Object::Log,
        "1 10 20 append 5 0
         2 30 40 append 6 0",
        "duplicated offset",
        "process 1 on n1 appended 5 (from 0.010 s to 0.020 s), and process 2 on n2 appended 6 (from 0.030 s to 0.040 s): the \
         same offset was given twice",
    );
    valid(
        Object::Log,
        "1 10 20 append 5 0
         2 15 25 append 6 -
         3 30 40 read - [5,6]",
    );
    invalid(
        Object::Elements,
        "1 10 20 add 5 true
         2 30 40 contains 5 false",
        "stale read",
        "process 1 on n1 added 5 (from 0.010 s to 0.020 s); only after that began this: process 2 on n2 found 5 missing \
         (from 0.030 s to 0.040 s)",
    );
    invalid(
        Object::Ids,
        "1 10 20 generate - 5
         2 30 40 generate - 5",
        "duplicated identifier",
        "process 1 on n1 was given 5 (from 0.010 s to 0.020 s), and process 2 on n2 was given 5 (from 0.030 s to 0.040 s)",
    );
}

#[test]
fn locks() {
    let both = "
        1 1000 2000 acquire - 1
        2 3000 4000 acquire - 2
        1 5000 6000 release - -";
    invalid(
        Object::Mutex,
        both,
        "mutual exclusion broken",
        "process 1 on n1 acquired the lock with token 1 (from 1.000 s to 2.000 s); while that was still held: process 2 on \
         n2 acquired the lock with token 2 (from 3.000 s to 4.000 s)",
    );
    valid(Object::Fencing, both);
    // A lease granted at 1 s at the earliest may have run out at 4 s.
    let lease = |seconds, error| Object::Lease {
        ttl: Duration::from_millis(seconds),
        clock_error: Duration::from_millis(error),
    };
    valid(lease(3_000, 0), both);
    let judgement = judged(lease(3_001, 0), both);
    assert_eq!(judgement.verdict, Verdict::Invalid);
    valid(lease(3_001, 1), both);
    // Whoever reads what a lock guards need not hold it.
    let looked = format!("{both}\n3 7000 8000 read - 1");
    valid(Object::Fencing, &looked);
    valid(lease(3_000, 0), &looked);
    assert_eq!(judged(lease(3_001, 0), &looked).verdict, Verdict::Invalid);
    // Another may give back a semaphore, but not a mutex.
    let handed = "
        1 10 20 acquire - -
        2 30 40 release - -";
    valid(Object::Semaphore, handed);
    assert_eq!(judged(Object::Mutex, handed).anomalies[0].name, "release without holding");
    let stale = "
        1 10 20 acquire - 1
        2 30 40 acquire - 2
        2 50 60 use 2 -
        1 70 80 use 1 -";
    invalid(
        Object::Fencing,
        stale,
        "stale token accepted",
        "process 2 on n2 used what the lock guards with token 2 (from 0.050 s to 0.060 s); only after that was an older \
         token accepted: process 1 on n1 used what the lock guards with token 1 (from 0.070 s to 0.080 s)",
    );
    valid(Object::Fencing, &stale.replace("use 1 -", "use 1 !"));
}
