//! A comparison: everything its runs showed, added up by target, by target and case, and by workload.
//!
//! A model counts as broken by a target if one run broke it, as kept if no run did and every case of faults had one that
//! kept it and in which enough happened; else nobody knows. Samples of calls are put together over all runs, so quantiles
//! and shares are those of all calls; whatever is one fact a run is a count of runs, with its interval.

use std::collections::BTreeMap;

use schism_checker::Verdict;
use serde::Serialize;

use super::lattice::Level;
use super::observed::Observed;
use super::rows::{CaseRow, CellRow, GivesUp, Invariant, Measures, RuledOut, Standing, Tally, TargetRow};
use super::{Ended, Run, Runs};
use crate::measure::{Sample, quantile};

/// The version of the form of its JSON.
const VERSION: u32 = 1;

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The version of this form.
    pub schism: u32,
    /// What it is called.
    pub title: String,
    /// What it is about.
    pub about: String,
    /// Whether all runs were carried out or failed to be.
    pub complete: bool,
    /// A row for each target.
    pub targets: Vec<TargetRow>,
    /// A row for each target and case.
    pub cases: Vec<CaseRow>,
    /// A row for each judge of each workload.
    pub invariants: Vec<Invariant>,
    /// Every run.
    pub cells: Vec<CellRow>,
}

impl Comparison {
    /// Adds up runs.
    pub fn of(runs: &Runs) -> Self {
        let targets = 0..runs.targets.len();
        let cells_of = |target: usize| runs.cells.iter().filter(move |run| run.target == target);
        let cases = targets.clone().flat_map(|target| (0..runs.cases.len()).map(move |case| (target, case)));
        let case_row = |(target, case): (usize, usize)| {
            let of_case: Vec<&Run> = cells_of(target).filter(|run| run.case == case).collect();
            let failed = of_case.iter().filter(|run| matches!(run.ended, Ended::Failed(_))).count();
            (!of_case.is_empty()).then(|| CaseRow {
                target: runs.targets[target].0.clone(),
                case: runs.cases[case].clone(),
                standing: standing(&verdicts(&of_case)),
                failed: failed as u64,
                measures: measures(&of_case),
            })
        };
        Comparison {
            schism: VERSION,
            title: runs.title.clone(),
            about: runs.about.clone(),
            complete: runs.cells.iter().all(|run| !matches!(run.ended, Ended::Missing)),
            targets: targets
                .clone()
                .map(|at| target_row(runs, at, &cells_of(at).collect::<Vec<_>>()))
                .collect(),
            cases: cases.filter_map(case_row).collect(),
            invariants: invariants(runs),
            cells: runs.cells.iter().map(|run| cell_row(runs, run)).collect(),
        }
    }

    /// The text of `comparison.json`, with a final line end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("keys are text and numbers are finite");
        text.push('\n');
        text
    }

    /// Runs that could not be carried out.
    pub fn failed(&self) -> impl Iterator<Item = &CellRow> {
        self.cells.iter().filter(|cell| cell.verdict.is_none())
    }
}

fn observed<'a>(run: &&'a Run) -> Option<&'a Observed> {
    match &run.ended {
        Ended::Observed(observed) => Some(observed),
        _ => None,
    }
}

/// What a run says of a model: that it kept it counts only if enough happened.
fn earned(observed: &Observed, level: Level) -> Option<Verdict> {
    let verdict = observed.levels.get(&level)?.verdict;
    let counts = observed.unearned.is_none() || verdict != Verdict::Valid;
    Some(if counts { verdict } else { Verdict::Unknown })
}

fn tallies(runs: &[&Run]) -> BTreeMap<Level, Tally> {
    let mut tallies: BTreeMap<Level, Tally> = BTreeMap::new();
    for observed in runs.iter().filter_map(observed) {
        for &level in observed.levels.keys() {
            if let Some(verdict) = earned(observed, level) {
                tallies.entry(level).or_default().add(verdict);
            }
        }
    }
    tallies
}

