//! `schism run`: plan → cluster → clients and nemesis → history → checkers → report.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use schism_checker::{Checker, Judgement, Verdict};
use schism_engine::backend::Captured;
use schism_engine::live::Live;
use schism_engine::plan::{self, Assignment, Complaint, NemesisPlan, Overrides, Plan};
use schism_engine::stop::Stop;
use schism_history::{History, jsonl};
use schism_report::{About, Next, Summary, html, terminal};

use crate::args;
use crate::backends::CAPTURE;
use crate::catalogue::{catalogue, parts};
use crate::cluster::Made;
use crate::failure::{Exit, Failure};
use crate::folder::Folder;
use crate::judge::{Allowance, judge, judges};
use crate::{cluster, progress, screen};

/// Runs a plan from a file, from flags, or from both.
pub fn run(args: &args::Run) -> Result<Exit, Failure> {
    let plan = plan(args)?;
    carry_out(&plan, &args.output)
}

/// Carries a plan out, judges what came of it, and shows it.
pub fn carry_out(plan: &Plan, output: &args::Output) -> Result<Exit, Failure> {
    let target =
        schism_targets::named(&plan.target.name).expect("the plan was checked against the catalogue");
    if let Some(rule) = target.contradiction(plan.nodes, &plan.choices()) {
        return Err(Failure::usage(
            rule,
            format!("see `schism list targets` for what {} can be told", plan.target.name),
        ));
    }
    // Early, since in the sandbox it has to come before any thread; and what cannot be done here should leave nothing behind.
    let mut plan = plan.clone();
    let ground = cluster::prepare(&mut plan, &*target)?;
    let plan = &plan;
    let folder =
        Folder::create(output.out.as_deref(), &format!("{}-{}", plan.target.name, plan.workload.name))?;
    folder.write_plan(plan, &ground.runs)?;
    let (live, stop) = (Live::default(), Arc::new(Stop::default()));
    let interrupted = listen(&stop)?;
    let Made { cluster, mechanisms, capture } = ground.cluster(plan, &folder.path)?;
    folder.add_to_plan(&mechanisms)?;
    eprintln!("seed {} · {} · {}", plan.seed, described(plan), folder.shown());
    watched(&live, || schism_engine::run::run(plan, parts(plan, cluster), &folder.history(), &live, &stop))?;
    if let Some(captured) = capture.as_ref().and_then(|capture| capture.told.get()) {
        eprintln!("{}", told(captured));
    }

    let history = read_back(&folder.history())?;
    let allowance = Allowance { time: plan.check.time, memory_bytes: plan.check.memory_bytes };
    let started = Instant::now();
    let judgements = judge(&judges_of(plan), &history, allowance);
    eprintln!("judged {} operations in {:.1?}", history.len(), started.elapsed());

    let verdict = report(plan, &folder, &history, &judgements, mechanisms, output.json)?;
    if let Some(expected) = plan.expect {
        let so =
            if expected == verdict { "as the plan expects" } else { "which is not what the plan expects" };
        eprintln!("{verdict:?}, {so}");
    }
    let was_interrupted = interrupted.load(Ordering::SeqCst);
    Ok(if was_interrupted && verdict != Verdict::Invalid { Exit::Interrupted } else { verdict.into() })
}

/// The plan of a file and flags, checked.
fn plan(args: &args::Run) -> Result<Plan, Failure> {
    let catalogue = catalogue();
    let base = match &args.plan {
        Some(path) => read_plan(path)?,
        None => Plan {
            seed: fresh_seed(),
            nemeses: vec![NemesisPlan::of("partition"), NemesisPlan::of("kill")],
            ..Plan::of("raft", "register")
        },
    };
    let plan = base.with(&overrides(args)?);
    let complaints = plan.check(&catalogue);
    if complaints.is_empty() {
        return Ok(plan);
    }
    Err(Failure::Usage(complaints.into_iter().map(|complaint| (complaint.message, complaint.help)).collect()))
}

/// Reads a plan file, all its mistakes at once.
pub fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    Ok(Plan::parse(&path.display().to_string(), &text, &catalogue())?)
}

