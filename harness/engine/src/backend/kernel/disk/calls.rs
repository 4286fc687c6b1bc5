//! Which calls on files are heard of, and what each of them is about: what kind of call it is, and on which file below the data
//! directory.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use crate::backend::kernel::execs::Waiting;
use crate::backend::kernel::filter::{Fate, Rule};
use crate::disk::{Call, Watch};

/// `open` flags that matter: `O_WRONLY | O_RDWR`, `O_CREAT`, the bit that tells `O_TMPFILE` from `O_DIRECTORY`, and the one that
/// `O_SYNC` and `O_DSYNC` share.
const WRITES: u32 = (libc::O_WRONLY | libc::O_RDWR) as u32;
const CREATES: u32 = libc::O_CREAT as u32;
const NAMELESS: u32 = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;
const THROUGH: u32 = libc::O_DSYNC as u32;
/// What `pwritev2` is told to write through.
const WRITES_THROUGH: u32 = (libc::RWF_DSYNC | libc::RWF_SYNC) as u32;
/// Calls by rings of memory pass every filter.
const RING: Rule = Rule { number: libc::SYS_io_uring_setup, given: None, fate: Fate::Missing };

/// Where a call says which file it is about: in which of its arguments.
#[derive(Clone, Copy)]
enum Place {
    Descriptor(usize),
    /// A path, below the directory whose descriptor is in the other argument.
    Path(usize, Option<usize>),
    /// An address in the caller's memory.
    Mapping,
    /// No file: all of them.
    Everything,
}

use Place::{Descriptor, Everything, Mapping};

const fn at(directory: usize) -> Place {
    Place::Path(directory + 1, Some(directory))
}

/// The calls of each kind, and where each says what it is about.
const CALLS: &[(Call, i64, Place)] = &[
    (Call::Sync, libc::SYS_fsync, Descriptor(0)),
    (Call::Sync, libc::SYS_fdatasync, Descriptor(0)),
    (Call::Sync, libc::SYS_syncfs, Everything),
    (Call::Sync, libc::SYS_sync, Everything),
    (Call::Sync, libc::SYS_msync, Mapping),
    (Call::Write, libc::SYS_write, Descriptor(0)),
    (Call::Write, libc::SYS_pwrite64, Descriptor(0)),
    (Call::Write, libc::SYS_writev, Descriptor(0)),
    (Call::Write, libc::SYS_pwritev, Descriptor(0)),
    (Call::Write, libc::SYS_pwritev2, Descriptor(0)),
    (Call::Write, libc::SYS_copy_file_range, Descriptor(2)),
    (Call::Write, libc::SYS_fallocate, Descriptor(0)),
    (Call::Rename, libc::SYS_renameat, at(2)),
    (Call::Rename, libc::SYS_renameat2, at(2)),
    (Call::Create, libc::SYS_mkdirat, at(0)),
    (Call::Create, libc::SYS_mknodat, at(0)),
    (Call::Create, libc::SYS_linkat, at(2)),
    (Call::Create, libc::SYS_symlinkat, at(1)),
    (Call::Remove, libc::SYS_unlinkat, at(0)),
    (Call::Remove, libc::SYS_ftruncate, Descriptor(0)),
    (Call::Remove, libc::SYS_truncate, Place::Path(0, None)),
];

/// Those that newer machines do without.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[(Call, i64, Place)] = &[
    (Call::Rename, libc::SYS_rename, Place::Path(1, None)),
    (Call::Create, libc::SYS_mkdir, Place::Path(0, None)),
    (Call::Create, libc::SYS_mknod, Place::Path(0, None)),
    (Call::Create, libc::SYS_link, Place::Path(1, None)),
    (Call::Create, libc::SYS_symlink, Place::Path(1, None)),
    (Call::Create, libc::SYS_creat, Place::Path(0, None)),
    (Call::Remove, libc::SYS_unlink, Place::Path(0, None)),
    (Call::Remove, libc::SYS_rmdir, Place::Path(0, None)),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[(Call, i64, Place)] = &[];

/// The calls that open, and where the flags are.
#[cfg(target_arch = "x86_64")]
const OPENS: &[(i64, Place, usize)] =
    &[(libc::SYS_openat, at(0), 2), (libc::SYS_open, Place::Path(0, None), 1)];
#[cfg(not(target_arch = "x86_64"))]
const OPENS: &[(i64, Place, usize)] = &[(libc::SYS_openat, at(0), 2)];

