//! The operations on one register as columns: where each begins and ends, and the value it is about, as a number.
//!
//! Twelve bytes an operation, and eight more for a cas.

use schism_history::{Call, CallKind, Position, Ret, Status, Value};

use super::numbers::Numbers;
use super::{Cluster, NEVER, after};
use crate::linear::Entry;

/// Marks, beside the value, an operation that leaves it there; one without only saw it.
pub(super) const WRITES: u32 = 1 << 31;

/// A cas from one value to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// Which operation it is; its value is the one it leaves.
    pub(super) operation: u32,
    /// The value it asks for.
    pub(super) from: u32,
}

/// The operations on one register, in the order of invocation. Values are numbers: 0 is what the register holds at
/// first, the others are best given out in the order of their first use, since memory goes by the largest.
///
/// ```
/// use schism_checker::zones::{Columns, Zones};
///
/// let mut columns = Columns::default();
/// columns.write(1, 0, Some(1));
/// columns.write(2, 2, Some(3));
/// assert_eq!(columns.judge(), Zones::Linearizable);
/// columns.read(1, 4, 5);
/// assert!(matches!(columns.judge(), Zones::NotLinearizable(_)), "a stale read");
/// ```
#[derive(Clone, Debug)]
pub struct Columns {
    /// Positions here are one more than in the history: zero is before all of them.
    pub(super) invoke: Vec<u32>,
    /// [`NEVER`] if nobody knows whether it happened.
    pub(super) complete: Vec<u32>,
    pub(super) value: Vec<u32>,
    pub(super) changes: Vec<Change>,
    /// One more than the largest value.
    pub(super) values: u32,
}

impl Default for Columns {
    fn default() -> Self {
        Columns::with_capacity(0)
    }
}

/// About the bytes the columns of so many entries and the judge take together.
pub(super) fn bytes(entries: usize) -> usize {
    // Positions and values; clusters, plain and welded; links and numbers.
    entries * (12 + 2 * size_of::<Cluster>() + 24)
}

impl Columns {
    /// Without operations, and with room for so many.
    pub fn with_capacity(operations: usize) -> Self {
        Columns {
            invoke: Vec::with_capacity(operations),
            complete: Vec::with_capacity(operations),
            value: Vec::with_capacity(operations),
            changes: Vec::new(),
            values: 1,
        }
    }

    /// The entries, in the order of invocation, as columns; `None` if one of them is no call of a register.
    pub fn of(entries: &[Entry<'_>], initial: &Value) -> Option<Columns> {
        let mut columns = Columns::with_capacity(entries.len());
        let mut numbers = Numbers::new(entries, initial);
        for entry in entries {
            let complete = entry.ret.map(|_| entry.complete);
            match (entry.call, entry.ret) {
                (Call::Read { .. }, Some(Ret::Value(seen))) => {
                    columns.read(numbers.of(seen), entry.invoke, entry.complete);
                }
                (Call::Read { .. }, None) => {}
                (Call::Write { value, .. }, _) => columns.write(numbers.of(value), entry.invoke, complete),
                (Call::Cas { from, to, .. }, _) => {
                    columns.cas(numbers.of(from), numbers.of(to), entry.invoke, complete);
                }
                _ => return None,
            }
        }
        Some(columns)
    }

    /// These operations of a history as columns; `None` if one of them is no call of a register. `initial` is the number of
    /// what it holds at first, [`u32::MAX`] if the history does not have it.
    pub fn of_operations(
        history: &schism_history::Columns,
        operations: &[u32],
        initial: u32,
        numbers: &mut schism_history::Numbers,
    ) -> Option<Columns> {
        let mut columns = Columns::with_capacity(operations.len());
        numbers.start(history.value_count(), initial);
        // Columns may lie in a file: where, is looked up once.
        let (kinds, states) = (history.kind(), history.status());
        let (arguments, answers, swaps) = (history.argument(), history.answer(), history.swaps());
        let (invokes, completes) = (history.invoke(), history.complete());
        for at in operations.iter().map(|at| *at as usize) {
            let status = states[at];
            let (invoke, answered) = (invokes[at], completes[at]);
            let complete = status.is_ok().then_some(answered);
            match (kinds[at], status) {
                (_, Status::Fail) => {}
                (CallKind::Read, Status::Answered) => {
                    columns.read(numbers.of(answers[at]), invoke, answered);
                }
                (CallKind::Read, Status::Info | Status::Open) => {}
                (CallKind::Write, _) => columns.write(numbers.of(arguments[at]), invoke, complete),
                (CallKind::Cas, _) => {
                    let swap = swaps[arguments[at] as usize];
                    let [from, to] = swap.map(|value| numbers.of(value));
                    columns.cas(from, to, invoke, complete);
                }
                _ => return None,
            }
        }
        Some(columns)
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.invoke.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.invoke.is_empty()
    }

    /// The sum of all positions where operations begin and end: the least that looking at every operation can cost,
    /// for benches to measure a judge by.
    pub fn sum_of_positions(&self) -> u64 {
        self.invoke
            .iter()
            .zip(&self.complete)
            .map(|(invoke, complete)| u64::from(*invoke) + u64::from(*complete))
            .sum()
    }

    /// A read that saw this value.
    pub fn read(&mut self, value: u32, invoke: Position, complete: Position) {
        self.push(value, value, invoke, complete);
    }

    /// A write of this value; `complete` is `None` if nobody knows whether it happened.
    pub fn write(&mut self, value: u32, invoke: Position, complete: Option<Position>) {
        self.push(value, value | WRITES, invoke, complete.unwrap_or(Position::MAX));
    }

    /// A change of the value `from` to the value `to`; `complete` is `None` if nobody knows whether it happened.
    pub fn cas(&mut self, from: u32, to: u32, invoke: Position, complete: Option<Position>) {
        if from == to {
            // It leaves what it found: a read, or nothing if nobody knows whether it happened.
            if let Some(complete) = complete {
                self.read(from, invoke, complete);
            }
            return;
        }
        self.changes.push(Change { operation: self.invoke.len() as u32, from });
        self.values = self.values.max(from + 1);
        self.write(to, invoke, complete);
    }

    fn push(&mut self, value: u32, marked: u32, invoke: Position, complete: Position) {
        assert!(value < WRITES, "more values than operations can have");
        debug_assert!(
            self.invoke.last().is_none_or(|last| *last < after(invoke)),
            "in the order of invocation"
        );
        self.values = self.values.max(value + 1);
        self.invoke.push(after(invoke));
        self.complete.push(if complete == Position::MAX { NEVER } else { after(complete) });
        self.value.push(marked);
    }
}
