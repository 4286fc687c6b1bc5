//! Pairs events up into the operations of a history, one event at a time, and refuses what contradicts what came before.
//!
//! It finds: time that goes back, a second call while one is open, a process that comes back after an `info`, an answer to
//! nothing or to another call, faults that do not begin and end. It cannot find a client that lies.

mod short;

use rustc_hash::FxHashMap;

use crate::call::{Call, Outcome};
use crate::columns::{Columns, Growing};
use crate::event::{Edge, Event, FaultEvent, Process, Time, What};
use crate::history::{Contradiction, FaultWindow, History, Position};

pub(crate) use self::short::Ending;

/// Processes with smaller numbers are looked up in a table.
const TABLE: usize = 1 << 16;

/// Pairs events up, one at a time. Feed it with [`Builder::push`] in the order of the file, then [`Builder::finish`].
#[derive(Debug, Default)]
pub struct Builder {
    history: History,
    operations: Growing,
    processes: Processes,
    fault_index: FxHashMap<u32, usize>,
    lenient: bool,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    /// Nothing.
    #[default]
    Idle,
    /// This operation.
    Call(u32),
    /// Nothing, for ever.
    Retired,
}

/// What each process is doing.
#[derive(Debug, Default)]
struct Processes {
    table: Vec<Open>,
    others: FxHashMap<Process, Open>,
}

impl Processes {
    fn get(&mut self, process: Process) -> &mut Open {
        let place = process.0 as usize;
        if place >= TABLE {
            return self.others.entry(process).or_default();
        }
        if place >= self.table.len() {
            self.table.resize((place + 1).next_power_of_two(), Open::Idle);
        }
        &mut self.table[place]
    }
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
        match event.what {
            What::Invoke { process, node, call } => {
                return self.invoke(event.time, process, node.as_deref(), &call);
            }
            What::Complete { process, call, outcome } => {
                return self.complete(event.time, process, Some(&call), &outcome);
            }
            _ => {}
        }
        self.due(event.time)?;
        match event.what {
            What::Fault(fault) => self.fault(event.time, fault)?,
            What::Phase(phase) => self.history.phases.push((event.time, phase)),
            What::Note(note) => self.history.notes.push((event.time, note)),
            What::Invoke { .. } | What::Complete { .. } => unreachable!("taken before"),
        }
        self.took(event.time);
        Ok(())
    }

    /// The operation that a process has open, by its place.
    pub(crate) fn open(&mut self, process: Process) -> Option<usize> {
        match *self.processes.get(process) {
            Open::Call(at) => Some(at as usize),
            Open::Idle | Open::Retired => None,
        }
    }

    /// The operations so far.
    pub(crate) fn columns(&self) -> &Columns {
        &self.operations.columns
    }

    /// Takes an invocation.
    ///
    /// # Errors
    /// As [`Builder::push`].
    pub fn invoke(
        &mut self,
        time: Time,
        process: Process,
        node: Option<&str>,
        call: &Call,
    ) -> Result<(), Contradiction> {
        let position = self.due(time)?;
        let open = self.processes.get(process);
        match *open {
            Open::Call(at) => {
                let open = self.operations.columns.call(at as usize).to_string();
                return Err(Contradiction::StillOpen { process, call: call.to_string(), open });
            }
            Open::Retired if !self.lenient => {
                return Err(Contradiction::Retired { process, call: call.to_string() });
            }
            Open::Idle | Open::Retired => {}
        }
        *open = Open::Call(self.operations.columns.len() as u32);
        self.operations.invoke(process, node, call, time, position);
        self.took(time);
        Ok(())
    }

    /// Takes a completion: of that call, or of whatever the process has open.
    ///
    /// # Errors
    /// As [`Builder::push`].
    pub fn complete(
        &mut self,
        time: Time,
        process: Process,
        call: Option<&Call>,
        outcome: &Outcome,
    ) -> Result<(), Contradiction> {
        let position = self.due(time)?;
        let open = self.processes.get(process);
        let Open::Call(at) = *open else {
            let call = call.map_or("a call".into(), ToString::to_string);
            return Err(Contradiction::NeverInvoked { process, call });
        };
        let at = at as usize;
        if let Some(call) = call.filter(|call| !self.operations.columns.asked(at, call)) {
            let open = self.operations.columns.call(at).to_string();
            return Err(Contradiction::OtherCall { process, call: call.to_string(), open });
        }
        let info = matches!(outcome, Outcome::Info(_));
        *open = if info { Open::Retired } else { Open::Idle };
        let complete = if info { Position::MAX } else { position };
        self.operations.complete(at, outcome, time.0, complete);
        self.took(time);
        Ok(())
    }

    /// Passes an event over that another one takes.
    ///
    /// # Errors
    /// As [`Builder::push`], when it may not come at this time.
    pub(crate) fn pass(&mut self, time: Time) -> Result<(), Contradiction> {
        self.due(time)?;
        self.took(time);
        Ok(())
    }

    /// Makes room for so many operations more, so that none is left unused.
    pub(crate) fn reserve(&mut self, operations: usize) {
        self.operations.reserve(operations);
    }

    /// How many events there were.
    pub(crate) fn events(&self) -> Position {
        self.history.events
    }

    /// Passes over all events before this position.
    pub(crate) fn go_to(&mut self, position: Position) {
        self.history.events = position;
    }

    /// The history of all events taken. Calls still open are `Info`.
    pub fn finish(self) -> History {
        let mut history = History::new(self.operations.columns);
        let History { faults, phases, notes, events, end, .. } = self.history;
        (history.faults, history.phases, history.notes) = (faults, phases, notes);
        (history.events, history.end) = (events, end);
        history
    }

    /// The position of the next event, if it may come at this time.
    fn due(&self, time: Time) -> Result<Position, Contradiction> {
        if time < self.history.end {
            return Err(Contradiction::TimeGoesBack { before: self.history.end, now: time });
        }
        if self.history.events == Position::MAX - 1 {
            return Err(Contradiction::TooLong);
        }
        Ok(self.history.events)
    }

    fn took(&mut self, time: Time) {
        self.history.events += 1;
        self.history.end = time;
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
