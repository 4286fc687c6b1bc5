//! A history's text, ours or a peer's, taken apart by key into files: for histories larger than memory.
//!
//! One pass hands every line to the file of its key's part, and no more is kept in memory than a buffer for each file and
//! what processes have open. Each part then reads back as a history of its own: the operations of its keys at the positions
//! and times they have in the whole, and around them the whole's faults, phases and notes. A part that is larger than wanted
//! is taken apart again; one of a single key cannot be, and is read as far as wanted.
//!
//! What contradicts itself is found as in the whole ([`crate::Builder`]), in the pass or when its part is read: the lines of
//! a process's call all go to the same part. What a peer recorded is written into the parts in our form.

use std::hash::{Hash, Hasher};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};

use rustc_hash::{FxHashMap, FxHasher};

use crate::builder::Builder;
use crate::call::{Call, CallKind, Outcome};
use crate::event::{Event, Process, Time, What};
use crate::format::{Format, told};
use crate::history::{Contradiction, History};
use crate::jepsen::{self, Keys, Taker};
use crate::jepsen_log;
use crate::jsonl::line::{self, End, Line, OfProcess};
use crate::jsonl::{self, ReadError};
use crate::value::Key;

/// What a part is written to and read from: a file.
pub trait Store: Read + Write + Seek {}

impl<F: Read + Write + Seek> Store for F {}

/// A history taken apart.
#[derive(Debug)]
pub struct Apart<F> {
    /// The parts that have operations.
    pub parts: Vec<Part<F>>,
    /// The whole without its operations: faults, phases, notes, how many events there are and when the last one was.
    pub around: History,
    /// How many operations there are.
    pub operations: u32,
    /// The one-based number of a last line that is cut off, as a killed run leaves it.
    pub cut: Option<usize>,
}

/// Parts are taken apart again so often at most. A few times do, but for keys made so that they stay together.
const AGAIN: u64 = 16;

impl<F: Store> Apart<F> {
    /// Reads one part after the other, with memory for about `most` bytes. What is larger is taken apart once more; a single
    /// key is read as far as that goes. Answers how many parts there were.
    ///
    /// # Errors
    /// Those of [`Part::apart`] and [`Part::history`].
    pub fn each(
        self,
        most: u64,
        ways: Ways,
        file: &mut dyn FnMut() -> io::Result<F>,
        take: &mut dyn FnMut(PartHistory),
    ) -> Result<usize, ReadError> {
        let mut waiting: Vec<(u64, Part<F>)> =
            self.parts.into_iter().rev().map(|part| (ways.salt, part)).collect();
        let mut count = 0;
        while let Some((salt, mut part)) = waiting.pop() {
            if part.bytes > most && part.key.is_none() && salt < ways.salt + AGAIN {
                let parts = usize::try_from(2 * part.bytes / most).unwrap_or(usize::MAX).clamp(2, ways.parts);
                let again = part.apart(Ways { parts, salt: salt + 1, ..ways }, file)?;
                waiting.extend(again.into_iter().rev().map(|part| (salt + 1, part)));
                continue;
            }
            take(part.history(&self.around, most)?);
            count += 1;
        }
        Ok(count)
    }
}

/// The operations of some keys, in a file.
#[derive(Debug)]
pub struct Part<F> {
    file: F,
    /// No two keys are in it.
    pub key: Option<Key>,
    /// How many operations it has.
    pub operations: u32,
    /// About the most memory that its history takes, in bytes.
    pub bytes: u64,
}

/// A part read back.
#[derive(Debug)]
pub struct PartHistory {
    /// The part as a history; positions and times are those of the whole.
    pub history: History,
    /// By place in it: the place in the whole.
    pub places: Vec<u32>,
    /// Whether this is the whole part.
    pub whole: bool,
    /// Its key, if it is one.
    pub key: Option<Key>,
    /// How many operations the whole part has.
    pub operations: u32,
}

/// How lines are handed out.
#[derive(Clone, Copy, Debug)]
pub struct Ways {
    /// Into so many parts at most.
    pub parts: usize,
    /// The buffer of each, in bytes.
    pub buffer: usize,
    /// Another one puts keys together in another way.
    pub salt: u64,
}

