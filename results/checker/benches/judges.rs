//! The linear and near-linear judges on a million operations each, beside one plain pass over the same columns. No test:
//! nothing fails here when a machine is slow.
//!
//! `cargo bench -p schism-checker --bench judges`; with `-- stack 1000` only those whose names have all these words. What is timed: the judge from columns that are loaded already (their
//! values numbers, nothing else known of them); the plain pass is the sum of all columns (kind and value, begin, end: every
//! byte once, twelve an operation). Both in processor time, the fastest of several runs each, taken in turn. Half of the
//! operations put in, half take out, and one in a thousand is of unknown fate where the object allows it.

#[path = "shared/processor.rs"]
mod processor;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use processor::processor_time;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use schism_checker::judges::log::{self, Lists};
use schism_checker::judges::{
    Answer, Columns, counter, element, fencing, growing, ids, lock, priority, queue, semaphore, stack,
};
use schism_checker::synthetic::objects::{self, Effect, Layout};

const OPERATIONS: usize = 1_000_000;
const RUNS: usize = 7;

type Next<'a> = &'a mut dyn FnMut() -> u64;

/// Passes at a time, since the kernel's account of processor time goes by milliseconds; and how long a judge judges at a
/// time, the same history again if it takes less.
const PASSES: u32 = 50;
const SPAN: Duration = Duration::from_millis(30);

fn timed<T>(times: u32, run: impl Fn() -> T) -> (Duration, T) {
    let start = processor_time();
    for _ in 1..times {
        std::hint::black_box(run());
    }
    let answer = std::hint::black_box(run());
    ((processor_time() - start) / times, answer)
}

/// Whether every word on the command line is in the name.
fn wanted(name: &str) -> bool {
    std::env::args().skip(1).filter(|word| !word.starts_with("--")).all(|word| name.contains(&word))
}

/// The judge and the plain pass in turn.
fn beside(name: &str, operations: usize, judge: &dyn Fn() -> Answer, pass: &dyn Fn() -> u64) {
    if !wanted(name) {
        return;
    }
    let (mut fastest, mut plain) = (Duration::MAX, Duration::MAX);
    let once = timed(1, judge).0.max(Duration::from_micros(200));
    let times = (SPAN.as_nanos() / once.as_nanos()).max(1) as u32;
    for _ in 0..RUNS {
        let (took, answer) = timed(times, judge);
        assert_eq!(answer, Answer::Legal, "{name} was made by a right object");
        fastest = fastest.min(took);
        plain = plain.min(timed(PASSES, pass).0);
    }
    println!(
        "{name:<34} {:>9.2} ms {:>7.1} ns/op {:>7.1} plain passes",
        fastest.as_secs_f64() * 1e3,
        fastest.as_secs_f64() * 1e9 / operations as f64,
        fastest.as_secs_f64() / plain.as_secs_f64(),
    );
}

