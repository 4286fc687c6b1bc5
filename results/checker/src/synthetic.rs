//! Histories whose verdict is known because of how they were made: for tests, benches and ground truth, never for judging.
//!
//! A correct register a key is used by clients that call it back to back; every call takes effect at one moment between
//! its invocation and its completion, so the history is linearizable by construction. A mutation then plants a known
//! wrong. The caller brings the random numbers: there are none in this crate.

pub mod objects;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use schism_history::{Call, Event, History, Operation, Outcome, Process, Ret, Time, Value, What};

/// What a history is made of. The shares are weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// How many operations.
    pub operations: usize,
    /// How many clients call at the same time.
    pub clients: usize,
    /// How many registers they use, each as likely as the other.
    pub keys: usize,
    /// Share of reads.
    pub reads: u64,
    /// Share of writes.
    pub writes: u64,
    /// Share of compare-and-set calls.
    pub cas: u64,
    /// How many different values are written; zero for a new one each time.
    pub values: u64,
    /// How many of a thousand calls end in info.
    pub info: u64,
}

impl Mix {
    /// Reads and writes in equal shares, a new value each write, on one key.
    pub fn unique(operations: usize, clients: usize) -> Self {
        Mix { operations, clients, keys: 1, reads: 1, writes: 1, cas: 0, values: 0, info: 0 }
    }

    /// Reads, writes and cas in equal shares over five values, on one key.
    pub fn cas(operations: usize, clients: usize) -> Self {
        Mix { operations, clients, keys: 1, reads: 1, writes: 1, cas: 1, values: 5, info: 0 }
    }
}

/// When a call of a client reaches the register, and what it finds.
enum Step {
    Invoke,
    Effect(usize),
    Complete(usize),
}

/// A call on its way.
struct Flight {
    process: Process,
    client: usize,
    call: Call,
    said: Option<Outcome>,
    lost: bool,
}

struct Simulation<'a, N> {
    mix: Mix,
    next: &'a mut N,
    registers: Vec<Value>,
    due: BinaryHeap<Reverse<(u64, usize)>>,
    steps: Vec<(usize, Step)>,
    flights: Vec<Flight>,
    events: Vec<Event>,
    processes: Vec<u32>,
    written: i64,
}

/// A linearizable history. `next` yields 64 random bits a call. O(n log n).
pub fn history(mix: &Mix, next: &mut impl FnMut() -> u64) -> History {
    let mut simulation = Simulation {
        mix: *mix,
        next,
        registers: vec![Value::Nil; mix.keys],
        due: BinaryHeap::new(),
        steps: Vec::new(),
        flights: Vec::new(),
        events: Vec::new(),
        processes: (0..mix.clients as u32).collect(),
        written: 0,
    };
    for client in 0..mix.clients {
        let start = simulation.below(1_000);
        simulation.plan(start, client, Step::Invoke);
    }
    while let Some(Reverse((time, step))) = simulation.due.pop() {
        simulation.run(time, step);
    }
    History::from_events(simulation.events).expect("one call at a time, and a new process after each info")
}

