//! The parts together are the whole, and what is wrong with a text is found as in the whole.

use std::io::Cursor;

use super::*;
use crate::call::{Call, Outcome, Ret};
use crate::event::{Event, Time};
use crate::jsonl;
use crate::read_any;
use crate::value::Value;

const WAYS: Ways = Ways { parts: 4, buffer: 64, salt: 1 };
const OURS: (Format, Keys) = (Format::Jsonl, Keys::One);

fn in_memory() -> io::Result<Cursor<Vec<u8>>> {
    Ok(Cursor::default())
}

fn text(events: impl IntoIterator<Item = Event>) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, event) in (0..).zip(events) {
        jsonl::write_event(&mut out, index, &event).unwrap();
    }
    out
}

/// Thirty processes at once on nine keys, numbers, texts that are not plain and lists, after and before everything else that
/// a history has; some calls fail, some are of unknown fate.
fn run() -> Vec<Event> {
    let mut events = jsonl::tests::sample();
    let at = |time: u32, what| Event { time: Time(1_000 + u64::from(time)), what };
    let call = |number: u32| {
        let key = match number % 9 {
            0 => Value::text("k\n\"0\""),
            1 => Value::list([1.into(), Value::Nil]),
            other => Value::from(i64::from(other)),
        };
        let value = Value::from(i64::from(number));
        if number.is_multiple_of(2) { Call::Write { key, value } } else { Call::Read { key } }
    };
    for round in 0..20 {
        for number in 30 * round..30 * round + 30 {
            let (process, node) = (Process(100 + number), Some(format!("n{}", number % 5)));
            events.push(at(number, What::Invoke { process, node, call: call(number) }));
        }
        for number in 30 * round..30 * round + 29 {
            let outcome = match number % 11 {
                0 => Outcome::Info("?".into()),
                1 => Outcome::Fail("no".into()),
                _ if number % 2 == 1 => Outcome::Ok(Ret::Value(i64::from(number - 1).into())),
                _ => Outcome::Ok(Ret::Done),
            };
            let (process, call) = (Process(100 + number), call(number));
            events.push(at(30 * round + 29, What::Complete { process, call, outcome }));
        }
    }
    events
}

#[test]
fn the_parts_are_the_whole() {
    let events = run();
    let whole = History::from_events(events.clone()).unwrap();
    let mut taken = apart(&text(events)[..], OURS, WAYS, &mut in_memory).unwrap();
    assert_eq!(taken.around, whole.with([]));
    assert_eq!((taken.operations as usize, taken.cut), (whole.len(), None));
    assert!(taken.parts.len() > 1, "keys are spread");
    // Taken apart once more, by another salt: each of its parts has a part of its keys.
    let ways = Ways { salt: 2, ..WAYS };
    let again = taken.parts.pop().unwrap().apart(ways, &mut in_memory).unwrap();
    taken.parts.extend(again);
    are(&whole, &mut taken);
}

/// Holds parts against the whole.
fn are(whole: &History, taken: &mut Apart<Cursor<Vec<u8>>>) {
    let mut found = vec![0; whole.len()];
    for part in &mut taken.parts {
        let read = part.history(&taken.around, u64::MAX).unwrap();
        assert!(read.whole);
        assert_eq!(read.places.len(), read.history.len());
        assert_eq!(part.operations as usize, read.history.len());
        assert_eq!((read.history.events, read.history.end), (whole.events, whole.end));
        assert_eq!(read.history.faults, whole.faults);
        let mut keys: Vec<_> = read.history.operations().map(|of| of.call.key().clone()).collect();
        for (place, operation) in read.places.iter().zip(read.history.operations()) {
            assert_eq!(operation, whole.operation(*place as usize));
            found[*place as usize] += 1;
        }
        keys.sort();
        keys.dedup();
        assert_eq!(part.key.is_some(), keys.len() == 1, "{keys:?}");
    }
    assert!(found.iter().all(|times| *times == 1), "each operation is in one part");
}

/// A part is read as far as asked, and says so; its bytes are more than it takes.
#[test]
fn a_part_is_read_as_far_as_memory_goes() {
    let mut taken = apart(&text(run())[..], OURS, Ways { parts: 1, ..WAYS }, &mut in_memory).unwrap();
    let part = &mut taken.parts[0];
    let (all, most) = (part.operations as usize, part.bytes);
    let half = part.history(&taken.around, most / 2).unwrap();
    assert!(!half.whole && half.history.len() < all && half.history.len() > all / 4);
    assert!(part.history(&taken.around, most).unwrap().whole);
    assert!(!part.history(&taken.around, most - 1).unwrap().whole);
}

