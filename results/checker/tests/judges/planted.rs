//! Ten thousand operations, right because of how they were made, and the same with one wrong of known effect planted:
//! something lost, doubled, reordered, stale or made up. Every one must be found, and shown by a handful of operations.

use schism_checker::judges::log::{self, Lists};
use schism_checker::judges::queue::{EMPTY, PUT, TAKE};
use schism_checker::judges::{
    Answer, Columns, NEVER, counter, element, fencing, growing, ids, lock, priority, queue, semaphore, stack,
};
use schism_checker::synthetic::objects::{self, Effect, Layout};

use crate::dice::Dice;

const OPERATIONS: usize = 10_000;
const CLIENTS: [usize; 3] = [1, 10, 200];

type Object<'a> = &'a mut dyn FnMut(Effect, &mut dyn FnMut() -> u64) -> (u32, u32);

fn made(clients: usize, info: u64, object: Object<'_>) -> Columns {
    let mut dice = Dice::new(clients as u64);
    objects::columns(&Layout { operations: OPERATIONS, clients, info }, &mut || dice.raw(), object)
}

/// The same operations; `None` leaves one out.
fn changed(columns: &Columns, change: impl Fn(u32, u32, u32) -> Option<(u32, u32)>) -> Columns {
    let mut after = Columns::default();
    for operation in 0..columns.len() as u32 {
        let complete = Some(columns.complete(operation)).filter(|complete| *complete != NEVER);
        if let Some((kind, number)) = change(operation, columns.kind(operation), columns.number(operation)) {
            after.push(kind, number, columns.invoke(operation), complete);
        }
    }
    after
}

/// The `nth` operation of this kind whose fate is known.
fn nth(columns: &Columns, kind: u32, nth: usize) -> u32 {
    let mut known = (0..columns.len() as u32)
        .filter(|operation| columns.kind(*operation) == kind && columns.complete(*operation) != NEVER);
    known.nth(nth).expect("there are thousands")
}

/// One operation says another number.
fn says(columns: &Columns, operation: u32, number: u32) -> Columns {
    changed(columns, |at, kind, old| Some((kind, if at == operation { number } else { old })))
}

/// Two operations changed numbers.
fn swapped(columns: &Columns, one: u32, other: u32) -> Columns {
    let (first, second) = (columns.number(one), columns.number(other));
    says(&says(columns, one, second), other, first)
}

#[track_caller]
fn found(what: &str, answer: Answer, names: &str) {
    let Answer::Illegal(violation) = answer else { panic!("{what}: not found, {answer:?}") };
    assert!(names.split(" or ").any(|name| name == violation.rule.name), "{what}: {violation:?}");
    assert!(violation.operations.len() <= 6, "{what}: shown by many: {violation:?}");
}

/// Puts and takes with about three hundred elements inside, then all out until nothing is left.
fn collection(clients: usize, take: fn(&mut Vec<u32>) -> Option<u32>) -> Columns {
    let (mut inside, mut fresh, mut calls) = (Vec::new(), 0u32, 0);
    made(clients, 0, &mut |_, random| {
        calls += 1;
        let put =
            calls < OPERATIONS - 600 && (inside.len() < 300 || (random() % 2 == 0 && inside.len() < 400));
        if put {
            fresh += 1;
            // In no order.
            let element = fresh.reverse_bits() >> 16;
            inside.push(element);
            return (PUT, element);
        }
        take(&mut inside).map_or((EMPTY, 0), |element| (TAKE, element))
    })
}

fn planted(name: &str, judge: fn(&Columns) -> Answer, take: fn(&mut Vec<u32>) -> Option<u32>, ordered: bool) {
    for clients in CLIENTS {
        let right = collection(clients, take);
        assert_eq!(judge(&right), Answer::Legal, "{name}, {clients} clients");
        let (early, late) = (nth(&right, TAKE, 1_000), nth(&right, TAKE, 3_000));
        found("made up", judge(&says(&right, late, 1 << 20)), "unexpected element");
        found("doubled", judge(&says(&right, late, right.number(early))), "duplicated element");
        let lost = changed(&right, |at, kind, number| (at != early).then_some((kind, number)));
        let answer = judge(&lost);
        assert!(answer.is_illegal(), "{name}: a lost element was not found");
        if let Answer::Illegal(violation) = answer {
            assert!(violation.operations.len() <= 6, "{name}: {violation:?}");
        }
        let empty =
            changed(&right, |at, kind, number| Some(if at == early { (EMPTY, 0) } else { (kind, number) }));
        let answer = judge(&empty);
        // Where elements have an order, that one was passed over may be seen first.
        let name = if ordered { first_name(answer.clone()) } else { "false empty" };
        found("false empty", answer, name);
        if ordered {
            let answer = judge(&swapped(&right, early, late));
            let name = first_name(answer.clone());
            assert!(["reordered elements", "unexpected element"].contains(&name), "{name}");
            found("reordered", answer, name);
        }
    }
}

