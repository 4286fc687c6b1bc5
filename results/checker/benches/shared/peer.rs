//! A register with cas, as porcupine-rs wants it. Brought in by whoever compares with it, tests and benches.

use porcupine_rs::{Model, Operation};
use schism_checker::linear::Entry;
use schism_history::{Call, Ret, Value};

/// A register with cas; -1 stands for nil.
#[derive(Clone, Debug)]
pub struct PeerRegister;

/// What is done to it.
#[derive(Clone, Debug)]
pub enum PeerOp {
    /// A read, and what it saw.
    Read(i64),
    /// A write.
    Write(i64),
    /// A cas that found what it asked for.
    Cas(i64, i64),
    /// A cas of unknown fate. The peer puts every operation in line, so one that did not happen finds something else.
    MaybeCas(i64, i64),
}

impl Model for PeerRegister {
    type State = i64;
    type Op = PeerOp;
    type Metadata = ();

    fn init() -> i64 {
        -1
    }

    fn step(state: &i64, op: &PeerOp) -> (bool, i64) {
        match op {
            PeerOp::Read(seen) => (seen == state, *state),
            PeerOp::Write(value) => (true, *value),
            PeerOp::Cas(from, to) => (from == state, *to),
            PeerOp::MaybeCas(from, to) => (true, if from == state { *to } else { *state }),
        }
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(value) => *value,
        _ => -1,
    }
}

/// The same operations for the peer. Those of unknown fate return at the end of time: a write that did not happen is the
/// last of all.
pub fn for_the_peer(entries: &[Entry<'_>]) -> Vec<Operation<PeerRegister>> {
    let operations = entries.iter().enumerate().map(|(at, entry)| Operation {
        client_id: Some(at as u32),
        call_time: i64::from(entry.invoke),
        return_time: if entry.ret.is_some() { i64::from(entry.complete) } else { 1 << 40 },
        op: match (entry.call, entry.ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => PeerOp::Read(number(seen)),
            (Call::Write { value, .. }, _) => PeerOp::Write(number(value)),
            (Call::Cas { from, to, .. }, Some(_)) => PeerOp::Cas(number(from), number(to)),
            (Call::Cas { from, to, .. }, None) => PeerOp::MaybeCas(number(from), number(to)),
            (other, _) => unreachable!("no call of a register: {other}"),
        },
        metadata: None,
    });
    operations.collect()
}
