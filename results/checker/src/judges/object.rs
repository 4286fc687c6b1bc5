//! Operations on one key of a history as columns, for the judge of what the key is: the only place where these judges and
//! the vocabulary of calls meet.
//!
//! Values get numbers in the order of their first use, or in their own order where that means something (priorities,
//! tokens). A failed call is left out; what it would have put in is remembered for the sentence about who reads it.

use std::time::Duration;

use rustc_hash::FxHashMap;
use schism_history::{Call, Operation, Outcome, Process, Ret, Time, Value};

use super::log::Lists;
use super::{
    Answer, Columns, NEVER, counter, deltas, element, fallback, fencing, growing, ids, lock, log, priority,
    queue, semaphore, stack,
};

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A set under adds, removals and questions for one element.
    Elements,
    /// A set under adds and whole reads.
    GrowingSet,
    /// A log under appends, which may answer their offset, and whole reads.
    Log,
    /// A queue, first in first out.
    Queue,
    /// A queue that gives its elements in any order.
    Bag,
    /// The same, and all of it must be taken out at the end.
    TotalQueue,
    /// A queue that gives its smallest element first.
    PriorityQueue,
    /// A stack.
    Stack,
    /// A counter under increments, which may answer what it held before, and reads.
    Counter,
    /// Identifiers.
    Ids,
    /// A lock that its holder gives back.
    Mutex,
    /// A lock that anybody gives back.
    Semaphore,
    /// A lock that gives itself back.
    Lease {
        /// How long it is held at least, by the clock of whoever grants it, from the moment it is granted.
        ttl: Duration,
        /// How far that clock may be off over that time.
        clock_error: Duration,
    },
    /// Acquisitions with growing tokens, and what accepts them.
    Fencing,
}

impl Object {
    /// Its name, as `--model` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Object::Elements => "set-elements",
            Object::GrowingSet => "growing-set",
            Object::Log => "log",
            Object::Queue => "queue",
            Object::Bag => "bag",
            Object::TotalQueue => "total-queue",
            Object::PriorityQueue => "priority-queue",
            Object::Stack => "stack",
            Object::Counter => "counter",
            Object::Ids => "unique-ids",
            Object::Mutex => "mutex",
            Object::Semaphore => "semaphore",
            Object::Lease { .. } => "lease",
            Object::Fencing => "fencing-tokens",
        }
    }

    /// Whether the search can judge it, too.
    pub fn searchable(self) -> bool {
        fallback::searchable(self)
    }
}

/// One key's operations, ready to be judged.
pub(super) struct Case {
    object: Object,
    pub(super) columns: Columns,
    /// By place in the columns: the position in the history.
    pub(super) positions: Vec<usize>,
    /// What failed calls would have put in, and their positions.
    pub(super) failed: FxHashMap<Value, usize>,
    lists: Lists,
    /// By place: an append's offset.
    offsets: Vec<u32>,
    /// By block of a lock: from where on it may have lapsed.
    lapses: Vec<u32>,
    /// By number: an amount, where changes are not all by one.
    amounts: Vec<i64>,
}

/// A number that no counter or log reaches.
const FAR: u32 = (1 << 29) - 1;

/// Values as numbers.
struct Numbers<'h> {
    of: FxHashMap<&'h Value, u32>,
}

impl<'h> Numbers<'h> {
    fn new<'a>(object: Object, operations: &[(usize, &'a Operation)]) -> Numbers<'a> {
        let mut of = FxHashMap::default();
        if matches!(object, Object::PriorityQueue | Object::Fencing) {
            let mut values: Vec<&Value> =
                operations.iter().filter_map(|(_, operation)| subject(operation)).collect();
            values.sort_unstable();
            values.dedup();
            of.extend(values.into_iter().zip(0..));
        }
        Numbers { of }
    }

    fn number(&mut self, value: &'h Value) -> u32 {
        let next = self.of.len() as u32;
        *self.of.entry(value).or_insert(next)
    }
}

