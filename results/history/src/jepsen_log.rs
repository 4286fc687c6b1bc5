//! Histories as lines of Jepsen's log, the form in which Porcupine ships its etcd histories.
//!
//! ```text
//! INFO  jepsen.util - 0    :invoke :read   nil
//! INFO  jepsen.util - 0    :ok     :read   3
//! INFO  jepsen.util - 2    :info   :cas    :timed-out
//! ```
//!
//! A line says process, type, `:f` and value, then perhaps an error; where a call ended in `:fail` or `:info` the error
//! may stand in place of the value. A read that timed out constrains nothing, whether the log calls it `:fail` or
//! `:info`. Lines of other loggers are passed over; there are no times, so the order of the lines is all there is.
//! The last line counts only with its newline: without it, it may have been cut within a number.

use std::io::BufRead;

use crate::builder::Builder;
use crate::edn::{EdnError, Form, Reader};
use crate::jepsen::{Fields, Keys, Operations, Taker, garbled, word};
use crate::jsonl::{ReadError, Recorded};

/// What every line of an operation holds, just before its process.
const LOGGER: &[u8] = b"jepsen.util";

/// What other lines of the log begin with.
const LEVELS: [&[u8]; 5] = [b"INFO", b"WARN", b"ERROR", b"DEBUG", b"TRACE"];

/// Reads a history. Linear in its size; holds one line beside the history.
///
/// # Errors
/// At the first line that is neither an operation nor of another logger, or that contradicts an earlier one; and when
/// there is no operation at all.
pub fn read(input: impl BufRead, keys: Keys) -> Result<Recorded, ReadError> {
    let mut builder = Builder::lenient();
    let cut = hand_on(input, keys, &mut builder)?;
    Ok(Recorded { history: builder.finish(), cut })
}

/// Hands a history on, operation by operation. Answers the number of a last line that is cut off.
///
/// # Errors
/// As [`read`], and those of the taker.
pub(crate) fn hand_on(
    mut input: impl BufRead,
    keys: Keys,
    to: &mut impl Taker,
) -> Result<Option<usize>, ReadError> {
    let mut operations = Operations::new(keys, to);
    let mut buffer = Vec::new();
    for line in 1.. {
        buffer.clear();
        let length = input.read_until(b'\n', &mut buffer).map_err(|source| ReadError::Io { line, source })?;
        if length == 0 {
            if operations.is_empty() {
                return Err(garbled(line, "the log ends without a single operation"));
            }
            break;
        }
        if buffer.pop() != Some(b'\n') {
            return Ok(Some(line));
        }
        if let Some(text) = operation(&buffer).map_err(|problem| garbled(line, problem))? {
            let fields = fields(text, line)?;
            operations.take_fields(line, fields)?;
        }
    }
    Ok(None)
}

/// The part of a line that says an operation; `None` for what other loggers say.
fn operation(line: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    let line = line.trim_ascii();
    if let Some(at) = line.windows(LOGGER.len()).position(|window| window == LOGGER) {
        let rest = line[at + LOGGER.len()..].trim_ascii_start();
        return Ok(Some(rest.strip_prefix(b"- ").unwrap_or(rest)));
    }
    if line.is_empty() || LEVELS.iter().any(|level| line.starts_with(level)) {
        return Ok(None);
    }
    Err("this is no line of a log of jepsen's")
}

fn fields(text: &[u8], line: usize) -> Result<Fields, ReadError> {
    let mut reader = Reader::new(text).at_line(line);
    let mut next = || match reader.next_form() {
        Ok(form) => Ok(form),
        Err(EdnError::Cut { line }) => Err(garbled(line, "the line ends within a form")),
        Err(error) => Err(error.into()),
    };
    let due = |form: Option<Form>, what| form.ok_or_else(|| garbled(line, format!("no {what}")));
    let wrong = |problem| garbled(line, problem);
    let mut fields = Fields {
        process: Some(due(next()?, "process")?),
        kind: Some(word("type", due(next()?, "type")?).map_err(wrong)?),
        f: Some(word("f", due(next()?, "call")?).map_err(wrong)?),
        value: next()?,
        error: next()?,
        ..Fields::default()
    };
    if let Some(more) = next()? {
        return Err(garbled(line, format!("{more:?} follows the end of the operation")));
    }
    let ended = matches!(fields.kind.as_deref(), Some("fail" | "info"));
    if ended && fields.error.is_none() && matches!(fields.value, Some(Form::Keyword(_))) {
        fields.error = fields.value.take();
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, History, Outcome, Value};

    fn history(text: &str) -> History {
        read(text.as_bytes(), Keys::One).unwrap().history
    }

    fn error(text: &str) -> String {
        read(text.as_bytes(), Keys::One).unwrap_err().to_string()
    }

    #[test]
    fn operations_in_the_order_of_lines() {
        let history = history(concat!(
            "INFO  jepsen.core - Setting up\n",
            "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n",
            "INFO  jepsen.util - 1\t:invoke\t:read\tnil\n",
            "INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n",
            "INFO  jepsen.util - 1\t:ok\t:read\t3\n",
            "INFO  jepsen.util - 0\t:info\t:cas\t:timed-out\n",
            "INFO  jepsen.util - 1\t:invoke\t:read\tnil\n",
            "INFO  jepsen.util - 1\t:fail\t:read\t:timed-out\n",
        ));
        assert_eq!(history.events, 6);
        let [cas, read, late] = history.rows() else { panic!("{history:?}") };
        assert_eq!(cas.call, Call::Cas { key: Value::Nil, from: 1.into(), to: 2.into() });
        assert_eq!(cas.outcome, Outcome::Info("timed-out".into()));
        assert_eq!(read.read(), Some(&Value::Int(3)));
        assert_eq!(late.outcome, Outcome::Fail("timed-out".into()));
    }

    /// An operation that a newer log states, with time and thread before the logger's name.
    #[test]
    fn other_lines_of_the_same_log() {
        let line = "INFO [2026-01-02 03:04:05,678] jepsen worker 0 - jepsen.util 0\t:invoke\t:write\t1\n";
        assert_eq!(history(line).len(), 1);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let invoke = "INFO  jepsen.util - 0\t:invoke\t:read\tnil\n";
        assert_eq!(error(&format!("{invoke}hello\n")), "line 2: this is no line of a log of jepsen's");
        assert_eq!(error(&format!("{invoke}INFO jepsen.util - 0\n")), "line 2: no type");
        assert_eq!(
            error(&format!("{invoke}INFO jepsen.util - 0\t:ok\t:read\t[1\n")),
            "line 2: the line ends within a form"
        );
        assert_eq!(
            error(&format!("{invoke}{invoke}")),
            "line 2: process 0 invokes read() while its read() is still open"
        );
        assert_eq!(error("\n"), "line 2: the log ends without a single operation");
    }

    #[test]
    fn a_last_line_without_its_newline_is_a_cut() {
        let text = "INFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO  jepsen.util - 0\t:ok\t:read\t1";
        let recorded = read(text.as_bytes(), Keys::One).unwrap();
        assert_eq!((recorded.cut, recorded.history.events), (Some(2), 1));
    }
}
