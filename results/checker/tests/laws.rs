//! Every judge on the same footing. A store that is right by how it is made, at any concurrency and with answers that never
//! came, is never found wrong, and what is planted in it is; to know less, to have looked less, to call things otherwise and
//! to have taken longer never makes a valid history invalid. `SCHISM_HISTORIES=100000` tries that many for each judge.

#[path = "linearizable/dice.rs"]
mod dice;
#[path = "laws/right.rs"]
mod right;

use std::time::Duration;

use dice::Dice;
use right::{Store, made};
use schism_checker::judges::{Object, Objects};
use schism_checker::model::CasRegister;
use schism_checker::weak::Model;
use schism_checker::{
    Budget, Checker, Convergence, Linearizable, Sessions, SetFull, Staleness, Verdict, Watches, Weak,
};
use schism_history::{Call, History, Operation, Outcome, Position, Ret, Time, Value};

const BUDGET: Budget<'static> = Budget { bytes: 1 << 28, time: Duration::MAX, over: &|| false };

/// Nobody ever put this in.
const MADE_UP: i64 = 999_999;

fn judges() -> Vec<(Store, Box<dyn Checker>)> {
    let mut judges: Vec<(Store, Box<dyn Checker>)> = vec![
        (Store::Register, Box::new(Linearizable::<CasRegister>::default())),
        (Store::Register, Box::new(Sessions::default())),
        (Store::Register, Box::new(Convergence::default())),
        (Store::Set, Box::new(SetFull::default())),
        (Store::Set, Box::new(Convergence::default())),
        (Store::Watched, Box::new(Watches)),
    ];
    let fresh = Staleness { max_time: Some(Duration::ZERO), max_versions: Some(0), ..Staleness::default() };
    judges.push((Store::Register, Box::new(fresh)));
    for model in Model::ALL {
        judges.push((Store::Register, Box::new(Weak { model, initial: Value::Nil })));
    }
    let hour = Duration::from_secs(3_600);
    for (store, object) in [
        (Store::Set, Object::GrowingSet),
        (Store::Elements, Object::Elements),
        (Store::Log, Object::Log),
        (Store::Queue, Object::Queue),
        (Store::Queue, Object::Bag),
        (Store::Queue, Object::TotalQueue),
        (Store::Smallest, Object::PriorityQueue),
        (Store::Stack, Object::Stack),
        (Store::Counter, Object::Counter),
        (Store::Ids, Object::Ids),
        (Store::Lock, Object::Mutex),
        (Store::Lock, Object::Semaphore),
        (Store::Lock, Object::Lease { ttl: hour, clock_error: Duration::ZERO }),
        (Store::Lock, Object::Fencing),
    ] {
        judges.push((store, Box::new(Objects { object })));
    }
    judges
}

fn verdict(checker: &dyn Checker, history: &History) -> Verdict {
    checker.check(history, BUDGET).verdict
}

fn numbers(value: &Value, change: impl Fn(i64) -> i64 + Copy) -> Value {
    match value {
        Value::Int(number) => Value::Int(change(*number)),
        Value::List(items) => Value::list(items.iter().map(|item| numbers(item, change))),
        other => other.clone(),
    }
}

/// The law, and the history it was applied to; none where there is nothing to apply it to.
fn changed(law: usize, store: Store, history: &History, dice: &mut Dice) -> (&'static str, Option<History>) {
    let mut rows = history.rows().to_vec();
    let at = dice.below(rows.len());
    match law {
        0 => {
            if !rows[at].call.changes() || !rows[at].outcome.is_ok() {
                return ("with one less known", None);
            }
            rows[at].outcome = Outcome::Info("lost".into());
            (rows[at].completed, rows[at].complete) = (Time::NEVER, Position::MAX);
            ("with one less known", Some(history.with(rows)))
        }
        1 => {
            let observer = !rows[at].call.changes();
            rows.remove(at);
            ("with one look less", observer.then(|| history.with(rows)))
        }
        2 => {
            rows.iter_mut().for_each(|row| rename(store, row));
            ("under other names", Some(history.with(rows)))
        }
        _ => ("taking longer", Some(slower(history, rows, at, dice))),
    }
}

