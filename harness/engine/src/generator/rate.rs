//! When calls are made: a schedule for the whole cluster, not for each client. The loop is open: a late answer does not
//! slow the schedule, and calls that fell behind are made as soon as a client is free.

use std::time::Duration;

use schism_history::{Call, Outcome, Time};

use super::{Context, Generator, Next};

/// Calls at even intervals, over all threads together.
pub struct Rate<G> {
    interval: Duration,
    timetable: Timetable,
    inner: G,
}

impl<G: Generator> Rate<G> {
    /// `per_second` calls of `inner` a second.
    ///
    /// # Panics
    /// If that is not a positive number.
    pub fn new(per_second: f64, inner: G) -> Self {
        Rate { interval: interval(per_second), timetable: Timetable::default(), inner }
    }
}

impl<G: Generator> Generator for Rate<G> {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        self.timetable.next(&mut self.inner, context, |_| self.interval)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        self.inner.update(context, call, outcome);
    }
}

/// Calls at random intervals around a mean, over all threads together: each is uniform between nothing and twice the
/// mean, so that bursts and lulls happen too.
pub struct Stagger<G> {
    mean: Duration,
    timetable: Timetable,
    inner: G,
}

impl<G: Generator> Stagger<G> {
    /// About `per_second` calls of `inner` a second.
    ///
    /// # Panics
    /// If that is not a positive number.
    pub fn new(per_second: f64, inner: G) -> Self {
        Stagger { mean: interval(per_second), timetable: Timetable::default(), inner }
    }
}

impl<G: Generator> Generator for Stagger<G> {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let most = 2 * self.mean;
        let step = |context: &mut Context<'_>| context.random.duration(Duration::ZERO, most);
        self.timetable.next(&mut self.inner, context, step)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        self.inner.update(context, call, outcome);
    }
}

fn interval(per_second: f64) -> Duration {
    assert!(per_second > 0.0 && per_second.is_finite(), "a rate must be a positive number, not {per_second}");
    Duration::from_secs_f64(1.0 / per_second)
}

/// The places of the schedule, and which thread has taken which. A thread takes the next free place and comes back for its
/// call when that is due.
#[derive(Default)]
struct Timetable {
    free: Option<Time>,
    taken: Vec<Option<Time>>,
}

impl Timetable {
    fn next(
        &mut self,
        inner: &mut impl Generator,
        context: &mut Context<'_>,
        step: impl FnOnce(&mut Context<'_>) -> Duration,
    ) -> Next {
        self.taken.resize(context.threads, None);
        let place = match self.taken[context.thread] {
            Some(place) => place,
            None => {
                let place = self.free.unwrap_or(context.now);
                self.free = Some(Time::from(place.since_start() + step(context)));
                self.taken[context.thread] = Some(place);
                place
            }
        };
        if place > context.now {
            return Next::Later(place);
        }
        let next = inner.next(context);
        match next {
            Next::Call(call, _) => {
                self.taken[context.thread] = None;
                Next::Call(call, place)
            }
            next => next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rehearsal::{Rehearsal, reads};
    use super::super::{Limit, TimeLimit};
    use super::*;

    #[test]
    fn even_over_all_threads() {
        let made = Rehearsal::new(4).run(Limit::new(10, Rate::new(100.0, reads())));
        let times: Vec<u64> = made.iter().map(|call| call.at.0 / 1_000_000).collect();
        assert_eq!(times, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
    }

    /// Two threads, answers take 30 ms, a call is due every 10 ms: each call waits for a free thread, but the schedule
    /// itself never moves, so all that fell due within the time are made.
    #[test]
    fn late_answers_do_not_slow_the_schedule() {
        let slow = Rehearsal::new(2).latency(Duration::from_millis(30));
        let made = slow.run(Limit::new(12, Rate::new(100.0, reads())));
        assert_eq!(made[11].due, Time(110_000_000));
        assert_eq!(made[11].at, Time(160_000_000));
    }

    #[test]
    fn stagger_keeps_the_mean() {
        let made =
            Rehearsal::new(4).run(TimeLimit::new(Duration::from_secs(10), Stagger::new(200.0, reads())));
        assert!((1_850..2_150).contains(&made.len()), "{}", made.len());
    }
}
