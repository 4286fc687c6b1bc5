//! What is worth trying next from a configuration, and in which order.

use super::super::pending::PendingSet;
use super::super::timeline::{Asks, ClassId, Event, Leaves, OpId};
use super::{NONE, Search};
use crate::model::Model;

/// So many events are looked at to guess what to try first.
const LOOK_AHEAD: usize = 32;

/// What can come next in a line.
#[derive(Clone, Copy)]
pub(super) enum Candidate {
    /// A covered write returns unseen.
    Pass(OpId),
    Required(OpId),
    Optional(ClassId),
}

impl<M: Model, P: PendingSet> Search<'_, '_, '_, M, P> {
    /// The next candidate of the configuration on top: first the operation that must be in line next; then, if it asks
    /// for another state, the pending ones that leave it behind; then all other pending ones; then optional ones.
    /// `None` when the stack is empty, `Some(None)` when the top has no more.
    pub(super) fn next(&mut self) -> Option<Option<Candidate>> {
        let slots = self.line.slots as u32;
        let top = self.stack.last_mut()?;
        let Event::Return(must) = self.line.events[top.at as usize] else {
            unreachable!("a configuration stands before a return")
        };
        let first = match self.line.classes[self.line.ops[must as usize].class as usize].asks {
            Asks::State(state) if state != top.state => Leaves::State(state),
            _ => Leaves::Unknown,
        };
        if top.cursor < 2 {
            let op = self.line.ops[must as usize];
            let passable = op.called < top.covered && self.line.overwrites(op.class);
            let used_first = passable && self.asked_soon(must);
            let top = self.top();
            top.cursor += 1;
            if top.cursor == 2 || !passable {
                top.cursor = if first == Leaves::Unknown { slots + 2 } else { 2 };
            }
            let pass = passable && (self.top().cursor == 1) != used_first;
            return Some(Some(if pass { Candidate::Pass(must) } else { Candidate::Required(must) }));
        }
        while self.top().cursor <= 2 * slots + 1 {
            let top = self.top();
            let slot = (top.cursor - 2) % slots;
            let early = top.cursor <= slots + 1;
            top.cursor += 1;
            let op = self.current[slot as usize];
            if op == NONE || op == must || self.in_line(op) {
                continue;
            }
            let leaves = self.line.classes[self.line.ops[op as usize].class as usize].leaves;
            let is_first = first != Leaves::Unknown && leaves == first;
            if leaves == Leaves::Same || early != is_first || !self.purposeful(op) {
                continue;
            }
            return Some(Some(Candidate::Required(op)));
        }
        if self.top().cursor == 2 * slots + 2 {
            self.collect_offers();
        }
        let top = self.top();
        let at = (top.offers + top.cursor - 2 * slots - 2) as usize;
        top.cursor += 1;
        Some(self.offer_stack.get(at).map(|class| Candidate::Optional(*class)))
    }

    /// Whether the value of a covered write at its return is asked for before what is there now, as far as can be seen
    /// from a few events. Only decides what is tried first.
    fn asked_soon(&mut self, write: OpId) -> bool {
        let (at, state) = (self.top().at as usize, self.top().state);
        let Leaves::State(left) = self.line.classes[self.line.ops[write as usize].class as usize].leaves
        else {
            return false;
        };
        let pending = self.current.iter().copied().filter(|op| *op != NONE && !self.in_line(*op));
        let end = (at + LOOK_AHEAD).min(self.line.events.len());
        let coming = self.line.events[at..end].iter().filter_map(|event| match event {
            Event::Call(op) => Some(*op),
            _ => None,
        });
        for op in pending.chain(coming) {
            match self.line.classes[self.line.ops[op as usize].class as usize].asks {
                Asks::State(asked) if asked == left => return true,
                Asks::State(asked) if asked == state => return false,
                _ => {}
            }
        }
        false
    }

    /// Puts the optional classes worth trying from the configuration on top onto their stack.
    fn collect_offers(&mut self) {
        if self.line.optional == 0 {
            return;
        }
        let top = self.stack.last().expect("only called with a configuration on top");
        let (state, used) = (top.state, top.used);
        if !self.line.known {
            for class in &self.open_offers {
                if self.used.count(used, *class) < self.offered[*class as usize] as usize {
                    self.offer_stack.push(*class);
                }
            }
            return;
        }
        // Where the state is as wanted already, writing it again can still cover writes.
        let hides = self.first_uncovered(top.covered, &top.done) < u32::MAX;
        self.wanted.clear();
        for op in self.current.iter().filter(|op| **op != NONE) {
            let op = self.line.ops[*op as usize];
            if let (false, Asks::State(asked)) =
                (top.done.has(op.slot), self.line.classes[op.class as usize].asks)
                && (asked != state || hides)
                && !self.wanted.contains(&asked)
            {
                self.wanted.push(asked);
            }
        }
        let mut at = 0;
        while let Some(wanted) = self.wanted.get(at).copied() {
            at += 1;
            for class in self.line.offers.of(wanted) {
                if self.used.count(used, *class) >= self.offered[*class as usize] as usize
                    || self.has_equal(*class)
                {
                    continue;
                }
                match self.line.classes[*class as usize].asks {
                    Asks::State(before) if before != state || hides => {
                        if !self.wanted.contains(&before) {
                            self.wanted.push(before);
                        }
                        if before == state {
                            self.offer_stack.push(*class);
                        }
                    }
                    _ => self.offer_stack.push(*class),
                }
            }
        }
    }

    /// Whether a pending operation that must go in line anyhow does the same as an optional one. Then that one is kept:
    /// it can do later whatever the pending one could.
    fn has_equal(&self, optional: ClassId) -> bool {
        let optional = &self.line.classes[optional as usize];
        self.current.iter().any(|op| {
            *op != NONE && !self.in_line(*op) && {
                let class = &self.line.classes[self.line.ops[*op as usize].class as usize];
                class.asks == optional.asks && class.leaves == optional.leaves
            }
        })
    }

    /// Whether a pending operation may be worth putting in line before its return.
    fn purposeful(&self, op: OpId) -> bool {
        let op = self.line.ops[op as usize];
        let pending = || {
            let others = self.current.iter().filter(|other| **other != NONE && !self.in_line(**other));
            others.map(|other| self.line.ops[*other as usize])
        };
        if pending().any(|other| other.class == op.class && other.returned < op.returned) {
            return false;
        }
        let Leaves::State(state) = self.line.classes[op.class as usize].leaves else { return true };
        !self.line.known
            || !self.line.overwrites(op.class)
            || self.line.optional_asks[state as usize] > 0
            || pending().any(|other| self.line.classes[other.class as usize].asks == Asks::State(state))
    }
}
