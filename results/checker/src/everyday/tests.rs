//! Each case once as it should be and once with each thing planted that its judge finds.

use std::time::Duration;

use schism_history::{Call, Event, History, Key, Outcome, Process, Ret, Time, Value, What};

use super::*;
use crate::verdict::{Budget, Checker, Verdict};

/// What a client is answered.
fn done() -> Outcome {
    Outcome::Ok(Ret::Done)
}

fn saw(value: Value) -> Outcome {
    Outcome::Ok(Ret::Value(value))
}

/// Calls one after the other, each over before the next begins; those after `ends` are in the phase final. From process 10
/// on clients are at another node.
fn history(calls: Vec<(u32, Call, Outcome)>, ends: usize) -> History {
    let (mut events, mut at) = (Vec::new(), 0);
    let mut put = |what: What| {
        at += 1_000_000;
        events.push(Event { time: Time(at), what });
    };
    for (position, (process, call, outcome)) in calls.into_iter().enumerate() {
        if position == ends {
            put(What::Phase("final".into()));
        }
        let process = Process(process);
        let node = if process.0 < 10 { "n1" } else { "n2" };
        put(What::Invoke { process, node: Some(node.into()), call: call.clone() });
        put(What::Complete { process, call, outcome });
    }
    History::from_events(events).unwrap()
}

/// The verdict, and what was found.
fn found(judge: &dyn Checker, calls: Vec<(u32, Call, Outcome)>, ends: usize) -> (Verdict, Vec<String>) {
    let budget = Budget { bytes: usize::MAX, time: Duration::MAX, over: &|| false };
    let judgement = judge.check(&history(calls, ends), budget);
    (judgement.verdict, judgement.anomalies.into_iter().map(|anomaly| anomaly.name).collect())
}

fn key() -> Key {
    Value::Int(1)
}

fn read(process: u32, value: Value) -> (u32, Call, Outcome) {
    (process, Call::Read { key: key() }, saw(value))
}

fn write(process: u32, value: Value) -> (u32, Call, Outcome) {
    (process, Call::Write { key: key(), value }, done())
}

fn cas(process: u32, from: Value, to: Value, outcome: Outcome) -> (u32, Call, Outcome) {
    (process, Call::Cas { key: key(), from, to }, outcome)
}

/// Who read what is replaced, and nobody else's.
#[test]
fn updates_that_nobody_saw_are_there_in_the_end() {
    let both = Value::list([1.into(), 2.into()]);
    let list = |value: i64| Value::list([value.into()]);
    let concurrent = vec![write(1, 1.into()), write(2, 2.into())];
    let then = |more: Vec<_>| [concurrent.clone(), more].concat();
    assert_eq!(found(&Updates, then(vec![read(3, both.clone())]), 2), KEPT);
    assert_eq!(found(&Updates, then(vec![read(3, list(2))]), 2), broken("lost update"));
    // A register without siblings keeps one.
    assert_eq!(found(&Updates, then(vec![read(3, 2.into())]), 2), broken("lost update"));
    let replacing = vec![read(3, both.clone()), write(3, 3.into())];
    assert_eq!(found(&Updates, then([replacing.clone(), vec![read(4, list(3))]].concat()), 4), KEPT);
    let back = [replacing, vec![read(4, Value::list([2.into(), 3.into()]))]].concat();
    assert_eq!(found(&Updates, then(back), 4), broken("returned value"));
    let deleted = vec![read(3, both), write(3, Value::Nil), read(4, Value::list([]))];
    assert_eq!(found(&Updates, then(deleted), 4), KEPT);
}

fn broken(name: &str) -> (Verdict, Vec<String>) {
    (Verdict::Invalid, vec![name.into()])
}

const KEPT: (Verdict, Vec<String>) = (Verdict::Valid, Vec::new());

#[test]
fn a_seat_is_sold_once_and_stays_sold() {
    let book = |process: u32, outcome| cas(process, Value::Nil, i64::from(process).into(), outcome);
    let late = || Outcome::Fail("taken".into());
    let kept = vec![book(1, done()), book(2, late()), read(3, 1.into())];
    assert_eq!(found(&Seats, kept, 2), KEPT);
    let twice = vec![book(1, done()), book(2, done()), read(3, 2.into())];
    assert_eq!(found(&Seats, twice, 2), broken("seat sold twice"));
    let gone = vec![book(1, done()), read(3, Value::Nil)];
    assert_eq!(found(&Seats, gone, 1), broken("booking lost"));
    // One whose booking got no answer may have it.
    let unsure = vec![book(1, Outcome::Info("no answer".into())), read(3, 1.into())];
    assert_eq!(found(&Seats, unsure, 1), KEPT);
    let nobody_looked = vec![book(1, done())];
    assert_eq!(found(&Seats, nobody_looked, 1).0, Verdict::Unknown);
}

