//! No judge takes more memory than its budget, and says so when that was not enough. Alone in its process, since every
//! allocation counts.

#[path = "../benches/shared/counting.rs"]
mod counting;

use std::time::Duration;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use schism_checker::judges::{Object, Objects};
use schism_checker::linear::{Allowance, straight};
use schism_checker::model::CasRegister;
use schism_checker::synthetic::{self, Mix};
use schism_checker::{Budget, By, Checker, Judge, Linearizable, Verdict};
use schism_history::{Call, Event, History, Outcome, Process, Ret, Time, Value, What};

/// Clients that all enqueue at once, each an element of its own, on each of these keys; then somebody takes one of
/// them twice. A search has to try all orders.
fn all_at_once(clients: u32, keys: u32) -> History {
    let mut events = Vec::new();
    for number in 0..keys {
        let (key, first) = (Value::Int(number.into()), number * clients);
        let call = |client: u32| Call::Enqueue { key: key.clone(), value: i64::from(client).into() };
        for client in 0..clients {
            events.push(What::Invoke { process: Process(first + client), node: None, call: call(client) });
        }
        for client in 0..clients {
            let (process, outcome) = (Process(first + client), Outcome::Ok(Ret::Done));
            events.push(What::Complete { process, call: call(client), outcome });
        }
        for _ in 0..2 {
            let (process, call) = (Process(first), Call::Dequeue { key: key.clone() });
            events.push(What::Invoke { process, node: None, call: call.clone() });
            events.push(What::Complete { process, call, outcome: Outcome::Ok(Ret::Value(5.into())) });
        }
    }
    let events = events.into_iter().enumerate().map(|(at, what)| Event { time: Time(at as u64), what });
    History::from_events(events).expect("a consistent history")
}

/// Judges with this much memory, and holds what was taken against it.
#[track_caller]
fn within(checker: &dyn Checker, history: &History, bytes: usize) -> Verdict {
    // Rows are kept with the history, for whoever asks: they are no part of what a judge takes.
    assert_eq!(history.rows().len(), history.len());
    let budget = Budget { bytes, time: Duration::from_secs(3600), over: &|| false };
    let (most, judgement) = counting::most_bytes(|| checker.check(history, budget));
    println!("{}: {:?}, {most} of {bytes} bytes: {:?}", judgement.about, judgement.verdict, judgement.doubts);
    assert!(most <= bytes, "{most} of {bytes} bytes, {}", judgement.about);
    if judgement.verdict == Verdict::Unknown {
        let reason = &judgement.doubts[0].reason;
        for part in ["the memory (", "legal up to", "operations)", "configurations explored", "side by side"]
        {
            assert!(reason.contains(part), "{part:?} is not in {reason}");
        }
    }
    judgement.verdict
}

#[test]
fn the_budget_of_memory_is_kept() {
    let mib = 1 << 20;
    let searched = By { judge: Judge::Search, checker: Objects { object: Object::Queue } };
    for bytes in [4 * mib, 32 * mib, 128 * mib] {
        assert_eq!(within(&searched, &all_at_once(14, 1), bytes), Verdict::Unknown);
        // Keys judged side by side share it.
        assert_eq!(within(&searched, &all_at_once(13, 4), bytes), Verdict::Unknown);
    }
    let mut random = Pcg64::seed_from_u64(51);
    let mut next = || random.next_u64();
    let mut decided = 0;
    for number in 0..12 {
        let mix = Mix { values: 3, cas: 6, info: 10, ..Mix::cas(1_000, 16 + 8 * (number % 4)) };
        let history = synthetic::history(&mix, &mut next);
        let Some((history, _)) = synthetic::with_stale_read(&history, &mut next) else { continue };
        let checker = Linearizable { model: CasRegister::default() };
        let bytes = [2 * mib, 8 * mib][number / 4 % 2];
        decided += usize::from(within(&checker, &history, bytes) != Verdict::Unknown);
    }
    assert!(decided > 0, "some are decided in so little");
    // What is judged straight from the columns: one object alone, one among others far and near, with many pending, and some that may have happened.
    for (keys, clients, info) in [(1, 10, 0), (3, 10, 0), (12, 10, 0), (1, 25, 0), (1, 10, 1)] {
        let mix = Mix { keys, info, ..Mix::cas(10_000 * (keys + 1), clients) };
        let history = synthetic::history(&mix, &mut next);
        let of = history.by_key();
        let operations = of.iter().next().expect("a key").operations;
        let mut answers = 0;
        for bytes in (0..80).map(|step| 100_000 + step * step * 1_000) {
            let budget = Budget { bytes, time: Duration::from_secs(3600), over: &|| false };
            let (most, answer) = counting::most_bytes(|| {
                let at = operations.iter().map(|at| *at as usize);
                straight(&CasRegister::default(), history.columns(), at, &Allowance::new(budget))
            });
            assert!(
                answer.is_none() || most <= bytes,
                "{most} of {bytes} bytes, {keys} keys, {clients} clients"
            );
            answers += usize::from(answer.is_some());
        }
        assert!(answers > 2, "{keys} keys, {clients} clients: {answers}");
    }
}
