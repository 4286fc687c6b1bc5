//! The search beside porcupine-rs, in one process on the same histories: how long each takes, and how many times as long
//! the other does. Both are timed from the operations in memory to the verdict, what each makes of them first included.
//! No test: nothing fails here when a machine is slow, only when the two disagree.
//!
//! `cargo bench -p schism-checker --bench against_porcupine` runs the cases that porcupine-rs can do in seconds; with
//! `-- large` also those that it cannot do, without it. With `-- recorded DIR` it judges the recorded logs of etcd in that
//! folder (`test_data/jepsen` of the crate porcupine-rs has all 102); the totals are of all logs. With `-- seeds N` it judges
//! N histories of cas over few values, 10 000 operations by 10 clients.

#[path = "shared/clock.rs"]
mod clock;
#[path = "shared/peer.rs"]
mod peer;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clock::best;
use peer::for_the_peer;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use schism_checker::Budget;
use schism_checker::linear::{Allowance, Effort, Entry, Finding, search, straight};
use schism_checker::model::CasRegister;
use schism_checker::synthetic::{self, Mix};
use schism_history::{Format, History, Keys, Operation, read_any};

fn entries(rows: &[Operation]) -> Vec<Entry<'_>> {
    rows.iter().enumerate().filter_map(|(at, operation)| Entry::of(at, operation)).collect()
}

/// Our verdict, from the history as it is in memory.
fn judge(model: &CasRegister, history: &History, allowance: &Allowance<'_>) -> (Finding, Effort) {
    straight(model, history.columns(), 0..history.len(), allowance)
        .unwrap_or_else(|| search(model, &entries(history.rows()), allowance, u64::MAX))
}

fn compare(name: &str, history: &History, with_peer: bool) {
    let start = Instant::now();
    let minute = || start.elapsed() > Duration::from_secs(60);
    let budget = Budget { bytes: 4 << 30, time: Duration::from_secs(60), over: &minute };
    let model = CasRegister::default();
    let (ours, (finding, effort)) = best(20, || judge(&model, history, &Allowance::new(budget)));
    let answer = match finding {
        Finding::Linearizable => "valid".to_string(),
        Finding::NotLinearizable => "invalid".to_string(),
        Finding::GaveUp(spent) => format!("gave up: {spent:?}"),
    };
    let mut line = format!(
        "{name:<34} {:>8} ops {:>3} pending {:>9} configurations  {answer:<16} {:>10.3} ms",
        history.len(),
        effort.concurrency,
        effort.configurations,
        ours.as_secs_f64() * 1e3,
    );
    if with_peer {
        let (peer, valid) =
            best(3, || porcupine_rs::check_operations(&for_the_peer(&entries(history.rows()))));
        let peer_answer = if valid { "valid" } else { "invalid" };
        assert_eq!(answer, peer_answer, "the two judges disagree on {name}");
        line += &format!(
            "  porcupine-rs {:>10.1} ms  ratio {:>7.0}",
            peer.as_secs_f64() * 1e3,
            peer.as_secs_f64() / ours.as_secs_f64(),
        );
    }
    println!("{line}");
}