/// The same in a peer's words: thirty processes on nine keys, who come back after an info, and now and then something that is
/// no client's.
fn peers(format: Format) -> String {
    let mut text = String::new();
    for number in 0..1_200u32 {
        let (process, round) = (number % 30, number / 60);
        let (key, value) = ((process + round) % 9, 100 * round + process);
        let (f, kind) = match (process % 3, number / 30 % 2, number % 11) {
            (1, 0, _) => ("read", "invoke"),
            (1, _, 0) => ("read", "info"),
            (1, _, _) => ("read", "ok"),
            (_, 0, _) => ("write", "invoke"),
            (_, _, 0) => ("write", "info"),
            (_, _, 1) => ("write", "fail"),
            (_, _, _) => ("write", "ok"),
        };
        text += &match format {
            Format::JepsenLog => format!("INFO  jepsen.util - {process}\t:{kind}\t:{f}\t[{key} {value}]\n"),
            Format::PorcupineKv => {
                format!(
                    "{{:process {process}, :type :{kind}, :f :{f}, :key \"{key}\", :value \"{value}\"}}\n"
                )
            }
            Format::JepsenJson => {
                let open = if number == 0 { "[" } else { "," };
                format!(
                    r#"{open}{{"process":{process},"type":"{kind}","f":"{f}","value":[{key},{value}],"time":{number}}}"#
                )
            }
            _ => format!(
                "{{:process {process}, :type :{kind}, :f :{f}, :value [:k{key} {value}], :node \"n1\", :time {number}}}\n\
                 {{:process :nemesis, :type :info, :f :start, :value nil}}\n"
            ),
        };
    }
    text + if format == Format::JepsenJson { "]" } else { "" }
}

#[test]
fn what_a_peer_recorded_is_taken_apart_as_well() {
    for format in [Format::JepsenEdn, Format::JepsenJson, Format::JepsenLog, Format::PorcupineKv] {
        let text = peers(format);
        let whole = read_any(text.as_bytes(), Format::Auto, Keys::Tuple).unwrap();
        let auto = (Format::Auto, Keys::Tuple);
        let mut taken = apart(text.as_bytes(), auto, WAYS, &mut in_memory).unwrap();
        assert_eq!(whole.history.len(), 600);
        assert_eq!((taken.operations, taken.cut), (600, None));
        assert!(taken.parts.len() > 1, "keys are spread");
        assert_eq!(taken.around, whole.history.with([]));
        are(&whole.history, &mut taken);
        // Cut anywhere, or with a byte too much, the same is said of it.
        for at in (0..text.len()).step_by(7_993) {
            for other in [text[..at].to_string(), format!("{}]{}", &text[..at], &text[at..])] {
                let whole = read_any(other.as_bytes(), format, Keys::Tuple);
                let taken = apart(other.as_bytes(), (format, Keys::Tuple), WAYS, &mut in_memory);
                match (whole, taken) {
                    (Ok(whole), Ok(taken)) => {
                        let operations = whole.history.len();
                        assert_eq!((taken.operations as usize, taken.cut), (operations, whole.cut));
                    }
                    (Err(whole), Err(taken)) => assert_eq!(taken.to_string(), whole.to_string()),
                    (whole, taken) => panic!("{format:?} {at}: {whole:?}, {taken:?}"),
                }
            }
        }
    }
}

/// What the whole is refused for, the parts are refused for.
#[test]
fn contradictions_are_found_wherever_they_are() {
    let invoke = |time, process, key: i64| {
        format!(r#""time":{time},"type":"invoke","process":{process},"f":"read","key":{key}}}"#)
    };
    let end = |time, process, kind: &str, key: i64| {
        format!(r#""time":{time},"type":"{kind}","process":{process},"f":"read","key":{key},"value":1}}"#)
    };
    let info = |time, process, key: i64| end(time, process, "info", key).replace(r#","value":1"#, "");
    let wrong: Vec<Vec<String>> = vec![
        vec![invoke(1, 0, 1), invoke(2, 0, 2)],
        vec![invoke(1, 0, 1), end(2, 0, "ok", 2)],
        vec![end(2, 0, "ok", 2)],
        vec![invoke(1, 0, 1), end(2, 0, "ok", 1), end(3, 0, "ok", 2)],
        vec![invoke(1, 0, 1), info(2, 0, 1), invoke(3, 0, 2)],
        vec![invoke(1, 70_000_000, 1), info(2, 70_000_000, 1), invoke(3, 70_000_000, 2)],
        vec![invoke(2, 0, 1), invoke(1, 1, 2)],
        vec![invoke(1, 0, 1), "\"type\":\"invoke\"}".into()],
        vec![r#""time":1,"type":"fault","id":0,"fault":"kill","edge":"end"}"#.into()],
    ];
    for lines in wrong {
        let numbered = lines.iter().enumerate().map(|(at, line)| format!("{{\"index\":{at},{line}\n"));
        let text: String = numbered.collect();
        let whole = jsonl::read(text.as_bytes()).expect_err(&text).to_string();
        for parts in [1, 64] {
            let found =
                apart(text.as_bytes(), OURS, Ways { parts, ..WAYS }, &mut in_memory).and_then(|mut taken| {
                    let around = taken.around;
                    taken.parts.iter_mut().try_for_each(|part| part.history(&around, u64::MAX).map(|_| ()))
                });
            assert_eq!(found.expect_err(&text).to_string(), whole, "{text}");
        }
    }
}

#[test]
fn a_last_line_that_is_cut_off_is_told() {
    let mut text = text(run());
    text.truncate(text.len() - 3);
    let whole = jsonl::read(&text[..]).unwrap();
    let taken = apart(&text[..], OURS, WAYS, &mut in_memory).unwrap();
    assert_eq!((taken.cut, taken.operations as usize), (whole.cut, whole.history.len()));
    assert!(taken.cut.is_some());
}
