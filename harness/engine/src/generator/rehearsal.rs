//! Runs a generator without a cluster: pretended threads, pretended time, every answer ok after a fixed latency. For
//! tests of generators, and of workloads made of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use schism_history::{Call, Outcome, Ret, Time, Value};

use super::{Context, Forever, Generator, Next};
use crate::random::Random;

/// How to rehearse.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    threads: usize,
    latency: Duration,
    seed: u64,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// By which thread.
    pub thread: usize,
    /// When it was due.
    pub due: Time,
    /// When it was made.
    pub at: Time,
    /// When its answer came.
    pub ended: Time,
    /// What it was.
    pub call: Call,
}

impl Rehearsal {
    /// With so many threads, answers after a microsecond and seed 1.
    pub fn new(threads: usize) -> Self {
        Rehearsal { threads, latency: Duration::from_micros(1), seed: 1 }
    }

    /// With answers that take so long.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Rehearsal { latency, ..self }
    }

    /// All calls the generator makes until every thread is done, in the order in which they were made. Reads answer
    /// `nil`, everything else `done`.
    ///
    /// # Panics
    /// If all threads wait for one another for ever, or the generator never ends (a million calls).
    pub fn run(&self, mut generator: impl Generator) -> Vec<Made> {
        let mut random = Random::of(self.seed, "rehearsal");
        let mut made: Vec<Made> = Vec::new();
        // What happens next: a thread is free at a time, having completed a call or not.
        let mut free: BinaryHeap<Reverse<(Time, usize, Option<usize>)>> = BinaryHeap::new();
        free.extend((0..self.threads).map(|thread| Reverse((Time(0), thread, None))));
        let mut waiting: Vec<usize> = Vec::new();
        while let Some(Reverse((now, thread, completed))) = free.pop() {
            let mut context = Context { now, thread, threads: self.threads, random: &mut random };
            if let Some(at) = completed {
                let call = made[at].call.clone();
                let ret = if call.changes() { Ret::Done } else { Ret::Value(Value::Nil) };
                generator.update(&mut context, &call, &Outcome::Ok(ret));
            }
            let next = generator.next(&mut context);
            if next != Next::Wait {
                free.extend(waiting.drain(..).map(|thread| Reverse((now, thread, None))));
            }
            match next {
                Next::Done => {}
                Next::Wait => waiting.push(thread),
                Next::Later(at) => {
                    assert!(at > now, "told to come back at {at}, which is not ahead");
                    free.push(Reverse((at, thread, None)));
                }
                Next::Call(call, due) => {
                    let at = now;
                    let ended = Time::from(at.since_start() + self.latency);
                    free.push(Reverse((ended, thread, Some(made.len()))));
                    made.push(Made { thread, due, at, ended, call });
                    assert!(made.len() < 1_000_000, "the generator does not end");
                }
            }
        }
        assert!(waiting.is_empty(), "threads {waiting:?} wait for ever");
        made.sort_by_key(|call| call.at);
        made
    }
}

/// Reads of key 0, for ever.
pub fn reads() -> impl Generator {
    reads_of(0)
}

/// Reads of a key, for ever.
pub fn reads_of(key: i64) -> impl Generator {
    Forever(move |_: &mut Context<'_>| Call::Read { key: key.into() })
}

/// Writes to key 0, each of another value, for ever.
pub fn writes() -> impl Generator {
    let mut value = 0;
    Forever(move |_: &mut Context<'_>| {
        value += 1;
        Call::Write { key: 0.into(), value: value.into() }
    })
}
