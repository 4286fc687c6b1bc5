//! The judge of staleness: against the definitions, by laws, and what it says of a read that is too old.
//!
//! `SCHISM_LONG=1000000 cargo test --release -p schism-checker --test staleness -- --nocapture` compares that many random
//! histories with the definitions.

mod by_definition;
#[path = "../linearizable/dice.rs"]
mod dice;
#[path = "../linearizable/script.rs"]
mod script;
mod situations;
mod values;
mod weak;

use std::time::Duration;

use schism_checker::{
    Budget, Checker, Judgement, LeastK, ReadStaleness, Staleness, Verdict, freshness, synthetic,
};
use schism_history::{History, Position};

use self::dice::Dice;
use self::weak::Shape;

const BUDGET: Budget<'static> = Budget { bytes: 1 << 30, time: Duration::from_secs(3600), over: &|| false };

const TINY: Shape = Shape { operations: 8, clients: 4, keys: 1, reads: 50, fresh: 40, lies: 3, ahead: 5 };

fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

#[test]
fn the_measures_are_those_of_the_definitions() {
    let (mut dice, judge) = (Dice::new(1), Staleness::default());
    let (mut agreed, mut without, mut above_zero, mut above_reads) = (0, 0, 0, 0);
    let (mut impossible, mut least_k) = (0, [0; 4]);
    let many = std::env::var("SCHISM_LONG").map_or(100_000, |many| many.parse().expect("a number"));
    while agreed < many {
        let history = weak::history(&mut dice, &TINY);
        let judgement = judge.check(&history, BUDGET);
        let bad = history.rows().iter().any(|operation| values::impossible(&history, operation));
        assert_eq!(judgement.verdict == Verdict::Invalid, bad, "{history:#?}");
        if bad {
            impossible += 1;
            continue;
        }
        let [of_key] = &judge.measure(&history)[..] else { panic!("one key: {history:#?}") };
        let least = by_definition::least_delta(&history);
        assert_eq!(of_key.delta, least.map(Duration::from_nanos), "{history:#?}");
        for read in &of_key.reads {
            let (versions, time) = by_definition::of_read(&history, &history.rows()[read.operation]);
            assert_eq!((read.versions, read.time), (versions, nanos(time)), "{read:?} of {history:#?}");
        }
        let k = by_definition::least_k(&history).map(|k| k as u64);
        match (k, of_key.k) {
            (Some(k @ (1 | 2)), LeastK { at_least, at_most }) => {
                assert_eq!((at_least, at_most), (k, Some(k)), "{history:#?}");
            }
            (Some(k), LeastK { at_least, at_most }) => {
                assert!(at_least > 2 && at_least <= k, "{k} is enough, not {at_least}: {history:#?}");
                assert!(at_most.is_none_or(|most| most >= k), "{k}, not {at_most:?}: {history:#?}");
            }
            (None, LeastK { at_most, .. }) => assert_eq!(at_most, None, "{history:#?}"),
        }
        least_k[k.map_or(0, |k| k.min(3)) as usize] += 1;
        let of_reads = of_key.reads.iter().map(|read| read.time).max().unwrap_or_default();
        assert!(of_key.delta.is_none_or(|delta| delta >= of_reads), "{history:#?}");
        agreed += 1;
        without += usize::from(least.is_none());
        above_zero += usize::from(least > Some(0));
        above_reads += usize::from(of_key.delta.is_some_and(|delta| delta > of_reads));
    }
    println!(
        "{agreed} agreed: no Δ for {without}, above zero for {above_zero}, above that of every read for \
         {above_reads}; least k: {} none, {} one, {} two, {} more; {impossible} with impossible reads",
        least_k[0], least_k[1], least_k[2], least_k[3],
    );
    assert!(least_k.iter().all(|count| *count > 1_000), "{least_k:?}");
    assert!(without > 1_000 && above_zero > 1_000 && above_reads > 300 && impossible > 1_000);
}

