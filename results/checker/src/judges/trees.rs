//! Two trees over places in a row: how often each is covered, and which interval reaches furthest.

use super::NEVER;

/// How often each stretch is covered: ranges are lowered by one, and stretches that nothing covers any more are given out,
/// each once. O(log n) each.
pub(super) struct Cover {
    leaves: usize,
    /// The least of what is below, and of the node itself: what was added to all below it.
    least: Vec<i32>,
    added: Vec<i32>,
}

/// More than anything covers: it was given out, or is none.
const OUT: i32 = i32::MAX / 2;

impl Cover {
    /// The ranges that cover so many stretches; one that ends at [`NEVER`] covers the last one, too.
    pub(super) fn of(stretches: usize, ranges: &[(u32, u32)]) -> Self {
        let leaves = stretches.next_power_of_two();
        let mut least = vec![OUT; 2 * leaves];
        let mut change = vec![0; stretches + 1];
        for (from, end) in ranges.iter().filter(|(from, end)| from < end) {
            change[*from as usize] += 1;
            change[(*end as usize).min(stretches)] -= 1;
        }
        let mut depth = 0;
        for (stretch, change) in change[..stretches].iter().enumerate() {
            depth += change;
            least[leaves + stretch] = depth;
        }
        for node in (1..leaves).rev() {
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Cover { leaves, least, added: vec![0; leaves] }
    }

    /// A stretch that nothing covers, and that was not given out yet.
    pub(super) fn uncovered(&mut self) -> Option<u32> {
        if self.least[1] != 0 {
            return None;
        }
        let mut node = 1;
        while node < self.leaves {
            node = 2 * node + usize::from(self.least[2 * node + 1] < self.least[2 * node]);
        }
        self.least[node] = OUT;
        self.refresh(node);
        Some((node - self.leaves) as u32)
    }

    /// Takes one off each stretch of a range.
    pub(super) fn lower(&mut self, from: u32, end: u32) {
        let last = (end as usize).min(self.leaves);
        if from as usize >= last {
            return;
        }
        let (mut left, mut right) = (from as usize + self.leaves, last + self.leaves);
        let (first, last) = (left, right - 1);
        while left < right {
            if left % 2 == 1 {
                self.lower_node(left);
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                self.lower_node(right);
            }
            left /= 2;
            right /= 2;
        }
        self.refresh(first);
        self.refresh(last);
    }

    fn lower_node(&mut self, node: usize) {
        self.least[node] -= 1;
        if node < self.leaves {
            self.added[node] -= 1;
        }
    }

    fn refresh(&mut self, mut node: usize) {
        while node > 1 {
            node /= 2;
            self.least[node] = self.least[2 * node].min(self.least[2 * node + 1]) + self.added[node];
        }
    }
}

/// Intervals in order of their begin: those that contain a stretch are given out, each once. O(log n) each.
pub(super) struct Reach {
    leaves: usize,
    /// The furthest end of those below.
    furthest: Vec<u32>,
    /// By stretch: how many intervals begin there or before.
    begun: Vec<u32>,
}

impl Reach {
    /// Intervals from `first` on and below `end`, with ascending `first`.
    pub(super) fn of(first: &[u32], end: &[u32], stretches: usize) -> Self {
        let leaves = first.len().next_power_of_two();
        let mut furthest = vec![0; 2 * leaves];
        let mut begun = vec![0; stretches + 1];
        for (place, (first, end)) in first.iter().zip(end).enumerate() {
            furthest[leaves + place] = *end;
            begun[*first as usize] = place as u32 + 1;
        }
        for stretch in 1..begun.len() {
            begun[stretch] = begun[stretch].max(begun[stretch - 1]);
        }
        for node in (1..leaves).rev() {
            furthest[node] = furthest[2 * node].max(furthest[2 * node + 1]);
        }
        Reach { leaves, furthest, begun }
    }

    /// Gives out the intervals that contain the stretch.
    pub(super) fn take(&mut self, stretch: u32, mut give: impl FnMut(u32)) {
        let mut begun = self.begun[stretch as usize] as usize;
        while let Some(place) = self.last_reaching(begun, stretch) {
            self.furthest[self.leaves + place] = 0;
            let mut node = self.leaves + place;
            while node > 1 {
                node /= 2;
                let furthest = self.furthest[2 * node].max(self.furthest[2 * node + 1]);
                if self.furthest[node] == furthest {
                    break;
                }
                self.furthest[node] = furthest;
            }
            give(place as u32);
            begun = place;
        }
    }

    /// The last interval below `begun` that ends after the stretch.
    fn last_reaching(&self, begun: usize, stretch: u32) -> Option<usize> {
        let mut node = self.leaves + begun;
        // Up and to the left, until something below reaches that far; left of the end of a row is its top.
        loop {
            while node.is_multiple_of(2) {
                node /= 2;
            }
            node = match node {
                1 if begun == self.leaves => 1,
                1 => return None,
                right => right - 1,
            };
            if self.furthest[node] > stretch {
                break;
            }
            if node == 1 {
                return None;
            }
        }
        while node < self.leaves {
            node = 2 * node + usize::from(self.furthest[2 * node + 1] > stretch);
        }
        Some(node - self.leaves)
    }
}

const _: () = assert!(NEVER > OUT as u32, "a range that never ends is cut off at the last stretch");
