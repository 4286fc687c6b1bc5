//! Ranges over places in a row, taken away one by one: which places come to be covered by none.
//!
//! Of the ranges that begin at a place or before it the one that reaches furthest says whether the place is covered. Those
//! that are the furthest somewhere, each from its own begin to that of the next, are the *skyline*. When one of them goes,
//! others come up behind it, each once in all: so everything together costs as much as that many questions for the next
//! range that reaches further than another, which is mostly a near one.

use super::NONE;
use super::peaks::Peaks;

/// The ranges that are left.
pub(super) struct Skyline {
    /// By range, in the order of their begins; before them one that covers nothing, and after them only a begin.
    begin: Vec<u32>,
    end: Vec<u32>,
    ends: Peaks,
    /// The neighbours in the skyline; [`NONE`] for what is not part of it.
    before: Vec<u32>,
    after: Vec<u32>,
}

impl Skyline {
    /// Ranges from `begin` on and below `end`, with ascending begins, over so many places. Gives out what none covers.
    pub(super) fn of(ranges: &[(u32, u32)], places: u32, open: &mut Vec<(u32, u32)>) -> Self {
        let count = ranges.len();
        let begin = [0].into_iter().chain(ranges.iter().map(|range| range.0)).chain([places]).collect();
        let end: Vec<u32> = [0].into_iter().chain(ranges.iter().map(|range| range.1.min(places))).collect();
        let mut skyline = Skyline {
            begin,
            ends: Peaks::of(&end),
            end,
            before: vec![NONE; count + 2],
            after: vec![NONE; count + 2],
        };
        skyline.fill(0, 1, count + 1, 0, open);
        skyline
    }

    /// Takes the range away, by its place in their order. Gives out the places that none covers now; some may have been
    /// given out before.
    pub(super) fn take(&mut self, range: u32, open: &mut Vec<(u32, u32)>) {
        let own = range as usize + 1;
        self.ends.take(own);
        if self.after[own] == NONE {
            return;
        }
        let (before, after) = (self.before[own], self.after[own]);
        self.after[own] = NONE;
        self.fill(before as usize, own + 1, after as usize, self.begin[own], open);
    }

    /// Lets those come up that begin between two of the skyline, from the range `first` on. What is covered from `from` on
    /// may have changed.
    fn fill(&mut self, before: usize, first: usize, after: usize, from: u32, open: &mut Vec<(u32, u32)>) {
        let (mut last, mut first, mut from) = (before, first, from);
        loop {
            let end = self.end[last];
            let next = self.ends.next(first, after, end).unwrap_or(after);
            let begins = self.begin[next];
            if end.max(from) < begins {
                open.push((end.max(from), begins));
            }
            self.after[last] = next as u32;
            self.before[next] = last as u32;
            if next == after {
                return;
            }
            (last, first, from) = (next, next + 1, begins);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against counting how often each place is covered.
    #[test]
    fn gives_out_what_nothing_covers() {
        for seed in 0..200u32 {
            let count = seed % 40;
            let places = 2 * count + 3;
            let ranges: Vec<(u32, u32)> = (0..count)
                .map(|at| (2 * at + 1, 2 * at + 2 + (at * 7919 + seed * 104_729) % (1 + seed % 60)))
                .collect();
            let mut left: Vec<bool> = vec![true; count as usize];
            let mut given = vec![false; places as usize];
            let mut open = Vec::new();
            let mut skyline = Skyline::of(&ranges, places, &mut open);
            for step in 0..=count {
                for (from, end) in open.drain(..) {
                    (from..end).for_each(|place| given[place as usize] = true);
                }
                for place in 0..places {
                    let covers = |at: usize| ranges[at].0 <= place && place < ranges[at].1;
                    let covered = (0..count as usize).any(|at| left[at] && covers(at));
                    assert_eq!(given[place as usize], !covered, "seed {seed}, step {step}, place {place}");
                }
                if let Some(range) =
                    (0..count).map(|at| (at * 17 + step * 5 + seed) % count).find(|at| left[*at as usize])
                {
                    left[range as usize] = false;
                    skyline.take(range, &mut open);
                }
            }
        }
    }
}
