//! Keeps the clock of a whole node wrong: of everything that runs in it now and of what comes later. By a patch of each process, or
//! where those cannot be patched, by a library that they load.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::library::Library;
use super::{Block, mend, now_ns, read, renew, skew};
use crate::backend::kernel::processes;
use crate::clock::{Clock, Reading};

/// How often leases are renewed: well before they are over. Also when a process is found that has lost its skew.
const RENEWAL: Duration = Duration::from_secs(1);
/// How often it is looked for new programs where nobody tells of them, which costs some 0.1 ms a process.
const LOOK: Duration = Duration::from_millis(100);
const SECOND_NS: u64 = 1_000_000_000;
/// How long a strobe is watched for both of its states. A nemesis turns at least once a second.
const STROBE_PATIENCE: Duration = Duration::from_secs(2);
/// How long somebody is waited for who asks for the time, where only that shows which he is told, and how often it is looked.
const ASKED: Duration = Duration::from_millis(300);
const GLANCE: Duration = Duration::from_millis(2);
/// How long a process may take to become another program, once it may: that may have to be read from its disk.
const BECOMES: Duration = Duration::from_secs(2);

/// The clock of a node.
pub struct Clocks {
    /// How often leases are renewed.
    every: Duration,
    wanted: Clock,
    block: Block,
    due: Option<Instant>,
    /// It was wrong at some time: there may be something to read.
    touched: bool,
    /// What everybody is to load, where nobody can be patched.
    library: Option<Library>,
}

impl Default for Clocks {
    fn default() -> Self {
        Clocks {
            every: RENEWAL,
            wanted: Clock::default(),
            block: Block::default(),
            due: None,
            touched: false,
            library: None,
        }
    }
}

impl Clocks {
    /// Of a node that does not tell of new programs: they are found soon after they have begun.
    pub fn finding_programs() -> Self {
        Clocks { every: LOOK, ..Clocks::default() }
    }

    /// Of a node whose programs load a library, made at this path, for their clocks.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn by_library(path: &Path) -> io::Result<Self> {
        Ok(Clocks { library: Some(Library::create(path)?), ..Clocks::default() })
    }

    /// What everybody who is started has to load, if anything.
    pub fn library(&self) -> Option<&Path> {
        self.library.as_ref().map(Library::path)
    }

    /// Whether who becomes another program loses the clock that it has.
    pub fn has_to_follow(&self) -> bool {
        !self.is_right() && self.library.is_none()
    }

    /// Makes the clock of everybody in the node this wrong, or right. Safe to repeat.
    ///
    /// # Errors
    /// When a process cannot be given another clock, and why.
    pub fn set(&mut self, wanted: Clock) -> io::Result<()> {
        self.block = after(&self.block, &self.wanted, &wanted, now_ns());
        self.wanted = wanted;
        self.due = None;
        if self.is_right() {
            return match &self.library {
                Some(library) => library.end(),
                None => each(mend),
            };
        }
        self.touched = true;
        self.due = Some(Instant::now() + self.every);
        match &mut self.library {
            Some(library) => {
                each(|pid| library.is_in(pid))?;
                library.choose(&self.block)
            }
            None => each(|pid| skew(pid, &self.block)),
        }
    }

    /// Whether nobody's clock is wanted wrong.
    pub fn is_right(&self) -> bool {
        self.wanted == Clock::default()
    }

    /// How long until leases have to be renewed; `None` where there are none.
    pub fn until_due(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Renews every lease, if it is time to. Whoever has slipped through gets his skew now.
    pub fn renew(&mut self) {
        if self.due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        self.due = Some(Instant::now() + self.every);
        // A process that refuses now has taken the skew before or was reported then; its own clock is read as the proof.
        let _ = match &self.library {
            Some(library) => library.renew(),
            None => each(|pid| renew(pid, &self.block)),
        };
    }

    /// Gives a process that has just become another program the node's clock.
    ///
    /// # Errors
    /// When it cannot be given.
    pub fn follow(&self, pid: i32) -> io::Result<()> {
        if self.has_to_follow() { settled(pid, || skew(pid, &self.block)) } else { Ok(()) }
    }

    /// Reads a process's own clock, if it was ever wrong; while it strobes, in both of its states. These threads are in the middle of
    /// a call that is held back, and cannot be held themselves.
    pub fn read(&self, pid: i32, not: &[i32]) -> Option<Reading> {
        if !self.touched {
            return None;
        }
        let mut last = self.look(pid, not)?;
        let (mut least_ns, mut most_ns) = (last.ahead_ns, last.ahead_ns);
        let begun = Instant::now();
        // Until both states were seen: a look may come too late, when there is little processor time.
        while most_ns - least_ns < self.wanted.strobe_ns.abs() / 2 && begun.elapsed() < STROBE_PATIENCE {
            std::thread::sleep(until_turned(&self.block, now_ns()));
            last = self.look(pid, not)?;
            (least_ns, most_ns) = (least_ns.min(last.ahead_ns), most_ns.max(last.ahead_ns));
        }
        let host = Duration::from_nanos(last.host_ns);
        Some(Reading { host, ahead_ns: last.ahead_ns, least_ns, most_ns })
    }

    /// What a process's clock shows. With a library: what somebody in the node is told next.
    fn look(&self, pid: i32, not: &[i32]) -> Option<super::Reading> {
        let Some(library) = &self.library else { return read(pid, not).ok()? };
        let (begun, now) = (Instant::now(), now_ns());
        while begun.elapsed() < ASKED {
            let told = library.told().ok()?;
            if let Some(told) = told.filter(|told| told.host_ns >= now) {
                return Some(told);
            }
            std::thread::sleep(GLANCE);
        }
        None
    }
}

