//! What is pending where the search stands, on the way on and back.

use super::SLOTS;
use super::kinds::NONE;
use super::line::{Event, Last, Line, NEVER};

/// So many events are looked at to see what is asked for soon, and whether what is owed can still come.
const LOOK_AHEAD: usize = 24;

/// What is pending where the search stands, and what is still to come.
pub(super) struct Walk<'l> {
    pub(super) events: &'l [Event],
    pub(super) last: &'l Last,
    pending: u64,
    /// The optional ones of them.
    pub(super) optional: u64,
    /// By state: the pending operations that ask for it, and that leave it behind.
    asked_by: [u64; 256],
    given_by: [u64; 256],
    /// By slot: where the call of what is pending there stands.
    call: [u32; SLOTS],
}

impl<'l> Walk<'l> {
    /// Before the first event.
    pub(super) fn new(line: &'l Line) -> Self {
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
    pub(super) fn call(&self, slot: usize) -> Event {
        self.events[self.call[slot] as usize]
    }

    /// Those that change nothing and are accepted in this state.
    pub(super) fn observers(&self, state: u8) -> u64 {
        self.given_by[NONE as usize] & (self.asked_by[NONE as usize] | self.asked_by[state as usize])
    }

    /// Whether nobody will ask for the state any more, of those not in line, from this event on.
    pub(super) fn unasked(&self, at: u32, state: u8, done: u64) -> bool {
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
    pub(super) fn advance(&mut self, from: u32, done: &mut u64, state: u8, covered: u32) -> u32 {
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
    pub(super) fn retreat(&mut self, from: u32, to: u32) {
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
    pub(super) fn owed(&self, at: u32, state: u8, done: u64) -> bool {
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
    pub(super) fn asked_soon(&self, at: u32, left: u8, state: u8, done: u64) -> bool {
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
    pub(super) fn changing(&self, done: u64) -> u64 {
        self.pending & !self.optional & !self.given_by[NONE as usize] & !done
    }

    /// Those of them that leave what this one asks for, if that is another state.
    pub(super) fn wanted(&self, must: Event, state: u8, done: u64) -> u64 {
        match must.kind().asks {
            asked if asked != NONE && asked != state => {
                self.changing(done) & self.given_by[asked as usize] & !must.bit()
            }
            _ => 0,
        }
    }

    /// Whether a pending operation may be worth putting in line before its return.
    pub(super) fn purposeful(&self, slot: usize, done: u64) -> bool {
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
    pub(super) fn worth_using(&self, state: u8, done: u64, covered: u32) -> u64 {
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
    pub(super) fn first_uncovered(&self, covered: u32, done: u64) -> u32 {
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
