//! The Raft store in the simulated world: the correct one stays valid under every mix of faults, and every planted bug is
//! found. What each seed did is judged by the same checker that judges real clusters, and watched at every step.
//!
//! A seed that fails repeats exactly: put it into `Options::seed`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use schism_checker::model::CasRegister;
use schism_checker::{Budget, Checker, Linearizable, Verdict};
use schism_history::{Outcome, What};
use schism_reference::protocol::Protocol;
use schism_reference::raft::Raft;
use schism_reference::raft::invariants::Invariants;
use schism_reference::simulation::{MIXES, Mix, Options, Simulated, run, run_observed};

/// What one seed showed.
struct Shown {
    verdict: Verdict,
    violations: Vec<String>,
    is_answered: bool,
}

fn show(options: &Options) -> Shown {
    let mut invariants = Invariants::default();
    let simulated = run_observed::<Raft>(options, |_, node| invariants.observe(node));
    let budget = Budget { bytes: 1 << 30, time: Duration::MAX, over: &|| false };
    let judgement = Linearizable { model: CasRegister::default() }.check(&simulated.history(), budget);
    Shown {
        verdict: judgement.verdict,
        violations: invariants.violations,
        is_answered: simulated.is_answered,
    }
}

/// Runs all seeds on two threads, and counts those for which `is_counted` says so.
fn count(seeds: u64, is_counted: impl Fn(u64) -> bool + Sync) -> u64 {
    let (next, counted) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    counted.fetch_add(u64::from(is_counted(seed)), Ordering::Relaxed);
                }
            });
        }
    });
    counted.into_inner()
}

#[test]
fn the_correct_store_stays_valid_under_every_mix() {
    const SEEDS: u64 = 2_000;
    let bad = count(SEEDS, |seed| {
        // Half of the seeds get everything at once; sizes change too.
        let mix = if seed % 2 == 0 { &MIXES[0] } else { &MIXES[(seed / 2) as usize % MIXES.len()] };
        let nodes = [5, 3, 5, 4, 5, 7, 5, 1][(seed / 16) as usize % 8];
        let options = Options { seed, mix, nodes, ..Options::default() };
        let Shown { verdict, violations, is_answered } = show(&options);
        let is_bad = verdict != Verdict::Valid || !violations.is_empty() || !is_answered;
        if is_bad {
            eprintln!("seed {seed}, {}, {nodes} nodes: {verdict:?} {violations:?} {is_answered}", mix.name);
        }
        is_bad
    });
    assert_eq!(bad, 0, "of {SEEDS} seeds");
}

/// Seeds of 200 that must find the bug: about half of what they do find, so that a change of the simulation that makes
/// it blind for a bug does not go unnoticed.
#[track_caller]
fn is_found(bug: &str, nodes: usize, mix: &str, at_least: u64) {
    const SEEDS: u64 = 200;
    assert!(Raft::BUGS.iter().any(|known| known.name == bug), "{bug} is not a bug");
    let mix = Mix::named(mix).expect("a mix of this name");
    let found = count(SEEDS, |seed| {
        let options = Options { seed, nodes, mix, bugs: [bug.into()].into(), ..Options::default() };
        show(&options).verdict == Verdict::Invalid
    });
    println!("{bug}: {found} of {SEEDS} seeds under {}", mix.name);
    assert!(found >= at_least, "{bug}: only {found} of {SEEDS} seeds, not {at_least}");
}

#[test]
fn follower_reads_are_found() {
    is_found("follower-reads", 5, "calm", 190);
}

#[test]
fn unconfirmed_leader_reads_are_found() {
    is_found("unconfirmed-leader-reads", 5, "partitions", 90);
}

#[test]
fn a_lease_that_trusts_a_clock_is_found() {
    is_found("lease-trusts-clock", 5, "clocks-and-pauses", 45);
}

#[test]
fn a_vote_that_is_not_persisted_is_found() {
    is_found("vote-not-persisted", 5, "crashing-voters", 5);
}

#[test]
fn answers_before_fsync_are_found() {
    is_found("ack-before-fsync", 5, "power-cuts", 70);
}

#[test]
fn answers_before_a_majority_are_found() {
    is_found("ack-before-majority", 5, "partitions", 90);
}

#[test]
fn commits_of_earlier_terms_are_found() {
    is_found("commit-old-term", 5, "leader-crashes", 25);
}

#[test]
fn suffixes_that_are_not_truncated_are_found() {
    is_found("suffix-not-truncated", 5, "partitions", 25);
}

#[test]
fn votes_that_ignore_the_log_are_found() {
    is_found("vote-ignores-log", 5, "partitions", 25);
}

#[test]
fn retries_applied_twice_are_found() {
    is_found("retry-applied-twice", 5, "partitions", 80);
}

#[test]
fn snapshots_that_drop_sessions_are_found() {
    is_found("snapshot-drops-sessions", 5, "partitions", 35);
}

/// The same options give the same result, to the last event.
#[test]
fn a_seed_repeats_exactly() {
    for seed in 0..5 {
        let options = Options { seed, ..Options::default() };
        let [first, second]: [Simulated; 2] = std::array::from_fn(|_| run::<Raft>(&options));
        assert_eq!(first.events, second.events);
        assert_eq!(first.counts, second.counts);
        let other = run::<Raft>(&Options { seed: seed + 1, ..options });
        assert_ne!(first.events, other.events);
    }
}

/// A pass must be earned: the world is hostile, and the store gets something done in it.
#[test]
fn enough_happens() {
    let options = Options { seed: 3, ..Options::default() };
    let simulated = run::<Raft>(&options);
    let faults = simulated.history().faults;
    let bitten = faults.iter().filter(|fault| fault.effect.as_ref().is_some_and(|effect| effect.bit)).count();
    let ok = simulated
        .events
        .iter()
        .filter(|event| matches!(&event.what, What::Complete { outcome: Outcome::Ok(_), .. }));
    let counts = simulated.counts;
    assert!(faults.len() >= 8 && bitten >= 6, "{} faults, {bitten} of them bit", faults.len());
    assert!(ok.count() >= 300);
    assert!(counts.messages >= 5_000 && counts.lost >= 50 && counts.crashes >= 3, "{counts:?}");
}

/// The invariants themselves are seen to be broken, each by a bug that breaks it.
#[test]
fn each_invariant_is_seen_to_be_broken() {
    for (bug, mix, says) in [
        ("vote-not-persisted", "crashing-voters", "both lead in term"),
        ("suffix-not-truncated", "leader-crashes", "is not on"),
        ("vote-ignores-log", "leader-crashes", "without the decided entry"),
        ("ack-before-majority", "partitions", "takes another entry"),
        ("snapshot-drops-sessions", "partitions", "store differs"),
    ] {
        let mix = Mix::named(mix).expect("a mix of this name");
        let found = count(40, |seed| {
            let options = Options { seed, mix, bugs: [bug.into()].into(), ..Options::default() };
            show(&options).violations.iter().any(|violation| violation.contains(says))
        });
        println!("{bug}: {found} of 40 seeds: … {says} …");
        assert!(found >= 1, "{bug} never shows as: … {says} …");
    }
}
