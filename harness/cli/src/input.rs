//! Recorded histories as files: the binary form is mapped into memory, all others are read on.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use schism_history::format::{Format, read_any};
use schism_history::{Keys, ReadError, Recorded, binary};

use crate::failure::Failure;

/// How much is read at once.
const CHUNK: usize = 1 << 18;

/// Reads a history. `lost` says what was not done because of an error.
///
/// # Errors
/// When the file cannot be read or is no history, with the line or the byte.
pub fn recorded(path: &Path, format: Format, keys: Keys, lost: &str) -> Result<Recorded, Failure> {
    let mut file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    let read = match mapped(&mut file, format) {
        Some(map) => binary::from_bytes(&map),
        None => read_any(BufReader::with_capacity(CHUNK, file), format, keys),
    };
    read.map_err(|error: ReadError| Failure::harness(format!("{}: {error}", path.display()), lost))
}

/// A file of the binary form, mapped. None if it is of another one, or cannot be mapped, as a pipe cannot.
fn mapped(file: &mut File, format: Format) -> Option<memmap2::Mmap> {
    if !matches!(format, Format::Auto | Format::Binary) || !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut start = [0; binary::MAGIC.len()];
    let begun = file.read_exact(&mut start);
    file.rewind().ok()?;
    if begun.is_err() || start[..7] != binary::MAGIC[..7] {
        return None;
    }
    // SAFETY: the map is private and only read. Its columns are copied out before they are looked through, so that a file that
    // another program changes meanwhile can only be refused or read as something that a history may say; recorded histories are
    // written once and not cut short afterwards.
    unsafe { memmap2::Mmap::map(&*file) }.ok()
}
