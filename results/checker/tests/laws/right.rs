//! Stores that are right by how they are made: every call takes effect at one moment between its ends.

use schism_history::{Call, Event, History, Key, Outcome, Process, Ret, Time, Value, What};

use crate::dice::Dice;

/// What there is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Register,
    Set,
    Elements,
    Log,
    Queue,
    Stack,
    Smallest,
    Counter,
    Ids,
    Lock,
    Watched,
}

/// The one copy.
#[derive(Default)]
struct Copy {
    value: Value,
    items: Vec<i64>,
    count: i64,
    holder: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
enum At {
    Idle,
    Called(Call),
    Done(Call, Outcome),
}

struct Client {
    process: u32,
    at: At,
    /// The token of the lock it holds.
    holds: Option<i64>,
}

/// A history of so many operations by so many clients, one call in thirty without an answer; of what can be read or taken,
/// all is in the end, in the phase `final`.
pub fn made(store: Store, operations: usize, clients: usize, dice: &mut Dice) -> History {
    let mut run = Run { store, copy: Copy::default(), fresh: 0, events: Vec::new() };
    let mut all: Vec<Client> =
        (0..clients as u32).map(|process| Client { process, at: At::Idle, holds: None }).collect();
    let mut left = operations;
    // Those who wait for a lock that nobody is going to give back wait for ever.
    for _ in 0..40 * operations {
        let client = dice.below(clients);
        run.step(&mut all[client], clients as u32, &mut left, dice);
        if left == 0 && all.iter().all(|client| client.at == At::Idle) {
            break;
        }
    }
    run.finale(all.iter().map(|client| client.process).max().unwrap_or(0) + clients as u32);
    History::from_events(run.events).expect("every call has one end at most")
}

struct Run {
    store: Store,
    copy: Copy,
    fresh: i64,
    events: Vec<Event>,
}

impl Run {
    fn note(&mut self, what: What) {
        self.events.push(Event { time: Time(self.events.len() as u64 * 1_000_000), what });
    }

    fn step(&mut self, client: &mut Client, clients: u32, left: &mut usize, dice: &mut Dice) {
        let process = Process(client.process);
        client.at = match std::mem::replace(&mut client.at, At::Idle) {
            At::Idle if *left == 0 => At::Idle,
            At::Idle => {
                *left -= 1;
                let call = self.call(client.holds, dice);
                let node = Some(format!("n{}", client.process % clients % 3));
                self.note(What::Invoke { process, node, call: call.clone() });
                At::Called(call)
            }
            At::Called(call) if dice.below(30) == 0 && self.may_get_lost(&call) => {
                // A holder that does not come back would leave all others waiting.
                if dice.percent(50) || self.store == Store::Lock {
                    self.effect(client.process, &call);
                }
                let outcome = Outcome::Info("no answer".into());
                self.note(What::Complete { process, call, outcome });
                (client.process, client.holds) = (client.process + clients, None);
                At::Idle
            }
            At::Called(call) => match self.effect(client.process, &call) {
                Some(outcome) => At::Done(call, outcome),
                None => At::Called(call),
            },
            At::Done(call, outcome) => {
                client.holds = match (&call, &outcome) {
                    (Call::Acquire { .. }, Outcome::Ok(Ret::Value(Value::Int(token)))) => Some(*token),
                    (Call::Release { .. }, _) => None,
                    _ => client.holds,
                };
                self.note(What::Complete { process, call, outcome });
                At::Idle
            }
        };
    }

    fn may_get_lost(&self, call: &Call) -> bool {
        self.store != Store::Lock || matches!(call, Call::Release { .. })
    }

    fn call(&mut self, holds: Option<i64>, dice: &mut Dice) -> Call {
        let key: Key = 1.into();
        let mut fresh = || {
            self.fresh += 1;
            Value::Int(self.fresh)
        };
        let draw = dice.below(10);
        match (self.store, draw) {
            (Store::Register, 0..=2) | (Store::Watched, 0..=6) => Call::Write { key, value: fresh() },
            (Store::Register, 3) => Call::Cas { key, from: self.copy.value.clone(), to: fresh() },
            (Store::Set | Store::Elements, 0..=3) => Call::Add { key, value: fresh() },
            (Store::Elements, 4..=8) => {
                Call::Contains { key, value: (1 + dice.below(self.fresh as usize + 1) as i64).into() }
            }
            (Store::Elements, _) => {
                // Each once: those that nobody adds any more, from the first on.
                self.copy.count += 1;
                Call::Remove { key, value: self.copy.count.into() }
            }
            (Store::Log, 0..=5) => Call::Append { key, value: fresh() },
            (Store::Queue, 0..=4) => Call::Enqueue { key, value: fresh() },
            (Store::Smallest, 0..=4) => {
                let Value::Int(next) = fresh() else { unreachable!("fresh ones are numbers") };
                // Each once, in no order.
                Call::Enqueue { key, value: (next * 7_919 % 10_007).into() }
            }
            (Store::Queue | Store::Smallest, _) => Call::Dequeue { key },
            (Store::Stack, 0..=4) => Call::Push { key, value: fresh() },
            (Store::Stack, _) => Call::Pop { key },
            (Store::Counter, 0..=4) => Call::Increment { key, by: 1 },
            (Store::Watched, _) => Call::Watch { key, from: dice.below(2 + self.copy.items.len()) as i64 },
            (Store::Ids, _) => Call::Generate { key },
            (Store::Lock, draw) => match holds {
                None => Call::Acquire { key },
                Some(token) if draw < 5 => Call::Use { key, token: token.into() },
                Some(_) => Call::Release { key },
            },
            _ => Call::Read { key },
        }
    }