/// Takes a text apart. `file` makes a new empty file.
///
/// # Errors
/// As [`read_any`](crate::read_any), but for what only a part's history shows; when a file cannot be made or written; and for the
/// binary form, which is no text and can be mapped.
pub fn apart<F: Store>(
    mut input: impl BufRead,
    (format, keys): (Format, Keys),
    ways: Ways,
    file: &mut dyn FnMut() -> io::Result<F>,
) -> Result<Apart<F>, ReadError> {
    let (format, start) = told(&mut input, format)?;
    let input = (&start[..]).chain(input);
    match format {
        Format::Jsonl => of_ours(input, Hands::new(ways, false, file)),
        Format::Binary => {
            Err(ReadError::Binary { offset: 0, problem: "the binary form is not taken apart".into() })
        }
        _ => of_a_peer(input, (format, keys), Hands::new(ways, true, file)),
    }
}

/// Takes a text of a peer's form apart.
fn of_a_peer<F: Store>(
    input: impl BufRead,
    (format, keys): (Format, Keys),
    hands: Hands<'_, F>,
) -> Result<Apart<F>, ReadError> {
    let mut to = Imported { around: Builder::default(), hands, open: FxHashMap::default(), operations: 0 };
    let cut = match format {
        Format::JepsenEdn => jepsen::hand_on_edn(input, keys, &mut to)?,
        Format::PorcupineKv => jepsen::hand_on_edn(input, Keys::One, &mut to)?,
        Format::JepsenJson => jepsen::hand_on_json(input, keys, &mut to)?,
        Format::JepsenLog => jepsen_log::hand_on(input, keys, &mut to)?,
        Format::Auto => None,
        Format::Jsonl | Format::Binary => unreachable!("they are no peer's"),
    };
    let Imported { around, hands, operations, .. } = to;
    let parts = hands.parts().map_err(|source| ReadError::Io { line: 0, source })?;
    Ok(Apart { parts, around: around.finish(), operations, cut })
}

/// Takes a text of our form apart.
fn of_ours<F: Store>(mut input: impl BufRead, mut hands: Hands<'_, F>) -> Result<Apart<F>, ReadError> {
    let mut around = Builder::default();
    let mut buffer = Vec::new();
    let (mut line, mut operations) = (1, 0);
    let cut = loop {
        buffer.clear();
        let io = |source| ReadError::Io { line, source };
        if input.read_until(b'\n', &mut buffer).map_err(io)? == 0 {
            break None;
        }
        if buffer.last() != Some(&b'\n') {
            break Some(line);
        }
        let wrong = |source| ReadError::Contradiction { line, source };
        let read = Line::of(&buffer, line)?;
        match read.of_process() {
            Some(told) => {
                around.pass(told.time).map_err(wrong)?;
                let place = if told.edge == End::Invoked { operations } else { NONE };
                operations += u32::from(told.edge == End::Invoked);
                if !hands.hand(&told, (place, line), &buffer).map_err(io)? {
                    return Err(retired(&buffer, line, told.process));
                }
            }
            None => {
                let Line::Other(event) = read else { unreachable!("plain lines are about calls") };
                around.push(event).map_err(wrong)?;
            }
        }
        line += 1;
    };
    let parts = hands.parts().map_err(|source| ReadError::Io { line, source })?;
    Ok(Apart { parts, around: around.finish(), operations, cut })
}

/// What a peer recorded, handed out in our form.
struct Imported<'f, F: Store> {
    around: Builder,
    hands: Hands<'f, F>,
    /// What each process has open.
    open: FxHashMap<Process, Call>,
    operations: u32,
}

impl<F: Store> Imported<'_, F> {
    /// Hands an event out; `line` is that of the peer's text.
    fn hand(&mut self, line: usize, told: &OfProcess, event: &Event) -> Result<(), ReadError> {
        let index = self.around.events();
        self.around.pass(told.time).map_err(|source| ReadError::Contradiction { line, source })?;
        let place = if told.edge == End::Invoked { self.operations } else { NONE };
        self.operations += u32::from(told.edge == End::Invoked);
        let mut text = Vec::new();
        let handed = jsonl::write_event(&mut text, index, event)
            .and_then(|()| self.hands.hand(told, (place, index as usize + 1), &text));
        handed.map(drop).map_err(|source| ReadError::Io { line, source })
    }
}

