//! A whole history: operations paired up from events, fault windows, phases. Checked for consistency on the way in
//! ([`Builder`]), so that no judge ever sees a contradictory one.
//!
//! Operations are columns inside. How a judge of one object reads them:
//!
//! ```
//! use schism_history::{CallKind, History, Numbers, Position};
//!
//! fn judge(history: &History) {
//!     let mut numbers = Numbers::default();
//!     for of_key in history.by_key().iter() {
//!         let columns = of_key.columns(&mut numbers);
//!         for at in 0..columns.len() {
//!             // Numbers below `columns.values()`; equal numbers are equal values. 0 is `nil`.
//!             let (asked, seen) = (columns.argument[at], columns.answer[at]);
//!             let pending = columns.complete[at] == Position::MAX;
//!             if columns.kind[at] == CallKind::Enqueue && columns.status[at].is_ok() && !pending {
//!                 assert!(columns.invoke[at] < columns.complete[at] && asked != seen);
//!             }
//!         }
//!     }
//! }
//! ```

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::binary;
use crate::builder::Builder;
use crate::by_key::ByKey;
use crate::call::{Call, Outcome, Ret};
use crate::column::Shared;
use crate::columns::{Columns, Growing};
use crate::event::{Effect, Event, Note, Process, Time};

/// A position in the order of all events of a history.
pub type Position = u32;

/// An invocation with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Who.
    pub process: Process,
    /// The node it spoke to, where known.
    pub node: Option<Arc<str>>,
    /// What it asked.
    pub call: Call,
    /// What became of it; `Info` if the history ends before its completion.
    pub outcome: Outcome,
    /// When it was invoked.
    pub invoked: Time,
    /// When it completed; [`Time::NEVER`] if it is `Info`: it may still take effect at any later time.
    pub completed: Time,
    /// Where the invocation stands among all events.
    pub invoke: Position,
    /// Where the completion stands among all events; [`Position::MAX`] if it is `Info`.
    pub complete: Position,
    /// When an answer arrived or the client gave up, also for `Info`. For pictures only: nothing is concluded from it.
    pub ended: Option<Time>,
}

impl Operation {
    /// The value a read saw.
    pub fn read(&self) -> Option<&crate::Value> {
        match (&self.call, &self.outcome) {
            (Call::Read { .. }, Outcome::Ok(Ret::Value(value))) => Some(value),
            _ => None,
        }
    }

    /// Whether this operation was over before the other began. Intervals are closed: equal stamps are concurrent, and
    /// the order of the file decides between equal times.
    pub fn precedes(&self, other: &Operation) -> bool {
        self.complete < other.invoke
    }
}

/// A time during which something was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultWindow {
    /// Joins it to the history's lines.
    pub id: u32,
    /// What was broken, in a word.
    pub fault: String,
    /// How, for people.
    pub detail: String,
    /// The nodes it struck.
    pub nodes: Vec<String>,
    /// When it began.
    pub began: Time,
    /// When it ended; `None` if the history ends before.
    pub ended: Option<Time>,
    /// The measured proof, if it ended.
    pub effect: Option<Effect>,
}

/// A whole history.
///
/// Its operations are kept as columns. A judge for whom speed matters reads those ([`History::columns`]), key by key
/// ([`History::by_key`]); all others take rows: one at a time ([`History::operation`], [`History::rows`]), or all of
/// them kept for good ([`History::rows`]).
#[derive(Debug, Default)]
pub struct History {
    pub(crate) columns: Columns,
    rows: OnceLock<Vec<Operation>>,
    /// All fault windows in the order in which they began.
    pub faults: Vec<FaultWindow>,
    /// When each phase began.
    pub phases: Vec<(Time, String)>,
    /// What nodes did by themselves.
    pub notes: Vec<(Time, Note)>,
    /// The number of events.
    pub events: u32,
    /// The time of the last event.
    pub end: Time,
    /// The file the columns lie in, if they do, and its checksum.
    file: Option<(Held, u32)>,
}

/// A file, of which nothing is to be said.
#[derive(Clone)]
struct Held(Shared);

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file")
    }
}

/// The rows are not taken along: whoever needs them gets them again.
impl Clone for History {
    fn clone(&self) -> Self {
        History { file: self.file.clone(), ..self.around(self.columns.clone()) }
    }
}

/// By what happened, however values are numbered.
impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && (&self.faults, &self.phases, &self.notes) == (&other.faults, &other.phases, &other.notes)
            && (self.events, self.end) == (other.events, other.end)
            && self.operations().eq(other.operations())
    }
}

