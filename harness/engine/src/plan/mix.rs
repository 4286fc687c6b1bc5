//! A mix that shifts over time: which of the nemeses with `schedule = "mix"` strike in which quarter of a run.
//!
//! The time between the quiet lead and the quiet tail is cut into rounds of four quarters. In one quarter of each round nothing
//! strikes, so that the cluster has to get well again and again; in each other one a freshly drawn part of the mixed nemeses
//! does, never the same part twice running. Finds what only meets when faults of several kinds come, stay and go.

use std::time::Duration;

use super::schedule::quiet;
use super::{Plan, Schedule};
use crate::random::Random;

/// How many quarters a round has.
const QUARTERS: u32 = 4;

/// A quarter of a round, and who strikes in it: positions in the plan's list of nemeses, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarter {
    /// When it begins, counted from the start of the load.
    pub begin: Duration,
    /// When it ends.
    pub end: Duration,
    /// Who strikes. Nobody in a quiet one.
    pub who: Vec<usize>,
}

/// How long the quarters of a plan's mix are: as long as the slowest of its nemeses wants from one fault to the next, where
/// there is time for that.
pub fn quarter_length(plan: &Plan) -> Duration {
    let room = plan.time_limit.saturating_sub(2 * quiet(plan.time_limit));
    let slowest = mixed(plan).map(|(_, every)| every).max().unwrap_or_default();
    let round = slowest.saturating_mul(QUARTERS).max(Duration::from_millis(1));
    let rounds = (room.as_nanos() / round.as_nanos()).clamp(1, 10_000) as u32;
    room / (rounds * QUARTERS)
}

/// The quarters of a plan's mix, in order. None if nothing is mixed, or there is no time for anything.
pub fn quarters(plan: &Plan) -> Vec<Quarter> {
    let members: Vec<usize> = mixed(plan).map(|(at, _)| at).collect();
    let (length, first) = (quarter_length(plan), quiet(plan.time_limit));
    if members.is_empty() || length.is_zero() {
        return Vec::new();
    }
    let room = plan.time_limit.saturating_sub(2 * first);
    let rounds = (room.as_nanos() / (length * QUARTERS).as_nanos()) as u32;
    let mut random = Random::of(plan.seed, "mix");
    let mut quarters = Vec::new();
    let mut last = Vec::new();
    for round in 0..rounds {
        let rests = random.below(u64::from(QUARTERS)) as u32;
        for quarter in 0..QUARTERS {
            let begin = first + length * (round * QUARTERS + quarter);
            let who = if quarter == rests { Vec::new() } else { part(&members, &last, &mut random) };
            if !who.is_empty() {
                last.clone_from(&who);
            }
            quarters.push(Quarter { begin, end: begin + length, who });
        }
    }
    // Everybody strikes at least once.
    for member in members {
        if !quarters.iter().any(|quarter| quarter.who.contains(&member)) {
            let busy: Vec<usize> = (0..quarters.len()).filter(|at| !quarters[*at].who.is_empty()).collect();
            let who = &mut quarters[*random.pick(&busy)].who;
            who.push(member);
            who.sort_unstable();
        }
    }
    quarters
}

fn mixed(plan: &Plan) -> impl Iterator<Item = (usize, Duration)> {
    let all = plan.nemeses.iter().enumerate();
    all.filter(|(_, nemesis)| nemesis.schedule == Schedule::Mix).map(|(at, nemesis)| (at, nemesis.every))
}

/// Some of them, at least one; others than last time where there is a choice.
fn part(members: &[usize], last: &[usize], random: &mut Random) -> Vec<usize> {
    if members.len() == 1 {
        return members.to_vec();
    }
    loop {
        let part: Vec<usize> = members.iter().copied().filter(|_| random.chance(0.5)).collect();
        if !part.is_empty() && part != last {
            return part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::NemesisPlan;

    fn plan(nemeses: usize, seed: u64, limit: u64) -> Plan {
        let one = |at: usize| NemesisPlan { schedule: Schedule::Mix, ..NemesisPlan::of(&format!("n{at}")) };
        let time_limit = Duration::from_secs(limit);
        Plan { seed, time_limit, nemeses: (0..nemeses).map(one).collect(), ..Plan::of("raft", "register") }
    }

    #[test]
    fn a_quarter_of_each_round_is_quiet_and_the_others_shift() {
        for seed in 0..200 {
            for nemeses in 1..6 {
                let plan = plan(nemeses, seed, 20 + seed);
                let quarters = quarters(&plan);
                assert!(!quarters.is_empty() && quarters.len().is_multiple_of(4), "{quarters:?}");
                for round in quarters.chunks(4) {
                    assert_eq!(round.iter().filter(|quarter| quarter.who.is_empty()).count(), 1, "{round:?}");
                }
                let first = quiet(plan.time_limit);
                assert_eq!(quarters[0].begin, first);
                assert!(quarters.windows(2).all(|two| two[0].end == two[1].begin));
                assert!(quarters.last().expect("some").end + first <= plan.time_limit);
                for member in 0..nemeses {
                    assert!(quarters.iter().any(|quarter| quarter.who.contains(&member)), "{quarters:?}");
                }
                let parts: std::collections::BTreeSet<_> =
                    quarters.iter().filter(|quarter| !quarter.who.is_empty()).map(|one| &one.who).collect();
                assert!(nemeses < 3 || parts.len() > 1, "always the same: {quarters:?}");
            }
        }
    }

    #[test]
    fn one_seed_one_mix_and_nothing_without_one() {
        assert_eq!(quarters(&plan(4, 7, 90)), quarters(&plan(4, 7, 90)));
        assert_ne!(quarters(&plan(4, 7, 90)), quarters(&plan(4, 8, 90)));
        assert_eq!(quarters(&plan(0, 7, 90)), []);
        assert_eq!(quarters(&plan(2, 7, 2)), []);
        // Six seconds from one to the next, and 72 s between lead and tail: three rounds of quarters of six seconds.
        assert_eq!(quarter_length(&plan(2, 7, 90)), Duration::from_secs(6));
        assert_eq!(quarters(&plan(2, 7, 90)).len(), 12);
    }
}
