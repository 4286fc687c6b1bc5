//! The processes of a node, as the first process of its pid namespace sees them: everything in there but itself.
//!
//! A signal to "everybody" (`kill(-1)`) is sent by the kernel under its lock of all processes, and a fork with a signal
//! pending is refused: nobody slips through, however fast a daemon forks.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How long a process may take to stop: it may be waiting for its disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const GLANCE: Duration = Duration::from_micros(200);

/// A running daemon.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Its process id in the node.
    pub pid: u32,
    /// Processor time that it and all it has started have used.
    pub cpu: Duration,
    /// Whether all of them are stopped.
    pub stopped: bool,
}

/// Sends everybody a signal; nobody there is fine.
pub fn signal_all(signal: i32) -> io::Result<()> {
    // SAFETY: plain system call; as init of a pid namespace, -1 means everybody else in it.
    if unsafe { libc::kill(-1, signal) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

/// Stops everybody, and returns when the kernel says that every thread is stopped, or when whoever wanted it `is_gone`.
pub fn stop_all(is_gone: impl Fn() -> bool) -> io::Result<()> {
    signal_all(libc::SIGSTOP)?;
    wait_until("a process does not stop", all_stopped, is_gone)
}

/// Kills everybody, and returns when they are gone, or whoever wanted it. For a first process that has not made them: who made
/// them waits for them.
pub fn kill_all(is_gone: impl Fn() -> bool) -> io::Result<()> {
    signal_all(libc::SIGKILL)?;
    wait_until("a process does not die", || Ok(everybody()?.is_empty()), is_gone)
}

/// Looks again and again.
fn wait_until(
    otherwise: &str,
    holds: impl Fn() -> io::Result<bool>,
    is_gone: impl Fn() -> bool,
) -> io::Result<()> {
    let start = Instant::now();
    while !holds()? {
        if start.elapsed() > PATIENCE || is_gone() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, otherwise));
        }
        std::thread::sleep(GLANCE);
    }
    Ok(())
}

/// How the daemon with this pid is, together with all it has started.
pub fn measure(pid: u32) -> io::Result<Measured> {
    let cpu = everybody()?.into_iter().filter_map(cpu).sum();
    Ok(Measured { pid, cpu, stopped: all_stopped()? })
}

/// Every process but the first one of the namespace.
pub fn everybody() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        pids.extend(pid.filter(|pid| *pid != 1));
    }
    Ok(pids)
}

