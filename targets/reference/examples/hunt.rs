//! How often each mix of faults finds each planted bug of a family: where the mixes and the tests' numbers come from.
//!
//! `cargo run --release -p schism-reference --example hunt -- FAMILY SEEDS [WORD…]`; a word is a setting (`w=2`), what
//! clients do (`registers`, `deletes`, `sets`, …), or a bug; without bugs: the correct store and then all of them.

use std::time::{Duration, Instant};

use schism_checker::everyday::Updates;
use schism_checker::model::CasRegister;
use schism_checker::{Budget, Checker, Convergence, Linearizable, SetFull, Verdict, Weak, weak};
use schism_history::Value;
use schism_reference::settings::Settings;
use schism_reference::simulation::{Habit, MIXES, Options};
use schism_reference::{Family, named};

fn main() {
    let mut words = std::env::args().skip(1);
    let family = words.next().and_then(|name| named(&name)).expect("the first word is a family");
    let seeds: u64 = words.next().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    let mut options = Options::default();
    let mut bugs: Vec<Option<String>> = Vec::new();
    for word in words {
        match (word.as_str(), word.split_once('=')) {
            (_, Some((name, value))) => options.settings.set(name, value).expect("set once"),
            ("registers", _) => options.habit = Habit::Registers,
            ("deletes", _) => options.habit = Habit::Deletes,
            ("sets", _) => options.habit = Habit::Sets,
            ("elements", _) => options.habit = Habit::Elements,
            ("counters", _) => options.habit = Habit::Counters,
            ("updates", _) => options.habit = Habit::Updates,
            ("moves", _) => options.habit = Habit::Moves,
            ("correct", _) => bugs.push(None),
            _ => bugs.push(Some(word)),
        }
    }
    options.settings.check(family.settings).expect("settings of this family");
    if bugs.is_empty() {
        bugs.push(None);
        bugs.extend((family.bugs)().iter().map(|bug| Some(bug.name.to_string())));
    }
    for bug in &bugs {
        let told: Settings = options.settings.clone();
        println!("{} {:?}", bug.as_deref().unwrap_or("the correct store"), told);
        for mix in MIXES {
            let bugs = bug.iter().cloned().collect();
            hunt(family, &Options { mix, bugs, ..options.clone() }, seeds);
        }
    }
}

fn hunt(family: &Family, options: &Options, seeds: u64) {
    let (mut invalid, mut unanswered, mut operations) = (0, 0, 0);
    let mut simulating = Duration::ZERO;
    let judge: Box<dyn Checker> = match options.habit {
        Habit::Sets => Box::new(SetFull::default()),
        Habit::Elements | Habit::Counters => Box::new(Convergence::default()),
        Habit::Updates => Box::new(Updates),
        Habit::Moves => Box::new(Weak { model: weak::Model::Convergent, initial: Value::Nil }),
        _ => Box::new(Linearizable { model: CasRegister::default() }),
    };
    for seed in 0..seeds {
        let began = Instant::now();
        let simulated = (family.simulate)(&Options { seed, ..options.clone() });
        simulating += began.elapsed();
        let history = simulated.history();
        let budget = Budget { bytes: 1 << 30, time: Duration::MAX, over: &|| false };
        let judgement = judge.check(&history, budget);
        operations += history.len() as u64;
        invalid += u64::from(judgement.verdict == Verdict::Invalid);
        unanswered += u64::from(!simulated.is_answered);
        if options.bugs.is_empty()
            && (judgement.verdict != Verdict::Valid || !simulated.is_answered)
            && invalid <= 2
        {
            let anomalies: Vec<_> =
                judgement.anomalies.iter().map(|anomaly| (&anomaly.name, &anomaly.sentences)).collect();
            println!("  seed {seed}: {:?} {anomalies:?} {:?}", judgement.verdict, judgement.doubts);
        }
    }
    println!(
        "  {:18} invalid {invalid:4}, unanswered {unanswered:3} of {seeds}; {:5.1} ms and {} operations a seed",
        options.mix.name,
        simulating.as_secs_f64() * 1e3 / seeds as f64,
        operations / seeds,
    );
}
