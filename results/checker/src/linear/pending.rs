//! Sets of slots: which of the operations pending at a moment are in line already.

use std::hash::Hash;

/// A set of small numbers.
pub(super) trait PendingSet: Clone + Eq + Hash {
    /// The empty set, able to hold `slots` numbers.
    fn empty(slots: usize) -> Self;
    /// Whether it holds `slot`.
    fn has(&self, slot: u32) -> bool;
    /// Puts `slot` in.
    fn put(&mut self, slot: u32);
    /// Takes `slot` out.
    fn take(&mut self, slot: u32);
    /// Bytes on the heap.
    fn heap(&self) -> usize {
        0
    }
}

impl PendingSet for u64 {
    fn empty(_: usize) -> Self {
        0
    }
    fn has(&self, slot: u32) -> bool {
        self >> slot & 1 == 1
    }
    fn put(&mut self, slot: u32) {
        *self |= 1 << slot;
    }
    fn take(&mut self, slot: u32) {
        *self &= !(1 << slot);
    }
}

impl PendingSet for u128 {
    fn empty(_: usize) -> Self {
        0
    }
    fn has(&self, slot: u32) -> bool {
        self >> slot & 1 == 1
    }
    fn put(&mut self, slot: u32) {
        *self |= 1 << slot;
    }
    fn take(&mut self, slot: u32) {
        *self &= !(1 << slot);
    }
}

/// Any number of slots, for more than 128 clients on one object.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Wide(Box<[u64]>);

impl PendingSet for Wide {
    fn empty(slots: usize) -> Self {
        Wide(vec![0; slots.div_ceil(64)].into())
    }
    fn has(&self, slot: u32) -> bool {
        self.0[slot as usize / 64] >> (slot % 64) & 1 == 1
    }
    fn put(&mut self, slot: u32) {
        self.0[slot as usize / 64] |= 1 << (slot % 64);
    }
    fn take(&mut self, slot: u32) {
        self.0[slot as usize / 64] &= !(1 << (slot % 64));
    }
    fn heap(&self) -> usize {
        self.0.len() * 8
    }
}
