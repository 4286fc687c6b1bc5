//! Recorded histories as files: the binary form is mapped into memory, all others are read on.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use schism_history::format::{Format, read_any};
use schism_history::{History, Keys, ReadError, Recorded, binary};

use crate::failure::Failure;

/// How much is read at once.
const CHUNK: usize = 1 << 18;

/// Files up to this size are copied, not mapped: that takes no time, and nobody can change them under us.
const SMALL: u64 = 1 << 20;

/// Reads a history. `lost` says what was not done because of an error. Whoever concludes something from it asks
/// [`as_it_was_read`] before telling.
///
/// # Errors
/// When the file cannot be read or is no history, with the line or the byte.
pub fn recorded(path: &Path, format: Format, keys: Keys, lost: &str) -> Result<Recorded, Failure> {
    let mut file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    let read = match mapped(&mut file, format) {
        Some(map) => binary::from_shared(Arc::new(map)),
        None => read_any(BufReader::with_capacity(CHUNK, file), format, keys),
    };
    read.map_err(|error: ReadError| Failure::harness(format!("{}: {error}", path.display()), lost))
}

/// Whether what was concluded from a history holds: not if its file was written to meanwhile.
///
/// # Errors
/// When it was.
pub fn as_it_was_read(path: &Path, history: &History, lost: &str) -> Result<(), Failure> {
    match history.is_as_it_was_read() {
        true => Ok(()),
        false => {
            let problem = format!("{}: the file was changed while it was in use", path.display());
            Err(Failure::harness(problem, lost))
        }
    }
}

/// A large file of the binary form, mapped. None if it is of another one, or cannot be mapped, as a pipe cannot.
fn mapped(file: &mut File, format: Format) -> Option<memmap2::Mmap> {
    let about = file.metadata().ok()?;
    if !matches!(format, Format::Auto | Format::Binary) || !about.is_file() || about.len() <= SMALL {
        return None;
    }
    let mut start = [0; binary::MAGIC.len()];
    let begun = file.read_exact(&mut start);
    file.rewind().ok()?;
    if begun.is_err() || start[..7] != binary::MAGIC[..7] {
        return None;
    }
    // SAFETY: the map is private and only read. The numbers in it may be any, and those that stand for words of a closed list
    // are copied, so that a file that another program writes to meanwhile can only make a judge panic or err, and that is
    // noticed before anything is told ([`as_it_was_read`]). One that is cut short meanwhile ends the command by SIGBUS, without
    // a verdict: recorded histories are written once.
    unsafe { memmap2::Mmap::map(&*file) }.ok()
}