/// The parameters for a clock, coming from another: what has not changed goes on from its own beginning.
fn after(block: &Block, before: &Clock, wanted: &Clock, now_ns: u64) -> Block {
    let strobe = |clock: &Clock| (clock.strobe_ns, clock.strobe_every);
    let begun = |is_on: bool, same: bool, from: u64| match (is_on, same) {
        (false, _) => 0,
        (true, true) => from,
        (true, false) => now_ns,
    };
    let every_ns = wanted.strobe_every.as_nanos().min(u128::from(u64::MAX)) as u64;
    Block {
        jump_ns: wanted.jump_ns,
        drift_ppb: wanted.drift_ppb,
        drift_from_ns: begun(
            wanted.drift_ppb != 0,
            wanted.drift_ppb == before.drift_ppb,
            block.drift_from_ns,
        ),
        strobe_ns: wanted.strobe_ns,
        strobe_every_ns: if wanted.strobe_ns == 0 { 0 } else { every_ns },
        strobe_from_ns: begun(wanted.strobe_ns != 0, strobe(wanted) == strobe(before), block.strobe_from_ns),
        leap_at_ns: match (wanted.leap, before.leap) {
            (false, _) => 0,
            (true, true) => block.leap_at_ns,
            (true, false) => (now_ns / SECOND_NS + 1) * SECOND_NS,
        },
    }
}

/// How long until a strobe is in its other state for half of its while.
fn until_turned(block: &Block, now_ns: u64) -> Duration {
    let every = block.strobe_every_ns.max(1);
    let into = now_ns.saturating_sub(block.strobe_from_ns) % every;
    Duration::from_nanos(every - into + every / 2).min(STROBE_PATIENCE)
}

/// Does this to everybody in the node, and to those that were born meanwhile by somebody to whom it had not been done yet.
fn each(act: impl Fn(i32) -> io::Result<()>) -> io::Result<()> {
    let mut done = BTreeSet::new();
    loop {
        let new: Vec<i32> = processes::everybody()?.into_iter().filter(|pid| done.insert(*pid)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for pid in new {
            settled(pid, || act(pid)).map_err(|error| {
                let why = format!("the clock of process {pid} cannot be changed: {error}");
                io::Error::new(error.kind(), why)
            })?;
        }
    }
}

/// Does this to a process until it is done. One that becomes another program has no memory for a moment, then another one.
fn settled(pid: i32, act: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match act() {
            Err(_) if processes::is_dead(pid) => return Ok(()),
            Err(error) if is_gone(&error) && begun.elapsed() < BECOMES => std::thread::sleep(GLANCE),
            done => return done,
        }
    }
}

/// Whether this is what is said of a process that has ended, of a program that is not there any more, or of one that is not yet.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, NotFound, PermissionDenied, UnexpectedEof, WriteZero};
    // Nobody may look at what is about to be another program. Of the other kinds, all but the first are what its memory says.
    matches!(error.kind(), Interrupted | NotFound | WriteZero | UnexpectedEof | PermissionDenied)
        || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_changed_goes_on_from_its_own_beginning() {
        let drift = Clock { drift_ppb: 5, ..Clock::default() };
        let first = after(&Block::default(), &Clock::default(), &drift, 3 * SECOND_NS);
        assert_eq!(first, Block { drift_ppb: 5, drift_from_ns: 3 * SECOND_NS, ..Block::default() });
        let every = Duration::from_millis(10);
        let more = Clock { jump_ns: 7, leap: true, strobe_ns: 1, strobe_every: every, ..drift };
        let second = after(&first, &drift, &more, 5 * SECOND_NS + 1);
        let wanted = Block {
            jump_ns: 7,
            strobe_ns: 1,
            strobe_every_ns: 10_000_000,
            strobe_from_ns: 5 * SECOND_NS + 1,
            leap_at_ns: 6 * SECOND_NS,
            ..first
        };
        assert_eq!(second, wanted);
        assert_eq!(after(&second, &more, &more, 9 * SECOND_NS), second, "repeated");
        assert_eq!(after(&second, &more, &Clock::default(), 9 * SECOND_NS), Block::default());
        let turned = until_turned(&second, second.strobe_from_ns + 4_000_000);
        assert_eq!(turned, Duration::from_millis(11), "the middle of the next while");
    }
}
