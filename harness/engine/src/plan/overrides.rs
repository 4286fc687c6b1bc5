//! What flags change of a plan. They mirror the file one to one: a key `time-limit` is a flag `--time-limit`, a key `time`
//! of `[check]` is `--set check.time=…`, and a nemesis has a spelling of its own, described at [`nemesis`].

use std::time::Duration;

use schism_checker::Verdict;

use super::mistake::{Complaint, unknown};
use super::units::{duration, size};
use super::{BackendPlan, EvidencePlan, NemesisPlan, Plan, Schedule, TargetPlan, WorkloadPlan};
use crate::budget::BrokenMax;

/// What flags change of a plan. What is `None` or empty stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `--seed`
    pub seed: Option<u64>,
    /// `--nodes`
    pub nodes: Option<usize>,
    /// `--backend`. Another backend than the plan's comes without the settings of that one.
    pub backend: Option<String>,
    /// `--time-limit`
    pub time_limit: Option<Duration>,
    /// `--rate`
    pub rate: Option<f64>,
    /// `--stagger`
    pub stagger: Option<bool>,
    /// `--concurrency`
    pub concurrency: Option<usize>,
    /// `--roam`
    pub roam: Option<u64>,
    /// `--timeout`
    pub timeout: Option<Duration>,
    /// `--start-limit`
    pub start_limit: Option<Duration>,
    /// `--recovery-limit`
    pub recovery_limit: Option<Duration>,
    /// `--expect`
    pub expect: Option<Verdict>,
    /// `--target`. Another target than the plan's comes without the bugs and settings of that one.
    pub target: Option<String>,
    /// `--bug`, as often as wanted; instead of the plan's.
    pub bugs: Vec<String>,
    /// `--workload`. Another workload than the plan's comes without the settings of that one.
    pub workload: Option<String>,
    /// `--nemesis`; instead of all of the plan's. See [`nemeses`].
    pub nemeses: Option<Vec<NemesisPlan>>,
    /// `--broken-max`
    pub broken_max: Option<BrokenMax>,
    /// `--set`, as often as wanted, in this order. See [`assignment`].
    pub set: Vec<Assignment>,
}

/// A value for a key within a section: what `--set` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// A setting of the backend, and its value.
    Backend(String, String),
    /// A setting of the target, and its value.
    Target(String, String),
    /// A setting of the workload, and its value.
    Workload(String, String),
    /// [`CheckPlan::time`](super::CheckPlan::time)
    CheckTime(Duration),
    /// [`CheckPlan::memory_bytes`](super::CheckPlan::memory_bytes)
    CheckMemory(u64),
    /// [`CheckPlan::recover_within`](super::CheckPlan::recover_within)
    CheckRecoverWithin(Duration),
    /// A number of [`EvidencePlan`], by its key.
    Evidence(String, usize),
}

impl Plan {
    /// This plan with the flags' choices. Ask [`Plan::check`] afterwards whether it still makes sense.
    #[must_use]
    pub fn with(mut self, overrides: &Overrides) -> Self {
        fn put<T: Clone>(choice: &mut T, wanted: &Option<T>) {
            if let Some(wanted) = wanted {
                choice.clone_from(wanted);
            }
        }
        put(&mut self.seed, &overrides.seed);
        put(&mut self.nodes, &overrides.nodes);
        put(&mut self.time_limit, &overrides.time_limit);
        put(&mut self.rate, &overrides.rate);
        put(&mut self.stagger, &overrides.stagger);
        put(&mut self.concurrency, &overrides.concurrency);
        put(&mut self.roam, &overrides.roam);
        put(&mut self.timeout, &overrides.timeout);
        put(&mut self.start_limit, &overrides.start_limit);
        put(&mut self.recovery_limit, &overrides.recovery_limit);
        put(&mut self.nemeses, &overrides.nemeses);
        put(&mut self.broken_max, &overrides.broken_max);
        self.expect = overrides.expect.or(self.expect);
        if let Some(name) = overrides.backend.as_ref().filter(|name| **name != self.backend.name) {
            self.backend = BackendPlan { name: name.clone(), ..BackendPlan::default() };
        }
        if let Some(name) = overrides.target.as_ref().filter(|name| **name != self.target.name) {
            self.target = TargetPlan { name: name.clone(), ..TargetPlan::default() };
        }
        if let Some(name) = overrides.workload.as_ref().filter(|name| **name != self.workload.name) {
            self.workload = WorkloadPlan { name: name.clone(), ..WorkloadPlan::default() };
        }
        if !overrides.bugs.is_empty() {
            self.target.bugs.clone_from(&overrides.bugs);
        }
        for assignment in &overrides.set {
            self.assign(assignment);
        }
        self
    }

