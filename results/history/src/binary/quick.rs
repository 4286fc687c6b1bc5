//! Whether the columns of a binary history could have come out of a [`Builder`](crate::Builder): the quick answer.
//!
//! Almost without branches: it does not say what is wrong, only that something is ([`super::check`] says what). Ends are put
//! into a ring by their positions and taken out in that order, so that nothing as long as the history is needed: the ring is
//! as long as the longest operation has events.

use rustc_hash::FxHashMap;

use super::Rest;
use crate::call::CallKind;
use crate::column::List;
use crate::columns::{Columns, Status};
use crate::history::Position;
use crate::intern::NONE;
use crate::value::Value;

/// The ring has so many places at first.
const RING: usize = 1 << 12;

/// Processes with smaller numbers are looked up in a table.
const TABLE: usize = 1 << 14;

/// No end stands here.
const FREE: u64 = u64::MAX;

/// Whether all is well in columns of the same length; the steps of transactions aside.
pub(super) fn is_well(columns: &Columns, rest: &Rest) -> bool {
    numbers(columns) && ends(columns, rest)
}

/// Every number stands for what it must stand for.
fn numbers(columns: &Columns) -> bool {
    let count = |length: usize| u32::try_from(length).unwrap_or(NONE);
    let (values, texts) = (count(columns.values.len()), count(columns.texts.len()));
    if !columns.values.begins_with_nil()
        || columns.swaps.iter().flatten().any(|value| *value >= values)
        || columns.key.iter().any(|key| *key as usize >= columns.keys.len())
        || columns.node.iter().any(|node| node.wrapping_add(1) > texts)
    {
        return false;
    }
    // For each kind of call, the first argument that fits, how many fit, and how much later the first one is the next time.
    let mut arguments = CallKind::ALL.map(|kind| match kind {
        CallKind::Cas | CallKind::Txn => [0, 1, 1],
        CallKind::Increment | CallKind::Watch => columns.values.integers(),
        kind if kind.is_bare() => [NONE, 1, 0],
        _ => [0, values, 0],
    });
    let mut fit = true;
    for (kind, argument) in columns.kind.iter().zip(columns.argument.iter()) {
        let [first, fitting, step] = &mut arguments[*kind as usize];
        fit &= argument.wrapping_sub(*first) < *fitting;
        *first += *step;
    }
    let answers = [[NONE, 1], [0, values], [0, texts], [0, texts], [NONE, 1]];
    for (status, answer) in columns.status.iter().zip(columns.answer.iter()) {
        let [first, fitting] = answers[*status as usize];
        fit &= answer.wrapping_sub(first) < fitting;
    }
    let used = [CallKind::Cas, CallKind::Txn].map(|kind| arguments[kind as usize][0] as usize);
    fit && used == [columns.swaps.len(), columns.transactions.len()] && numbers_are_integers(columns)
}

/// The numbers of increments and watches, where [`List::integers`] does not know which values are integers.
fn numbers_are_integers(columns: &Columns) -> bool {
    let List::Made(values) = &columns.values else { return true };
    let mut calls = columns.kind.iter().zip(columns.argument.iter());
    calls.all(|(kind, argument)| match kind {
        CallKind::Increment | CallKind::Watch => {
            matches!(values.get(*argument as usize), Some(Value::Int(_)))
        }
        _ => true,
    })
}

/// Positions and times, and that a process does one thing at a time.
fn ends(columns: &Columns, rest: &Rest) -> bool {
    let others = 2 * rest.faults.len() + rest.phases.len() + rest.notes.len();
    let (events, end) = (rest.events, rest.end.0);
    if events as usize > 2 * columns.len() + others {
        return false;
    }
    let (mut ring, mut processes) = (Ring::default(), Processes::default());
    let positions = columns.invoke.iter().zip(columns.complete.iter());
    let times = columns.invoked.iter().zip(columns.ended.iter());
    let who = columns.process.iter().zip(columns.status.iter());
    for (((invoke, complete), (invoked, ended)), (process, status)) in positions.zip(times).zip(who) {
        let (is_info, is_open) = (status.is_info(), *status == Status::Open);
        let fits = (is_info == (*complete == Position::MAX))
            & (is_open == (*ended == FREE))
            & (*ended >= *invoked)
            & (*complete > *invoke)
            & (*invoked <= end)
            & (is_open | (*ended <= end))
            & (*invoke < events)
            & (is_info | (*complete < events));
        if !fits || !ring.invoke(*invoke, *invoked) || !is_info && !ring.complete(*complete, *ended) {
            return false;
        }
        // From which position and time on the process may invoke again.
        let free = if is_open { Position::MAX } else { complete.wrapping_add(1) };
        let since = if is_info { *ended } else { 0 };
        let (position, time) = std::mem::replace(processes.get(*process), (free, since));
        if *invoke < position || *invoked < time {
            return false;
        }
    }
    ring.finish()
}

