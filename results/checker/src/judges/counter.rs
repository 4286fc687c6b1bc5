//! Counters whose every increment adds one, tickets, and whatever else gives each change the next place. Near-linear time.
//!
//! The place of some changes is known from what they were answered (a ticket, an offset), and a read of `v` stands between
//! the changes of places `v` and `v + 1`. Time must agree with that order. Each remaining place is to be filled by one of
//! the changes whose place nobody knows: it must have begun before anything later was over, and must not have been over
//! before anything earlier began. The places that one fits lie side by side, so giving each place, from the lowest on, to
//! the one that was over first decides it exactly (Glover, 1967). Changes left over come after all places that were seen,
//! if they happened at all.
//!
//! `places` decides; should it say no, the same is done again with a name for everything.
//!
//! Finds every violation and nothing else, except that a witness names one change or read of the many that count.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Answer, Columns, NEVER, NONE, Rule, places};

/// A change whose place nobody knows; the number means nothing.
pub const CHANGE: u32 = 0;
/// A read; the number is how many changes it saw.
pub const READ: u32 = 1;
/// A change that was told how many came before it: the number.
pub const TICKET: u32 = 2;

/// What the rules are called for one kind of object.
#[derive(Debug)]
pub struct Names {
    doubled: Rule,
    too_high: Rule,
    too_low: Rule,
    backwards: Rule,
}

static COUNTER: Names = Names {
    doubled: Rule { name: "duplicated ticket", law: "{0}, and {1}: the same place in line was given twice" },
    too_high: Rule {
        name: "unexpected increment",
        law: "{0}: no increments that can have happened by then add up to that",
    },
    too_low: Rule {
        name: "lost increment",
        law: "{0}; all that count it began only afterwards, and none of them has room for it: {1}",
    },
    backwards: Rule { name: "stale read", law: "{0}; only after that began this, and it counts less: {1}" },
};

/// Names for a log: increments are appends.
pub(super) static LOG: Names = Names {
    doubled: Rule { name: "duplicated offset", law: "{0}, and {1}: the same offset was given twice" },
    too_high: Rule { name: "unexpected element", law: "{0}: more than was appended by then" },
    too_low: Rule {
        name: "lost element",
        law: "{0}; all that come after it began only afterwards, and none of them has room for it: {1}",
    },
    backwards: Rule {
        name: "reordered elements",
        law: "{0}; only after that began this, and it stands before it: {1}",
    },
};

/// Judges a counter that is zero at first.
pub fn judge(columns: &Columns) -> Answer {
    judge_as(columns, &COUNTER)
}

/// Operations of one place: of a number of changes seen, or of one change.
#[derive(Clone, Copy)]
struct Block {
    /// Who was over first, and who began last.
    first_return: u32,
    last_invoke: u32,
}

struct Places<'c> {
    columns: &'c Columns,
    /// Reads of 0, the first change, reads of 1, the second change …
    blocks: Vec<Block>,
    free: Vec<u32>,
}

pub(super) fn judge_as(columns: &Columns, names: &'static Names) -> Answer {
    if places::legal(&columns.dense()) {
        return Answer::Legal;
    }
    let mut changes = 0;
    let mut highest = 0;
    for operation in 0..columns.len() as u32 {
        let number = columns.number(operation);
        changes += u32::from(columns.kind(operation) != READ);
        highest = highest.max(match columns.kind(operation) {
            CHANGE => 0,
            READ => number,
            _ => number + 1,
        });
    }
    if highest > changes {
        let over = |operation: &u32| {
            let number = columns.number(*operation);
            match columns.kind(*operation) {
                READ => number > changes,
                TICKET => number >= changes,
                _ => false,
            }
        };
        let first =
            (0..columns.len() as u32).filter(over).min_by_key(|operation| columns.complete(*operation));
        return names.too_high.broken_by(first.into_iter().collect::<Vec<_>>());
    }
    let empty = Block { first_return: NONE, last_invoke: NONE };
    let mut places = Places { columns, blocks: vec![empty; 2 * highest as usize + 1], free: Vec::new() };
    match places.fill(names).and_then(|()| places.in_order(names)) {
        Err(violation) => violation,
        Ok(order) => places.matching(&order, names),
    }
}

