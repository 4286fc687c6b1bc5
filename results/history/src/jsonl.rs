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

pub(crate) mod line;
mod parse;
mod plain;

use std::borrow::Cow;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::builder::Builder;
use crate::call::{Argument, Call, CallKind, Outcome, Ret, Step};
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
pub(crate) enum Kind {
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
    match call.argument() {
        Argument::Nothing => None,
        Argument::Value(value) => Some(Cow::Borrowed(value)),
        Argument::Number(number) => Some(Cow::Owned(Value::Int(number))),
        Argument::Two(from, to) => Some(Cow::Owned(Value::list([from.clone(), to.clone()]))),
        Argument::Steps(steps) => {
            let shown = steps.iter().enumerate().map(|(place, step)| {
                let value = match step {
                    Step::Read { .. } => seen.and_then(|seen| seen.get(place)).cloned().unwrap_or_default(),
                    Step::Write { value, .. } | Step::Append { value, .. } => value.clone(),
                };
                Value::list([step.word().into(), step.key().clone(), value])
            });
            Some(Cow::Owned(Value::list(shown)))
        }
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
pub fn read(input: impl BufRead) -> Result<Recorded, ReadError> {
    read_by(input, true)
}

/// `short` says whether plain lines are read the short way.
fn read_by(mut input: impl BufRead, short: bool) -> Result<Recorded, ReadError> {
    let mut builder = Builder::default();
    let mut buffer = Vec::new();
    let mut line = 1;
    loop {
        if short {
            line += plain_lines(&mut input, &mut builder, line)?;
        }
        buffer.clear();
        let length = input.read_until(b'\n', &mut buffer).map_err(|source| ReadError::Io { line, source })?;
        if length == 0 {
            return Ok(Recorded { history: builder.finish(), cut: None });
        }
        if buffer.pop() != Some(b'\n') {
            return Ok(Recorded { history: builder.finish(), cut: Some(line) });
        }
        let event = line::event(&buffer, line)?;
        builder.push(event).map_err(|source| ReadError::Contradiction { line, source })?;
        line += 1;
    }
}

/// Takes plain lines up to the first that is not, or that was not read whole; says how many it took. `line` is the number of
/// the first, one-based: their indices count from zero.
fn plain_lines(input: &mut impl BufRead, builder: &mut Builder, line: usize) -> Result<usize, ReadError> {
    let mut taken = 0;
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(ReadError::Io { line: line + taken, source }),
        };
        let mut at = 0;
        while let Some((plain, length)) = plain::line(&chunk[at..]) {
            if plain.index as usize != line - 1 + taken || !plain.into(builder) {
                break;
            }
            at += length;
            taken += 1;
        }
        let is_used_up = at > 0 && at == chunk.len();
        input.consume(at);
        if !is_used_up {
            return Ok(taken);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
