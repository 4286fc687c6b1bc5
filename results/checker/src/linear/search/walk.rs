//! From one event to the next and back, with the operations pending there.

use super::super::pending::PendingSet;
use super::super::states::StateId;
use super::super::timeline::{Asks, Event, Leaves, Op, OpId};
use super::{NONE, Search};
use crate::model::Model;

impl<M: Model, P: PendingSet> Search<'_, '_, '_, M, P> {
    /// Puts every pending observer that `state` accepts in line.
    pub(super) fn observe(&mut self, done: &mut P, state: StateId) {
        for slot in 0..self.current.len() {
            let op = self.current[slot];
            if op != NONE && !done.has(slot as u32) && self.observes(op, state) {
                done.put(slot as u32);
                self.enter(op);
            }
        }
    }

    fn observes(&mut self, op: OpId, state: StateId) -> bool {
        let id = self.line.ops[op as usize].class;
        let class = &self.line.classes[id as usize];
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

    /// Walks on to the first return whose operation is not in line. A covered write goes in line here if nobody will ask
    /// for its value.
    pub(super) fn advance(&mut self, from: u32, done: &mut P, state: StateId, covered: u32) -> u32 {
        let mut at = from;
        while let Some(event) = self.line.events.get(at as usize).copied() {
            match event {
                Event::Call(op) => {
                    let slot = self.line.ops[op as usize].slot;
                    self.current[slot as usize] = op;
                    if self.observes(op, state) {
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
                    self.current[slot as usize] = NONE;
                }
                Event::Offer(class) => {
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
                Event::Call(op) => self.current[self.line.ops[op as usize].slot as usize] = NONE,
                Event::Return(op) => self.current[self.line.ops[op as usize].slot as usize] = op,
                Event::Offer(class) => {
                    self.offered[class as usize] -= 1;
                    if self.offered[class as usize] == 0 {
                        self.open_offers.pop();
                    }
                }
            }
        }
    }
}
