//! The judge of session guarantees: against the definitions, by laws, and what it says of each guarantee that is broken.

mod by_definition;
#[path = "../linearizable/dice.rs"]
mod dice;
#[path = "../linearizable/script.rs"]
mod script;
mod situations;
#[path = "../staleness/values.rs"]
mod values;
#[path = "../staleness/weak.rs"]
mod weak;

use std::time::Duration;

use schism_checker::{Budget, Checker, Guarantee, Session, Sessions, Verdict, synthetic};
use schism_history::{History, Value};

use self::by_definition::OfKey;
use self::dice::Dice;
use self::weak::Shape;

const BUDGET: Budget<'static> = Budget { bytes: 1 << 30, time: Duration::from_secs(3600), over: &|| false };

#[test]
fn what_is_broken_is_what_no_order_of_versions_gives() {
    let mut dice = Dice::new(11);
    let mut broken = [0; Guarantee::ALL.len()];
    let (mut kept, mut shown) = (0, 0);
    for round in 0..60_000 {
        let keys = 1 + dice.below(2);
        let shape = match round % 5 {
            0..3 => Shape { operations: 10, clients: 3, keys, reads: 60, fresh: 60, lies: 2, ahead: 5 },
            // Promises about writes are broken by cas only, which takes knots of them.
            _ => Shape { operations: 7, clients: 4, keys: 1, reads: 25, fresh: 40, lies: 0, ahead: 70 },
        };
        let history = weak::history(&mut dice, &shape);
        let session = if round % 3 == 0 { Session::Node } else { Session::Process };
        let judge = Sessions { session, real_time: round % 2 == 0, ..Sessions::default() };
        let found = judge.broken(&history);
        shown += alone_shows_it(&judge, &history, &found);
        for of_key in history.by_key().iter() {
            let key = of_key.key;
            let of = OfKey::new(&history, key);
            let orders = of.orders(judge.real_time);
            let gives = |guarantee| orders.iter().any(|order| of.keeps(order, guarantee, session));
            let alone = Guarantee::ALL[..4].iter().all(|guarantee| gives(*guarantee));
            for (at, guarantee) in Guarantee::ALL.into_iter().enumerate() {
                let told = guarantee != Guarantee::Together || alone;
                // No order at all: cas go round in a circle, which is no matter of sessions.
                let expected = !orders.is_empty() && told && !gives(guarantee);
                let is = found.contains(&(key.clone(), guarantee));
                assert_eq!(is, expected, "{guarantee:?} of {key} by {judge:?} in {history:#?}");
                broken[at] += usize::from(is);
                kept += usize::from(!is);
            }
        }
    }
    println!(
        "60000 histories agreed: kept {kept}, {shown} witnesses, broken {broken:?} as in {:?}",
        Guarantee::ALL
    );
    assert!(broken.iter().all(|count| *count > 25));
}

/// Each witness, with nothing else in the history, breaks the same guarantee. How many there are.
fn alone_shows_it(judge: &Sessions, history: &History, found: &[(Value, Guarantee)]) -> usize {
    if found.is_empty() {
        return 0;
    }
    let anomalies = judge.check(history, BUDGET).anomalies;
    for (key, guarantee) in found {
        let mut of = anomalies.iter().filter(|anomaly| anomaly.key.as_ref() == Some(key));
        let anomaly = of.find(|anomaly| anomaly.name == guarantee.anomaly()).expect("what is broken is told");
        let part = history.with(anomaly.witness.iter().map(|at| history.operation(*at)));
        let still = judge.broken(&part);
        // All four together may show as one alone, where time was no evidence before.
        let same = still.contains(&(key.clone(), *guarantee))
            || *guarantee == Guarantee::Together && !still.is_empty();
        assert!(same, "{anomaly:#?} {part:#?}");
    }
    found.len()
}

#[test]
fn a_linearizable_history_keeps_them_all() {
    let mut dice = Dice::new(12);
    let mut found_stale = 0;
    for _ in 0..200 {
        let mix = synthetic::Mix { cas: 1, keys: 3, info: 20, ..synthetic::Mix::unique(400, 6) };
        let history = synthetic::history(&mix, &mut || dice.raw());
        for session in [Session::Process, Session::Node] {
            for real_time in [false, true] {
                let judge = Sessions { session, real_time, ..Sessions::default() };
                let judgement = judge.check(&history, BUDGET);
                assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:#?}");
            }
        }
        if let Some((garbled, _)) = synthetic::with_stale_read(&history, &mut || dice.raw()) {
            // A stale read is no broken promise to a session that had not seen anything newer.
            let judgement = Sessions { real_time: true, ..Sessions::default() }.check(&garbled, BUDGET);
            for anomaly in &judgement.anomalies {
                assert!(anomaly.witness.len() <= 6, "{anomaly:#?}");
            }
            found_stale += usize::from(judgement.verdict == Verdict::Invalid);
        }
    }
    println!("{found_stale} of 200 stale reads broke a promise");
    assert!(found_stale > 20);
}