/// Completions to come, by position.
struct Ring {
    /// When the completion at a position is.
    times: Vec<u64>,
    /// The next position to be taken out.
    next: Position,
    /// When what was taken out last was.
    before: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Ring { times: vec![FREE; RING], next: 0, before: 0 }
    }
}

impl Ring {
    /// Takes out what comes before an invocation, which must come after it and at a position of its own.
    #[inline]
    fn invoke(&mut self, position: Position, time: u64) -> bool {
        let mut sorted = position >= self.next;
        while self.next < position {
            sorted &= self.take();
        }
        let place = position as usize & (self.times.len() - 1);
        sorted &= self.times[place] == FREE && time >= self.before;
        self.before = time;
        self.next = position + 1;
        sorted
    }

    /// Takes the next position out, and says whether it is in order.
    #[inline]
    fn take(&mut self) -> bool {
        let place = self.next as usize & (self.times.len() - 1);
        let time = std::mem::replace(&mut self.times[place], FREE);
        let sorted = time >= self.before;
        self.before = if time == FREE { self.before } else { time };
        self.next += 1;
        sorted
    }

    /// Puts in a completion that comes after the last invocation, at a position of its own.
    #[inline]
    fn complete(&mut self, position: Position, time: u64) -> bool {
        if (position - self.next) as usize >= self.times.len() {
            self.grow(position);
        }
        let place = position as usize & (self.times.len() - 1);
        std::mem::replace(&mut self.times[place], time) == FREE
    }

    #[cold]
    fn grow(&mut self, position: Position) {
        let length = ((position - self.next) as usize + 1).next_power_of_two();
        let mut times = vec![FREE; length];
        for position in self.next as usize..self.next as usize + self.times.len() {
            times[position & (length - 1)] = self.times[position & (self.times.len() - 1)];
        }
        self.times = times;
    }

    /// Takes out all that is left.
    fn finish(mut self) -> bool {
        (0..self.times.len()).all(|_| self.take())
    }
}

/// From which position and time on each process may invoke again.
struct Processes {
    table: Vec<(Position, u64)>,
    others: FxHashMap<u32, (Position, u64)>,
}

impl Default for Processes {
    fn default() -> Self {
        Processes { table: vec![(0, 0); TABLE], others: FxHashMap::default() }
    }
}

impl Processes {
    #[inline]
    fn get(&mut self, process: u32) -> &mut (Position, u64) {
        match self.table.get_mut(process as usize) {
            Some(free) => free,
            None => self.others.entry(process).or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_taken_once() {
        let mut ring = Ring::default();
        assert!(ring.invoke(0, 5) && ring.complete(1, 5) && !ring.complete(1, 5));
        let mut ring = Ring::default();
        assert!(ring.invoke(0, 5) && ring.complete(1, 5) && !ring.invoke(1, 5));
    }

    /// Also where the ring has to grow for the longest operation, and where positions were left out.
    #[test]
    fn time_does_not_go_back_from_one_position_to_the_next() {
        for (late, sorted) in [(9, true), (8, false)] {
            let far = 3 * RING as Position;
            let mut ring = Ring::default();
            assert!(ring.invoke(2, 1) && ring.complete(RING as Position, 9) && ring.complete(far, late));
            assert!(ring.invoke(4, 2));
            assert_eq!(ring.finish(), sorted);
            let mut ring = Ring::default();
            assert!(ring.invoke(0, 1) && ring.complete(5, 9));
            assert_eq!(ring.invoke(far, late), sorted);
        }
    }
}