    fn assign(&mut self, assignment: &Assignment) {
        match assignment {
            Assignment::Backend(key, value) => {
                self.backend.settings.insert(key.clone(), value.clone());
            }
            Assignment::Target(key, value) => {
                self.target.settings.insert(key.clone(), value.clone());
            }
            Assignment::Workload(key, value) => {
                self.workload.settings.insert(key.clone(), value.clone());
            }
            Assignment::CheckTime(time) => self.check.time = *time,
            Assignment::CheckMemory(bytes) => self.check.memory_bytes = *bytes,
            Assignment::CheckRecoverWithin(within) => self.check.recover_within = Some(*within),
            Assignment::Evidence(key, count) => {
                if let Some(field) = self.evidence.field(key) {
                    *field = *count;
                }
            }
        }
    }
}

/// Reads what `--set` takes: `backend.KEY=VALUE`, `target.KEY=VALUE`, `workload.KEY=VALUE`, `check.time=30s`, `evidence.ok-min=100`.
///
/// # Errors
/// If the section or the key is none of these, or the value cannot be read.
pub fn assignment(text: &str) -> Result<Assignment, Complaint> {
    let example = "write `SECTION.KEY=VALUE`, as in `target.reads=lease` or `check.time=30s`";
    let parts =
        text.split_once('=').and_then(|(path, value)| Some((path.trim().split_once('.')?, value.trim())));
    let Some(((section, key), value)) = parts else {
        return Err(Complaint::new(format!("`{text}` does not say what to set")).hint(example));
    };
    match (section, key) {
        ("backend" | "target" | "workload", "name") => {
            Err(Complaint::new(format!("`{section}.name` has a flag of its own"))
                .hint(format!("use `--{section} {value}`")))
        }
        ("target", "bugs") => {
            Err(Complaint::new("`target.bugs` has a flag of its own").hint(format!("use `--bug {value}`")))
        }
        ("backend", _) => Ok(Assignment::Backend(key.into(), value.into())),
        ("target", _) => Ok(Assignment::Target(key.into(), value.into())),
        ("workload", _) => Ok(Assignment::Workload(key.into(), value.into())),
        ("check", "time") => duration(value).map(Assignment::CheckTime),
        ("check", "memory") => size(value).map(Assignment::CheckMemory),
        ("check", "recover-within") => duration(value).map(Assignment::CheckRecoverWithin),
        ("check", _) => Err(unknown("key", key, ["time", "memory", "recover-within"])),
        ("evidence", _) if EvidencePlan::KEYS.contains(&key) => match value.parse() {
            Ok(count) => Ok(Assignment::Evidence(key.into(), count)),
            Err(_) => Err(Complaint::new(format!("`{key}` must be a whole number, not `{value}`"))),
        },
        ("evidence", _) => Err(unknown("key", key, EvidencePlan::KEYS)),
        ("nemesis", _) => Err(Complaint::new("a nemesis is not set but named with all its choices")
            .hint(format!("use `--nemesis NAME:{key}={value}`"))),
        _ => Err(unknown("section", section, ["backend", "target", "workload", "check", "evidence"])),
    }
}