/// What runs say of each model together: kept only if it was in every case.
fn verdicts(runs: &[&Run]) -> BTreeMap<Level, Verdict> {
    let mut by_case: BTreeMap<usize, Vec<&Run>> = BTreeMap::new();
    runs.iter().for_each(|run| by_case.entry(run.case).or_default().push(run));
    let mut verdicts: BTreeMap<Level, Verdict> = BTreeMap::new();
    let by_case: Vec<_> = by_case.values().map(|runs| tallies(runs)).collect();
    for tallies in &by_case {
        for (level, tally) in tallies {
            let worst = verdicts.entry(*level).or_insert(Verdict::Valid);
            *worst = (*worst).max(tally.verdict());
        }
    }
    // A case that says nothing of a model leaves it open.
    for (level, verdict) in &mut verdicts {
        if by_case.iter().any(|tallies| !tallies.contains_key(level)) {
            *verdict = (*verdict).max(Verdict::Unknown);
        }
    }
    verdicts
}

fn standing(verdicts: &BTreeMap<Level, Verdict>) -> Standing {
    if verdicts.is_empty() {
        return Standing::default();
    }
    let line: Vec<(Level, Verdict)> =
        verdicts.iter().filter(|(level, _)| **level != Level::Convergent).map(|(l, v)| (*l, *v)).collect();
    // Below the last one that is broken.
    let first = line.iter().rposition(|(_, verdict)| *verdict == Verdict::Invalid).map_or(0, |at| at + 1);
    let mut candidates: Vec<(Level, Verdict)> = line[first..].to_vec();
    let last = verdicts.get(&Level::Convergent).copied().unwrap_or(Verdict::Unknown);
    candidates.push((Level::Convergent, last));
    let keeps = candidates.iter().find(|(_, verdict)| *verdict == Verdict::Valid).map(|(level, _)| *level);
    let perhaps = candidates
        .iter()
        .take_while(|(level, _)| Some(*level) != keeps)
        .find(|(_, verdict)| *verdict == Verdict::Unknown)
        .map(|(level, _)| *level);
    Standing { keeps, perhaps }
}

fn target_row(runs: &Runs, target: usize, of_target: &[&Run]) -> TargetRow {
    let (label, textbook) = runs.targets[target].clone();
    let standing = standing(&verdicts(of_target));
    let measures = measures(of_target);
    TargetRow {
        target: label,
        textbook,
        standing,
        ruled_out: ruled_out(runs, of_target, standing, &measures),
        gives_up: gives_up(of_target),
        converges: measures.levels.get(&Level::Convergent).copied().unwrap_or_default(),
        measures,
    }
}

fn ruled_out(runs: &Runs, of_target: &[&Run], standing: Standing, measures: &Measures) -> Option<RuledOut> {
    let at = standing.perhaps.or(standing.keeps);
    let (level, tally) = measures
        .levels
        .iter()
        .rev()
        .filter(|(level, _)| at.is_none_or(|at| **level < at))
        .find(|(_, tally)| tally.broken > 0)?;
    let (run, (anomaly, sentences)) = of_target.iter().find_map(|run| {
        let held = observed(run)?.levels.get(level)?;
        let because = held.because.as_ref().filter(|_| held.verdict == Verdict::Invalid)?;
        Some((run, because.clone()))
    })?;
    Some(RuledOut {
        level: *level,
        runs: tally.breaks(),
        anomaly,
        sentences,
        case: runs.cases[run.case].clone(),
        folder: run.folder.clone(),
    })
}

/// Less than this share of calls answered at the nodes cut off is refusing them. Who answers reads and refuses writes answers
/// half, and is not to be called now this and now that.
const REFUSES: f64 = 0.25;

fn gives_up(of_target: &[&Run]) -> GivesUp {
    let all: Vec<&Observed> = of_target.iter().filter_map(observed).collect();
    let breaks = |runs: &[&Observed]| {
        let mut tally = Tally::default();
        runs.iter().filter_map(|run| earned(run, Level::Linearizable)).for_each(|verdict| tally.add(verdict));
        tally.verdict()
    };
    let cut: Vec<&Observed> = all.iter().copied().filter(|run| run.partitioned).collect();
    // Links that are only slow are no partition.
    let whole: Vec<&Observed> = all.iter().copied().filter(|run| run.nothing_cut).collect();
    let mut side = Sample::default();
    cut.iter().for_each(|run| side.join(&run.cut_off));
    let cut_off = side.period();
    let counts = cut_off.counts;
    let answers = (counts.all() > 0).then(|| counts.ok as f64 / counts.all() as f64);
    let partition = answers.map(|share| match (share < REFUSES, breaks(&cut)) {
        (true, Verdict::Invalid) => "availability, and consistency too",
        (true, _) => "availability",
        (false, Verdict::Invalid) => "consistency",
        (false, _) => "neither was seen",
    });
    let otherwise = match breaks(&whole) {
        _ if whole.is_empty() => None,
        Verdict::Invalid => Some("consistency"),
        Verdict::Valid => Some("latency"),
        Verdict::Unknown => None,
    };
    GivesUp { partition: partition.map(Into::into), cut_off, otherwise: otherwise.map(Into::into) }
}

