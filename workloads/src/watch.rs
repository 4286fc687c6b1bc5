//! Watches: some clients write, every value once, and the others follow the changes of a key each, from where they were
//! when their last watch ended. At the end everybody writes a last value and watches everything once more.
//!
//! Finds changes that are not told, told twice, out of order or made up, and watchers that were told different things.
//! Cannot find how late a change is told: a watch may lag behind.

use schism_checker::Watches;
use schism_engine::generator::{Calls, Context, EachThread, Forever, Generator, Next, Phases, Reserve};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key, Outcome, Ret, Value};

use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "watch",
    about: "writes, and watches that go on where they ended: every change told once, in order, to everybody",
    calls: &[CallKind::Write, CallKind::Watch, CallKind::Read],
    settings: &[
        Setting { name: "keys", about: "how many keys; 3 by default" },
        Setting { name: "writers", about: "how many clients write, the others watch; 5 by default" },
    ],
    make: |settings| make(settings),
};

/// The first revision there is.
const FIRST: i64 = 1;

/// Of a hundred calls of writers so many are reads: an answer that does not come late, beside those that may.
const READS: u64 = 20;

/// How often a client that catches up at the end watches at most, though there was something new each time.
const PATIENCE: u32 = 30;

/// What last values begin at: no run comes that far with its own.
const LAST: i64 = 1 << 40;

fn make(settings: &Settings) -> Workload {
    let keys = number(settings, "keys", 3) as i64;
    let writers = number(settings, "writers", 5) as usize;
    let follow =
        move |thread: usize| -> Box<dyn Generator> { Box::new(Follow::new(thread as i64 % keys, None)) };
    let load = Reserve::new(vec![(writers, Box::new(writes(keys)))], Box::new(EachThread::new(follow)));
    let last_writes = move |thread: usize| -> Box<dyn Generator> {
        let write = move |key: i64| Call::Write { key: key.into(), value: (LAST + thread as i64).into() };
        Box::new(Calls::new((0..keys).map(write)))
    };
    let last_watches = move |_| -> Box<dyn Generator> {
        let each = |key: i64| -> Box<dyn Generator> { Box::new(CatchUp::new(key)) };
        Box::new(Phases::new((0..keys).map(each).collect()))
    };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(load),
        finale: Box::new(Phases::new(vec![
            Box::new(EachThread::new(last_writes)),
            Box::new(EachThread::new(last_watches)),
        ])),
        checkers: vec![Box::new(Watches)],
        unique_values: true,
    }
}

/// Writes, each of another value, and a read now and then.
fn writes(keys: i64) -> impl Generator {
    let mut value = 0;
    Forever(move |context: &mut Context<'_>| {
        let key: Key = (context.random.below(keys as u64) as i64).into();
        if context.random.below(100) < READS {
            return Call::Read { key };
        }
        value += 1;
        Call::Write { key, value: value.into() }
    })
}

/// Watches one key, each time from the revision after the last one told.
struct Follow {
    key: i64,
    from: i64,
    watches_left: Option<u32>,
}

impl Follow {
    fn new(key: i64, watches: Option<u32>) -> Self {
        Follow { key, from: FIRST, watches_left: watches }
    }
}

impl Generator for Follow {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        if let Some(left) = &mut self.watches_left {
            if *left == 0 {
                return Next::Done;
            }
            *left -= 1;
        }
        Next::Call(Call::Watch { key: self.key.into(), from: self.from }, context.now)
    }

    fn update(&mut self, _: &mut Context<'_>, _: &Call, outcome: &Outcome) {
        if let Some(last) = last_told(outcome) {
            self.from = last + 1;
        }
    }
}

/// Reads a key, and follows it from the first revision until it has been told of what the read saw.
struct CatchUp {
    key: i64,
    read: bool,
    /// What it waits for; nothing if the key could not be read or holds nothing.
    awaited: Option<Value>,
    follow: Follow,
}

impl CatchUp {
    fn new(key: i64) -> Self {
        CatchUp { key, read: false, awaited: None, follow: Follow::new(key, Some(PATIENCE)) }
    }
}

