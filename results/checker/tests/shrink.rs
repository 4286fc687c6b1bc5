//! The shrinker: what it leaves is small, invalid, and rests on nothing that is gone; and who leaves out too much is caught.

use std::time::Duration;

use schism_checker::judges::{Object, Objects};
use schism_checker::model::{CasRegister, Register};
use schism_checker::shrink::{Wholes, left_out_too_much, shrink};
use schism_checker::synthetic::{self, Mix};
use schism_checker::weak::Model;
use schism_checker::{Budget, Checker, Linearizable, Sessions, SetFull, Staleness, Verdict, Weak};
use schism_history::{Call, CallKind, History, Operation, Value, jsonl};

fn invalid(checker: &dyn Checker, history: &History) -> bool {
    let budget = Budget { bytes: 1 << 28, time: Duration::MAX, over: &|| false };
    checker.check(history, budget).verdict == Verdict::Invalid
}

/// A stream of numbers that is the same each time (splitmix64).
fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 1
    }
}

fn read(text: &str) -> History {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let numbered = lines.enumerate().map(|(index, line)| format!("{{\"index\":{index},{line}}}\n"));
    jsonl::read(numbered.collect::<String>().as_bytes()).expect("the test's own history").history
}

/// One stale read in a thousand operations: a handful is left, it is invalid, and nothing that it rests on is gone.
#[test]
fn a_stale_read_shrinks_to_a_handful() {
    for seed in 0..20 {
        let mut next = numbers(seed);
        let mix = Mix { keys: 3, cas: 1, info: 20, ..Mix::unique(1_000, 6) };
        let whole = synthetic::history(&mix, &mut next);
        let Some((whole, _)) = synthetic::with_stale_read(&whole, &mut next) else { continue };
        let checker = Linearizable { model: CasRegister::default() };
        let shrunk = shrink(&whole, Wholes::Values, &[], |part| invalid(&checker, part));
        assert!(invalid(&checker, &shrunk.history));
        assert_eq!(left_out_too_much(&whole, &shrunk.history, &shrunk.kept, Wholes::Values), None);
        assert!(shrunk.kept.len() <= 8, "seed {seed}: {} operations are left", shrunk.kept.len());
        assert_eq!((shrunk.keys, shrunk.kept.len()), (2, shrunk.history.len()));
    }
}

/// The same by every model of registers, as far as a stale read breaks it.
#[test]
fn every_model_of_registers_shrinks_to_a_handful() {
    let fresh = Staleness { max_time: Some(Duration::ZERO), ..Staleness::default() };
    let mut judges: Vec<Box<dyn Checker>> = vec![Box::new(Sessions::default()), Box::new(fresh)];
    for model in Model::ALL {
        judges.push(Box::new(Weak { model, initial: Value::Nil }));
    }
    for checker in judges {
        let mut broken = 0;
        for seed in 0..40 {
            let mut next = numbers(seed);
            let mix = Mix { keys: 3, info: 20, ..Mix::unique(200, 6) };
            let whole = synthetic::history(&mix, &mut next);
            let Some((whole, _)) = synthetic::with_stale_read(&whole, &mut next) else { continue };
            if !invalid(&*checker, &whole) {
                continue;
            }
            let shrunk = shrink(&whole, Wholes::Values, &[], |part| invalid(&*checker, part));
            assert!(invalid(&*checker, &shrunk.history));
            assert_eq!(left_out_too_much(&whole, &shrunk.history, &shrunk.kept, Wholes::Values), None);
            let left = shrunk.kept.len();
            // That there is no order at all of some operations can take one or two more to show than a stale read.
            let most = if checker.name() == "sequential" { 10 } else { 8 };
            assert!(left <= most, "{}, seed {seed}: {left} operations are left", checker.name());
            broken += 1;
        }
        assert!(broken > 1, "{}: {broken} were broken", checker.name());
    }
}

/// What a history that is legal loses, it stays legal: no step of the shrinker makes a wrong of its own.
#[test]
fn no_part_of_a_legal_history_is_invalid() {
    let mut asked = 0;
    for seed in 0..200 {
        let mut next = numbers(seed);
        let mix = Mix { keys: 2, cas: 1, info: 50, values: [0, 4][seed as usize % 2], ..Mix::unique(120, 4) };
        let whole = synthetic::history(&mix, &mut next);
        let checker = Linearizable { model: CasRegister::default() };
        // Says yes to one candidate in four, so that parts of parts are tried, too.
        let _ = shrink(&whole, Wholes::Values, &[], |part| {
            assert!(!invalid(&checker, part), "seed {seed}");
            asked += 1;
            next().is_multiple_of(4)
        });
    }
    assert!(asked > 3_000, "{asked}");
}

