//! A clock of its own for a running process, whatever it is written in: jumps, drifts, strobes and leap seconds of the
//! time of day, without touching the machine's clock.
//!
//! Programs read the time through the vDSO, code that the kernel maps into them. Its functions for the time of day are
//! patched in the memory of one process, to jump to a payload that asks the kernel and then adds what its parameters say.
//! The process is held for the moment of the patch only; parameters are changed later without holding it. A child has
//! the patch with the memory that it inherits; a new program needs a new patch (see `exec`).
//!
//! Every skew has a lease: when nobody renews it, the payload tells the true time again.
//!
//! What it cannot reach: the monotonic clock, time stamps of files, timers, the cycle counter, and programs that ask the
//! kernel directly instead of through the vDSO. A clock read costs a system call while patched.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod arch;
mod frames;
mod keeper;
mod labels;
mod library;
mod page;
#[cfg(test)]
mod payload_tests;
mod trace;
mod vdso;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arch::{BELOW, FUNCTIONS, INSTRUCTION, JUMP_BYTES, SYSTEM_CALL, jump, target};
pub use keeper::Clocks;
pub use library::{attempt_library, tell};
use page::Block;
use page::{
    APART, BLOCK_BYTES, BLOCKS, BLOCKS_AT, CODE_AT, EXPIRES_AT, MAGIC, PAGE_BYTES, TRAP_AT, WHICH_AT,
    expires, fresh,
};
use trace::Held;
pub use trace::{keep, let_go, patiently};
use vdso::{Vdso, function, position};

/// How often a process is held to be patched, and how long a signal handler is left to end in between.
const ATTEMPTS: u32 = 200;
const HANDLER: Duration = Duration::from_millis(1);

/// How often a reading is made: the one that took the least time is the most exact.
const READINGS: u32 = 3;

/// A process's own clock beside the machine's, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    /// What the machine's clock showed.
    host_ns: u64,
    /// By how much the process's own was ahead of it; negative: behind.
    ahead_ns: i64,
}

/// The machine's time of day.
fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

/// Gives a process this clock, for as long as its lease lasts; patches it first if it is not patched.
///
/// # Errors
/// When the process has ended, or the kernel does not let us. `NotFound` means the former.
fn skew(pid: i32, block: &Block) -> io::Result<()> {
    let process = Process::open(pid)?;
    match process.patched()? {
        Some(page) => process.renew(page).and_then(|()| process.choose(page, block)),
        None => process.patch(block),
    }
}

/// Prolongs the lease of a process's clock; patches it if it is not.
fn renew(pid: i32, block: &Block) -> io::Result<()> {
    let process = Process::open(pid)?;
    match process.patched()? {
        Some(page) if process.chosen(page)? == block.bytes() => process.renew(page),
        _ => skew(pid, block),
    }
}

/// Gives a process the machine's clock back, byte for byte. One that never had another is left alone.
fn mend(pid: i32) -> io::Result<()> {
    let process = Process::open(pid)?;
    let Some(page) = process.patched()? else { return Ok(()) };
    // From now on it tells the true time, even if it cannot be held.
    process.memory.write_all_at(&0u64.to_le_bytes(), page + EXPIRES_AT as u64)?;
    let places = places();
    // Somebody would return into the patch: it stays, and tells the true time.
    let Some(_held) = process.hold(&ranges(process.vdso, &places))? else { return Ok(()) };
    for (offset, _) in &places {
        process.write(process.vdso.start + *offset as u64, &vdso::image()[*offset..offset + JUMP_BYTES])?;
    }
    Ok(())
}

