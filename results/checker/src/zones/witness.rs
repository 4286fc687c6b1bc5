//! The few operations that break a rule: those named in the conflict, the writers of what they are about, and for a
//! chain of cas all of it up to them. Without where a value came from, they would prove something else.

use schism_history::Position;

use super::columns::WRITES;
use super::{Columns, Conflict, NEVER, Rule, Zones};

impl Columns {
    /// Where the operations that break the rule were invoked, in order. By themselves they break it, too.
    pub fn witness(&self, conflict: &Conflict) -> Vec<Position> {
        let count = self.begun_before(conflict.until);
        let clusters = self.clusters::<true>(conflict.until).unwrap_or_default();
        let (links, _) = self.links(count, &clusters);
        let mut told = vec![false; clusters.len()];
        let mut ends = conflict.ends.clone();
        let value = |at: usize| (self.value[at] & !WRITES) as usize;
        for at in (0..count).filter(|at| self.ends_in(*at, &conflict.ends)) {
            let mut due = value(at) as u32;
            // Nobody would know that it happened: someone saw what came of it.
            if self.complete[at] > conflict.until || self.complete[at] == NEVER {
                due = links.proof(due, &clusters);
                ends.push(clusters[due as usize].first_return);
            }
            while !std::mem::replace(&mut told[due as usize], true)
                && let Some(from) = links.before(due)
            {
                due = from;
            }
        }
        (0..count)
            .filter(|at| {
                let writer = self.value[*at] & WRITES != 0;
                self.ends_in(*at, &ends) || (writer && told[value(*at)])
            })
            .map(|at| self.invoke[at] - 1)
            .collect()
    }

    /// The conflict at the earliest moment there is one, bisected: what is legal up to a moment is legal up to every
    /// earlier one. Once `over`, the earliest found so far. O(n log n).
    pub fn first_conflict(&self, found: Conflict, over: &dyn Fn() -> bool) -> Conflict {
        let mut earliest = found;
        let mut returns: Vec<u32> =
            self.complete.iter().copied().filter(|complete| *complete != NEVER).collect();
        returns.sort_unstable();
        let (mut good, mut bad) = (0, returns.len());
        while good < bad && !over() {
            let middle = (good + bad) / 2;
            match self.judge_until(returns[middle]) {
                Zones::NotLinearizable(conflict) => {
                    earliest = conflict;
                    bad = middle;
                }
                _ => good = middle + 1,
            }
        }
        self.simpler(&earliest).unwrap_or(earliest)
    }

    /// The same trouble shown by a single operation, if there is one: after the value that the culprit asks for was
    /// there, and before the culprit began, it wrote or saw another one. A write after the value's own is plainest.
    fn simpler(&self, conflict: &Conflict) -> Option<Conflict> {
        let until = conflict.until;
        let count = self.begun_before(until);
        let culprit = (0..count).find(|at| self.complete[*at] == until)?;
        if !matches!(conflict.rule, Rule::ZonesApart | Rule::ChainOrder) {
            return None;
        }
        let clusters = self.clusters::<true>(until)?;
        let (links, _) = self.links(count, &clusters);
        let own = self.value[culprit];
        let asked = if own & WRITES == 0 { own } else { links.before(own & !WRITES)? };
        let writer = (0..count).find(|at| self.value[*at] == asked | WRITES);
        let written = writer.map_or(0, |at| self.complete[at]);
        let there = clusters[asked as usize].first_return;
        let between = (0..count).filter(|at| {
            self.invoke[*at] > there
                && self.complete[*at] < self.invoke[culprit]
                && self.value[*at] & !WRITES != asked
        });
        let between = between.max_by_key(|at| {
            let value = self.value[*at];
            let plain = links.before(value & !WRITES).is_none();
            let newer = value & WRITES != 0 && self.invoke[*at] > written;
            (plain && newer, newer, plain, self.invoke[*at])
        })?;
        let mut ends = vec![self.invoke[between], until];
        if self.invoke[between] < written {
            ends.push(there);
        }
        Some(Conflict { ends, ..conflict.clone() })
    }

    fn ends_in(&self, at: usize, ends: &[u32]) -> bool {
        ends.contains(&self.invoke[at]) || (self.complete[at] != NEVER && ends.contains(&self.complete[at]))
    }
}
