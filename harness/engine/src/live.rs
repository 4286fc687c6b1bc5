//! What a run looks like while it goes: numbers for a live line, never for a verdict.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use schism_history::Outcome;

/// The present state of a run, shared with whoever shows it.
#[derive(Debug)]
pub struct Live(Mutex<Now>);

/// The numbers.
#[derive(Clone, Debug)]
pub struct Now {
    /// The phase: `start`, `load`, `heal`, `final`, `end`.
    pub phase: &'static str,
    /// When the phase will end, where that is known.
    pub phase_ends: Option<Instant>,
    /// Calls that happened.
    pub ok: u64,
    /// Calls that did not.
    pub fail: u64,
    /// Calls of which nobody knows.
    pub info: u64,
    /// Latency of ok calls in microseconds, from the time they were due.
    pub latency_us: Histogram<u64>,
    /// Faults in force, for people.
    pub faults: Vec<(u32, String)>,
    /// How many faults there have been.
    pub faults_begun: u32,
}

/// Longer latencies are counted as this long.
const LATENCY_MAX: Duration = Duration::from_secs(600);

impl Default for Live {
    fn default() -> Self {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_MAX.as_micros() as u64, 3);
        Live(Mutex::new(Now {
            phase: "start",
            phase_ends: None,
            ok: 0,
            fail: 0,
            info: 0,
            latency_us: latency_us.expect("these bounds are legal"),
            faults: Vec::new(),
            faults_begun: 0,
        }))
    }
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the numbers.
    pub fn now(&self) -> Now {
        self.lock().clone()
    }

    /// A phase begins.
    pub fn phase(&self, phase: &'static str, ends: Option<Instant>) {
        let mut now = self.lock();
        now.phase = phase;
        now.phase_ends = ends;
    }

    /// A call ended.
    pub fn ended(&self, outcome: &Outcome, latency: Duration) {
        let mut now = self.lock();
        match outcome {
            Outcome::Ok(_) => {
                now.ok += 1;
                now.latency_us.saturating_record((latency.as_micros() as u64).max(1));
            }
            Outcome::Fail(_) => now.fail += 1,
            Outcome::Info(_) => now.info += 1,
        }
    }

    /// A fault begins.
    pub fn fault_begins(&self, id: u32, words: String) {
        let mut now = self.lock();
        now.faults.push((id, words));
        now.faults_begun += 1;
    }

    /// A fault ends.
    pub fn fault_ends(&self, id: u32) {
        self.lock().faults.retain(|(other, _)| *other != id);
    }
}