fn all_stopped() -> io::Result<bool> {
    let everybody = everybody()?;
    for pid in &everybody {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten() {
            let stat = fs::read(thread.path().join("stat")).unwrap_or_default();
            // A thread that has ended in between, or is dead and not yet reaped, does not run either.
            match state(&stat) {
                None | Some(b'T' | b't' | b'Z' | b'X') => {}
                Some(b'D') if waits_for_a_stopped_child(*pid, &everybody) => {}
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// Whether somebody else is stopped in the middle of being made by this process: until that goes on and is another program, its maker
/// waits in a call (vfork) that cannot be stopped. Until then both have the same memory.
fn waits_for_a_stopped_child(pid: i32, everybody: &[i32]) -> bool {
    let look = |pid: i32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let size = size(&look(pid));
    size.is_some() && everybody.iter().any(|other| is_stopped_child(&look(*other), pid, size))
}

fn is_stopped_child(stat: &str, maker: i32, size_of_maker: Option<u64>) -> bool {
    let is_child = word(stat, 1).is_some_and(|made_by| made_by == maker.to_string());
    is_child && state(stat.as_bytes()) == Some(b'T') && size(stat) == size_of_maker
}

/// The size of a process's memory, in bytes, if it has any.
fn size(stat: &str) -> Option<u64> {
    word(stat, 20)?.parse().ok().filter(|size| *size > 0)
}

/// A word of `/proc/PID/stat`, counted from the one after the name in parentheses, which may contain anything.
fn word(stat: &str, at: usize) -> Option<&str> {
    stat.get(stat.rfind(')')? + 2..)?.split(' ').nth(at)
}

/// How long ago a process was made, to a hundredth of a second; `None` if it is gone.
pub fn age(pid: i32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec, and this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    let now = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
    Some(now.saturating_sub(made(&stat)?))
}

/// When it was made, by the clock that counts from the boot.
fn made(stat: &str) -> Option<Duration> {
    Some(Duration::from_millis(10 * word(stat, 19)?.parse::<u64>().ok()?))
}

/// Whether a process has ended, waited for or not.
pub fn is_dead(pid: i32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    matches!(state(&stat), None | Some(b'Z' | b'X'))
}

/// The letter after the name in parentheses; the name itself may contain anything.
pub fn state(stat: &[u8]) -> Option<u8> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(end + 2).copied()
}

/// Processor time of a process, user and system, to the nanosecond (`/proc` counts in hundredths of a second).
fn cpu(pid: i32) -> Option<Duration> {
    /// `CPUCLOCK_SCHED` of the kernel's process clocks.
    const SCHEDULED: i32 = 2;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec. The clock's number is how the kernel writes "the clock of process pid".
    let result = unsafe { libc::clock_gettime((!pid << 3) | SCHEDULED, &mut time) };
    (result == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Processor time of one thread: to the nanosecond where the kernel counts that for schedulers, else in its own ticks.
pub fn thread_cpu(pid: i32, id: i32) -> Option<Duration> {
    let place = format!("/proc/{pid}/task/{id}");
    let exact = fs::read_to_string(format!("{place}/schedstat")).ok();
    if let Some(ns) = exact.as_ref().and_then(|text| text.split(' ').next()?.parse().ok()) {
        return Some(Duration::from_nanos(ns));
    }
    ticks(&fs::read_to_string(format!("{place}/stat")).ok()?)
}

/// Time in user and in system mode.
fn ticks(stat: &str) -> Option<Duration> {
    let ticks: u32 = word(stat, 11)?.parse::<u32>().ok()? + word(stat, 12)?.parse::<u32>().ok()?;
    Some(Duration::from_millis(10) * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_found_behind_any_name() {
        assert_eq!(state(b"7 (a) R b) T 1 7"), Some(b'T'));
        assert_eq!(state(b""), None);
    }

    #[test]
    fn who_waits_for_a_stopped_child_is_known_by_their_common_memory() {
        let child = |state: &str, maker: i32, size: u64| {
            format!("8 (a R b) {state} {maker} 7 7 0 -1 4194560 1 2 3 4 120 34 0 0 20 0 1 0 512 {size} 7")
        };
        let is = |stat: String| is_stopped_child(&stat, 7, Some(4096));
        assert!(is(child("T", 7, 4096)));
        assert!(!is(child("S", 7, 4096)), "it may go on");
        assert!(!is(child("T", 6, 4096)), "another one's");
        assert!(!is(child("T", 7, 8192)), "it is another program already");
        assert_eq!(size(&child("Z", 7, 0)), None, "dead");
    }

    #[test]
    fn nobody_is_waited_for_when_nobody_wants_it_any_more() {
        let looks = std::cell::Cell::new(0);
        let never = || {
            looks.set(looks.get() + 1);
            Ok(false)
        };
        let error = wait_until("it does not", never, || looks.get() == 3).expect_err("it is given up");
        assert_eq!((error.kind(), looks.get()), (io::ErrorKind::TimedOut, 3));
    }

    #[test]
    fn a_threads_time_is_counted_in_both_ways() {
        let stat = "7 (a) R b) S 1 7 7 0 -1 4194560 1 2 3 4 120 34 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(Duration::from_millis(1540)));
        assert_eq!(ticks("7 (a"), None);
        let own = std::process::id() as i32;
        assert!(thread_cpu(own, own).is_some());
        assert_eq!(thread_cpu(own, i32::MAX - 1), None, "nobody");
    }

    #[test]
    fn a_process_is_as_old_as_it_is() {
        let stat = "7 (a R b) S 1 7 7 0 -1 4194560 1 2 3 4 120 34 0 0 20 0 1 0 512 6 7";
        assert_eq!(made(stat), Some(Duration::from_millis(5120)));
        let begun = Instant::now();
        let before = age(std::process::id() as i32).expect("it lives");
        std::thread::sleep(Duration::from_millis(30));
        let later = age(std::process::id() as i32).expect("it lives");
        assert!(later - before >= Duration::from_millis(10) && later - before <= begun.elapsed() + TICK);
        assert_eq!(age(i32::MAX - 1), None, "nobody");
    }

    const TICK: Duration = Duration::from_millis(10);

    #[test]
    fn processor_time_is_that_of_the_process_asked_for() {
        let own = || {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: `time` is a live timespec.
            assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) }, 0);
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        };
        let before = own();
        let told = cpu(std::process::id() as i32).expect("own clock");
        assert!(before < told && told < own(), "the same clock, read in between");
        assert_eq!(cpu(i32::MAX - 1), None, "nobody");
    }
}
