//! A whole history: operations paired up from events, fault windows, phases. Checked for consistency on the way in, so
//! that no judge ever sees a contradictory one.

use std::collections::HashMap;

use thiserror::Error;

use crate::call::{Call, Outcome, Ret};
use crate::event::{Edge, Effect, Event, FaultEvent, Note, Process, Time, What};

/// A position in the order of all events of a history.
pub type Position = u32;

/// An invocation with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Who.
    pub process: Process,
    /// The node it spoke to, where known.
    pub node: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// All operations in the order of their invocations.
    pub operations: Vec<Operation>,
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

/// Pairs events up, one at a time. Feed it with [`Builder::push`] in the order of the file, then [`Builder::finish`].
#[derive(Debug, Default)]
pub struct Builder {
    history: History,
    open: HashMap<Process, Open>,
    fault_index: HashMap<u32, usize>,
    lenient: bool,
}

#[derive(Clone, Copy, Debug)]
enum Open {
    Call(usize),
    Retired,
}

impl Builder {
    /// A builder that lets a process come back after an `info`, as some peers' histories have it. The open call stays
    /// open for ever.
    pub fn lenient() -> Self {
        Builder { lenient: true, ..Builder::default() }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// When the event contradicts an earlier one. The builder can still be finished then: it holds what came before.
    pub fn push(&mut self, event: Event) -> Result<(), Contradiction> {
        if event.time < self.history.end {
            return Err(Contradiction::TimeGoesBack { before: self.history.end, now: event.time });
        }
        let position = self.history.events;
        if position == Position::MAX - 1 {
            return Err(Contradiction::TooLong);
        }
        match event.what {
            What::Invoke { process, node, call } => self.invoke(event.time, position, process, node, call)?,
            What::Complete { process, call, outcome } => {
                self.complete(event.time, position, process, call, outcome)?;
            }
            What::Fault(fault) => self.fault(event.time, fault)?,
            What::Phase(phase) => self.history.phases.push((event.time, phase)),
            What::Note(note) => self.history.notes.push((event.time, note)),
        }
        self.history.events += 1;
        self.history.end = event.time;
        Ok(())
    }

    /// The history of all events taken. Calls still open are `Info`.
    pub fn finish(self) -> History {
        self.history
    }

    fn invoke(
        &mut self,
        time: Time,
        position: Position,
        process: Process,
        node: Option<String>,
        call: Call,
    ) -> Result<(), Contradiction> {
        match self.open.get(&process) {
            Some(Open::Call(at)) => {
                let open = self.history.operations[*at].call.to_string();
                return Err(Contradiction::StillOpen { process, call: call.to_string(), open });
            }
            Some(Open::Retired) if !self.lenient => {
                return Err(Contradiction::Retired { process, call: call.to_string() });
            }
            _ => {}
        }
        self.open.insert(process, Open::Call(self.history.operations.len()));
        self.history.operations.push(Operation {
            process,
            node,
            call,
            outcome: Outcome::Info("the history ends before its completion".into()),
            invoked: time,
            completed: Time::NEVER,
            invoke: position,
            complete: Position::MAX,
            ended: None,
        });
        Ok(())
    }

    fn complete(
        &mut self,
        time: Time,
        position: Position,
        process: Process,
        call: Call,
        outcome: Outcome,
    ) -> Result<(), Contradiction> {
        let Some(Open::Call(at)) = self.open.get(&process).copied() else {
            return Err(Contradiction::NeverInvoked { process, call: call.to_string() });
        };
        let operation = &mut self.history.operations[at];
        if operation.call != call {
            let open = operation.call.to_string();
            return Err(Contradiction::OtherCall { process, call: call.to_string(), open });
        }
        operation.ended = Some(time);
        if matches!(outcome, Outcome::Info(_)) {
            self.open.insert(process, Open::Retired);
        } else {
            operation.completed = time;
            operation.complete = position;
            self.open.remove(&process);
        }
        operation.outcome = outcome;
        Ok(())
    }

    fn fault(&mut self, time: Time, fault: FaultEvent) -> Result<(), Contradiction> {
        let problem = |problem| Contradiction::Fault { id: fault.id, problem };
        match fault.edge {
            Edge::Begin => {
                if self.fault_index.insert(fault.id, self.history.faults.len()).is_some() {
                    return Err(problem("begins twice"));
                }
                self.history.faults.push(FaultWindow {
                    id: fault.id,
                    fault: fault.fault,
                    detail: fault.detail,
                    nodes: fault.nodes,
                    began: time,
                    ended: None,
                    effect: None,
                });
            }
            Edge::End => {
                let at = *self.fault_index.get(&fault.id).ok_or_else(|| problem("ends but never began"))?;
                let window = &mut self.history.faults[at];
                if window.ended.is_some() {
                    return Err(problem("ends twice"));
                }
                window.ended = Some(time);
                window.effect = fault.effect;
            }
        }
        Ok(())
    }
}

impl History {
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

    /// The operations of each key, keys in order of first use, each key's operations in the order of invocation.
    /// Linear in the number of operations.
    pub fn by_key(&self) -> Vec<(&crate::Key, Vec<&Operation>)> {
        let mut at: HashMap<&crate::Key, usize> = HashMap::new();
        let mut keys: Vec<(&crate::Key, Vec<&Operation>)> = Vec::new();
        for operation in &self.operations {
            let key = operation.call.key();
            let slot = *at.entry(key).or_insert_with(|| {
                keys.push((key, Vec::new()));
                keys.len() - 1
            });
            keys[slot].1.push(operation);
        }
        keys
    }
}