impl<F: Store> Taker for Imported<'_, F> {
    fn open(&mut self, process: Process) -> Option<(CallKind, &Key)> {
        self.open.get(&process).map(|call| (call.kind(), call.key()))
    }

    fn open_call(&mut self, process: Process) -> Option<Call> {
        self.open.get(&process).cloned()
    }

    fn invoke(
        &mut self,
        line: usize,
        time: Time,
        process: Process,
        node: Option<&str>,
        call: Call,
    ) -> Result<(), ReadError> {
        if let Some(open) = self.open.get(&process) {
            let (call, open) = (call.to_string(), open.to_string());
            let source = Contradiction::StillOpen { process, call, open };
            return Err(ReadError::Contradiction { line, source });
        }
        let told = OfProcess { time, process, edge: End::Invoked, key: call.key().clone() };
        self.open.insert(process, call.clone());
        let what = What::Invoke { process, node: node.map(String::from), call };
        self.hand(line, &told, &Event { time, what })
    }

    fn complete(
        &mut self,
        line: usize,
        time: Time,
        process: Process,
        outcome: Outcome,
    ) -> Result<(), ReadError> {
        let Some(call) = self.open.remove(&process) else {
            let source = Contradiction::NeverInvoked { process, call: "a call".into() };
            return Err(ReadError::Contradiction { line, source });
        };
        let edge = if matches!(outcome, Outcome::Info(_)) { End::Lost } else { End::Ended };
        let told = OfProcess { time, process, edge, key: call.key().clone() };
        self.hand(line, &told, &Event { time, what: What::Complete { process, call, outcome } })
    }
}

/// No place: the line is no invocation.
const NONE: u32 = u32::MAX;

/// The contradiction of a line of a process that is retired.
fn retired(text: &[u8], line: usize, process: Process) -> ReadError {
    let call = match line::event(text.strip_suffix(b"\n").unwrap_or(text), line) {
        Ok(event) => match event.what {
            What::Invoke { call, .. } | What::Complete { call, .. } => call.to_string(),
            _ => String::new(),
        },
        Err(error) => return error,
    };
    ReadError::Contradiction { line, source: Contradiction::Retired { process, call } }
}

/// Hands lines out to parts.
struct Hands<'f, F: Store> {
    ways: Ways,
    /// Whether a process may come back after an info, or it is known that none does.
    lenient: bool,
    file: &'f mut dyn FnMut() -> io::Result<F>,
    parts: Vec<Option<Part<BufWriter<F>>>>,
    /// Where the call of each process is that has one open.
    open: FxHashMap<Process, u32>,
    retired: Retired,
}

impl<'f, F: Store> Hands<'f, F> {
    fn new(ways: Ways, lenient: bool, file: &'f mut dyn FnMut() -> io::Result<F>) -> Self {
        let parts = (0..ways.parts.max(1)).map(|_| None).collect();
        Hands { ways, lenient, file, parts, open: FxHashMap::default(), retired: Retired::default() }
    }

    /// Hands a line out; `place` is that of the operation it begins, and beside it stands its number. False if a retired
    /// process comes back.
    fn hand(&mut self, told: &OfProcess, (place, line): (u32, usize), text: &[u8]) -> io::Result<bool> {
        let own = (hash(&told.key, self.ways.salt) % self.parts.len() as u64) as u32;
        // Whatever a process says while a call is open is for the part of that call to judge.
        let at = self.open.get(&told.process).copied().unwrap_or(own);
        match told.edge {
            End::Invoked if self.retired.has(told.process) => return Ok(false),
            End::Invoked => {
                self.open.insert(told.process, at);
            }
            End::Ended => {
                self.open.remove(&told.process);
            }
            End::Lost => {
                if self.open.remove(&told.process).is_some() && !self.lenient {
                    self.retired.put(told.process);
                }
            }
        }
        let slot = &mut self.parts[at as usize];
        let part = match slot {
            Some(part) => part,
            None => slot.insert(Part {
                file: BufWriter::with_capacity(self.ways.buffer, (self.file)()?),
                key: Some(told.key.clone()),
                operations: 0,
                bytes: 0,
            }),
        };
        if part.key.as_ref().is_some_and(|key| *key != told.key) {
            part.key = None;
        }
        part.operations += u32::from(place != NONE);
        part.bytes += bytes(text);
        part.file.write_all(&place.to_le_bytes())?;
        part.file.write_all(&(line as u64).to_le_bytes())?;
        part.file.write_all(text)?;
        Ok(true)
    }

    fn parts(self) -> io::Result<Vec<Part<F>>> {
        let written = self.parts.into_iter().flatten().map(|Part { file, key, operations, bytes }| {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            Ok(Part { file, key, operations, bytes })
        });
        written.collect()
    }
}

/// Processes that will not come back, a bit each: there may be many, with numbers close together.
#[derive(Default)]
struct Retired {
    bits: Vec<u64>,
    /// Those with large numbers.
    others: FxHashMap<Process, ()>,
}

