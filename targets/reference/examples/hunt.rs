//! How often each mix of faults finds each planted bug: the table that `MIXES` and the tests' sizes come from.
//!
//! `cargo run --release --example hunt -- [SEEDS] [BUG…]`; without bugs: all of them, and the correct store.

use std::time::{Duration, Instant};

use schism_checker::model::CasRegister;
use schism_checker::{Budget, Checker, Linearizable, Verdict};
use schism_reference::protocol::Protocol;
use schism_reference::raft::Raft;
use schism_reference::raft::invariants::Invariants;
use schism_reference::simulation::{MIXES, Options, run_observed};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seeds: u64 = arguments.next().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    let mut bugs: Vec<String> = arguments.collect();
    if bugs.is_empty() {
        bugs.push(String::new());
        bugs.extend(Raft::BUGS.iter().map(|bug| bug.name.to_string()));
    }
    for bug in &bugs {
        println!("{}", if bug.is_empty() { "the correct store" } else { bug });
        for mix in MIXES {
            let began = Instant::now();
            let (mut invalid, mut unknown, mut unanswered, mut broken) = (0, 0, 0, 0);
            let mut operations = 0;
            let mut judging = Duration::ZERO;
            for seed in 0..seeds {
                let options = Options {
                    seed,
                    mix,
                    bugs: Some(bug.clone()).filter(|bug| !bug.is_empty()).into_iter().collect(),
                    ..Options::default()
                };
                let mut invariants = Invariants::default();
                let simulated = run_observed::<Raft>(&options, |_, node| invariants.observe(node));
                let history = simulated.history();
                operations += history.operations.len();
                let judged = Instant::now();
                let judgement = Linearizable { model: CasRegister::default() }.check(
                    &history,
                    Budget {
                        bytes: 1 << 30,
                        time: Duration::from_secs(60),
                        over: &|| judged.elapsed() > Duration::from_secs(60),
                    },
                );
                judging += judged.elapsed();
                invalid += u64::from(judgement.verdict == Verdict::Invalid);
                unknown += u64::from(judgement.verdict == Verdict::Unknown);
                unanswered += u64::from(!simulated.is_answered);
                broken += u64::from(!invariants.violations.is_empty());
                if (bug.is_empty() || std::env::var_os("SHOW").is_some())
                    && (judgement.verdict != Verdict::Valid || !invariants.violations.is_empty())
                {
                    println!("  seed {seed}: {:?} {:?}", judgement.verdict, invariants.violations.first());
                }
            }
            let took = began.elapsed();
            println!(
                "  {:18} invalid {invalid:4} unknown {unknown:3} unanswered {unanswered:3} broken {broken:4} of {seeds}; \
                 {:6.1} ms a seed, {:5.1} of it judging, {} operations",
                mix.name,
                took.as_secs_f64() * 1e3 / seeds as f64,
                judging.as_secs_f64() * 1e3 / seeds as f64,
                operations as u64 / seeds,
            );
        }
    }
}
