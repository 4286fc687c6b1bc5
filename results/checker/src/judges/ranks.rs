//! A set of positions, and how many of them come before another: what stands at those positions can be kept in a row without
//! gaps and without being sorted.

/// Positions, to be put in before any question.
pub(super) struct Ranks {
    words: Vec<u64>,
    /// By word: how many positions come before it.
    before: Vec<u32>,
}

impl Ranks {
    /// Those of so many positions that `put` is given.
    pub(super) fn of(positions: usize, mut fill: impl FnMut(&mut dyn FnMut(u32))) -> Self {
        let mut words = vec![0u64; positions / 64 + 1];
        fill(&mut |position| words[position as usize / 64] |= 1 << (position % 64));
        let mut count = 0;
        let before = words.iter().map(|word| {
            count += word.count_ones();
            count - word.count_ones()
        });
        Ranks { before: before.collect(), words }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let last = self.words.len() - 1;
        (self.before[last] + self.words[last].count_ones()) as usize
    }

    /// How many there are before this position.
    pub(super) fn before(&self, position: u32) -> usize {
        let below = self.words[position as usize / 64] & ((1 << (position % 64)) - 1);
        (self.before[position as usize / 64] + below.count_ones()) as usize
    }
}