fn measures(runs: &[&Run]) -> Measures {
    let mut samples: [Sample; 5] = Default::default();
    let mut sum = Measures { levels: tallies(runs), ..Measures::default() };
    let (mut stale_ns, mut recovery, mut healthy) = (Vec::new(), Vec::new(), (0, 0));
    let mut no_delta = false;
    for run in runs.iter().filter_map(observed) {
        let of_run = [&run.before, &run.during, &run.struck, &run.spared, &run.after];
        samples.iter_mut().zip(of_run).for_each(|(sample, of_run)| sample.join(of_run));
        healthy = (healthy.0 + run.healthy.0, healthy.1 + run.healthy.1);
        sum.losses.acknowledged += run.losses.acknowledged;
        sum.losses.lost += run.losses.lost;
        sum.conflicts.of += run.conflicts.0;
        sum.conflicts.hits += run.conflicts.1;
        sum.never_recovered += run.recovery_ns.iter().filter(|took| took.is_none()).count() as u64;
        recovery.extend(run.recovery_ns.iter().flatten().copied());
        if let Some(staleness) = &run.staleness {
            no_delta |= staleness.delta_ns.is_none();
            sum.delta_ns = sum.delta_ns.max(staleness.delta_ns);
            sum.k = sum.k.max(Some(staleness.k));
            sum.stale.of += staleness.reads;
            sum.stale.hits += staleness.stale_ns.len() as u64;
            stale_ns.extend_from_slice(&staleness.stale_ns);
        }
    }
    stale_ns.sort_unstable();
    recovery.sort_unstable();
    [sum.before, sum.during, sum.struck, sum.spared, sum.after] = samples.map(Sample::period);
    sum.delta_ns = sum.delta_ns.filter(|_| !no_delta);
    (sum.stale_p50_ns, sum.stale_p99_ns) = (quantile(&stale_ns, 50), quantile(&stale_ns, 99));
    (sum.recovery_p50_ns, sum.recovery_max_ns) = (quantile(&recovery, 50), recovery.last().copied());
    sum.ok_per_second = if healthy.1 == 0 { 0.0 } else { healthy.0 as f64 * 1e9 / healthy.1 as f64 };
    sum
}

fn invariants(runs: &Runs) -> Vec<Invariant> {
    let mut rows: Vec<Invariant> = Vec::new();
    for run in &runs.cells {
        let Ended::Observed(observed) = &run.ended else { continue };
        let workload = &runs.workloads[run.workload];
        for (invariant, verdict, broke) in &observed.invariants {
            let found = rows.iter().position(|row| row.workload == *workload && row.invariant == *invariant);
            let at = found.unwrap_or_else(|| {
                let (workload, invariant) = (workload.clone(), invariant.clone());
                let targets = vec![None; runs.targets.len()];
                rows.push(Invariant { workload, invariant, targets, broke: Vec::new() });
                rows.len() - 1
            });
            let counts = observed.unearned.is_none() || *verdict != Verdict::Valid;
            let verdict = if counts { *verdict } else { Verdict::Unknown };
            rows[at].targets[run.target].get_or_insert_default().add(verdict);
            let target = &runs.targets[run.target].0;
            if let Some(broke) = broke
                && rows[at].broke.iter().all(|(told, _)| told != target)
            {
                rows[at].broke.push((target.clone(), broke.clone()));
            }
        }
    }
    rows.sort_by_key(|row| runs.workloads.iter().position(|workload| *workload == row.workload));
    rows
}

fn cell_row(runs: &Runs, run: &Run) -> CellRow {
    let (verdict, because) = match &run.ended {
        Ended::Observed(observed) => (observed.verdict, observed.unearned.clone()),
        Ended::Failed(why) => (None, Some(why.clone())),
        Ended::Missing => (None, Some("not begun".into())),
    };
    CellRow {
        target: runs.targets[run.target].0.clone(),
        case: runs.cases[run.case].clone(),
        workload: runs.workloads[run.workload].clone(),
        seed: run.seed,
        verdict,
        because,
        folder: run.folder.clone(),
    }
}