#[test]
fn no_more_is_sold_than_there_is() {
    let inventory = Inventory { stock: 2 };
    let sell = |process: u32, from: Value, left: i64, outcome| {
        cas(process, from, numbered(left, i64::from(process)), outcome)
    };
    let one = || sell(1, Value::Nil, 1, done());
    let two = || sell(2, numbered(1, 1), 0, done());
    assert_eq!(found(&inventory, vec![one(), two(), read(3, numbered(0, 2))], 2), KEPT);
    let again = sell(4, numbered(1, 1), 0, done());
    let over = vec![one(), two(), again, read(3, numbered(0, 2))];
    assert_eq!(found(&inventory, over, 3), broken("oversold"));
    let forgotten = vec![one(), two(), read(3, numbered(1, 1))];
    assert_eq!(found(&inventory, forgotten, 2), broken("stock does not add up"));
    let unsure = sell(2, numbered(1, 1), 0, Outcome::Info("no answer".into()));
    for end in [numbered(1, 1), numbered(0, 2)] {
        assert_eq!(found(&inventory, vec![one(), unsure.clone(), read(3, end)], 2), KEPT);
    }
}

#[test]
fn every_like_counts() {
    let kept = vec![write(1, numbered(1, 1)), write(2, numbered(2, 2)), read(3, numbered(2, 2))];
    assert_eq!(found(&Likes, kept, 2), KEPT);
    let lost = vec![write(1, numbered(1, 1)), write(2, numbered(1, 2)), read(3, numbered(1, 2))];
    assert_eq!(found(&Likes, lost, 2), broken("lost likes"));
    // A node that is only late loses nothing, as long as another one shows it.
    let late = vec![write(1, numbered(1, 1)), read(3, Value::Nil), read(4, numbered(1, 1))];
    assert_eq!(found(&Likes, late, 1), KEPT);
}

#[test]
fn nobody_sees_a_reply_without_its_message() {
    let look =
        |process: u32, key: &str, seen: Value| (process, Call::Read { key: Value::text(key) }, saw(seen));
    let kept = vec![look(1, "m7", Value::Nil), look(1, "r7", 1.into()), look(1, "m7", 1.into())];
    assert_eq!(found(&Chat, kept, 9), KEPT);
    let torn = vec![look(1, "r7", 1.into()), look(1, "m7", Value::Nil)];
    assert_eq!(found(&Chat, torn, 9), broken("reply without its message"));
    // What another one saw is nobody else's business.
    let others = vec![look(1, "r7", 1.into()), look(2, "m7", Value::Nil)];
    assert_eq!(found(&Chat, others, 9).0, Verdict::Unknown);
}

#[test]
fn no_price_goes_back_for_a_customer() {
    let prices = || vec![write(0, 1.into()), write(0, 2.into())];
    let with = |reads: Vec<(u32, Call, Outcome)>| prices().into_iter().chain(reads).collect();
    assert_eq!(found(&Catalog, with(vec![read(1, 1.into()), read(1, 2.into())]), 9), KEPT);
    assert_eq!(found(&Catalog, with(vec![read(1, 2.into()), read(2, 1.into())]), 9), KEPT);
    let back = with(vec![read(1, 2.into()), read(1, 1.into())]);
    assert_eq!(found(&Catalog, back, 9), broken("a price went back"));
    let to_nothing = with(vec![read(1, 2.into()), read(1, Value::Nil)]);
    assert_eq!(found(&Catalog, to_nothing, 9), broken("a price went back"));
    // A write of unknown fate may come after the one that followed it.
    let unsure = (0, Call::Write { key: key(), value: 1.into() }, Outcome::Info("no answer".into()));
    let late = vec![unsure, write(5, 2.into()), read(1, 2.into()), read(1, 1.into())];
    assert_eq!(found(&Catalog, late, 9), KEPT);
}

#[test]
fn what_is_in_the_cart_is_there_at_the_checkout() {
    let add = |process: u32, item: i64| (process, Call::Add { key: key(), value: item.into() }, done());
    let items = |items: &[i64]| Value::list(items.iter().map(|item| Value::Int(*item)));
    assert_eq!(found(&Cart, vec![add(1, 5), add(1, 6), read(2, items(&[6, 5]))], 2), KEPT);
    let lost = vec![add(1, 5), add(1, 6), read(2, items(&[6]))];
    assert_eq!(found(&Cart, lost, 2), broken("item missing at the checkout"));
}

#[test]
fn every_entry_of_a_ledger_is_there_in_the_end() {
    assert_eq!(found(&Ledger, vec![write(1, 5.into()), read(2, Value::Nil), read(3, 5.into())], 1), KEPT);
    let lost = vec![write(1, 5.into()), read(2, Value::Nil), read(3, Value::Nil)];
    assert_eq!(found(&Ledger, lost, 1), broken("acknowledged write lost"));
}

