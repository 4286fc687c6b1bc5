//! Holding a process still by ptrace, and running something in one of its threads.
//!
//! A process that is held goes on by itself when the holder dies: that is the kernel's promise to tracees.
//! A signal that was on its way to a thread when it was stopped is delivered when it goes on.

use std::fs;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use super::arch::{BEHIND_TRAP, Registers, SYSTEM_CALL};
use super::frames;

/// How long a thread may take to stop: it may be waiting for its disk.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same, before whoever wants that does something else meanwhile, and tries again.
const TRY: Duration = Duration::from_millis(50);
/// How often it is looked at before the looking gets slower.
const EAGER: u32 = 200;
const GLANCE: Duration = Duration::from_micros(100);
/// Steps that a thread may need for one instruction: another stop may come between.
const STEPS: u32 = 64;

const GET_SIGNAL_MASK: libc::c_uint = 0x420a;
const SET_SIGNAL_MASK: libc::c_uint = 0x420b;
/// Everything waits while we run something, but the trap that ends it: a blocked one would reset its handler.
const ALL_BUT_TRAP: u64 = !(1 << (libc::SIGTRAP - 1));

/// The one thread that is held for longer than a moment, or 0. Whoever holds its process finds it held, and leaves it so.
static KEPT: AtomicI32 = AtomicI32::new(0);

/// Does something for which threads have to be held. One that waits for somebody who waits for us does not stop: `meanwhile` we do
/// what we are waited for, and then try again.
///
/// # Errors
/// That of either; the last one's when a thread does not stop in time.
pub fn patiently<A, T>(
    who: &mut A,
    act: impl Fn(&mut A) -> io::Result<T>,
    meanwhile: impl Fn(&mut A) -> io::Result<()>,
) -> io::Result<T> {
    let begun = Instant::now();
    loop {
        match act(who) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && begun.elapsed() < PATIENCE => {
                meanwhile(who)?;
            }
            done => return done,
        }
    }
}

/// Holds a thread until it is let go, and gives the signal that is on its way to it; nothing if it has ended.
///
/// # Errors
/// When the kernel refuses; `TimedOut` when it does not stop (see [`patiently`]).
pub fn keep(pid: i32, id: i32) -> io::Result<Option<i32>> {
    let held = hold(pid, id, TRY)?;
    if held.is_some() {
        KEPT.store(id, Ordering::Relaxed);
    }
    Ok(held.map(|thread| thread.signal))
}

/// Lets it go on, if it still lives. None has the id 0.
pub fn let_go(id: i32, signal: i32) {
    KEPT.store(0, Ordering::Relaxed);
    if id != 0 {
        let _ = request(libc::PTRACE_DETACH, id, signal);
    }
}

/// A process, or one thread of it, that is held. Dropping it lets it go on.
pub(super) struct Held {
    threads: Vec<Thread>,
}

/// A thread that is held.
struct Thread {
    id: i32,
    /// To be delivered when it goes on.
    signal: i32,
}

/// What a thread that was waited for did.
enum Stop {
    Signal(i32),
    Event(i32),
    Gone,
}

