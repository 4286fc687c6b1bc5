//! When calls are made: a schedule for the whole cluster, not for each client. The loop is open: a late answer does not
//! slow the schedule, and calls that fell behind are made as soon as a client is free.

use std::time::Duration;

use schism_history::{Call, Outcome, Time};

use super::{Context, Generator, Next};

/// Calls at even intervals, over all threads together.
pub struct Rate<G> {
    interval: Duration,
    due: Option<Time>,
    inner: G,
}

impl<G: Generator> Rate<G> {
    /// `per_second` calls of `inner` a second.
    ///
    /// # Panics
    /// If that is not a positive number.
    pub fn new(per_second: f64, inner: G) -> Self {
        Rate { interval: interval(per_second), due: None, inner }
    }
}

impl<G: Generator> Generator for Rate<G> {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        scheduled(&mut self.inner, &mut self.due, context, |_| self.interval)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        self.inner.update(context, call, outcome);
    }
}

/// Calls at random intervals around a mean, over all threads together: each is uniform between nothing and twice the
/// mean, so that bursts and lulls happen too.
pub struct Stagger<G> {
    mean: Duration,
    due: Option<Time>,
    inner: G,
}

impl<G: Generator> Stagger<G> {
    /// About `per_second` calls of `inner` a second.
    ///
    /// # Panics
    /// If that is not a positive number.
    pub fn new(per_second: f64, inner: G) -> Self {
        Stagger { mean: interval(per_second), due: None, inner }
    }
}

impl<G: Generator> Generator for Stagger<G> {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let mean = self.mean;
        scheduled(&mut self.inner, &mut self.due, context, |context| {
            context.random.duration(Duration::ZERO, 2 * mean)
        })
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        self.inner.update(context, call, outcome);
    }
}

fn interval(per_second: f64) -> Duration {
    assert!(per_second > 0.0 && per_second.is_finite(), "a rate must be a positive number, not {per_second}");
    Duration::from_secs_f64(1.0 / per_second)
}

/// The inner generator's next call, moved to the schedule's next place, which it then takes.
fn scheduled(
    inner: &mut impl Generator,
    due: &mut Option<Time>,
    context: &mut Context<'_>,
    step: impl FnOnce(&mut Context<'_>) -> Duration,
) -> Next {
    match inner.next(context) {
        Next::Call(call, at) => {
            let place = due.unwrap_or(context.now);
            *due = Some(Time::from(place.since_start() + step(context)));
            // A place in the past is kept as it is: how late a call was made belongs to its latency.
            Next::Call(call, if at > context.now { at.max(place) } else { place })
        }
        next => next,
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
