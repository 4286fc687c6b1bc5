//! Sets of slots: which of the operations pending at a moment are in line already.

use std::hash::Hash;

/// A set of small numbers.
pub(super) trait PendingSet: Clone + Eq + Hash + Send {
    /// The empty set, able to hold `slots` numbers.
    fn empty(slots: usize) -> Self;
    /// Whether it holds `slot`.
    fn has(&self, slot: u32) -> bool;
    /// Puts `slot` in.
    fn put(&mut self, slot: u32);
    /// Takes `slot` out.
    fn take(&mut self, slot: u32);
    /// Puts all of `other` in.
    fn join(&mut self, other: &Self);
    /// What is in both.
    fn both(&self, other: &Self) -> Self;
    /// What is in this one and not in `other`.
    fn without(&self, other: &Self) -> Self;
    /// Whether all of it is in `other`, too.
    fn within(&self, other: &Self) -> bool;
    /// How many it holds.
    fn count(&self) -> u32;
    /// The smallest number it holds.
    fn first(&self) -> Option<u32>;
    /// Whether it holds none.
    fn is_empty(&self) -> bool {
        self.first().is_none()
    }
    /// Bytes on the heap.
    fn heap(&self) -> usize {
        0
    }
}

/// What a set holds, the smallest first.
pub(super) fn slots<P: PendingSet>(mut set: P) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let slot = set.first()?;
        set.take(slot);
        Some(slot)
    })
}

/// A word with a bit for each slot.
macro_rules! of_bits {
    ($word:ty) => {
        impl PendingSet for $word {
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
            fn join(&mut self, other: &Self) {
                *self |= other;
            }
            fn both(&self, other: &Self) -> Self {
                self & other
            }
            fn without(&self, other: &Self) -> Self {
                self & !other
            }
            fn within(&self, other: &Self) -> bool {
                self & !other == 0
            }
            fn count(&self) -> u32 {
                self.count_ones()
            }
            fn first(&self) -> Option<u32> {
                (*self != 0).then(|| self.trailing_zeros())
            }
        }
    };
}

of_bits!(u64);
of_bits!(u128);

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
    fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }
    fn both(&self, other: &Self) -> Self {
        Wide(self.0.iter().zip(&other.0).map(|(word, other)| word & other).collect())
    }
    fn without(&self, other: &Self) -> Self {
        Wide(self.0.iter().zip(&other.0).map(|(word, other)| word & !other).collect())
    }
    fn within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(word, other)| word & !other == 0)
    }
    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
    fn first(&self) -> Option<u32> {
        let at = self.0.iter().position(|word| *word != 0)?;
        Some(at as u32 * 64 + self.0[at].trailing_zeros())
    }
    fn heap(&self) -> usize {
        self.0.len() * 8
    }
}
