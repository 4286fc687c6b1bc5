//! The shrinker: what it leaves is small, invalid, and rests on nothing that is gone; and who leaves out too much is caught.

use std::time::Duration;

use schism_checker::judges::{Object, Objects};
use schism_checker::model::{CasRegister, Register};
use schism_checker::shrink::{Wholes, left_out_too_much, shrink};
use schism_checker::synthetic::{self, Mix};
use schism_checker::weak::Model;
use schism_checker::{
    Budget, Checker, Convergence, Linearizable, Sessions, SetFull, Staleness, Verdict, Weak,
};
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
    let mut judges: Vec<Box<dyn Checker>> =
        vec![Box::new(Sessions { real_time: true, ..Sessions::default() }), Box::new(fresh)];
    for model in Model::ALL {
        judges.push(Box::new(Weak { model, initial: Value::Nil }));
    }
    for checker in judges {
        let (mut broken, mut left) = (0, 0);
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
            // A circle through many clients takes two operations of each, and each order that it rests on may take a circle's
            // worth more: no number bounds it, so the bound is that each is needed.
            assert!(nothing_to_spare(&*checker, &shrunk.history), "{}, seed {seed}", checker.name());
            left += shrunk.kept.len();
            broken += 1;
        }
        println!("{}: {broken} were broken, {left} operations are left in all", checker.name());
        assert!(broken > 1 && left <= 8 * broken, "{}: {broken} were broken", checker.name());
    }
}

/// Whether a history is invalid no more without any of its reads, and without any write and whoever read what it wrote.
fn nothing_to_spare(checker: &dyn Checker, history: &History) -> bool {
    let operations: Vec<Operation> = history.operations().collect();
    operations.iter().all(|one| {
        let rest = operations.iter().filter(|other| {
            let saw = match &one.call {
                Call::Write { key, value } => other.call.key() == key && other.read() == Some(value),
                _ => false,
            };
            other.invoke != one.invoke && !saw
        });
        !invalid(checker, &history.with(rest.cloned()))
    })
}

/// What all nodes say in the end, of a register, a set and a counter: each shrinks to the reads that differ, or to what was lost
/// and the read without it.
#[test]
fn what_does_not_converge_shrinks_to_a_handful() {
    let node = |process: u32| ["n1", "n2", "n3"][process as usize % 3];
    for (change, seen, wrong, kept) in [
        ("write", ["5", "5", "5"], "4", 4),
        ("write", ["5", "5", "5"], "null", 2),
        ("add", ["[1,2,3,4,5]"; 3], "[1,2,3,5]", 2),
        ("increment", ["15", "15", "15"], "16", 6),
    ] {
        for all_wrong in [false, true] {
            let (mut text, mut time) = (String::new(), 0);
            let mut line = |rest: String| {
                time += 1;
                text += &format!("\"time\":{time},{rest}\n");
            };
            for value in 1..=5u32 {
                for kind in ["invoke", "ok"] {
                    let node = if kind == "invoke" {
                        format!(r#""node":"{}","#, node(value))
                    } else {
                        String::new()
                    };
                    line(format!(
                        r#""type":"{kind}","process":0,{node}"f":"{change}","key":1,"value":{value}"#
                    ));
                }
            }
            line(r#""type":"phase","phase":"final""#.into());
            for (process, seen) in (1..).zip(seen) {
                let seen = if all_wrong || process == 3 { wrong } else { seen };
                line(format!(
                    r#""type":"invoke","process":{process},"node":"{}","f":"read","key":1"#,
                    node(process)
                ));
                line(format!(r#""type":"ok","process":{process},"f":"read","key":1,"value":{seen}"#));
            }
            let whole = read(&text);
            let checker = Convergence::default();
            let wholes = if change == "increment" { Wholes::Keys } else { Wholes::Values };
            assert!(invalid(&checker, &whole), "{text}");
            let shrunk = shrink(&whole, wholes, &[], |part| invalid(&checker, part));
            assert!(invalid(&checker, &shrunk.history));
            assert_eq!(left_out_too_much(&whole, &shrunk.history, &shrunk.kept, wholes), None);
            assert!(shrunk.kept.len() <= kept, "{change} {wrong} {all_wrong}: {:?}", shrunk.kept);
        }
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