/// Every log in a folder by both, and the sums.
fn recorded(folder: &Path) {
    let mut logs: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    let model = CasRegister::default();
    let (mut all_ours, mut all_theirs, mut valid) = (Duration::ZERO, Duration::ZERO, 0);
    let mut ratios = Vec::new();
    for path in &logs {
        let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let history = match read_any(text.as_slice(), Format::JepsenLog, Keys::One) {
            Ok(recorded) => recorded.history,
            Err(error) => {
                println!("{}: left out: {error}", path.display());
                continue;
            }
        };
        let budget = Budget { bytes: 4 << 30, time: Duration::from_secs(60), over: &|| false };
        let (ours, finding) = best(50, || judge(&model, &history, &Allowance::new(budget)).0);
        let (theirs, legal) =
            best(50, || porcupine_rs::check_operations(&for_the_peer(&entries(history.rows()))));
        assert_eq!(finding == Finding::Linearizable, legal, "the two disagree on {}", path.display());
        valid += usize::from(legal);
        all_ours += ours;
        all_theirs += theirs;
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
        ratios.push(ratio);
        println!(
            "{:<16} {:>4} operations {:<8} {:>9.1} µs  porcupine-rs {:>10.1} µs  ratio {ratio:>8.1}",
            path.file_name().unwrap_or_default().display(),
            history.len(),
            if legal { "valid" } else { "invalid" },
            ours.as_secs_f64() * 1e6,
            theirs.as_secs_f64() * 1e6,
        );
    }
    ratios.sort_by(f64::total_cmp);
    let [Some(least), Some(median)] = [ratios.first(), ratios.get(ratios.len() / 2)] else {
        println!("no .log in {}", folder.display());
        return;
    };
    println!(
        "{} logs, {valid} valid: {:.3} ms, porcupine-rs {:.1} ms: ratio {:.0} in all, {least:.1} at least, {median:.1} in the \
         middle",
        ratios.len(),
        all_ours.as_secs_f64() * 1e3,
        all_theirs.as_secs_f64() * 1e3,
        all_theirs.as_secs_f64() / all_ours.as_secs_f64(),
    );
}

/// Histories of one kind by both, one a seed.
fn seeds(count: u64) {
    for seed in 1..=count {
        let mut random = Pcg64::seed_from_u64(seed);
        let history = synthetic::history(&Mix::cas(10_000, 10), &mut || random.next_u64());
        compare(&format!("cas over 5 values, seed {seed}"), &history, true);
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [mode, folder] = &words[..]
        && mode == "recorded"
    {
        return recorded(Path::new(folder));
    }
    if let [mode, count] = &words[..]
        && mode == "seeds"
    {
        return seeds(count.parse().expect("how many seeds"));
    }
    let large = std::env::args().any(|argument| argument == "large");
    let mut random = Pcg64::seed_from_u64(1);
    let mut next = || random.next_u64();
    for (name, mix, peer) in [
        ("unique values, 10 clients", Mix::unique(10_000, 10), true),
        ("cas over 5 values, 10 clients", Mix::cas(10_000, 10), true),
        ("unique values, 10 clients, short", Mix::unique(1_000, 10), true),
        ("cas over 5 values, 10 cl., short", Mix::cas(1_000, 10), true),
        ("unique values, 50 clients", Mix::unique(10_000, 50), false),
        ("cas over 5 values, 25 clients", Mix::cas(10_000, 25), false),
        ("cas over 5 values, 25 clients, short", Mix::cas(1_000, 25), false),
        ("cas over 5 values, 50 clients, short", Mix::cas(1_000, 50), false),
        ("unique values, 1 % info", Mix { info: 10, ..Mix::unique(10_000, 10) }, false),
        ("cas over 5 values, 1 % info", Mix { info: 10, ..Mix::cas(10_000, 10) }, false),
        ("unique values, 25 clients", Mix::unique(1_000_000, 25), false),
    ] {
        if mix.operations > 10_000 && !large {
            continue;
        }
        let history = synthetic::history(&mix, &mut next);
        compare(name, &history, peer);
        // Where values come back, a stale read can be legal after all: several are tried for one that is not.
        let stale =
            (0..300).filter_map(|_| synthetic::with_stale_read(&history, &mut next)).find(|(stale, _)| {
                let minute = Budget { bytes: 1 << 30, time: Duration::from_secs(60), over: &|| false };
                let entries = entries(stale.rows());
                search(&CasRegister::default(), &entries, &Allowance::new(minute), 100_000).0
                    != Finding::Linearizable
            });
        if let Some((stale, _)) = stale {
            compare("    the same with a stale read", &stale, peer && mix.operations <= 1_000);
        }
    }
}
