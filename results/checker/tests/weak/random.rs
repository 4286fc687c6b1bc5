//! Random columns: of a store that keeps no promise, and of stores that keep one by how they are made.

use schism_checker::weak::Columns;

use crate::by_definition::Op;
use crate::dice::Dice;

/// A few operations by two or three sessions on one or two keys. Nearly every one is broken by some model and kept by
/// another; in one of twenty somebody sees what nobody wrote.
pub fn tiny(dice: &mut Dice, most: usize) -> Vec<Op> {
    let count = 2 + dice.below(most - 1);
    let sessions = 1 + dice.below(4.min(count));
    let keys = 1 + dice.below(2) as u32;
    let mut ops: Vec<Op> = Vec::new();
    let reads = 30 + dice.below(40);
    let changes = if dice.percent(30) { 40 } else { 0 };
    let mut written: Vec<Vec<u32>> = vec![Vec::new(); keys as usize];
    for value in 1..=count as u32 {
        let key = dice.below(keys as usize) as u32;
        let session = dice.below(sessions);
        let reads = dice.percent(reads);
        let wrote = (!reads).then_some(value);
        if let Some(wrote) = wrote {
            written[key as usize].push(wrote);
        }
        let saw = (reads || dice.percent(changes)).then_some(0);
        ops.push(Op { session, key, saw, wrote });
    }
    for op in &mut ops {
        let Op { key, saw, wrote, .. } = *op;
        if saw.is_some() {
            let seen: Vec<u32> =
                written[key as usize].iter().copied().filter(|value| Some(*value) != wrote).collect();
            op.saw = Some(match dice.below(seen.len() + 1) {
                _ if dice.below(200) == 0 => 99,
                0 => 0,
                chosen => seen[chosen - 1],
            });
        }
    }
    ops
}

/// The same as columns.
pub fn columns(ops: &[Op]) -> Columns {
    let mut columns = Columns::default();
    let sessions = ops.iter().map(|op| op.session).max().map_or(0, |most| most + 1);
    for session in 0..sessions {
        columns.session();
        for op in ops.iter().filter(|op| op.session == session) {
            match (op.saw, op.wrote) {
                (Some(saw), None) => columns.read(op.key, saw),
                (None, Some(wrote)) => columns.write(op.key, wrote),
                (Some(saw), Some(wrote)) => columns.change(op.key, saw, wrote),
                (None, None) => unreachable!("it does something"),
            }
        }
    }
    columns
}

/// What a store promises by how it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// One copy.
    Sequential,
    /// A copy a session; a write arrives with all its writer had seen, and the one that wins is the same everywhere: the
    /// one with the larger Lamport clock, then that of the larger session.
    Convergent,
    /// The same, but what arrives last wins.
    Causal,
    /// A copy a session; each sender's writes arrive in its order, whoever else's they follow.
    Fifo,
}

#[derive(Clone)]
struct Sent {
    sender: usize,
    key: usize,
    value: u32,
    lamport: u64,
    /// How many writes of each session had arrived where it was written.
    after: Vec<usize>,
}

/// What so many sessions saw of a store; half of what they do is reading.
pub fn of_store(dice: &mut Dice, store: Store, operations: usize, sessions: usize, keys: usize) -> Vec<Op> {
    let mut sent: Vec<Vec<Sent>> = vec![Vec::new(); sessions];
    // At each session: how many writes of each have arrived, and what each key holds, with what it won by.
    let mut arrived = vec![vec![0; sessions]; sessions];
    let mut copies = vec![vec![(0, (0, 0)); keys]; sessions];
    let mut lamport = vec![0u64; sessions];
    let mut ops = Vec::with_capacity(operations);
    while ops.len() < operations {
        let session = dice.below(sessions);
        // One session in three is quick to hear of others.
        for _ in 0..dice.below(if session.is_multiple_of(3) { 6 } else { 2 }) {
            let from = dice.below(sessions);
            let next = arrived[session][from];
            if store == Store::Sequential || from == session || next == sent[from].len() {
                continue;
            }
            let write = sent[from][next].clone();
            let had = |at: usize| at == from || write.after[at] <= arrived[session][at];
            if store != Store::Fifo && !(0..sessions).all(had) {
                continue;
            }
            arrived[session][from] += 1;
            lamport[session] = lamport[session].max(write.lamport);
            let place = &mut copies[session][write.key];
            let rank = (write.lamport, write.sender);
            if store != Store::Convergent || rank > place.1 {
                *place = (write.value, rank);
            }
        }
        let key = dice.below(keys);
        let copy = if store == Store::Sequential { 0 } else { session };
        if dice.percent(50) {
            ops.push(Op { session, key: key as u32, saw: Some(copies[copy][key].0), wrote: None });
            continue;
        }
        let value = ops.len() as u32 + 1;
        lamport[session] += 1;
        copies[copy][key] = (value, (lamport[session], session));
        arrived[session][session] += 1;
        let write =
            Sent { sender: session, key, value, lamport: lamport[session], after: arrived[session].clone() };
        sent[session].push(write);
        ops.push(Op { session, key: key as u32, saw: None, wrote: Some(value) });
    }
    ops
}
