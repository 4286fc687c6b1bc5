//! The payload as a library, for where processes cannot be patched: their loader puts it before the C library (`LD_PRELOAD`,
//! ld.so(8)), so that what a program calls to know the time of day is found there.
//!
//! The library is made here, byte by byte: an ELF file (System V ABI, chapters 4 and 5) around the same page of parameters and code
//! that a patched process gets. Everybody maps the one file of his node, and sees at once what is written to it. A page for data is
//! behind it, which its first function makes everybody's: what was told last is read there.
//!
//! What it cannot reach besides what a patch cannot: static programs, Go, what the C library asks itself (a wait until a moment), who
//! runs already, and who takes the library out of his environment. A program that does not have it is refused another clock.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::page::{
    APART, BLOCK_BYTES, BLOCKS, BLOCKS_AT, Block, EXPIRES_AT, PAGE_BYTES, PATH_AT, PATH_BYTES, WHICH_AT,
    expires, fresh,
};
use super::{Reading, arch, labels, now_ns};
use crate::backend::kernel::processes;

/// Where the parts of the file are, each on pages of its own: what the loader reads, the payload, its data, and what the loader writes.
const HEADERS_AT: usize = 0;
const PAYLOAD_AT: usize = APART;
const DATA_AT: usize = PAYLOAD_AT + APART;
const DYNAMIC_AT: usize = DATA_AT + APART;

/// How long a program may take to load its libraries, and how often it is looked.
const LOADS: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(2);

/// A node's library.
pub(super) struct Library {
    file: File,
    path: PathBuf,
    which: u64,
}