fn first_name(answer: Answer) -> &'static str {
    if let Answer::Illegal(violation) = answer { violation.rule.name } else { "nothing" }
}

#[test]
fn queues_and_stacks() {
    let first = |inside: &mut Vec<u32>| (!inside.is_empty()).then(|| inside.remove(0));
    planted("fifo queue", queue::fifo, first, true);
    planted("unordered queue", queue::unordered, first, false);
    planted("stack", stack::judge, Vec::pop, true);
    let smallest = |inside: &mut Vec<u32>| {
        let place = (0..inside.len()).min_by_key(|place| inside[*place])?;
        Some(inside.swap_remove(place))
    };
    planted("priority queue", priority::judge, smallest, true);
}

#[test]
fn counters_and_tickets() {
    for clients in CLIENTS {
        let mut count = 0;
        let right = made(clients, 5, &mut |effect, random| {
            if effect == Effect::Answered && random() % 2 == 0 {
                return (counter::READ, count);
            }
            count += u32::from(effect != Effect::Never);
            if effect == Effect::Answered && random() % 2 == 0 {
                (counter::TICKET, count - 1)
            } else {
                (counter::CHANGE, 0)
            }
        });
        assert_eq!(counter::judge(&right), Answer::Legal);
        let (read, ticket) = (nth(&right, counter::READ, 2_000), nth(&right, counter::TICKET, 1_000));
        let seen = right.number(read);
        found("made up", counter::judge(&says(&right, read, 20_000)), "unexpected increment");
        let early = says(&right, read, seen + 3_000);
        found("too early", counter::judge(&early), "stale read or unexpected increment");
        found("stale", counter::judge(&says(&right, read, seen - 1_000)), "stale read");
        let other = nth(&right, counter::TICKET, 300);
        found("doubled", counter::judge(&says(&right, ticket, right.number(other))), "duplicated ticket");
        found("reordered", counter::judge(&swapped(&right, ticket, other)), "stale read");
    }
}

#[test]
fn sets_and_logs() {
    for clients in CLIENTS {
        let (mut size, mut without, mut calls, mut reads) = (0, OPERATIONS as u32, 0, Vec::new());
        let right = made(clients, 5, &mut |effect, _| {
            calls += 1;
            if effect == Effect::Answered && calls % 100 == 0 {
                reads.push((0..size).collect::<Vec<u32>>());
                return (growing::READ, reads.len() as u32 - 1);
            }
            if effect == Effect::Never {
                without += 1;
                return (growing::ADD, without);
            }
            size += 1;
            (growing::ADD, size - 1)
        });
        let both = |change: &dyn Fn(&mut Vec<Vec<u32>>)| {
            let mut seen = reads.clone();
            change(&mut seen);
            let mut lists = Lists::default();
            for list in seen {
                lists.push(list);
            }
            (growing::judge(&right, &lists), log::judge(&right, &lists, &[]))
        };
        assert_eq!(both(&|_| {}), (Answer::Legal, Answer::Legal), "{clients} clients");
        let plant = |what: &str, change: &dyn Fn(&mut Vec<Vec<u32>>), names: [&str; 2]| {
            let (set, log) = both(change);
            found(what, set, names[0]);
            found(what, log, names[1]);
        };
        plant("made up", &|reads| reads[50].push(20_000), ["unexpected element", "incompatible order"]);
        plant("doubled", &|reads| reads[50].push(7), ["duplicated element", "incompatible order"]);
        plant("stale", &|reads| reads[50].truncate(1_000), ["stale read", "reordered elements"]);
        let lose = |reads: &mut Vec<Vec<u32>>| {
            reads[50].remove(7);
        };
        plant("lost", &lose, ["incompatible order", "incompatible order"]);
        plant(
            "lost everywhere",
            &|reads| reads.iter_mut().for_each(|read| read.retain(|element| *element != 7)),
            ["stale read or reordered elements", "lost element"],
        );
    }
}

