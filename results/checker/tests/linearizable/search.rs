//! The search must agree with the definition of linearizability on every history small enough to try all orders.

use std::sync::Arc;

use crate::dice::Dice;
use crate::laws;
use crate::tiny::{self, Shape};
use crate::{BUDGET, brute_force, entries};
use schism_checker::linear::{
    Allowance, Entry, Finding, Frontier, Way, frontier, search, search_by, straight,
};
use schism_checker::model::{CasRegister, Model, Register, TextRegister};
use schism_history::{Call, Event, History, Outcome, Process, Ret, Time, Value, What};

fn key() -> Value {
    Value::Int(0)
}

/// Judges `count` random histories three ways, and shows the first on which they differ.
pub fn agree<M: Model>(
    model: &M,
    seed: u64,
    call: &dyn Fn(&mut Dice) -> Call,
    lie: &dyn Fn(&mut Dice, &Call) -> Ret,
    answer: &dyn Fn(&M::State, &Call, &mut Dice) -> Ret,
) {
    let count = 10_000;
    // For a longer hunt: SCHISM_FUZZ=100 tries a hundred times as many, a million a model.
    let factor = std::env::var("SCHISM_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let count = count * factor;
    let mut dice = Dice::new(seed + factor as u64);
    let (mut legal, mut with_info, mut at_once) = (0, 0, 0);
    for number in 0..count {
        let shape = Shape {
            call,
            lie,
            operations: 8,
            clients: 4,
            info: [0, 20, 45][number % 3],
            lies: [5, 30, 60][number / 3 % 3],
        };
        let history = tiny::history(model, &mut dice, &shape, answer);
        let expected = brute_force::linearizable(model, &history);
        let entries = entries(&history);
        let allowance = Allowance::new(BUDGET);
        let (finding, _) = search(model, &entries, &allowance, u64::MAX);
        let wanted = if expected { Finding::Linearizable } else { Finding::NotLinearizable };
        assert_eq!(finding, wanted, "history {number} of seed {seed}: {:#?}", history.rows());
        each_way(model, &entries, number, wanted);
        if let Some((finding, _)) = straight(model, history.columns(), 0..history.len(), &allowance) {
            assert_eq!(finding, wanted, "straight, history {number} of seed {seed}: {:#?}", history.rows());
            at_once += 1;
        }
        if expected && number % 4 == 1 {
            laws::keep(model, &entries, &mut dice);
        }
        if number % 4 == 0 || !model.deterministic() {
            let plain = frontier(model, &entries, 1 << 20);
            assert_eq!(plain == Frontier::Explained, expected, "frontier: {:#?}", history.rows());
        }
        legal += usize::from(expected);
        with_info += usize::from(entries.iter().any(|entry| entry.ret.is_none()));
    }
    let name = model.name();
    println!(
        "{name}: {count} histories, {legal} legal, {with_info} with optional operations, {at_once} straight"
    );
    let registers = ["register", "cas-register"].contains(&name);
    assert!(!registers || at_once == count, "{at_once} of {count} straight from the columns");
    assert!(
        legal > count / 8 && count - legal > count / 8,
        "both verdicts must be common: {legal} of {count}"
    );
    assert!(with_info > count / 5);
}

/// Reads are answered so, all else is done.
pub fn reads<S>(answer: &dyn Fn(&S) -> Value) -> impl Fn(&S, &Call, &mut Dice) -> Ret {
    move |state, call, _| if call.changes() { Ret::Done } else { Ret::Value(answer(state)) }
}

/// Reads are answered wrongly so, all else is said to be done.
pub fn wrong(lie: &dyn Fn(&mut Dice) -> Value) -> impl Fn(&mut Dice, &Call) -> Ret {
    move |dice, call| if call.changes() { Ret::Done } else { Ret::Value(lie(dice)) }
}

/// Every way of looking for a legal order says what it can, and nothing wrong.
fn each_way<M: Model>(model: &M, entries: &[Entry<'_>], number: usize, wanted: Finding) {
    let by = |way| search_by(way, model, entries, &Allowance::new(BUDGET), u64::MAX).0;
    let shown = || format!("{}, history {number}: {entries:#?}", model.name());
    assert_eq!(by(Way::Breadth(usize::MAX)), wanted, "breadth first, {}", shown());
    assert_eq!(by(Way::Pieces(1 + number % 4)), wanted, "in pieces, {}", shown());
    if number % 16 == 5 {
        assert_eq!(by(Way::Race), wanted, "side by side, {}", shown());
    }
    match number % 3 {
        0 if model.deterministic() => assert_eq!(by(Way::Depth), wanted, "depth first, {}", shown()),
        0 | 1 => {
            let narrow = by(Way::Breadth(1 + number % 4));
            assert!(narrow == wanted || matches!(narrow, Finding::GaveUp(_)), "narrow, {}", shown());
        }
        _ => {
            let parts = by(Way::Parts(number % 5));
            let allowed = parts == Finding::NotLinearizable && wanted == parts;
            assert!(allowed || matches!(parts, Finding::GaveUp(_)), "parts, {}", shown());
        }
    }
}

#[test]
fn register() {
    let call = |dice: &mut Dice| match dice.below(2) {
        0 => Call::Read { key: key() },
        _ => Call::Write { key: key(), value: Value::Int(dice.below(3) as i64) },
    };
    let lie = |dice: &mut Dice| if dice.percent(10) { Value::Nil } else { Value::Int(dice.below(3) as i64) };
    agree(&Register::default(), 1, &call, &wrong(&lie), &reads(&Value::clone));
}

#[test]
fn register_with_unique_values() {
    let next = std::cell::Cell::new(0);
    let call = |dice: &mut Dice| match dice.below(2) {
        0 => Call::Read { key: key() },
        _ => {
            next.set(next.get() + 1);
            Call::Write { key: key(), value: Value::Int(next.get()) }
        }
    };
    let lie = |dice: &mut Dice| Value::Int(next.get() - dice.below(4) as i64);
    agree(&Register::default(), 2, &call, &wrong(&lie), &reads(&Value::clone));
}

#[test]
fn cas_register() {
    let call = |dice: &mut Dice| match dice.below(3) {
        0 => Call::Read { key: key() },
        1 => Call::Write { key: key(), value: Value::Int(dice.below(3) as i64) },
        _ => Call::Cas {
            key: key(),
            from: Value::Int(dice.below(3) as i64),
            to: Value::Int(dice.below(3) as i64),
        },
    };
    let lie = |dice: &mut Dice| Value::Int(dice.below(3) as i64);
    agree(&CasRegister { initial: Value::Int(0) }, 3, &call, &wrong(&lie), &reads(&Value::clone));
}

#[test]
fn string() {
    let texts = ["a", "b", "ab"];
    let call = |dice: &mut Dice| match dice.below(5) {
        0 | 1 => Call::Read { key: key() },
        2 | 3 => Call::Append { key: key(), value: texts[dice.below(3)].into() },
        _ => Call::Write { key: key(), value: ["", "a", "b"][dice.below(3)].into() },
    };
    let lie = |dice: &mut Dice| match dice.below(5) {
        0 => Value::Nil,
        1 => "".into(),
        2 => "ab".into(),
        _ => texts[dice.below(3)].into(),
    };
    agree(&TextRegister, 4, &call, &wrong(&lie), &reads(&|state: &Arc<str>| Value::Text(state.clone())));
}

/// Every history of three operations by up to three processes over two values, with every outcome, is judged rightly.
#[test]
fn exhaustive() {
    let answers = [Value::Int(0), Value::Int(1)];
    let (mut count, mut legal) = (0, 0);
    let model = CasRegister { initial: Value::Int(0) };
    let kinds = kinds(&answers);
    for orders in interleavings(3) {
        for choice in 0..kinds.len().pow(3) {
            let picked =
                [choice % kinds.len(), choice / kinds.len() % kinds.len(), choice / kinds.len().pow(2)];
            let history = laid_out(&orders, &picked.map(|at| kinds[at].clone()));
            let expected = brute_force::linearizable(&model, &history);
            let (finding, _) = search(&model, &entries(&history), &Allowance::new(BUDGET), u64::MAX);
            assert_eq!(finding == Finding::Linearizable, expected, "{:#?}", history.rows());
            count += 1;
            legal += usize::from(expected);
        }
    }
    println!("exhaustive: {count} histories, {legal} legal");
    assert_eq!(count, 15 * 14 * 14 * 14);
    assert!(legal > count / 10 && count - legal > count / 10);
}

/// Every call with every outcome.
fn kinds(values: &[Value]) -> Vec<(Call, Outcome)> {
    let mut kinds = Vec::new();
    for value in values {
        let write = Call::Write { key: key(), value: value.clone() };
        kinds.push((Call::Read { key: key() }, Outcome::Ok(Ret::Value(value.clone()))));
        for call in std::iter::once(write).chain(values.iter().map(|to| Call::Cas {
            key: key(),
            from: value.clone(),
            to: to.clone(),
        })) {
            kinds.push((call.clone(), Outcome::Ok(Ret::Done)));
            kinds.push((call, Outcome::Info("?".into())));
        }
    }
    kinds
}

/// Every order of the ends of `count` operations, each named by its operation; operations begin in their own order.
fn interleavings(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..2 * count {
        all = all
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                let begun = order.iter().max().map_or(0, |most| most + 1);
                let open = (0..begun).filter(|op| order.iter().filter(|end| *end == op).count() == 1);
                let next = open.chain((begun < count).then_some(begun)).collect::<Vec<_>>();
                next.into_iter().map(move |op| [order.clone(), vec![op]].concat())
            })
            .collect();
    }
    all
}

