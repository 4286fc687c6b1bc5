//! Operations on one key of a history as columns, for the judge of what the key is: the only place where these judges and
//! the vocabulary of calls meet.
//!
//! Values get numbers in the order of their first use, or in their own order where that means something (priorities,
//! tokens). A failed call is left out.

use std::time::Duration;

use rustc_hash::FxHashMap;
use schism_history::{CallKind, History, Numbers, Process, Status, Time, Value};

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
    pub(super) positions: Vec<u32>,
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

/// An operation as it lies in the columns of the history: values are their numbers in it. Rows would be far larger than all
/// else that is kept of it.
#[derive(Clone, Copy)]
struct Told<'h> {
    columns: &'h schism_history::Columns,
    at: usize,
}

impl<'h> Told<'h> {
    fn kind(self) -> CallKind {
        self.columns.kind()[self.at]
    }

    fn status(self) -> Status {
        self.columns.status()[self.at]
    }

    fn process(self) -> Process {
        Process(self.columns.process()[self.at])
    }

    fn invoked(self) -> Time {
        Time(self.columns.invoked()[self.at])
    }

    /// What it was called with. Only of calls that take one value.
    fn argument(self) -> u32 {
        self.columns.argument()[self.at]
    }

    fn answer(self) -> Option<u32> {
        let answered = self.status() == Status::Answered;
        answered.then(|| self.columns.answer()[self.at])
    }

    fn value(self, number: u32) -> &'h Value {
        &self.columns.values()[number as usize]
    }

    /// What it was answered, itself.
    fn answered(self) -> Option<&'h Value> {
        self.answer().map(|number| self.value(number))
    }

    /// How much it adds, if it adds a number: Jepsen's counters are under `add`.
    fn amount(self) -> Option<i64> {
        let adds = matches!(self.kind(), CallKind::Increment | CallKind::Add);
        match self.value(adds.then(|| self.argument())?) {
            Value::Int(by) => Some(*by),
            _ => None,
        }
    }

    /// The value it is about: its argument, or what it was answered.
    fn subject(self) -> Option<u32> {
        use CallKind::{Add, Append, Contains, Enqueue, Push, Remove, Use};
        match self.kind() {
            Add | Remove | Contains | Append | Enqueue | Push | Use => Some(self.argument()),
            _ => self.answer(),
        }
    }
}

/// Operations of a history, by their places in it.
#[derive(Clone, Copy)]
struct AllTold<'h> {
    columns: &'h schism_history::Columns,
    operations: &'h [u32],
}

impl<'h> AllTold<'h> {
    fn iter(self) -> impl Iterator<Item = (u32, Told<'h>)> {
        let columns = self.columns;
        self.operations.iter().map(move |at| (*at, Told { columns, at: *at as usize }))
    }

    /// Whether some read was answered.
    fn tell_lists(self) -> bool {
        self.iter().any(|(_, told)| told.kind() == CallKind::Read && told.answer().is_some())
    }

    /// Begins the numbers of these operations' values: 0 is none of them.
    fn number(self, object: Object, numbers: &mut Numbers) {
        numbers.start(self.columns.value_count(), u32::MAX);
        if matches!(object, Object::PriorityQueue | Object::Fencing) {
            let values = self.columns.values();
            let mut subjects: Vec<u32> = self.iter().filter_map(|(_, told)| told.subject()).collect();
            subjects.sort_unstable_by(|one, other| values[*one as usize].cmp(&values[*other as usize]));
            for subject in subjects {
                numbers.of(subject);
            }
        }
    }
}

/// What is known of the operations before the next one.
struct Known<'h, 'n> {
    numbers: &'n mut Numbers,
    /// Where reads tell whole lists: the numbers of elements, since a list's are no values of the history by themselves.
    elements: Option<FxHashMap<&'h Value, u32>>,
    blocks: Blocks,
}

impl<'h> Known<'h, '_> {
    /// The number of the element that is put in.
    fn put(&mut self, told: Told<'h>) -> u32 {
        match &mut self.elements {
            Some(elements) => next(elements, told.value(told.argument())),
            None => self.numbers.of(told.argument()),
        }
    }

    /// The numbers of what a read told.
    fn seen(&mut self, elements: &'h [Value]) -> Vec<u32> {
        let known = self.elements.get_or_insert_default();
        elements.iter().map(|element| next(known, element)).collect()
    }
}

fn next<'h>(elements: &mut FxHashMap<&'h Value, u32>, element: &'h Value) -> u32 {
    let next = elements.len() as u32;
    *elements.entry(element).or_insert(next)
}