/// What has to be told, so that all this is heard of.
pub fn rules(watch: &Watch) -> Vec<Rule> {
    if watch.is_empty() {
        return Vec::new();
    }
    let wanted = |call: &Call| {
        // Whether a write is beyond the end is seen when it comes.
        watch.calls.contains(call) || (*call == Call::Write && watch.calls.contains(&Call::Grow))
    };
    let known = CALLS.iter().chain(OLD_CALLS).filter(|(call, ..)| wanted(call));
    let mut rules: Vec<Rule> = known.map(|(_, number, _)| Rule::told(*number)).collect();
    let mut bits = 0;
    bits |= if watch.calls.contains(&Call::Open) { WRITES } else { 0 };
    bits |= if watch.calls.contains(&Call::Create) { CREATES | NAMELESS } else { 0 };
    bits |= if watch.keeps_ledger { THROUGH } else { 0 };
    if bits != 0 {
        let told = |(number, _, flags): &(i64, Place, usize)| Rule {
            number: *number,
            given: Some((*flags, bits)),
            fate: Fate::Told,
        };
        rules.extend(OPENS.iter().map(told));
        // Its flags are in memory, where a filter does not see them. Whoever is refused it takes `openat`.
        rules.push(Rule { number: libc::SYS_openat2, given: None, fate: Fate::Missing });
    }
    if watch.keeps_ledger {
        let given = Some((5, WRITES_THROUGH));
        rules.push(Rule { number: libc::SYS_pwritev2, given, fate: Fate::Told });
    }
    rules.push(RING);
    rules
}

/// What a call is about.
#[derive(Debug)]
pub struct Heard {
    /// Which kind of call it is; nothing for one that is heard for another reason.
    pub call: Option<Call>,
    /// Whether it is a write, or a reservation, beyond the file's end.
    pub grows: bool,
    /// Whether what it writes, or opens, is written through.
    pub through: bool,
    /// Whether only the data is meant, not the name.
    pub only_data: bool,
    /// Which files, by their paths below the data directory; none if it is about others. Empty is that directory itself.
    pub path: Option<PathBuf>,
    /// The file itself, where the call has it open.
    pub file: Option<File>,
    /// Everything is meant.
    pub everything: bool,
}

/// What this is about.
pub fn hear(waiting: &Waiting, data: &Path) -> Heard {
    let mut heard = Heard {
        call: None,
        grows: false,
        through: false,
        only_data: waiting.number == libc::SYS_fdatasync,
        path: None,
        file: None,
        everything: false,
    };
    let thread = waiting.thread;
    let argument = |at: usize| waiting.arguments[at];
    if let Some((_, place, flags)) = OPENS.iter().find(|(number, ..)| *number == waiting.number) {
        let flags = argument(*flags) as u32;
        heard.path = named(waiting, *place, data);
        let exists = heard.path.as_ref().is_some_and(|path| data.join(path).symlink_metadata().is_ok());
        heard.call = match () {
            () if flags & NAMELESS != 0 => Some(Call::Create),
            () if flags & CREATES != 0 && !exists => Some(Call::Create),
            () if flags & WRITES != 0 => Some(Call::Open),
            () => None,
        };
        heard.through = flags & THROUGH != 0;
        return heard;
    }
    let found = CALLS.iter().chain(OLD_CALLS).find(|(_, number, _)| *number == waiting.number);
    let Some((call, _, place)) = found else { return heard };
    heard.call = Some(*call);
    match place {
        Everything => heard.everything = true,
        Mapping => heard.path = mapped(thread, argument(0), data),
        Place::Path(..) => heard.path = named(waiting, *place, data),
        Descriptor(at) => {
            let descriptor = argument(*at) as i32;
            heard.path = opened(thread, descriptor, data);
            if heard.path.is_some() && *call == Call::Sync {
                heard.file = File::open(format!("/proc/{thread}/fd/{descriptor}")).ok();
            }
        }
    }
    if heard.path.is_some() && *call == Call::Write {
        heard.grows = grows(waiting).unwrap_or(false);
        let flagged = waiting.number == libc::SYS_pwritev2 && argument(5) as u32 & WRITES_THROUGH != 0;
        heard.through = flagged;
    }
    heard
}

/// The path of an open file below the data directory. One that has been removed has the name that it had.
fn opened(thread: i32, descriptor: i32, data: &Path) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/{thread}/fd/{descriptor}")).ok()?;
    Some(path.strip_prefix(data).ok()?.to_owned())
}

