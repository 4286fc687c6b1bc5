//! The search beside porcupine-rs, wherever both can answer: it knows no calls of unknown fate.

use porcupine_rs::{Model as PeerModel, Operation as PeerOperation};
use schism_checker::linear::{Allowance, Finding, search};
use schism_checker::model::CasRegister;
use schism_checker::synthetic::{self, Mix};
use schism_history::{Call, History, Outcome, Ret, Value};

use crate::dice::Dice;
use crate::{BUDGET, entries};

/// A register with cas, as porcupine-rs wants it; -1 stands for nil.
#[derive(Clone, Debug)]
struct PeerRegister;

#[derive(Clone, Debug)]
enum PeerOp {
    Read(i64),
    Write(i64),
    Cas(i64, i64),
}

impl PeerModel for PeerRegister {
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
        }
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(value) => *value,
        _ => -1,
    }
}

fn peer(history: &History) -> bool {
    let ok = history.rows().iter().filter(|operation| operation.outcome.is_ok());
    let operations: Vec<PeerOperation<PeerRegister>> = ok
        .map(|operation| PeerOperation {
            client_id: Some(operation.process.0),
            call_time: i64::from(operation.invoke),
            return_time: i64::from(operation.complete),
            op: match (&operation.call, &operation.outcome) {
                (Call::Read { .. }, Outcome::Ok(Ret::Value(seen))) => PeerOp::Read(number(seen)),
                (Call::Write { value, .. }, _) => PeerOp::Write(number(value)),
                (Call::Cas { from, to, .. }, _) => PeerOp::Cas(number(from), number(to)),
                (other, _) => unreachable!("never generated: {other}"),
            },
            metadata: None,
        })
        .collect();
    porcupine_rs::check_operations(&operations)
}

/// Histories too long for brute force, half of them with a garbled answer.
#[test]
fn agrees_with_porcupine() {
    let mut dice = Dice::new(31);
    let (mut count, mut legal) = (0, 0);
    for number in 0..6_000 {
        let clients = 2 + number % 5;
        let mix = match number % 3 {
            0 => Mix::unique(40, clients),
            1 => Mix::cas(40, clients),
            _ => Mix { values: 3, ..Mix::unique(40, clients) },
        };
        let mut history = synthetic::history(&mix, &mut || dice.raw());
        if number % 2 == 0 {
            let reads: Vec<usize> = (0..40).filter(|at| history.rows()[*at].read().is_some()).collect();
            let Some(at) = reads.get(dice.below(reads.len().max(1))) else { continue };
            let other = reads[dice.below(reads.len())];
            let mut rows = history.rows().to_vec();
            rows[*at].outcome = rows[other].outcome.clone();
            history = history.with(rows);
        }
        let (finding, _) =
            search(&CasRegister::default(), &entries(&history), &Allowance::new(BUDGET), u64::MAX);
        let peer = peer(&history);
        assert_eq!(finding == Finding::Linearizable, peer, "{:#?}", history.rows());
        count += 1;
        legal += usize::from(peer);
    }
    println!("porcupine-rs: {count} histories, {legal} legal");
    assert!(legal > count / 2 && count - legal > count / 8);
}