impl Held {
    /// All threads of a process.
    ///
    /// # Errors
    /// When the kernel refuses, or a thread does not stop in time.
    pub(super) fn process(pid: i32) -> io::Result<Self> {
        let mut held = Held { threads: Vec::new() };
        loop {
            // A thread may have made another before it was stopped.
            let known = |id: &i32| held.threads.iter().any(|thread| thread.id == *id);
            let new: Vec<i32> = threads(pid)?.into_iter().filter(|id| !known(id)).collect();
            let before = held.threads.len();
            for id in new {
                held.threads.extend(hold(pid, id, TRY)?);
            }
            if held.threads.len() == before {
                return if before == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(held) };
            }
        }
    }

    /// One thread of a process: its first, or another if that has ended, does not stop or is one of those that cannot be held.
    pub(super) fn thread(pid: i32, not: &[i32]) -> io::Result<Self> {
        let mut failed = io::ErrorKind::NotFound.into();
        for id in threads(pid)?.into_iter().filter(|id| !not.contains(id)) {
            // Nobody may try it again soon, and who stops when nobody waits for it any more stands still until then.
            match hold(pid, id, PATIENCE) {
                Ok(Some(thread)) => return Ok(Held { threads: vec![thread] }),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => failed = error,
                Err(error) => return Err(error),
            }
        }
        Err(failed)
    }

    /// Lets every thread that is in the middle of one of these ranges of addresses run until it is out.
    pub(super) fn leave(&self, ranges: &[(u64, u64)]) -> io::Result<()> {
        for thread in &self.threads {
            let inside = |registers: &Registers| {
                let at = registers.instruction();
                ranges.iter().any(|(start, end)| (start + 1..*end).contains(&at))
            };
            if !inside(&Registers::of(thread.id)?) {
                continue;
            }
            undisturbed(thread.id, || {
                for _ in 0..STEPS {
                    step(thread.id)?;
                    if !inside(&Registers::of(thread.id)?) {
                        return Ok(());
                    }
                }
                Err(io::Error::other("a thread does not leave the code that is to be changed"))
            })?;
        }
        Ok(())
    }

    /// Whether a thread will return into one of these ranges of addresses when a signal handler ends.
    pub(super) fn returns_into(
        &self,
        pid: i32,
        memory: &fs::File,
        ranges: &[(u64, u64)],
    ) -> io::Result<bool> {
        for thread in &self.threads {
            if frames::returns_into(pid, memory, Registers::of(thread.id)?.stack() & !7, ranges)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets the first thread run until it is in the middle of this range.
    #[cfg(test)]
    pub(super) fn step_into(&self, (start, end): (u64, u64)) -> io::Result<()> {
        const MANY: u32 = 1_000_000;
        for _ in 0..MANY {
            if (start + 1..end).contains(&Registers::of(self.threads[0].id)?.instruction()) {
                return Ok(());
            }
            step(self.threads[0].id)?;
        }
        Err(io::Error::other("it never gets there"))
    }

    /// Gives the first thread this signal when it goes on.
    #[cfg(test)]
    pub(super) fn deliver(&mut self, signal: i32) {
        self.threads[0].signal = signal;
    }

    /// Makes a system call in the process, by the instruction for it at this address.
    pub(super) fn system_call(&self, instruction: u64, number: i64, arguments: [u64; 6]) -> io::Result<u64> {
        let result = self.run(|thread, registers| {
            registers.system_call(instruction, number, arguments).give(thread)?;
            for _ in 0..STEPS {
                step(thread)?;
                let now = Registers::of(thread)?;
                if now.instruction() == instruction + SYSTEM_CALL.len() as u64 {
                    return Ok(now.result());
                }
            }
            Err(io::Error::other("an injected system call did not return"))
        })?;
        if result < 0 { Err(io::Error::from_raw_os_error(-result as i32)) } else { Ok(result as u64) }
    }

    /// Calls a function in the process, on a stack whose top holds the address of a breakpoint.
    pub(super) fn call(&self, function: u64, top: u64, trap: u64, arguments: [u64; 2]) -> io::Result<i64> {
        self.run(|thread, registers| {
            registers.call(function, top, trap, arguments).give(thread)?;
            for _ in 0..STEPS {
                request(libc::PTRACE_CONT, thread, 0)?;
                match wait(thread, PATIENCE)? {
                    Stop::Gone => return Err(io::ErrorKind::NotFound.into()),
                    Stop::Signal(libc::SIGTRAP) => {
                        let now = Registers::of(thread)?;
                        if now.instruction() == trap + BEHIND_TRAP {
                            return Ok(now.result());
                        }
                    }
                    Stop::Signal(signal @ (libc::SIGSEGV | libc::SIGBUS | libc::SIGILL)) => {
                        return Err(io::Error::other(format!("an injected call ended by signal {signal}")));
                    }
                    Stop::Signal(_) | Stop::Event(_) => {}
                }
            }
            Err(io::Error::other("an injected call did not return"))
        })
    }

    /// Runs something in a thread, preferably in one to which no signal is on its way, and gives it its registers back.
    fn run<T>(&self, act: impl FnOnce(i32, Registers) -> io::Result<T>) -> io::Result<T> {
        let thread = self.threads.iter().find(|thread| thread.signal == 0).unwrap_or(&self.threads[0]).id;
        let registers = Registers::of(thread)?;
        let result = undisturbed(thread, || act(thread, registers));
        registers.give(thread)?;
        result
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for thread in self.threads.iter().filter(|thread| thread.id != KEPT.load(Ordering::Relaxed)) {
            // It may have been killed meanwhile.
            let _ = request(libc::PTRACE_DETACH, thread.id, thread.signal);
        }
    }
}

fn threads(pid: i32) -> io::Result<Vec<i32>> {
    let names = fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(names.flatten().filter_map(|name| name.file_name().to_str()?.parse().ok()).collect())
}

/// Stops a thread; nothing if it has ended.
fn hold(pid: i32, id: i32, patience: Duration) -> io::Result<Option<Thread>> {
    if id == KEPT.load(Ordering::Relaxed) {
        return Ok((!is_dead(pid, id)).then_some(Thread { id, signal: 0 }));
    }
    match seize(pid, id) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        seized => seized?,
    }
    // From here on it is ours, and let go if it does not stop.
    let stopped = request(libc::PTRACE_INTERRUPT, id, 0).and_then(|()| until_stopped(id, patience));
    match stopped {
        Ok(Some(signal)) => Ok(Some(Thread { id, signal })),
        Ok(None) => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => {
            let _ = request(libc::PTRACE_DETACH, id, 0);
            Err(error)
        }
    }
}