/// Reads a process's own clock: has one of its threads call the function for it, but none of those that cannot be held. Nothing if it
/// was never patched, or cannot be read.
fn read(pid: i32, not: &[i32]) -> io::Result<Option<Reading>> {
    let process = Process::open(pid)?;
    let Some(page) = process.page()? else { return Ok(None) };
    let Some(clock) = function(FUNCTIONS[0].0) else { return Ok(None) };
    let held = Held::thread(pid, not)?;
    let trap = page + TRAP_AT as u64;
    let answer = page + (APART + PAGE_BYTES) as u64 - 16;
    let top = answer - BELOW;
    let mut best: Option<(u64, Reading)> = None;
    for _ in 0..READINGS {
        process.memory.write_all_at(&trap.to_le_bytes(), top)?;
        let before = now_ns();
        let failed = held.call(process.vdso.start + clock.offset as u64, top, trap, [0, answer])?;
        let after = now_ns();
        if failed != 0 {
            return Ok(None);
        }
        let mut time = [0; 16];
        process.memory.read_exact_at(&mut time, answer)?;
        let [seconds, nanoseconds] =
            [0, 8].map(|at| u64::from_le_bytes(time[at..at + 8].try_into().expect("eight bytes")));
        let took = after.saturating_sub(before);
        let host_ns = before + took / 2;
        let ahead_ns = (seconds * 1_000_000_000 + nanoseconds) as i64 - host_ns as i64;
        if best.is_none_or(|(best, _)| took < best) {
            best = Some((took, Reading { host_ns, ahead_ns }));
        }
    }
    Ok(best.map(|(_, reading)| reading))
}

/// Gives a process another clock, reads it, and gives it the machine's back: whether it can be done here.
///
/// # Errors
/// Why not.
pub fn attempt(pid: i32) -> io::Result<()> {
    const JUMP_NS: i64 = 3_600_000_000_000;
    skew(pid, &Block { jump_ns: JUMP_NS, ..Block::default() })?;
    let skewed = read(pid, &[])?;
    mend(pid)?;
    let mended = read(pid, &[])?;
    let is_near = |reading: Option<Reading>, wanted: i64| {
        reading.is_some_and(|reading| (reading.ahead_ns - wanted).abs() < JUMP_NS / 2)
    };
    match (is_near(skewed, JUMP_NS), is_near(mended, 0)) {
        (true, true) => Ok(()),
        (false, _) => Err(io::Error::other("a process that was given another clock does not have it")),
        (true, false) => Err(io::Error::other("a process did not get the machine's clock back")),
    }
}

/// A process whose memory is open.
struct Process {
    pid: i32,
    memory: File,
    vdso: Vdso,
}

impl Process {
    fn open(pid: i32) -> io::Result<Self> {
        let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
        Ok(Process { pid, memory, vdso: Vdso::of(pid)? })
    }

    /// Our page, if the vDSO leads there.
    fn patched(&self) -> io::Result<Option<u64>> {
        let Some((offset, _)) = places().first().copied() else { return Ok(None) };
        let mut code = [0; JUMP_BYTES];
        self.memory.read_exact_at(&mut code, self.vdso.start + offset as u64)?;
        let page = target(&code).map(|target| target & !(PAGE_BYTES as u64 - 1));
        Ok(page.filter(|page| self.is_ours(*page)))
    }