#[test]
fn a_set_loses_elements_in_the_reads_of_the_whole_too() {
    let whole = read(
        r#""time":1,"type":"invoke","process":0,"f":"add","key":1,"value":7
        "time":2,"type":"ok","process":0,"f":"add","key":1,"value":7
        "time":3,"type":"invoke","process":0,"f":"add","key":1,"value":8
        "time":4,"type":"ok","process":0,"f":"add","key":1,"value":8
        "time":5,"type":"invoke","process":0,"f":"read","key":1
        "time":6,"type":"ok","process":0,"f":"read","key":1,"value":[7,8]
        "time":7,"type":"invoke","process":0,"f":"read","key":1
        "time":8,"type":"ok","process":0,"f":"read","key":1,"value":[7]"#,
    );
    let checker = SetFull::default();
    assert!(invalid(&checker, &whole));
    let shrunk = shrink(&whole, Wholes::Values, &[], |part| invalid(&checker, part));
    assert!(invalid(&checker, &shrunk.history));
    assert_eq!(left_out_too_much(&whole, &shrunk.history, &shrunk.kept, Wholes::Values), None);
    assert_eq!(shrunk.kept, [1, 3], "the lost element and the read without it");
    let seen: Vec<String> =
        shrunk.history.operations().filter_map(|of| of.read().map(ToString::to_string)).collect();
    assert_eq!(seen, ["[]"]);
}

#[test]
fn of_two_locks_the_clients_that_exclude_each_other_are_left() {
    let whole = read(
        r#""time":1,"type":"invoke","process":0,"f":"acquire","key":1
        "time":2,"type":"ok","process":0,"f":"acquire","key":1
        "time":3,"type":"invoke","process":0,"f":"release","key":1
        "time":4,"type":"ok","process":0,"f":"release","key":1
        "time":5,"type":"invoke","process":1,"f":"acquire","key":1
        "time":6,"type":"ok","process":1,"f":"acquire","key":1
        "time":7,"type":"invoke","process":2,"f":"acquire","key":1
        "time":8,"type":"ok","process":2,"f":"acquire","key":1"#,
    );
    let checker = Objects { object: Object::Mutex };
    let shrunk = shrink(&whole, Wholes::Processes, &[], |part| invalid(&checker, part));
    assert_eq!(shrunk.kept, [2, 3]);
    assert_eq!(left_out_too_much(&whole, &shrunk.history, &shrunk.kept, Wholes::Processes), None);
}

/// A shrinker that leaves out too much is caught: its part is invalid, but only because of what it left out.
#[test]
fn what_rests_on_something_that_is_gone_is_no_proof() {
    let whole = read(
        r#""time":1,"type":"invoke","process":0,"f":"write","key":1,"value":7
        "time":2,"type":"ok","process":0,"f":"write","key":1,"value":7
        "time":3,"type":"invoke","process":1,"f":"read","key":1
        "time":4,"type":"ok","process":1,"f":"read","key":1,"value":7
        "time":5,"type":"invoke","process":1,"f":"read","key":1
        "time":6,"type":"ok","process":1,"f":"read","key":1,"value":null"#,
    );
    let checker = Linearizable { model: Register::default() };
    let part = |kept: &[usize]| whole.with(kept.iter().map(|at| whole.operation(*at)));
    let without_write = part(&[1]);
    assert!(invalid(&checker, &without_write), "read 7 looks made up");
    let caught =
        left_out_too_much(&whole, &without_write, &[1], Wholes::Values).expect("the write is missed");
    assert!(caught.contains("write(7) of process 0"), "{caught}");
    assert_eq!(left_out_too_much(&whole, &part(&[0, 2]), &[0, 2], Wholes::Values), None);
    // Neither may an answer be another one, nor an increment be missing.
    let changed = whole.with([Operation { outcome: whole.operation(2).outcome, ..whole.operation(1) }]);
    assert!(left_out_too_much(&whole, &changed, &[1], Wholes::Values).is_some());
    let counter = whole.with((0..3).map(|at| {
        let operation = whole.operation(at);
        let call = match operation.call.kind() {
            CallKind::Write => Call::Increment { key: 1.into(), by: 1 },
            _ => operation.call.clone(),
        };
        Operation { call, ..operation }
    }));
    let reads = counter.with([counter.operation(1)]);
    assert!(left_out_too_much(&counter, &reads, &[1], Wholes::Keys).is_some());
}
