//! Small situations with the answer expected, and many random ones against the definition taken word for word.

use std::time::Duration;

use schism_history::{Call, Event, History, Outcome, Process, Ret, Time, Value, What};

use super::SetFull;
use crate::verdict::{Budget, Checker, Judgement, Verdict};

const KEY: Value = Value::Int(1);

/// One event a line, a millisecond apart: `0 add 7`, `1 read`, `0 ok`, `1 ok 7 8`, `0 fail`, `0 info`.
fn history(text: &str) -> History {
    let mut open: Vec<Option<Call>> = vec![None; 10];
    let lines = text.split(['\n', ',']).map(str::trim).filter(|line| !line.is_empty());
    let events = lines.enumerate().map(|(at, line)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let process: u32 = words[0].parse().unwrap();
        let ints = || words[2..].iter().map(|word| Value::Int(word.parse().unwrap()));
        let slot = &mut open[process as usize];
        let call = match words[1] {
            "add" => Some(Call::Add { key: KEY, value: ints().next().unwrap() }),
            "read" => Some(Call::Read { key: KEY }),
            "write" => Some(Call::Write { key: KEY, value: ints().next().unwrap() }),
            _ => None,
        };
        let process = Process(process);
        let what = match call {
            Some(call) => {
                *slot = Some(call.clone());
                What::Invoke { process, node: Some(format!("n{}", process.0)), call }
            }
            None => {
                let call = slot.take().unwrap();
                let outcome = match words[1] {
                    "ok" if call.changes() => Outcome::Ok(Ret::Done),
                    "ok" => Outcome::Ok(Ret::Value(Value::list(ints()))),
                    "fail" => Outcome::Fail("refused".into()),
                    "info" => Outcome::Info("no answer".into()),
                    other => panic!("{other}"),
                };
                What::Complete { process, call, outcome }
            }
        };
        Event { time: Time(at as u64 * 1_000_000), what }
    });
    let events: Vec<Event> = events.collect();
    History::from_events(events).unwrap()
}

fn judge_with(checker: SetFull, history: &History) -> Judgement {
    checker.check(history, Budget { bytes: usize::MAX, time: Duration::MAX, over: &|| false })
}

fn judge(text: &str) -> Judgement {
    judge_with(SetFull::default(), &history(text))
}

