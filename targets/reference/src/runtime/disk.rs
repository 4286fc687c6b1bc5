//! A node's data directory: what a protocol asked to be durable, and nothing else.
//!
//! One file holds all: `log-N` begins with the snapshot (if there is one) and goes on with the records after it. A new
//! snapshot makes `log-N+1` beside it, complete and fsynced, and renames it into place: one step, however it is
//! interrupted. A turn's records are one frame, written and fsynced before the next one begins:
//!
//! ```text
//!   "schism log 1\n"  frame 0 (snapshot)  frame 1 (records)  frame 2 (records)  …
//!   frame: length u32 | crc32 u32 | number u64 | payload (JSON)        little-endian; the crc covers all but itself
//! ```
//!
//! It finds: a torn tail, which is cut off (nothing in it was ever acknowledged, since no fsync had returned); any
//! other garbled, missing or doubled frame, which stops the node. It cannot tell a bit that rotted in the very last
//! frame from a torn write of it: that frame is cut off too, although it may have been acknowledged.
//!
//! What is read at a start is written again as a whole, and fsynced, before anybody relies on it: the process before may have
//! died between a write and its fsync, and after an fsync that failed the kernel goes on showing what it has given up.
//!
//! A failed write or fsync is never tried again: after a failed fsync nobody knows what is on the disk, and a second
//! one may claim success (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::protocol::{Bug, DiskWrite, NodeId};

/// Planted here: what is read back is not checked.
pub const NO_CHECKSUM: Bug = Bug {
    name: "no-checksum",
    about: "believes its log without a checksum: garbled records are taken for good or skipped in silence",
};

/// The bugs planted in the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    /// [`crate::protocol::ACK_BEFORE_FSYNC`]: frames are written, and fsynced only after [`LATE_AFTER`] or [`LATE_BYTES`].
    pub ack_before_fsync: bool,
    /// [`NO_CHECKSUM`].
    pub no_checksum: bool,
}

/// How long a frame may be without its fsync when `ack-before-fsync` is planted.
pub const LATE_AFTER: Duration = Duration::from_secs(1);
/// How many bytes may be without their fsync when `ack-before-fsync` is planted.
pub const LATE_BYTES: usize = 4 << 20;

/// The largest payload. JSON has no byte below 0x20, so no part of a payload can be read as a frame's length.
const MAX_PAYLOAD: usize = 256 << 20;
const MAGIC: &[u8] = b"schism log 1\n";
const HEADER: usize = 16;
const FRESH: &str = "fresh.tmp";

/// Why the data directory cannot be used.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The kernel refused: no permission, disk full, I/O error.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("data directory {} is in use by process {holder}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, as it wrote itself into the lock file.
        holder: String,
    },
    /// What is there was whole once and is not now.
    #[error("{} is corrupt at byte {offset}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the frame begins that is wrong.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A value that has no text form: a mistake in the protocol.
    #[error("a record cannot be written as JSON: {0}")]
    Unwritable(#[from] serde_json::Error),
}

/// What was found in the data directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<R, S> {
    /// The latest snapshot.
    pub snapshot: Option<S>,
    /// The whole records after it.
    pub records: Vec<R>,
    /// The torn tail that was cut off, if there was one.
    pub cut: Option<Cut>,
}

/// A torn tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// In which file.
    pub path: PathBuf,
    /// Where it began: the new length of the file.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
}

/// Frame 0: whose log it is, and what it begins with. Records that came in one turn with a snapshot are in one frame
/// with it, so that the snapshot never stands there without them.
#[derive(Serialize, Deserialize)]
struct Base<R, S> {
    node: NodeId,
    snapshot: Option<S>,
    records: Vec<R>,
}

/// The steps by which a new log takes the place of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Written,
    Synced,
    Renamed,
    DirectorySynced,
    OldRemoved,
}

/// An open data directory. No other process can open it until this value is dropped.
pub struct Disk<R, S> {
    directory: PathBuf,
    node: NodeId,
    flaws: Flaws,
    path: PathBuf,
    file: File,
    generation: u64,
    /// The number of the next frame.
    next: u64,
    /// How many bytes `ack-before-fsync` has written without an fsync, and since when.
    late: usize,
    late_since: Option<Instant>,
    #[cfg(test)]
    stop_after: Option<Step>,
    _lock: File,
    _content: PhantomData<fn() -> (R, S)>,
}

