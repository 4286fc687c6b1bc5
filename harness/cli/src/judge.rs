//! Asks the judges, each within its budget. A judge that panics has found a bug in itself: that is a doubt, no verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use schism_checker::{Budget, Checker, Doubt, Enough, Evidence, Judgement, Recovery};
use schism_engine::plan::{EvidencePlan, Plan};
use schism_engine::workload::Workload;
use schism_history::History;

/// What a judge may spend.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Time for each judge.
    pub time: Duration,
    /// Memory for each judge.
    pub memory_bytes: u64,
}

/// The judges of a plan's workload, and the judge of whether a pass is earned.
pub fn judges(plan: &Plan, workload: Workload) -> Vec<Box<dyn Checker>> {
    let EvidencePlan { ok_min, ok_before_min, ok_during_min, ok_after_min } = plan.evidence;
    let enough = |kind| Enough {
        kind,
        in_all: ok_min,
        before: ok_before_min,
        during: ok_during_min,
        after: ok_after_min,
    };
    let evidence = Evidence {
        calls: workload.calls.iter().copied().map(enough).collect(),
        faults: plan.strikes().map(|nemesis| nemesis.name.clone()).filter(|name| name != "none").collect(),
        unique_values: workload.unique_values,
    };
    let mut judges = workload.checkers;
    judges.push(Box::new(evidence));
    if let Some(within) = plan.check.recover_within {
        judges.push(Box::new(Recovery { within }));
    }
    judges
}

/// What each judge says.
pub fn judge(judges: &[Box<dyn Checker>], history: &History, allowance: Allowance) -> Vec<Judgement> {
    judges.iter().map(|judge| ask(&**judge, history, allowance)).collect()
}

/// What one judge says.
pub fn ask(judge: &dyn Checker, history: &History, allowance: Allowance) -> Judgement {
    let start = Instant::now();
    let over = || start.elapsed() >= allowance.time;
    let bytes = usize::try_from(allowance.memory_bytes).unwrap_or(usize::MAX);
    let budget = Budget { bytes, time: allowance.time, over: &over };
    catch_unwind(AssertUnwindSafe(|| judge.check(history, budget))).unwrap_or_else(|_| panicked(judge.name()))
}

/// What a judge says that panicked.
pub fn panicked(name: &str) -> Judgement {
    let doubt = Doubt {
        reason: format!("the checker {name} panicked: a bug in it, no finding"),
        hint: Some("please report it with the run's history.jsonl".into()),
    };
    Judgement::new(name, "did not finish", Vec::new(), vec![doubt])
}
