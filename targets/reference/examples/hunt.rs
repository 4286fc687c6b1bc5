//! How often each mix of faults finds each planted bug: where the mixes and the tests' numbers come from.
//!
//! `cargo run --release -p schism-reference --example hunt -- [SEEDS [BUG…]]`; without bugs: the correct store and then
//! all of them.

use std::time::{Duration, Instant};

use schism_checker::model::CasRegister;
use schism_checker::{Budget, Checker, Linearizable, Verdict};
use schism_reference::protocol::Protocol;
use schism_reference::raft::Raft;
use schism_reference::raft::invariants::Invariants;
use schism_reference::simulation::{MIXES, Mix, Options, run_observed};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seeds: u64 = arguments.next().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    let mut bugs: Vec<Option<String>> = arguments.map(Some).collect();
    if bugs.is_empty() {
        bugs.push(None);
        bugs.extend(Raft::BUGS.iter().map(|bug| Some(bug.name.to_string())));
    }
    for bug in &bugs {
        println!("{}", bug.as_deref().unwrap_or("the correct store"));
        for mix in MIXES {
            hunt(bug.as_ref(), mix, seeds);
        }
    }
}

fn hunt(bug: Option<&String>, mix: &'static Mix, seeds: u64) {
    let (mut invalid, mut broken, mut unanswered, mut operations) = (0, 0, 0, 0);
    let mut simulating = Duration::ZERO;
    for seed in 0..seeds {
        let options = Options { seed, mix, bugs: bug.into_iter().cloned().collect(), ..Options::default() };
        let mut invariants = Invariants::default();
        let began = Instant::now();
        let simulated = run_observed::<Raft>(&options, |_, node| invariants.observe(node));
        simulating += began.elapsed();
        let history = simulated.history();
        let budget = Budget { bytes: 1 << 30, time: Duration::MAX, over: &|| false };
        let verdict = Linearizable { model: CasRegister::default() }.check(&history, budget).verdict;
        operations += history.operations.len() as u64;
        invalid += u64::from(verdict == Verdict::Invalid);
        broken += u64::from(!invariants.violations.is_empty());
        unanswered += u64::from(!simulated.is_answered);
        if bug.is_none() && (verdict != Verdict::Valid || !invariants.violations.is_empty()) {
            println!("  seed {seed}: {verdict:?} {:?}", invariants.violations);
        }
    }
    println!(
        "  {:18} invalid {invalid:4}, invariants broken {broken:4}, unanswered {unanswered:3} of {seeds}; {:5.1} ms and {} \
         operations a seed",
        mix.name,
        simulating.as_secs_f64() * 1e3 / seeds as f64,
        operations / seeds,
    );
}