/// The value a call is about: its argument, or what it was answered.
fn subject(operation: &Operation) -> Option<&Value> {
    match (&operation.call, &operation.outcome) {
        (
            Call::Add { value, .. }
            | Call::Remove { value, .. }
            | Call::Contains { value, .. }
            | Call::Append { value, .. }
            | Call::Enqueue { value, .. }
            | Call::Push { value, .. }
            | Call::Use { token: value, .. },
            _,
        ) => Some(value),
        (_, Outcome::Ok(Ret::Value(value))) => Some(value),
        _ => None,
    }
}

impl Case {
    /// The operations on one key, with their positions in the history.
    ///
    /// # Errors
    /// The first call, or answer, that this object has no rule for.
    pub(super) fn of(object: Object, operations: &[(usize, &Operation)]) -> Result<Case, String> {
        let mut case = Case {
            object,
            columns: Columns::with_capacity(operations.len()),
            positions: Vec::with_capacity(operations.len()),
            failed: FxHashMap::default(),
            lists: Lists::default(),
            offsets: Vec::new(),
            lapses: Vec::new(),
            amounts: Vec::new(),
        };
        let mut numbers = Numbers::new(object, operations);
        let mut blocks = Blocks::default();
        if object == Object::Counter && !by_one(operations) {
            case.amounts.push(0);
        }
        for (position, operation) in operations {
            match (&operation.outcome, operation.call.changes()) {
                (Outcome::Fail(_), _) => {
                    if let Some(value) = subject(operation) {
                        case.failed.insert(value.clone(), *position);
                    }
                    continue;
                }
                (Outcome::Info(_), false) => continue,
                _ => {}
            }
            let what = case.what(operation, &mut numbers, &mut blocks);
            let Some((kind, number)) = what else {
                return Err(format!("a {} has no rule for {}", object.name(), shown(operation)));
            };
            if kind == PASSED_OVER {
                continue;
            }
            let complete = operation.outcome.is_ok().then_some(operation.complete);
            case.columns.push(kind, number, operation.invoke, complete);
            case.positions.push(*position);
        }
        if let Object::Lease { ttl, clock_error } = object {
            case.lapses = blocks.lapses(ttl.saturating_sub(clock_error), operations);
        }
        Ok(case)
    }

