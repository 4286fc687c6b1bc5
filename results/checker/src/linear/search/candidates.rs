//! What is worth trying next from a configuration, and in which order.

use super::super::pending::{PendingSet, slots};
use super::super::timeline::{Asks, ClassId, Event, Leaves, Op, OpId};
use super::Search;
use crate::model::Model;

/// Where the cursor stands: on the pending operations that leave behind what is asked for, on the others, or on the
/// optional ones, of which it counts those that were tried.
const FIRST: u32 = 2;
const OFFERS: u32 = 4;

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
        let (at, covered, cursor) = self.stack.last().map(|top| (top.at, top.covered, top.cursor))?;
        let Event::Return(must) = self.line.events[at as usize] else {
            unreachable!("a configuration stands before a return")
        };
        if cursor < FIRST {
            let op = self.line.ops[must as usize];
            let passable = op.called < covered && self.line.overwrites(op.class);
            let used_first = passable && self.asked_soon(must);
            if cursor == 0 && passable {
                self.top().cursor = 1;
            } else {
                self.turn_to(FIRST, must);
            }
            let pass = passable && (cursor == 0) != used_first;
            return Some(Some(if pass { Candidate::Pass(must) } else { Candidate::Required(must) }));
        }
        while self.top().cursor < OFFERS {
            let top = self.top();
            let Some(slot) = top.left.first() else {
                let cursor = top.cursor + 1;
                self.turn_to(cursor, must);
                continue;
            };
            top.left.take(slot);
            let op = self.current[slot as usize];
            if self.purposeful(op) {
                return Some(Some(Candidate::Required(op)));
            }
        }
        let top = self.top();
        let at = (top.offers + top.cursor - OFFERS) as usize;
        top.cursor += 1;
        Some(self.offer_stack.get(at).map(|class| Candidate::Optional(*class)))
    }

    /// Moves the cursor on, and sees which pending operations are to be looked at there.
    fn turn_to(&mut self, cursor: u32, must: OpId) {
        if cursor == OFFERS {
            self.collect_offers();
        }
        let Search { line, pending, by_state, stack, .. } = self;
        let Some(top) = stack.last_mut() else { return };
        top.cursor = cursor;
        if cursor == OFFERS {
            return;
        }
        let op = line.ops[must as usize];
        let wanted = match line.classes[op.class as usize].asks {
            Asks::State(asked) if asked != top.state => Some(&by_state[asked as usize].given_by),
            _ => None,
        };
        let mut left = pending.all.without(&pending.observers).without(&top.done);
        left.take(op.slot);
        top.left = match (cursor, wanted) {
            (FIRST, Some(wanted)) => left.both(wanted),
            (FIRST, None) => P::empty(line.slots),
            (_, Some(wanted)) => left.without(wanted),
            (_, None) => left,
        };
    }

    /// Whether the value of a covered write at its return is asked for before what is there now, as far as can be seen
    /// from a few events. Only decides what is tried first.
    fn asked_soon(&self, write: OpId) -> bool {
        let Some(top) = self.stack.last() else { return false };
        let (at, state) = (top.at as usize, top.state);
        let Leaves::State(left) = self.line.classes[self.line.ops[write as usize].class as usize].leaves
        else {
            return false;
        };
        let pending = slots(self.pending.all.without(&top.done)).map(|slot| self.current[slot as usize]);
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
                if self.unused(used, *class) {
                    self.offer_stack.push(*class);
                }
            }
            return;
        }
        // Where the state is as wanted already, writing it again can still cover writes.
        let hides = self.first_uncovered(top.covered, &top.done) < u32::MAX;
        self.wanted.clear();
        for slot in slots(self.pending.all.without(&top.done)) {
            let op = self.line.ops[self.current[slot as usize] as usize];
            if let Asks::State(asked) = self.line.classes[op.class as usize].asks
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
                if !self.unused(used, *class) || self.has_equal(*class) {
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
        self.not_in_line(self.leaving(optional.leaves)).any(|op| {
            let class = &self.line.classes[op.class as usize];
            class.asks == optional.asks && class.leaves == optional.leaves
        })
    }

    /// Whether a pending operation may be worth putting in line before its return.
    fn purposeful(&self, op: OpId) -> bool {
        let op = self.line.ops[op as usize];
        let leaves = self.line.classes[op.class as usize].leaves;
        if self
            .not_in_line(self.leaving(leaves))
            .any(|other| other.class == op.class && other.returned < op.returned)
        {
            return false;
        }
        let Leaves::State(state) = leaves else { return true };
        !self.line.known
            || !self.line.overwrites(op.class)
            || self.line.optional_asks[state as usize] > 0
            || self.not_in_line(&self.by_state[state as usize].asked_by).next().is_some()
    }

    /// The pending operations among which are all that leave the same behind.
    fn leaving(&self, leaves: Leaves) -> &P {
        match leaves {
            Leaves::State(state) => &self.by_state[state as usize].given_by,
            _ => &self.pending.all,
        }
    }

    /// Those of them that are not in line in the configuration on top.
    fn not_in_line<'s>(&'s self, of: &'s P) -> impl Iterator<Item = Op> + 's {
        let done = self.stack.last().map(|top| of.without(&top.done));
        done.into_iter().flat_map(slots).map(|slot| self.line.ops[self.current[slot as usize] as usize])
    }
}