impl<R: Serialize + DeserializeOwned, S: Serialize + DeserializeOwned> Disk<R, S> {
    /// Opens the data directory of `node`, makes it if it is not there, and reads what is in it. Reads the whole log
    /// into memory once.
    ///
    /// # Errors
    /// When another process has it open, when it cannot be read or written, when it is another node's, or when
    /// anything but its tail is garbled.
    pub fn open(directory: &Path, node: NodeId, flaws: Flaws) -> Result<(Self, Found<R, S>), DiskError> {
        fs::create_dir_all(directory).map_err(io_error("create", directory))?;
        let lock = lock(directory)?;
        let generations = generations(directory)?;
        let Some((&generation, older)) = generations.split_last() else {
            let base = Base::<R, S> { node, snapshot: None, records: Vec::new() };
            let (path, file) = begin(directory, 1, &base, |_| Ok(()))?;
            // The directory's own entry must outlive a crash as well.
            if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                sync_directory(parent)?;
            }
            let disk = Disk::assemble(directory, node, flaws, path, file, 1, 1, lock);
            return Ok((disk, Found { snapshot: None, records: Vec::new(), cut: None }));
        };
        let path = log_path(directory, generation);
        let bytes = fs::read(&path).map_err(io_error("read", &path))?;
        let read = read_log(&path, &bytes, node, flaws.no_checksum)?;
        let mut found = Found { snapshot: read.snapshot, records: read.records, cut: None };
        if read.end < bytes.len() {
            let (offset, length) = (read.end as u64, bytes.len() as u64);
            found.cut = Some(Cut { path: path.clone(), offset, bytes: length - offset });
        }
        let (path, file) = put(directory, generation, &bytes[..read.end], |_| Ok(()))?;
        for &old in older {
            let old = log_path(directory, old);
            fs::remove_file(&old).map_err(io_error("remove", &old))?;
        }
        Ok((Disk::assemble(directory, node, flaws, path, file, generation, read.next, lock), found))
    }

    #[expect(clippy::too_many_arguments, reason = "the fields, from the two ways to open a directory")]
    fn assemble(
        directory: &Path,
        node: NodeId,
        flaws: Flaws,
        path: PathBuf,
        file: File,
        generation: u64,
        next: u64,
        lock: File,
    ) -> Self {
        Disk {
            directory: directory.into(),
            node,
            flaws,
            path,
            file,
            generation,
            next,
            late: 0,
            late_since: None,
            #[cfg(test)]
            stop_after: None,
            _lock: lock,
            _content: PhantomData,
        }
    }

    /// Makes a turn's writes durable, in their order and all at once: after a crash either all of them are there or
    /// none. One fsync, whatever their number; none if there are none.
    ///
    /// # Errors
    /// When the kernel refuses. The node has to stop then: what is on the disk is unknown.
    pub fn commit(&mut self, writes: Vec<DiskWrite<R, S>>) -> Result<(), DiskError> {
        let mut snapshot = None;
        let mut records = Vec::with_capacity(writes.len());
        for write in writes {
            match write {
                DiskWrite::Append(record) => records.push(record),
                DiskWrite::Snapshot(it) => {
                    records.clear();
                    snapshot = Some(it);
                }
            }
        }
        if snapshot.is_some() {
            self.replace(Base { node: self.node, snapshot, records })?;
        } else if !records.is_empty() {
            let frame = frame(self.next, &serde_json::to_vec(&records)?)?;
            self.next += 1;
            self.file.write_all(&frame).map_err(io_error("append to", &self.path))?;
            if self.flaws.ack_before_fsync {
                self.late += frame.len();
                self.late_since.get_or_insert_with(Instant::now);
            } else {
                self.sync()?;
            }
        }
        let due = self.late_since.is_some_and(|since| since.elapsed() >= LATE_AFTER);
        if due || self.late >= LATE_BYTES { self.close() } else { Ok(()) }
    }

    /// Makes durable what `ack-before-fsync` has left to the kernel; nothing otherwise. For a clean exit.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn close(&mut self) -> Result<(), DiskError> {
        self.late_since = None;
        if std::mem::take(&mut self.late) == 0 { Ok(()) } else { self.sync() }
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(io_error("fsync", &self.path))
    }

    /// A new log that begins with `base` takes the place of the old one.
    fn replace(&mut self, base: Base<R, S>) -> Result<(), DiskError> {
        let generation = self.generation + 1;
        let (path, file) = begin(&self.directory, generation, &base, |step| self.reached(step))?;
        let old = std::mem::replace(&mut self.path, path);
        self.file = file;
        self.generation = generation;
        self.next = 1;
        self.late = 0;
        self.late_since = None;
        fs::remove_file(&old).map_err(io_error("remove", &old))?;
        self.reached(Step::OldRemoved)
    }

    #[cfg(test)]
    fn reached(&self, step: Step) -> Result<(), DiskError> {
        if self.stop_after == Some(step) {
            return Err(io_error("go on with", &self.path)(io::Error::other("stopped by the test")));
        }
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests stop here")]
    fn reached(&self, _: Step) -> Result<(), DiskError> {
        Ok(())
    }
}