#[test]
fn the_curve_of_freshness_counts_every_read_after_an_acknowledgement() {
    let mut dice = Dice::new(4);
    for _ in 0..2_000 {
        let history = weak::history(&mut dice, &TINY);
        for of_key in Staleness::default().measure(&history) {
            let (mut counted, mut fresh) = (0, 0);
            for span in freshness(&of_key.reads) {
                counted += span.reads;
                fresh += span.fresh;
            }
            let after = |read: &&ReadStaleness| {
                let begins = history.rows()[read.operation].invoke;
                history.rows().iter().any(|write| {
                    let value = values::writes(write);
                    value.is_some_and(|value| {
                        let shown = values::done(&history, &of_key.key, value);
                        shown.is_some_and(|(at, _)| at < i64::from(begins))
                    })
                })
            };
            let all: Vec<_> = of_key.reads.iter().filter(after).collect();
            assert_eq!(counted, all.len() as u64, "{history:#?}");
            assert_eq!(fresh, all.iter().filter(|read| read.versions == 0).count() as u64);
        }
    }
}

#[test]
fn a_linearizable_history_is_fresh() {
    let mut dice = Dice::new(2);
    let mix = synthetic::Mix { cas: 1, keys: 3, info: 20, ..synthetic::Mix::unique(400, 6) };
    let mut stale = 0;
    for _ in 0..200 {
        let history = synthetic::history(&mix, &mut || dice.raw());
        let judge =
            Staleness { max_time: Some(Duration::ZERO), max_versions: Some(0), ..Staleness::default() };
        let judgement = judge.check(&history, BUDGET);
        assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:#?}");
        assert_eq!(fact(&judgement, "fresh reads"), "100.00 %");
        assert_eq!(fact(&judgement, "least Δ"), "0ns");
        if let Some((garbled, at)) = synthetic::with_stale_read(&history, &mut || dice.raw()) {
            let judgement = judge.check(&garbled, BUDGET);
            assert_eq!(judgement.verdict, Verdict::Invalid);
            assert!(
                judgement.anomalies.iter().any(|anomaly| anomaly.witness.contains(&at)),
                "{judgement:#?}"
            );
            stale += 1;
        }
    }
    assert!(stale > 150, "{stale}");
}

/// The same with an operation that began earlier or ended later, at another operation's end or beginning.
fn widened(history: &History, dice: &mut Dice) -> History {
    let mut wider = history.rows().to_vec();
    let at = dice.below(history.len());
    let other = history.operation(dice.below(history.len()));
    // Twice the positions, so that there is room between any two.
    for operation in &mut wider {
        operation.invoke *= 2;
        if operation.complete < Position::MAX {
            operation.complete *= 2;
        }
    }
    let operation = &mut wider[at];
    if other.invoke * 2 < operation.invoke {
        (operation.invoke, operation.invoked) = (other.invoke * 2 + 1, other.invoked);
    } else if operation.outcome.is_ok() && other.outcome.is_ok() && other.complete * 2 > operation.complete {
        (operation.complete, operation.completed) = (other.complete * 2 + 1, other.completed);
    }
    wider.sort_by_key(|operation| operation.invoke);
    history.with(wider)
}

#[test]
fn widening_an_interval_never_makes_it_staler() {
    let (mut dice, judge) = (Dice::new(3), Staleness::default());
    let (mut same, mut less) = (0, 0);
    for _ in 0..60_000 {
        let history = weak::history(&mut dice, &Shape { lies: 0, ahead: 0, operations: 12, ..TINY });
        let wider = widened(&history, &mut dice);
        let (before, after) = (&judge.measure(&history)[0], &judge.measure(&wider)[0]);
        let delta = |delta: Option<Duration>| delta.unwrap_or(Duration::MAX);
        assert!(delta(after.delta) <= delta(before.delta), "{history:#?} {wider:#?}");
        same += usize::from(after.delta == before.delta);
        less += usize::from(delta(after.delta) < delta(before.delta));
    }
    println!("{same} times the same Δ, {less} times a smaller one");
    assert!(less > 1_000);
}

fn fact<'j>(judgement: &'j Judgement, name: &str) -> &'j str {
    let found = judgement.facts.iter().find(|(of, _)| of == name);
    &found.unwrap_or_else(|| panic!("no fact {name}: {judgement:#?}")).1
}
