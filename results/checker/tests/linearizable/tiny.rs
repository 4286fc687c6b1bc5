//! Random histories of a few operations: some legal, some not, with failed calls and calls of unknown fate.

use schism_checker::model::Model;
use schism_history::{Call, Event, History, Outcome, Process, Ret, Time, What};

use crate::dice::Dice;

/// What random histories are made of.
pub struct Shape<'a> {
    /// Draws the next call.
    pub call: &'a dyn Fn(&mut Dice) -> Call,
    /// Draws an answer, when it shall be a wrong one.
    pub lie: &'a dyn Fn(&mut Dice, &Call) -> Ret,
    /// The number of operations, at most.
    pub operations: usize,
    /// Clients, at most.
    pub clients: usize,
    /// How many of a hundred calls end in info.
    pub info: usize,
    /// How many of a hundred answers are drawn blindly.
    pub lies: usize,
}

struct Open {
    process: Process,
    call: Call,
    /// What the object said, once the call took effect.
    said: Option<Option<Ret>>,
}

/// A history in which an object that follows the model is used by several clients, and its answers are garbled here and
/// there.
pub fn history<M: Model>(
    model: &M,
    dice: &mut Dice,
    shape: &Shape<'_>,
    answer: &dyn Fn(&M::State, &Call, &mut Dice) -> Ret,
) -> History {
    let clients = 1 + dice.below(shape.clients);
    let mut budget = 3 + dice.below(shape.operations - 2);
    let mut open: Vec<Option<Open>> = (0..clients).map(|_| None).collect();
    let mut processes: Vec<u32> = (0..clients as u32).collect();
    let mut lost: Vec<Call> = Vec::new();
    let mut state = model.initial();
    let mut events: Vec<What> = Vec::new();
    while budget > 0 || open.iter().any(Option::is_some) {
        let client = dice.below(clients);
        let Some(pending) = &mut open[client] else {
            if budget > 0 {
                budget -= 1;
                let call = (shape.call)(dice);
                let process = Process(processes[client]);
                events.push(What::Invoke { process, node: None, call: call.clone() });
                open[client] = Some(Open { process, call, said: None });
            }
            continue;
        };
        // A call whose client gave up may still take effect, much later.
        if !lost.is_empty() && dice.percent(20) {
            let call = lost.remove(0);
            state = take_effect(model, &state, &call, answer, dice).0;
        }
        if pending.said.is_none() {
            let (after, said) = take_effect(model, &state, &pending.call, answer, dice);
            let gives_up = dice.percent(shape.info);
            if gives_up && dice.percent(50) {
                lost.push(pending.call.clone());
            } else if !gives_up || dice.percent(50) {
                state = after;
            }
            pending.said = Some(said);
            if gives_up {
                events.push(What::Complete {
                    process: pending.process,
                    call: pending.call.clone(),
                    outcome: Outcome::Info("no answer".into()),
                });
                open[client] = None;
                processes[client] = processes.iter().max().map_or(0, |most| most + 1);
            }
            continue;
        }
        let Some(Open { process, call, said }) = open[client].take() else { continue };
        let mut outcome = match said.flatten() {
            Some(ret) => Outcome::Ok(ret),
            None => Outcome::Fail("refused".into()),
        };
        if dice.percent(shape.lies) {
            outcome = if !call.changes() || dice.percent(50) {
                Outcome::Ok((shape.lie)(dice, &call))
            } else {
                Outcome::Fail("said to have failed".into())
            };
        }
        events.push(What::Complete { process, call, outcome });
    }
    let events =
        events.into_iter().enumerate().map(|(at, what)| Event { time: Time(at as u64 * 1_000_000), what });
    History::from_events(events).expect("one call at a time, and a new process after each info")
}

fn take_effect<M: Model>(
    model: &M,
    state: &M::State,
    call: &Call,
    answer: &dyn Fn(&M::State, &Call, &mut Dice) -> Ret,
    dice: &mut Dice,
) -> (M::State, Option<Ret>) {
    let ret = answer(state, call, dice);
    match model.step(state, call, Some(&ret)) {
        Some(after) => (after, Some(ret)),
        None => (state.clone(), None),
    }
}