fn made(clients: usize, info: u64, object: impl FnMut(Effect, Next<'_>) -> (u32, u32)) -> Columns {
    let mut random = Pcg64::seed_from_u64(7);
    let layout = Layout { operations: OPERATIONS, clients, info };
    objects::columns(&layout, &mut || random.next_u64(), object)
}

fn run(name: &str, columns: &Columns, judge: fn(&Columns) -> Answer) {
    beside(name, columns.len(), &|| judge(columns), &|| columns.sum());
}

/// A fresh element put in, or one taken out: `take` says which.
fn collection(
    inside: &mut VecDeque<u32>,
    fresh: &mut u32,
    effect: Effect,
    random: Next<'_>,
    take: fn(&mut VecDeque<u32>) -> Option<u32>,
) -> (u32, u32) {
    if random().is_multiple_of(2) {
        *fresh += 1;
        if effect != Effect::Never {
            inside.push_back(*fresh);
        }
        return (queue::PUT, *fresh);
    }
    match take(inside) {
        Some(element) if effect == Effect::Answered => (queue::TAKE, element),
        Some(element) if effect == Effect::Never => {
            inside.push_back(element);
            (queue::TAKE, 0)
        }
        None if effect == Effect::Answered => (queue::EMPTY, 0),
        _ => (queue::TAKE, 0),
    }
}

fn queues(clients: usize) {
    let (mut inside, mut fresh) = (VecDeque::new(), 0);
    let fifo = made(clients, 0, |effect, random| {
        collection(&mut inside, &mut fresh, effect, random, VecDeque::pop_front)
    });
    run(&format!("fifo queue, {clients} clients"), &fifo, queue::fifo);
    run(&format!("unordered queue, {clients} clients"), &fifo, queue::unordered);
    let (mut inside, mut fresh) = (VecDeque::new(), 0);
    let pushed = made(clients, 0, |effect, random| {
        collection(&mut inside, &mut fresh, effect, random, VecDeque::pop_back)
    });
    run(&format!("stack, {clients} clients"), &pushed, stack::judge);
    let (mut inside, mut fresh) = (BTreeSet::new(), 0u32);
    let heap = made(clients, 0, |_, random| {
        if random().is_multiple_of(2) {
            fresh += 1;
            // Each number once, in no order.
            let element = fresh.reverse_bits() >> 12;
            inside.insert(element);
            return (priority::PUT, element);
        }
        inside.pop_first().map_or((priority::EMPTY, 0), |element| (priority::TAKE, element))
    });
    run(&format!("priority queue, {clients} clients"), &heap, priority::judge);
}

fn sets(clients: usize) {
    let mut there = vec![0u8; OPERATIONS];
    let set = made(clients, 1, |effect, random| {
        let element = (random() % (OPERATIONS as u64 / 3)) as u32;
        let state = &mut there[element as usize];
        let (is, draw) = (*state == 1, random() % 3);
        match (*state, draw) {
            (0, 0 | 1) => {
                *state = if effect == Effect::Never { 3 } else { 1 };
                (element::ADD, element)
            }
            (1, 0) => {
                *state = if effect == Effect::Never { 4 } else { 2 };
                (element::REMOVE, element)
            }
            _ if effect != Effect::Answered => (element::ADD, OPERATIONS as u32),
            _ => (if is || *state == 4 { element::PRESENT } else { element::ABSENT }, element),
        }
    });
    run(&format!("set by element, {clients} clients"), &set, element::judge);
    // Elements in the order of their effects; those that had none come after all others.
    let (mut lists, mut size, mut without) = (Lists::default(), 0, OPERATIONS as u32);
    let grown = made(clients, 1, |effect, random| {
        if effect == Effect::Answered && random().is_multiple_of(50_000) {
            return (growing::READ, lists.push(0..size));
        }
        if effect == Effect::Never {
            without += 1;
            return (growing::ADD, without);
        }
        size += 1;
        (growing::ADD, size - 1)
    });
    let pass = || grown.sum() + lists.sum();
    beside(
        &format!("growing set, {clients} clients"),
        grown.len(),
        &|| growing::judge(&grown, &lists),
        &pass,
    );
    beside(
        &format!("append log, {clients} clients"),
        grown.len(),
        &|| log::judge(&grown, &lists, &[]),
        &pass,
    );
}

fn places(clients: usize) {
    let mut count = 0;
    let counter = made(clients, 1, |effect, random| {
        if effect == Effect::Answered && random().is_multiple_of(2) {
            return (counter::READ, count);
        }
        count += u32::from(effect != Effect::Never);
        (counter::CHANGE, 0)
    });
    run(&format!("unit counter, {clients} clients"), &counter, counter::judge);
    let mut count = 0;
    let tickets = made(clients, 1, |effect, _| {
        count += u32::from(effect != Effect::Never);
        if effect == Effect::Answered { (counter::TICKET, count - 1) } else { (counter::CHANGE, 0) }
    });
    run(&format!("tickets, {clients} clients"), &tickets, counter::judge);
    let mut fresh = 0;
    let given = made(clients, 1, |_, _| {
        fresh += 1;
        (ids::GENERATE, fresh)
    });
    run(&format!("unique identifiers, {clients} clients"), &given, ids::judge);
}

fn locks(clients: usize) {
    let (mut block, mut held) = (0, false);
    let lock = made(clients, 0, |_, _| {
        block += u32::from(!held);
        held = !held;
        (if held { lock::ACQUIRE } else { lock::RELEASE }, block)
    });
    run(&format!("semaphore of one, {clients} clients"), &lock, semaphore::judge);
    // An owner's release begins when its acquisition is over: the same, one after the other.
    let (mut block, mut held) = (0, false);
    let lock = made(1, 0, |_, _| {
        block += u32::from(!held);
        held = !held;
        (if held { lock::ACQUIRE } else { lock::RELEASE }, block)
    });
    run("mutex", &lock, |columns| lock::judge(columns, &[]));
    let mut token = 0;
    let tokens = made(clients, 1, |effect, random| {
        if effect != Effect::Answered || random().is_multiple_of(2) || token == 0 {
            token += u32::from(effect != Effect::Never);
            return (fencing::ACQUIRE, if effect == Effect::Answered { token } else { 0 });
        }
        (fencing::USE, token)
    });
    run(&format!("fencing tokens, {clients} clients"), &tokens, fencing::judge);
}

fn main() {
    for clients in [10, 1_000] {
        queues(clients);
        sets(clients);
        places(clients);
        locks(clients);
    }
}