/// The path that a call names, below the data directory.
fn named(waiting: &Waiting, place: Place, data: &Path) -> Option<PathBuf> {
    let Place::Path(path, directory) = place else { return None };
    let thread = waiting.thread;
    let path = text(thread, waiting.arguments[path]).ok()?;
    let start = match directory.map(|at| waiting.arguments[at] as i32) {
        _ if path.is_absolute() => PathBuf::new(),
        Some(descriptor) if descriptor != libc::AT_FDCWD => {
            fs::read_link(format!("/proc/{thread}/fd/{descriptor}")).ok()?
        }
        _ => fs::read_link(format!("/proc/{thread}/cwd")).ok()?,
    };
    let mut whole = PathBuf::new();
    for part in start.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(whole.pop()),
            other => whole.push(other),
        }
    }
    Some(whole.strip_prefix(data).ok()?.to_owned())
}

/// The text that ends with a zero, at this address of a thread's memory.
fn text(thread: i32, address: u64) -> io::Result<PathBuf> {
    const PAGE: u64 = 4096;
    let memory = File::open(format!("/proc/{thread}/mem"))?;
    let mut bytes = Vec::new();
    let mut at = address;
    // The page behind the one that it ends in may not be there.
    while bytes.len() < libc::PATH_MAX as usize {
        let mut page = vec![0; (PAGE - at % PAGE) as usize];
        let got = memory.read_at(&mut page, at)?;
        if let Some(end) = page[..got].iter().position(|byte| *byte == 0) {
            bytes.extend(&page[..end]);
            return Ok(std::ffi::OsString::from_vec(bytes).into());
        }
        if got == 0 {
            break;
        }
        bytes.extend(&page[..got]);
        at += got as u64;
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// The file that is mapped there.
fn mapped(thread: i32, address: u64, data: &Path) -> Option<PathBuf> {
    let maps = fs::read_to_string(format!("/proc/{thread}/maps")).ok()?;
    let covers = |line: &&str| {
        let ends = line.split(' ').next().and_then(|range| range.split_once('-'));
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        ends.and_then(|(from, to)| Some((number(from)?..number(to)?).contains(&address))).unwrap_or(false)
    };
    let line = maps.lines().find(covers)?;
    let path = line.get(line.find('/')?..)?;
    Some(Path::new(path).strip_prefix(data).ok()?.to_owned())
}

/// Whether a write goes beyond the end of its file, by the position it begins at and, where it says so, how much it is.
fn grows(waiting: &Waiting) -> Option<bool> {
    let argument = |at: usize| waiting.arguments[at];
    let (thread, descriptor) = (waiting.thread, argument(0) as i32);
    let length = fs::metadata(format!("/proc/{thread}/fd/{descriptor}")).ok()?.len();
    let (from, bytes) = match waiting.number {
        libc::SYS_pwrite64 => (argument(3), argument(2)),
        libc::SYS_fallocate => (argument(2), argument(3)),
        libc::SYS_pwritev | libc::SYS_pwritev2 => (argument(3), 1),
        libc::SYS_copy_file_range => return Some(true),
        number => {
            let told = fs::read_to_string(format!("/proc/{thread}/fdinfo/{descriptor}")).ok()?;
            let field = |name: &str| told.lines().find_map(|line| line.strip_prefix(name));
            let flags = i32::from_str_radix(field("flags:")?.trim(), 8).ok()?;
            if flags & libc::O_APPEND != 0 {
                return Some(true);
            }
            (field("pos:")?.trim().parse().ok()?, if number == libc::SYS_write { argument(2) } else { 1 })
        }
    };
    Some(from.saturating_add(bytes) > length)
}

/// Makes a call in the place of a thread that will not live to hear of it, as far as it changes names or files: a write is left to what
/// comes of it, since it would not be durable.
///
/// # Errors
/// When it fails, as it would have failed there.
pub fn make(waiting: &Waiting, data: &Path) -> io::Result<()> {
    let whole = |place| named(waiting, place, data).map(|path| data.join(path));
    let old_name = match waiting.number {
        libc::SYS_renameat | libc::SYS_renameat2 => whole(at(0)),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename => whole(Place::Path(0, None)),
        _ => None,
    };
    let new_name = match waiting.number {
        libc::SYS_renameat | libc::SYS_renameat2 => whole(at(2)),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename => whole(Place::Path(1, None)),
        _ => None,
    };
    match (old_name, new_name) {
        (Some(old), Some(new)) => fs::rename(old, new),
        _ => Ok(()),
    }
}