/// For each block, the operation that began last among all earlier ones; and the one that was over first among all later
/// ones. [`NONE`] if there is none.
struct Order {
    before: Vec<u32>,
    after: Vec<u32>,
    /// The operation that began last among all.
    last: u32,
}

impl Places<'_> {
    fn returns(&self, operation: u32) -> u32 {
        if operation == NONE { NEVER } else { self.columns.complete(operation) }
    }

    /// One more than where it begins; zero for none.
    fn begins(&self, operation: u32) -> u32 {
        if operation == NONE { 0 } else { self.columns.invoke(operation) + 1 }
    }

    fn fill(&mut self, names: &'static Names) -> Result<(), Answer> {
        for operation in 0..self.columns.len() as u32 {
            let number = self.columns.number(operation) as usize;
            let at = match self.columns.kind(operation) {
                READ => 2 * number,
                TICKET => 2 * number + 1,
                _ => {
                    self.free.push(operation);
                    continue;
                }
            };
            let block = self.blocks[at];
            if at % 2 == 1 && block.last_invoke != NONE {
                return Err(names.doubled.broken_by([block.last_invoke, operation]));
            }
            let first = block.first_return == NONE
                || self.columns.complete(operation) < self.columns.complete(block.first_return);
            self.blocks[at] = Block {
                first_return: if first { operation } else { block.first_return },
                last_invoke: operation,
            };
        }
        Ok(())
    }

    /// Whether time agrees with the places that are known.
    fn in_order(&self, names: &'static Names) -> Result<Order, Answer> {
        let mut order =
            Order { before: Vec::with_capacity(self.blocks.len()), after: Vec::new(), last: NONE };
        for block in &self.blocks {
            order.before.push(order.last);
            if self.returns(block.first_return).saturating_add(1) < self.begins(order.last) {
                return Err(names.backwards.broken_by([block.first_return, order.last]));
            }
            if self.begins(block.last_invoke) > self.begins(order.last) {
                order.last = block.last_invoke;
            }
        }
        let mut first = NONE;
        order.after = vec![NONE; self.blocks.len()];
        for (after, block) in order.after.iter_mut().zip(&self.blocks).rev() {
            *after = first;
            if self.returns(block.first_return) < self.returns(first) {
                first = block.first_return;
            }
        }
        Ok(order)
    }

    /// Fills each place that is left.
    fn matching(&self, order: &Order, names: &'static Names) -> Answer {
        // In one number: where it was over, then which it is.
        let mut waiting: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
        let mut free = self.free.iter().copied().peekable();
        let places = self.blocks.iter().zip(order.before.iter().zip(&order.after)).skip(1).step_by(2);
        for (_, (before, after)) in places.filter(|(block, _)| block.last_invoke == NONE) {
            let by = self.returns(*after);
            while let Some(change) = free.next_if(|change| self.columns.invoke(*change) < by) {
                waiting.push(Reverse(u64::from(self.columns.complete(change)) << 32 | u64::from(change)));
            }
            let Some(Reverse(first)) = waiting.pop() else {
                let shown = Some(*after).filter(|after| *after != NONE);
                return names.too_high.broken_by(shown.into_iter().collect::<Vec<_>>());
            };
            if ((first >> 32) as u32) < self.begins(*before) {
                return names.too_low.broken_by([first as u32, *before]);
            }
        }
        let left = waiting.into_iter().map(|Reverse(waiting)| waiting as u32).chain(free);
        let late = left.min_by_key(|change| self.columns.complete(*change));
        match late.filter(|change| self.columns.complete(*change) < self.begins(order.last)) {
            Some(change) => names.too_low.broken_by([change, order.last]),
            None => Answer::Legal,
        }
    }
}
