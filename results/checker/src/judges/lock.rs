//! Locks that only their holder gives back, and leases. Linear time.
//!
//! An acquisition and its release make a *block*, and blocks must not be torn apart: each must be able to stand as a whole
//! before or after any other. Two exclude each other if each has an operation that was over before one of the other began;
//! there is a legal order if and only if no two do. It is Gibbons and Korach's theorem on the clusters of a register. A
//! lease gives itself back, at some moment after it has run out.
//!
//! Finds every violation and nothing else. It needs to know whose release belongs to which acquisition.

use super::columns::NOTHING;
use super::{Answer, Columns, NEVER, NONE, Rule};

/// The lock was taken; the number is that of the block.
pub const ACQUIRE: u32 = 0;
/// It was given back; the number is that of the block.
pub const RELEASE: u32 = 1;

static HELD: Rule = Rule { name: "mutual exclusion broken", law: "{0}; while that was still held: {1}" };
static NOT_HELD: Rule = Rule { name: "release without holding", law: "{0}, but had not acquired it" };
static TOO_SOON: Rule = Rule { name: "release without holding", law: "{0}; only after that began this: {1}" };

/// All operations between an acquisition and its release.
#[derive(Clone, Copy)]
struct Block {
    acquire: u32,
    release: u32,
    /// Where the first of them was over, and the last began.
    first_return: u32,
    last_invoke: u32,
}

/// Judges a lock. `lapses` says by block from where on its lease may have run out; [`NEVER`], or too short a list, if it
/// does not.
pub fn judge(columns: &Columns, lapses: &[u32]) -> Answer {
    let empty = Block { acquire: NONE, release: NONE, first_return: NEVER, last_invoke: 0 };
    let mut blocks = vec![empty; columns.numbers()];
    for operation in 0..columns.len() as u32 {
        let block = &mut blocks[columns.number(operation) as usize];
        match columns.kind(operation) {
            ACQUIRE => block.acquire = operation,
            _ => block.release = operation,
        }
        block.first_return = block.first_return.min(columns.complete(operation));
        block.last_invoke = columns.invoke(operation);
    }
    for (number, block) in blocks.iter_mut().enumerate() {
        if block.acquire == NONE && block.release != NONE && columns.complete(block.release) != NEVER {
            return NOT_HELD.broken_by([block.release]);
        }
        if block.acquire != NONE
            && block.release != NONE
            && columns.complete(block.release) < columns.invoke(block.acquire)
        {
            return TOO_SOON.broken_by([block.release, block.acquire]);
        }
        if block.release == NONE {
            block.last_invoke = NEVER;
        }
        let lapse = lapses.get(number).copied().unwrap_or(NEVER);
        block.last_invoke = block.last_invoke.min(lapse);
    }
    sweep(columns, &blocks)
}

/// Who certainly holds it, from moment to moment.
fn sweep(columns: &Columns, blocks: &[Block]) -> Answer {
    let dense = columns.events() <= 64 + 4 * columns.len();
    let ends: Vec<(u32, u32)> = if dense {
        let line = columns.timeline().into_iter().enumerate();
        line.filter(|(_, end)| *end != NOTHING && end % 2 == 1)
            .map(|(at, end)| (at as u32, end / 2))
            .collect()
    } else {
        let all = (0..columns.len() as u32).map(|operation| (columns.complete(operation), operation));
        let mut ends: Vec<(u32, u32)> = all.filter(|(end, _)| *end != NEVER).collect();
        ends.sort_unstable();
        ends
    };
    let mut holder = NONE;
    for (position, operation) in ends {
        let number = columns.number(operation);
        let block = &blocks[number as usize];
        if block.first_return != position {
            continue;
        }
        if holder != NONE && blocks[holder as usize].last_invoke <= position {
            holder = NONE;
        }
        if holder != NONE && blocks[holder as usize].first_return < block.last_invoke {
            return held(&blocks[holder as usize], operation, block);
        }
        if position < block.last_invoke {
            holder = number;
        }
    }
    Answer::Legal
}

fn held(holder: &Block, operation: u32, block: &Block) -> Answer {
    let rest = [holder.release, block.acquire, block.release];
    let mut operations = vec![holder.acquire, operation];
    operations.extend(rest.into_iter().filter(|rest| *rest != NONE && *rest != operation));
    HELD.broken_by(operations)
}
