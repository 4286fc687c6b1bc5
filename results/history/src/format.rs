//! One door for recorded histories of any form, ours or a peer's.
//!
//! Tells the forms apart by their first bytes. Cannot tell whether the values of a peer's history are `[key value]`
//! tuples: whoever asks has to know ([`Keys`]).

use std::io::{self, BufRead, Read};

use crate::jepsen::{self, Keys};
use crate::jsonl::{self, ReadError, Recorded};
use crate::{History, binary, jepsen_log, porcupine_kv};

/// How many bytes it takes, at most, to tell the forms apart.
const SNIFFED: u64 = 4096;

/// What some editors put in front of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A form of recorded histories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Whichever the first bytes look like.
    #[default]
    Auto,
    /// Ours: [`crate::jsonl`].
    Jsonl,
    /// Ours, for machines: [`crate::binary`].
    Binary,
    /// Operations as EDN maps: [`crate::jepsen`].
    JepsenEdn,
    /// The same as a JSON array, as elle-cli has it: [`crate::jepsen`].
    JepsenJson,
    /// Lines of Jepsen's log: [`crate::jepsen_log`].
    JepsenLog,
    /// Operations on strings, by key: [`crate::porcupine_kv`].
    PorcupineKv,
}

impl Format {
    /// Every form, in the order of this list.
    pub const ALL: [Format; 7] = [
        Format::Auto,
        Format::Jsonl,
        Format::Binary,
        Format::JepsenEdn,
        Format::JepsenJson,
        Format::JepsenLog,
        Format::PorcupineKv,
    ];

    /// The word for it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Jsonl => "jsonl",
            Format::Binary => "binary",
            Format::JepsenEdn => "jepsen-edn",
            Format::JepsenJson => "jepsen-json",
            Format::JepsenLog => "jepsen-log",
            Format::PorcupineKv => "porcupine-kv",
        }
    }

    /// What a text that begins like this must be; `None` if it is no form known here.
    pub fn sniff(start: &[u8]) -> Option<Format> {
        if start.starts_with(&binary::MAGIC[..7]) {
            return Some(Format::Binary);
        }
        let mut rest = start;
        loop {
            rest = rest.trim_ascii_start();
            match rest.first()? {
                b',' => rest = &rest[1..],
                b';' => rest = &rest[rest.iter().position(|byte| *byte == b'\n')?..],
                _ => break,
            }
        }
        let inner = rest[1..].trim_ascii_start();
        match rest[0] {
            b'{' if inner.starts_with(b"\"") => Some(Format::Jsonl),
            b'[' if inner.first().is_some_and(|byte| *byte == b'{') && json_object(&inner[1..]) => {
                Some(Format::JepsenJson)
            }
            b'{' => {
                let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let keyed = line.windows(5).any(|window| window == b":key ");
                Some(if keyed { Format::PorcupineKv } else { Format::JepsenEdn })
            }
            b'[' | b'(' | b'#' => Some(Format::JepsenEdn),
            byte if byte.is_ascii_uppercase() => Some(Format::JepsenLog),
            _ => None,
        }
    }
}

fn json_object(inside: &[u8]) -> bool {
    inside.trim_ascii_start().first().is_some_and(|byte| *byte == b'"')
}

/// Reads a history. `keys` says where a peer's operations name their object; our own form names it in any case.
///
/// # Errors
/// When the text is no history of that form, with the line; with [`Format::Auto`], also when it is of no known form. An
/// empty text is an empty history.
pub fn read_any(mut input: impl BufRead, format: Format, keys: Keys) -> Result<Recorded, ReadError> {
    let (format, start) = told(&mut input, format)?;
    let input = (&start[..]).chain(input);
    match format {
        Format::Auto => Ok(Recorded { history: History::default(), cut: None }),
        Format::Jsonl => jsonl::read(input),
        Format::Binary => binary::read(input),
        Format::JepsenEdn => jepsen::read_edn(input, keys),
        Format::JepsenJson => jepsen::read_json(input, keys),
        Format::JepsenLog => jepsen_log::read(input, keys),
        Format::PorcupineKv => porcupine_kv::read(input),
    }
}

/// The form of a text if it is not named, and what was read of it to know that. [`Format::Auto`] stays only for an empty text.
///
/// # Errors
/// When it is of no known form.
pub(crate) fn told(input: &mut impl BufRead, format: Format) -> Result<(Format, Vec<u8>), ReadError> {
    let mut start = Vec::new();
    if format != Format::Auto {
        return Ok((format, start));
    }
    let source = |source: io::Error| ReadError::Io { line: 1, source };
    input.take(SNIFFED).read_to_end(&mut start).map_err(source)?;
    let is_all = start.len() < SNIFFED as usize;
    if start.starts_with(BYTE_ORDER_MARK) {
        start.drain(..BYTE_ORDER_MARK.len());
    }
    match Format::sniff(&start) {
        Some(format) => Ok((format, start)),
        None if is_all && start.trim_ascii().is_empty() => Ok((Format::Auto, start)),
        None => {
            let words: Vec<_> = Format::ALL[1..].iter().map(|format| format.word()).collect();
            let problem = format!("begins like none of {}: name its form", words.join(", "));
            Err(ReadError::Line { line: 1, problem })
        }
    }
}

#[cfg(test)]
mod tests;
