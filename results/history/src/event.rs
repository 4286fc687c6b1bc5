//! The lines of a history, in the order of time: what clients did, what the nemesis did, and what phase the run was in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::{Call, Outcome};

/// Nanoseconds since the run began, on one monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// Later than any other: when an operation that never returned "ends".
    pub const NEVER: Time = Time(u64::MAX);

    /// The time since the run began.
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Time {
    fn from(duration: Duration) -> Self {
        Time(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Seconds with milliseconds: `12.345 s`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Time::NEVER {
            return f.write_str("never");
        }
        write!(f, "{:.3} s", self.since_start().as_secs_f64())
    }
}

/// A logical client: one call at a time, retired for ever after an `info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Process(pub u32);

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.0)
    }
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, on the run's clock.
    pub time: Time,
    /// What.
    pub what: What,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A process is about to send a call. Stamped just before it is sent.
    Invoke {
        /// Who.
        process: Process,
        /// The node it speaks to, where known.
        node: Option<String>,
        /// The call.
        call: Call,
    },
    /// The call of a process ended. Stamped just after the answer arrived.
    Complete {
        /// Who.
        process: Process,
        /// The call it had invoked.
        call: Call,
        /// What became of it.
        outcome: Outcome,
    },
    /// The nemesis began or ended a fault.
    Fault(FaultEvent),
    /// The run entered a phase: `setup`, `load`, `heal`, `final`, …
    Phase(String),
    /// Something the reader of a run should know, such as a daemon that died by itself.
    Note(Note),
}

/// A fault begins or ends. Faults overlap; `id` joins the two ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// Joins begin and end within one run.
    pub id: u32,
    /// What is broken, in a word: `partition`, `kill`, `pause`.
    pub fault: String,
    /// Begin or end.
    pub edge: Edge,
    /// How, for people: `n1 n2 | n3 n4 n5`.
    pub detail: String,
    /// The nodes it strikes.
    pub nodes: Vec<String>,
    /// The measured proof that it broke something; at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
}

/// Which end of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edge {
    /// The window opens.
    Begin,
    /// The window closes.
    End,
}

/// The measured proof that a fault broke something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Whether it bit at all. A fault that did not is no coverage.
    pub bit: bool,
    /// What was measured, for people: `4211 packets dropped`, `n2: pid 17 → 42`.
    pub evidence: String,
}

/// Something out of the ordinary that happened to a node by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The node.
    pub node: String,
    /// What happened: `exited with status 101`, `killed by signal 9`.
    pub text: String,
    /// Whether a finding may be the machine's fault rather than the store's (killed for memory, for instance):
    /// then a pass is no pass.
    pub doubt: bool,
}
