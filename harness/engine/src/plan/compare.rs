//! A plan of many runs: every target under every case of faults and every workload, once for each seed.
//!
//! The file has the keys of a plan that say how a run goes, and lists where a plan has one of each:
//!
//! ```toml
//! seeds = [1, 2, 3]
//! time-limit = "8s"
//!
//! [[target]]
//! label = "W 3, R 1"
//! textbook = "eventual"       # what the books say of it, to be shown beside what was measured
//! name = "quorum"
//! w = 3
//! r = 1
//!
//! [[case]]
//! label = "one node gone"
//! nemesis = [{ name = "kill", who = "one", schedule = "periodic" }]
//!
//! [[workload]]
//! name = "read-write"
//! ```
//!
//! Each combination is a [`Plan`], and is checked as one: what makes no sense in any of them is told once, at its place in
//! this file. A workload whose calls a target does not speak is not run there; one that no target speaks is a mistake.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalogue::Catalogue;
use super::check::{Finding, findings};
use super::mistake::{Complaint, Mistakes, listed, unknown};
use super::place::{Origin, Place};
use super::read::{RUNNING, Reader, walk};
use super::scalars::{described, text, whole};
use super::{NemesisPlan, Plan, TargetPlan, WorkloadPlan};

/// So many runs are a slip: it would take days.
const CELLS_MAX: usize = 10_000;

/// A plan of many runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparePlan {
    /// What it is about, for the page.
    pub about: String,
    /// A run each.
    pub seeds: Vec<u64>,
    /// What is compared.
    pub targets: Vec<TargetSide>,
    /// What goes wrong at a time, by label. Nothing at all may be a case.
    pub cases: Vec<(String, Vec<NemesisPlan>)>,
    /// What clients do, by label.
    pub workloads: Vec<(String, WorkloadPlan)>,
    /// How every run goes.
    base: Plan,
    /// Which target speaks the calls of which workload.
    fits: BTreeSet<(usize, usize)>,
}

/// One of the targets compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSide {
    /// What it is called in tables.
    pub label: String,
    /// What the books say of it.
    pub textbook: String,
    /// The target.
    pub plan: TargetPlan,
}

/// One run of a comparison: positions in its lists, and a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Which target.
    pub target: usize,
    /// Which case.
    pub case: usize,
    /// Which workload.
    pub workload: usize,
    /// Which seed.
    pub seed: u64,
}

impl ComparePlan {
    /// Reads a comparison from the text of a file. `contradiction` is asked of every run for the rule that its target's
    /// settings break together.
    ///
    /// # Errors
    /// If anything is wrong with it: all mistakes at once, each with its place; of errors of syntax the first.
    pub fn parse(
        source_name: &str,
        text: &str,
        catalogue: &Catalogue,
        contradiction: &dyn Fn(&Plan) -> Option<String>,
    ) -> Result<ComparePlan, Mistakes> {
        let mut plan = ComparePlan {
            about: String::new(),
            seeds: vec![1],
            targets: Vec::new(),
            cases: Vec::new(),
            workloads: Vec::new(),
            base: Plan::of("", ""),
            fits: BTreeSet::new(),
        };
        walk(source_name, text, |reader, root| {
            read(reader, root, &mut plan);
            plan.fits = fits(&plan, catalogue);
            let mut findings = namesakes(&plan);
            findings.extend(all_findings(&plan, catalogue, contradiction));
            reader.put(findings);
        })?;
        Ok(plan)
    }

    /// All runs, seed by seed: what is interrupted has seen every target.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for &seed in &self.seeds {
            for target in 0..self.targets.len() {
                for case in 0..self.cases.len() {
                    let fitting = (0..self.workloads.len()).filter(|at| self.fits.contains(&(target, *at)));
                    cells.extend(fitting.map(|workload| Cell { target, case, workload, seed }));
                }
            }
        }
        cells
    }

    /// The plan of one run.
    pub fn plan(&self, cell: Cell) -> Plan {
        Plan {
            seed: cell.seed,
            target: self.targets[cell.target].plan.clone(),
            nemeses: self.cases[cell.case].1.clone(),
            workload: self.workloads[cell.workload].1.clone(),
            ..self.base.clone()
        }
    }
}