/// Reads what `--nemesis` takes: nemeses joined by commas, or `none`.
///
/// # Errors
/// If one of them cannot be read.
pub fn nemeses(text: &str) -> Result<Vec<NemesisPlan>, Complaint> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    text.split(',').map(nemesis).collect()
}

/// Reads one nemesis: its name, and its choices each after a colon, as in `partition:shape=leader:every=8s:lasts=2s`.
/// `every`, `lasts` and `schedule` are the plan's own keys, all others are the nemesis's settings. A value with a comma or
/// a colon in it has to stand in a file.
///
/// # Errors
/// If it has no name, a choice is not `KEY=VALUE` or made twice, or a value cannot be read.
pub fn nemesis(text: &str) -> Result<NemesisPlan, Complaint> {
    let mut parts = text.split(':').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let example = "write a nemesis as `partition` or `partition:shape=leader:every=8s`";
    if name.is_empty() || name.contains('=') {
        return Err(Complaint::new(format!("`{text}` has no name of a nemesis")).hint(example));
    }
    let mut plan = NemesisPlan::of(name);
    let mut keys = Vec::new();
    for part in parts {
        let Some((key, value)) = part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
            return Err(Complaint::new(format!("`{part}` of `{text}` is not a choice")).hint(example));
        };
        if key.is_empty() || keys.contains(&key) {
            let what = if key.is_empty() { "has no key" } else { "is made twice" };
            return Err(Complaint::new(format!("the choice `{part}` of `{text}` {what}")).hint(example));
        }
        keys.push(key);
        match key {
            "every" => plan.every = duration(value)?,
            "lasts" => plan.lasts = duration(value)?,
            "schedule" => plan.schedule = schedule(value)?,
            "name" => return Err(Complaint::new(format!("`{text}` has two names")).hint(example)),
            _ => {
                plan.settings.insert(key.into(), value.into());
            }
        }
    }
    Ok(plan)
}

/// Reads the word of a schedule.
///
/// # Errors
/// If there is none of that name.
pub fn schedule(word: &str) -> Result<Schedule, Complaint> {
    let found = Schedule::ALL.into_iter().find(|schedule| schedule.word() == word);
    found.ok_or_else(|| unknown("schedule", word, Schedule::ALL.map(Schedule::word)))
}

/// Reads what `--broken-max` takes.
///
/// # Errors
/// If it is neither a number nor one of the words.
pub fn broken_max(text: &str) -> Result<BrokenMax, Complaint> {
    let complaint = || Complaint::new(format!("`{text}` is no number of nodes"));
    BrokenMax::of(text).ok_or_else(|| complaint().hint("write a number, `minority` or `any`"))
}

const VERDICTS: [(&str, Verdict); 3] =
    [("valid", Verdict::Valid), ("invalid", Verdict::Invalid), ("unknown", Verdict::Unknown)];

/// Reads the word of a verdict: what `--expect` takes.
///
/// # Errors
/// If there is none of that name.
pub fn verdict(word: &str) -> Result<Verdict, Complaint> {
    let found = VERDICTS.iter().find(|(known, _)| *known == word);
    found
        .map(|(_, verdict)| *verdict)
        .ok_or_else(|| unknown("verdict", word, VERDICTS.map(|(known, _)| known)))
}