impl Library {
    /// Makes it, as a file that everybody may read, write and execute.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        file.set_permissions(Permissions::from_mode(0o777))?;
        file.write_all_at(&image(path.as_os_str().as_bytes()), 0)?;
        Ok(Library { file, path: path.to_owned(), which: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a process has it. Who has just become another program is given the time to load it.
    ///
    /// # Errors
    /// When it cannot be seen, or is not so.
    pub(super) fn is_in(&self, pid: i32) -> io::Result<()> {
        let (path, begun) = (self.path.to_string_lossy(), Instant::now());
        while begun.elapsed() < LOADS {
            let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
            if maps.lines().any(|line| line.ends_with(&*path)) || processes::is_dead(pid) {
                return Ok(());
            }
            std::thread::sleep(GLANCE);
        }
        Err(io::Error::other(
            "it has not loaded the library for that: it is a static program, or has dropped LD_PRELOAD; where its vDSO can be \
             patched (see `schism doctor`), any program's clock can be changed",
        ))
    }

    /// From now on everybody is told this, until the lease ends.
    pub(super) fn choose(&mut self, block: &Block) -> io::Result<()> {
        self.which = (self.which + 1) % BLOCKS;
        let at = BLOCKS_AT as u64 + self.which * BLOCK_BYTES as u64;
        self.write(at, &block.bytes())?;
        self.write(WHICH_AT as u64, &self.which.to_le_bytes())?;
        self.renew()
    }

    /// Prolongs the lease.
    pub(super) fn renew(&self) -> io::Result<()> {
        self.write(EXPIRES_AT as u64, &expires(now_ns()).to_le_bytes())
    }

    /// From now on everybody is told the true time.
    pub(super) fn end(&self) -> io::Result<()> {
        self.write(EXPIRES_AT as u64, &0u64.to_le_bytes())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, PAYLOAD_AT as u64 + at)
    }

    /// What somebody was told last, and when; nothing if nobody has asked yet.
    pub(super) fn told(&self) -> io::Result<Option<Reading>> {
        let mut words = [0; 16];
        self.file.read_exact_at(&mut words, DATA_AT as u64)?;
        let [host_ns, told_ns] =
            [0, 8].map(|at| u64::from_le_bytes(words[at..at + 8].try_into().expect("eight bytes")));
        let ahead_ns = told_ns.wrapping_sub(host_ns) as i64;
        Ok((host_ns != 0).then_some(Reading { host_ns, ahead_ns }))
    }
}

/// What a program of ours does that is there to show that a library works: it says the time of day, in nanoseconds since 1970.
pub fn tell() {
    println!("{}", now_ns());
}

/// Has a program of ours, which does [`tell`] by these words, load a library that makes it an hour late: whether that can be done here.
///
/// # Errors
/// Why not.
pub fn attempt_library(words: [&str; 2]) -> io::Result<()> {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let folder = std::env::temp_dir().join(format!("schism-clock-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let tried = (|| {
        let mut library = Library::create(&folder.join("clock.so"))?;
        library.choose(&Block { jump_ns: -HOUR_NS, ..Block::default() })?;
        let mut program = Command::new("/proc/self/exe");
        program.args(words).env("LD_PRELOAD", library.path()).stdin(Stdio::null()).stderr(Stdio::null());
        let said = String::from_utf8_lossy(&program.output()?.stdout).trim().parse::<i64>();
        let said = said.map_err(|_| io::Error::other("a program with the library did not say the time"))?;
        let read = library.told()?;
        let is_late = |ns: i64| (ns + HOUR_NS).abs() < HOUR_NS / 2;
        match (is_late(said - now_ns() as i64), read.is_some_and(|read| is_late(read.ahead_ns))) {
            (true, true) => Ok(()),
            (false, _) => Err(io::Error::other("a program of ours does not load a library: is it static?")),
            (true, false) => Err(io::Error::other("what a library told cannot be read")),
        }
    })();
    fs::remove_dir_all(&folder)?;
    tried
}

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const STACK: u32 = 0x6474_e551;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;
const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const SYMBOL_BYTES: usize = 24;
/// Tags of what the loader looks up.
const HASH: u64 = 4;
const STRINGS: u64 = 5;
const SYMBOLS: u64 = 6;
const STRINGS_SIZE: u64 = 10;
const SYMBOL_SIZE: u64 = 11;
const INIT: u64 = 12;

/// The whole file, which is to be at this path.
fn image(path: &[u8]) -> Vec<u8> {
    let dynamic_bytes = 7 * 16;
    let segments = [
        (LOAD, READ, HEADERS_AT, PAGE_BYTES),
        (LOAD, READ | EXECUTE, PAYLOAD_AT, PAGE_BYTES),
        (LOAD, READ | WRITE, DATA_AT, PAGE_BYTES),
        (LOAD, READ | WRITE, DYNAMIC_AT, dynamic_bytes),
        (DYNAMIC, READ | WRITE, DYNAMIC_AT, dynamic_bytes),
        (STACK, READ | WRITE, 0, 0),
    ];
    let mut image = header(segments.len() as u16);
    for (kind, rights, at, bytes) in segments {
        image.extend([kind, rights].map(u32::to_le_bytes).concat());
        let [at, bytes] = [at, bytes].map(|one| one as u64);
        let aligned = if kind == LOAD { APART as u64 } else { 8 };
        image.extend([at, at, at, bytes, bytes, aligned].map(u64::to_le_bytes).concat());
    }
    debug_assert_eq!(image.len(), HEADER_BYTES + segments.len() * SEGMENT_BYTES);

    let functions = labels::library();
    let mut strings = vec![0];
    let symbols_at = image.len();
    image.extend([0; SYMBOL_BYTES]);
    for (name, entry) in functions {
        // A function that everybody sees; that it is in some section is all that a loader wants to know.
        image.extend((strings.len() as u32).to_le_bytes());
        image.extend([0x12, 0, 1, 0]);
        image.extend([PAYLOAD_AT as u64 + super::CODE_AT as u64 + entry, 1].map(u64::to_le_bytes).concat());
        strings.extend(name.bytes().chain([0]));
    }
    // One bucket: a chain of all.
    let hash_at = image.len();
    let count = functions.len() as u32 + 1;
    let chain = (0..count).map(|at| if at == 0 || at + 1 == count { 0 } else { at + 1 });
    image.extend([1, count, 1].into_iter().chain(chain).flat_map(u32::to_le_bytes));
    let strings_at = image.len();
    image.extend(&strings);
    assert!(image.len() <= PAGE_BYTES, "what the loader reads is one page");

    image.resize(PAYLOAD_AT, 0);
    let mut page = fresh();
    assert!(path.len() < PATH_BYTES, "the library's path is longer than there is room for");
    page[PATH_AT..PATH_AT + path.len()].copy_from_slice(path);
    image.extend(page);
    image.resize(DYNAMIC_AT, 0);
    let tags = [
        (HASH, hash_at),
        (STRINGS, strings_at),
        (SYMBOLS, symbols_at),
        (STRINGS_SIZE, strings.len()),
        (SYMBOL_SIZE, SYMBOL_BYTES),
        (INIT, PAYLOAD_AT + super::CODE_AT + labels::init() as usize),
        (0, 0),
    ];
    image.extend(tags.into_iter().flat_map(|(tag, value)| [tag, value as u64]).flat_map(u64::to_le_bytes));
    debug_assert_eq!(image.len(), DYNAMIC_AT + dynamic_bytes);
    image
}

/// The file's header: a shared object for this machine, 64 bits, little-endian, with so many segments behind it.
fn header(segments: u16) -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend([3, arch::MACHINE].map(u16::to_le_bytes).concat());
    header.extend(1u32.to_le_bytes());
    header.extend([0, HEADER_BYTES as u64, 0].map(u64::to_le_bytes).concat());
    header.extend(0u32.to_le_bytes());
    let sizes = [HEADER_BYTES as u16, SEGMENT_BYTES as u16, segments, 0, 0, 0];
    header.extend(sizes.map(u16::to_le_bytes).concat());
    header
}
