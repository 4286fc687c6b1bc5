//! When each fault begins and ends: windows in the time of a run, as a pure function of the plan and the seed.
//!
//! A run opens and closes quietly: before the first fault there must be something to compare with, and after the last one
//! the cluster must be seen to work again. What a fault does, and whether it bit, is decided elsewhere.

use std::time::Duration;

use super::{NemesisPlan, Schedule};
use crate::random::Random;

/// A fault's place in a run, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When the fault is applied.
    pub begin: Duration,
    /// When it is healed. Always later than `begin`.
    pub end: Duration,
}

/// How long a run of this length stays quiet at its start, and again at its end: a tenth of it, a second at least.
pub fn quiet(time_limit: Duration) -> Duration {
    (time_limit / 10).max(Duration::from_secs(1))
}

/// The windows of one nemesis, in the order of time, never touching each other as long as `every` is longer than `lasts`.
///
/// None begins in the quiet lead or ends in the quiet tail ([`quiet`]). There is at least one whenever a fault of the
/// length asked for fits between them; random ones are from half to one and a half times as long as asked for, and so
/// are the pauses between them. At most two windows for each `lasts` in the run, so the caller refuses tiny ones first.
/// One that is mixed has none by itself: see [`Plan::timetables`](super::Plan::timetables).
pub fn windows(nemesis: &NemesisPlan, time_limit: Duration, random: &mut Random) -> Vec<Window> {
    let first = quiet(time_limit);
    let last = time_limit.saturating_sub(first);
    if nemesis.lasts.is_zero() || first.saturating_add(nemesis.lasts) > last {
        return Vec::new();
    }
    match nemesis.schedule {
        Schedule::Periodic => periodic(nemesis, first, last),
        Schedule::Random => random_windows(nemesis, first, last, random),
        Schedule::Mix => Vec::new(),
    }
}

fn periodic(nemesis: &NemesisPlan, first: Duration, last: Duration) -> Vec<Window> {
    let every = nemesis.every.max(nemesis.lasts);
    let begins = std::iter::successors(Some(first), |begin| begin.checked_add(every));
    begins
        .map(|begin| Window { begin, end: begin.saturating_add(nemesis.lasts) })
        .take_while(|window| window.end <= last)
        .collect()
}

/// Random ones from `first` to `last`, which leave each other pauses.
pub(super) fn random_windows(
    nemesis: &NemesisPlan,
    first: Duration,
    last: Duration,
    random: &mut Random,
) -> Vec<Window> {
    let shortest = (nemesis.lasts / 2).max(Duration::from_nanos(1));
    let pause = nemesis.every.saturating_sub(nemesis.lasts);
    let mut windows = Vec::new();
    // The first one may begin at once, so that a fault of the length asked for always has a place.
    let latest = last.saturating_sub(nemesis.lasts);
    let mut begin = random.duration(first, latest.min(first.saturating_add(pause)));
    while begin.saturating_add(shortest) <= last {
        let length = random.duration(shortest, nemesis.lasts.saturating_add(shortest));
        let end = begin.saturating_add(length).min(last);
        windows.push(Window { begin, end });
        begin = end.saturating_add(random.duration(pause / 2, pause.saturating_add(pause / 2)));
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nemesis(schedule: Schedule, every_ms: u64, lasts_ms: u64) -> NemesisPlan {
        NemesisPlan {
            schedule,
            every: Duration::from_millis(every_ms),
            lasts: Duration::from_millis(lasts_ms),
            ..NemesisPlan::of("pause")
        }
    }

    fn millis(windows: &[Window]) -> Vec<(u128, u128)> {
        windows.iter().map(|window| (window.begin.as_millis(), window.end.as_millis())).collect()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn periodic_windows_are_exactly_as_asked() {
        let mut random = Random::of(1, "schedule");
        let nemesis = nemesis(Schedule::Periodic, 6_000, 3_000);
        let windows = windows(&nemesis, seconds(20), &mut random);
        assert_eq!(millis(&windows), [(2_000, 5_000), (8_000, 11_000), (14_000, 17_000)]);
    }

    #[test]
    fn a_fault_that_just_fits_has_a_window_and_a_longer_one_has_none() {
        for schedule in [Schedule::Periodic, Schedule::Random] {
            let mut random = Random::of(1, "schedule");
            // Ten seconds less a second at either end.
            let fits = windows(&nemesis(schedule, 9_000, 8_000), seconds(10), &mut random);
            assert_eq!(fits.len(), 1, "{schedule:?}");
            let long = windows(&nemesis(schedule, 9_000, 8_001), seconds(10), &mut random);
            assert_eq!(long, [], "{schedule:?}");
        }
    }

    #[test]
    fn a_short_run_is_still_quiet_for_a_second_at_either_end() {
        assert_eq!(quiet(seconds(2)), seconds(1));
        assert_eq!(quiet(seconds(60)), seconds(6));
    }

    #[test]
    fn windows_are_a_function_of_the_seed() {
        let draw = |seed| {
            windows(&nemesis(Schedule::Random, 6_000, 3_000), seconds(60), &mut Random::of(seed, "schedule"))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    /// Whatever is asked for: in order, apart, inside the quiet lead and tail, of the promised lengths, and never none
    /// where one fits.
    #[test]
    fn windows_keep_their_promises_for_many_seeds() {
        let mut choose = Random::of(3, "cases");
        for case in 0..20_000 {
            let lasts_ms = 1 + choose.below(20_000);
            let every_ms = lasts_ms + 2 + choose.below(20_000);
            let limit = Duration::from_millis(choose.below(100_000));
            let nemesis = nemesis(*choose.pick(&[Schedule::Periodic, Schedule::Random]), every_ms, lasts_ms);
            let windows = windows(&nemesis, limit, &mut Random::of(case, "schedule"));
            let fits = quiet(limit) * 2 + nemesis.lasts <= limit;
            assert_eq!(windows.is_empty(), !fits, "{nemesis:?} in {limit:?}");
            assert!(windows.windows(2).all(|pair| pair[0].end < pair[1].begin), "{windows:?}");
            for window in &windows {
                assert!(window.begin >= quiet(limit), "{window:?} in {limit:?}");
                assert!(window.end + quiet(limit) <= limit, "{window:?} in {limit:?}");
                let length = window.end - window.begin;
                assert!(length * 2 + Duration::from_nanos(1) >= nemesis.lasts, "{window:?} of {nemesis:?}");
                assert!(length * 2 <= nemesis.lasts * 3, "{window:?} of {nemesis:?}");
            }
        }
    }

    /// A random schedule is around what was asked for, not merely within bounds.
    #[test]
    fn random_windows_keep_the_mean() {
        let hour = seconds(3_600);
        let windows = windows(&nemesis(Schedule::Random, 6_000, 3_000), hour, &mut Random::of(5, "schedule"));
        assert!((450..510).contains(&windows.len()), "{}", windows.len());
        let total: Duration = windows.iter().map(|window| window.end - window.begin).sum();
        let mean = total / windows.len() as u32;
        assert!((2_900..3_100).contains(&mean.as_millis()), "{mean:?}");
    }
}