    /// What it did, in the words of its judge; `None` if there is no rule for it.
    fn what<'h>(
        &mut self,
        operation: &'h Operation,
        numbers: &mut Numbers<'h>,
        blocks: &mut Blocks,
    ) -> Option<(u32, u32)> {
        let answer = match &operation.outcome {
            Outcome::Ok(Ret::Value(value)) => Some(value),
            _ => None,
        };
        let known = operation.outcome.is_ok();
        match self.object {
            Object::Elements => elements(&operation.call, answer, numbers),
            Object::GrowingSet | Object::Log => self.listed(operation, answer, numbers),
            Object::Queue | Object::Bag | Object::TotalQueue | Object::PriorityQueue => match &operation.call
            {
                // Nil says that there was no element.
                Call::Enqueue { value: Value::Nil, .. } => None,
                Call::Enqueue { value, .. } => Some((queue::PUT, numbers.number(value))),
                Call::Dequeue { .. } => taken(known, answer, numbers),
                _ => None,
            },
            Object::Stack => match &operation.call {
                Call::Push { value: Value::Nil, .. } => None,
                Call::Push { value, .. } => Some((queue::PUT, numbers.number(value))),
                Call::Pop { .. } => taken(known, answer, numbers),
                _ => None,
            },
            Object::Counter => self.counted(&operation.call, answer),
            Object::Ids => match (&operation.call, answer) {
                (Call::Generate { .. }, Some(value)) => Some((ids::GENERATE, numbers.number(value))),
                (Call::Generate { .. }, None) => (!known).then_some((PASSED_OVER, 0)),
                _ => None,
            },
            Object::Mutex | Object::Semaphore | Object::Lease { .. } => match &operation.call {
                Call::Acquire { .. } => Some((lock::ACQUIRE, blocks.acquired(operation))),
                Call::Release { .. } => Some((lock::RELEASE, blocks.released(operation.process))),
                Call::Use { .. } => Some((PASSED_OVER, 0)),
                _ => None,
            },
            Object::Fencing => match (&operation.call, answer) {
                (Call::Acquire { .. }, Some(token)) => Some((fencing::ACQUIRE, numbers.number(token))),
                (Call::Acquire { .. }, None) => (!known).then_some((fencing::ACQUIRE, 0)),
                (Call::Release { .. }, _) => Some((PASSED_OVER, 0)),
                (Call::Use { token, .. }, _) => Some((fencing::USE, numbers.number(token))),
                _ => None,
            },
        }
    }

    fn listed<'h>(
        &mut self,
        operation: &'h Operation,
        answer: Option<&'h Value>,
        numbers: &mut Numbers<'h>,
    ) -> Option<(u32, u32)> {
        let (put, offset) = match (&operation.call, self.object, answer) {
            (Call::Append { value, .. }, Object::Log, Some(Value::Int(offset))) => {
                (value, u32::try_from(*offset).unwrap_or(FAR).min(FAR))
            }
            (Call::Append { value, .. }, Object::Log, None) => (value, NEVER),
            (Call::Add { value, .. }, Object::GrowingSet, None) => (value, NEVER),
            (Call::Read { .. }, _, Some(Value::Nil)) => {
                self.offsets.push(NEVER);
                return Some((log::READ, self.lists.push([])));
            }
            (Call::Read { .. }, _, Some(seen)) => {
                let seen = seen.elements()?;
                self.offsets.push(NEVER);
                let seen: Vec<u32> = seen.iter().map(|value| numbers.number(value)).collect();
                return Some((log::READ, self.lists.push(seen)));
            }
            _ => return None,
        };
        self.offsets.push(offset);
        Some((log::APPEND, numbers.number(put)))
    }

    fn counted(&mut self, call: &Call, answer: Option<&Value>) -> Option<(u32, u32)> {
        if !self.amounts.is_empty() {
            let (kind, amount) = match (call, answer) {
                (Call::Increment { by, .. }, _) => (deltas::CHANGE, *by),
                (Call::Read { .. }, Some(Value::Nil)) => (deltas::READ, 0),
                (Call::Read { .. }, Some(Value::Int(seen))) => (deltas::READ, *seen),
                _ => return None,
            };
            self.amounts.push(amount);
            return Some((kind, self.amounts.len() as u32 - 1));
        }
        let place = |value: i64| u32::try_from(value).unwrap_or(FAR).min(FAR);
        match (call, answer) {
            (Call::Increment { .. }, None) => Some((counter::CHANGE, 0)),
            (Call::Increment { .. }, Some(Value::Int(before))) => Some((counter::TICKET, place(*before))),
            (Call::Read { .. }, Some(Value::Nil)) => Some((counter::READ, 0)),
            (Call::Read { .. }, Some(Value::Int(seen))) => Some((counter::READ, place(*seen))),
            _ => None,
        }
    }

    /// Judges it.
    pub(super) fn judge(&self) -> Answer {
        match self.object {
            Object::Elements => element::judge(&self.columns),
            Object::GrowingSet => growing::judge(&self.columns, &self.lists),
            Object::Log => log::judge(&self.columns, &self.lists, &self.offsets),
            Object::Queue => queue::fifo(&self.columns),
            Object::Bag | Object::TotalQueue => queue::unordered(&self.columns),
            Object::PriorityQueue => priority::judge(&self.columns),
            Object::Stack => stack::judge(&self.columns),
            Object::Counter if !self.amounts.is_empty() => deltas::judge(&self.columns, &self.amounts),
            Object::Counter => counter::judge(&self.columns),
            Object::Ids => ids::judge(&self.columns),
            Object::Mutex | Object::Lease { .. } => lock::judge(&self.columns, &self.lapses),
            Object::Semaphore => semaphore::judge(&self.columns),
            Object::Fencing => fencing::judge(&self.columns),
        }
    }
}