fn read(reader: &mut Reader<'_>, root: &DeTable<'_>, plan: &mut ComparePlan) {
    for (key, value) in root {
        let place = Place::of(key.get_ref().as_ref());
        if reader.running(&place, value, &mut plan.base) {
            continue;
        }
        match key.get_ref().as_ref() {
            "about" => reader.value(place, value, text, &mut plan.about),
            "seeds" => reader.value(place, value, seeds, &mut plan.seeds),
            "target" => each(reader, &place, value, |reader, at, value| {
                let mut side = TargetSide::default();
                reader.target(at, value, &mut side.plan);
                side.textbook = side.plan.settings.remove("textbook").unwrap_or_default();
                let label = side.plan.settings.remove("label");
                side.label = label.unwrap_or_else(|| with_settings(&side.plan.name, &side.plan.settings));
                plan.targets.push(side);
            }),
            "workload" => each(reader, &place, value, |reader, at, value| {
                let mut workload = WorkloadPlan::default();
                reader.named("workload", at, value, &mut workload.name, &mut workload.settings);
                let label = workload.settings.remove("label").unwrap_or_else(|| workload.name.clone());
                plan.workloads.push((label, workload));
            }),
            "case" => each(reader, &place, value, |reader, at, value| {
                plan.cases.push(case(reader, at, value));
            }),
            other => {
                let own = ["about", "seeds", "target", "workload", "case"];
                reader.mistake(key.span(), unknown("key", other, own.into_iter().chain(RUNNING)));
            }
        }
    }
    for (key, what) in [("target", "what is compared"), ("workload", "what clients do")] {
        if !root.contains_key(key) {
            let complaint = Complaint::new(format!("the comparison does not say {what}"));
            reader.mistake(0..0, complaint.hint(format!("add a section `[[{key}]]` with a `name`")));
        }
    }
    if !root.contains_key("case") {
        plan.cases.push(("healthy".into(), Vec::new()));
    }
}

/// Parts of a list that tables could not tell apart.
fn namesakes(plan: &ComparePlan) -> Vec<Finding> {
    let targets: Vec<&str> = plan.targets.iter().map(|side| side.label.as_str()).collect();
    let workloads: Vec<&str> = plan.workloads.iter().map(|(label, _)| label.as_str()).collect();
    let cases: Vec<&str> = plan.cases.iter().map(|(label, _)| label.as_str()).collect();
    let mut findings = Vec::new();
    for (list, labels) in [("target", targets), ("workload", workloads), ("case", cases)] {
        for (at, label) in labels.iter().enumerate().filter(|(_, label)| !label.is_empty()) {
            if labels[..at].contains(label) {
                let complaint = Complaint::new(format!("two of the list `{list}` are called `{label}`"));
                let complaint = complaint.hint("give each a `label` of its own");
                let places = vec![Place::of(format!("{list}.{at}.label")), Place::of(format!("{list}.{at}"))];
                findings.push(Finding { places, complaint, unknown_key: false });
            }
        }
    }
    findings
}

/// Reads a list of sections.
fn each(
    reader: &mut Reader<'_>,
    place: &Place,
    value: &Spanned<DeValue<'_>>,
    mut read: impl FnMut(&mut Reader<'_>, &Place, &Spanned<DeValue<'_>>),
) {
    let key = place.key();
    match value.get_ref().as_array() {
        Some(array) if !array.is_empty() => {
            array.iter().enumerate().for_each(|(at, value)| read(reader, &place.then(at), value));
        }
        _ => {
            let found = described(value.get_ref());
            let complaint = Complaint::new(format!("`{key}` must be a list of one or more, not {found}"));
            reader.mistake(value.span(), complaint.hint(format!("write a section `[[{key}]]` for each")));
        }
    }
}

fn case(reader: &mut Reader<'_>, place: &Place, value: &Spanned<DeValue<'_>>) -> (String, Vec<NemesisPlan>) {
    let (mut label, mut nemeses) = (String::new(), Vec::new());
    let example = "write `[[case]]`, and a `label` and `nemesis = [\"…\"]` below";
    let Some(table) = reader.section(place, value, "a case must be a section", example) else {
        return (label, nemeses);
    };
    for (key, value) in table {
        let at = place.then(key.get_ref());
        match key.get_ref().as_ref() {
            "label" => reader.value(at, value, text, &mut label),
            "nemesis" => reader.nemeses(&at, value, &mut nemeses),
            other => reader.mistake(key.span(), unknown("key", other, ["label", "nemesis"])),
        }
    }
    if label.is_empty() {
        let names: Vec<&str> = nemeses.iter().map(|nemesis| nemesis.name.as_str()).collect();
        label = if names.is_empty() { "healthy".into() } else { names.join(" and ") };
    }
    (label, nemeses)
}

