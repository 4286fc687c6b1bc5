//! The operations on one object as columns: where each begins and ends, and what it does with which value, as numbers.
//!
//! Twelve bytes an operation. What the kinds mean is each judge's own affair.

use std::borrow::Cow;

use schism_history::Position;

/// Where an operation ends that may take effect for ever.
pub const NEVER: u32 = u32::MAX;

/// The bits of the number beside the kind.
const BITS: u32 = 29;

/// The operations on one object, in the order of invocation. Values are numbers, best given out in the order of their
/// first use where their order means nothing, since memory goes by the largest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    pub(super) invoke: Vec<u32>,
    /// [`NEVER`] if nobody knows whether it happened.
    pub(super) complete: Vec<u32>,
    what: Vec<u32>,
}

/// No end of an operation stands at this position.
pub(super) const NOTHING: u32 = u32::MAX;

impl Columns {
    /// Without operations, and with room for so many.
    pub fn with_capacity(operations: usize) -> Self {
        Columns {
            invoke: Vec::with_capacity(operations),
            complete: Vec::with_capacity(operations),
            what: Vec::with_capacity(operations),
        }
    }

    /// The next operation: its kind (one of the judge's constants), its number, and its ends; `complete` is `None` if
    /// nobody knows whether it happened.
    ///
    /// # Panics
    /// If there are more kinds or numbers than fit beside each other: 8 and 2²⁹.
    pub fn push(&mut self, kind: u32, number: u32, invoke: Position, complete: Option<Position>) {
        assert!(kind < 8 && number < 1 << BITS, "more values than operations can have");
        debug_assert!(self.invoke.last().is_none_or(|last| *last < invoke), "in the order of invocation");
        self.invoke.push(invoke);
        self.complete.push(complete.unwrap_or(NEVER));
        self.what.push(kind << BITS | number);
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.invoke.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.invoke.is_empty()
    }

    /// The kind of an operation.
    pub fn kind(&self, operation: u32) -> u32 {
        self.what[operation as usize] >> BITS
    }

    /// The number of an operation.
    pub fn number(&self, operation: u32) -> u32 {
        self.what[operation as usize] & ((1 << BITS) - 1)
    }

    /// Where an operation begins.
    pub fn invoke(&self, operation: u32) -> u32 {
        self.invoke[operation as usize]
    }

    /// Where an operation ends; [`NEVER`] if nobody knows whether it happened.
    pub fn complete(&self, operation: u32) -> u32 {
        self.complete[operation as usize]
    }

    /// One plain pass: the sum of all columns. The least that looking at every operation can cost, for benches to
    /// measure a judge by.
    pub fn sum(&self) -> u64 {
        let ends = self.invoke.iter().zip(&self.complete);
        ends.zip(&self.what)
            .map(|((invoke, complete), what)| u64::from(*invoke) + u64::from(*complete) + u64::from(*what))
            .sum()
    }

    /// Kind, number and ends of each operation.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32, u32, u32)> + Clone {
        let ends = self.invoke.iter().zip(&self.complete);
        let split = |what: u32| (what >> BITS, what & ((1 << BITS) - 1));
        ends.zip(&self.what).map(move |((invoke, complete), what)| {
            let (kind, number) = split(*what);
            (kind, number, *invoke, *complete)
        })
    }

    /// These operations alone, given in the order of invocation.
    pub fn pick(&self, operations: &[u32]) -> Columns {
        let of = |column: &[u32]| operations.iter().map(|operation| column[*operation as usize]).collect();
        Columns { invoke: of(&self.invoke), complete: of(&self.complete), what: of(&self.what) }
    }

    /// One more than the largest number.
    pub(super) fn numbers(&self) -> usize {
        self.what.iter().map(|what| what & ((1 << BITS) - 1)).max().map_or(0, |most| most as usize + 1)
    }

    /// One more than the last position.
    pub(super) fn events(&self) -> usize {
        let returned =
            self.complete.iter().map(|complete| if *complete == NEVER { 0 } else { *complete }).max();
        returned.max(self.invoke.last().copied()).map_or(0, |last| last as usize + 1)
    }

    /// The same with positions close together, so that tables by position are no larger than the columns.
    pub(super) fn dense(&self) -> Cow<'_, Columns> {
        if self.events() <= 64 + 4 * self.len() {
            return Cow::Borrowed(self);
        }
        let mut ends: Vec<u32> = self.invoke.clone();
        ends.extend(self.complete.iter().filter(|complete| **complete != NEVER));
        ends.sort_unstable();
        let rank = |position: &u32| match *position {
            NEVER => NEVER,
            position => ends.partition_point(|end| *end < position) as u32,
        };
        Cow::Owned(Columns {
            invoke: self.invoke.iter().map(rank).collect(),
            complete: self.complete.iter().map(rank).collect(),
            what: self.what.clone(),
        })
    }

    /// For each position, the operation that begins there, doubled, or that ends there, doubled and one more;
    /// [`NOTHING`] where none does.
    pub(super) fn timeline(&self) -> Vec<u32> {
        let mut line = vec![NOTHING; self.events()];
        for (operation, (invoke, complete)) in self.invoke.iter().zip(&self.complete).enumerate() {
            line[*invoke as usize] = 2 * operation as u32;
            if *complete != NEVER {
                line[*complete as usize] = 2 * operation as u32 + 1;
            }
        }
        line
    }
}
