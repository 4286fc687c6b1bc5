//! Which optional operations a configuration has used: interned sorted lists of their classes, since few are in use at a
//! time, however many there are.

use rustc_hash::FxHashMap;

/// A set of used optional operations, by number. Zero is the empty one.
pub(super) type UsedId = u32;

/// All the sets met so far.
pub(super) struct UsedSets {
    sets: Vec<Box<[u32]>>,
    /// Of all but the empty one.
    ids: FxHashMap<Box<[u32]>, UsedId>,
}

impl UsedSets {
    pub(super) const EMPTY: UsedId = 0;

    pub(super) fn new() -> Self {
        UsedSets { sets: vec![Box::default()], ids: FxHashMap::default() }
    }

    /// How many operations of `class` the set has used.
    pub(super) fn count(&self, set: UsedId, class: u32) -> usize {
        self.sets[set as usize].iter().filter(|used| **used == class).count()
    }

    /// How many operations the set has used.
    pub(super) fn size(&self, set: UsedId) -> usize {
        self.sets[set as usize].len()
    }

    /// How many of the operations the set has used are of a class that `wanted` names.
    pub(super) fn count_of(&self, set: UsedId, wanted: impl Fn(u32) -> bool) -> usize {
        self.sets[set as usize].iter().filter(|class| wanted(**class)).count()
    }

    /// The set with one more operation of `class`.
    pub(super) fn with(&mut self, set: UsedId, class: u32) -> UsedId {
        let mut list = self.sets[set as usize].to_vec();
        let at = list.partition_point(|used| *used < class);
        list.insert(at, class);
        self.intern(list)
    }

    /// The set without the classes that `spent` names: whether those were used makes no difference any more.
    pub(super) fn without(&mut self, set: UsedId, spent: impl Fn(u32) -> bool) -> UsedId {
        if set == Self::EMPTY || !self.sets[set as usize].iter().any(|class| spent(*class)) {
            return set;
        }
        let list = self.sets[set as usize].iter().copied().filter(|class| !spent(*class)).collect();
        self.intern(list)
    }

    fn intern(&mut self, list: Vec<u32>) -> UsedId {
        if list.is_empty() {
            return Self::EMPTY;
        }
        let list: Box<[u32]> = list.into();
        if let Some(id) = self.ids.get(&list) {
            return *id;
        }
        let id =
            UsedId::try_from(self.sets.len()).expect("fewer sets than configurations, which are bounded");
        self.sets.push(list.clone());
        self.ids.insert(list, id);
        id
    }

    /// Whether all that `small` has used, `large` has used too.
    pub(super) fn within(&self, small: UsedId, large: UsedId) -> bool {
        if small == large || small == Self::EMPTY {
            return true;
        }
        let mut rest = self.sets[large as usize].iter();
        self.sets[small as usize].iter().all(|class| rest.any(|other| other == class))
    }

    /// About the bytes the newest set takes.
    pub(super) fn bytes(&self, set: UsedId) -> usize {
        self.sets[set as usize].len() * 8 + 64
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_compared_as_multisets() {
        let mut sets = UsedSets::new();
        let one = sets.with(UsedSets::EMPTY, 4);
        let two = sets.with(one, 4);
        let other = sets.with(one, 9);
        assert_eq!(sets.count(two, 4), 2);
        assert!(sets.within(one, two) && sets.within(one, other) && sets.within(UsedSets::EMPTY, one));
        assert!(!sets.within(two, other) && !sets.within(two, one));
        assert_eq!(sets.without(other, |class| class == 9), one);
        let first_nine = sets.with(UsedSets::EMPTY, 9);
        assert_eq!(sets.with(first_nine, 4), other);
    }
}