fn laid_out(order: &[usize], kinds: &[(Call, Outcome)]) -> History {
    let mut begun = vec![false; kinds.len()];
    let events = order.iter().enumerate().map(|(at, op)| {
        let (call, outcome) = kinds[*op].clone();
        let process = Process(*op as u32);
        let what = if std::mem::replace(&mut begun[*op], true) {
            What::Complete { process, call, outcome }
        } else {
            What::Invoke { process, node: None, call }
        };
        Event { time: Time(at as u64), what }
    });
    History::from_events(events).expect("each operation has a process of its own")
}

/// What never makes a legal history illegal: not to know what became of a call, and not to have looked.
#[test]
fn to_know_less_never_hurts() {
    let mut dice = Dice::new(21);
    let call = |dice: &mut Dice| match dice.below(3) {
        0 => Call::Read { key: key() },
        1 => Call::Write { key: key(), value: Value::Int(dice.below(4) as i64) },
        _ => Call::Cas {
            key: key(),
            from: Value::Int(dice.below(4) as i64),
            to: Value::Int(dice.below(4) as i64),
        },
    };
    let lie = |dice: &mut Dice| Value::Int(dice.below(4) as i64);
    let model = CasRegister::default();
    let shape = Shape { call: &call, lie: &wrong(&lie), operations: 30, clients: 5, info: 5, lies: 0 };
    let mut legal = 0;
    for _ in 0..2_000 {
        let history = tiny::history(&model, &mut dice, &shape, &reads(&Value::clone));
        let judge = |history: &History| {
            search(&model, &entries(history), &Allowance::new(BUDGET), u64::MAX).0 == Finding::Linearizable
        };
        assert!(judge(&history), "made by a correct register: {:#?}", history.rows());
        legal += 1;
        for at in 0..history.len() {
            let mut less = history.rows().to_vec();
            let operation = &mut less[at];
            if operation.call.changes() {
                operation.outcome = Outcome::Info("?".into());
                operation.completed = Time::NEVER;
                operation.complete = schism_history::Position::MAX;
            } else {
                less.remove(at);
            }
            assert!(judge(&history.with(less)), "without knowing {at}: {:#?}", history.rows());
        }
    }
    println!("metamorphic: {legal} histories, each with every operation forgotten once");
}