/// Makes a new log that begins with `base`.
fn begin<R: Serialize, S: Serialize>(
    directory: &Path,
    generation: u64,
    base: &Base<R, S>,
    reached: impl Fn(Step) -> Result<(), DiskError>,
) -> Result<(PathBuf, File), DiskError> {
    let mut content = MAGIC.to_vec();
    content.extend(frame(0, &serde_json::to_vec(base)?)?);
    put(directory, generation, &content, reached)
}

/// Makes a log of this content, complete and fsynced, and renames it into place, over one that may be there.
fn put(
    directory: &Path,
    generation: u64,
    content: &[u8],
    reached: impl Fn(Step) -> Result<(), DiskError>,
) -> Result<(PathBuf, File), DiskError> {
    let fresh = directory.join(FRESH);
    let path = log_path(directory, generation);
    let mut file = File::create(&fresh).map_err(io_error("create", &fresh))?;
    file.write_all(content).map_err(io_error("write", &fresh))?;
    reached(Step::Written)?;
    file.sync_all().map_err(io_error("fsync", &fresh))?;
    reached(Step::Synced)?;
    fs::rename(&fresh, &path).map_err(io_error("rename", &fresh))?;
    reached(Step::Renamed)?;
    sync_directory(directory)?;
    reached(Step::DirectorySynced)?;
    Ok((path, file))
}

/// Takes the directory for this process, for as long as the file is open.
fn lock(directory: &Path) -> Result<File, DiskError> {
    let path = directory.join("lock");
    let mut options = OpenOptions::new();
    let mut lock = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {
            // Only for people: the lock itself is the kernel's.
            let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
            Ok(lock)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = lock.read_to_string(&mut holder);
            Err(DiskError::InUse { path: directory.into(), holder })
        }
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error)),
    }
}

/// The generations of logs in the directory, ascending. Removes what an interrupted snapshot left.
fn generations(directory: &Path) -> Result<Vec<u64>, DiskError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(io_error("list", directory))? {
        let entry = entry.map_err(io_error("list", directory))?;
        let name = entry.file_name();
        if name == FRESH {
            fs::remove_file(entry.path()).map_err(io_error("remove", &entry.path()))?;
        }
        let generation =
            name.to_str().and_then(|name| name.strip_prefix("log-")).and_then(|n| n.parse::<u64>().ok());
        found.extend(generation);
    }
    found.sort_unstable();
    Ok(found)
}

fn log_path(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("log-{generation:010}"))
}

fn sync_directory(directory: &Path) -> Result<(), DiskError> {
    File::open(directory).and_then(|it| it.sync_all()).map_err(io_error("fsync", directory))
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| DiskError::Io { what, path, source }
}