/// The word of a verdict, as [`verdict`] reads it.
pub(super) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "valid",
        Verdict::Unknown => "unknown",
        Verdict::Invalid => "invalid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nemesis_is_its_name_and_choices_after_colons() {
        let read = nemeses("partition:shape=leader:every=8s:lasts=2s, kill:schedule=periodic").unwrap();
        let mut partition = NemesisPlan { every: Duration::from_secs(8), ..NemesisPlan::of("partition") };
        partition.lasts = Duration::from_secs(2);
        partition.settings.insert("shape".into(), "leader".into());
        let kill = NemesisPlan { schedule: Schedule::Periodic, ..NemesisPlan::of("kill") };
        assert_eq!(read, [partition, kill]);
        assert_eq!(nemeses("none"), Ok(Vec::new()));
    }

    #[test]
    fn a_nemesis_that_cannot_be_read_says_why() {
        let wrong = |text| nemeses(text).unwrap_err().message;
        assert_eq!(wrong("kill,,pause"), "`` has no name of a nemesis");
        assert_eq!(wrong("shape=leader"), "`shape=leader` has no name of a nemesis");
        assert_eq!(wrong("partition:leader"), "`leader` of `partition:leader` is not a choice");
        assert_eq!(wrong("kill:every=8"), "`8` has no unit");
        assert_eq!(wrong("kill:a=1:a=2"), "the choice `a=2` of `kill:a=1:a=2` is made twice");
        assert_eq!(wrong("kill:=2"), "the choice `=2` of `kill:=2` has no key");
        assert_eq!(wrong("kill:name=x"), "`kill:name=x` has two names");
        assert_eq!(
            nemeses("kill:schedule=perodic").unwrap_err().to_string(),
            "unknown schedule `perodic`; did you mean `periodic`?"
        );
    }

    #[test]
    fn an_assignment_names_its_section() {
        let target = Assignment::Target("reads".into(), "lease".into());
        assert_eq!(assignment("target.reads=lease"), Ok(target));
        assert_eq!(assignment("check.time = 30s"), Ok(Assignment::CheckTime(Duration::from_secs(30))));
        assert_eq!(assignment("check.memory=1GiB"), Ok(Assignment::CheckMemory(1 << 30)));
        assert_eq!(assignment("evidence.ok-min=7"), Ok(Assignment::Evidence("ok-min".into(), 7)));
        let wrong = |text| assignment(text).unwrap_err().to_string();
        assert_eq!(
            wrong("reads=lease"),
            "`reads=lease` does not say what to set; \
             write `SECTION.KEY=VALUE`, as in `target.reads=lease` or `check.time=30s`"
        );
        assert_eq!(wrong("target.name=x"), "`target.name` has a flag of its own; use `--target x`");
        assert_eq!(wrong("target.bugs=x"), "`target.bugs` has a flag of its own; use `--bug x`");
        assert_eq!(wrong("chekc.time=1s"), "unknown section `chekc`; did you mean `check`?");
        assert_eq!(wrong("check.tmie=1s"), "unknown key `tmie`; did you mean `time`?");
        assert_eq!(wrong("evidence.ok_min=1"), "unknown key `ok_min`; did you mean `ok-min`?");
        assert_eq!(wrong("evidence.ok-min=many"), "`ok-min` must be a whole number, not `many`");
        assert_eq!(
            wrong("nemesis.every=3s"),
            "a nemesis is not set but named with all its choices; use `--nemesis NAME:every=3s`"
        );
    }

    #[test]
    fn flags_change_what_they_name_and_nothing_else() {
        let mut plan = Plan::of("raft", "register");
        plan.target.bugs.push("stale-read".into());
        plan.target.settings.insert("reads".into(), "lease".into());
        assert_eq!(plan.clone().with(&Overrides::default()), plan);
        let same = Overrides { target: Some("raft".into()), ..Overrides::default() };
        assert_eq!(plan.clone().with(&same), plan);

        let changed = plan.clone().with(&Overrides {
            nodes: Some(3),
            target: Some("etcd".into()),
            nemeses: Some(vec![NemesisPlan::of("kill")]),
            expect: Some(Verdict::Valid),
            set: vec![assignment("evidence.ok-min=7").unwrap(), assignment("workload.keys=2").unwrap()],
            ..Overrides::default()
        });
        let mut wanted = Plan { nodes: 3, expect: Some(Verdict::Valid), ..Plan::of("etcd", "register") };
        wanted.nemeses.push(NemesisPlan::of("kill"));
        wanted.evidence.ok_min = 7;
        wanted.workload.settings.insert("keys".into(), "2".into());
        assert_eq!(changed, wanted);
    }
}