impl<N: FnMut() -> u64> Simulation<'_, N> {
    fn below(&mut self, n: u64) -> u64 {
        (self.next)() % n
    }

    fn plan(&mut self, time: u64, client: usize, step: Step) {
        self.due.push(Reverse((time, self.steps.len())));
        self.steps.push((client, step));
    }

    fn run(&mut self, time: u64, step: usize) {
        let (client, step) = std::mem::replace(&mut self.steps[step], (0, Step::Invoke));
        match step {
            Step::Invoke => self.invoke(time, client),
            Step::Effect(flight) => self.effect(flight),
            Step::Complete(flight) => self.complete(time, flight),
        }
    }

    fn invoke(&mut self, time: u64, client: usize) {
        if self.flights.len() == self.mix.operations {
            return;
        }
        let call = self.draw();
        let process = Process(self.processes[client]);
        let node = Some(format!("n{}", client % 5 + 1));
        self.record(time, What::Invoke { process, node, call: call.clone() });
        let flight = self.flights.len();
        let lost = self.below(1_000) < self.mix.info;
        self.flights.push(Flight { process, client, call, said: None, lost });
        let took = 100 + self.below(1_801);
        let mut effect = self.below(took + 1);
        if lost {
            match self.below(3) {
                0 => effect += 10 * took,
                1 => effect = u64::MAX,
                _ => {}
            }
        }
        // The effect is planned before the completion: of two steps at the same time the first planned is the first run.
        if effect < u64::MAX {
            self.plan(time + effect, client, Step::Effect(flight));
        }
        self.plan(time + took, client, Step::Complete(flight));
    }

    fn draw(&mut self) -> Call {
        let key = Value::Int(self.below(self.mix.keys as u64) as i64);
        let share = self.below(self.mix.reads + self.mix.writes + self.mix.cas);
        if share < self.mix.reads {
            return Call::Read { key };
        }
        let value = self.value();
        if share < self.mix.reads + self.mix.writes {
            return Call::Write { key, value };
        }
        let from = match self.mix.values {
            // With new values each time, only what is there now has a chance.
            0 => self.registers[key_index(&key)].clone(),
            _ => self.value(),
        };
        Call::Cas { key, from, to: value }
    }

    fn value(&mut self) -> Value {
        self.written += 1;
        match self.mix.values {
            0 => Value::Int(self.written),
            values => Value::Int(self.below(values) as i64),
        }
    }

    fn effect(&mut self, flight: usize) {
        let flight = &mut self.flights[flight];
        let register = &mut self.registers[key_index(flight.call.key())];
        flight.said = Some(match &flight.call {
            Call::Read { .. } => Outcome::Ok(Ret::Value(register.clone())),
            Call::Cas { from, .. } if from != register => Outcome::Fail("it held another value".into()),
            Call::Cas { to: value, .. } | Call::Write { value, .. } => {
                *register = value.clone();
                Outcome::Ok(Ret::Done)
            }
            other => unreachable!("never drawn: {other}"),
        });
    }

    fn complete(&mut self, time: u64, flight: usize) {
        let Flight { process, client, .. } = self.flights[flight];
        let call = self.flights[flight].call.clone();
        let outcome = if self.flights[flight].lost {
            self.processes[client] = self.processes.iter().max().map_or(0, |most| most + 1);
            Outcome::Info("no answer in time".into())
        } else {
            self.flights[flight].said.take().expect("its effect was planned no later than its completion")
        };
        self.record(time, What::Complete { process, call, outcome });
        self.plan(time, client, Step::Invoke);
    }

    fn record(&mut self, microseconds: u64, what: What) {
        self.events.push(Event { time: Time(microseconds * 1_000), what });
    }
}

fn key_index(key: &Value) -> usize {
    match key {
        Value::Int(key) => *key as usize,
        other => unreachable!("keys are drawn as integers, not {other}"),
    }
}

/// The same history with one read garbled: it returns a value that was overwritten before it began, by a write that
/// began after the write of that value was over. Returns where it is, too. `None` if the history has no such read.
/// A violation for certain only where every value is written once.
pub fn with_stale_read(history: &History, next: &mut impl FnMut() -> u64) -> Option<(History, usize)> {
    let total = history.len();
    for _ in 0..1_000 {
        let at = total / 2 + (next() % (total / 2).max(1) as u64) as usize;
        let read = history.rows().get(at)?;
        let (Some(seen), key) = (read.read(), read.call.key()) else { continue };
        let writes = |operation: &&Operation| {
            operation.outcome.is_ok() && operation.call.key() == key && operation.precedes(read)
        };
        let Some((newer, _)) = last_write(&history.rows()[..at], writes) else { continue };
        let before_newer = |operation: &&Operation| {
            operation.outcome.is_ok() && operation.call.key() == key && operation.precedes(newer)
        };
        let Some((_, value)) = last_write(&history.rows()[..at], before_newer) else { continue };
        if value == seen {
            continue;
        }
        let mut rows = history.rows().to_vec();
        rows[at].outcome = Outcome::Ok(Ret::Value(value.clone()));
        return Some((history.with(rows), at));
    }
    None
}

fn last_write(
    operations: &[Operation],
    wanted: impl Fn(&&Operation) -> bool,
) -> Option<(&Operation, &Value)> {
    operations.iter().rev().filter(wanted).find_map(|operation| match &operation.call {
        Call::Write { value, .. } => Some((operation, value)),
        _ => None,
    })
}