    /// Our page, whether or not the vDSO leads there: it stays when a process is mended, since a thread may be in it.
    fn page(&self) -> io::Result<Option<u64>> {
        if let Some(page) = self.patched()? {
            return Ok(Some(page));
        }
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid))?;
        let nameless = maps.lines().filter(|line| line.contains(" r-xp 00000000 00:00 0"));
        Ok(nameless.filter_map(vdso::range).map(|(start, _)| start).find(|page| self.is_ours(*page)))
    }

    fn is_ours(&self, page: u64) -> bool {
        let mut magic = [0; MAGIC.len()];
        self.memory.read_exact_at(&mut magic, page).is_ok() && magic == MAGIC
    }

    /// Holds the process, makes the page, and has the vDSO lead there. When it goes on, its clock is wrong.
    fn patch(&self, block: &Block) -> io::Result<()> {
        let places = places();
        if places.is_empty() {
            return Err(io::Error::other("this kernel's vDSO has no function for the time of day"));
        }
        let held = self.hold(&ranges(self.vdso, &places))?.ok_or_else(|| {
            io::Error::other("a signal handler keeps a thread in the code that is to be changed")
        })?;
        // What it was when it was looked at first may be another program by now.
        let vdso = Vdso::of(self.pid)?;
        if vdso.start != self.vdso.start {
            let meanwhile = "it has become another program meanwhile";
            return Err(io::Error::new(io::ErrorKind::Interrupted, meanwhile));
        }
        let page = match self.page()? {
            Some(page) => page,
            None => self.make_page(&held)?,
        };
        self.renew(page)?;
        self.choose(page, block)?;
        for (offset, entry) in places {
            self.write(vdso.start + offset as u64, &jump(page + CODE_AT as u64 + entry))?;
        }
        Ok(())
    }

    /// Holds the process when nobody is in these ranges or will return into them; nothing if there is no such moment.
    fn hold(&self, ranges: &[(u64, u64)]) -> io::Result<Option<Held>> {
        for _ in 0..ATTEMPTS {
            let held = Held::process(self.pid)?;
            held.leave(ranges)?;
            if !held.returns_into(self.pid, &self.memory, ranges)? {
                return Ok(Some(held));
            }
            drop(held);
            std::thread::sleep(HANDLER);
        }
        Ok(None)
    }

    fn make_page(&self, held: &Held) -> io::Result<u64> {
        let instruction = position(&SYSTEM_CALL, INSTRUCTION)
            .ok_or_else(|| io::Error::other("this kernel's vDSO has no system call to borrow"))?;
        let instruction = self.vdso.start + instruction;
        let (code, stack) = (libc::PROT_READ | libc::PROT_EXEC, libc::PROT_READ | libc::PROT_WRITE);
        let length = 2 * APART as u64;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        let map = [0, length, code as u64, flags, u64::MAX, 0];
        let page = held.system_call(instruction, libc::SYS_mmap, map)?;
        let protect = [page + APART as u64, APART as u64, stack as u64, 0, 0, 0];
        held.system_call(instruction, libc::SYS_mprotect, protect)?;
        self.memory.write_all_at(&fresh(), page)?;
        Ok(page)
    }

    /// Writes code, and reads it back.
    fn write(&self, at: u64, code: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(code, at)?;
        let mut written = vec![0; code.len()];
        self.memory.read_exact_at(&mut written, at)?;
        if written == code { Ok(()) } else { Err(io::Error::other("the vDSO does not take a patch")) }
    }

    fn renew(&self, page: u64) -> io::Result<()> {
        self.memory.write_all_at(&expires(now_ns()).to_le_bytes(), page + EXPIRES_AT as u64)
    }

    fn which(&self, page: u64) -> io::Result<u64> {
        let mut which = [0; 8];
        self.memory.read_exact_at(&mut which, page + WHICH_AT as u64)?;
        Ok(u64::from_le_bytes(which) % BLOCKS)
    }

    fn chosen(&self, page: u64) -> io::Result<[u8; BLOCK_BYTES]> {
        let mut block = [0; BLOCK_BYTES];
        self.memory.read_exact_at(&mut block, page + block_at(self.which(page)?))?;
        Ok(block)
    }

    fn choose(&self, page: u64, block: &Block) -> io::Result<()> {
        let next = (self.which(page)? + 1) % BLOCKS;
        self.memory.write_all_at(&block.bytes(), page + block_at(next))?;
        self.memory.write_all_at(&next.to_le_bytes(), page + WHICH_AT as u64)
    }
}

fn block_at(which: u64) -> u64 {
    BLOCKS_AT as u64 + which * BLOCK_BYTES as u64
}

/// The functions to be replaced: where each is in the vDSO, and where its replacement is in the payload.
fn places() -> Vec<(usize, u64)> {
    let found = FUNCTIONS.iter().filter_map(|(name, entry)| {
        let function = function(name).filter(|function| function.bytes >= JUMP_BYTES)?;
        Some((function.offset, entry()))
    });
    found.collect()
}

/// The addresses that are overwritten.
fn ranges(vdso: Vdso, places: &[(usize, u64)]) -> Vec<(u64, u64)> {
    let range = |(offset, _): &(usize, u64)| {
        let start = vdso.start + *offset as u64;
        (start, start + JUMP_BYTES as u64)
    };
    places.iter().map(range).collect()
}
