//! One line by itself: what it is about, without a history around it.

use super::parse::Parsed;
use super::plain::{self, Plain};
use super::{Kind, ReadError};
use crate::builder::Builder;
use crate::call::Outcome;
use crate::event::{Event, Process, Time, What};
use crate::value::Key;

/// A line that was read.
pub(crate) enum Line<'a> {
    Plain(Plain<'a>),
    Other(Event),
}

/// What a line says of a process's call.
pub(crate) struct OfProcess {
    pub(crate) time: Time,
    pub(crate) process: Process,
    pub(crate) edge: End,
    pub(crate) key: Key,
}

/// Which end of a call it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Invoked,
    Ended,
    /// In info: the process is retired.
    Lost,
}

impl<'a> Line<'a> {
    /// Reads a text of one line, its end included; `line` is its number, one-based.
    ///
    /// # Errors
    /// When it is garbled, or says that it is another one.
    pub(crate) fn of(text: &'a [u8], line: usize) -> Result<Self, ReadError> {
        match plain::line(text) {
            Some((plain, length)) if length == text.len() && plain.index as usize == line - 1 => {
                Ok(Line::Plain(plain))
            }
            _ => event(text.strip_suffix(b"\n").unwrap_or(text), line).map(Line::Other),
        }
    }

    /// What it says of a call; `None` if it is about something else.
    pub(crate) fn of_process(&self) -> Option<OfProcess> {
        match self {
            Line::Plain(plain) => {
                let edge = match plain.kind {
                    Kind::Invoke => End::Invoked,
                    Kind::Info => End::Lost,
                    _ => End::Ended,
                };
                Some(OfProcess { time: plain.time, process: plain.process, edge, key: plain.key.to_value() })
            }
            Line::Other(event) => {
                let (process, edge, call) = match &event.what {
                    What::Invoke { process, call, .. } => (*process, End::Invoked, call),
                    What::Complete { process, call, outcome: Outcome::Info(_) } => {
                        (*process, End::Lost, call)
                    }
                    What::Complete { process, call, .. } => (*process, End::Ended, call),
                    _ => return None,
                };
                Some(OfProcess { time: event.time, process, edge, key: call.key().clone() })
            }
        }
    }
}

/// The event that a text of one line says, without the line's end.
///
/// # Errors
/// When it is garbled, or says that it is another line than this one, one-based.
pub(crate) fn event(text: &[u8], line: usize) -> Result<Event, ReadError> {
    let garbled = |problem: String| ReadError::Line { line, problem };
    // Looking for text that is no text once a line is faster than once a string.
    let text = std::str::from_utf8(text)
        .map_err(|error| garbled(format!("{error}, at column {}", error.valid_up_to() + 1)))?;
    let parsed: Parsed = serde_json::from_str(text)
        .map_err(|error| garbled(error.to_string().replacen(" at line 1 column", ", at column", 1)))?;
    if parsed.index as usize != line - 1 {
        return Err(garbled(format!("index {} where {} is due", parsed.index, line - 1)));
    }
    parsed.into_event().map_err(|problem| garbled(problem.to_string()))
}

/// Puts a line, its end included, into a history.
///
/// # Errors
/// When it is garbled or contradicts an earlier one.
pub(crate) fn take(builder: &mut Builder, text: &[u8], line: usize) -> Result<(), ReadError> {
    if let Some((plain, length)) = plain::line(text)
        && length == text.len()
        && plain.index as usize == line - 1
        && plain.into(builder)
    {
        return Ok(());
    }
    let event = event(text.strip_suffix(b"\n").unwrap_or(text), line)?;
    builder.push(event).map_err(|source| ReadError::Contradiction { line, source })
}
