//! Clocks that count from a node's last boot: the monotonic clock and the one that counts suspended time, too.
//!
//! They begin from zero in what is started after the node's power failed, as on a machine that was booted, and go on from there
//! when a daemon is only killed and started again. The kernel shows each time namespace these clocks from its own beginning
//! (`time_namespaces(7)`); a namespace can be entered by new processes alone, so a clock never turns back while somebody looks. Timers
//! and waits count by it, too; `/proc/uptime` shows it. The time of day, the processor's counter and the raw monotonic clock's speed
//! are those of the machine.

use std::fs;
use std::io;

use super::system::{check, unshare};

const SECOND_NS: i64 = 1_000_000_000;

/// When a node was booted, by the machine's clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot(Option<Since>);

/// What the machine's clocks showed then, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since {
    monotonic_ns: i64,
    boottime_ns: i64,
}

impl Boot {
    /// Just now.
    pub fn now() -> Self {
        Boot(Some(Since {
            monotonic_ns: shown(libc::CLOCK_MONOTONIC),
            boottime_ns: shown(libc::CLOCK_BOOTTIME),
        }))
    }

    /// Gives this boot's clocks to every process that the calling thread makes from now on. Nothing happens for a node that has not
    /// been booted since we have it.
    ///
    /// # Errors
    /// When the kernel does not let us.
    pub fn enter(self) -> io::Result<()> {
        let Some(Since { monotonic_ns, boottime_ns }) = self.0 else { return Ok(()) };
        unshare(libc::CLONE_NEWTIME)?;
        // SAFETY: a plain system call.
        let thread = unsafe { libc::gettid() };
        // The kernel wants a whole number of seconds, and nanoseconds that are never negative.
        let back = |ns: i64| format!("{} {}", (-ns).div_euclid(SECOND_NS), (-ns).rem_euclid(SECOND_NS));
        let offsets = format!("monotonic {}\nboottime {}\n", back(monotonic_ns), back(boottime_ns));
        fs::write(format!("/proc/{thread}/timens_offsets"), offsets)
    }
}

fn shown(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills a live timespec, and has both clocks.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * SECOND_NS + time.tv_nsec
}

/// Makes a process that was booted just now, and sees whether its clock knows of the time before. The calling thread's other children
/// are booted then, too: only for a thread that ends.
///
/// # Errors
/// What the kernel refused.
pub fn attempt() -> io::Result<()> {
    let boot = Boot::now();
    boot.enter()?;
    // SAFETY: the child makes only system calls; it is waited for, and `status` is a live integer.
    let status = unsafe {
        let pid = check(libc::fork())?;
        if pid == 0 {
            let late = |clock, since| shown(clock) >= since;
            let Boot(Some(since)) = boot else { libc::_exit(1) };
            let goes_on = late(libc::CLOCK_MONOTONIC, since.monotonic_ns)
                || late(libc::CLOCK_BOOTTIME, since.boottime_ns);
            libc::_exit(i32::from(goes_on));
        }
        let mut status = 0;
        check(libc::waitpid(pid, &raw mut status, 0))?;
        status
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::other("a process in a new time namespace has the old time"))
    }
}