/// Two ways to the same state at the same event: in one a pending write is covered, in the other it is not. The second
/// must not stand for the first. One in a million random histories tells them apart.
#[test]
fn covered_and_not_covered_are_not_the_same() {
    is_legal(
        "p2 0-3 w1
         p0 1-6 w0
         p1 2-? w0
         p2 4-12 r0
         p0 7-9 c0>1
         p3 8-10 w2
         p0 11-14 r1
         p3 13-15 r1",
    );
}

/// What may have been written is what is there already, and yet it matters: it hides another write.
#[test]
fn a_write_of_what_is_there_can_hide_another_one() {
    is_legal(
        "p0 0-6 w7
         p1 1-4 c0>1
         p2 2-? w0
         p1 7-9 c1>2
         p0 8-10 r2",
    );
}

fn is_legal(script: &str) {
    let history = crate::script::history(script);
    let model = CasRegister { initial: Value::Int(0) };
    assert!(brute_force::linearizable(&model, &history));
    each_way(&model, &entries(&history), 0, Finding::Linearizable);
    let allowance = Allowance::new(BUDGET);
    let (finding, _) = search(&model, &entries(&history), &allowance, u64::MAX);
    assert_eq!(finding, Finding::Linearizable);
    let straight = straight(&model, history.columns(), 0..history.len(), &allowance);
    assert_eq!(straight.map(|(finding, _)| finding), Some(Finding::Linearizable));
}