#[test]
fn elements_one_by_one() {
    for clients in CLIENTS {
        let mut there = vec![0u8; 3_000];
        let right = made(clients, 0, &mut |_, random| {
            let element = (random() % 3_000) as usize;
            match (there[element], random() % 3) {
                (0, 0) => {
                    there[element] = 1;
                    (element::ADD, element as u32)
                }
                (1, 0) => {
                    there[element] = 2;
                    (element::REMOVED, element as u32)
                }
                (1, _) => (element::PRESENT, element as u32),
                _ => (element::ABSENT, element as u32),
            }
        });
        assert_eq!(element::judge(&right), Answer::Legal);
        let turned = |from: u32, to: u32, wanted: &dyn Fn(u32, u32) -> bool| {
            let at = (0..right.len() as u32)
                .find(|at| right.kind(*at) == from && wanted(*at, right.number(*at)))
                .expect("there are many");
            element::judge(&changed(&right, |operation, kind, number| {
                Some((if operation == at { to } else { kind }, number))
            }))
        };
        let over = |kind: u32, at: u32, number: u32| {
            (0..right.len() as u32).any(|other| {
                right.kind(other) == kind
                    && right.number(other) == number
                    && right.complete(other) < right.invoke(at)
            })
        };
        let touched = |kind: u32, number: u32| {
            (0..right.len() as u32).any(|other| right.kind(other) == kind && right.number(other) == number)
        };
        let never = |_: u32, number: u32| !touched(element::ADD, number);
        found("made up", turned(element::ABSENT, element::PRESENT, &never), "unexpected element");
        let gone = |at: u32, number: u32| over(element::REMOVED, at, number);
        found("came back", turned(element::ABSENT, element::PRESENT, &gone), "removed element came back");
        let stays =
            |at: u32, number: u32| over(element::ADD, at, number) && !touched(element::REMOVED, number);
        found("stale", turned(element::PRESENT, element::ABSENT, &stays), "stale read");
    }
}

#[test]
fn locks_and_identifiers() {
    for clients in CLIENTS {
        let (mut block, mut held) = (0, false);
        let right = made(clients, 0, &mut |_, _| {
            block += u32::from(!held);
            held = !held;
            (if held { lock::ACQUIRE } else { lock::RELEASE }, block)
        });
        let mutex = |columns: &Columns| lock::judge(columns, &[]);
        assert_eq!(mutex(&right), Answer::Legal);
        let without = |columns: &Columns, kind: u32, number: u32| {
            changed(columns, |_, k, n| (k != kind || n != number).then_some((k, n)))
        };
        found("never released", mutex(&without(&right, lock::RELEASE, 1_000)), "mutual exclusion broken");
        found("never acquired", mutex(&without(&right, lock::ACQUIRE, 1_000)), "release without holding");
        assert_eq!(semaphore::judge(&right), Answer::Legal);
        // One too few may be made up for by those that end or begin last; two cannot.
        let two = |kind: u32| without(&without(&right, kind, 1_000), kind, 1_001);
        found("never released", semaphore::judge(&two(lock::RELEASE)), "mutual exclusion broken");
        found("never acquired", semaphore::judge(&two(lock::ACQUIRE)), "release without holding");

        let (mut token, mut used) = (0, 0);
        let right = made(clients, 5, &mut |effect, random| {
            if effect != Effect::Answered || random() % 2 == 0 || token == 0 {
                token += u32::from(effect != Effect::Never);
                return (fencing::ACQUIRE, if effect == Effect::Answered { token } else { 0 });
            }
            used = token;
            (fencing::USE, used)
        });
        assert_eq!(fencing::judge(&right), Answer::Legal);
        let (early, late) = (nth(&right, fencing::ACQUIRE, 500), nth(&right, fencing::ACQUIRE, 3_000));
        let stale = nth(&right, fencing::USE, 2_000);
        found("stale", fencing::judge(&says(&right, stale, right.number(early))), "stale token accepted");
        let reordered = fencing::judge(&swapped(&right, early, late));
        found("reordered", reordered, "token out of order or unexpected token");
        found("doubled", fencing::judge(&says(&right, late, right.number(early))), "duplicated token");
        found("made up", fencing::judge(&says(&right, stale, 50_000)), "unexpected token");

        let mut fresh = 0;
        let right = made(clients, 5, &mut |_, _| {
            fresh += 1;
            (ids::GENERATE, fresh)
        });
        assert_eq!(ids::judge(&right), Answer::Legal);
        found("doubled", ids::judge(&says(&right, 5_000, right.number(10))), "duplicated identifier");
    }
}
