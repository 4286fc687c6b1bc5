//! `schism compare`: many runs, some of them at once, and what they say together.
//!
//! Each run is a process of its own, as `schism run` by hand would be: a sandbox is entered once in a process, and what
//! fails, fails alone. What is finished stands in its folder; who comes later reads it back from there, so a comparison
//! that was interrupted goes on where it stopped, and one that is complete is only shown again.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use schism_checker::Checker;
use schism_engine::plan::{Cell, ComparePlan, Plan};
use schism_report::compare::{
    Comparison, Ended, Observed, Run, Runs, confirm, judged, markdown, page, screen,
};
use schism_report::{Summary, terminal};

use super::run::read_back;
use crate::args;
use crate::catalogue::catalogue;
use crate::cell::{self, Stopped};
use crate::comparisons;
use crate::failure::{Exit, Failure};
use crate::folder::Folder;
use crate::judge::{Allowance, ask};
use crate::screen as look;

/// The comparison's plan in its folder.
const PLAN: &str = "compare.toml";

/// What it showed, as data.
const RESULT: &str = "comparison.json";

/// So many runs at once for each processor, unless asked for another number.
const RUNS_A_PROCESSOR: usize = 2;

/// A comparison under way.
struct Comparing {
    title: String,
    plan: ComparePlan,
    /// The plan as it was written.
    text: String,
    folder: Folder,
    /// Held as long as this process runs: two would fight over the same runs.
    _lock: File,
}

/// Compares.
pub fn run(args: &args::Compare) -> Result<Exit, Failure> {
    let comparing = prepare(args)?;
    let earlier = args.confirm.as_deref().map(|folder| earlier(&comparing, folder)).transpose()?;
    let cells = comparing.plan.cells();
    let stop = cell::listen()?;
    let mut runs = comparing.empty(&cells);
    let mut missing = VecDeque::new();
    for (at, cell) in cells.iter().enumerate() {
        match comparing.finished(at, *cell) {
            Some(ended) => runs.cells[at].ended = ended,
            None => missing.push_back(at),
        }
    }
    let (all, had, jobs) = (cells.len(), cells.len() - missing.len(), jobs(args.jobs));
    let (title, folder) = (&comparing.title, comparing.folder.shown());
    eprintln!("{title}: {all} runs, {had} of them done, {jobs} at once · {folder}");
    for (at, ended) in comparing.carry_out_all(&cells, missing, jobs, &stop)? {
        runs.cells[at].ended = ended;
    }
    let comparison = Comparison::of(&runs);
    show(&comparing, &comparison, args)?;
    if stop.requested() && !comparison.complete {
        eprintln!("interrupted; go on with: schism compare {}", comparing.folder.shown());
        return Ok(Exit::Interrupted);
    }
    match &earlier {
        Some(earlier) => confirmed(earlier, &comparison),
        None => Ok(exit(&comparison)),
    }
}

/// The `comparison.json` of an earlier comparison by the same plan.
fn earlier(comparing: &Comparing, folder: &Path) -> Result<String, Failure> {
    if read(&folder.join(PLAN))? != comparing.text {
        return Err(Failure::usage(
            format!("{} is a comparison by another plan", folder.display()),
            "confirm what was compared by this one",
        ));
    }
    read(&folder.join(RESULT))
}

/// Whether this comparison says what an earlier one said.
fn confirmed(earlier: &str, comparison: &Comparison) -> Result<Exit, Failure> {
    let confirmation = confirm(earlier, &comparison.to_json()).map_err(|error| {
        Failure::usage(
            format!("the earlier comparison cannot be read: {error}"),
            "compare again with its folder",
        )
    })?;
    eprint!("{}", confirmation.screen(look::look()));
    Ok(match (confirmation.differences.len(), confirmation.unknown) {
        (0, 0) => Exit::Valid,
        (0, _) => Exit::Unknown,
        _ => Exit::Invalid,
    })
}

/// How many runs go at once: they wait for time to pass more than they use a processor.
fn jobs(asked: Option<NonZeroUsize>) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    asked.map_or(RUNS_A_PROCESSOR * processors, NonZeroUsize::get)
}

/// The worst of all runs.
fn exit(comparison: &Comparison) -> Exit {
    let of = |verdict: Option<schism_checker::Verdict>| verdict.map_or(Exit::Harness, Exit::from);
    comparison.cells.iter().map(|cell| of(cell.verdict)).fold(Exit::Valid, Exit::worst)
}

