//! Keeps a whole node from running for most of the time: stopped and let go on, many times a second.
//!
//! It gets what is left to it in short turns, as on a machine that others keep busy. No cgroup is needed for that, which an
//! ordinary user could not make everywhere.

use std::io;
use std::time::{Duration, Instant};

use super::processes;
use crate::link::Share;

/// A turn: a while of running, and the rest stopped.
const TURN: Duration = Duration::from_millis(50);
/// However little is left, it is no less than this in each turn.
const RUN_MIN: Duration = Duration::from_millis(1);

/// How a node starves, and for how long it was kept from running.
#[derive(Default)]
pub struct Starving {
    left: Option<Share>,
    /// When to stop it, or let it go on.
    due: Option<Instant>,
    /// Since when it is stopped.
    since: Option<Instant>,
    kept: Duration,
    /// It is stopped anyway.
    paused: bool,
}

impl Starving {
    /// Leaves the node this share of the time, or all of it.
    pub fn set(&mut self, left: Option<Share>) -> io::Result<()> {
        self.left = left;
        self.due = left.map(|_| Instant::now());
        self.interrupt()
    }

    /// It is about to be stopped for good.
    pub fn pause(&mut self) {
        self.account();
        self.paused = true;
    }

    /// It is about to end; what is started in its place starves again.
    pub fn end(&mut self) {
        self.account();
        self.paused = false;
    }

    /// It goes on, as far as it is left to.
    pub fn resume(&mut self) -> io::Result<()> {
        self.end();
        processes::signal_all(libc::SIGCONT)
    }

    /// Lets it run until its next turn to be stopped, so that it can be looked at.
    pub fn interrupt(&mut self) -> io::Result<()> {
        if self.since.is_some() { self.resume() } else { Ok(()) }
    }

    /// For how long it was kept from running, in all.
    pub fn kept(&self) -> Duration {
        self.kept
    }

    /// How long until it is to be stopped or let go on.
    pub fn until_due(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Stops it, or lets it go on, if it is time to.
    pub fn turn(&mut self) -> io::Result<()> {
        let (Some(left), Some(due)) = (self.left, self.due) else { return Ok(()) };
        if Instant::now() < due {
            return Ok(());
        }
        let run = TURN.mul_f64(left.probability()).max(RUN_MIN);
        let mut next = TURN.saturating_sub(run);
        if self.since.is_some() {
            self.resume()?;
            next = run;
        } else if !self.paused {
            processes::signal_all(libc::SIGSTOP)?;
            self.since = Some(Instant::now());
        }
        self.due = Some(Instant::now() + next);
        Ok(())
    }

    /// What it was kept from since it was stopped last.
    fn account(&mut self) {
        self.kept += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }
}
