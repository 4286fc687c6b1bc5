//! The staleness of each read by itself: what newer versions had certainly been there when it began.
//!
//! A version is newer than the one a read saw if its write began when that one had certainly been there. Counting those
//! that were there before the read is counting points in a quarter plane, offline: O(n log n).

use std::time::Duration;

use schism_history::History;

use super::ReadStaleness;
use crate::versions::{Moment, Register};

/// Counts by place, with sums of prefixes in logarithmic time (Fenwick, 1994).
struct Counts(Vec<u64>);

impl Counts {
    fn add(&mut self, place: usize) {
        let mut at = place + 1;
        while at < self.0.len() {
            self.0[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    /// How many were added at places below this one.
    fn below(&self, place: usize) -> u64 {
        let (mut at, mut sum) = (place, 0);
        while at > 0 {
            sum += self.0[at];
            at -= at & at.wrapping_neg();
        }
        sum
    }
}

/// The staleness of every read of a register, in the order of invocation.
pub(super) fn staleness(history: &History, register: &Register<'_>) -> Vec<ReadStaleness> {
    // The initial version is newer than nothing. The others are in the order of their calls already.
    let versions: Vec<(Moment, Moment)> = register.versions[1..]
        .iter()
        .filter(|version| version.happened)
        .map(|version| (version.call, version.done))
        .collect();
    // The earliest end among each version and all whose writes began later.
    let mut first_done = vec![Moment::NEVER; versions.len() + 1];
    for (at, (_, done)) in versions.iter().enumerate().rev() {
        first_done[at] = first_done[at + 1].min(*done);
    }
    let mut by_done: Vec<usize> = (0..versions.len()).collect();
    by_done.sort_unstable_by_key(|at| versions[*at].1);
    let mut reads: Vec<(usize, Moment)> = Vec::new();
    for version in &register.versions {
        reads.extend(version.reads.iter().map(|read| (*read, version.done)));
    }
    reads.sort_unstable();
    let mut counts = Counts(vec![0; versions.len() + 1]);
    let mut added = 0;
    let stale = |(operation, seen): (usize, Moment)| {
        let began = Moment::invoked(&history.rows()[operation]);
        while added < by_done.len() && versions[by_done[added]].1 < began {
            counts.add(by_done[added]);
            added += 1;
        }
        let acknowledged = added.checked_sub(1).map(|last| versions[by_done[last]].1);
        let newer = versions.partition_point(|(call, _)| *call <= seen);
        ReadStaleness {
            operation,
            time: Duration::from_nanos(began.nanos_after(first_done[newer])),
            versions: added as u64 - counts.below(newer),
            since: acknowledged.map(|last| Duration::from_nanos(began.nanos_after(last))),
        }
    };
    reads.into_iter().map(stale).collect()
}
