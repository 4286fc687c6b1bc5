//! Random histories of a few operations on a store that keeps no promise: reads see any value, old or new, or one that
//! nobody wrote; calls fail or get no answer; stamps are often equal.

use schism_history::{Call, Event, History, Outcome, Process, Ret, Time, Value, What};

use crate::dice::Dice;

/// What random histories are made of.
pub struct Shape {
    pub operations: usize,
    pub clients: usize,
    pub keys: usize,
    /// How many of a hundred calls are reads.
    pub reads: usize,
    /// How many of a hundred reads see the value written last, if they see one at all.
    pub fresh: usize,
    /// How many of a hundred reads see a value that was not written by then.
    pub lies: usize,
    /// How many of a hundred cas change a value that somebody is going to write, if at all.
    pub ahead: usize,
}

/// A history in which every value is written once. The initial value is nil.
pub fn history(dice: &mut Dice, shape: &Shape) -> History {
    let clients = 1 + dice.below(shape.clients);
    let mut left = 3 + dice.below(shape.operations - 2);
    let mut processes: Vec<u32> = (0..clients as u32).collect();
    let mut open: Vec<Option<Call>> = vec![None; clients];
    let mut written: Vec<Vec<i64>> = vec![Vec::new(); shape.keys];
    let (mut events, mut time, mut next) = (Vec::new(), 0, 0);
    while left > 0 || open.iter().any(Option::is_some) {
        let client = dice.below(clients);
        let process = Process(processes[client]);
        time += dice.below(3) as u64;
        let what = match open[client].take() {
            None if left == 0 => continue,
            None => {
                left -= 1;
                let call = call(dice, shape, &mut written, &mut next);
                open[client] = Some(call.clone());
                What::Invoke { process, node: Some(format!("n{}", client % 2)), call }
            }
            Some(call) => {
                let outcome = outcome(dice, shape, &call, &written);
                if matches!(outcome, Outcome::Info(_)) {
                    processes[client] = processes.iter().max().map_or(0, |most| most + 1);
                }
                What::Complete { process, call, outcome }
            }
        };
        events.push(Event { time: Time(time), what });
    }
    History::from_events(events).expect("one call at a time, and a new process after each info")
}

fn call(dice: &mut Dice, shape: &Shape, written: &mut [Vec<i64>], next: &mut i64) -> Call {
    let at = dice.below(written.len());
    let key = Value::Int(at as i64);
    if dice.percent(shape.reads) {
        return Call::Read { key };
    }
    *next += 1;
    let from = match written[at].len() {
        _ if dice.percent(shape.ahead) => Value::Int(*next + 1 + dice.below(3) as i64),
        0 => Value::Nil,
        some if dice.percent(80) => Value::Int(written[at][some - 1 - dice.below(some.min(2))]),
        _ => Value::Nil,
    };
    written[at].push(*next);
    if dice.percent(70) {
        Call::Write { key, value: Value::Int(*next) }
    } else {
        Call::Cas { key, from, to: Value::Int(*next) }
    }
}

fn outcome(dice: &mut Dice, shape: &Shape, call: &Call, written: &[Vec<i64>]) -> Outcome {
    let (Call::Read { key }, Value::Int(at)) = (call, call.key()) else {
        return match dice.below(20) {
            0..2 => Outcome::Fail("refused".into()),
            2..5 => Outcome::Info("no answer".into()),
            _ => Outcome::Ok(Ret::Done),
        };
    };
    assert_eq!(call.key(), key);
    let written = &written[*at as usize];
    let value = match written.len() {
        _ if dice.percent(shape.lies) => Value::Int(dice.below(9) as i64),
        0 => Value::Nil,
        some if dice.percent(shape.fresh) => Value::Int(written[some - 1]),
        some => dice.below(some + 1).checked_sub(1).map_or(Value::Nil, |at| Value::Int(written[at])),
    };
    Outcome::Ok(Ret::Value(value))
}
