//! From one event to the next and back, with the operations pending there.

use super::super::pending::{PendingSet, slots};
use super::super::states::StateId;
use super::super::timeline::{Asks, ClassId, Event, Leaves, Op, OpId};
use super::{NONE, OfState, Search};
use crate::model::Model;

impl<M: Model, P: PendingSet> Search<'_, '_, '_, M, P> {
    /// Puts every pending observer that `state` accepts in line.
    pub(super) fn observe(&mut self, done: &mut P, state: StateId) {
        let mut accepted = self.pending.idle.clone();
        if let Some(of) = self.by_state.get(state as usize) {
            accepted.join(&of.asked_by.both(&self.pending.observers));
        }
        for slot in slots(accepted.without(done)) {
            done.put(slot);
            self.enter(self.current[slot as usize]);
        }
        for slot in slots(self.pending.blind.without(done)) {
            let op = self.current[slot as usize];
            if self.observes(op, state) {
                done.put(slot);
                self.enter(op);
            }
        }
    }

    fn observes(&self, op: OpId, state: StateId) -> bool {
        let class = &self.line.classes[self.line.ops[op as usize].class as usize];
        if class.leaves != Leaves::Same {
            return false;
        }
        match class.asks {
            Asks::State(asked) => asked == state,
            Asks::Nothing => true,
            Asks::Unknown => {
                self.line.model.step(self.line.states.get(state), class.call, class.ret).is_some()
            }
        }
    }

    /// Notes that a required operation becomes pending.
    fn begin(&mut self, op: OpId) {
        let Op { slot, class: id, .. } = self.line.ops[op as usize];
        let class = &self.line.classes[id as usize];
        self.current[slot as usize] = op;
        self.pending.all.put(slot);
        if let Asks::State(state) = class.asks {
            self.by_state[state as usize].asked_by.put(slot);
        }
        match (class.leaves, class.asks) {
            (Leaves::Unknown, _) => {}
            (Leaves::State(state), asks) => {
                self.by_state[state as usize].given_by.put(slot);
                if asks == Asks::Nothing {
                    self.pending.writes.put(slot);
                }
            }
            (Leaves::Same, asks) => {
                self.pending.observers.put(slot);
                match asks {
                    Asks::Nothing => self.pending.idle.put(slot),
                    Asks::Unknown => self.pending.blind.put(slot),
                    Asks::State(_) => {}
                }
            }
        }
    }

    /// Notes that it is pending no more, or not yet.
    fn end(&mut self, op: OpId) {
        let Op { slot, class: id, .. } = self.line.ops[op as usize];
        let class = &self.line.classes[id as usize];
        self.current[slot as usize] = NONE;
        self.pending.all.take(slot);
        if let Asks::State(state) = class.asks {
            self.by_state[state as usize].asked_by.take(slot);
        }
        match class.leaves {
            Leaves::Unknown => {}
            Leaves::State(state) => {
                self.by_state[state as usize].given_by.take(slot);
                self.pending.writes.take(slot);
            }
            Leaves::Same => {
                self.pending.observers.take(slot);
                self.pending.idle.take(slot);
                self.pending.blind.take(slot);
            }
        }
    }

    /// What is counted of the state that operations of this class leave behind.
    fn left_by(&mut self, class: ClassId) -> Option<&mut OfState<P>> {
        match self.line.classes[class as usize].leaves {
            Leaves::State(state) => Some(&mut self.by_state[state as usize]),
            _ => None,
        }
    }

    /// What is counted of the state that an operation asks for.
    fn asked_by(&mut self, op: OpId) -> Option<&mut OfState<P>> {
        match self.line.classes[self.line.ops[op as usize].class as usize].asks {
            Asks::State(state) => Some(&mut self.by_state[state as usize]),
            _ => None,
        }
    }

    /// Walks on to the first return whose operation is not in line. A covered write goes in line here if nobody will ask
    /// for its value.
    pub(super) fn advance(&mut self, from: u32, done: &mut P, state: StateId, covered: u32) -> u32 {
        let mut at = from;
        while let Some(event) = self.line.events.get(at as usize).copied() {
            match event {
                Event::Call(op) => {
                    let Op { slot, class, .. } = self.line.ops[op as usize];
                    self.begin(op);
                    if let Some(left) = self.left_by(class) {
                        left.called += 1;
                    } else if self.observes(op, state) {
                        done.put(slot);
                        self.enter(op);
                    }
                }
                Event::Return(op) => {
                    let Op { slot, class, called, .. } = self.line.ops[op as usize];
                    if done.has(slot) {
                        done.take(slot);
                    } else if called < covered && self.worthless(class) {
                        self.enter(op);
                    } else {
                        break;
                    }
                    self.end(op);
                    if let Some(asked) = self.asked_by(op) {
                        asked.returned += 1;
                    }
                }
                Event::Offer(class) => {
                    if let Some(left) = self.left_by(class) {
                        left.called += 1;
                    }
                    self.offered[class as usize] += 1;
                    if self.offered[class as usize] == 1 {
                        self.open_offers.push(class);
                    }
                }
            }
            at += 1;
        }
        self.furthest = self.furthest.max(at);
        at
    }

    /// Walks back from `from` to `to`.
    pub(super) fn retreat(&mut self, from: u32, to: u32) {
        for at in (to..from).rev() {
            match self.line.events[at as usize] {
                Event::Call(op) => {
                    self.end(op);
                    if let Some(left) = self.left_by(self.line.ops[op as usize].class) {
                        left.called -= 1;
                    }
                }
                Event::Return(op) => {
                    self.begin(op);
                    if let Some(asked) = self.asked_by(op) {
                        asked.returned -= 1;
                    }
                }
                Event::Offer(class) => {
                    if let Some(left) = self.left_by(class) {
                        left.called -= 1;
                    }
                    self.offered[class as usize] -= 1;
                    if self.offered[class as usize] == 0 {
                        self.open_offers.pop();
                    }
                }
            }
        }
    }
}