/// Other numbers in the same order, where they are names; other processes.
fn rename(store: Store, row: &mut Operation) {
    let other = |value: &Value| numbers(value, |number| 3 * number + 7);
    row.process.0 = 100_000 - row.process.0;
    if store == Store::Counter {
        return;
    }
    row.call = match row.call.clone() {
        Call::Write { key, value } => Call::Write { key, value: other(&value) },
        Call::Cas { key, from, to } => Call::Cas { key, from: other(&from), to: other(&to) },
        Call::Add { key, value } => Call::Add { key, value: other(&value) },
        Call::Remove { key, value } => Call::Remove { key, value: other(&value) },
        Call::Contains { key, value } => Call::Contains { key, value: other(&value) },
        Call::Append { key, value } => Call::Append { key, value: other(&value) },
        Call::Enqueue { key, value } => Call::Enqueue { key, value: other(&value) },
        Call::Push { key, value } => Call::Push { key, value: other(&value) },
        Call::Use { key, token } => Call::Use { key, token: other(&token) },
        call => call,
    };
    // Neither offsets nor revisions are names.
    let Outcome::Ok(Ret::Value(value)) = &row.outcome else { return };
    let told = |change: &Value| match change.elements() {
        Some([revision, item]) => Value::list([revision.clone(), other(item)]),
        _ => unreachable!("a watch is told of revisions and values"),
    };
    row.outcome = Outcome::Ok(Ret::Value(match (&row.call, value) {
        (Call::Append { .. }, _) => return,
        (Call::Watch { .. }, Value::List(changes)) => Value::list(changes.iter().map(told)),
        _ => other(value),
    }));
}

/// The same eight times as slowly, and one operation was over later, though before its process went on.
fn slower(history: &History, mut rows: Vec<Operation>, at: usize, dice: &mut Dice) -> History {
    const SLOWER: u32 = 8;
    for row in &mut rows {
        (row.invoke, row.invoked) = (row.invoke * SLOWER, Time(row.invoked.0 * u64::from(SLOWER)));
        if row.complete != Position::MAX {
            (row.complete, row.completed) =
                (row.complete * SLOWER, Time(row.completed.0 * u64::from(SLOWER)));
        }
    }
    if rows[at].complete != Position::MAX {
        let own = rows[at].process;
        let next = rows[at + 1..].iter().find(|row| row.process == own).map(|row| row.invoke);
        let room = next.unwrap_or(rows[at].complete + 400) - rows[at].complete;
        let later = dice.below(room as usize) as u32 / SLOWER * SLOWER + 1;
        // A position is a millisecond.
        rows[at].complete += later;
        rows[at].completed = Time(rows[at].completed.0 + u64::from(later) * 1_000_000);
    }
    let mut slower = history.with(rows);
    slower.phases.iter_mut().for_each(|(time, _)| time.0 *= u64::from(SLOWER));
    slower.end = Time(slower.end.0 * u64::from(SLOWER) + 1_000_000_000);
    slower
}

