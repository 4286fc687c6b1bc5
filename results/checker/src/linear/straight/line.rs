//! The operations of one object in the order of time, each event a word.

use schism_history::{Columns, Position, Status};

use super::kinds::{Kind, Kinds, NONE, NOTHING};
use super::{Holding, SLOTS};
use crate::model::Model;

/// One end of an operation: in one word, since an event is written and read again before its parts would be there. From
/// the lowest bits on: what is asked and left, a byte each, the slot and which end it is, too, and in the upper half where
/// the other end stands. Zero where nothing happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Event(u64);

/// Where the return of an optional operation stands, since nobody knows whether it happened.
pub(super) const NEVER: u32 = u32::MAX;

pub(super) const NO_EVENT: Event = Event(0);

impl Event {
    #[inline]
    pub(super) fn call(kind: Kind, slot: u8, returned: u32) -> Event {
        Event::end(kind, slot, 1, returned)
    }

    #[inline]
    pub(super) fn end_of(kind: Kind, slot: u8, called: u32) -> Event {
        Event::end(kind, slot, 2, called)
    }

    #[inline]
    fn end(kind: Kind, slot: u8, which: u64, other: u32) -> Event {
        let low = u64::from(kind.asks) | u64::from(kind.leaves) << 8 | u64::from(slot) << 16;
        Event(low | which << 24 | u64::from(other) << 32)
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        Kind { asks: self.0 as u8, leaves: (self.0 >> 8) as u8 }
    }

    /// Below [`SLOTS`].
    #[inline]
    pub(super) fn slot(self) -> usize {
        (self.0 >> 16) as usize % SLOTS
    }

    #[inline]
    pub(super) fn bit(self) -> u64 {
        1 << self.slot()
    }

    #[inline]
    pub(super) fn is_call(self) -> bool {
        self.0 >> 24 & 1 == 1
    }

    /// Where the other end stands, or [`NEVER`].
    #[inline]
    pub(super) fn other(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// The operations in the order of time.
pub(super) struct Line {
    pub(super) events: Vec<Event>,
    pub(super) initial: u8,
    /// The most operations with a known answer that are pending at once.
    pub(super) concurrency: usize,
    /// How many are optional and not idle.
    pub(super) optional: usize,
    pub(super) last: Last,
}

/// By state: the event after the last call of an operation with a known answer that asks for it, of an optional one that
/// does, and of one of either kind that leaves it behind. Zero if there is none.
#[derive(Clone)]
pub(super) struct Last {
    pub(super) asked: [u32; 256],
    pub(super) wanted: [u32; 256],
    pub(super) given: [u32; 256],
}

/// What an operation counts for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counts {
    Required,
    Optional,
    Not,
}

#[inline]
fn counts(status: &[Status], columns: &Columns, at: usize) -> Counts {
    match status[at] {
        Status::Done | Status::Answered => Counts::Required,
        Status::Fail => Counts::Not,
        Status::Info | Status::Open => of_unknown_fate(columns, at),
    }
}

#[cold]
fn of_unknown_fate(columns: &Columns, at: usize) -> Counts {
    if columns.call(at).changes() { Counts::Optional } else { Counts::Not }
}

impl Line {
    pub(super) fn of<M: Model>(
        model: &M,
        columns: &Columns,
        operations: impl Iterator<Item = usize> + Clone,
        holding: &mut Holding<'_, '_>,
    ) -> Option<Line> {
        let mut kinds = Kinds::new(model, columns)?;
        let (status, invoke, complete) = (columns.status(), columns.invoke(), columns.complete());
        let (places, unknown) = Places::of(columns, operations.clone(), holding)?;
        holding.grow(places.count() * size_of::<Event>() + unknown * size_of::<(Kind, usize)>()).ok()?;
        let mut line = Line {
            events: vec![NO_EVENT; places.count()],
            initial: kinds.initial,
            concurrency: 0,
            optional: 0,
            last: Last { asked: [0; 256], wanted: [0; 256], given: [0; 256] },
        };
        let mut optional = Vec::with_capacity(unknown);
        for at in operations {
            let counts = counts(status, columns, at);
            if counts == Counts::Not {
                continue;
            }
            let (kind, call) = (kinds.of(model, columns, at)?, places.of_position(invoke[at]));
            if counts == Counts::Optional {
                optional.push((kind, call));
                continue;
            }
            let returned = places.of_position(complete[at]);
            line.events[call] = Event::call(kind, 0, returned as u32);
            line.events[returned] = Event::end_of(kind, 0, call as u32);
        }
        line.offer(&optional);
        line.close_up()?;
        Some(line)
    }

