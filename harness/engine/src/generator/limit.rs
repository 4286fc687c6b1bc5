//! An end: after so many calls, or after so long.

use std::time::Duration;

use schism_history::{Call, Outcome, Time};

use super::{Context, Generator, Next};

/// At most so many calls, of all threads together.
pub struct Limit<G> {
    left: u64,
    inner: G,
}

impl<G: Generator> Limit<G> {
    /// `calls` calls of `inner`.
    pub fn new(calls: u64, inner: G) -> Self {
        Limit { left: calls, inner }
    }
}

impl<G: Generator> Generator for Limit<G> {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        if self.left == 0 {
            return Next::Done;
        }
        let next = self.inner.next(context);
        if matches!(next, Next::Call(..)) {
            self.left -= 1;
        }
        next
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        self.inner.update(context, call, outcome);
    }
}

/// Calls for so long, counted from the first time it is asked. A call due later than that is not made.
pub struct TimeLimit<G> {
    limit: Duration,
    end: Option<Time>,
    inner: G,
}

impl<G: Generator> TimeLimit<G> {
    /// Calls of `inner` for `limit`.
    pub fn new(limit: Duration, inner: G) -> Self {
        TimeLimit { limit, end: None, inner }
    }
}

impl<G: Generator> Generator for TimeLimit<G> {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let end = *self.end.get_or_insert(Time::from(context.now.since_start() + self.limit));
        if context.now >= end {
            return Next::Done;
        }
        match self.inner.next(context) {
            Next::Later(at) if at >= end => Next::Done,
            next => next,
        }
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        self.inner.update(context, call, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rehearsal::{Rehearsal, reads};
    use super::*;

    #[test]
    fn so_many_calls_over_all_threads() {
        let made = Rehearsal::new(3).run(Limit::new(7, reads()));
        assert_eq!(made.len(), 7);
    }

    #[test]
    fn no_call_after_the_time() {
        let latency = Duration::from_millis(10);
        let rehearsal = Rehearsal::new(2).latency(latency);
        let made = rehearsal.run(TimeLimit::new(Duration::from_millis(95), reads()));
        assert_eq!(made.len(), 20);
        assert!(made.iter().all(|call| call.at < Time(95_000_000)));
    }
}
