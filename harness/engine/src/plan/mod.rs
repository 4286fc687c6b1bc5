//! A plan: every choice of a run, as a value. Two runs of one plan differ only in what the world did.
//!
//! A plan comes from a file, from flags, or from both ([`Overrides`]), and is written back complete. Reading a file
//! finds all its mistakes at once, each with its place. The engine knows no target, workload or nemesis by name: what
//! there is comes from outside as a [`Catalogue`]. What a plan cannot tell is whether this machine can carry it out.

mod catalogue;
mod check;
mod compare;
mod mistake;
mod mix;
mod overrides;
mod place;
mod read;
mod scalars;
mod schedule;
#[cfg(test)]
mod tests;
mod timetable;
mod units;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use schism_checker::Verdict;

use crate::budget::BrokenMax;
use crate::ready::Ready;
use crate::target::Choices;

pub use catalogue::{
    BackendEntry, BesideEntry, Catalogue, NemesisEntry, SettingEntry, TargetEntry, Values, WorkloadEntry,
};
pub use compare::{Cell, ComparePlan, TargetSide};
pub use mistake::{Complaint, Mistake, Mistakes};
pub use mix::{Quarter, quarter_length, quarters};
pub use overrides::{Assignment, Overrides, assignment, broken_max, nemeses, nemesis, schedule, verdict};
pub use schedule::{Window, quiet, windows};
pub use timetable::Timetable;
pub use units::{duration, duration_text, rate, share, size, size_text};

/// Every choice of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The one source of chance.
    pub seed: u64,
    /// How many nodes the cluster has.
    pub nodes: usize,
    /// Where the cluster runs.
    pub backend: BackendPlan,
    /// How long clients make calls, from the first one to the healing of all faults.
    pub time_limit: Duration,
    /// Calls a second over the whole cluster; zero is as fast as the clients can.
    pub rate: f64,
    /// Whether calls come at random intervals around the mean rather than even ones.
    pub stagger: bool,
    /// Clients with one call at a time each. The i-th speaks to node i modulo the number of nodes.
    pub concurrency: usize,
    /// After so many calls a client goes on at the next node, with what its session has seen, if the store's clients can
    /// say that; 0: it stays.
    pub roam: u64,
    /// How long a client waits for an answer before the outcome is unknown.
    pub timeout: Duration,
    /// How long the nodes may take until every one is ready.
    pub start_limit: Duration,
    /// How long the cluster may take to take calls again after all faults are healed.
    pub recovery_limit: Duration,
    /// What is tested.
    pub target: TargetPlan,
    /// What clients do.
    pub workload: WorkloadPlan,
    /// What goes wrong. May be empty.
    pub nemeses: Vec<NemesisPlan>,
    /// What goes wrong at fixed times, besides. May be empty.
    pub script: Vec<StepPlan>,
    /// How many nodes faults may break at once, all of them together.
    pub broken_max: BrokenMax,
    /// What judging may cost.
    pub check: CheckPlan,
    /// How much must have happened for a pass to count.
    pub evidence: EvidencePlan,
    /// The verdict that whoever wrote the plan expects.
    pub expect: Option<Verdict>,
}

/// Where the cluster runs, and what its nodes may use there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendPlan {
    /// The backend's name.
    pub name: String,
    /// Its settings by name; what is not named stays at the backend's own default.
    pub settings: BTreeMap<String, String>,
}

/// What is tested, and how it is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetPlan {
    /// The target's name.
    pub name: String,
    /// Bugs planted in it, by name.
    pub bugs: Vec<String>,
    /// Its settings by name; what is not named stays at the target's own default.
    pub settings: BTreeMap<String, String>,
}

/// What clients do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadPlan {
    /// The workload's name.
    pub name: String,
    /// Its settings by name; what is not named stays at the workload's own default.
    pub settings: BTreeMap<String, String>,
}

/// One thing that goes wrong again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NemesisPlan {
    /// The nemesis's name.
    pub name: String,
    /// Its settings by name, as `shape` of a partition.
    pub settings: BTreeMap<String, String>,
    /// How its windows lie in time.
    pub schedule: Schedule,
    /// From the beginning of a fault to the beginning of the next.
    pub every: Duration,
    /// From the beginning of a fault to its end.
    pub lasts: Duration,
}

/// One thing that goes wrong once, at a fixed time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepPlan {
    /// When it begins, counted from the beginning of the load.
    pub at: Duration,
    /// What goes wrong, with its settings, and for how long. The rest of it means nothing here.
    pub does: NemesisPlan,
}

/// How the windows of a nemesis lie in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// Exactly `every`, exactly as long as `lasts`.
    Periodic,
    /// About `every`, about as long as `lasts`: the faults of several nemeses meet in ever new ways.
    #[default]
    Random,
    /// At random within some quarters of the run, in ever new company, and quietly waiting in the others.
    Mix,
}

/// What judging may cost, and what is judged besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckPlan {
    /// Time for each judge.
    pub time: Duration,
    /// Bytes of memory for each judge, beyond the history itself.
    pub memory_bytes: u64,
    /// How soon after the end of all faults every node has to serve again, if that is judged.
    pub recover_within: Option<Duration>,
}

