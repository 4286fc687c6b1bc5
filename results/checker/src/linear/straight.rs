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

mod kinds;
mod line;
mod walk;

use rustc_hash::FxHashMap;
use schism_history::Columns;

use super::allowance::{Allowance, Holding};
use super::{Effort, Finding};
use crate::model::Model;
use kinds::{DEAD, NONE};
use line::{Event, Line, NEVER};
use walk::Walk;

/// Operations pending at once: one a bit.
const SLOTS: usize = 64;
/// Configurations tried before all is left to the other search: so many more than there are events.
const TRIES: u64 = 2048;
/// Configurations there is room for at first.
const STACK: usize = 64;
/// The clock is asked once in so many configurations.
const CLOCK_EVERY: u64 = 1024;

/// Judges the operations of one object, given in the order of their calls. `None` if that is not possible this way, or
/// not soon: then nothing is known. O(n) where values come back often, and n log n for objects among many; the steps are
/// bounded anyhow.
pub fn straight<M: Model>(
    model: &M,
    columns: &Columns,
    operations: impl Iterator<Item = usize> + Clone,
    allowance: &Allowance<'_>,
) -> Option<(Finding, Effort)> {
    let mut holding = Holding::new(allowance);
    let table = kinds::most_bytes(operations.size_hint().0);
    holding.grow(table + size_of::<Walk>() + size_of::<Line>() + STACK * size_of::<Frame>()).ok()?;
    let line = Line::of(model, columns, operations.clone(), &mut holding)?;
    let walk = Walk::new(&line);
    let mut search = Search {
        walk,
        stack: Vec::with_capacity(STACK),
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
        loop {
            if self.stack.len() == self.stack.capacity() {
                let bytes = self.stack.capacity() * size_of::<Frame>();
                holding.grow(2 * bytes).ok()?;
                self.stack.reserve_exact(self.stack.len());
                holding.shrink(bytes);
            }
            let Some(top) = self.stack.last_mut() else { return Some(false) };
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