fn seize(pid: i32, id: i32) -> io::Result<()> {
    let Err(error) = request(libc::PTRACE_SEIZE, id, 0) else { return Ok(()) };
    // It may be ours already: one that is followed into a new program.
    if error.raw_os_error() == Some(libc::EPERM) && tracer(pid, id) == Some(std::process::id()) {
        return Ok(());
    }
    // Of a dead thread the kernel says that it may not be traced.
    if error.raw_os_error() == Some(libc::EPERM) && is_dead(pid, id) {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Err(error)
}

/// The process that traces a thread, if one does.
fn tracer(pid: i32, id: i32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().parse().ok()
}

fn is_dead(pid: i32, id: i32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/task/{id}/stat")).unwrap_or_default();
    matches!(super::super::processes::state(&stat), None | Some(b'Z' | b'X'))
}

/// Waits until an interrupted thread stands at the border of its own code. Returns the signal that it is about to get.
fn until_stopped(id: i32, patience: Duration) -> io::Result<Option<i32>> {
    loop {
        match wait(id, patience)? {
            Stop::Gone => return Ok(None),
            // It is inside the call that makes it another program. This stop has taken the place of the one that was asked for, which
            // is asked for anew: it comes at the first instruction.
            Stop::Event(libc::PTRACE_EVENT_EXEC) => {
                request(libc::PTRACE_INTERRUPT, id, 0)?;
                request(libc::PTRACE_CONT, id, 0)?;
            }
            Stop::Event(_) => return Ok(Some(0)),
            Stop::Signal(signal) => return Ok(Some(signal)),
        }
    }
}

/// Lets a thread run one instruction, or hold before it once more.
fn step(thread: i32) -> io::Result<()> {
    request(libc::PTRACE_SINGLESTEP, thread, 0)?;
    match wait(thread, PATIENCE)? {
        Stop::Gone => Err(io::ErrorKind::NotFound.into()),
        Stop::Signal(_) | Stop::Event(_) => Ok(()),
    }
}

/// Does this while no signal can reach the thread.
fn undisturbed<T>(thread: i32, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mask = |request: libc::c_uint, mask: &mut u64| {
        // SAFETY: the kernel reads or writes exactly the eight bytes it is told of, those of a live number.
        let done = unsafe { libc::ptrace(request, thread, size_of::<u64>(), ptr::from_mut(mask)) };
        if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    let mut before = 0;
    mask(GET_SIGNAL_MASK, &mut before)?;
    mask(SET_SIGNAL_MASK, &mut ALL_BUT_TRAP.clone())?;
    let result = act();
    mask(SET_SIGNAL_MASK, &mut before)?;
    result
}

/// Waits for the next stop of a tracee. The end of a process is left for whoever has started it.
fn wait(thread: i32, patience: Duration) -> io::Result<Stop> {
    let begun = Instant::now();
    let mut looks = 0;
    loop {
        // SAFETY: all zero is a valid siginfo; both pointers are those of live values.
        unsafe {
            let mut seen: libc::siginfo_t = std::mem::zeroed();
            let look = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
            if libc::waitid(libc::P_PID, thread as u32, &raw mut seen, look) == -1 {
                let error = io::Error::last_os_error();
                return if error.raw_os_error() == Some(libc::ECHILD) { Ok(Stop::Gone) } else { Err(error) };
            }
            match seen.si_code {
                _ if seen.si_pid() == 0 => {}
                libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED => return Ok(Stop::Gone),
                _ => {
                    let mut status = 0;
                    if libc::waitpid(thread, &raw mut status, libc::__WALL | libc::WNOHANG) == thread {
                        return Ok(stop(status));
                    }
                }
            }
        }
        if begun.elapsed() > patience {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "a thread does not stop"));
        }
        looks += 1;
        if looks > EAGER { std::thread::sleep(GLANCE) } else { std::thread::yield_now() }
    }
}

fn stop(status: i32) -> Stop {
    match status >> 16 {
        _ if !libc::WIFSTOPPED(status) => Stop::Gone,
        0 => Stop::Signal(libc::WSTOPSIG(status)),
        event => Stop::Event(event),
    }
}

/// A request without an address.
pub(super) fn request(request: libc::c_uint, thread: i32, data: i32) -> io::Result<()> {
    // SAFETY: none of our requests by this way has the kernel write to our memory.
    let done = unsafe { libc::ptrace(request, thread, ptr::null_mut::<u8>(), data as usize) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
