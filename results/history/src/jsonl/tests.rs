//! What was written comes back, cut anywhere; the short way says what the long way says; what is wrong is named.

use super::*;
use crate::event::{FaultEvent, Note};

pub(crate) fn sample() -> Vec<Event> {
    let key = || Value::Int(5);
    let cas = Call::Cas { key: key(), from: 1.into(), to: 2.into() };
    let at = |time, what| Event { time: Time(time), what };
    vec![
        at(0, What::Phase("load".into())),
        at(5, What::Invoke { process: Process(0), node: Some("n1".into()), call: cas.clone() }),
        at(6, What::Invoke { process: Process(1), node: None, call: Call::Read { key: key() } }),
        at(
            6,
            What::Complete {
                process: Process(1),
                call: Call::Read { key: key() },
                outcome: Outcome::Ok(Ret::Value(Value::Nil)),
            },
        ),
        at(
            7,
            What::Fault(FaultEvent {
                id: 3,
                fault: "partition".into(),
                edge: Edge::Begin,
                detail: "n1 | n2".into(),
                nodes: vec!["n1".into()],
                effect: None,
            }),
        ),
        at(
            8,
            What::Complete {
                process: Process(0),
                call: cas,
                outcome: Outcome::Info("no answer \"within\" 1 s".into()),
            },
        ),
        at(
            9,
            What::Fault(FaultEvent {
                id: 3,
                fault: "partition".into(),
                edge: Edge::End,
                detail: "n1 | n2".into(),
                nodes: vec!["n1".into()],
                effect: Some(Effect { bit: true, evidence: "7 packets dropped".into() }),
            }),
        ),
        at(9, What::Note(Note { node: "n2".into(), text: "killed by signal 9".into(), doubt: true })),
    ]
}

/// One call of each kind, and an answer it may get.
pub(crate) fn one_of_each() -> Vec<(Call, Ret)> {
    let (key, value) = (|| Value::text("k"), || Value::Int(7));
    let seen = |value: Value| Ret::Value(value);
    let steps = [
        Step::Read { key: key() },
        Step::Write { key: 2.into(), value: value() },
        Step::Append { key: 3.into(), value: value() },
    ];
    vec![
        (Call::Read { key: key() }, seen(Value::Nil)),
        (Call::Write { key: key(), value: value() }, Ret::Done),
        (Call::Cas { key: key(), from: Value::Nil, to: value() }, Ret::Done),
        (Call::Add { key: key(), value: value() }, seen(Value::Bool(true))),
        (Call::Remove { key: key(), value: value() }, seen(Value::Bool(false))),
        (Call::Contains { key: key(), value: value() }, seen(Value::Bool(true))),
        (Call::Append { key: key(), value: value() }, seen(Value::Int(0))),
        (Call::Enqueue { key: key(), value: value() }, Ret::Done),
        (Call::Dequeue { key: key() }, seen(Value::Nil)),
        (Call::Push { key: key(), value: value() }, Ret::Done),
        (Call::Pop { key: key() }, seen(value())),
        (Call::Increment { key: key(), by: -3 }, seen(Value::Int(4))),
        (Call::Generate { key: key() }, seen(value())),
        (Call::Acquire { key: key() }, seen(value())),
        (Call::Acquire { key: key() }, Ret::Done),
        (Call::Release { key: key() }, Ret::Done),
        (Call::Use { key: key(), token: value() }, Ret::Done),
        (Call::Watch { key: key(), from: 1 }, seen(Value::list([Value::list([value(), Value::Nil])]))),
        (Call::Txn { steps: steps.into() }, seen(Value::list([5.into(), Value::Nil, Value::Nil]))),
    ]
}

#[test]
fn every_kind_of_call_and_answer_comes_back_as_it_was() {
    let kinds: std::collections::BTreeSet<CallKind> =
        one_of_each().iter().map(|(call, _)| call.kind()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), CallKind::ALL);
    for (call, ret) in one_of_each() {
        for outcome in [Outcome::Ok(ret), Outcome::Fail("no".into()), Outcome::Info("?".into())] {
            let process = Process(0);
            let events = [
                Event { time: Time(1), what: What::Invoke { process, node: None, call: call.clone() } },
                Event { time: Time(2), what: What::Complete { process, call: call.clone(), outcome } },
            ];
            let mut out = Vec::new();
            for (index, event) in events.iter().enumerate() {
                write_event(&mut out, index as u32, event).unwrap();
            }
            let history = read(&out[..]).unwrap_or_else(|error| panic!("{call}: {error}")).history;
            assert_eq!(history, History::from_events(events).unwrap(), "{call}");
        }
    }
}

