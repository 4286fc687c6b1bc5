//! Straight from a history's columns: the search for objects of few states whose calls all say what they ask and leave,
//! and all of which were answered.
//!
//! It goes the way of [`search`](super::search) and skips what that skips, for the reasons that stand there, with what such
//! objects allow: an operation is no more than the state it asks for and the one it leaves, so what is pending is a word of
//! bits for each state, eager observers are one `or` of two words, and nothing is noted that a step back would have to undo.
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
const LOOK_AHEAD: usize = 32;

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

/// One end of an operation.
#[derive(Clone, Copy)]
struct Event {
    kind: Kind,
    slot: u8,
    is_call: bool,
    /// Where its other end stands.
    other: u32,
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
    let effort =
        Effort { configurations: search.tried, reached, concurrency: line.slots, optional: 0, widest: 0 };
    Some((finding, effort))
}

/// The operations in the order of time.
struct Line {
    events: Vec<Event>,
    initial: u8,
    /// The most that are pending at once.
    slots: usize,
    /// By state: how many operations ask for it, and how many leave it behind.
    to_ask: [u32; 256],
    to_give: [u32; 256],
}

/// Whether an operation counts; `None` if only the other search can tell.
#[inline]
fn counts(status: &[Status], columns: &Columns, at: usize) -> Option<bool> {
    match status[at] {
        Status::Done | Status::Answered => Some(true),
        Status::Fail => Some(false),
        // Nobody knows whether it happened; that matters unless nothing can come of it.
        Status::Info | Status::Open => (!columns.call(at).changes()).then_some(false),
    }
}

impl Line {
    fn of<M: Model>(model: &M, columns: &Columns, operations: impl Iterator<Item = usize>) -> Option<Line> {
        let mut kinds = Kinds::new(model, columns)?;
        let mut counted = Vec::with_capacity(operations.size_hint().0);
        let (mut to_ask, mut to_give) = ([0; 256], [0; 256]);
        let (status, invoke, complete) = (columns.status(), columns.invoke(), columns.complete());
        for at in operations {
            if counts(status, columns, at)? {
                let kind = kinds.of(model, columns, at)?;
                to_ask[kind.asks as usize] += 1;
                to_give[kind.leaves as usize] += 1;
                counted.push(Counted { kind, invoke: invoke[at], complete: complete[at] });
            }
        }
        let nothing = Event { kind: NOTHING, slot: 0, is_call: false, other: 0 };
        let mut events = vec![nothing; counted.len() * 2];
        // By operation: its slot and where its call stands, once it is called.
        let mut calls = vec![(0, 0); counted.len()];
        let (mut free, mut slots) = (u64::MAX, 0);
        // Which end comes next is as good as random: nothing here depends on it by a branch.
        for (at, end) in (0..).zip(in_order(&counted)) {
            let (operation, is_call) = ((end >> 1) as usize, end & 1 == 0);
            let (known, other) = calls[operation];
            // A slot is taken at the call and free again at the return.
            let slot = if is_call { free.trailing_zeros() } else { known };
            free ^= 1u64.checked_shl(slot)?;
            slots = slots.max(slot + 1);
            calls[operation] = (slot, at);
            events[at as usize] = Event { kind: counted[operation].kind, slot: slot as u8, is_call, other };
            events[if is_call { at } else { other } as usize].other = at;
        }
        Some(Line { events, initial: kinds.initial, slots: slots as usize, to_ask, to_give })
    }

    /// The place in the history of the operation that ends at this event.
    fn operation(
        &self,
        event: usize,
        columns: &Columns,
        operations: impl Iterator<Item = usize>,
    ) -> Option<usize> {
        let call = self.events.get(event)?.other as usize;
        let before = self.events[..call].iter().filter(|event| event.is_call).count();
        operations.filter(|at| counts(columns.status(), columns, *at) == Some(true)).nth(before)
    }
}

/// An operation that counts.
#[derive(Clone, Copy)]
struct Counted {
    kind: Kind,
    invoke: Position,
    complete: Position,
}

/// Where there are no more positions than so many times the events, each event has a place of its own and need not be
/// compared with others.
const SPARSE: usize = 4;

