//! Straight from a history's columns: the search for objects of few states whose calls all say what they ask and leave.
//!
//! It goes the way of [`search`](super::search) and skips what that skips, for the reasons that stand there, with what such
//! objects allow: an operation is no more than the state it asks for and the one it leaves, so what is pending is a word of
//! bits for each state, eager observers are one `or` of two words, and nothing is noted that a step back would have to undo.
//! An optional operation is one that is pending from its call to the end, and whether it is in line is whether it was used.
//! Neither rows nor classes are made. Whatever does not fit, or takes more than a few steps an operation, is left to
//! [`search`](super::search()).
//!
//! Of 10 000 operations by 10 clients, half of the time goes into the order of events, half into the search.

use rustc_hash::FxHashMap;
use schism_history::{CallKind, Columns, Outcome, Position, Status};

use super::allowance::{Allowance, Holding};
use super::states::States;
use super::{Effort, Finding};
use crate::model::{Effect, Gives, Model, Needs};

/// What asks for no state, among what is asked; what leaves the state as it was, among what is left.
const NONE: u8 = 0;
/// Stands for all states that nobody will ask for.
const DEAD: u8 = u8::MAX;
/// Operations pending at once: one a bit.
const SLOTS: usize = 64;
/// So many different calls, with their answers, at most.
const KINDS: usize = 1 << 14;
/// Configurations tried before all is left to the other search: so many more than there are events.
const TRIES: u64 = 2048;
/// The clock is asked once in so many configurations.
const CLOCK_EVERY: u64 = 1024;
/// So many events are looked at to see what is asked for soon, and whether what is owed can still come.
const LOOK_AHEAD: usize = 24;

/// What an operation asks for and what it leaves. Those of one kind are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    asks: u8,
    leaves: u8,
}

const NOTHING: Kind = Kind { asks: NONE, leaves: NONE };

impl Kind {
    /// Whether it changes the state without looking at it.
    fn overwrites(self) -> bool {
        self.asks == NONE && self.leaves != NONE
    }

    /// The state after it; `None` if it is refused.
    fn after(self, state: u8) -> Option<u8> {
        match (self.asks == NONE || self.asks == state, self.leaves) {
            (false, _) => None,
            (true, NONE) => Some(state),
            (true, left) => Some(left),
        }
    }
}

/// One end of an operation: in one word, since an event is written and read again before its parts would be there. From
/// the lowest bits on: what is asked and left, a byte each, the slot and which end it is, too, and in the upper half where
/// the other end stands. Zero where nothing happens.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Event(u64);

/// Where the return of an optional operation stands, since nobody knows whether it happened.
const NEVER: u32 = u32::MAX;

const NO_EVENT: Event = Event(0);

impl Event {
    fn call(kind: Kind, slot: u8, returned: u32) -> Event {
        Event::end(kind, slot, 1, returned)
    }

    fn end_of(kind: Kind, slot: u8, called: u32) -> Event {
        Event::end(kind, slot, 2, called)
    }

    fn end(kind: Kind, slot: u8, which: u64, other: u32) -> Event {
        let low = u64::from(kind.asks) | u64::from(kind.leaves) << 8 | u64::from(slot) << 16;
        Event(low | which << 24 | u64::from(other) << 32)
    }

    fn kind(self) -> Kind {
        Kind { asks: self.0 as u8, leaves: (self.0 >> 8) as u8 }
    }

    /// Below [`SLOTS`].
    fn slot(self) -> usize {
        (self.0 >> 16) as usize % SLOTS
    }

    fn bit(self) -> u64 {
        1 << self.slot()
    }

    fn is_call(self) -> bool {
        self.0 >> 24 & 1 == 1
    }