fn seeds(name: &str, value: &DeValue<'_>) -> Result<Vec<u64>, Complaint> {
    let wrong = || {
        Complaint::new(format!("{name} must be a list of whole numbers, not {}", described(value)))
            .hint("write `seeds = [1, 2, 3]`: a run for each")
    };
    let array = value.as_array().filter(|array| !array.is_empty()).ok_or_else(wrong)?;
    let seeds: Vec<u64> =
        array.iter().map(|value| whole("a seed", value.get_ref())).collect::<Result<_, _>>()?;
    let twice = seeds.iter().enumerate().find(|(at, seed)| seeds[..*at].contains(seed));
    match twice {
        Some((_, seed)) => Err(Complaint::new(format!("the seed {seed} is there twice"))
            .hint("the same seed again is no other run: give each a seed of its own")),
        None => Ok(seeds),
    }
}

fn with_settings(name: &str, settings: &BTreeMap<String, String>) -> String {
    let settings = settings.iter().map(|(key, value)| format!(" {key}={value}"));
    name.to_owned() + &settings.collect::<String>()
}

fn fits(plan: &ComparePlan, catalogue: &Catalogue) -> BTreeSet<(usize, usize)> {
    let mut fits = BTreeSet::new();
    for (at, side) in plan.targets.iter().enumerate() {
        for (workload_at, (_, workload)) in plan.workloads.iter().enumerate() {
            let (target, workload) = (catalogue.target(&side.plan.name), catalogue.workload(&workload.name));
            // What is not known is told as such, and not as a misfit.
            let fit = target.zip(workload).is_none_or(|(target, workload)| {
                workload.calls.iter().all(|call| target.speaks.contains(call))
            });
            if fit {
                fits.insert((at, workload_at));
            }
        }
    }
    fits
}

/// What makes no sense in any of the runs, each told once and at its place in the comparison.
fn all_findings(
    plan: &ComparePlan,
    catalogue: &Catalogue,
    contradiction: &dyn Fn(&Plan) -> Option<String>,
) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    let mut add = |finding: Finding| {
        let told = |other: &Finding| other.places == finding.places && other.complaint == finding.complaint;
        if !all.iter().any(told) {
            all.push(finding);
        }
    };
    let one_seed = ComparePlan { seeds: vec![plan.seeds[0]], ..plan.clone() };
    for cell in one_seed.cells() {
        let of_cell = plan.plan(cell);
        for finding in findings(&of_cell, catalogue, Origin::File) {
            let places = finding.places.iter().map(|place| moved(place, cell)).collect();
            add(Finding { places, ..finding });
        }
        if let Some(rule) = contradiction(&of_cell) {
            let places = vec![Place::of(format!("target.{}", cell.target))];
            add(Finding { places, complaint: Complaint::new(rule), unknown_key: false });
        }
    }
    let of = |list: &str, at: usize| {
        vec![Place::of(format!("{list}.{at}.name")), Place::of(format!("{list}.{at}"))]
    };
    for (at, (_, workload)) in plan.workloads.iter().enumerate() {
        if !plan.targets.is_empty() && !plan.fits.iter().any(|(_, fit)| *fit == at) {
            let calls = catalogue.workload(&workload.name).map(|entry| &entry.calls[..]).unwrap_or_default();
            let calls = listed(calls.iter().map(|call| call.word())).unwrap_or_default();
            let complaint = Complaint::new(format!(
                "no target of this comparison speaks all that workload `{}` needs: {calls}",
                workload.name
            ));
            add(Finding { places: of("workload", at), complaint, unknown_key: false });
        }
    }
    for (at, side) in plan.targets.iter().enumerate() {
        if !plan.workloads.is_empty() && !plan.fits.iter().any(|(fit, _)| *fit == at) {
            let name = &side.plan.name;
            let complaint = Complaint::new(format!("target `{name}` speaks none of the workloads"));
            add(Finding { places: of("target", at), complaint, unknown_key: false });
        }
    }
    let runs = plan.fits.len() * plan.cases.len() * plan.seeds.len();
    if runs > CELLS_MAX {
        let complaint = Complaint::new(format!("these are {runs} runs"));
        let complaint = complaint.hint(format!("{CELLS_MAX} are the most of one comparison"));
        add(Finding { places: vec![Place::of("seeds")], complaint, unknown_key: false });
    }
    all
}

