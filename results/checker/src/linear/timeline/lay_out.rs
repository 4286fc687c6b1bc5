//! The operations in the order of time.

use super::{Asks, ClassId, Event, Leaves, Op, OpId, Timeline};
use crate::linear::Entry;
use crate::linear::lists::Lists;
use crate::model::Model;

/// Where there are no more positions than so many times the events, each event has a place of its own and need not be
/// compared with others.
const SPARSE: usize = 4;

impl<'h, M: Model> Timeline<'h, M> {
    /// Lays out the events: when operations become pending and return, and when each state is asked for and brought about.
    pub(super) fn lay_out(
        &mut self,
        entries: &[Entry<'h>],
        class_of: &[ClassId],
        idle: &[bool],
        last: Option<ClassId>,
    ) {
        self.ops.reserve_exact(entries.len() + 1);
        self.asking = vec![0; self.states.len()];
        self.giving = vec![0; self.states.len()];
        // Of those, operations that leave a state behind for certain.
        let mut givers = vec![0; self.states.len()];
        let mut events = InOrder::new(entries);
        for (entry, id) in entries.iter().zip(class_of) {
            let class = &self.classes[*id as usize];
            if entry.ret.is_some() {
                let op = self.ops.len() as OpId;
                self.ops.push(Op { class: *id, slot: 0, source: entry.operation, called: 0, returned: 0 });
                events.put(entry.invoke, Event::Call(op));
                events.put(entry.complete, Event::Return(op));
                if let Asks::State(state) = class.asks {
                    self.asking[state as usize] += 1;
                }
            } else if idle[*id as usize] {
                continue;
            } else {
                self.optional += 1;
                events.put(entry.invoke, Event::Offer(*id));
            }
            if let Leaves::State(state) = class.leaves {
                self.giving[state as usize] += 1;
                givers[state as usize] += 1;
            }
            for state in &class.might_leave {
                self.giving[*state as usize] += 1;
            }
        }
        self.events = events.finish();
        if let Some(class) = last {
            self.add_last(class);
        }
        self.askers = Lists::with_lengths(self.asking.clone());
        self.giver_calls = Lists::with_lengths(givers);
        self.line_up();
    }

    /// Adds an operation after all others.
    fn add_last(&mut self, class: ClassId) {
        let op = self.ops.len() as OpId;
        let source = self.ops.last().map_or(0, |before| before.source);
        self.ops.push(Op { class, slot: 0, source, called: 0, returned: 0 });
        self.events.extend([Event::Call(op), Event::Return(op)]);
        if let Asks::State(state) = self.classes[class as usize].asks {
            self.asking[state as usize] += 1;
        }
    }

    /// Gives every operation its slot and its place, and notes who asks when for what.
    fn line_up(&mut self) {
        let mut free: Vec<u32> = Vec::new();
        for (at, event) in self.events.iter().enumerate() {
            let class = match event {
                Event::Call(id) => {
                    let op = &mut self.ops[*id as usize];
                    op.called = at as u32;
                    op.slot = free.pop().unwrap_or_else(|| {
                        self.slots += 1;
                        (self.slots - 1) as u32
                    });
                    op.class
                }
                Event::Return(id) => {
                    let op = &mut self.ops[*id as usize];
                    op.returned = at as u32;
                    free.push(op.slot);
                    if let Asks::State(state) = self.classes[op.class as usize].asks {
                        self.askers.push(state, *id);
                    }
                    continue;
                }
                Event::Offer(class) => *class,
            };
            if let Leaves::State(state) = self.classes[class as usize].leaves {
                self.giver_calls.push(state, at as u32);
            }
        }
    }
}

/// Stands where there is no event.
const NO_EVENT: Event = Event::Offer(ClassId::MAX);

/// Events to be put in the order of their positions.
enum InOrder {
    /// Each has a place, from this position on.
    Places(u32, Vec<Event>),
    /// They are too far apart, or two are at the same position.
    Sorted(Vec<(u32, Event)>),
}

impl InOrder {
    fn new(entries: &[Entry<'_>]) -> Self {
        let last = |entry: &Entry<'_>| if entry.ret.is_some() { entry.complete } else { entry.invoke };
        let first = entries.iter().map(|entry| entry.invoke).min().unwrap_or(0);
        let end = entries.iter().map(last).max().map_or(0, |last| last as usize + 1);
        let span = end.saturating_sub(first as usize);
        if span > SPARSE * 2 * entries.len() {
            return InOrder::Sorted(Vec::with_capacity(entries.len() * 2));
        }
        InOrder::Places(first, vec![NO_EVENT; span])
    }

    fn put(&mut self, position: u32, event: Event) {
        match self {
            InOrder::Sorted(events) => events.push((position, event)),
            InOrder::Places(first, places) => match places.get_mut(position.wrapping_sub(*first) as usize) {
                Some(place) if *place == NO_EVENT => *place = event,
                _ => {
                    let known = (*first..).zip(std::mem::take(places));
                    let mut events: Vec<_> = known.filter(|(_, event)| *event != NO_EVENT).collect();
                    events.push((position, event));
                    *self = InOrder::Sorted(events);
                }
            },
        }
    }

    fn finish(self) -> Vec<Event> {
        match self {
            InOrder::Places(_, mut events) => {
                if events.contains(&NO_EVENT) {
                    events.retain(|event| *event != NO_EVENT);
                }
                events
            }
            InOrder::Sorted(mut events) => {
                events.sort_by_key(|(position, _)| *position);
                events.into_iter().map(|(_, event)| event).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use schism_history::{Call, Ret};

    use super::*;

    fn events(ends: &[(u32, u32)]) -> (bool, Vec<Event>) {
        let call = Call::Read { key: 0.into() };
        let entry = |(invoke, complete): &(u32, u32)| Entry {
            operation: 0,
            call: &call,
            ret: Some(&Ret::Done),
            invoke: *invoke,
            complete: *complete,
        };
        let entries: Vec<Entry<'_>> = ends.iter().map(entry).collect();
        let mut events = InOrder::new(&entries);
        for (op, (invoke, complete)) in (0..).zip(ends) {
            events.put(*invoke, Event::Call(op));
            events.put(*complete, Event::Return(op));
        }
        (matches!(events, InOrder::Places(..)), events.finish())
    }

    #[test]
    fn near_or_far_apart_they_are_in_order() {
        let wanted = [Event::Call(1), Event::Call(0), Event::Return(1), Event::Return(0)];
        for (step, near) in [(1, true), (3, true), (100, false)] {
            assert_eq!(events(&[(7 + step, 7 + 4 * step), (7, 7 + 2 * step)]), (near, wanted.to_vec()));
        }
    }

    /// No history has two events at one position. Should there be such entries all the same, none is lost.
    #[test]
    fn equal_positions_lose_no_event() {
        let wanted = [Event::Call(0), Event::Return(0), Event::Call(1), Event::Return(1)];
        assert_eq!(events(&[(3, 4), (4, 5)]), (false, wanted.to_vec()));
    }
}
