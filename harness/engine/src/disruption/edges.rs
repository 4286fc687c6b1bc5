//! When faults begin and end: the windows of all nemeses as one line of time, into which is put what changes while it goes.

use std::collections::VecDeque;
use std::time::Duration;

use schism_history::Edge;

use super::Scheduled;

/// What is still to come, in order: when, whose, whether a fault begins or ends, and in which of the windows.
pub(super) struct Edges {
    pub(super) queue: VecDeque<(Duration, usize, Edge, usize)>,
    /// When the last window ends.
    pub(super) last: Duration,
}

impl Edges {
    /// Each window's beginning; its end is known when it has begun.
    pub(super) fn of(scheduled: &[Scheduled]) -> Self {
        let windows = scheduled.iter().enumerate().flat_map(|(who, one)| {
            one.windows.iter().enumerate().map(move |(which, window)| (who, which, *window))
        });
        let mut queue: Vec<_> =
            windows.clone().map(|(who, which, window)| (window.begin, who, Edge::Begin, which)).collect();
        queue.sort_by_key(|(at, who, _, which)| (*at, *who, *which));
        let last = windows.map(|(.., window)| window.end).max().unwrap_or_default();
        Edges { queue: queue.into(), last }
    }

    /// After everything that is due at the same time.
    pub(super) fn push(&mut self, edge: (Duration, usize, Edge, usize)) {
        let place = self.queue.partition_point(|(due, ..)| *due <= edge.0);
        self.queue.insert(place, edge);
    }
}
