//! The binary form of a history, `.schism`: its columns as they stand in memory, so that reading is copying and checking.
//!
//! All numbers are little-endian, and every section begins at a multiple of eight bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `schism`, 0, the version (1) |
//! | 4, 4 | how many sections there are; the checksum (CRC-32) of all that follows the header |
//! | 8 each | how long each section is, in bytes |
//! | … | the sections, each filled up with zeros |
//!
//! The sections are the columns in the order of [`crate::Columns`], then its values, keys and texts, then the faults, phases
//! and notes as JSON. A value is a tag and a word: an integer itself, or where its text stands in the section of texts.
//!
//! Nothing in a file is believed: what a [`Builder`](crate::Builder) would refuse is refused here, and so are numbers that
//! stand for nothing, values that stand there twice, and operations of one process that overlap. Found is also every
//! change of a byte that a checksum finds; a file made on purpose can only say what a history may say.

mod check;
mod table;

use std::io::{self, Read, Write};

use bytemuck::{CheckedBitPattern, NoUninit, Pod};
use serde::{Deserialize, Serialize};

use self::table::Table;
use crate::columns::Columns;
use crate::event::{Note, Time};
use crate::history::{FaultWindow, History};
use crate::jsonl::{ReadError, Recorded};

/// What a file of this form begins with; the last byte is the version.
pub const MAGIC: [u8; 8] = *b"schism\0\x01";

/// How many sections there are.
const SECTIONS: usize = 24;

/// So much is read at once: no more memory is taken than a file fills, whatever lengths it says.
const BLOCK: usize = 1 << 22;

/// What is no operation, as JSON.
#[derive(Default, Serialize, Deserialize)]
struct Rest {
    faults: Vec<FaultWindow>,
    phases: Vec<(Time, String)>,
    notes: Vec<(Time, Note)>,
    events: u32,
    end: Time,
}

/// Writes a history.
///
/// # Errors
/// When `out` does.
pub fn write(out: &mut impl Write, history: &History) -> io::Result<()> {
    let columns = history.columns();
    let tables = [Table::of(&columns.values)?, Table::of(&columns.keys)?, Table::of_texts(&columns.texts)];
    let rest = serde_json::to_vec(&Rest {
        faults: history.faults.clone(),
        phases: history.phases.clone(),
        notes: history.notes.clone(),
        events: history.events,
        end: history.end,
    })?;
    let [values, keys, texts] = &tables;
    let sections: [&[u8]; SECTIONS] = [
        bytes(&columns.process),
        bytes(&columns.node),
        bytes(&columns.kind),
        bytes(&columns.status),
        bytes(&columns.key),
        bytes(&columns.argument),
        bytes(&columns.answer),
        bytes(&columns.invoke),
        bytes(&columns.complete),
        bytes(&columns.invoked),
        bytes(&columns.ended),
        bytes(&columns.swaps),
        bytes(&columns.transactions),
        bytes(&columns.steps),
        &values.tags,
        bytes(&values.words),
        &values.heap,
        &keys.tags,
        bytes(&keys.words),
        &keys.heap,
        &texts.tags,
        bytes(&texts.words),
        &texts.heap,
        &rest,
    ];
    let lengths = sections.map(|section| section.len() as u64);
    let mut checksum = crc32fast::Hasher::new();
    let lengths: &[u8] = bytemuck::cast_slice(&lengths);
    checksum.update(lengths);
    for section in sections {
        checksum.update(section);
        checksum.update(padding(section.len()));
    }
    out.write_all(&MAGIC)?;
    out.write_all(&(SECTIONS as u32).to_le_bytes())?;
    out.write_all(&checksum.finalize().to_le_bytes())?;
    out.write_all(lengths)?;
    for section in sections {
        out.write_all(section)?;
        out.write_all(padding(section.len()))?;
    }
    Ok(())
}

/// A column as bytes. Columns are kept as this machine keeps numbers; [`LITTLE`] says that this is how files have them.
fn bytes<T: NoUninit>(column: &[T]) -> &[u8] {
    const { assert!(LITTLE) };
    bytemuck::cast_slice(column)
}

/// Every machine that Schism runs on is little-endian: on another one this module does not compile.
const LITTLE: bool = cfg!(target_endian = "little");

fn padding(length: usize) -> &'static [u8] {
    &[0; 7][..length.wrapping_neg() % 8]
}