impl Retired {
    /// A bit for each number below this takes no more than 8 MiB.
    const BITS: u32 = 1 << 26;

    fn has(&self, process: Process) -> bool {
        let Process(number) = process;
        let bit = |word: &u64| word >> (number % 64) & 1 == 1;
        self.bits.get(number as usize / 64).is_some_and(bit) || self.others.contains_key(&process)
    }

    fn put(&mut self, process: Process) {
        let Process(number) = process;
        if number >= Retired::BITS {
            self.others.insert(process, ());
            return;
        }
        let word = number as usize / 64;
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= 1 << (number % 64);
    }
}

/// A number that keys have in common by chance alone, for each salt anew.
fn hash(key: &Key, salt: u64) -> u64 {
    let mut hasher = FxHasher::default();
    (salt, key).hash(&mut hasher);
    // The finish of MurmurHash3: every bit of the hash decides.
    let mut bits = hasher.finish();
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        bits = (bits ^ bits >> 33).wrapping_mul(factor);
    }
    bits ^ bits >> 33
}

/// What [`bytes`] says of a plain line.
const LINE: usize = 60;

/// About the most that a line adds to a history in memory: half an operation in columns, half a value with its number while
/// the list of values grows, and what is longer than that, text or the elements of a list.
fn bytes(line: &[u8]) -> u64 {
    const PLAIN: usize = 160;
    /// Between fields, and in texts now and then.
    const COMMAS: usize = 9;
    let commas = line.iter().filter(|byte| **byte == b',').count();
    (LINE + 24 * commas.saturating_sub(COMMAS) + 2 * line.len().saturating_sub(PLAIN)) as u64
}

impl<F: Store> Part<F> {
    /// The same operations in several parts, by a salt that was not used before.
    ///
    /// # Errors
    /// When a file cannot be made, read or written.
    pub fn apart(
        mut self,
        ways: Ways,
        file: &mut dyn FnMut() -> io::Result<F>,
    ) -> Result<Vec<Part<F>>, ReadError> {
        let mut hands = Hands::new(ways, true, file);
        self.each(|place, line, text| {
            let read = Line::of(text, line)?;
            let told = read.of_process().expect("only lines of processes are put into parts");
            hands.hand(&told, (place, line), text).map_err(|source| ReadError::Io { line, source })?;
            Ok(true)
        })?;
        hands.parts().map_err(|source| ReadError::Io { line: 0, source })
    }

    /// Reads it back, as far as memory for about `most` bytes goes; `around` is what the whole has but for operations.
    ///
    /// # Errors
    /// At a line that contradicts an earlier one, and when the file cannot be read.
    pub fn history(&mut self, around: &History, most: u64) -> Result<PartHistory, ReadError> {
        // Who comes back where none may was found when the whole was taken apart.
        let mut builder = Builder::lenient();
        let fit = usize::try_from(most).unwrap_or(usize::MAX) / (2 * LINE);
        let room = fit.min(self.operations as usize);
        builder.reserve(room);
        let (mut places, mut taken) = (Vec::with_capacity(room), 0);
        let whole = self.each(|place, line, text| {
            taken += bytes(text);
            if taken > most {
                return Ok(false);
            }
            if place != NONE {
                places.push(place);
            }
            builder.go_to(line as u32 - 1);
            line::take(&mut builder, text, line)?;
            Ok(true)
        })?;
        let history = around.around(builder.finish().columns);
        Ok(PartHistory { history, places, whole, key: self.key.clone(), operations: self.operations })
    }

    /// Goes through its lines, each with the place of the operation it begins and its number in the text, until `take` says
    /// that it is enough. Whether it never did.
    fn each(
        &mut self,
        mut take: impl FnMut(u32, usize, &[u8]) -> Result<bool, ReadError>,
    ) -> Result<bool, ReadError> {
        let io = |source| ReadError::Io { line: 0, source };
        self.file.rewind().map_err(io)?;
        let mut input = BufReader::with_capacity(1 << 16, &mut self.file);
        let (mut place, mut line, mut text) = ([0; 4], [0; 8], Vec::new());
        while !input.fill_buf().map_err(io)?.is_empty() {
            input.read_exact(&mut place).map_err(io)?;
            input.read_exact(&mut line).map_err(io)?;
            text.clear();
            input.read_until(b'\n', &mut text).map_err(io)?;
            if !take(u32::from_le_bytes(place), u64::from_le_bytes(line) as usize, &text)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