/// Reads the plan and opens its folder: a new one, or that of a comparison that was begun.
fn prepare(args: &args::Compare) -> Result<Comparing, Failure> {
    let named = Path::new(&args.plan);
    let begun = named.join(PLAN);
    let (title, source, text) = match comparisons::named(&args.plan) {
        _ if named.is_dir() => (args.plan.clone(), begun.display().to_string(), read(&begun)?),
        Some(ready) => (ready.name.into(), ready.file.into(), ready.plan.into()),
        None if named.extension().is_none() && !named.exists() => {
            let names: Vec<_> = comparisons::ALL.iter().map(|ready| ready.name).collect();
            return Err(Failure::usage(
                format!("there is no comparison {:?}, nor a file of that name", args.plan),
                format!("there are: {}", names.join(", ")),
            ));
        }
        None => (stem(named), args.plan.clone(), read(named)?),
    };
    let plan = parse(&source, &text)?;
    let out = if named.is_dir() { Some(named.to_path_buf()) } else { args.out.clone() };
    let folder = match out {
        Some(path) if path.join(PLAN).is_file() => {
            let had = read(&path.join(PLAN))?;
            if had != text {
                return Err(Failure::usage(
                    format!("{} is a comparison by another plan", path.display()),
                    "choose a new folder with --out",
                ));
            }
            Folder { path: path.canonicalize().map_err(|error| Failure::file(&path, &error))? }
        }
        out => {
            let folder = Folder::create(out.as_deref(), &format!("compare-{title}"))?;
            folder.write(PLAN, &text)?;
            folder
        }
    };
    let lock = File::open(folder.path.join(PLAN)).map_err(|error| Failure::file(&folder.path, &error))?;
    if lock.try_lock().is_err() {
        let problem = format!("{}: another process is at this comparison", folder.shown());
        return Err(Failure::harness(problem, "wait until it has ended"));
    }
    let title = if named.is_dir() { stem(&folder.path) } else { title };
    Ok(Comparing { title, plan, text, folder, _lock: lock })
}

