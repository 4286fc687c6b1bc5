//! The history's text form: one JSON object a line, appended while the run goes.
//!
//! ```json
//! {"index":0,"time":104,"type":"invoke","process":3,"node":"n4","f":"cas","key":5,"value":[1,2]}
//! {"index":1,"time":2310,"type":"ok","process":3,"f":"cas","key":5,"value":[1,2]}
//! {"index":2,"time":2400,"type":"fault","id":0,"fault":"partition","edge":"begin","detail":"n1 | n2 n3","nodes":["n1"]}
//! {"index":3,"time":2500,"type":"phase","phase":"final"}
//! ```
//!
//! What a call without an argument was answered stands in `value` (`read`, `dequeue`, `acquire` …), what one with an argument
//! was answered in `ret`; a transaction's `value` is a list of `["r", key, seen]`, `["w", key, value]` and `["append", key,
//! value]`, and has no key.
//!
//! A file cut at any byte still reads up to its last whole line ([`Recorded::cut`] says so). Anything else that is wrong
//! is an error with its line.

mod parse;

use std::borrow::Cow;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::parse::Parsed;
use crate::builder::Builder;
use crate::call::{Call, CallKind, Outcome, Ret, Step};
use crate::event::{Edge, Effect, Event, Process, Time, What};
use crate::history::{Contradiction, History};
use crate::value::Value;

/// One line as it stands in the file: flat, because readers of other tools expect it so.
#[derive(Serialize)]
struct Line<'a> {
    index: u32,
    time: Time,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    f: Option<CallKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ret: Option<Cow<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edge: Option<Edge>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<Cow<'a, [String]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Cow<'a, Effect>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<bool>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
    Fault,
    Phase,
    Note,
}

impl<'a> Line<'a> {
    fn empty(index: u32, time: Time, kind: Kind) -> Self {
        Line {
            index,
            time,
            kind,
            process: None,
            node: None,
            f: None,
            key: None,
            value: None,
            ret: None,
            error: None,
            id: None,
            fault: None,
            edge: None,
            detail: None,
            nodes: None,
            effect: None,
            phase: None,
            text: None,
            doubt: None,
        }
    }

    fn with_call(mut self, process: Process, call: &'a Call) -> Self {
        self.process = Some(process);
        self.f = Some(call.kind());
        self.key = (call.kind() != CallKind::Txn).then(|| Cow::Borrowed(call.key()));
        self.value = argument(call, None);
        self
    }

    fn of(index: u32, event: &'a Event) -> Self {
        let empty = |kind| Line::empty(index, event.time, kind);
        match &event.what {
            What::Invoke { process, node, call } => {
                let mut line = empty(Kind::Invoke).with_call(*process, call);
                line.node = node.as_deref().map(Cow::Borrowed);
                line
            }
            What::Complete { process, call, outcome } => {
                let kind = match outcome {
                    Outcome::Ok(_) => Kind::Ok,
                    Outcome::Fail(_) => Kind::Fail,
                    Outcome::Info(_) => Kind::Info,
                };
                let mut line = empty(kind).with_call(*process, call);
                match outcome {
                    Outcome::Ok(Ret::Value(value)) if call.is_bare() => {
                        line.value = Some(Cow::Borrowed(value))
                    }
                    Outcome::Ok(Ret::Value(seen)) if call.kind() == CallKind::Txn => {
                        line.value = argument(call, seen.elements());
                    }
                    Outcome::Ok(Ret::Value(value)) => line.ret = Some(Cow::Borrowed(value)),
                    Outcome::Ok(Ret::Done) => {}
                    Outcome::Fail(why) | Outcome::Info(why) => line.error = Some(Cow::Borrowed(why)),
                }
                line
            }
            What::Fault(fault) => {
                let mut line = empty(Kind::Fault);
                line.id = Some(fault.id);
                line.fault = Some(Cow::Borrowed(&fault.fault));
                line.edge = Some(fault.edge);
                line.detail = Some(Cow::Borrowed(&fault.detail));
                line.nodes = Some(Cow::Borrowed(&fault.nodes));
                line.effect = fault.effect.as_ref().map(Cow::Borrowed);
                line
            }
            What::Phase(phase) => Line { phase: Some(Cow::Borrowed(phase)), ..empty(Kind::Phase) },
            What::Note(note) => Line {
                node: Some(Cow::Borrowed(&note.node)),
                text: Some(Cow::Borrowed(&note.text)),
                doubt: Some(note.doubt),
                ..empty(Kind::Note)
            },
        }
    }
}

