//! The linear-time judge of registers: beside the search and porcupine-rs on the same history, and beside one plain pass
//! over the same columns, all in one process. No test: nothing fails here when a machine is slow.
//!
//! `cargo bench -p schism-checker --bench zones`; with `-- large` also ten million operations. What is timed: `zones`
//! from the history's operations (values numbered, columns built, judged), `columns` from columns that are loaded
//! already (their values numbers, nothing else known of them), `plain pass` the sum of the two columns of positions.

#[path = "shared/clock.rs"]
mod clock;
#[path = "shared/counting.rs"]
mod counting;
#[path = "shared/peer.rs"]
mod peer;

use std::time::Duration;

use peer::for_the_peer;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use schism_checker::Budget;
use schism_checker::linear::{Allowance, Entry, Finding, search};
use schism_checker::model::Register;
use schism_checker::synthetic::{self, Mix};
use schism_checker::zones::{Columns, Zones};
use schism_history::History;

/// The shortest of so many runs, the most bytes one of them took, and its answer.
fn best<T>(runs: usize, run: impl FnMut() -> T) -> (Duration, usize, T) {
    let (bytes, (fastest, answer)) = counting::most_bytes(|| clock::best(runs, run));
    (fastest, bytes, answer)
}

/// The three judges on one history.
fn judges(name: &str, history: &History) {
    let never = Budget { bytes: 4 << 30, time: Duration::from_secs(60), over: &|| false };
    let model = Register::default();
    let entries = || -> Vec<Entry<'_>> {
        history.rows().iter().enumerate().filter_map(|(at, op)| Entry::of(at, op)).collect()
    };
    let all = entries();
    let columns = Columns::of(&all, &model.initial).expect("reads and writes");
    let (judging, _, _) = best(200, || columns.judge());
    let (ours, our_bytes, zones) =
        best(200, || Columns::of(&entries(), &model.initial).expect("reads and writes").judge());
    let (searching, search_bytes, (finding, _)) =
        best(10, || search(&model, &entries(), &Allowance::new(never), u64::MAX));
    assert_eq!(zones == Zones::Linearizable, finding == Finding::Linearizable, "zones and search disagree");
    let operations = for_the_peer(&all);
    let (peer, peer_bytes, legal) = best(1, || porcupine_rs::check_operations(&operations));
    assert_eq!(zones == Zones::Linearizable, legal, "zones and porcupine-rs disagree");
    println!("{name}: {} operations, {zones:.40?}", history.len());
    let line = |judge: &str, took: Duration, bytes: usize| {
        println!(
            "    {judge:<14} {:>12.4} ms {:>10.3} MiB   porcupine-rs / this: time {:>8.0}, memory {:>6.0}",
            took.as_secs_f64() * 1e3,
            bytes as f64 / f64::from(1 << 20),
            peer.as_secs_f64() / took.as_secs_f64(),
            peer_bytes as f64 / bytes as f64,
        );
    };
    println!("    {:<14} {:>12.4} ms", "columns", judging.as_secs_f64() * 1e3);
    line("zones", ours, our_bytes);
    line("search", searching, search_bytes);
    line("porcupine-rs", peer, peer_bytes);
}

/// What a client is at.
#[derive(Clone, Copy)]
enum At {
    Idle,
    Called(usize),
    Done(usize),
}

/// Reads and writes in equal shares, a new value each write, by clients that call back to back: at each moment a client
/// drawn by lot takes its next step.
fn made(operations: usize, clients: usize, next: &mut impl FnMut() -> u64) -> Columns {
    // For each operation: its value, whether it writes, and its ends.
    let mut made: Vec<(u32, bool, u32, u32)> = Vec::with_capacity(operations);
    let mut at = vec![At::Idle; clients];
    let (mut position, mut register, mut values, mut open) = (0, 0, 0, 0);
    while made.len() < operations || open > 0 {
        let random = next();
        let client = (((random >> 32) * clients as u64) >> 32) as usize;
        at[client] = match at[client] {
            At::Idle if made.len() == operations => continue,
            At::Idle => {
                let writes = random & 1 == 0;
                values += u32::from(writes);
                made.push((if writes { values } else { 0 }, writes, position, 0));
                position += 1;
                open += 1;
                At::Called(made.len() - 1)
            }
            At::Called(operation) => {
                let (value, writes, ..) = &mut made[operation];
                if *writes {
                    register = *value;
                } else {
                    *value = register;
                }
                At::Done(operation)
            }
            At::Done(operation) => {
                made[operation].3 = position;
                position += 1;
                open -= 1;
                At::Idle
            }
        };
    }
    let mut columns = Columns::with_capacity(operations);
    for (value, writes, invoke, complete) in made {
        if writes {
            columns.write(value, invoke, Some(complete));
        } else {
            columns.read(value, invoke, complete);
        }
    }
    columns
}

fn against_a_plain_pass(operations: usize, clients: usize, next: &mut impl FnMut() -> u64) {
    let columns = made(operations, clients, next);
    // Many, since other programs disturb a long run more often than a short one.
    let runs = (60_000_000 / operations).max(15);
    let (plain, _, sum) = best(runs, || std::hint::black_box(&columns).sum_of_positions());
    let (ours, bytes, zones) = best(runs, || std::hint::black_box(&columns).judge());
    assert_eq!(zones, Zones::Linearizable, "made by a correct register");
    println!(
        "{operations:>9} operations {clients:>5} clients: columns {:>9.3} ms = {:>5.2} ns an operation, {:>6.1} MiB; plain \
         pass {:>8.3} ms (sum {sum}); ratio {:>5.1}",
        ours.as_secs_f64() * 1e3,
        ours.as_secs_f64() * 1e9 / operations as f64,
        bytes as f64 / f64::from(1 << 20),
        plain.as_secs_f64() * 1e3,
        ours.as_secs_f64() / plain.as_secs_f64(),
    );
}

fn main() {
    let large = std::env::args().any(|argument| argument == "large");
    let mut random = Pcg64::seed_from_u64(1);
    let mut next = || random.next_u64();
    for operations in [1_000_000, 10_000_000] {
        for clients in [10, 1_000] {
            if operations <= 1_000_000 || large {
                against_a_plain_pass(operations, clients, &mut next);
            }
        }
    }
    let history = synthetic::history(&Mix::unique(10_000, 10), &mut next);
    judges("unique values, 10 clients, one key", &history);
    let short = synthetic::history(&Mix::unique(1_000, 10), &mut next);
    let (stale, _) = synthetic::with_stale_read(&short, &mut next).expect("many reads");
    judges("the same, shorter, with a stale read", &stale);
}
