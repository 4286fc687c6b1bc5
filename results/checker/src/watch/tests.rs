//! Histories that are right by construction, and what becomes of them when one thing in them is damaged.

use std::time::Duration;

use schism_history::{Event, Process, Time, What};

use super::*;
use crate::verdict::Verdict;

fn judge(events: &[Event]) -> Judgement {
    let budget = Budget { bytes: usize::MAX, time: Duration::MAX, over: &|| false };
    Watches.check(&History::from_events(events.iter().cloned()).unwrap(), budget)
}

fn names(events: &[Event]) -> Vec<String> {
    judge(events).anomalies.into_iter().map(|anomaly| anomaly.name).collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A store that is right, while it is being used.
struct Store {
    events: Vec<Event>,
    /// Its changes, in order.
    log: Vec<(i64, i64)>,
    revision: i64,
}

const KEY: i64 = 1;

impl Store {
    fn push(&mut self, what: What) {
        let time = Time(self.events.len() as u64 * 1_000_000);
        self.events.push(Event { time, what });
    }

    fn invoke(&mut self, process: u32, call: &Call) {
        self.push(What::Invoke { process: Process(process), node: None, call: call.clone() });
    }

    fn complete(&mut self, process: u32, call: &Call, outcome: Outcome) {
        self.push(What::Complete { process: Process(process), call: call.clone(), outcome });
    }

    fn apply(&mut self, value: i64, random: &mut Random) {
        self.revision += 1 + random.below(3) as i64;
        self.log.push((self.revision, value));
    }

    /// What a watch from there may be told: some of the changes, without a gap, none left out at the front.
    fn told(&self, from: i64, most: usize) -> Vec<(i64, i64)> {
        self.log.iter().copied().filter(|(revision, _)| *revision >= from).take(most).collect()
    }
}

fn list(told: &[(i64, i64)]) -> Value {
    Value::list(told.iter().map(|(revision, value)| Value::list([(*revision).into(), (*value).into()])))
}

fn write(value: i64) -> Call {
    Call::Write { key: KEY.into(), value: value.into() }
}

fn watch(from: i64) -> Call {
    Call::Watch { key: KEY.into(), from }
}

/// Writers and watchers take turns at random; at the end a last write, and a watch of everything.
fn run(seed: u64) -> Vec<Event> {
    let mut random = Random(seed);
    let mut store = Store { events: Vec::new(), log: Vec::new(), revision: 1 };
    let mut value = 0;
    // Each writer's open call, and whether it has been applied; each watcher's open call, and where it goes on.
    let mut writers: [Option<(i64, bool)>; 3] = [None; 3];
    let mut numbers = [0u32, 1, 2];
    let mut watchers = [(None, 1i64); 2];
    for _ in 0..60 {
        let actor = random.below(5);
        if actor < 3 {
            let number = numbers[actor];
            match writers[actor] {
                None => {
                    value += 1;
                    writers[actor] = Some((value, false));
                    store.invoke(number, &write(value));
                }
                Some((value, false)) if random.below(5) > 0 => {
                    store.apply(value, &mut random);
                    writers[actor] = Some((value, true));
                }
                Some((value, applied)) => {
                    let outcome = match (applied, random.below(4)) {
                        (_, 0) => Outcome::Info("no answer".into()),
                        (true, _) => Outcome::Ok(Ret::Done),
                        (false, _) => Outcome::Fail("refused".into()),
                    };
                    numbers[actor] += if outcome.word() == "info" { 100 } else { 0 };
                    store.complete(number, &write(value), outcome);
                    writers[actor] = None;
                }
            }
        } else {
            let (open, from) = watchers[actor - 3];
            let process = actor as u32 + 10;
            match open {
                None => {
                    watchers[actor - 3].0 = Some(from);
                    store.invoke(process, &watch(from));
                }
                Some(asked) => {
                    let told = store.told(asked, 1 + random.below(6));
                    let next = told.last().map_or(asked, |(revision, _)| revision + 1);
                    store.complete(process, &watch(asked), Outcome::Ok(Ret::Value(list(&told))));
                    watchers[actor - 3] = (None, next);
                }
            }
        }
    }
    for (call, told) in [(write(1_000), false), (watch(1), true)] {
        store.invoke(90, &call);
        if !told {
            store.apply(1_000, &mut random);
        }
        let ret = if told { Ret::Value(list(&store.told(1, usize::MAX))) } else { Ret::Done };
        store.complete(90, &call, Outcome::Ok(ret));
    }
    store.events
}

#[test]
fn what_is_right_by_construction_is_never_found_wrong() {
    for seed in 0..20_000 {
        let judgement = judge(&run(seed));
        assert_eq!(judgement.verdict, Verdict::Valid, "seed {seed}: {judgement:?}");
    }
}

/// The answers of all watches, to be damaged.
fn answers(events: &mut [Event]) -> Vec<&mut Outcome> {
    events
        .iter_mut()
        .filter_map(|event| match &mut event.what {
            What::Complete { call: Call::Watch { .. }, outcome, .. } => Some(outcome),
            _ => None,
        })
        .collect()
}

fn told(outcome: &Outcome) -> Vec<(i64, i64)> {
    let Outcome::Ok(Ret::Value(value)) = outcome else { return Vec::new() };
    let int = |value: &Value| match value {
        Value::Int(int) => *int,
        _ => panic!("{value} is no number"),
    };
    let pair = |event: &Value| event.elements().map(|pair| (int(&pair[0]), int(&pair[1]))).unwrap();
    value.elements().unwrap().iter().map(pair).collect()
}

/// Damages the last answer, which is that of everything, or all of them; `None` where there is nothing to damage.
fn damaged(
    seed: u64,
    everywhere: bool,
    damage: impl Fn(&mut Vec<(i64, i64)>, &mut Random) -> Option<()>,
) -> Option<Vec<Event>> {
    let mut events = run(seed);
    let mut answers = answers(&mut events);
    let first = if everywhere { 0 } else { answers.len() - 1 };
    let mut any = false;
    for outcome in &mut answers[first..] {
        let mut list_of = told(outcome);
        if damage(&mut list_of, &mut Random(seed)).is_some() {
            **outcome = Outcome::Ok(Ret::Value(list(&list_of)));
            any = true;
        }
    }
    any.then_some(events)
}

/// Every seed with something to damage must show it by this name.
fn always_found(name: &str, damage: impl Fn(u64) -> Option<Vec<Event>>) {
    let mut damaged = 0;
    for seed in 0..2_000 {
        let Some(events) = damage(seed) else { continue };
        damaged += 1;
        let found = names(&events);
        assert!(found.iter().any(|found| found == name), "seed {seed}: {found:?}");
    }
    assert!(damaged > 500, "only {damaged} of 2000 had something to damage");
}

/// A place in the middle: what comes after it is told too.
fn inner(told: &[(i64, i64)], random: &mut Random) -> Option<usize> {
    (told.len() > 2).then(|| 1 + random.below(told.len() - 2))
}

#[test]
fn an_event_that_one_watch_left_out_is_missed() {
    always_found("missed event", |seed| {
        let events = run(seed);
        let seen_by_others: Vec<i64> = {
            let mut events = events.clone();
            let mut answers = answers(&mut events);
            answers.pop();
            answers.iter().flat_map(|outcome| told(outcome)).map(|(revision, _)| revision).collect()
        };
        damaged(seed, false, |told, _| {
            let place = told.iter().position(|(revision, _)| seen_by_others.contains(revision))?;
            if place + 1 == told.len() {
                return None;
            }
            told.remove(place);
            Some(())
        })
    });
}

/// The write was over before a later one began, and nobody was told.
#[test]
fn an_acknowledged_write_that_nobody_is_told_of_is_lost() {
    always_found("lost event", |seed| {
        let events = run(seed);
        let history = History::from_events(events).unwrap();
        let last = history.rows().iter().find(|operation| operation.call == write(1_000))?;
        let lost = history.rows().iter().find(|operation| {
            operation.outcome.is_ok() && operation.call.changes() && operation.precedes(last)
        })?;
        let Call::Write { value: Value::Int(value), .. } = lost.call else { return None };
        damaged(seed, true, |told, _| {
            told.retain(|(_, told)| *told != value);
            Some(())
        })
    });
}

#[test]
fn an_event_told_twice_is_found() {
    always_found("duplicated event", |seed| {
        damaged(seed, false, |told, random| {
            let place = inner(told, random)?;
            told.insert(place, told[place]);
            Some(())
        })
    });
    // The same value at a revision of its own.
    always_found("duplicated event", |seed| {
        damaged(seed, false, |told, random| {
            let place = inner(told, random)?;
            told.push((told.last()?.0 + 1, told[place].1));
            Some(())
        })
    });
}

#[test]
fn events_in_another_order_are_found() {
    always_found("events out of order", |seed| {
        damaged(seed, false, |told, random| {
            let place = inner(told, random)?;
            told.swap(place, place + 1);
            Some(())
        })
    });
}

#[test]
fn a_value_that_nobody_wrote_is_made_up() {
    always_found("made-up event", |seed| {
        damaged(seed, false, |told, random| {
            let place = inner(told, random)?;
            told.insert(place + 1, (told[place].0 + 1, 555));
            let told_already = told[place + 2].0 == told[place + 1].0;
            (!told_already).then_some(())
        })
    });
}

#[test]
fn a_write_that_failed_is_made_up_if_it_is_told() {
    always_found("made-up event", |seed| {
        let history = History::from_events(run(seed)).unwrap();
        let failed = history.rows().iter().find(|operation| operation.outcome.word() == "fail")?;
        let Call::Write { value: Value::Int(value), .. } = failed.call else { return None };
        damaged(seed, false, |told, _| {
            told.push((told.last()?.0 + 1, value));
            Some(())
        })
    });
}

#[test]
fn two_values_at_one_revision_disagree() {
    always_found("watchers disagree", |seed| {
        let mut others = run(seed);
        let mut others = answers(&mut others);
        others.pop();
        let first = others.iter().find_map(|outcome| told(outcome).first().copied())?;
        damaged(seed, false, |told, _| {
            let place = told.iter().position(|one| *one == first)?;
            told[place].1 = 777;
            Some(())
        })
    });
}

#[test]
fn what_is_older_than_was_asked_for_is_found() {
    always_found("event before the watch", |seed| {
        let mut events = run(seed);
        for event in &mut events {
            if let What::Invoke { call, .. } | What::Complete { call, .. } = &mut event.what
                && *call == watch(1)
                && matches!(
                    event.what,
                    What::Invoke { process: Process(90), .. } | What::Complete { process: Process(90), .. }
                )
            {
                match &mut event.what {
                    What::Invoke { call, .. } | What::Complete { call, .. } => *call = watch(1_000_000),
                    _ => {}
                }
            }
        }
        Some(events)
    });
}

/// What any watch told before this value was first written.
fn everything_before(events: &[Event], value: i64) -> Vec<i64> {
    let before = events
        .iter()
        .take_while(|event| !matches!(&event.what, What::Invoke { call, .. } if *call == write(value)));
    let outcomes = before.filter_map(|event| match &event.what {
        What::Complete { call: Call::Watch { .. }, outcome, .. } => Some(outcome),
        _ => None,
    });
    outcomes.flat_map(told).map(|(_, value)| value).collect()
}

/// Two changes that came one after the other by the clock swap their values, for every watch alike.
#[test]
fn revisions_against_the_clock_are_found() {
    always_found("revisions against real time", |seed| {
        let history = History::from_events(run(seed)).unwrap();
        let mut everything = run(seed);
        let all = told(answers(&mut everything).pop()?);
        let operation = |value: i64| history.rows().iter().find(|operation| operation.call == write(value));
        let pair = all.windows(2).find(|pair| {
            operation(pair[0].1).zip(operation(pair[1].1)).is_some_and(|(one, other)| one.precedes(other))
        })?;
        let (one, other) = (pair[0].1, pair[1].1);
        // Whoever was told of the first before the second was begun is told of what nobody had written yet.
        let early = everything_before(&run(seed), other);
        if early.contains(&one) {
            return None;
        }
        damaged(seed, true, |told, _| {
            for (_, value) in told.iter_mut() {
                *value = if *value == one {
                    other
                } else if *value == other {
                    one
                } else {
                    *value
                };
            }
            Some(())
        })
    });
}

#[test]
fn what_lies_beyond_every_watch_is_a_doubt() {
    let mut events = run(3);
    let mut answers = answers(&mut events);
    for outcome in &mut answers {
        let mut told = told(outcome);
        told.retain(|(_, value)| *value != 1_000);
        **outcome = Outcome::Ok(Ret::Value(list(&told)));
    }
    assert_eq!(judge(&events).verdict, Verdict::Unknown);
}
