//! The wall: histories on which searches for a legal order stand still. Values come back all the time, many clients call
//! at once, some calls have no known fate, and every other history holds a violation.
//!
//! `cargo bench -p schism-checker --bench wall` prints a line a history: verdict, time, the most memory allocated at once,
//! and configurations looked at, each within five seconds; then the share decided. With `-- peer` it adds what
//! porcupine-rs does with a sample of them, each in a process of its own that is ended after 60 s or at 8 GB. With
//! `-- cas 25` only cases whose names have all these words are run. No test: nothing fails here when a machine is slow,
//! only when a verdict is wrong.

#[path = "shared/counting.rs"]
mod counting;
#[path = "shared/peer.rs"]
mod peer;

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use schism_checker::Budget;
use schism_checker::linear::{Allowance, Entry, Finding, search};
use schism_checker::model::CasRegister;
use schism_checker::synthetic::{self, Mix};
use schism_history::{Call, History, Ret, Value};

/// What a judge may take: the wall is a wall where five seconds and two gigabytes do not do.
const TIME: Duration = Duration::from_secs(5);
const BYTES: usize = 2 << 30;
/// What the peer may take.
const PEER_TIME: Duration = Duration::from_secs(60);
const PEER_KIB: u64 = 8 << 20;
/// So many histories a case.
const SEEDS: u64 = 3;

/// What is done to a legal history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Nothing: it is legal.
    None,
    /// A read returns a value that cannot have been there: no operation that could have brought it about was under way
    /// since before some write that was over when the read began. Certainly not legal.
    Impossible,
    /// A read returns a value that was overwritten. May be legal after all, since values come back.
    Stale,
}

struct Case {
    name: String,
    mix: Mix,
    change: Change,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for clients in [16, 25, 50] {
        for operations in [1_000, 10_000] {
            let cas = Mix::cas(operations, clients);
            let register = Mix { cas: 0, values: 5, ..cas };
            let tiny = Mix { cas: 0, values: 3, reads: 2, ..cas };
            for (name, mix) in [
                ("cas over 5 values", cas),
                ("cas over 5 values, 1 % info", Mix { info: 10, ..cas }),
                ("mostly cas over 3 values", Mix { cas: 6, values: 3, ..cas }),
                ("register of 5 values", register),
                ("register of 3 values, 1 % info", Mix { info: 10, ..tiny }),
                ("cas over 50 values", Mix { values: 50, ..cas }),
            ] {
                for change in [Change::None, Change::Impossible, Change::Stale] {
                    let name =
                        format!("{name}, {clients} clients, {operations} ops, {change:?}").to_lowercase();
                    cases.push(Case { name, mix, change });
                }
            }
        }
    }
    cases
}

fn entries(history: &History) -> Vec<Entry<'_>> {
    history.rows().iter().enumerate().filter_map(|(at, operation)| Entry::of(at, operation)).collect()
}

/// The value an operation leaves behind if it takes effect.
fn gives(call: &Call) -> Option<&Value> {
    match call {
        Call::Write { value, .. } | Call::Cas { to: value, .. } => Some(value),
        _ => None,
    }
}

/// A read in the second half, and a value it cannot have seen.
fn impossible<'h>(entries: &[Entry<'h>], random: &mut impl FnMut() -> u64) -> Option<(usize, &'h Value)> {
    let reads: Vec<usize> = (entries.len() / 2..entries.len())
        .filter(|at| matches!(entries[*at].call, Call::Read { .. }))
        .collect();
    let values: Vec<&Value> = entries.iter().filter_map(|entry| gives(entry.call)).take(200).collect();
    for _ in 0..20_000 {
        let at = *reads.get((random() % reads.len().max(1) as u64) as usize)?;
        let value = *values.get((random() % values.len().max(1) as u64) as usize)?;
        let read = entries[at];
        let last = entries
            .iter()
            .filter(|entry| gives(entry.call) == Some(value) && entry.invoke < read.complete)
            .map(|giver| if giver.ret.is_some() { giver.complete } else { u32::MAX })
            .max()
            .unwrap_or(0);
        let overwritten = entries.iter().any(|write| {
            matches!(write.call, Call::Write { value: other, .. } if other != value)
                && write.ret.is_some()
                && write.invoke > last
                && write.complete < read.invoke
        });
        if overwritten {
            return Some((at, value));
        }
    }
    None
}

