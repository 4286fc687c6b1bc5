//! What is going to happen, in the order of simulated time; among equals, in the order it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Microseconds of simulated time since the start.
pub(super) type Micros = u64;

/// A queue of things to come.
pub(super) struct Queue<T> {
    now: Micros,
    planned: u64,
    heap: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    /// The things themselves, so that the heap moves only small keys.
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Queue { now: 0, planned: 0, heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new() }
    }

    /// The time of what happened last.
    pub(super) fn now(&self) -> Micros {
        self.now
    }

    /// Plans something; what is late happens now.
    pub(super) fn at(&mut self, time: Micros, thing: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(thing);
        self.planned += 1;
        self.heap.push(Reverse((time.max(self.now), self.planned, slot)));
    }

    /// The next thing, if it happens before `end`; time moves on to it.
    pub(super) fn next(&mut self, end: Micros) -> Option<T> {
        let Reverse((time, _, _)) = self.heap.peek()?;
        if *time >= end {
            return None;
        }
        let Reverse((time, _, slot)) = self.heap.pop()?;
        self.now = time;
        self.free.push(slot);
        self.slots[slot].take()
    }
}