/// What a call asks for, as one value; the reads of a transaction filled in with what they saw, where that is known.
fn argument<'a>(call: &'a Call, seen: Option<&[Value]>) -> Option<Cow<'a, Value>> {
    match call {
        Call::Write { value, .. }
        | Call::Add { value, .. }
        | Call::Remove { value, .. }
        | Call::Contains { value, .. }
        | Call::Append { value, .. }
        | Call::Enqueue { value, .. }
        | Call::Push { value, .. }
        | Call::Use { token: value, .. } => Some(Cow::Borrowed(value)),
        Call::Increment { by: number, .. } | Call::Watch { from: number, .. } => {
            Some(Cow::Owned(Value::Int(*number)))
        }
        Call::Cas { from, to, .. } => Some(Cow::Owned(Value::list([from.clone(), to.clone()]))),
        Call::Txn { steps } => {
            let shown = steps.iter().enumerate().map(|(place, step)| {
                let value = match step {
                    Step::Read { .. } => seen.and_then(|seen| seen.get(place)).cloned().unwrap_or_default(),
                    Step::Write { value, .. } | Step::Append { value, .. } => value.clone(),
                };
                Value::list([step.word().into(), step.key().clone(), value])
            });
            Some(Cow::Owned(Value::list(shown)))
        }
        Call::Read { .. }
        | Call::Dequeue { .. }
        | Call::Pop { .. }
        | Call::Generate { .. }
        | Call::Acquire { .. }
        | Call::Release { .. } => None,
    }
}

/// Writes the `index`-th event as one line, newline included.
///
/// # Errors
/// When `out` does.
pub fn write_event(out: &mut impl Write, index: u32, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Line::of(index, event))?;
    out.write_all(b"\n")
}

/// Why a file is no history.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file could not be read on.
    #[error("line {line}: {source}")]
    Io {
        /// One-based.
        line: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not what a line must be.
    #[error("line {line}: {problem}")]
    Line {
        /// One-based.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A binary file is not what it must be.
    #[error("byte {offset}: {problem}")]
    Binary {
        /// Where it was noticed.
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A line contradicts an earlier one.
    #[error("line {line}: {source}")]
    Contradiction {
        /// One-based.
        line: usize,
        /// How.
        source: Contradiction,
    },
}

/// What a file holds.
#[derive(Debug)]
pub struct Recorded {
    /// The history up to the last whole line.
    pub history: History,
    /// The one-based number of a last line that is cut off, as a killed run leaves it.
    pub cut: Option<usize>,
}

/// Reads a history. Linear in its size; holds one line beside the history.
///
/// # Errors
/// At the first line that is garbled or contradicts an earlier one. A last line without its newline is no error but a
/// [`Recorded::cut`].
pub fn read(mut input: impl BufRead) -> Result<Recorded, ReadError> {
    let mut builder = Builder::default();
    let mut buffer = Vec::new();
    for (index, line) in (0u32..).zip(1..) {
        buffer.clear();
        let length = input.read_until(b'\n', &mut buffer).map_err(|source| ReadError::Io { line, source })?;
        if length == 0 {
            break;
        }
        if buffer.pop() != Some(b'\n') {
            return Ok(Recorded { history: builder.finish(), cut: Some(line) });
        }
        let garbled = |problem: String| ReadError::Line { line, problem };
        // Looking for text that is no text once a line is faster than once a string.
        let text = std::str::from_utf8(&buffer)
            .map_err(|error| garbled(format!("{error}, at column {}", error.valid_up_to() + 1)))?;
        let parsed: Parsed = serde_json::from_str(text)
            .map_err(|error| garbled(error.to_string().replacen(" at line 1 column", ", at column", 1)))?;
        if parsed.index != index {
            return Err(garbled(format!("index {} where {index} is due", parsed.index)));
        }
        let event = parsed.into_event().map_err(|problem| garbled(problem.to_string()))?;
        builder.push(event).map_err(|source| ReadError::Contradiction { line, source })?;
    }
    Ok(Recorded { history: builder.finish(), cut: None })
}

#[cfg(test)]
pub(crate) mod tests {
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
        assert_eq!(
            error(&format!("{stray}\n")),
            "line 1: process 4 completes write(2), which it never invoked"
        );
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
}