fn frame(number: u64, payload: &[u8]) -> Result<Vec<u8>, DiskError> {
    if payload.len() > MAX_PAYLOAD {
        let text = format!("a frame of {} bytes is over the {MAX_PAYLOAD} allowed", payload.len());
        return Err(DiskError::Unwritable(serde::ser::Error::custom(text)));
    }
    let length = u32::try_from(payload.len()).expect("below the cap");
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend(length.to_le_bytes());
    frame.extend(checksum(length, number, payload).to_le_bytes());
    frame.extend(number.to_le_bytes());
    frame.extend(payload);
    Ok(frame)
}

fn checksum(length: u32, number: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// A frame as it stands in the file.
struct Frame<'a> {
    number: u64,
    payload: &'a [u8],
    whole: bool,
}

/// The frame that begins at `at`; `None` if the file ends before it does.
fn frame_at(bytes: &[u8], at: usize) -> Option<Frame<'_>> {
    let header = bytes.get(at..at + HEADER)?;
    let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes"));
    let crc = u32::from_le_bytes(header[4..8].try_into().expect("four bytes"));
    let number = u64::from_le_bytes(header[8..].try_into().expect("eight bytes"));
    let size = usize::try_from(length).ok().filter(|&size| size <= MAX_PAYLOAD)?;
    let payload = bytes.get(at + HEADER..at + HEADER + size)?;
    Some(Frame { number, payload, whole: checksum(length, number, payload) == crc })
}

/// What a log file holds.
struct Log<R, S> {
    snapshot: Option<S>,
    records: Vec<R>,
    /// The number of the next frame.
    next: u64,
    /// Where the last whole frame ends.
    end: usize,
}

/// Reads a log. Linear in its size, unless its tail is torn: then every byte of the tail is tried as a frame's start.
fn read_log<R: DeserializeOwned, S: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    node: NodeId,
    blind: bool,
) -> Result<Log<R, S>, DiskError> {
    let corrupt =
        |offset: usize, what: String| DiskError::Corrupt { path: path.into(), offset: offset as u64, what };
    if !bytes.starts_with(MAGIC) {
        return Err(corrupt(0, "it does not begin like a log of this version".into()));
    }
    let mut at = MAGIC.len();
    let first = frame_at(bytes, at).filter(|frame| frame.whole || blind);
    let first = first.ok_or_else(|| corrupt(at, "the frame with the snapshot is garbled".into()))?;
    let base: Base<R, S> = match serde_json::from_slice(first.payload) {
        // The planted bug: what cannot be read is skipped.
        Err(_) if blind => Base { node, snapshot: None, records: Vec::new() },
        read => read.map_err(|error| corrupt(at, error.to_string()))?,
    };
    if base.node != node {
        return Err(corrupt(at, format!("it is the log of {}, not of {node}", base.node)));
    }
    at += HEADER + first.payload.len();
    let mut log = Log { snapshot: base.snapshot, records: base.records, next: 1, end: at };
    while log.end < bytes.len() {
        let at = log.end;
        match frame_at(bytes, at).filter(|frame| frame.whole || blind) {
            Some(frame) if blind => {
                // The planted bug again: what can be read is believed.
                log.records.extend(serde_json::from_slice::<Vec<R>>(frame.payload).unwrap_or_default());
                log.end += HEADER + frame.payload.len();
            }
            Some(frame) if frame.number != log.next => {
                return Err(corrupt(at, format!("frame {} stands where {} is due", frame.number, log.next)));
            }
            Some(frame) => {
                let records: Vec<R> =
                    serde_json::from_slice(frame.payload).map_err(|error| corrupt(at, error.to_string()))?;
                log.records.extend(records);
                log.end += HEADER + frame.payload.len();
            }
            None => {
                // A frame is only begun after the fsync of the one before. A whole one after a garbled one means that
                // the garbled one had been whole, and perhaps acknowledged.
                let whole = |start: &usize| frame_at(bytes, *start).is_some_and(|frame| frame.whole);
                return match (at + 1..bytes.len()).find(whole).filter(|_| !blind) {
                    Some(good) => {
                        Err(corrupt(at, format!("a garbled frame, and a whole one after it at byte {good}")))
                    }
                    None => Ok(log),
                };
            }
        }
        log.next += 1;
    }
    Ok(log)
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
