//! The search beside porcupine-rs, in one process on the same histories: how long each takes, and how many times as long
//! the other does. No test: nothing fails here when a machine is slow.
//!
//! `cargo bench -p schism-checker` runs the cases that porcupine-rs can do in seconds; with `-- large` also those that it
//! cannot do, without it.

use std::time::{Duration, Instant};

use porcupine_rs::{Model as PeerModel, Operation as PeerOperation};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use schism_checker::Budget;
use schism_checker::linear::{Allowance, Entry, Finding, search};
use schism_checker::model::CasRegister;
use schism_checker::synthetic::{self, Mix};
use schism_history::{Call, History, Outcome, Ret, Value};

/// A register with cas, as porcupine-rs wants it.
#[derive(Clone, Debug)]
struct PeerRegister;

#[derive(Clone, Debug)]
enum PeerOp {
    Read(i64),
    Write(i64),
    Cas(i64, i64),
}

impl PeerModel for PeerRegister {
    type State = i64;
    type Op = PeerOp;
    type Metadata = ();

    fn init() -> i64 {
        -1
    }

    fn step(state: &i64, op: &PeerOp) -> (bool, i64) {
        match op {
            PeerOp::Read(seen) => (seen == state, *state),
            PeerOp::Write(value) => (true, *value),
            PeerOp::Cas(from, to) => (from == state, *to),
        }
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(value) => *value,
        _ => -1,
    }
}

fn for_the_peer(history: &History) -> Vec<PeerOperation<PeerRegister>> {
    let ok = history.rows().iter().filter(|operation| operation.outcome.is_ok());
    ok.map(|operation| PeerOperation {
        client_id: Some(operation.process.0),
        call_time: i64::from(operation.invoke),
        return_time: i64::from(operation.complete),
        op: match (&operation.call, &operation.outcome) {
            (Call::Read { .. }, Outcome::Ok(Ret::Value(seen))) => PeerOp::Read(number(seen)),
            (Call::Write { value, .. }, _) => PeerOp::Write(number(value)),
            (Call::Cas { from, to, .. }, _) => PeerOp::Cas(number(from), number(to)),
            (other, _) => unreachable!("never generated: {other}"),
        },
        metadata: None,
    })
    .collect()
}

/// The shortest of so many runs; one that takes seconds is not repeated.
fn best<T>(runs: usize, mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut fastest: Option<(Duration, T)> = None;
    for _ in 0..runs {
        let start = Instant::now();
        let answer = run();
        let took = start.elapsed();
        if fastest.as_ref().is_none_or(|(before, _)| took < *before) {
            fastest = Some((took, answer));
        }
        if took > Duration::from_secs(2) {
            break;
        }
    }
    fastest.expect("at least one run")
}

fn compare(name: &str, history: &History, with_peer: bool) {
    let start = Instant::now();
    let minute = || start.elapsed() > Duration::from_secs(60);
    let budget = Budget { bytes: 4 << 30, time: Duration::from_secs(60), over: &minute };
    let model = CasRegister::default();
    let (ours, (finding, effort)) = best(5, || {
        let entries: Vec<Entry<'_>> =
            history.rows().iter().enumerate().filter_map(|(at, op)| Entry::of(at, op)).collect();
        search(&model, &entries, &Allowance::new(budget), u64::MAX)
    });
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
        let operations = for_the_peer(history);
        let (peer, valid) = best(1, || porcupine_rs::check_operations(&operations));
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

fn main() {
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
                let entries: Vec<Entry<'_>> =
                    stale.rows().iter().enumerate().filter_map(|(at, op)| Entry::of(at, op)).collect();
                search(&CasRegister::default(), &entries, &Allowance::new(minute), 100_000).0
                    != Finding::Linearizable
            });
        if let Some((stale, _)) = stale {
            compare("    the same with a stale read", &stale, peer && mix.operations <= 1_000);
        }
    }
}