impl Case {
    /// The operations on one key, by their places in the history.
    ///
    /// # Errors
    /// The first call, or answer, that this object has no rule for.
    pub(super) fn of(
        object: Object,
        history: &History,
        operations: &[u32],
        numbers: &mut Numbers,
    ) -> Result<Case, String> {
        let mut case = Case {
            object,
            columns: Columns::with_capacity(operations.len()),
            positions: Vec::with_capacity(operations.len()),
            lists: Lists::default(),
            offsets: Vec::new(),
            lapses: Vec::new(),
            amounts: Vec::new(),
        };
        let all = AllTold { columns: history.columns(), operations };
        all.number(object, numbers);
        let lists = matches!(object, Object::GrowingSet | Object::Log) && all.tell_lists();
        let mut known =
            Known { numbers, elements: lists.then(FxHashMap::default), blocks: Blocks::default() };
        if object == Object::Counter && !by_one(all) {
            case.amounts.push(0);
        }
        for (position, told) in all.iter() {
            match (told.status(), told.kind()) {
                (Status::Fail, _)
                | (Status::Info | Status::Open, CallKind::Read | CallKind::Contains | CallKind::Watch) => {
                    continue;
                }
                _ => {}
            }
            let Some((kind, number)) = case.what(told, &mut known) else {
                return Err(format!("a {} has no rule for {}", object.name(), shown(history, told)));
            };
            if kind == PASSED_OVER {
                continue;
            }
            let complete = told.status().is_ok().then(|| history.columns().complete()[told.at]);
            case.columns.push(kind, number, history.columns().invoke()[told.at], complete);
            case.positions.push(position);
        }
        if let Object::Lease { ttl, clock_error } = object {
            case.lapses = known.blocks.lapses(ttl.saturating_sub(clock_error), all);
        }
        Ok(case)
    }