/// How many calls must have been ok for a pass to count, of every kind that the workload makes. Zero asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidencePlan {
    /// In the whole run.
    pub ok_min: usize,
    /// Before the first fault.
    pub ok_before_min: usize,
    /// During the faults of each nemesis, all of them together.
    pub ok_during_min: usize,
    /// After the last fault.
    pub ok_after_min: usize,
}

impl Plan {
    /// The plan of one who only says what is tested and by what: five nodes in the sandbox, twenty clients, 500 calls a
    /// second for twenty seconds, nothing going wrong.
    pub fn of(target: &str, workload: &str) -> Self {
        Plan {
            seed: 0,
            nodes: 5,
            backend: BackendPlan { name: "sandbox".into(), ..BackendPlan::default() },
            time_limit: Duration::from_secs(20),
            rate: 500.0,
            stagger: true,
            concurrency: 20,
            roam: 0,
            timeout: Duration::from_secs(1),
            start_limit: Duration::from_secs(30),
            recovery_limit: Duration::from_secs(30),
            target: TargetPlan { name: target.into(), ..TargetPlan::default() },
            workload: WorkloadPlan { name: workload.into(), ..WorkloadPlan::default() },
            nemeses: Vec::new(),
            script: Vec::new(),
            broken_max: BrokenMax::default(),
            check: CheckPlan::default(),
            evidence: EvidencePlan::default(),
            expect: None,
        }
    }

    /// How its nodes are found to be ready: the backend's setting `ready`, or the target's own question.
    pub fn ready(&self) -> Ready {
        self.backend.settings.get("ready").and_then(|text| Ready::parse(text).ok()).unwrap_or_default()
    }

    /// Everything that goes wrong in it, by nemesis: its nemeses, and then the steps of its script.
    pub fn strikes(&self) -> impl Iterator<Item = &NemesisPlan> {
        self.nemeses.iter().chain(self.script.iter().map(|step| &step.does))
    }

    /// What it chooses about its target.
    pub fn choices(&self) -> Choices {
        Choices { seed: self.seed, bugs: self.target.bugs.clone(), settings: self.target.settings.clone() }
    }

    /// Reads a plan from the text of a file (TOML, keys as the fields here in kebab-case). What the file leaves out is as
    /// in [`Plan::of`]; it must say what is tested and what clients do, and breaks nothing unless it says so.
    ///
    /// # Errors
    /// If anything is wrong with it: all mistakes at once, each with its place; of errors of syntax the first.
    pub fn parse(source_name: &str, text: &str, catalogue: &Catalogue) -> Result<Plan, Mistakes> {
        read::read(source_name, text, catalogue)
    }

    /// Everything about this plan that makes no sense, in terms of flags: the same that [`Plan::parse`] would find in a
    /// file. Empty if all is well.
    pub fn check(&self, catalogue: &Catalogue) -> Vec<Complaint> {
        let findings = check::findings(self, catalogue, place::Origin::Flags);
        findings.into_iter().map(|finding| finding.complaint).collect()
    }

    /// The plan as a file that [`Plan::parse`] reads back as the same plan, with every choice written out.
    pub fn to_toml(&self) -> String {
        write::write(self)
    }
}

impl NemesisPlan {
    /// A nemesis with its own default settings, striking at random, about every six seconds for about three: three or
    /// four times in a run of the default length.
    pub fn of(name: &str) -> Self {
        NemesisPlan {
            name: name.into(),
            settings: BTreeMap::new(),
            schedule: Schedule::default(),
            every: Duration::from_secs(6),
            lasts: Duration::from_secs(3),
        }
    }
}

impl Schedule {
    /// Every schedule.
    pub const ALL: [Schedule; 3] = [Schedule::Periodic, Schedule::Random, Schedule::Mix];

    /// The word used in plans.
    pub fn word(self) -> &'static str {
        match self {
            Schedule::Periodic => "periodic",
            Schedule::Random => "random",
            Schedule::Mix => "mix",
        }
    }
}

impl EvidencePlan {
    /// The keys of the numbers in plans.
    pub const KEYS: [&str; 4] = ["ok-min", "ok-before-min", "ok-during-min", "ok-after-min"];

    /// The number of that key.
    fn field(&mut self, key: &str) -> Option<&mut usize> {
        match key {
            "ok-min" => Some(&mut self.ok_min),
            "ok-before-min" => Some(&mut self.ok_before_min),
            "ok-during-min" => Some(&mut self.ok_during_min),
            "ok-after-min" => Some(&mut self.ok_after_min),
            _ => None,
        }
    }
}

impl Default for CheckPlan {
    fn default() -> Self {
        CheckPlan { time: Duration::from_secs(60), memory_bytes: 2 << 30, recover_within: None }
    }
}

impl Default for EvidencePlan {
    fn default() -> Self {
        EvidencePlan { ok_min: 10, ok_before_min: 1, ok_during_min: 1, ok_after_min: 1 }
    }
}
