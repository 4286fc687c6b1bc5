//! What is owed to operations not in line yet, and who could still bring it about.

use super::super::pending::PendingSet;
use super::super::states::StateId;
use super::super::timeline::{Asks, ClassId, Leaves, OpId};
use super::super::used::{UsedId, UsedSets};
use super::{Search, TOP};
use crate::model::Model;

impl<M: Model, P: PendingSet> Search<'_, '_, '_, M, P> {
    /// Whether nobody will ask for the state any more.
    pub(super) fn unasked(&self, state: StateId) -> bool {
        let Some(of) = self.by_state.get(state as usize) else { return true };
        of.asking == 0 && self.line.optional_asks[state as usize] == 0
    }

    /// Whether operations of this class are writes of a value nobody will ask for.
    pub(super) fn worthless(&self, class: ClassId) -> bool {
        let what = &self.line.classes[class as usize];
        matches!(what.leaves, Leaves::State(state) if self.unasked(state)) && self.line.overwrites(class)
    }

    /// The first call of a pending write that is neither in line nor covered.
    pub(super) fn first_uncovered(&self, covered: u32, done: &P) -> u32 {
        let mut first = u32::MAX;
        let mut rest = self.pending.writes.without(done);
        while let Some(slot) = rest.first() {
            rest.take(slot);
            let called = self.line.ops[self.current[slot as usize] as usize].called;
            if called >= covered {
                first = first.min(called);
            }
        }
        first
    }

    /// The same set without optional operations that nobody can ask for any more.
    pub(super) fn forget_spent(&mut self, used: UsedId) -> UsedId {
        if !self.line.known || used == UsedSets::EMPTY {
            return used;
        }
        let (line, by_state) = (&*self.line, &self.by_state);
        self.used.without(used, |class| match line.classes[class as usize].leaves {
            Leaves::State(state) => {
                by_state[state as usize].asking == 0 && line.optional_asks[state as usize] == 0
            }
            _ => false,
        })
    }

    /// Whether a required operation that asks for `state` cannot get it in time any more, now that it is another one.
    pub(super) fn owed(&self, at: u32, state: StateId, done: &P, used: UsedId) -> bool {
        let Some(of) = self.by_state.get(state as usize) else { return false };
        if !self.line.obliging || of.asking == 0 {
            return false;
        }
        if of.giving == 0 {
            return true;
        }
        if !self.line.known
            || !of.given_by.within(done)
            || self.line.offers.of(state).iter().any(|class| self.unused(used, *class))
        {
            return false;
        }
        let next = self.line.giver_calls.of(state).get(of.called as usize).copied().unwrap_or(u32::MAX);
        self.line.askers.of(state)[of.returned as usize..]
            .iter()
            .map(|op| self.line.ops[*op as usize])
            .take_while(|op| op.returned < next)
            .any(|op| op.called >= at || !done.has(op.slot))
    }

    /// Whether an optional operation of this class was invoked and is not used.
    pub(super) fn unused(&self, used: UsedId, class: ClassId) -> bool {
        let offered = self.offered[class as usize] as usize;
        if used == UsedSets::EMPTY { offered > 0 } else { self.used.count(used, class) < offered }
    }

    /// Notes that a required operation is in line.
    pub(super) fn enter(&mut self, op: OpId) {
        self.trail.push(op);
        self.settle(self.line.ops[op as usize].class, true);
    }

    pub(super) fn settle(&mut self, class: ClassId, required: bool) {
        let class = &self.line.classes[class as usize];
        if let (true, Asks::State(state)) = (required, class.asks) {
            self.by_state[state as usize].asking -= 1;
        }
        if let Leaves::State(state) = class.leaves {
            self.by_state[state as usize].giving -= 1;
        }
        for state in &class.might_leave {
            self.by_state[*state as usize].giving -= 1;
        }
    }

    /// Takes everything from `length` on back out of the line.
    pub(super) fn rewind(&mut self, length: usize) {
        while self.trail.len() > length {
            let Some(entry) = self.trail.pop() else { return };
            let required = entry & TOP == 0;
            let class = if required { self.line.ops[entry as usize].class } else { entry & !TOP };
            let class = &self.line.classes[class as usize];
            if let (true, Asks::State(state)) = (required, class.asks) {
                self.by_state[state as usize].asking += 1;
            }
            if let Leaves::State(state) = class.leaves {
                self.by_state[state as usize].giving += 1;
            }
            for state in &class.might_leave {
                self.by_state[*state as usize].giving += 1;
            }
        }
    }
}