/// The ends of all operations in the order of time: twice an operation's number, and one more for its return.
fn in_order(counted: &[Counted]) -> impl Iterator<Item = u32> {
    let first = counted.first().map_or(0, |operation| operation.invoke);
    let end = counted.iter().map(|operation| operation.complete).max().map_or(0, |last| last as usize + 1);
    let span = end.saturating_sub(first as usize);
    let ends = (0..).zip(counted).flat_map(|(number, operation)| {
        [(operation.invoke, 2 * number), (operation.complete, 2 * number + 1)]
    });
    let places = if span <= SPARSE * 2 * counted.len() {
        let mut places = vec![u32::MAX; span];
        for (position, end) in ends {
            places[(position - first) as usize] = end;
        }
        places
    } else {
        let mut ends: Vec<(Position, u32)> = ends.collect();
        ends.sort();
        ends.into_iter().map(|(_, end)| end).collect()
    };
    places.into_iter().filter(|end| *end != u32::MAX)
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
        let kind = kind as u128 + 1;
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
        let Outcome::Ok(ret) = &outcome else { return None };
        if !model.understands(&call, Some(ret)) || self.count == KINDS {
            return None;
        }
        let Effect { needs, gives } = model.effect(&call, Some(ret));
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
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = ((said as u64).wrapping_mul(MIX) ^ (said >> 64) as u64).wrapping_mul(MIX);
    let mut place = (hash >> 32) as usize & (table.len() - 1);
    while table[place].0 != said && table[place].0 != 0 {
        place = (place + 1) & (table.len() - 1);
    }
    place
}

/// What is pending where the search stands, and what is still to come.
struct Walk<'l> {
    events: &'l [Event],
    pending: u64,
    /// By state: the pending operations that ask for it, and that leave it behind.
    asked_by: [u64; 256],
    given_by: [u64; 256],
    /// By state: how many of those are still to be called.
    to_ask: [u32; 256],
    to_give: [u32; 256],
    /// By slot: where the call of what is pending there stands.
    call: [u32; SLOTS],
}

impl<'l> Walk<'l> {
    /// Before the first event.
    fn new(line: &'l Line) -> Self {
        Walk {
            events: &line.events,
            pending: 0,
            asked_by: [0; 256],
            given_by: [0; 256],
            to_ask: line.to_ask,
            to_give: line.to_give,
            call: [0; SLOTS],
        }
    }

