//! Small histories as text: an operation a line, `process from-to call`, times in milliseconds, all different.
//!
//! `p1 10-20 w3` a write, `r3` a read (`r-` of nil), `c3>4` a cas; `10-?` ends in info, `w3!` failed.

use schism_history::{Call, Event, History, Outcome, Process, Ret, Time, Value, What};

/// The history, as clients on nodes n1, n2 … would have recorded it.
pub fn history(text: &str) -> History {
    let mut events: Vec<(u64, What)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [process, span, what] = words[..] else { panic!("three words, not {line:?}") };
        let number: u32 = process.trim_start_matches('p').parse().expect("a process");
        let process = Process(number);
        let (from, to) = span.split_once('-').expect("a span");
        let failed = what.ends_with('!');
        let (call, ret) = call(what.trim_end_matches('!'));
        let node = Some(format!("n{number}"));
        events.push((from.parse().expect("a time"), What::Invoke { process, node, call: call.clone() }));
        let (end, outcome) = match to {
            "?" => (1_000_000 + u64::from(number), Outcome::Info("no answer".into())),
            to if failed => (to.parse().expect("a time"), Outcome::Fail("refused".into())),
            to => (to.parse().expect("a time"), Outcome::Ok(ret)),
        };
        events.push((end, What::Complete { process, call, outcome }));
    }
    events.sort_by_key(|(time, _)| *time);
    let events = events.into_iter().map(|(time, what)| Event { time: Time(time * 1_000_000), what });
    History::from_events(events).expect("a consistent script")
}

fn value(text: &str) -> Value {
    if text == "-" { Value::Nil } else { Value::Int(text.parse().expect("a number")) }
}

fn call(text: &str) -> (Call, Ret) {
    let key = Value::text("x");
    let (kind, rest) = text.split_at(1);
    match kind {
        "r" => (Call::Read { key }, Ret::Value(value(rest))),
        "w" => (Call::Write { key, value: value(rest) }, Ret::Done),
        "c" => {
            let (from, to) = rest.split_once('>').expect("from>to");
            (Call::Cas { key, from: value(from), to: value(to) }, Ret::Done)
        }
        other => panic!("no call starts with {other:?}"),
    }
}
