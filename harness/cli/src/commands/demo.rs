//! `schism demo`: a known bug, found and explained.

use std::collections::BTreeSet;
use std::time::Duration;

use schism_checker::everyday::{Texts, Updates};
use schism_checker::model::CasRegister;
use schism_checker::{Checker, Convergence, Linearizable, SetFull, Verdict, Weak, weak};
use schism_engine::plan::Plan;
use schism_history::{History, Value, jsonl};
use schism_reference::settings::Settings;
use schism_reference::simulation::{Habit, Mix, Options};
use schism_report::{About, Next, Summary, html, terminal};

use super::run::carry_out;
use crate::args;
use crate::catalogue::catalogue;
use crate::demos::{self, Demo, Found};
use crate::failure::{Exit, Failure};
use crate::folder::Folder;
use crate::judge::{Allowance, judge};
use crate::screen;

/// How many seeds a simulated demo tries at most.
const SEEDS: u64 = 1000;

/// Shows one.
pub fn run(args: &args::Demo) -> Result<Exit, Failure> {
    let demo = demos::named(&args.name).ok_or_else(|| {
        let names: Vec<_> = demos::ALL.iter().map(|demo| demo.name).collect();
        Failure::usage(
            format!("there is no demo {:?}", args.name),
            format!("there are: {}", names.join(", ")),
        )
    })?;
    eprintln!("{}: {}", demo.name, demo.about());
    match demo.found {
        Found::Really { file, plan } => {
            let mut plan = Plan::parse(file, plan, &catalogue())?;
            plan.seed = args.seed.unwrap_or(plan.seed);
            if args.fixed {
                plan.target.bugs.clear();
                plan.expect = None;
            }
            carry_out(&plan, &args.output)
        }
        Found::Simulated { why, mix, seed, load, settings, habit } => {
            eprintln!("in simulation, since a real cluster shows it too rarely: {why}");
            let mix = Mix::named(mix).expect("a demo's mix exists");
            let settings = Settings::of(settings);
            let options = Options { mix, load, settings, habit, ..Options::default() };
            simulate(demo, options, args.seed.unwrap_or(seed), args)
        }
    }
}

/// Tries seeds until one shows the bug; without the bug, tries as many and expects none to.
fn simulate(demo: &Demo, options: Options, first: u64, args: &args::Demo) -> Result<Exit, Failure> {
    let family = schism_reference::named(demo.family).expect("a demo's family exists");
    let bugs: BTreeSet<String> =
        if args.fixed { BTreeSet::new() } else { BTreeSet::from([demo.name.to_string()]) };
    let judges: Vec<Box<dyn Checker>> = match options.habit {
        Habit::Sets => vec![Box::new(SetFull::default())],
        Habit::Moves => {
            vec![Box::new(Weak { model: weak::Model::Convergent, initial: Value::Nil })]
        }
        Habit::Registers | Habit::Deletes => vec![Box::new(Linearizable { model: CasRegister::default() })],
        Habit::Elements | Habit::Counters => vec![Box::new(Convergence::default())],
        Habit::Texts => vec![Box::new(Texts)],
        Habit::Updates => vec![Box::new(Updates), Box::new(Convergence::default())],
    };
    let allowance = Allowance { time: Duration::from_secs(60), memory_bytes: 2 << 30 };
    let last = first + if args.fixed { SEEDS / 5 } else { SEEDS } - 1;
    for seed in first..=last {
        let options = Options { seed, bugs: bugs.clone(), ..options.clone() };
        let simulated = (family.simulate)(&options);
        let history = simulated.history();
        let judgements = judge(&judges, &history, allowance);
        let worst = judgements.iter().map(|judgement| judgement.verdict).max().unwrap_or(Verdict::Unknown);
        if worst != Verdict::Invalid && seed < last {
            continue;
        }
        eprintln!("{} after {} simulated runs", word(worst), seed - first + 1);
        let summary = Summary::new(about(demo, &options, args), &judgements, &history);
        keep(demo, &summary, &history, &simulated.events, options.habit, args)?;
        return Ok(worst.into());
    }
    unreachable!("the last seed always returns")
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Invalid => "found",
        _ => "nothing found",
    }
}

/// The workload that is like a habit, and the model that judges its history again.
fn words(habit: Habit) -> (&'static str, &'static str) {
    match habit {
        Habit::Registers | Habit::Deletes => ("register", "cas-register"),
        Habit::Sets => ("set", "set"),
        Habit::Moves => ("causal", "causal-convergent"),
        Habit::Elements => ("wishlist", "convergence"),
        Habit::Counters => ("counter", "convergence"),
        Habit::Updates => ("updates", "convergence"),
        Habit::Texts => ("text", "convergence"),
    }
}

fn about(demo: &Demo, options: &Options, args: &args::Demo) -> About {
    let seed = options.seed;
    let fixed = if args.fixed { " --fixed" } else { "" };
    About {
        target: Some(format!("{}, simulated", demo.family)),
        bug: (!args.fixed).then(|| demo.name.into()),
        workload: Some(words(options.habit).0.into()),
        nemeses: vec![options.mix.name.into()],
        seed: Some(seed),
        mechanisms: Vec::new(),
        folder: None,
        next: vec![Next {
            what: "see it again".into(),
            command: format!("schism demo {}{fixed} --seed {seed}", demo.name),
        }],
    }
}

/// Leaves a folder like any run's, and shows the last screen.
fn keep(
    demo: &Demo,
    summary: &Summary,
    history: &History,
    events: &[schism_history::Event],
    habit: Habit,
    args: &args::Demo,
) -> Result<(), Failure> {
    let folder = Folder::create(args.output.out.as_deref(), &format!("simulated-{}", demo.name))?;
    let mut lines = Vec::new();
    for (index, event) in events.iter().enumerate() {
        jsonl::write_event(&mut lines, index as u32, event).expect("memory takes everything");
    }
    folder.write("history.jsonl", &String::from_utf8_lossy(&lines))?;
    let mut summary = summary.clone();
    summary.about.folder = Some(folder.shown());
    let shown = folder.shown();
    let model = words(habit).1;
    summary
        .about
        .next
        .insert(0, Next { what: "see it".into(), command: format!("xdg-open {shown}/report.html") });
    summary.about.next.push(Next {
        what: "judge it again".into(),
        command: format!("schism check {shown}/history.jsonl --model {model}"),
    });
    folder.write("verdict.json", &summary.to_json())?;
    folder.write("report.html", &html::page(&summary, history, None))?;
    if args.output.json {
        print!("{}", summary.to_json());
    } else {
        print!("{}", terminal::screen(&summary, screen::look()));
    }
    Ok(())
}
