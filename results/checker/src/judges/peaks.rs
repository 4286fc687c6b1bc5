//! Numbers in a row that are taken out one by one, asked for the next one, or the last one, that is larger than a bound.
//!
//! Above every sixteen numbers stands the largest of them, and above every sixteen of those again. What is looked for is
//! mostly near: a question climbs no higher than it must, and a row of sixteen is one line of the processor's cache.

/// So many numbers stand below one.
const WIDE: usize = 16;

/// Numbers in a row; zero stands for one that is not there.
pub(super) struct Peaks {
    /// The numbers themselves first, padded with zeros; the last row is one block.
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

    /// Takes one out.
    pub(super) fn take(&mut self, at: usize) {
        let (mut at, mut now) = (at, 0);
        for row in &mut self.rows {
            let block = &mut row[at / WIDE];
            let before = std::mem::replace(&mut block[at % WIDE], now);
            if before == now {
                return;
            }
            now = largest(block);
            // It was not the largest: nothing changes above.
            if before < now {
                return;
            }
            at /= WIDE;
        }
    }

    /// The first one from `from` on, and before `end`, that is larger than the bound.
    pub(super) fn next(&self, from: usize, end: usize, bound: u32) -> Option<usize> {
        let (mut at, mut span) = (from, 1);
        for (level, row) in self.rows.iter().enumerate() {
            if at * span >= end {
                return None;
            }
            let bits = above(row.get(at / WIDE)?, bound) & (u32::MAX << (at % WIDE));
            if bits != 0 {
                let mut found = at / WIDE * WIDE + bits.trailing_zeros() as usize;
                for below in self.rows[..level].iter().rev() {
                    found = found * WIDE + above(&below[found], bound).trailing_zeros() as usize;
                }
                return Some(found).filter(|found| *found < end);
            }
            at = at / WIDE + 1;
            span *= WIDE;
        }
        None
    }

    /// The last one before `end` that is larger than the bound.
    pub(super) fn last(&self, end: usize, bound: u32) -> Option<usize> {
        let mut end = end;
        for (level, row) in self.rows.iter().enumerate() {
            let at = end.checked_sub(1)?;
            let bits = above(&row[at / WIDE], bound) & (u32::MAX >> (31 - at % WIDE));
            if bits != 0 {
                let mut found = at / WIDE * WIDE + bits.ilog2() as usize;
                for below in self.rows[..level].iter().rev() {
                    found = found * WIDE + above(&below[found], bound).ilog2() as usize;
                }
                return Some(found);
            }
            end = at / WIDE;
            if level == 0 && end > 0 && self.reached[end - 1] <= bound {
                return None;
            }
        }
        None
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
            }
        }
    }
}
