//! A set of small numbers, asked for the next one from a number on: which positions are free, or when those are over that
//! wait for their turn.
//!
//! A bit a number, and above it a bit for each word that has any, and so on: a question looks at a few words, whatever
//! was put in or taken out before. Taking out a range costs as much as there is in it.

/// Numbers below some bound.
pub(super) struct Bits {
    /// The lowest first; the last is one word.
    levels: Vec<Vec<u64>>,
}

impl Bits {
    /// All numbers below `bound`.
    pub(super) fn all(bound: usize) -> Self {
        let mut bits = Bits::none(bound);
        let mut count = bound.max(1);
        for words in &mut bits.levels {
            words.fill(u64::MAX);
            if !count.is_multiple_of(64) {
                *words.last_mut().expect("at least one word") = (1 << (count % 64)) - 1;
            }
            count = words.len();
        }
        bits
    }

    /// No number, and room for those below `bound`.
    pub(super) fn none(bound: usize) -> Self {
        let mut levels = Vec::new();
        let mut count = bound.max(1);
        loop {
            count = count.div_ceil(64);
            levels.push(vec![0; count]);
            if count == 1 {
                return Bits { levels };
            }
        }
    }

    /// Puts a number in.
    pub(super) fn put(&mut self, number: usize) {
        let mut at = number;
        for words in &mut self.levels {
            let word = &mut words[at / 64];
            let was_empty = *word == 0;
            *word |= 1 << (at % 64);
            if !was_empty {
                return;
            }
            at /= 64;
        }
    }

    /// Takes a number out. Whether it was there.
    pub(super) fn take_one(&mut self, number: usize) -> bool {
        let word = &mut self.levels[0][number / 64];
        let was_there = *word & 1 << (number % 64) != 0;
        *word &= !(1 << (number % 64));
        if was_there && *word == 0 {
            self.emptied(number / 64);
        }
        was_there
    }

    /// The first number from `from` on that is still there.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let mut at = from;
        for (level, words) in self.levels.iter().enumerate() {
            let word = words.get(at / 64)? & (u64::MAX << (at % 64));
            if word != 0 {
                let mut found = at / 64 * 64 + word.trailing_zeros() as usize;
                for below in self.levels[..level].iter().rev() {
                    found = found * 64 + below[found].trailing_zeros() as usize;
                }
                return Some(found);
            }
            at = at / 64 + 1;
        }
        None
    }

    /// Takes out every number from `from` on and below `end`.
    pub(super) fn take(&mut self, from: usize, end: usize) {
        let mut at = from;
        while let Some(found) = self.next(at).filter(|found| *found < end) {
            let word = found / 64;
            let upto = end - word * 64;
            let keep = if upto >= 64 { 0 } else { u64::MAX << upto };
            let keep = keep | ((1 << (found % 64)) - 1);
            self.levels[0][word] &= keep;
            if self.levels[0][word] == 0 {
                self.emptied(word);
            }
            at = (word + 1) * 64;
        }
    }

    /// Notes above that a word of the lowest level has nothing left.
    fn emptied(&mut self, word: usize) {
        let mut at = word;
        for words in &mut self.levels[1..] {
            words[at / 64] &= !(1 << (at % 64));
            if words[at / 64] != 0 {
                return;
            }
            at /= 64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn as_a_list_of_truth_values_would_do() {
        let mut state: u64 = 1;
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        for bound in [1, 63, 64, 65, 4096, 4097, 300_000] {
            let (mut free, mut plain) = (Bits::all(bound), vec![true; bound]);
            for _ in 0..300 {
                let from = below(bound);
                let end = (from + below(bound / 10 + 2)).min(bound);
                free.take(from, end);
                plain[from..end].fill(false);
                let (put, taken) = (below(bound), below(bound));
                free.put(put);
                plain[put] = true;
                assert_eq!(free.take_one(taken), std::mem::take(&mut plain[taken]), "{taken} of {bound}");
                let asked = below(bound);
                assert_eq!(free.next(asked), (asked..bound).find(|at| plain[*at]), "{asked} of {bound}");
            }
            assert_eq!(free.next(bound), None);
            let first = below(bound);
            let mut one = Bits::none(bound);
            one.put(first);
            assert_eq!((one.next(0), one.next(first + 1)), (Some(first), None));
        }
    }
}