/// It constrains nothing.
const PASSED_OVER: u32 = u32::MAX;

fn shown(operation: &Operation) -> String {
    match &operation.outcome {
        Outcome::Ok(Ret::Value(value)) => format!("{} answered by {value}", operation.call),
        _ => operation.call.to_string(),
    }
}

fn by_one(operations: &[(usize, &Operation)]) -> bool {
    operations.iter().all(|(_, operation)| match operation.call {
        Call::Increment { by, .. } => by == 1 || matches!(operation.outcome, Outcome::Fail(_)),
        _ => true,
    })
}

fn elements<'h>(call: &'h Call, answer: Option<&Value>, numbers: &mut Numbers<'h>) -> Option<(u32, u32)> {
    let (kind, value) = match (call, answer) {
        (Call::Add { value, .. }, None) => (element::ADD, value),
        (Call::Add { value, .. }, Some(Value::Bool(true))) => (element::ADDED, value),
        (Call::Add { value, .. }, Some(Value::Bool(false))) => (element::PRESENT, value),
        (Call::Remove { value, .. }, None) => (element::REMOVE, value),
        (Call::Remove { value, .. }, Some(Value::Bool(true))) => (element::REMOVED, value),
        (Call::Remove { value, .. }, Some(Value::Bool(false))) => (element::ABSENT, value),
        (Call::Contains { value, .. }, Some(Value::Bool(true))) => (element::PRESENT, value),
        (Call::Contains { value, .. }, Some(Value::Bool(false))) => (element::ABSENT, value),
        _ => return None,
    };
    Some((kind, numbers.number(value)))
}

fn taken<'h>(known: bool, answer: Option<&'h Value>, numbers: &mut Numbers<'h>) -> Option<(u32, u32)> {
    match answer {
        Some(Value::Nil) => Some((queue::EMPTY, 0)),
        Some(value) => Some((queue::TAKE, numbers.number(value))),
        None => (!known).then_some((queue::TAKE, 0)),
    }
}

/// Acquisitions and the releases that belong to them: a process gives back what it acquired last.
#[derive(Default)]
struct Blocks {
    open: FxHashMap<Process, u32>,
    /// By block, when its acquisition began, if it has one.
    acquired: Vec<Option<Time>>,
}

impl Blocks {
    fn acquired(&mut self, operation: &Operation) -> u32 {
        self.acquired.push(Some(operation.invoked));
        let block = self.acquired.len() as u32 - 1;
        self.open.insert(operation.process, block);
        block
    }

    /// A release of what was never acquired is a block of its own.
    fn released(&mut self, process: Process) -> u32 {
        self.open.remove(&process).unwrap_or_else(|| {
            self.acquired.push(None);
            self.acquired.len() as u32 - 1
        })
    }

    /// By block, the first position at a time when a lease acquired no earlier than its call began may have run out.
    fn lapses(&self, held: Duration, operations: &[(usize, &Operation)]) -> Vec<u32> {
        let held = u64::try_from(held.as_nanos()).unwrap_or(u64::MAX);
        let mut ends: Vec<(Time, u32)> = operations
            .iter()
            .flat_map(|(_, operation)| {
                [(operation.invoked, operation.invoke), (operation.completed, operation.complete)]
            })
            .collect();
        ends.sort_unstable();
        let lapse = |acquired: &Option<Time>| {
            let lapse = Time(acquired.map_or(u64::MAX, |acquired| acquired.0.saturating_add(held)));
            ends.get(ends.partition_point(|(time, _)| *time < lapse)).map_or(NEVER, |(_, position)| *position)
        };
        self.acquired.iter().map(lapse).collect()
    }
}