fn written() -> Vec<u8> {
    let mut out = Vec::new();
    for (index, event) in sample().iter().enumerate() {
        write_event(&mut out, index as u32, event).unwrap();
    }
    out
}

#[test]
fn round_trip() {
    let expected = History::from_events(sample()).unwrap();
    assert_eq!(read(&written()[..]).unwrap().history, expected);
    assert_eq!(expected.len(), 2);
    assert_eq!(expected.faults[0].ended, Some(Time(9)));
}

/// A killed run leaves a file cut anywhere: it reads up to the last whole line, and says that it was cut.
#[test]
fn cut_at_any_byte() {
    let whole = written();
    for length in 0..=whole.len() {
        let part = &whole[..length];
        let recorded = read(part).unwrap();
        let lines = part.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(recorded.history.events as usize, lines);
        assert_eq!(recorded.cut.is_some(), !part.is_empty() && !part.ends_with(b"\n"));
    }
}

fn error(text: &str) -> String {
    read(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let invoke = r#"{"index":0,"time":9,"type":"invoke","process":0,"f":"read","key":1}"#;
    assert!(error(&format!("{invoke}\nhello\n")).starts_with("line 2: expected value"));
    assert_eq!(
        error("{\"index\":1,\"time\":0,\"type\":\"phase\",\"phase\":\"x\"}\n"),
        "line 1: index 1 where 0 is due"
    );
    let back = r#"{"index":1,"time":8,"type":"phase","phase":"x"}"#;
    assert_eq!(error(&format!("{invoke}\n{back}\n")), "line 2: time goes back: 0.000 s after 0.000 s");
    let again = invoke.replace("\"index\":0", "\"index\":1");
    assert_eq!(
        error(&format!("{invoke}\n{again}\n")),
        "line 2: process 0 invokes read() while its read() is still open"
    );
    let twice = invoke.replace("\"key\":1", "\"key\":1,\"key\":1");
    assert_eq!(error(&format!("{twice}\n")), "line 1: duplicate field `key`, at column 75");
    let unknown = invoke.replace("\"key\":1", "\"key\":1,\"later\":{\"a\":[1.5]}");
    assert_eq!(read(format!("{unknown}\n").as_bytes()).unwrap().history.events, 1);
    let untyped = invoke.replace("\"type\":\"invoke\",", "");
    assert!(error(&format!("{untyped}\n")).starts_with("line 1: missing field `type`"));
    let bytes = [invoke.as_bytes(), b"\n\"\xff\"\n"].concat();
    let refused = read(&bytes[..]).unwrap_err().to_string();
    assert_eq!(refused, "line 2: invalid utf-8 sequence of 1 bytes from index 1, at column 2");
    let stray = r#"{"index":0,"time":9,"type":"ok","process":4,"f":"write","key":1,"value":2}"#;
    assert_eq!(error(&format!("{stray}\n")), "line 1: process 4 completes write(2), which it never invoked");
}

#[test]
fn a_process_is_retired_after_info() {
    let text = concat!(
        r#"{"index":0,"time":1,"type":"invoke","process":0,"f":"write","key":1,"value":2}"#,
        "\n",
        r#"{"index":1,"time":2,"type":"info","process":0,"f":"write","key":1,"value":2,"error":"?"}"#,
        "\n",
        r#"{"index":2,"time":3,"type":"invoke","process":0,"f":"read","key":1}"#,
        "\n"
    );
    assert!(error(text).contains("a process is retired then"));
}

/// Lines of every kind of call, answer and outcome, as a run writes them.
fn lines() -> Vec<u8> {
    let mut events = sample();
    let calls = one_of_each();
    let several = |count: i64| Value::list((0..count).map(Value::Int));
    let more = [
        (Call::Add { key: Value::Nil, value: "a\"b".into() }, Ret::Value(several(0))),
        (Call::Read { key: "é".into() }, Ret::Value(several(1))),
        (Call::Read { key: true.into() }, Ret::Value(several(2))),
        (Call::Read { key: (-3).into() }, Ret::Value(several(5))),
        (Call::Write { key: several(2), value: several(3) }, Ret::Value(several(4))),
    ];
    for (number, (call, ret)) in
        (0u32..).zip(calls.iter().chain(&more).cycle().take(4 * (calls.len() + more.len())))
    {
        let (process, time) = (Process(100 + number), Time(1_000 + u64::from(number)));
        let node = (number % 3 > 0).then(|| format!("n{number}"));
        events.push(Event { time, what: What::Invoke { process, node, call: call.clone() } });
        let outcome = match number % 7 {
            0 => Outcome::Fail("no".into()),
            1 => Outcome::Info("?".into()),
            2 => Outcome::Info(String::new()),
            _ => Outcome::Ok(ret.clone()),
        };
        events.push(Event { time, what: What::Complete { process, call: call.clone(), outcome } });
    }
    let mut out = Vec::new();
    for (index, event) in events.iter().enumerate() {
        write_event(&mut out, index as u32, event).unwrap();
    }
    out
}

fn both_ways(text: &[u8]) -> Result<Recorded, String> {
    let said = |read: Result<Recorded, ReadError>| read.map_err(|error| error.to_string());
    let (short, long) = (said(read_by(text, true)), said(read_by(text, false)));
    match (&short, &long) {
        (Ok(short), Ok(long)) => assert!(short.history == long.history && short.cut == long.cut),
        (Err(short), Err(long)) => assert_eq!(short, long),
        _ => panic!("{short:?}\n{long:?}"),
    }
    short
}

/// Whatever stands there, also where lines do not lie whole in what is read at once.
#[test]
fn the_short_way_says_what_the_long_way_says() {
    let lines = lines();
    let whole = both_ways(&lines).unwrap();
    for chunk in [1, 7, 100, 1000] {
        let input = io::BufReader::with_capacity(chunk, &lines[..]);
        assert_eq!(read(input).unwrap().history, whole.history);
    }
    let plain =
        lines.split_inclusive(|byte| *byte == b'\n').filter(|line| plain::line(line).is_some()).count();
    assert!(plain > 120, "{plain} lines are plain");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (random >> 33) as usize % below
    };
    let pieces: &[&[u8]] = &[
        b"0",
        b"-",
        b"1.5",
        b"99999999999999999999",
        b"null",
        b"[",
        b"]",
        b",",
        b"\"",
        b"\\u0041",
        b" ",
        b"}",
        b"\n",
        b"\xff",
        b"\x01",
        b"\"ret\":1,",
        b"\"error\":\"x\",",
        b"\"value\":2,",
        b"true",
        b"ok",
        b"txn",
        b"read",
    ];
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..6_000 {
        let mut text = lines.clone();
        let at = next(text.len());
        match next(5) {
            0 => text[at] = next(256) as u8,
            // Another number there.
            1 => {
                let digit = (at..).find(|at| text.get(*at).is_none_or(u8::is_ascii_digit)).unwrap_or(at);
                let other = [&b"-0"[..], b"3", b"07", b"-1", b"123456789012345678901"][next(5)];
                drop(text.splice(digit..(digit + 1).min(lines.len()), other.iter().copied()));
            }
            2 => text.truncate(at),
            3 => drop(text.drain(at..(at + 1 + next(12)).min(lines.len()))),
            _ => drop(text.splice(at..at, pieces[next(pieces.len())].iter().copied())),
        }
        match both_ways(&text) {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    println!("{refused} refused, {taken} taken");
    assert!(refused > 1_000 && taken > 1_000);
}

/// What a completion repeats has to be what was asked, each part of it.
#[test]
fn another_call_than_the_one_invoked_is_refused_both_ways() {
    let asked = r#""f":"cas","key":5,"value":[1,2]}"#;
    let invoke = format!(r#"{{"index":0,"time":9,"type":"invoke","process":0,{asked}"#);
    let with = |said: &str| {
        let complete = format!(r#"{{"index":1,"time":9,"type":"ok","process":0,{said}"#);
        both_ways(format!("{invoke}\n{complete}\n").as_bytes()).map(|recorded| recorded.history.len())
    };
    assert_eq!(with(asked), Ok(1));
    for other in ["[3,2]", "[1,3]", "[1,2,3]", "[2,1]", "1", "[]", "[null,2]"] {
        with(&asked.replace("[1,2]", other)).unwrap_err();
    }
    with(&asked.replace("5", "6")).unwrap_err();
    with(&asked.replace("cas", "append")).unwrap_err();
}