/// Something that cannot have happened; none where nothing of the kind was answered.
fn planted(store: Store, object: &str, history: &History) -> Option<History> {
    let mut rows = history.rows().to_vec();
    let answered = |row: &Operation| match &row.outcome {
        Outcome::Ok(Ret::Value(value)) => Some(value.clone()),
        _ => None,
    };
    let last = |is: &dyn Fn(&Operation) -> bool| rows.iter().rposition(is);
    let reads = |row: &Operation| matches!(row.call, Call::Read { .. }) && answered(row).is_some();
    let says = |value: Value| Outcome::Ok(Ret::Value(value));
    match store {
        Store::Register => {
            let at = last(&reads)?;
            rows[at].outcome = says(MADE_UP.into());
        }
        Store::Counter => {
            let at = last(&reads)?;
            rows[at].outcome = says(numbers(&answered(&rows[at])?, |number| number + MADE_UP));
        }
        Store::Set | Store::Log => {
            let at = last(&reads)?;
            let seen = answered(&rows[at])?;
            let more = seen.elements()?.iter().cloned().chain([MADE_UP.into()]);
            rows[at].outcome = says(Value::list(more));
        }
        Store::Watched => {
            let at = last(&|row| matches!(row.call, Call::Watch { .. }) && answered(row).is_some())?;
            let mut told = answered(&rows[at])?.elements()?.to_vec();
            let revision = told.last()?.elements()?[0].clone();
            *told.last_mut()? = Value::list([revision, MADE_UP.into()]);
            rows[at].outcome = says(Value::list(told));
        }
        Store::Elements => {
            let at = last(&|row| matches!(row.call, Call::Contains { .. }) && answered(row).is_some())?;
            let key = rows[at].call.key().clone();
            rows[at].call = Call::Contains { key, value: MADE_UP.into() };
            rows[at].outcome = says(Value::Bool(true));
        }
        Store::Queue | Store::Stack | Store::Smallest => {
            let at = last(&|row| matches!(answered(row), Some(Value::Int(_))))?;
            rows[at].outcome = says(MADE_UP.into());
        }
        Store::Ids => {
            let mut given = (0..rows.len()).filter(|at| answered(&rows[*at]).is_some());
            let (one, other) = (given.next()?, given.next()?);
            rows[other].outcome = rows[one].outcome.clone();
        }
        Store::Lock if object.starts_with("fencing") => {
            let mut given = (0..rows.len()).filter(|at| answered(&rows[*at]).is_some());
            let (one, other) = (given.next()?, given.next()?);
            rows[other].outcome = rows[one].outcome.clone();
        }
        Store::Lock => {
            let at = rows.iter().position(|row| matches!(row.call, Call::Release { .. }))?;
            rows[at + 1..].iter().find(|row| answered(row).is_some() && row.invoke > rows[at].complete)?;
            rows.remove(at);
        }
    }
    Some(history.with(rows))
}

#[test]
fn what_is_right_stays_right_and_what_is_planted_is_found() {
    let histories = std::env::var("SCHISM_HISTORIES").map_or(48, |all| all.parse().expect("a number"));
    for (store, checker) in judges() {
        let mut dice = Dice::new(61);
        let (mut valid, mut applied, mut found) = (0, [0; 4], 0);
        for number in 0..histories {
            let (operations, clients) = if number % 16 == 15 { (600, 24) } else { (40, 1 + number % 7) };
            let history = made(store, operations, clients, &mut dice);
            let before = verdict(&*checker, &history);
            let name = checker.name();
            assert_ne!(before, Verdict::Invalid, "{name}: {:#?}", checker.check(&history, BUDGET));
            valid += usize::from(before == Verdict::Valid);
            for (law, applied) in applied.iter_mut().enumerate() {
                let (how, Some(other)) = changed(law, store, &history, &mut dice) else { continue };
                let judgement = checker.check(&other, BUDGET);
                assert_ne!(judgement.verdict, Verdict::Invalid, "{name} {store:?} {how}: {judgement:#?}");
                *applied += 1;
            }
            if let Some(wrong) = planted(store, &judgement_name(&*checker, &history), &history) {
                let judgement = checker.check(&wrong, BUDGET);
                assert_eq!(judgement.verdict, Verdict::Invalid, "{name} {store:?}: {judgement:#?}");
                found += 1;
            }
        }
        let name = judgement_name(&*checker, &History::default());
        println!("{name}, {store:?}: {valid} of {histories} valid, laws {applied:?}, {found} planted");
        assert!(valid * 2 > histories && found * 4 > histories, "{name}: {valid} valid, {found} found");
        assert!(applied[0] * 4 > histories && applied[2] == histories && applied[3] == histories, "{name}");
    }
}

/// What tells judges of one checker apart.
fn judgement_name(checker: &dyn Checker, history: &History) -> String {
    let judgement = checker.check(history, BUDGET);
    if judgement.about.contains("fencing") { "fencing".into() } else { judgement.about }
}