/// The entries of a case, whether they are certainly illegal, and what a changed read returns.
fn changed(change: Change, history: &History, seed: u64) -> Option<(usize, Ret)> {
    let mut random = Pcg64::seed_from_u64(seed ^ 0x5eed);
    let mut next = || random.next_u64();
    let entries = entries(history);
    match change {
        Change::None => None,
        Change::Impossible => {
            impossible(&entries, &mut next).map(|(at, value)| (at, Ret::Value(value.clone())))
        }
        Change::Stale => {
            let (stale, operation) = synthetic::with_stale_read(history, &mut next)?;
            let at = entries.iter().position(|entry| entry.operation == operation)?;
            let value = stale.rows()[operation].read()?.clone();
            Some((at, Ret::Value(value)))
        }
    }
}

/// Judges one history; `None` if the case has none to judge.
fn judge(case: &Case, seed: u64) -> Option<bool> {
    let mut random = Pcg64::seed_from_u64(seed);
    let history = synthetic::history(&case.mix, &mut || random.next_u64());
    let change = changed(case.change, &history, seed);
    if change.is_none() && case.change != Change::None {
        println!("{:<72} seed {seed}  has no such read", case.name);
        return None;
    }
    let mut entries = entries(&history);
    if let Some((at, ret)) = &change {
        entries[*at].ret = Some(ret);
    }
    let start = Instant::now();
    let over = || start.elapsed() > TIME;
    let budget = Budget { bytes: BYTES, time: TIME, over: &over };
    let (bytes, (finding, effort)) =
        counting::most_bytes(|| search(&CasRegister::default(), &entries, &Allowance::new(budget), u64::MAX));
    let took = start.elapsed();
    let answer = match finding {
        Finding::Linearizable => "valid".to_string(),
        Finding::NotLinearizable => "invalid".to_string(),
        Finding::GaveUp(spent) => format!("unknown: {spent:?}").to_lowercase(),
    };
    println!(
        "{:<72} seed {seed}  {:>3} pending {:>4} optional  {answer:<16} {:>9.2} ms {:>9.3} MB {:>10} configurations",
        case.name,
        effort.concurrency,
        effort.optional,
        took.as_secs_f64() * 1e3,
        bytes as f64 / 1e6,
        effort.configurations,
    );
    assert!(
        case.change != Change::None || finding != Finding::NotLinearizable,
        "it is legal by construction"
    );
    assert!(case.change != Change::Impossible || finding != Finding::Linearizable, "it is not legal");
    Some(!matches!(finding, Finding::GaveUp(_)))
}

/// What porcupine-rs does with the same history, in this process.
fn by_the_peer(case: &Case, seed: u64) {
    let mut random = Pcg64::seed_from_u64(seed);
    let history = synthetic::history(&case.mix, &mut || random.next_u64());
    let change = changed(case.change, &history, seed);
    let mut entries = entries(&history);
    if let Some((at, ret)) = &change {
        entries[*at].ret = Some(ret);
    }
    // It knows no calls of unknown fate.
    entries.retain(|entry| entry.ret.is_some());
    let start = Instant::now();
    let valid = porcupine_rs::check_operations(&peer::for_the_peer(&entries));
    let answer = if valid { "valid" } else { "invalid" };
    println!("    porcupine-rs: {answer} in {:.2} s", start.elapsed().as_secs_f64());
}

/// Waits for a child that takes no more than the peer may; ends it else.
fn bounded(mut child: Child) -> std::io::Result<()> {
    let start = Instant::now();
    let status = format!("/proc/{}/status", child.id());
    while child.try_wait()?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
        if kib > PEER_KIB || start.elapsed() > PEER_TIME {
            println!(
                "    porcupine-rs: ended after {:.0} s at {:.1} GB",
                start.elapsed().as_secs_f64(),
                kib as f64 / 1e6
            );
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let cases = cases();
    if let [mode, number, seed] = &words[..]
        && mode == "only-peer"
    {
        let (Ok(number), Ok(seed)) = (number.parse::<usize>(), seed.parse()) else {
            unreachable!("this process started itself")
        };
        by_the_peer(&cases[number], seed);
        return Ok(());
    }
    let with_peer = words.iter().any(|word| word == "peer");
    let wanted = |case: &Case| words.iter().all(|word| word == "peer" || case.name.contains(word.as_str()));
    let (mut decided, mut total) = (0, 0);
    for (number, case) in cases.iter().enumerate().filter(|(_, case)| wanted(case)) {
        for seed in 1..=SEEDS {
            let Some(verdict) = judge(case, seed) else { continue };
            decided += usize::from(verdict);
            total += 1;
            if with_peer && seed == 1 && case.mix.info == 0 {
                let mut again = Command::new(std::env::current_exe()?);
                bounded(again.args(["only-peer", &number.to_string(), &seed.to_string()]).spawn()?)?;
            }
        }
    }
    println!(
        "decided within {TIME:?}: {decided} of {total}, {:.1} %",
        100.0 * decided as f64 / total.max(1) as f64
    );
    Ok(())
}