#[test]
fn a_text_has_every_character_once_and_each_author_s_in_order() {
    let typed = |process: u32, value: i64, outcome: Outcome| {
        (process, Call::Append { key: key(), value: value.into() }, outcome)
    };
    let sees =
        |process: u32, values: &[i64]| read(process, Value::list(values.iter().map(|v| Value::Int(*v))));
    let ends = |sights: Vec<(u32, Call, Outcome)>| {
        let typed = vec![
            typed(1, 1, done()),
            typed(11, 2, done()),
            typed(1, 3, done()),
            typed(2, 4, Outcome::Info("no answer".into())),
            typed(4, 5, Outcome::Fail("refused".into())),
        ];
        found(&Texts, [typed, sights].concat(), 5)
    };
    for whole in [&[1, 2, 3][..], &[1, 3, 2], &[2, 1, 4, 3]] {
        assert_eq!(ends(vec![sees(3, whole), sees(13, whole)]), KEPT, "{whole:?}");
    }
    // Who looks again at the same node has seen it in the end.
    assert_eq!(ends(vec![sees(3, &[1, 3]), sees(3, &[1, 3, 2])]), KEPT);
    for (seen, name) in [
        (&[1, 3][..], "lost character"),
        (&[1, 3, 2, 3], "doubled character"),
        (&[1, 3, 2, 5], "made-up character"),
        (&[3, 2, 1], "words torn"),
    ] {
        assert_eq!(ends(vec![sees(3, seen)]), broken(name), "{seen:?}");
    }
    assert_eq!(ends(vec![sees(3, &[1, 3, 2]), sees(13, &[1, 2, 3])]), broken("texts differ"));
    assert_eq!(ends(Vec::new()).0, Verdict::Unknown);
}

#[test]
fn no_money_is_made_or_lost_and_no_account_overdrawn() {
    let bank = Bank { opening: 50 };
    let to = |process: u32, from: Value, balance: i64, outcome| {
        cas(process, from, numbered(balance, i64::from(process)), outcome)
    };
    let taken = || to(1, Value::Nil, 30, done());
    let put = |outcome| to(2, numbered(30, 1), 45, outcome);
    assert_eq!(found(&bank, vec![taken(), put(done()), read(3, numbered(45, 2))], 2), KEPT);
    let lost = vec![taken(), put(done()), read(3, numbered(30, 1))];
    assert_eq!(found(&bank, lost, 2), broken("money lost"));
    // Where there was time to settle, the node was asked again, and that is the end; elsewhere it is not.
    let behind = || vec![taken(), put(done()), read(3, numbered(30, 1)), read(3, numbered(45, 2))];
    assert_eq!(found(&bank, behind(), 2), KEPT);
    let elsewhere = behind().into_iter().chain([read(13, numbered(30, 1))]).collect();
    assert_eq!(found(&bank, elsewhere, 2), broken("money lost"));
    let made = vec![taken(), read(3, Value::Nil)];
    assert_eq!(found(&bank, made, 1), broken("money made"));
    let unsure = || put(Outcome::Info("no answer".into()));
    for end in [numbered(30, 1), numbered(45, 2)] {
        assert_eq!(found(&bank, vec![taken(), unsure(), read(3, end)], 2), KEPT);
    }
    assert_eq!(found(&bank, vec![taken(), unsure(), read(3, numbered(46, 9))], 2), broken("money made"));
    let below = vec![to(1, Value::Nil, -3, done()), read(2, numbered(-3, 1)), read(3, numbered(-3, 1))];
    assert_eq!(found(&bank, below, 2), broken("overdrawn"));
    assert_eq!(found(&bank, vec![taken()], 1).0, Verdict::Unknown);
}

#[test]
fn nothing_is_at_a_node_of_another_region() {
    let judge = Residency { regions: 2 };
    // Processes below 10 are at n1, of the first region, the others at n2, of the second.
    let asks =
        |process: u32, key: &str, seen: Value| (process, Call::Read { key: Value::text(key) }, saw(seen));
    let kept =
        vec![asks(1, "r1-5@here", 7.into()), asks(11, "r1-5@here", Value::Nil), asks(11, "r1-5", 7.into())];
    assert_eq!(found(&judge, kept, 9), KEPT);
    let astray = vec![asks(11, "r1-5@here", 7.into()), asks(11, "r1-5@here", 8.into())];
    assert_eq!(found(&judge, astray, 9), broken("out of its region"));
    assert_eq!(found(&judge, vec![asks(1, "r1-5@here", 7.into())], 9).0, Verdict::Unknown);
}