    /// Passes an event on the way on or back: what is pending then was not before, or the other way round.
    fn turn(&mut self, event: Event, call: u32) {
        let slot = event.slot as usize % SLOTS;
        let bit = 1 << slot;
        self.pending ^= bit;
        self.asked_by[event.kind.asks as usize] ^= bit;
        self.given_by[event.kind.leaves as usize] ^= bit;
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

    /// Whether nobody will ask for the state any more, of those not in line.
    fn unasked(&self, state: u8, done: u64) -> bool {
        self.to_ask[state as usize] == 0 && self.asked_by[state as usize] & !done == 0
    }

    /// Walks on to the first return whose operation is not in line. A covered write goes in line here if nobody will ask
    /// for its value.
    ///
    /// Whether an event is a call or a return is as good as random, so little here depends on it by a branch.
    fn advance(&mut self, from: u32, done: &mut u64, state: u8, covered: u32) -> u32 {
        let mut at = from;
        while let Some(event) = self.events.get(at as usize).copied() {
            let (kind, slot) = (event.kind, event.slot as usize % SLOTS);
            if !event.is_call & (*done >> slot & 1 == 0) {
                let worthless =
                    event.other < covered && kind.overwrites() && self.unasked(kind.leaves, *done);
                if !worthless {
                    break;
                }
            }
            let observes = (kind.leaves == NONE) & ((kind.asks == NONE) | (kind.asks == state));
            *done = *done & !(1 << slot) | u64::from(event.is_call & observes) << slot;
            self.turn(event, if event.is_call { at } else { event.other });
            self.to_ask[kind.asks as usize] -= u32::from(event.is_call);
            self.to_give[kind.leaves as usize] -= u32::from(event.is_call);
            at += 1;
        }
        at
    }

    /// Walks back from `from` to `to`.
    fn retreat(&mut self, from: u32, to: u32) {
        for event in self.events[to as usize..from as usize].iter().rev() {
            self.turn(*event, event.other);
            self.to_ask[event.kind.asks as usize] += u32::from(event.is_call);
            self.to_give[event.kind.leaves as usize] += u32::from(event.is_call);
        }
    }

    /// Whether a pending operation that asks for `state` cannot get it in time any more, now that it is another one. Those
    /// to come are not looked at: that rarely tells anything, and would cost more than what it saves.
    fn owed(&self, at: u32, state: u8, done: u64) -> bool {
        if self.unasked(state, done) || self.given_by[state as usize] & !done != 0 {
            return false;
        }
        if self.to_give[state as usize] == 0 {
            return true;
        }
        if self.asked_by[state as usize] & !done == 0 {
            return false;
        }
        for event in self.events[at as usize..].iter().take(LOOK_AHEAD) {
            if event.is_call {
                if event.kind.leaves == state {
                    return false;
                }
            } else if event.kind.asks == state && (event.other >= at || done & (1 << event.slot) == 0) {
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
        let coming = self.events[at as usize..].iter().take(LOOK_AHEAD).filter(|event| event.is_call);
        coming.map(|event| event.kind.asks).find(|asked| *asked == left || *asked == state) == Some(left)
    }

    /// Whether a pending operation may be worth putting in line before its return.
    fn purposeful(&self, slot: usize, done: u64) -> bool {
        let Event { kind, other: returned, .. } = self.call(slot);
        let alike = |other: usize| {
            let other = self.call(other);
            other.kind == kind && other.other < returned
        };
        if kind.overwrites() && self.asked_by[kind.leaves as usize] & !done == 0 {
            return false;
        }
        !bits(self.given_by[kind.leaves as usize] & !done).any(alike)
    }

    /// The first call of a pending write that is neither in line nor covered.
    fn first_uncovered(&self, covered: u32, done: u64) -> u32 {
        let writes = self.asked_by[NONE as usize] & !self.given_by[NONE as usize] & !done;
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
    /// All other pending ones.
    Others,
}

/// A configuration whose successors are being tried.
struct Frame {
    /// The event it stands before: the first return whose operation is not in line.
    at: u32,
    /// Writes called before this event were pending when the last write went in line: they are covered.
    covered: u32,
    state: u8,
    turn: Turn,
    /// The pending operations still to be tried before the next turn.
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
        let hopeless = |state: u8| {
            state != initial && self.walk.to_ask[state as usize] > 0 && self.walk.to_give[state as usize] == 0
        };
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
            let pending =
                self.walk.pending & !self.walk.given_by[NONE as usize] & !top.done & !(1 << must.slot);
            let wanted = match must.kind.asks {
                asked if asked != NONE && asked != top.state => self.walk.given_by[asked as usize],
                _ => 0,
            };
            let passable = must.other < top.covered && must.kind.overwrites();
            let legal = match top.turn {
                Turn::Better if !passable => {
                    (top.turn, top.left) = (Turn::Wanted, pending & wanted);
                    self.put_in_line(must.slot as usize)
                }
                Turn::Better => {
                    top.turn = Turn::Worse;
                    let used_first = self.walk.asked_soon(top.at, must.kind.leaves, top.state, top.done);
                    if used_first { self.put_in_line(must.slot as usize) } else { self.pass(must) }
                }
                Turn::Worse => {
                    (top.turn, top.left) = (Turn::Wanted, pending & wanted);
                    let used_first = self.walk.asked_soon(top.at, must.kind.leaves, top.state, top.done);
                    if used_first { self.pass(must) } else { self.put_in_line(must.slot as usize) }
                }
                Turn::Wanted if top.left == 0 => {
                    (top.turn, top.left) = (Turn::Others, pending & !wanted);
                    false
                }
                Turn::Others if top.left == 0 => {
                    self.give_up(holding)?;
                    false
                }
                Turn::Wanted | Turn::Others => {
                    let slot = top.left.trailing_zeros() as usize;
                    top.left &= top.left - 1;
                    let done = top.done;
                    self.walk.purposeful(slot, done) && self.put_in_line(slot)
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
        let kind = self.walk.call(slot).kind;
        let Some(after) = kind.after(state) else { return false };
        done |= 1 << slot;
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
        done |= 1 << write.slot;
        if write.kind.leaves != state && self.walk.owed(at, write.kind.leaves, done) {
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
        let state = if self.walk.unasked(state, done) { DEAD } else { state };
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