impl Generator for CatchUp {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        if !self.read {
            self.read = true;
            return Next::Call(Call::Read { key: self.key.into() }, context.now);
        }
        if self.awaited.is_none() { Next::Done } else { self.follow.next(context) }
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        match (call, outcome) {
            (Call::Read { .. }, Outcome::Ok(Ret::Value(value))) if *value != Value::Nil => {
                self.awaited = Some(value.clone());
            }
            (Call::Watch { .. }, Outcome::Ok(Ret::Value(told))) => {
                let tells =
                    |event: &Value| event.elements().and_then(|event| event.get(1)) == self.awaited.as_ref();
                if told.elements().is_some_and(|told| told.iter().any(tells)) {
                    self.awaited = None;
                }
                self.follow.update(context, call, outcome);
            }
            _ => {}
        }
    }
}

/// The revision of the last change that was told.
fn last_told(outcome: &Outcome) -> Option<i64> {
    let Outcome::Ok(Ret::Value(told)) = outcome else { return None };
    match told.elements()?.last()?.elements()?.first()? {
        Value::Int(revision) => Some(*revision),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::random::Random;

    use super::*;

    fn told(events: &[(i64, i64)]) -> Outcome {
        let event = |(revision, value): &(i64, i64)| Value::list([(*revision).into(), (*value).into()]);
        Outcome::Ok(Ret::Value(Value::list(events.iter().map(event))))
    }

    /// What a client calls when it is answered so, one after the other.
    fn calls(mut generator: impl Generator, answers: &[Outcome]) -> Vec<Call> {
        let mut random = Random::of(1, "watch");
        let mut made = Vec::new();
        for answer in answers {
            let now = schism_history::Time(0);
            let mut context = Context { now, thread: 0, threads: 1, random: &mut random };
            let Next::Call(call, _) = generator.next(&mut context) else { break };
            generator.update(&mut context, &call, answer);
            made.push(call);
        }
        made
    }

    fn watch(from: i64) -> Call {
        Call::Watch { key: 1.into(), from }
    }

    #[test]
    fn a_watch_goes_on_where_the_last_one_ended() {
        let answers =
            [told(&[(4, 1), (7, 2)]), told(&[]), Outcome::Info("gone".into()), told(&[(9, 3)]), told(&[])];
        let made = calls(Follow::new(1, None), &answers);
        assert_eq!(made, [watch(1), watch(8), watch(8), watch(8), watch(10)]);
    }

    #[test]
    fn at_the_end_it_watches_until_it_is_told_what_a_read_saw() {
        let read = Outcome::Ok(Ret::Value(3.into()));
        let answers = [read, told(&[(4, 1)]), told(&[(5, 2), (6, 3)]), told(&[])];
        let made = calls(CatchUp::new(1), &answers);
        assert_eq!(made, [Call::Read { key: 1.into() }, watch(1), watch(5)]);
        // Nobody can tell of nothing.
        assert_eq!(calls(CatchUp::new(1), &[Outcome::Ok(Ret::Value(Value::Nil)), told(&[])]).len(), 1);
        // And it does not wait for ever.
        let never: Vec<_> =
            std::iter::once(Outcome::Ok(Ret::Value(3.into()))).chain((0..100).map(|_| told(&[]))).collect();
        assert_eq!(calls(CatchUp::new(1), &never).len(), 1 + PATIENCE as usize);
    }

    #[test]
    fn nobody_writes_a_value_twice() {
        use std::collections::BTreeSet;

        use schism_engine::generator::Limit;
        use schism_engine::generator::rehearsal::Rehearsal;

        let workload = make(&Settings::new());
        let mut made = Rehearsal::new(8).run(Limit::new(3_000, workload.load));
        made.extend(Rehearsal::new(8).run(workload.finale));
        let mut written = BTreeSet::new();
        for made in &made {
            if let Call::Write { key, value } = &made.call {
                assert!(written.insert((key, value)), "{value} twice");
                assert!(made.thread < 5 || value >= &Value::Int(LAST), "thread {} watches", made.thread);
            }
        }
        assert!(written.len() > 1_000);
    }
}