/// Reads a comparison's plan, all its mistakes at once, settings that contradict one another among them.
pub fn parse(source: &str, text: &str) -> Result<ComparePlan, Failure> {
    let contradiction =
        |plan: &Plan| schism_targets::named(&plan.target.name)?.contradiction(plan.nodes, &plan.choices());
    Ok(ComparePlan::parse(source, text, &catalogue(), &contradiction)?)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

impl Comparing {
    /// All runs, none of them begun.
    fn empty(&self, cells: &[Cell]) -> Runs {
        let run = |(at, cell): (usize, &Cell)| Run {
            target: cell.target,
            case: cell.case,
            workload: cell.workload,
            seed: cell.seed,
            folder: Folder { path: self.path(at, *cell) }.shown(),
            ended: Ended::Missing,
        };
        Runs {
            title: self.title.clone(),
            about: self.plan.about.split_whitespace().collect::<Vec<_>>().join(" "),
            targets: self
                .plan
                .targets
                .iter()
                .map(|side| (side.label.clone(), side.textbook.clone()))
                .collect(),
            cases: self.plan.cases.iter().map(|(label, _)| label.clone()).collect(),
            workloads: self.plan.workloads.iter().map(|(label, _)| label.clone()).collect(),
            cells: cells.iter().enumerate().map(run).collect(),
        }
    }

    /// `W 3, R 1, healthy, read-write, seed 1`
    fn words(&self, cell: Cell) -> String {
        let (target, case) = (&self.plan.targets[cell.target].label, &self.plan.cases[cell.case].0);
        format!("{target}, {case}, {}, seed {}", self.plan.workloads[cell.workload].0, cell.seed)
    }

    /// What a run is called among files: its place in the plan, and what it is.
    fn name(&self, at: usize, cell: Cell) -> String {
        let words = self.words(cell).to_lowercase();
        let plain: String = words.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
        format!("{:03}-{}", at + 1, plain.split_whitespace().collect::<Vec<_>>().join("-"))
    }

    fn path(&self, at: usize, cell: Cell) -> PathBuf {
        self.folder.path.join("cells").join(self.name(at, cell))
    }

    /// `about 9 min left`, by what the runs so far took.
    fn left(&self, elapsed: Duration, done: usize, all: usize) -> String {
        if done == 0 {
            return format!("{all} to go");
        }
        let left = elapsed.as_secs_f64() / done as f64 * (all - done) as f64;
        if left < 90.0 {
            format!("about {left:.0} s left")
        } else {
            format!("about {:.0} min left", left / 60.0)
        }
    }

    /// What a run showed, if it is finished: it was judged, and came to its own end.
    fn finished(&self, at: usize, cell: Cell) -> Option<Ended> {
        let path = self.path(at, cell);
        let verdict = fs::read_to_string(path.join("verdict.json")).ok()?;
        let summary = Summary::from_json(&verdict).ok()?;
        let history = read_back(&path.join("history.jsonl")).ok()?;
        if !history.phases.iter().any(|(_, phase)| phase == "end") {
            return None;
        }
        let check = self.plan.plan(cell).check;
        let allowance = Allowance { time: check.time, memory_bytes: check.memory_bytes };
        let mut asked = |judge: &dyn Checker| ask(judge, &history, allowance);
        let (levels, lost) = judged(&history, &mut asked);
        Some(Ended::Observed(Box::new(Observed::of(&history, &summary, levels, lost))))
    }

    /// Carries out all runs that are missing, several at once. Those that came to an end.
    fn carry_out_all(
        &self,
        cells: &[Cell],
        missing: VecDeque<usize>,
        jobs: usize,
        stop: &cell::Stop,
    ) -> Result<Vec<(usize, Ended)>, Failure> {
        let (begun, of, all) = (Instant::now(), missing.len(), cells.len());
        let queue = Mutex::new((missing, 0));
        let queue = || queue.lock().unwrap_or_else(PoisonError::into_inner);
        let next = || {
            let mut queue = queue();
            let at = queue.0.pop_front()?;
            let (number, left) = (all - queue.0.len(), self.left(begun.elapsed(), queue.1, of));
            eprintln!("{number} of {all} · {} · {left}", self.words(cells[at]));
            Some(at)
        };
        let work = || {
            let mut carried_out = Vec::new();
            while let Some(at) = next() {
                match self.carry_out(at, cells[at], stop) {
                    Ok(Ok(ended)) => carried_out.push((at, ended)),
                    Ok(Err(Stopped)) => break,
                    Err(failure) => {
                        queue().0.clear();
                        return Err(failure);
                    }
                }
                queue().1 += 1;
            }
            Ok(carried_out)
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.min(of)).map(|_| scope.spawn(work)).collect();
            let mut carried_out = Vec::new();
            for worker in workers {
                carried_out.extend(worker.join().unwrap_or_else(|panic| resume_unwind(panic))?);
            }
            Ok(carried_out)
        })
    }

    /// Carries one run out, whatever an earlier attempt left put aside.
    fn carry_out(&self, at: usize, cell: Cell, stop: &cell::Stop) -> Result<Result<Ended, Stopped>, Failure> {
        let (name, path) = (self.name(at, cell), self.path(at, cell));
        self.put_aside(&name, &path)?;
        let [plans, logs, cells] = ["plans", "logs", "cells"].map(|part| self.folder.path.join(part));
        for folder in [&plans, &logs, &cells] {
            fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
        }
        let plan = plans.join(format!("{name}.toml"));
        fs::write(&plan, self.plan.plan(cell).to_toml()).map_err(|error| Failure::file(&plan, &error))?;
        let log = logs.join(format!("{name}.log"));
        let Ok(how) = cell::run(&plan, &path, &log, stop)? else { return Ok(Err(Stopped)) };
        if how.is_some_and(|code| code <= 2)
            && let Some(ended) = self.finished(at, cell)
        {
            return Ok(Ok(ended));
        }
        let why = cell::complaint(&log).unwrap_or_else(|| format!("it ended with {how:?}"));
        eprintln!("failed: {}: {why}", self.words(cell));
        Ok(Ok(Ended::Failed(why)))
    }

    /// Nothing that a run left is lost, even of one that came to no end.
    fn put_aside(&self, name: &str, path: &Path) -> Result<(), Failure> {
        if !path.exists() {
            return Ok(());
        }
        let unfinished = self.folder.path.join("unfinished");
        fs::create_dir_all(&unfinished).map_err(|error| Failure::file(&unfinished, &error))?;
        let places = (1..).map(|attempt| unfinished.join(format!("{name}-{attempt}")));
        let place = places.into_iter().find(|place| !place.exists()).expect("the attempts do not end");
        fs::rename(path, &place).map_err(|error| Failure::file(path, &error))
    }

    /// Writes a file that says the same as the runs do, so that it may be written again.
    fn derive(&self, name: &str, text: &str) -> Result<(), Failure> {
        let (path, new) = (self.folder.path.join(name), self.folder.path.join(format!("{name}.new")));
        fs::write(&new, text).map_err(|error| Failure::file(&new, &error))?;
        fs::rename(&new, &path).map_err(|error| Failure::file(&path, &error))
    }
}

fn show(comparing: &Comparing, comparison: &Comparison, args: &args::Compare) -> Result<(), Failure> {
    comparing.derive(RESULT, &comparison.to_json())?;
    comparing.derive("comparison.md", &markdown(comparison))?;
    comparing.derive("comparison.html", &page(comparison))?;
    if args.json {
        print!("{}", comparison.to_json());
    } else {
        let look = look::look();
        print!("{}", screen(comparison, terminal::Look { width: look.width.max(140), ..look }));
    }
    eprintln!("see it: xdg-open {}/comparison.html", comparing.folder.shown());
    Ok(())
}