    /// Where the other end stands, or [`NEVER`].
    fn other(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Judges the operations of one object, given in the order of their calls. `None` if that is not possible this way, or
/// not soon: then nothing is known. O(n) where values come back often; the steps are bounded anyhow.
pub fn straight<M: Model>(
    model: &M,
    columns: &Columns,
    operations: impl Iterator<Item = usize> + Clone,
    allowance: &Allowance<'_>,
) -> Option<(Finding, Effort)> {
    let mut holding = Holding::new(allowance);
    let events = operations.size_hint().0 * 2;
    holding.grow(events * size_of::<Event>() + size_of::<Walk>()).ok()?;
    let line = Line::of(model, columns, operations.clone())?;
    let walk = Walk::new(&line);
    let mut search = Search {
        walk,
        stack: Vec::with_capacity(64),
        memo: FxHashMap::default(),
        in_vain: 0,
        furthest: 0,
        tried: 0,
    };
    let legal = search.run(line.initial, &mut holding)?;
    let reached = (!legal).then(|| line.operation(search.furthest as usize, columns, operations)).flatten();
    let finding = if legal { Finding::Linearizable } else { Finding::NotLinearizable };
    let (concurrency, optional) = (line.concurrency, line.optional);
    Some((finding, Effort { configurations: search.tried, reached, concurrency, optional, widest: 0 }))
}

/// The operations in the order of time.
struct Line {
    events: Vec<Event>,
    initial: u8,
    /// The most operations with a known answer that are pending at once.
    concurrency: usize,
    /// How many are optional and not idle.
    optional: usize,
    last: Last,
}

/// By state: the event after the last call of an operation with a known answer that asks for it, of an optional one that
/// does, and of one of either kind that leaves it behind. Zero if there is none.
#[derive(Clone)]
struct Last {
    asked: [u32; 256],
    wanted: [u32; 256],
    given: [u32; 256],
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
    fn of<M: Model>(
        model: &M,
        columns: &Columns,
        operations: impl Iterator<Item = usize> + Clone,
    ) -> Option<Line> {
        let mut kinds = Kinds::new(model, columns)?;
        let (status, invoke, complete) = (columns.status(), columns.invoke(), columns.complete());
        let places = Places::of(columns, operations.clone());
        let mut line = Line {
            events: vec![NO_EVENT; places.count()],
            initial: kinds.initial,
            concurrency: 0,
            optional: 0,
            last: Last { asked: [0; 256], wanted: [0; 256], given: [0; 256] },
        };
        let mut optional = Vec::new();
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
    fn operation(
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
    fn of(columns: &Columns, operations: impl Iterator<Item = usize> + Clone) -> Places {
        let (status, invoke, complete) = (columns.status(), columns.invoke(), columns.complete());
        let end = |at: usize| if status[at].is_ok() { complete[at].max(invoke[at]) } else { invoke[at] };
        let (mut count, mut last) = (0, 0);
        for at in operations.clone() {
            (count, last) = (count + 1, last.max(end(at)));
        }
        let first = operations.clone().next().map_or(0, |at| invoke[at]);
        let span = (last as usize + 1).saturating_sub(first as usize);
        if span <= SPARSE * 2 * count {
            return Places::Near(first, span);
        }
        let mut positions: Vec<Position> = operations.flat_map(|at| [invoke[at], end(at)]).collect();
        positions.sort_unstable();
        positions.dedup();
        Places::Far(positions)
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

/// What the calls met so far ask and leave, by what they say.
struct Kinds<'c, S> {
    said: [&'c [u32]; 3],
    kind: &'c [CallKind],
    status: &'c [Status],
    swaps: &'c [[u32; 2]],
    states: States<S>,
    initial: u8,
    /// A table with open addresses, at most half full: what is said, and the kind. Nothing is said by zero.
    table: Vec<(u128, Kind)>,
    count: usize,
}

/// Bits for each of the four numbers that an operation says.
const PART: u32 = 30;

impl<'c, S: Clone + Eq + std::hash::Hash> Kinds<'c, S> {
    fn new<M: Model<State = S>>(model: &M, columns: &'c Columns) -> Option<Self> {
        let most = columns.value_count().max(columns.keys().len());
        if most >= (1 << PART) - 1 || !model.deterministic() {
            return None;
        }
        let mut states = States::new();
        let initial = number(states.id(model.initial()))?;
        Some(Kinds {
            said: [columns.argument(), columns.answer(), columns.key()],
            kind: columns.kind(),
            status: columns.status(),
            swaps: columns.swaps(),
            states,
            initial,
            table: vec![(0, NOTHING); 256],
            count: 0,
        })
    }

    fn of<M: Model<State = S>>(&mut self, model: &M, columns: &Columns, at: usize) -> Option<Kind> {
        let (kind, [argument, answer, key]) = (self.kind[at], self.said.map(|said| said[at]));
        let [first, second] = match kind {
            CallKind::Cas => self.swaps[argument as usize],
            // Its steps are not numbered.
            CallKind::Txn => return None,
            _ => [argument, u32::MAX],
        };
        let answer = if self.status[at] == Status::Answered { answer } else { u32::MAX };
        let parts = [first, second, answer, key];
        let kind = 2 * (kind as u128 + 1) + u128::from(self.status[at].is_info());
        let said = parts.iter().fold(kind, |said, part| said << PART | u128::from(part.wrapping_add(1)));
        let place = place(&self.table, said);
        match self.table[place] {
            (0, _) => self.meet(model, columns, at, said),
            (_, kind) => Some(kind),
        }
    }

    /// Asks the model about a call that was not met before.
    #[cold]
    fn meet<M: Model<State = S>>(
        &mut self,
        model: &M,
        columns: &Columns,
        at: usize,
        said: u128,
    ) -> Option<Kind> {
        let (call, outcome) = (columns.call(at), columns.outcome(at));
        let ret = if let Outcome::Ok(ret) = &outcome { Some(ret) } else { None };
        if !model.understands(&call, ret) || self.count == KINDS {
            return None;
        }
        let Effect { needs, gives } = model.effect(&call, ret);
        let asks = match needs {
            Needs::Unknown => return None,
            Needs::Nothing => NONE,
            Needs::State(state) => number(self.states.id(state))?,
        };
        let leaves = match gives {
            Gives::Unknown => return None,
            Gives::Same => NONE,
            Gives::State(state) => number(self.states.id(state))?,
        };
        let kind = Kind { asks, leaves };
        self.count += 1;
        if self.count * 2 > self.table.len() {
            let larger = vec![(0, kind); self.table.len() * 2];
            for (said, kind) in std::mem::replace(&mut self.table, larger) {
                if said != 0 {
                    let place = place(&self.table, said);
                    self.table[place] = (said, kind);
                }
            }
        }
        let place = place(&self.table, said);
        self.table[place] = (said, kind);
        Some(kind)
    }
}

/// A state's number here: there are [`NONE`] and [`DEAD`], too.
fn number(state: u32) -> Option<u8> {
    u8::try_from(state + 1).ok().filter(|number| *number < DEAD)
}

/// Where it stands in the table, or would.
fn place(table: &[(u128, Kind)], said: u128) -> usize {
    const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];
    let hash = (said as u64).wrapping_mul(MIX[0]) ^ ((said >> 64) as u64).wrapping_mul(MIX[1]);
    let mut place = (hash >> 40) as usize & (table.len() - 1);
    while table[place].0 != said && table[place].0 != 0 {
        place = (place + 1) & (table.len() - 1);
    }
    place
}

/// What is pending where the search stands, and what is still to come.
struct Walk<'l> {
    events: &'l [Event],
    last: &'l Last,
    pending: u64,
    /// The optional ones of them.
    optional: u64,
    /// By state: the pending operations that ask for it, and that leave it behind.
    asked_by: [u64; 256],
    given_by: [u64; 256],
    /// By slot: where the call of what is pending there stands.
    call: [u32; SLOTS],
}

impl<'l> Walk<'l> {
    /// Before the first event.
    fn new(line: &'l Line) -> Self {
        Walk {
            events: &line.events,
            last: &line.last,
            pending: 0,
            optional: 0,
            asked_by: [0; 256],
            given_by: [0; 256],
            call: [0; SLOTS],
        }
    }

    /// Passes an event on the way on or back: what is pending then was not before, or the other way round.
    fn turn(&mut self, event: Event, call: u32) {
        let slot = event.slot();
        let bit = 1 << slot;
        self.pending ^= bit;
        self.asked_by[event.kind().asks as usize] ^= bit;
        self.given_by[event.kind().leaves as usize] ^= bit;
        self.call[slot] = call;
    }

    /// The call of what is pending in this slot.
    fn call(&self, slot: usize) -> Event {
        self.events[self.call[slot] as usize]
    }

    /// Those that change nothing and are accepted in this state.
    fn observers(&self, state: u8) -> u64 {
        self.given_by[NONE as usize] & (self.asked_by[NONE as usize] | self.asked_by[state as usize])
    }

    /// Whether nobody will ask for the state any more, of those not in line, from this event on.
    fn unasked(&self, at: u32, state: u8, done: u64) -> bool {
        let state = state as usize;
        at >= self.last.asked[state].max(self.last.wanted[state]) && self.asked_by[state] & !done == 0
    }

    /// Passes the call of an optional operation on the way on.
    #[cold]
    fn offer(&mut self, event: Event, at: u32) {
        self.turn(event, at);
        self.optional ^= event.bit();
    }

    /// The same on the way back.
    #[cold]
    fn withdraw(&mut self, event: Event) {
        self.turn(event, 0);
        self.optional ^= event.bit();
    }

    /// Walks on to the first return whose operation is not in line. A covered write goes in line here if nobody will ask
    /// for its value.
    ///
    /// Whether an event is a call or a return is as good as random, so little here depends on it by a branch.
    fn advance(&mut self, from: u32, done: &mut u64, state: u8, covered: u32) -> u32 {
        let mut at = from;
        while let Some(event) = self.events.get(at as usize).copied() {
            let (kind, slot) = (event.kind(), event.slot());
            if event.other() == NEVER {
                self.offer(event, at);
                at += 1;
                continue;
            }
            if !event.is_call() & (*done >> slot & 1 == 0) {
                let worthless =
                    event.other() < covered && kind.overwrites() && self.unasked(at, kind.leaves, *done);
                if !worthless {
                    break;
                }
            }
            let observes = (kind.leaves == NONE) & ((kind.asks == NONE) | (kind.asks == state));
            *done = *done & !(1 << slot) | u64::from(event.is_call() & observes) << slot;
            self.turn(event, if event.is_call() { at } else { event.other() });
            at += 1;
        }
        at
    }

    /// Walks back from `from` to `to`.
    fn retreat(&mut self, from: u32, to: u32) {
        for event in self.events[to as usize..from as usize].iter().rev() {
            if event.other() == NEVER {
                self.withdraw(*event);
                continue;
            }
            self.turn(*event, event.other());
        }
    }

    /// Whether a pending operation that asks for `state` cannot get it in time any more, now that it is another one. Those
    /// to come are not looked at: that rarely tells anything, and would cost more than what it saves.
    fn owed(&self, at: u32, state: u8, done: u64) -> bool {
        let asking = self.asked_by[state as usize] & !done & !self.optional;
        if (asking == 0 && at >= self.last.asked[state as usize])
            || self.given_by[state as usize] & !done != 0
        {
            return false;
        }
        if at >= self.last.given[state as usize] {
            return true;
        }
        if asking == 0 {
            return false;
        }
        for event in self.events[at as usize..].iter().take(LOOK_AHEAD) {
            if event.is_call() {
                if event.kind().leaves == state {
                    return false;
                }
            } else if event.kind().asks == state && (event.other() >= at || done & event.bit() == 0) {
                return true;
            }
        }
        false
    }

    /// Whether `left` is asked for before `state` is, as far as can be seen from a few events. Only decides what is tried
    /// first.
    fn asked_soon(&self, at: u32, left: u8, state: u8, done: u64) -> bool {
        if self.asked_by[left as usize] & !done != 0 {
            return true;
        }
        if self.asked_by[state as usize] & !done != 0 {
            return false;
        }
        let coming = self.events[at as usize..].iter().take(LOOK_AHEAD).filter(|event| event.is_call());
        coming.map(|event| event.kind().asks).find(|asked| *asked == left || *asked == state) == Some(left)
    }

    /// Those that change the state, must go in line and are not.
    fn changing(&self, done: u64) -> u64 {
        self.pending & !self.optional & !self.given_by[NONE as usize] & !done
    }

    /// Those of them that leave what this one asks for, if that is another state.
    fn wanted(&self, must: Event, state: u8, done: u64) -> u64 {
        match must.kind().asks {
            asked if asked != NONE && asked != state => {
                self.changing(done) & self.given_by[asked as usize] & !must.bit()
            }
            _ => 0,
        }
    }

    /// Whether a pending operation may be worth putting in line before its return.
    fn purposeful(&self, slot: usize, done: u64) -> bool {
        let (kind, returned) = (self.call(slot).kind(), self.call(slot).other());
        // Optional ones after all that return, and in the order of their calls.
        let alike = |other: usize| {
            let (call, other) = (self.call[other], self.call(other));
            other.kind() == kind && (other.other(), call) < (returned, self.call[slot])
        };
        if kind.overwrites() && self.asked_by[kind.leaves as usize] & !done == 0 {
            return false;
        }
        !bits(self.given_by[kind.leaves as usize] & !done).any(alike)
    }

    /// The optional operations that may be worth using: what they leave, a pending operation asks for, or one of themselves
    /// that is. Where the state is what is asked for already, using one can still cover writes.
    fn worth_using(&self, state: u8, done: u64, covered: u32) -> u64 {
        let offered = self.optional & !done;
        if offered == 0 {
            return 0;
        }
        let hides = self.first_uncovered(covered, done) < NEVER;
        let mut wanted = [false; 256];
        for slot in bits(self.pending & !self.optional & !done) {
            wanted[self.call(slot).kind().asks as usize] = true;
        }
        let mut worth = 0;
        loop {
            wanted[NONE as usize] = false;
            wanted[state as usize] &= hides;
            let more = bits(offered & !worth).find(|slot| wanted[self.call(*slot).kind().leaves as usize]);
            let Some(slot) = more else { return worth };
            worth |= 1 << slot;
            wanted[self.call(slot).kind().asks as usize] = true;
        }
    }

    /// The first call of a pending write that is neither in line nor covered.
    fn first_uncovered(&self, covered: u32, done: u64) -> u32 {
        let writes = self.asked_by[NONE as usize] & !self.given_by[NONE as usize] & !self.optional & !done;
        bits(writes).map(|slot| self.call[slot]).filter(|called| *called >= covered).min().unwrap_or(u32::MAX)
    }
}

/// The numbers of the bits that are set, the smallest first.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

/// What is tried next from a configuration.
#[derive(Clone, Copy)]
enum Turn {
    /// What must be in line next, or its return unseen, whichever looks better.
    Better,
    /// The other one of the two.
    Worse,
    /// Pending operations that leave what it asks for.
    Wanted,
    /// All other pending ones that must go in line anyhow.
    Others,
    /// Optional ones.
    Optional,
    /// Nothing is left to try.
    None,
}

/// A configuration whose successors are being tried.
struct Frame {
    /// The event it stands before: the first return whose operation is not in line.
    at: u32,
    /// Writes called before this event were pending when the last write went in line: they are covered.
    covered: u32,
    state: u8,
    /// Whose turn it is when the pending operations in `left` have had theirs.
    turn: Turn,
    left: u64,
    done: u64,
}

struct Search<'l> {
    walk: Walk<'l>,
    stack: Vec<Frame>,
    /// What was tried in vain: event and state, what of the pending is in line; and the first call that was not covered. A
    /// later one is better.
    memo: FxHashMap<(u64, u64), u32>,
    /// None of those stands after this event.
    in_vain: u32,
    furthest: u32,
    tried: u64,
}

impl Search<'_> {
    /// Whether there is a legal order; `None` if too much was tried.
    fn run(&mut self, initial: u8, holding: &mut Holding<'_, '_>) -> Option<bool> {
        let last = self.walk.last;
        let hopeless =
            |state: u8| state != initial && last.asked[state as usize] > 0 && last.given[state as usize] == 0;
        if (NONE + 1..DEAD).any(hopeless) {
            return Some(false);
        }
        if self.arrive(0, 0, initial, 0) {
            return Some(true);
        }
        let most = self.walk.events.len() as u64 + TRIES;
        while let Some(top) = self.stack.last_mut() {
            if self.tried > most || (self.tried.is_multiple_of(CLOCK_EVERY) && holding.time_over()) {
                return None;
            }
            let must = self.walk.events[top.at as usize];
            let legal = match top.turn {
                Turn::Better | Turn::Worse => {
                    let passable = must.other() < top.covered && must.kind().overwrites();
                    let better = matches!(top.turn, Turn::Better);
                    let used_first =
                        !passable || self.walk.asked_soon(top.at, must.kind().leaves, top.state, top.done);
                    top.turn = if passable && better { Turn::Worse } else { Turn::Wanted };
                    if better == used_first { self.put_in_line(must.slot()) } else { self.pass(must) }
                }
                _ if top.left != 0 => {
                    let slot = top.left.trailing_zeros() as usize;
                    top.left &= top.left - 1;
                    let done = top.done;
                    self.walk.purposeful(slot, done) && self.put_in_line(slot)
                }
                Turn::Wanted => {
                    top.left = self.walk.wanted(must, top.state, top.done);
                    top.turn = Turn::Others;
                    false
                }
                Turn::Others => {
                    let wanted = self.walk.wanted(must, top.state, top.done);
                    top.left = self.walk.changing(top.done) & !must.bit() & !wanted;
                    top.turn = Turn::Optional;
                    false
                }
                Turn::Optional => {
                    top.left = self.walk.worth_using(top.state, top.done, top.covered);
                    top.turn = Turn::None;
                    false
                }
                Turn::None => {
                    self.give_up(holding)?;
                    false
                }
            };
            if legal {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Puts a pending operation in line. `true` if that explains everything.
    fn put_in_line(&mut self, slot: usize) -> bool {
        let Some(&Frame { at, covered, state, mut done, .. }) = self.stack.last() else { return false };
        let kind = self.walk.call(slot).kind();
        let Some(after) = kind.after(state) else { return false };
        done |= 1 << slot;
        let optional = self.walk.optional >> slot & 1 == 1;
        if optional && after == state && self.walk.first_uncovered(covered, done) == NEVER {
            // It would change nothing.
            return false;
        }
        if after != state {
            if self.walk.owed(at, state, done) {
                return false;
            }
            done |= self.walk.observers(after);
        }
        self.arrive(at, done, after, if kind.overwrites() { at } else { covered })
    }

    /// Lets a covered write return unseen.
    fn pass(&mut self, write: Event) -> bool {
        let Some(&Frame { at, covered, state, mut done, .. }) = self.stack.last() else { return false };
        done |= write.bit();
        if write.kind().leaves != state && self.walk.owed(at, write.kind().leaves, done) {
            return false;
        }
        self.arrive(at, done, state, covered)
    }

    /// Walks on, and keeps the configuration found there if it is new. `true` if everything is explained.
    fn arrive(&mut self, from: u32, mut done: u64, state: u8, covered: u32) -> bool {
        let at = self.walk.advance(from, &mut done, state, covered);
        self.furthest = self.furthest.max(at);
        if at as usize == self.walk.events.len() {
            return true;
        }
        let state = if self.walk.unasked(at, state, done) { DEAD } else { state };
        if at <= self.in_vain
            && let Some(known) = self.memo.get(&key(at, state, done))
            && *known >= self.walk.first_uncovered(covered, done)
        {
            self.walk.retreat(at, from);
            return false;
        }
        self.tried += 1;
        self.stack.push(Frame { at, covered, state, turn: Turn::Better, left: 0, done });
        false
    }

    /// Notes that the configuration on top was tried in vain, and goes back to the one before.
    fn give_up(&mut self, holding: &mut Holding<'_, '_>) -> Option<()> {
        let Frame { at, covered, state, done, .. } = self.stack.pop()?;
        if self.memo.len() == self.memo.capacity() {
            // A table of twice the size beside the old one.
            let entries = (4 * self.memo.capacity()).max(64);
            holding.grow(entries * size_of::<((u64, u64), u32)>()).ok()?;
        }
        self.in_vain = self.in_vain.max(at);
        let first = self.walk.first_uncovered(covered, done);
        let known = self.memo.entry(key(at, state, done)).or_insert(first);
        *known = first.max(*known);
        let back = self.stack.last().map_or(0, |before| before.at);
        self.walk.retreat(at, back);
        Some(())
    }
}

fn key(at: u32, state: u8, done: u64) -> (u64, u64) {
    (u64::from(at) << 8 | u64::from(state), done)
}