    /// What a call does, and its answer. None while it has to wait.
    fn effect(&mut self, process: u32, call: &Call) -> Option<Outcome> {
        let copy = &mut self.copy;
        let taken = |item: Option<i64>| item.map_or(Value::Nil, Value::Int);
        let answer = match call {
            Call::Write { value: Value::Int(item), .. } => {
                copy.items.push(*item);
                copy.value = Value::Int(*item);
                return Some(Outcome::Ok(Ret::Done));
            }
            Call::Cas { from, .. } if *from != copy.value => {
                return Some(Outcome::Fail("it held something else".into()));
            }
            Call::Cas { to, .. } => {
                copy.value = to.clone();
                return Some(Outcome::Ok(Ret::Done));
            }
            Call::Add { value: Value::Int(item), .. }
            | Call::Enqueue { value: Value::Int(item), .. }
            | Call::Push { value: Value::Int(item), .. } => {
                copy.items.push(*item);
                return Some(Outcome::Ok(Ret::Done));
            }
            Call::Append { value: Value::Int(item), .. } => {
                copy.items.push(*item);
                Value::Int(copy.items.len() as i64 - 1)
            }
            Call::Remove { value: Value::Int(item), .. } => {
                copy.items.retain(|other| other != item);
                return Some(Outcome::Ok(Ret::Done));
            }
            // Revisions count from 1 on, as the items do.
            Call::Watch { from, .. } => {
                let all = (1..).zip(&copy.items).filter(|(revision, _)| *revision >= *from);
                Value::list(all.map(|(revision, item)| Value::list([revision.into(), (*item).into()])))
            }
            Call::Contains { value: Value::Int(item), .. } => Value::Bool(copy.items.contains(item)),
            Call::Dequeue { .. } if self.store == Store::Smallest => {
                copy.items.sort_unstable();
                taken((!copy.items.is_empty()).then(|| copy.items.remove(0)))
            }
            Call::Dequeue { .. } => taken((!copy.items.is_empty()).then(|| copy.items.remove(0))),
            Call::Pop { .. } => taken(copy.items.pop()),
            Call::Increment { .. } => {
                copy.count += 1;
                return Some(Outcome::Ok(Ret::Done));
            }
            Call::Generate { .. } => {
                copy.count += 1;
                Value::Int(copy.count)
            }
            Call::Acquire { .. } if copy.holder.is_some() => return None,
            Call::Acquire { .. } => {
                copy.holder = Some(process);
                copy.count += 1;
                Value::Int(copy.count)
            }
            Call::Release { .. } => {
                copy.holder = None;
                return Some(Outcome::Ok(Ret::Done));
            }
            Call::Use { .. } => return Some(Outcome::Ok(Ret::Done)),
            Call::Read { .. } => match self.store {
                Store::Register => copy.value.clone(),
                Store::Counter => Value::Int(copy.count),
                _ => Value::list(copy.items.iter().map(|item| Value::Int(*item))),
            },
            other => unreachable!("never called: {other}"),
        };
        Some(Outcome::Ok(Ret::Value(answer)))
    }

    /// Reads at every node; takes until nothing is left.
    fn finale(&mut self, process: u32) {
        self.note(What::Phase("final".into()));
        let key: Key = 1.into();
        let call = match self.store {
            Store::Register | Store::Set | Store::Log | Store::Counter => Call::Read { key },
            Store::Queue | Store::Smallest => Call::Dequeue { key },
            Store::Stack => Call::Pop { key },
            Store::Watched => Call::Watch { key, from: 1 },
            Store::Elements | Store::Ids | Store::Lock => return,
        };
        for turn in 0.. {
            let process = Process(process + turn);
            let outcome = self.effect(process.0, &call).expect("nobody waits for this");
            let empty = outcome == Outcome::Ok(Ret::Value(Value::Nil));
            self.note(What::Invoke { process, node: Some(format!("n{}", turn % 3)), call: call.clone() });
            self.note(What::Complete { process, call: call.clone(), outcome });
            let reads = !call.changes();
            if (reads && turn == 2) || (!reads && empty) {
                return;
            }
        }
    }
}