    /// What it did, in the words of its judge; `None` if there is no rule for it.
    fn what<'h>(&mut self, told: Told<'h>, known: &mut Known<'h, '_>) -> Option<(u32, u32)> {
        let (answer, is_ok) = (told.answer(), told.status().is_ok());
        let Known { numbers, blocks, .. } = &mut *known;
        match self.object {
            Object::Elements => elements(told, numbers),
            Object::GrowingSet | Object::Log => self.listed(told, known),
            Object::Queue | Object::Bag | Object::TotalQueue | Object::PriorityQueue => match told.kind() {
                CallKind::Enqueue => put(told, numbers),
                CallKind::Dequeue => taken(is_ok, answer, numbers),
                _ => None,
            },
            Object::Stack => match told.kind() {
                CallKind::Push => put(told, numbers),
                CallKind::Pop => taken(is_ok, answer, numbers),
                _ => None,
            },
            Object::Counter => self.counted(told),
            Object::Ids => match (told.kind(), answer) {
                (CallKind::Generate, Some(value)) => Some((ids::GENERATE, numbers.of(value))),
                (CallKind::Generate, None) => (!is_ok).then_some((PASSED_OVER, 0)),
                _ => None,
            },
            Object::Mutex | Object::Semaphore | Object::Lease { .. } => match told.kind() {
                CallKind::Acquire => Some((lock::ACQUIRE, blocks.acquired(told))),
                CallKind::Release => Some((lock::RELEASE, blocks.released(told.process()))),
                CallKind::Use | CallKind::Read => Some((PASSED_OVER, 0)),
                _ => None,
            },
            Object::Fencing => match (told.kind(), answer) {
                (CallKind::Acquire, Some(token)) => Some((fencing::ACQUIRE, numbers.of(token))),
                (CallKind::Acquire, None) => (!is_ok).then_some((fencing::ACQUIRE, 0)),
                (CallKind::Release | CallKind::Read, _) => Some((PASSED_OVER, 0)),
                (CallKind::Use, _) => Some((fencing::USE, numbers.of(told.argument()))),
                _ => None,
            },
        }
    }

    fn listed<'h>(&mut self, told: Told<'h>, known: &mut Known<'h, '_>) -> Option<(u32, u32)> {
        let offset = match (told.kind(), self.object, told.answered()) {
            (CallKind::Append, Object::Log, Some(Value::Int(offset))) => {
                u32::try_from(*offset).unwrap_or(FAR).min(FAR)
            }
            (CallKind::Append, Object::Log, None) | (CallKind::Add, Object::GrowingSet, None) => NEVER,
            (CallKind::Read, _, Some(Value::Nil)) => {
                self.offsets.push(NEVER);
                return Some((log::READ, self.lists.push([])));
            }
            (CallKind::Read, _, Some(seen)) => {
                let seen = seen.elements()?;
                self.offsets.push(NEVER);
                return Some((log::READ, self.lists.push(known.seen(seen))));
            }
            _ => return None,
        };
        self.offsets.push(offset);
        Some((log::APPEND, known.put(told)))
    }

    fn counted(&mut self, told: Told<'_>) -> Option<(u32, u32)> {
        if !self.amounts.is_empty() {
            let (kind, amount) = match (told.kind(), told.answered()) {
                (CallKind::Read, Some(Value::Nil)) => (deltas::READ, 0),
                (CallKind::Read, Some(Value::Int(seen))) => (deltas::READ, *seen),
                _ => (deltas::CHANGE, told.amount()?),
            };
            self.amounts.push(amount);
            return Some((kind, self.amounts.len() as u32 - 1));
        }
        let place = |value: i64| u32::try_from(value).unwrap_or(FAR).min(FAR);
        match (told.kind(), told.answered()) {
            (CallKind::Increment | CallKind::Add, None) => Some((counter::CHANGE, 0)),
            (CallKind::Increment | CallKind::Add, Some(Value::Int(before))) => {
                Some((counter::TICKET, place(*before)))
            }
            (CallKind::Read, Some(Value::Nil)) => Some((counter::READ, 0)),
            (CallKind::Read, Some(Value::Int(seen))) => Some((counter::READ, place(*seen))),
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

/// It constrains nothing, as a read of what a lock guards.
const PASSED_OVER: u32 = u32::MAX;

fn shown(history: &History, told: Told<'_>) -> String {
    let call = history.columns().call(told.at);
    match told.answered() {
        Some(value) => format!("{call} answered by {value}"),
        None => call.to_string(),
    }
}

fn by_one(all: AllTold<'_>) -> bool {
    all.iter().all(|(_, told)| {
        told.kind() == CallKind::Read || told.status() == Status::Fail || told.amount() == Some(1)
    })
}

fn elements(told: Told<'_>, numbers: &mut Numbers) -> Option<(u32, u32)> {
    let kind = match (told.kind(), told.answered()) {
        (CallKind::Add, None) => element::ADD,
        (CallKind::Add, Some(Value::Bool(true))) => element::ADDED,
        (CallKind::Add, Some(Value::Bool(false))) => element::PRESENT,
        (CallKind::Remove, None) => element::REMOVE,
        (CallKind::Remove, Some(Value::Bool(true))) => element::REMOVED,
        (CallKind::Remove, Some(Value::Bool(false))) => element::ABSENT,
        (CallKind::Contains, Some(Value::Bool(true))) => element::PRESENT,
        (CallKind::Contains, Some(Value::Bool(false))) => element::ABSENT,
        _ => return None,
    };
    Some((kind, numbers.of(told.argument())))
}

/// Nil says that there was no element: nobody can put that in.
fn put(told: Told<'_>, numbers: &mut Numbers) -> Option<(u32, u32)> {
    let value = told.argument();
    (value != schism_history::Columns::NIL).then(|| (queue::PUT, numbers.of(value)))
}

fn taken(is_ok: bool, answer: Option<u32>, numbers: &mut Numbers) -> Option<(u32, u32)> {
    match answer {
        Some(schism_history::Columns::NIL) => Some((queue::EMPTY, 0)),
        Some(value) => Some((queue::TAKE, numbers.of(value))),
        None => (!is_ok).then_some((queue::TAKE, 0)),
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
    fn acquired(&mut self, told: Told<'_>) -> u32 {
        self.acquired.push(Some(told.invoked()));
        let block = self.acquired.len() as u32 - 1;
        self.open.insert(told.process(), block);
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
    fn lapses(&self, held: Duration, all: AllTold<'_>) -> Vec<u32> {
        let held = u64::try_from(held.as_nanos()).unwrap_or(u64::MAX);
        let columns = all.columns;
        let mut ends = Vec::with_capacity(2 * all.operations.len());
        for (_, told) in all.iter() {
            let complete = columns.complete()[told.at];
            let completed = if complete == NEVER { u64::MAX } else { columns.ended()[told.at] };
            ends.extend([(told.invoked(), columns.invoke()[told.at]), (Time(completed), complete)]);
        }
        ends.sort_unstable();
        let lapse = |acquired: &Option<Time>| {
            let lapse = Time(acquired.map_or(u64::MAX, |acquired| acquired.0.saturating_add(held)));
            ends.get(ends.partition_point(|(time, _)| *time < lapse)).map_or(NEVER, |(_, position)| *position)
        };
        self.acquired.iter().map(lapse).collect()
    }
}