/// What the flags change. Every flag that cannot be understood is told, not only the first.
fn overrides(args: &args::Run) -> Result<Overrides, Failure> {
    let mut wrong = Vec::new();
    let mut understood = Overrides {
        seed: args.seed,
        nodes: args.nodes,
        backend: args.backend.clone(),
        rate: args.rate,
        concurrency: args.concurrency,
        roam: args.roam,
        stagger: args.stagger,
        target: args.target.clone(),
        bugs: args.bugs.clone(),
        workload: args.workload.clone(),
        ..Overrides::default()
    };
    let mut take = |flag: &str, complaint: Complaint| {
        wrong.push((format!("{flag}: {}", complaint.message), complaint.help));
    };
    for (flag, text, place) in [
        ("--time-limit", &args.time_limit, &mut understood.time_limit),
        ("--timeout", &args.timeout, &mut understood.timeout),
        ("--start-limit", &args.start_limit, &mut understood.start_limit),
        ("--recovery-limit", &args.recovery_limit, &mut understood.recovery_limit),
    ] {
        match text.as_deref().map(plan::duration).transpose() {
            Ok(duration) => *place = duration,
            Err(complaint) => take(flag, complaint),
        }
    }
    match args.expect.as_deref().map(plan::verdict).transpose() {
        Ok(verdict) => understood.expect = verdict,
        Err(complaint) => take("--expect", complaint),
    }
    match args.nemesis.as_deref().map(plan::nemeses).transpose() {
        Ok(nemeses) => understood.nemeses = nemeses,
        Err(complaint) => take("--nemesis", complaint),
    }
    match args.broken_max.as_deref().map(plan::broken_max).transpose() {
        Ok(broken_max) => understood.broken_max = broken_max,
        Err(complaint) => take("--broken-max", complaint),
    }
    if let Some(size) = &args.capture {
        understood.set.push(Assignment::Backend("capture".into(), size.clone()));
    }
    for setting in &args.settings {
        match plan::assignment(setting) {
            Ok(assignment) => understood.set.push(assignment),
            Err(complaint) => take("--set", complaint),
        }
    }
    if wrong.is_empty() { Ok(understood) } else { Err(Failure::Usage(wrong)) }
}

/// What became of the packets' file, in a line.
fn told(captured: &Captured) -> String {
    match captured {
        Captured { failed: Some(error), .. } => format!("note: {CAPTURE} ends early: {error}"),
        Captured { packets, missed: 0, .. } => format!("captured {packets} packets in {CAPTURE}"),
        Captured { packets, missed, .. } => {
            format!(
                "note: {CAPTURE} has {packets} packets and lacks {missed}: give it more room by --capture=SIZE"
            )
        }
    }
}

/// Any seed, short enough to be typed again.
fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() % 1_000_000
}

/// Hears Ctrl-C: once to heal, collect and judge what there is; twice to leave at once. The kernel takes the cluster down
/// in either case.
fn listen(stop: &Arc<Stop>) -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let interrupted = Arc::new(AtomicBool::new(false));
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::harness(format!("cannot listen for signals: {error}"), "try again"))?;
    let (stop, flag) = (Arc::clone(stop), Arc::clone(&interrupted));
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("stopping: healing, then judging what there is; once more to leave at once");
            stop.request();
        }
    });
    Ok(interrupted)
}

/// Does the work while the live line shows it.
fn watched<T>(live: &Live, work: impl FnOnce() -> T) -> T {
    let done = Stop::default();
    std::thread::scope(|scope| {
        scope.spawn(|| progress::show(live, &done));
        let result = work();
        done.request();
        result
    })
}

/// Reads a run's own history.
pub fn read_back(path: &Path) -> Result<History, Failure> {
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    let recorded = jsonl::read(BufReader::new(file)).map_err(|error| {
        Failure::harness(format!("{}: {error}", path.display()), "please report this: it is our own file")
    })?;
    Ok(recorded.history)
}

/// Who judges the history of a plan.
pub fn judges_of(plan: &Plan) -> Vec<Box<dyn Checker>> {
    let entry =
        schism_workloads::named(&plan.workload.name).expect("the plan was checked against the catalogue");
    judges(plan, (entry.make)(&plan.workload.settings))
}

/// Writes `verdict.json` and `report.html`, and shows the last screen.
pub fn report(
    plan: &Plan,
    folder: &Folder,
    history: &History,
    judgements: &[Judgement],
    mechanisms: Vec<String>,
    json: bool,
) -> Result<Verdict, Failure> {
    let shown = folder.shown();
    let next = |what: &str, command: String| Next { what: what.into(), command };
    let about = About {
        target: Some(plan.target.name.clone()),
        bug: (!plan.target.bugs.is_empty()).then(|| plan.target.bugs.join(", ")),
        workload: Some(plan.workload.name.clone()),
        nemeses: named(plan),
        seed: Some(plan.seed),
        mechanisms,
        folder: Some(shown.clone()),
        next: vec![
            next("see it", format!("xdg-open {shown}/report.html")),
            next("judge it again", format!("schism check {shown}")),
            next("run it again", format!("schism run {shown}/plan.toml")),
        ],
    };
    let summary = Summary::new(about, judgements, history);
    let verdict_json = summary.to_json();
    folder.write("verdict.json", &verdict_json)?;
    folder.write("report.html", &html::page(&summary, history, Some(&plan.to_toml())))?;
    if json {
        print!("{verdict_json}");
    } else {
        print!("{}", terminal::screen(&summary, screen::look()));
    }
    Ok(summary.verdict)
}

/// What goes wrong in a plan, each once.
pub fn named(plan: &Plan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for strike in plan.strikes() {
        if !names.contains(&strike.name) {
            names.push(strike.name.clone());
        }
    }
    names
}

/// The plan in a line.
fn described(plan: &Plan) -> String {
    let mut words = format!("{} nodes of {}", plan.nodes, plan.target.name);
    for bug in &plan.target.bugs {
        words.push_str(&format!(" with bug {bug}"));
    }
    words.push_str(&format!(", workload {}", plan.workload.name));
    for nemesis in named(plan) {
        words.push_str(&format!(", {nemesis}"));
    }
    words
}