fn fact(judgement: &Judgement, name: &str) -> String {
    judgement.facts.iter().find(|(fact, _)| fact == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

/// The names of the anomalies, joined.
fn names(judgement: &Judgement) -> String {
    judgement.anomalies.iter().map(|anomaly| anomaly.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[test]
fn kept() {
    let judgement = judge("0 add 1, 0 ok, 1 add 2, 2 read, 2 ok 1, 1 ok, 2 read, 2 ok 2 1");
    assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:?}");
    assert_eq!(fact(&judgement, "attempted"), "2");
    assert_eq!(fact(&judgement, "read at the end"), "2");
}

#[test]
fn lost_after_its_acknowledgement() {
    let judgement = judge("0 add 1, 0 ok, 2 read, 2 ok 1, 3 read, 3 ok, 2 read, 2 ok");
    assert_eq!(names(&judgement), "lost element");
    let anomaly = &judgement.anomalies[0];
    assert_eq!(
        anomaly.sentences,
        [
            "add(1) of process 0 on n0 was acknowledged at 0.001 s.",
            "It was last read by process 2 on n2, until 0.003 s.",
            "process 3 on n3 began a read at 0.004 s and did not find it; nor did the one read after that.",
        ]
    );
    assert_eq!((anomaly.witness.as_slice(), anomaly.culprit), ([0, 1, 2].as_slice(), Some(2)));
}

#[test]
fn lost_without_ever_being_read() {
    let judgement = judge("0 add 1, 0 ok, 2 read, 2 ok");
    assert_eq!(names(&judgement), "lost element");
    assert_eq!(judgement.anomalies[0].sentences[1], "No read ever saw it.");
    assert_eq!(fact(&judgement, "longest time to a loss"), "0.001 s");
}

/// An add nobody acknowledged is known from the first read that saw it.
#[test]
fn lost_after_it_was_read() {
    let judgement = judge("0 add 1, 0 info, 2 read, 2 ok 1, 3 read, 3 ok, 1 add 2, 1 ok, 3 read, 3 ok 2");
    assert_eq!(names(&judgement), "lost element");
    assert_eq!(judgement.anomalies[0].sentences[0], "1 was read by process 2 on n2 at 0.003 s.");
    assert_eq!(fact(&judgement, "recovered"), "1");
}

/// Without any read that saw it, an add with unknown outcome may simply not have happened.
#[test]
fn an_unknown_add_may_be_absent() {
    let judgement = judge("0 add 1, 0 info, 1 add 2, 1 ok, 3 read, 3 ok 2");
    assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:?}");
}

/// Intervals are closed: a read that began before the acknowledgement may miss the element.
#[test]
fn a_concurrent_read_may_miss_it() {
    let judgement = judge("0 add 1, 2 read, 0 ok, 2 ok, 3 read, 3 ok 1");
    assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:?}");
}

#[test]
fn stale_counts_only_where_reads_must_be_linearizable() {
    let text = "0 add 1, 0 ok, 2 read, 2 ok, 3 read, 3 ok 1";
    let judgement = judge(text);
    assert_eq!(names(&judgement), "stale read");
    assert_eq!(
        judgement.anomalies[0].sentences,
        [
            "add(1) of process 0 on n0 was acknowledged at 0.001 s.",
            "process 2 on n2 began a read at 0.002 s, after that, and did not find it.",
            "process 3 on n3 did find it at 0.005 s.",
        ]
    );
    assert_eq!(fact(&judgement, "longest stale"), "0.001 s");
    let eventual = judge_with(SetFull { linearizable: false }, &history(text));
    assert_eq!(eventual.verdict, Verdict::Valid, "{eventual:?}");
    assert_eq!(fact(&eventual, "stale"), "1");
}

/// Two last reads that overlap: nobody knows which came later, so it is not proven lost.
#[test]
fn overlapping_last_reads_prove_no_loss() {
    let judgement = judge("0 add 1, 0 ok, 2 read, 3 read, 2 ok 1, 3 ok");
    assert_eq!(names(&judgement), "stale read");
}

#[test]
fn unexpected_in_three_ways() {
    let never = judge("0 add 1, 0 ok, 2 read, 2 ok 1 9");
    assert_eq!(
        never.anomalies[0].sentences,
        ["process 2 on n2 read 9 at 0.003 s, but nobody ever added it."]
    );
    let failed = judge("1 add 2, 1 ok, 0 add 1, 0 fail, 2 read, 2 ok 1 2");
    assert_eq!(names(&failed), "unexpected element");
    assert!(
        failed.anomalies[0].sentences[0].ends_with("by process 0 on n0, had failed (refused)."),
        "{failed:?}"
    );
    let early = judge("2 read, 2 ok 1, 0 add 1, 0 ok, 2 read, 2 ok 1");
    assert_eq!(names(&early), "unexpected element");
    assert!(early.anomalies[0].sentences[0].ends_with("nobody tried to add it before 0.002 s."), "{early:?}");
}

/// What Jepsen's checker never reports.
#[test]
fn duplicated() {
    let judgement = judge("0 add 1, 0 ok, 2 read, 2 ok 1 1");
    assert_eq!(names(&judgement), "duplicated element");
    assert_eq!(judgement.anomalies[0].sentences, ["process 2 on n2 read 1 twice at 0.003 s."]);
    let again = judge("0 add 1, 0 ok, 0 add 1, 0 ok, 2 read, 2 ok 1 1");
    assert_eq!(again.verdict, Verdict::Unknown, "{again:?}");
}

#[test]
fn doubts() {
    let reasons = |text| {
        let judgement = judge(text);
        assert_eq!(judgement.verdict, Verdict::Unknown, "{judgement:?}");
        judgement.doubts.into_iter().map(|doubt| doubt.reason).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(reasons("2 read, 0 add 1, 0 ok, 2 ok"), "no read began after 1 of the acknowledged adds");
    assert_eq!(reasons("0 add 1, 0 info, 2 read, 2 ok"), "no add was acknowledged: there is nothing to lose");
    assert!(
        reasons("0 add 1, 0 ok, 1 write 2, 1 ok, 2 read, 2 ok 1")
            .contains("write(2) of key 1 is no call of a set")
    );
    let tight = Budget { bytes: 4, time: Duration::MAX, over: &|| false };
    let history = history("0 add 1, 0 ok, 1 add 2, 1 ok, 2 read, 2 ok 1 2");
    let judgement = SetFull::default().check(&history, tight);
    assert!(judgement.doubts[0].reason.contains("memory"), "{judgement:?}");
    let late = Budget { bytes: usize::MAX, time: Duration::MAX, over: &|| true };
    assert_eq!(SetFull::default().check(&history, late).verdict, Verdict::Unknown);
}

#[test]
fn many_lost_elements_are_one_anomaly() {
    let adds: String = (0..9).map(|element| format!("0 add {element}, 0 ok, ")).collect();
    let judgement = judge(&format!("{adds} 1 read, 1 ok 3, 1 read, 1 ok 3"));
    assert_eq!(names(&judgement), "lost element");
    let sentences = &judgement.anomalies[0].sentences;
    assert_eq!(sentences.last().unwrap(), "8 elements were lost in all: 0, 1, 2, 4, 5, ….");
}

/// A register's history is none of this judge's business.
#[test]
fn keys_without_elements_are_left_alone() {
    let judgement = judge("0 write 1, 0 ok, 1 read, 1 ok 1");
    assert!(judgement.anomalies.is_empty(), "{judgement:?}");
    assert_eq!(fact(&judgement, "attempted"), "0");
}

/// A stream of numbers that never changes.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

const ELEMENTS: i64 = 3;

/// Any tiny history: reads answer at random, mostly what some set might answer.
fn random_history(random: &mut Random) -> String {
    let mut open = [0u8; 4];
    let mut text = String::new();
    let mut tried: Vec<i64> = Vec::new();
    for _ in 0..2 + random.below(13) {
        let process = random.below(4) as usize;
        let line = match open[process] {
            0 if random.below(2) == 0 => {
                open[process] = 1;
                let element = random.below(ELEMENTS as u64) as i64;
                tried.push(element);
                format!("{process} add {element}")
            }
            0 => {
                open[process] = 2;
                format!("{process} read")
            }
            1 => {
                let (word, next) = [("ok", 0), ("ok", 0), ("fail", 0), ("info", 3)][random.below(4) as usize];
                open[process] = next;
                format!("{process} {word}")
            }
            2 => {
                open[process] = 0;
                let mut items = String::new();
                for element in 0..ELEMENTS {
                    let likely = if tried.contains(&element) { 3 } else { 1 };
                    while random.below(8) < likely {
                        items.push_str(&format!(" {element}"));
                    }
                }
                format!("{process} ok{items}")
            }
            _ => continue,
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The definition, word for word and as slow as it is: lost, stale, unexpected, duplicated, never read, recovered.
fn by_definition(history: &History) -> [usize; 6] {
    let mut counts = [0; 6];
    for element in 0..ELEMENTS {
        let element = Value::Int(element);
        let of = |changes| history.rows().iter().filter(move |op| op.call.changes() == changes);
        let adds: Vec<_> =
            of(true).filter(|op| op.call == Call::Add { key: KEY, value: element.clone() }).collect();
        let reads: Vec<_> = of(false).filter(|op| op.read().is_some()).collect();
        let times = |op: &schism_history::Operation| {
            op.read().and_then(Value::elements).unwrap().iter().filter(|item| **item == element).count()
        };
        let sees = |op: &schism_history::Operation| times(op) > 0;
        let seen: Vec<_> = reads.iter().copied().filter(|op| sees(op)).collect();
        let acknowledged: Vec<_> = adds.iter().copied().filter(|op| op.outcome.is_ok()).collect();
        let possible: Vec<_> =
            adds.iter().copied().filter(|op| !matches!(op.outcome, Outcome::Fail(_))).collect();
        if adds.len() <= 1 && reads.iter().any(|op| times(op) > 1) {
            counts[3] += 1;
        }
        if seen.iter().any(|read| possible.iter().all(|add| read.precedes(add))) {
            counts[2] += 1;
            continue;
        }
        if !seen.is_empty() && acknowledged.is_empty() {
            counts[5] += 1;
        }
        let known = |read: &schism_history::Operation| {
            acknowledged.iter().chain(&seen).any(|earlier| earlier.precedes(read))
        };
        let missing: Vec<_> = reads.iter().copied().filter(|read| known(read) && !sees(read)).collect();
        if missing.iter().any(|read| seen.iter().all(|earlier| earlier.precedes(read))) {
            counts[0] += 1;
        } else if !missing.is_empty() {
            counts[1] += 1;
        } else if !acknowledged.is_empty() && seen.is_empty() {
            counts[4] += 1;
        }
    }
    counts
}

#[test]
fn as_the_definition_says() {
    let mut random = Random(7);
    let mut seen = [0usize; 6];
    for _ in 0..60_000 {
        let text = random_history(&mut random);
        let history = history(&text);
        let judgement = judge(&text);
        let names = ["lost", "stale", "unexpected", "duplicated", "never read", "recovered"];
        let counts = names.map(|name| fact(&judgement, name).parse::<usize>().unwrap());
        let expected = by_definition(&history);
        assert_eq!(counts, expected, "{names:?} of\n{text}");
        assert_eq!(judgement.verdict == Verdict::Invalid, expected[..4].iter().sum::<usize>() > 0, "{text}");
        for anomaly in &judgement.anomalies {
            assert!(anomaly.witness.iter().all(|at| *at < history.len()));
            assert!(anomaly.witness.contains(&anomaly.culprit.unwrap()));
        }
        seen.iter_mut().zip(expected).for_each(|(sum, count)| *sum += count.min(1));
    }
    assert!(seen.iter().all(|histories| *histories > 500), "some outcome hardly happened: {seen:?}");
}