/// Reads a history. Linear in its size; each column is read into the place where it stays.
///
/// # Errors
/// When the file is not of this form or version, is cut off, was changed since it was written, or says what no history can
/// say; with the byte where that was noticed.
pub fn read(input: impl Read) -> Result<Recorded, ReadError> {
    let mut sections = Sections { input, at: 0, checksum: crc32fast::Hasher::new(), lengths: Vec::new() };
    let header: [u8; 16] = sections.exact()?;
    if header[..7] != MAGIC[..7] {
        return Err(sections.wrong("this is no binary history"));
    }
    if header[7] != MAGIC[7] {
        let problem = format!("version {} of the binary form; version {} is understood", header[7], MAGIC[7]);
        return Err(sections.wrong(problem));
    }
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if word(8) as usize != SECTIONS {
        return Err(sections.wrong(format!("{} sections, where {SECTIONS} are due", word(8))));
    }
    sections.checksum = crc32fast::Hasher::new();
    let mut lengths = [0u64; SECTIONS];
    sections.fill(bytemuck::cast_slice_mut(&mut lengths))?;
    sections.lengths = lengths.into_iter().rev().collect();
    let mut columns = Columns {
        process: sections.numbers()?,
        node: sections.numbers()?,
        kind: sections.words()?,
        status: sections.words()?,
        key: sections.numbers()?,
        argument: sections.numbers()?,
        answer: sections.numbers()?,
        invoke: sections.numbers()?,
        complete: sections.numbers()?,
        invoked: sections.numbers()?,
        ended: sections.numbers()?,
        swaps: sections.numbers()?,
        transactions: sections.numbers()?,
        steps: sections.numbers()?,
        ..Columns::default()
    };
    let mut table = || {
        let (tags, words) = (sections.numbers()?, sections.numbers()?);
        Ok::<Table, ReadError>(Table { tags, words, heap: sections.numbers()? })
    };
    let (values, keys, texts): (Table, Table, Table) = (table()?, table()?, table()?);
    let rest: Vec<u8> = sections.numbers()?;
    let end = sections.end(word(12))?;
    let wrong = |problem: String| ReadError::Binary { offset: end, problem };
    columns.values = values.values().map_err(wrong)?;
    columns.keys = keys.values().map_err(wrong)?;
    columns.texts = texts.texts().map_err(wrong)?;
    let rest: Rest = serde_json::from_slice(&rest)
        .map_err(|error| wrong(format!("faults, phases and notes are garbled: {error}")))?;
    check::check(&columns, &rest).map_err(wrong)?;
    let mut history = History::new(columns);
    (history.faults, history.phases, history.notes) = (rest.faults, rest.phases, rest.notes);
    (history.events, history.end) = (rest.events, rest.end);
    Ok(Recorded { history, cut: None })
}

/// Reads one section after the other.
struct Sections<R> {
    input: R,
    at: u64,
    checksum: crc32fast::Hasher,
    /// How long the sections to come are, the next one last.
    lengths: Vec<u64>,
}

impl<R: Read> Sections<R> {
    fn wrong(&self, problem: impl Into<String>) -> ReadError {
        ReadError::Binary { offset: self.at, problem: problem.into() }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.wrong("the file is cut off"),
            _ => self.wrong(error.to_string()),
        })?;
        self.at += bytes.len() as u64;
        self.checksum.update(bytes);
        Ok(())
    }

    fn exact<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next section, as numbers.
    fn numbers<T: Pod>(&mut self) -> Result<Vec<T>, ReadError> {
        let length = self.lengths.pop().unwrap_or(0);
        let size = size_of::<T>() as u64;
        if !length.is_multiple_of(size) {
            return Err(self.wrong(format!("a section of {length} bytes, where each entry takes {size}")));
        }
        let mut left =
            usize::try_from(length / size).map_err(|_| self.wrong("a section larger than memory"))?;
        let mut column: Vec<T> = Vec::new();
        while left > 0 {
            let more = left.min(BLOCK / size_of::<T>());
            let from = column.len();
            column.resize(from + more, T::zeroed());
            self.fill(bytemuck::cast_slice_mut(&mut column[from..]))?;
            left -= more;
        }
        let mut filler = [0; 7];
        let filler = &mut filler[..padding(length as usize).len()];
        self.fill(filler)?;
        match filler.iter().all(|byte| *byte == 0) {
            true => Ok(column),
            false => Err(self.wrong("a section is not filled up with zeros")),
        }
    }

    /// The next section, as words of a closed list.
    fn words<T: CheckedBitPattern + NoUninit>(&mut self) -> Result<Vec<T>, ReadError> {
        let bytes: Vec<u8> = self.numbers()?;
        match bytemuck::checked::try_cast_slice(&bytes) {
            Ok(words) => Ok(words.to_vec()),
            Err(_) => Err(self.wrong("a kind or status that there is not")),
        }
    }

    /// Where the file ends, if it does so here and is what was written.
    fn end(mut self, checksum: u32) -> Result<u64, ReadError> {
        let mut more = [0];
        match self.input.read(&mut more) {
            Ok(0) => {}
            Ok(_) => return Err(self.wrong("something follows the end of the history")),
            Err(error) => return Err(self.wrong(error.to_string())),
        }
        match std::mem::take(&mut self.checksum).finalize() == checksum {
            true => Ok(self.at),
            false => Err(self.wrong("the checksum is wrong: the file was changed since it was written")),
        }
    }
}

#[cfg(test)]
mod tests;