/// Why a sequence of events is no history.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Contradiction {
    /// Time went back.
    #[error("time goes back: {now} after {before}")]
    TimeGoesBack {
        /// The earlier event's time.
        before: Time,
        /// The later event's time.
        now: Time,
    },
    /// A process has two calls open.
    #[error("{process} invokes {call} while its {open} is still open")]
    StillOpen {
        /// Who.
        process: Process,
        /// The new call.
        call: String,
        /// The open call.
        open: String,
    },
    /// A process came back after an `info`.
    #[error(
        "{process} invokes {call} although an earlier call of it ended in info: a process is retired then"
    )]
    Retired {
        /// Who.
        process: Process,
        /// The new call.
        call: String,
    },
    /// A completion without an invocation.
    #[error("{process} completes {call}, which it never invoked")]
    NeverInvoked {
        /// Who.
        process: Process,
        /// The call.
        call: String,
    },
    /// A completion of another call than the one invoked.
    #[error("{process} completes {call}, but what it invoked was {open}")]
    OtherCall {
        /// Who.
        process: Process,
        /// The call completed.
        call: String,
        /// The call invoked.
        open: String,
    },
    /// A fault ends that never began, or begins twice.
    #[error("fault {id} {problem}")]
    Fault {
        /// Which.
        id: u32,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More events than positions.
    #[error("more than 4294967294 events")]
    TooLong,
}

impl History {
    pub(crate) fn new(columns: Columns) -> Self {
        History { columns, ..History::default() }
    }

    /// Builds a history from events in the order of time.
    ///
    /// # Errors
    /// At the first event that contradicts an earlier one, with its position.
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Result<History, (usize, Contradiction)> {
        let mut builder = Builder::default();
        for (at, event) in events.into_iter().enumerate() {
            builder.push(event).map_err(|error| (at, error))?;
        }
        Ok(builder.finish())
    }

    /// The same run with other operations, in the order of their invocations: a part of this history, or what might have
    /// been. Nothing is checked. What did not complete may have [`Operation::ended`]; of what did, it is when it completed.
    #[must_use]
    pub fn with(&self, operations: impl IntoIterator<Item = Operation>) -> History {
        let mut growing = Growing::default();
        for (at, operation) in operations.into_iter().enumerate() {
            let Operation { process, node, call, outcome, invoked, completed, invoke, complete, ended } =
                operation;
            growing.invoke(process, node.as_deref(), &call, invoked, invoke);
            let ended = if complete == Position::MAX { ended } else { Some(completed) };
            growing.complete(at, &outcome, ended.map_or(u64::MAX, |ended| ended.0), complete);
        }
        self.around(growing.columns)
    }

    pub(crate) fn around(&self, columns: Columns) -> History {
        History {
            columns,
            rows: OnceLock::new(),
            faults: self.faults.clone(),
            phases: self.phases.clone(),
            notes: self.notes.clone(),
            events: self.events,
            end: self.end,
            file: None,
        }
    }

    pub(crate) fn lies_in(&mut self, file: Shared, checksum: u32) {
        self.file = Some((Held(file), checksum));
    }

    /// Whether it is still what was read. It is, but for one whose columns lie in a mapped file that was written to since: its
    /// bytes are summed up again.
    pub fn is_as_it_was_read(&self) -> bool {
        self.file.as_ref().is_none_or(|(Held(file), checksum)| binary::is_as_it_was(file, *checksum))
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// An operation, by its place in the order of invocations.
    ///
    /// # Panics
    /// If there is none at that place.
    pub fn operation(&self, at: usize) -> Operation {
        self.columns.operation(at)
    }

    /// All operations in the order of their invocations, each made when it is asked for.
    pub fn operations(&self) -> impl DoubleEndedIterator<Item = Operation> + ExactSizeIterator {
        (0..self.len()).map(|at| self.operation(at))
    }

    /// All operations in the order of their invocations, for judges and pictures that go to and fro between them. They are
    /// made at the first call and kept as long as the history: about 200 bytes each.
    pub fn rows(&self) -> &[Operation] {
        self.rows.get_or_init(|| self.operations().collect())
    }

    /// All operations, one array a property.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The operations of each key. Linear in the number of operations: they are counted, then put in their places.
    pub fn by_key(&self) -> ByKey<'_> {
        ByKey::new(&self.columns)
    }
}