/// A place of a run's plan as a place of the comparison.
fn moved(place: &Place, cell: Cell) -> Place {
    for (part, to) in [
        ("target", format!("target.{}", cell.target)),
        ("workload", format!("workload.{}", cell.workload)),
        ("nemesis", format!("case.{}.nemesis", cell.case)),
    ] {
        if let Some(moved) = place.moved(part, &to) {
            return moved;
        }
    }
    place.clone()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::catalogue;
    use super::*;

    fn parse(text: &str) -> Result<ComparePlan, Mistakes> {
        let contradiction = |plan: &Plan| {
            let lease = plan.target.settings.get("reads").is_some_and(|reads| reads == "lease");
            (lease && plan.nodes == 3).then(|| "a lease needs more than 3 nodes".into())
        };
        ComparePlan::parse("c.toml", text, &catalogue(), &contradiction)
    }

    #[test]
    fn every_combination_is_a_run_seed_by_seed() {
        let plan = parse(
            "seeds = [4, 5]\ntime-limit = \"9s\"\n[[target]]\nname = \"raft\"\nreads = \"lease\"\n\
             [[target]]\nlabel = \"b\"\ntextbook = \"CP\"\nname = \"raft\"\n[[workload]]\nname = \"register\"\nkeys = 3\n\
             [[case]]\n[[case]]\nnemesis = [\"kill\", \"partition:shape=clients\"]\n",
        )
        .unwrap();
        let labels: Vec<&str> = plan.targets.iter().map(|side| side.label.as_str()).collect();
        assert_eq!(labels, ["raft reads=lease", "b"]);
        assert_eq!(plan.targets[1].textbook, "CP");
        assert!(plan.targets[1].plan.settings.is_empty(), "what is the comparison's own is no setting");
        let cases: Vec<&str> = plan.cases.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(cases, ["healthy", "kill and partition"]);
        let cells = plan.cells();
        assert_eq!(cells.len(), 8);
        assert_eq!((cells[0].seed, cells[3].seed, cells[4].seed), (4, 4, 5));
        let run = plan.plan(cells[5]);
        assert_eq!((run.seed, run.nemeses.len(), run.time_limit), (5, 2, Duration::from_secs(9)));
        assert_eq!(run.target.settings["reads"], "lease");
        assert_eq!(run.workload.settings["keys"], "3");
        assert_eq!(run.check(&catalogue()), []);
    }

    #[test]
    fn a_workload_runs_where_its_calls_are_spoken() {
        let text = "[[target]]\nname = \"raft\"\n[[target]]\nname = \"heap\"\n[[workload]]\nname = \"register\"\n\
                    [[workload]]\nname = \"set\"\n";
        let pairs: Vec<(usize, usize)> =
            parse(text).unwrap().cells().iter().map(|cell| (cell.target, cell.workload)).collect();
        assert_eq!(pairs, [(0, 0), (1, 1)]);
    }

    /// All at once, in the order of the text, each once however many runs it spoils.
    #[test]
    fn mistakes_are_told_with_their_places() {
        let text = "seeds = [1, 1]\nnodes = 3\nspeed = 4\n\n[[target]]\nname = \"raft\"\nreads = \"leese\"\n\n\
                    [[target]]\nname = \"raft\"\nreads = \"lease\"\n\n[[target]]\nname = \"deaf\"\n\n\
                    [[case]]\nnemesis = [\"kil\"]\n\n[[workload]]\nname = \"register\"\nkeyz = 3\n\n[[workload]]\nname = \"set\"\n";
        let told: Vec<String> = parse(text).unwrap_err().mistakes.iter().map(ToString::to_string).collect();
        let expected = [
            ("1:9", "the seed 1 is there twice"),
            ("3:1", "unknown key `speed`"),
            ("7:9", "cannot be `leese`"),
            ("9:1", "a lease needs more than 3 nodes"),
            ("14:8", "target `deaf` speaks none of the workloads"),
            ("17:12", "unknown nemesis `kil`; did you mean `kill`?"),
            ("21:1", "unknown setting `keyz`"),
            ("24:8", "no target of this comparison speaks all that workload `set` needs: `add`, `read`"),
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, (place, words)) in told.iter().zip(expected) {
            assert!(
                told.starts_with(&format!("{place}: ")) && told.contains(words),
                "{told} | {place} {words}"
            );
        }
    }

    #[test]
    fn what_is_missing_or_of_another_shape_is_told() {
        let told = |text: &str| parse(text).unwrap_err().to_string();
        let nothing = told("nodes = 5\n");
        assert!(nothing.contains("what is compared") && nothing.contains("what clients do"), "{nothing}");
        let raft = "[[workload]]\nname = \"register\"\n[[target]]\nname = \"raft\"\n";
        assert!(told(&format!("{raft}[[target]]\nname = \"raft\"\n")).contains("are called `raft`"));
        assert!(told(&format!("seeds = 3\n{raft}")).contains("write `seeds = [1, 2, 3]`"));
        assert!(
            told("target = \"raft\"\nworkload = \"register\"\n").contains("write a section `[[target]]`")
        );
        assert!(
            told(&format!("{raft}[[target]]\nreads = \"lease\"\n")).contains("this `target` has no name")
        );
    }
}
