//! When everything in a plan begins and ends, its nemeses and the steps of its script alike: a pure function of the plan.
//! Two runs of one plan have the same timetable, to the nanosecond.

use super::mix::quarters;
use super::schedule::{Window, random_windows, windows};
use super::{Plan, Schedule};
use crate::random::Random;

/// When one nemesis strikes, and the chance that is left to it for choosing what it does then.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// Its windows, in order.
    pub windows: Vec<Window>,
    /// Where the rest of its chance comes from.
    pub random: Random,
}

impl Plan {
    /// One timetable for each nemesis, and then one for each step of the script.
    pub fn timetables(&self) -> Vec<Timetable> {
        let quarters = quarters(self);
        let nemeses = self.nemeses.iter().enumerate().map(|(at, nemesis)| {
            let mut random = Random::of(self.seed, &format!("nemesis {at} {}", nemesis.name));
            if nemesis.schedule != Schedule::Mix {
                return Timetable { windows: windows(nemesis, self.time_limit, &mut random), random };
            }
            let mine = quarters.iter().filter(|quarter| quarter.who.contains(&at));
            let mut windows = Vec::new();
            for quarter in mine {
                windows.extend(random_windows(nemesis, quarter.begin, quarter.end, &mut random));
            }
            Timetable { windows, random }
        });
        let steps = self.script.iter().enumerate().map(|(at, step)| Timetable {
            windows: vec![Window { begin: step.at, end: step.at.saturating_add(step.does.lasts) }],
            random: Random::of(self.seed, &format!("step {at} {}", step.does.name)),
        });
        nemeses.chain(steps).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::{NemesisPlan, StepPlan};

    fn plan(seed: u64) -> Plan {
        let mut plan = Plan { seed, time_limit: Duration::from_secs(90), ..Plan::of("raft", "register") };
        for (name, schedule) in [
            ("partition", Schedule::Mix),
            ("kill", Schedule::Random),
            ("pause", Schedule::Mix),
            ("delay", Schedule::Mix),
        ] {
            plan.nemeses.push(NemesisPlan { schedule, ..NemesisPlan::of(name) });
        }
        let does = NemesisPlan { lasts: Duration::from_secs(4), ..NemesisPlan::of("kill") };
        plan.script.push(StepPlan { at: Duration::from_secs(5), does });
        plan
    }

    fn times(plan: &Plan) -> Vec<Vec<Window>> {
        plan.timetables().into_iter().map(|one| one.windows).collect()
    }

    #[test]
    fn the_same_plan_has_the_same_timetable_and_the_same_chance() {
        assert_eq!(times(&plan(7)), times(&plan(7)));
        assert_ne!(times(&plan(7)), times(&plan(8)));
        let drawn = |plan: &Plan| -> Vec<u64> {
            plan.timetables().into_iter().map(|mut one| one.random.below(u64::MAX)).collect()
        };
        assert_eq!(drawn(&plan(7)), drawn(&plan(7)));
        assert_ne!(drawn(&plan(7)), drawn(&plan(8)));
    }

    /// What is done by the plan's own script does not move, whatever else is in the plan and whatever the seed.
    #[test]
    fn a_step_is_exactly_where_it_was_put() {
        let (five, nine) = (Duration::from_secs(5), Duration::from_secs(9));
        for seed in 0..10 {
            assert_eq!(times(&plan(seed))[4], [Window { begin: five, end: nine }]);
        }
    }

    /// Nothing mixed strikes in a quarter that is not its own, in order, and each strikes.
    #[test]
    fn who_is_mixed_keeps_to_its_quarters() {
        for seed in 0..200 {
            let plan = plan(seed);
            let quarters = quarters(&plan);
            for (at, windows) in times(&plan).iter().enumerate().filter(|(at, _)| [0, 2, 3].contains(at)) {
                assert!(!windows.is_empty());
                assert!(windows.windows(2).all(|two| two[0].end <= two[1].begin), "{windows:?}");
                for window in windows {
                    let own = quarters.iter().any(|quarter| {
                        quarter.who.contains(&at)
                            && quarter.begin <= window.begin
                            && window.end <= quarter.end
                    });
                    assert!(own && window.begin < window.end, "{at}: {window:?} in {quarters:?}");
                }
            }
        }
    }
}
