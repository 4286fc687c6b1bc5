//! A semaphore of one permit: anybody may give it back. Near-linear time.
//!
//! Acquisitions and releases take turns, and all of a kind are alike. So nothing needs to happen before it is over; then,
//! if it is the other kind's turn, one of those pending must go first, and that is best the one that will be over first.
//!
//! Finds every violation and nothing else.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::bits::Bits;
use super::columns::NOTHING;
use super::{Answer, Columns, NEVER, Rule};

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
    if legal(columns) {
        return Answer::Legal;
    }
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

/// Operations of a kind that have begun and not happened yet.
struct Pending {
    /// Where each is over that is.
    over: Bits,
    /// How many may happen for ever.
    unknown: u32,
}

/// The same, and nothing else than whether there is a legal order: whoever is pending is one bit.
fn legal(columns: &Columns) -> bool {
    let events = columns.events();
    let pending = || Pending { over: Bits::none(events), unknown: 0 };
    let mut pending = [pending(), pending()];
    let mut releases = vec![0u64; events / 64 + 1];
    for (kind, _, _, complete) in columns.iter() {
        let at = if complete == NEVER { events as u32 } else { complete };
        releases[at as usize / 64] |= u64::from(kind == RELEASE) << (at % 64);
    }
    let (mut taken, mut position) = (false, 0);
    for (kind, _, invoke, complete) in columns.iter() {
        if !all_over(&mut pending, &releases, &mut taken, position..invoke) {
            return false;
        }
        position = invoke + 1;
        let own = &mut pending[kind as usize];
        if complete == NEVER {
            own.unknown += 1;
        } else {
            own.over.put(complete as usize);
        }
    }
    all_over(&mut pending, &releases, &mut taken, position..events as u32)
}

/// Lets happen what is over at these positions, in turns with what is pending. Whether it can.
fn all_over(
    pending: &mut [Pending; 2],
    releases: &[u64],
    taken: &mut bool,
    positions: std::ops::Range<u32>,
) -> bool {
    for position in positions {
        let kind = (releases[position as usize / 64] >> (position % 64) & 1) as usize;
        if !pending[kind].over.take_one(position as usize) {
            continue;
        }
        let acquires = kind as u32 == ACQUIRE;
        if *taken == acquires {
            let other = &mut pending[1 - kind];
            if let Some(first) = other.over.next(position as usize) {
                other.over.take_one(first);
            } else if let Some(fewer) = other.unknown.checked_sub(1) {
                other.unknown = fewer;
            } else {
                return false;
            }
        }
        *taken = acquires;
    }
    true
}
