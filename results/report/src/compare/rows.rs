//! The rows of a comparison's tables, and what stands in them.

use std::collections::BTreeMap;

use schism_checker::Verdict;
use serde::{Deserialize, Serialize};

use super::lattice::Level;
use super::rate::Rate;
use crate::measure::Period;

/// Runs in which something was so, was not so, and is not known to be either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// It was kept.
    pub kept: u64,
    /// It was broken.
    pub broken: u64,
    /// Nobody knows.
    pub unknown: u64,
}

impl Tally {
    pub(super) fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Valid => self.kept += 1,
            Verdict::Unknown => self.unknown += 1,
            Verdict::Invalid => self.broken += 1,
        }
    }

    /// How often it was broken, of the runs that say.
    pub fn breaks(self) -> Rate {
        Rate { hits: self.broken, of: self.broken + self.kept }
    }

    /// What they say together.
    pub fn verdict(self) -> Verdict {
        match self {
            Tally { broken: 1.., .. } => Verdict::Invalid,
            Tally { kept: 1.., .. } => Verdict::Valid,
            _ => Verdict::Unknown,
        }
    }
}

/// What was acknowledged, and how much of it is not there in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    /// Elements of sets, and registers that were written.
    pub acknowledged: u64,
    /// Those that are not there, or end with what had been there before.
    pub lost: u64,
}

/// Where a target stands on the lattice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The strongest model that was kept, with all weaker ones.
    pub keeps: Option<Level>,
    /// A stronger one that was not seen to be broken, nor earned.
    pub perhaps: Option<Level>,
}

impl Standing {
    /// In a cell of a table.
    pub fn words(self) -> String {
        match (self.keeps, self.perhaps) {
            (Some(level), None) => level.name().into(),
            (Some(level), Some(perhaps)) => format!("{}; unknown: {}", level.name(), perhaps.name()),
            (None, Some(perhaps)) => format!("unknown: {}", perhaps.name()),
            (None, None) => "none of them".into(),
        }
    }
}

/// Why a target does not stand higher.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuledOut {
    /// The next stronger model.
    pub level: Level,
    /// In how many runs it was broken.
    pub runs: Rate,
    /// The first anomaly that shows it.
    pub anomaly: String,
    /// What happened.
    pub sentences: String,
    /// In which case of faults.
    pub case: String,
    /// The run's folder.
    pub folder: String,
}

/// What a target gives up, as PACELC asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GivesUp {
    /// When links are cut: consistency or availability.
    pub partition: Option<String>,
    /// How the nodes fared then that were cut off.
    pub cut_off: Period,
    /// Else: consistency or latency.
    pub otherwise: Option<String>,
}

/// What was measured over several runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// By model.
    pub levels: BTreeMap<Level, Tally>,
    /// Before the first fault.
    pub before: Period,
    /// During faults.
    pub during: Period,
    /// During faults, at the nodes that were struck.
    pub struck: Period,
    /// During faults, at the others.
    pub spared: Period,
    /// After faults.
    pub after: Period,
    /// Calls answered a second while all was well.
    pub ok_per_second: f64,
    /// The least Δ over all runs in nanoseconds; none if there was no read of a register, or no Δ is enough.
    pub delta_ns: Option<u64>,
    /// The largest of the least k.
    pub k: Option<u64>,
    /// Reads that were stale, of all.
    pub stale: Rate,
    /// Half of the stale ones were late by at most this, in nanoseconds.
    pub stale_p50_ns: Option<u64>,
    /// 99 of 100 of the stale ones were late by at most this, in nanoseconds.
    pub stale_p99_ns: Option<u64>,
    /// What was lost.
    pub losses: Losses,
    /// Acknowledged writes that overlapped with another of their key, of all.
    pub conflicts: Rate,
    /// Half of the faults were over for everybody within this, in nanoseconds.
    pub recovery_p50_ns: Option<u64>,
    /// All were.
    pub recovery_max_ns: Option<u64>,
    /// Faults after which some node answered nothing any more.
    pub never_recovered: u64,
}

/// What all runs of a target showed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetRow {
    /// What it is called.
    pub target: String,
    /// What the books say.
    pub textbook: String,
    /// Where it stands.
    pub standing: Standing,
    /// Why not higher.
    pub ruled_out: Option<RuledOut>,
    /// What it gives up.
    pub gives_up: GivesUp,
    /// Whether all nodes said the same in the end.
    pub converges: Tally,
    /// The numbers.
    #[serde(flatten)]
    pub measures: Measures,
}

/// What the runs of a target in one case showed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseRow {
    /// The target.
    pub target: String,
    /// The case.
    pub case: String,
    /// Where it stands in this case alone.
    pub standing: Standing,
    /// How many runs could not be carried out.
    pub failed: u64,
    /// The numbers.
    #[serde(flatten)]
    pub measures: Measures,
}

/// What the judges of a workload said of a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Invariant {
    /// The workload.
    pub workload: String,
    /// What its judge is a judge of.
    pub invariant: String,
    /// A tally for each target in order; none where the target does not speak the workload's calls.
    pub targets: Vec<Option<Tally>>,
    /// What broke first, where something did: the target, and what happened.
    pub broke: Vec<(String, String)>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellRow {
    /// The target.
    pub target: String,
    /// The case.
    pub case: String,
    /// The workload.
    pub workload: String,
    /// The seed.
    pub seed: u64,
    /// The run's own verdict; none if there is none.
    pub verdict: Option<Verdict>,
    /// Why it is not known, or could not be carried out.
    pub because: Option<String>,
    /// Its folder.
    pub folder: String,
}
