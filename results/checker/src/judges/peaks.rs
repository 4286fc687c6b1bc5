//! Numbers in a row that are taken out one by one, asked for the next one, or the last one, that is larger than a bound.
//!
//! Above every sixteen numbers stands the largest of them, and above every sixteen of those again. What is looked for is
//! mostly near: a question climbs no higher than it must, and a row of sixteen is one line of the processor's cache.

/// So many numbers stand below one.
const WIDE: usize = 16;

/// Numbers in a row; zero stands for one that is not there.
pub(super) struct Peaks {
    /// The numbers themselves first, padded with zeros; the last row is one block. Above them stands no less than the largest
    /// that is left.
    rows: Vec<Vec<[u32; WIDE]>>,
    /// By block of the numbers: the largest there ever was in it or before it.
    reached: Vec<u32>,
}

/// One bit for each that is larger than the bound.
fn above(block: &[u32; WIDE], bound: u32) -> u32 {
    let bits = block.iter().enumerate().map(|(at, number)| u32::from(*number > bound) << at);
    bits.fold(0, |bits, bit| bits | bit)
}

fn largest(block: &[u32; WIDE]) -> u32 {
    block.iter().fold(0, |most, number| most.max(*number))
}

impl Peaks {
    pub(super) fn of(numbers: &[u32]) -> Self {
        let blocks = |numbers: &[u32]| -> Vec<[u32; WIDE]> {
            let block = |part: &[u32]| {
                let mut block = [0; WIDE];
                block[..part.len()].copy_from_slice(part);
                block
            };
            if numbers.is_empty() { vec![[0; WIDE]] } else { numbers.chunks(WIDE).map(block).collect() }
        };
        let mut rows = vec![blocks(numbers)];
        while rows.last().is_some_and(|row| row.len() > 1) {
            let tops: Vec<u32> = rows[rows.len() - 1].iter().map(largest).collect();
            rows.push(blocks(&tops));
        }
        let mut most = 0;
        let reached = rows[0].iter().map(|block| {
            most = most.max(largest(block));
            most
        });
        let reached = reached.collect();
        Peaks { rows, reached }
    }

    /// Takes one out. What stands above it is put right when a question comes by.
    pub(super) fn take(&mut self, at: usize) {
        self.rows[0][at / WIDE][at % WIDE] = 0;
    }

    /// The first one from `from` on, and before `end`, that is larger than the bound.
    pub(super) fn next(&mut self, from: usize, end: usize, bound: u32) -> Option<usize> {
        'again: loop {
            let (mut at, mut span) = (from, 1);
            for level in 0..self.rows.len() {
                if at * span >= end {
                    return None;
                }
                let bits = above(self.rows[level].get(at / WIDE)?, bound) & (u32::MAX << (at % WIDE));
                if bits != 0 {
                    let found = at / WIDE * WIDE + bits.trailing_zeros() as usize;
                    match self.below(level, found, bound, u32::trailing_zeros) {
                        Some(found) => return Some(found).filter(|found| *found < end),
                        None => continue 'again,
                    }
                }
                at = at / WIDE + 1;
                span *= WIDE;
            }
            return None;
        }
    }

    /// Takes all before `end` out that are larger than the bound, the last one first. Those that stand together are found
    /// together.
    pub(super) fn take_all(&mut self, end: usize, bound: u32, mut each: impl FnMut(usize)) {
        let mut last = end.checked_sub(1);
        while let Some(at) = last {
            let block = at / WIDE;
            let mut bits = above(&self.rows[0][block], bound) & (u32::MAX >> (31 - at % WIDE));
            while bits != 0 {
                let found = bits.ilog2() as usize;
                bits ^= 1 << found;
                self.rows[0][block][found] = 0;
                each(block * WIDE + found);
            }
            last = self.last(block * WIDE, bound);
        }
    }

    /// The last one before `end` that is larger than the bound.
    fn last(&mut self, end: usize, bound: u32) -> Option<usize> {
        'again: loop {
            let (mut end, mut span) = (end, 1);
            for level in 0..self.rows.len() {
                let at = end.checked_sub(1)?;
                let bits = above(&self.rows[level][at / WIDE], bound) & (u32::MAX >> (31 - at % WIDE));
                if bits != 0 {
                    let found = at / WIDE * WIDE + bits.ilog2() as usize;
                    match self.below(level, found, bound, u32::ilog2) {
                        Some(found) => return Some(found),
                        None => continue 'again,
                    }
                }
                end = at / WIDE;
                if end > 0 && self.reached[end * span - 1] <= bound {
                    return None;
                }
                span *= WIDE;
            }
            return None;
        }
    }

    /// The number that stands lowest below one that is larger than the bound. None if what stood there was taken out, of
    /// which is taken note: each number taken out makes a question begin again once at most for each row.
    fn below(&mut self, level: usize, found: usize, bound: u32, pick: fn(u32) -> u32) -> Option<usize> {
        let mut found = found;
        for level in (0..level).rev() {
            let block = &self.rows[level][found];
            let bits = above(block, bound);
            if bits == 0 {
                self.rows[level + 1][found / WIDE][found % WIDE] = largest(block);
                return None;
            }
            found = found * WIDE + pick(bits) as usize;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against looking at all of them, on sizes around those of blocks.
    #[test]
    fn finds_what_is_there() {
        for count in [0, 1, 15, 16, 17, 255, 256, 257, 700] {
            let mut numbers: Vec<u32> = (0..count).map(|at: u32| at * 7919 % 101 + 1).collect();
            let mut peaks = Peaks::of(&numbers);
            for step in 0..count {
                let taken = (step * 31 % count) as usize;
                numbers[taken] = 0;
                peaks.take(taken);
                let (from, bound) = ((step * 13 % count) as usize, step * 17 % 103);
                let end = from + (step % 300) as usize;
                let next = (from..end.min(numbers.len())).find(|at| numbers[*at] > bound);
                assert_eq!(peaks.next(from, end, bound), next, "{count}, after {step}");
                let last = (0..from).rev().find(|at| numbers[*at] > bound);
                assert_eq!(peaks.last(from, bound), last, "{count}, after {step}");
                if step % 7 == 3 {
                    let mut taken = Vec::new();
                    peaks.take_all(from, bound, |at| taken.push(at));
                    let above: Vec<usize> = (0..from).rev().filter(|at| numbers[*at] > bound).collect();
                    assert_eq!(taken, above, "{count}, after {step}");
                    above.iter().for_each(|at| numbers[*at] = 0);
                }
            }
        }
    }
}