    /// Adds optional operations, but for those that nobody could tell: what they leave, nobody asks for who is not left out
    /// himself.
    fn offer(&mut self, optional: &[(Kind, usize)]) {
        if optional.is_empty() {
            return;
        }
        let mut asked = [false; 256];
        for event in self.events.iter().filter(|event| event.is_call()) {
            asked[event.kind().asks as usize] = true;
        }
        loop {
            asked[NONE as usize] = false;
            let matters = |(kind, _): &&(Kind, usize)| asked[kind.leaves as usize];
            let new = |kind: Kind| kind.asks != NONE && !asked[kind.asks as usize];
            let Some((more, _)) = optional.iter().filter(matters).find(|(kind, _)| new(*kind)) else { break };
            asked[more.asks as usize] = true;
        }
        for (kind, call) in optional.iter().filter(|(kind, _)| asked[kind.leaves as usize]) {
            self.optional += 1;
            self.events[*call] = Event::call(*kind, 0, NEVER);
        }
    }

    /// Takes out places without an event, and gives each operation a slot. `None` if there are too few.
    fn close_up(&mut self) -> Option<()> {
        let events = &mut self.events[..];
        let (mut free, mut slots) = (u64::MAX, 0u64);
        let mut to = 0;
        // Which end comes next is as good as random: nothing here depends on it by a branch.
        for from in 0..events.len() {
            let event = events[from];
            if event == NO_EVENT {
                continue;
            }
            // A slot is taken at the call and free again at the return, which was told it by the call.
            let slot = if event.is_call() { free.trailing_zeros() } else { event.slot() as u32 };
            free ^= 1u64.checked_shl(slot)?;
            slots |= !free;
            let (kind, slot, at) = (event.kind(), slot as u8, to as u32);
            let Kind { asks, leaves } = if event.is_call() { kind } else { NOTHING };
            self.last.given[leaves as usize] = at + 1;
            if event.other() == NEVER {
                self.last.wanted[asks as usize] = at + 1;
                events[to] = Event::call(kind, slot, NEVER);
            } else {
                self.last.asked[asks as usize] = at + 1;
                let (this, other) = if event.is_call() { (1, 2) } else { (2, 1) };
                events[event.other() as usize] = Event::end(kind, slot, other, at);
                events[to] = Event::end(kind, slot, this, event.other());
            }
            to += 1;
        }
        self.events.truncate(to);
        self.concurrency =
            if self.optional == 0 { slots.count_ones() as usize } else { most_open(&self.events) };
        Some(())
    }

    /// The place in the history of the operation that returns at this event; `None` if none does.
    pub(super) fn operation(
        &self,
        event: usize,
        columns: &Columns,
        operations: impl Iterator<Item = usize>,
    ) -> Option<usize> {
        let call = self.events.get(event).filter(|event| !event.is_call())?.other() as usize;
        let required = |event: &&Event| event.is_call() && event.other() != NEVER;
        let before = self.events[..call].iter().filter(required).count();
        let status = columns.status();
        operations.filter(|at| counts(status, columns, *at) == Counts::Required).nth(before)
    }
}

/// The largest number of operations with a known answer that are pending at once.
fn most_open(events: &[Event]) -> usize {
    let required = events.iter().filter(|event| event.other() != NEVER);
    let open = required.scan(0, |open, event| {
        *open = if event.is_call() { *open + 1 } else { *open - 1 };
        Some(*open)
    });
    open.max().unwrap_or(0)
}

/// Where there are no more positions than so many times the events, each position is a place.
const SPARSE: usize = 4;

/// Where the events of an object go so that they are in order.
enum Places {
    /// At their positions, from this one on; so many.
    Near(Position, usize),
    /// These are all positions: they are too far apart for places of their own.
    Far(Vec<Position>),
}

impl Places {
    /// And how many operations nobody knows the fate of.
    fn of(
        columns: &Columns,
        operations: impl Iterator<Item = usize> + Clone,
        holding: &mut Holding<'_, '_>,
    ) -> Option<(Places, usize)> {
        let (status, invoke, complete) = (columns.status(), columns.invoke(), columns.complete());
        let end = |at: usize| if status[at].is_ok() { complete[at].max(invoke[at]) } else { invoke[at] };
        let (mut count, mut unknown, mut last) = (0, 0, 0);
        for at in operations.clone() {
            last = last.max(end(at));
            count += 1;
            unknown += usize::from(status[at].is_info());
        }
        let first = operations.clone().next().map_or(0, |at| invoke[at]);
        let span = (last as usize + 1).saturating_sub(first as usize);
        if span <= SPARSE * 2 * count {
            return Some((Places::Near(first, span), unknown));
        }
        holding.grow(2 * count * size_of::<Position>()).ok()?;
        let mut positions: Vec<Position> = Vec::with_capacity(2 * count);
        positions.extend(operations.flat_map(|at| [invoke[at], end(at)]));
        positions.sort_unstable();
        positions.dedup();
        Some((Places::Far(positions), unknown))
    }

    fn count(&self) -> usize {
        match self {
            Places::Near(_, count) => *count,
            Places::Far(positions) => positions.len(),
        }
    }

    #[inline]
    fn of_position(&self, position: Position) -> usize {
        match self {
            Places::Near(first, _) => (position - first) as usize,
            Places::Far(positions) => positions.partition_point(|known| *known < position),
        }
    }
}
