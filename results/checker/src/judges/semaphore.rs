//! A semaphore of one permit: anybody may give it back. Near-linear time.
//!
//! Acquisitions and releases take turns, and all of a kind are alike. So nothing needs to happen before it is over; then,
//! if it is the other kind's turn, one of those pending must go first, and that is best the one that will be over first.
//!
//! Finds every violation and nothing else.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::columns::NOTHING;
use super::{Answer, Columns, Rule};

pub use super::lock::{ACQUIRE, RELEASE};

static TAKEN: Rule = Rule {
    name: "mutual exclusion broken",
    law: "{0}, but it was taken, and nobody can have given it back by then",
};
static FREE: Rule = Rule {
    name: "release without holding",
    law: "{0}, but it was free, and nobody can have taken it by then",
};

/// Judges a semaphore of one permit, free at first. Numbers mean nothing.
pub fn judge(columns: &Columns) -> Answer {
    let dense = columns.dense();
    let columns = &*dense;
    let mut pending: [BinaryHeap<Reverse<(u32, u32)>>; 2] = Default::default();
    let mut done = vec![false; columns.len()];
    // Whose turn it was last.
    let mut last = [None, None];
    let mut taken = false;
    for end in columns.timeline().into_iter().filter(|end| *end != NOTHING) {
        let (operation, kind) = (end / 2, columns.kind(end / 2));
        if end % 2 == 0 {
            pending[kind as usize].push(Reverse((columns.complete(operation), operation)));
            continue;
        }
        if done[operation as usize] {
            continue;
        }
        if taken == (kind == ACQUIRE) {
            let others = &mut pending[1 - kind as usize];
            let other =
                std::iter::from_fn(|| others.pop()).find(|Reverse((_, other))| !done[*other as usize]);
            let Some(Reverse((_, other))) = other else {
                let rule = if taken { &TAKEN } else { &FREE };
                let before: Option<u32> = last[kind as usize];
                return rule.broken_by([operation].into_iter().chain(before).collect::<Vec<_>>());
            };
            done[other as usize] = true;
            last[1 - kind as usize] = Some(other);
        }
        done[operation as usize] = true;
        last[kind as usize] = Some(operation);
        taken = kind == ACQUIRE;
    }
    Answer::Legal
}
