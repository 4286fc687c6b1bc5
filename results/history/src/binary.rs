//! The binary form of a history, `.schism`: its columns as they stand in memory, so that reading is checking: they are used
//! where they lie, in a mapped file as well.
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
mod quick;
mod table;

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use bytemuck::{CheckedBitPattern, NoUninit, Pod};
use serde::{Deserialize, Serialize};

use self::table::Table;
use crate::column::{Column, Shared};
use crate::columns::Columns;
use crate::event::{Note, Time};
use crate::history::{FaultWindow, History};
use crate::jsonl::{ReadError, Recorded};

/// What a file of this form begins with; the last byte is the version.
pub const MAGIC: [u8; 8] = *b"schism\0\x01";

/// How many sections there are.
const SECTIONS: usize = 24;

/// What the checksum does not cover.
const HEADER: usize = 16;

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

/// Reads a history to its end, and keeps the bytes of the file as long as the history: its columns lie in them.
///
/// # Errors
/// As [`from_shared`], and when the input does.
pub fn read(mut input: impl Read) -> Result<Recorded, ReadError> {
    let mut file = Vec::new();
    input
        .read_to_end(&mut file)
        .map_err(|error| ReadError::Binary { offset: file.len() as u64, problem: error.to_string() })?;
    from_shared(Arc::new(file))
}

/// Reads a history that lies in memory. Takes as much memory again; [`from_shared`] does not.
///
/// # Errors
/// As [`from_shared`].
pub fn from_bytes(file: &[u8]) -> Result<Recorded, ReadError> {
    from_shared(Arc::new(file.to_vec()))
}

/// Reads a history that lies in memory, as a mapped file does. Linear in its size: what was written is summed up and looked
/// through where it lies, and stays there. Only kinds and states are copied, two bytes an operation, and values that are not
/// all integers.
///
/// If the bytes change afterwards, as those of a mapped file may, the history is not what was looked through any more.
/// Nothing unsafe comes of that, but anything else may: whoever concludes something asks [`History::is_as_it_was_read`]
/// after it, and before telling.
///
/// # Errors
/// When the file is not of this form or version, is cut off, was changed since it was written, or says what no history can
/// say; with the byte where that was noticed.
pub fn from_shared(file: Shared) -> Result<Recorded, ReadError> {
    let mut sections = Sections { file: &file, at: 0, lengths: Vec::new() };
    let header: [u8; 16] = sections.array()?;
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
    let lengths = sections.take(8 * SECTIONS as u64)?;
    for length in sections.bytes()[lengths].chunks_exact(8).rev() {
        sections.lengths.push(length.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    }
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
    let mut table = || Ok::<_, ReadError>((sections.section()?, sections.numbers()?, sections.section()?));
    let (values, keys, texts) = (table()?, table()?, table()?);
    let rest = sections.section()?;
    let end = sections.end(word(12))?;
    let wrong = |problem: String| ReadError::Binary { offset: end, problem };
    let bytes = sections.bytes();
    let table = |(tags, words, heap): &(Range<usize>, Column<u64>, Range<usize>)| Table {
        tags: bytes[tags.clone()].into(),
        words: words.clone(),
        heap: bytes[heap.clone()].into(),
    };
    columns.values = table(&values).list().map_err(wrong)?;
    columns.keys = table(&keys).list().map_err(wrong)?;
    columns.texts = table(&texts).texts().map_err(wrong)?;
    let rest: Rest = serde_json::from_slice(&bytes[rest])
        .map_err(|error| wrong(format!("faults, phases and notes are garbled: {error}")))?;
    check::check(&columns, &rest).map_err(wrong)?;
    let mut history = History::new(columns);
    (history.faults, history.phases, history.notes) = (rest.faults, rest.phases, rest.notes);
    (history.events, history.end) = (rest.events, rest.end);
    history.lies_in(file, word(12));
    Ok(Recorded { history, cut: None })
}

/// Whether the bytes of a file are still those that its checksum was made of.
pub(crate) fn is_as_it_was(file: &Shared, checksum: u32) -> bool {
    (**file).as_ref().get(HEADER..).is_some_and(|bytes| crc32fast::hash(bytes) == checksum)
}

/// Goes from one section to the next.
struct Sections<'a> {
    file: &'a Shared,
    at: usize,
    /// How long the sections to come are, the next one last.
    lengths: Vec<u64>,
}

impl<'a> Sections<'a> {
    fn bytes(&self) -> &'a [u8] {
        (**self.file).as_ref()
    }

    fn wrong(&self, problem: impl Into<String>) -> ReadError {
        ReadError::Binary { offset: self.at as u64, problem: problem.into() }
    }

    fn take(&mut self, length: u64) -> Result<Range<usize>, ReadError> {
        let whole = self.bytes().len();
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        match end.filter(|end| *end <= whole) {
            Some(end) => Ok(std::mem::replace(&mut self.at, end)..end),
            None => {
                self.at = whole;
                Err(self.wrong("the file is cut off"))
            }
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes()[self.take(N as u64)?]);
        Ok(array)
    }

    /// Where the next section lies.
    fn section(&mut self) -> Result<Range<usize>, ReadError> {
        let length = self.lengths.pop().unwrap_or(0);
        let section = self.take(length)?;
        let filler = self.take(padding(section.len()).len() as u64)?;
        match self.bytes()[filler].iter().all(|byte| *byte == 0) {
            true => Ok(section),
            false => Err(self.wrong("a section is not filled up with zeros")),
        }
    }

    /// The next section as a column of numbers, where they lie.
    fn numbers<T: Pod>(&mut self) -> Result<Column<T>, ReadError> {
        let section = self.section()?;
        let size = size_of::<T>();
        if !section.len().is_multiple_of(size) {
            let problem = format!("a section of {} bytes, where each entry takes {size}", section.len());
            return Err(self.wrong(problem));
        }
        Ok(Column::at(self.file, section))
    }

    /// The next section as words of a closed list: copied, since one that changed afterwards would be none of them.
    fn words<T: CheckedBitPattern + NoUninit>(&mut self) -> Result<Vec<T>, ReadError> {
        let section = self.section()?;
        let copied = self.bytes()[section].to_vec();
        match bytemuck::checked::try_cast_slice(&copied) {
            Ok(words) => Ok(words.to_vec()),
            Err(_) => Err(self.wrong("a kind or status that there is not")),
        }
    }

    /// Where the file ends, if it does so here and is what was written.
    fn end(&self, checksum: u32) -> Result<u64, ReadError> {
        if self.at < self.bytes().len() {
            return Err(self.wrong("something follows the end of the history"));
        }
        match is_as_it_was(self.file, checksum) {
            true => Ok(self.at as u64),
            false => Err(self.wrong("the checksum is wrong: the file was changed since it was written")),
        }
    }
}

#[cfg(test)]
mod tests;
