//! The smallest part of columns that still breaks a model.
//!
//! Every step only leaves out what cannot have been the reason: when the whole keeps the model, so does the rest. That
//! is so for all models here of whole keys, of a value with everyone who saw it and all that was made from it, and of
//! single reads: what stays meets what it met before, and nothing that must come before something is added. A write that
//! only counts because somebody saw it goes with the last one that did.

use super::columns::{Columns, NONE};
use super::{Answer, Model, Pattern, Spent, judge};
use crate::explain::in_chunks;

/// So few operations are a handful; and a part of so many is looked through once more for less.
const FEW: usize = 6;
const SMALL: usize = 200;

/// What is left of columns.
pub(super) struct Left {
    /// Which operations, in their order.
    pub operations: Vec<usize>,
    /// By what they break the model.
    pub pattern: Pattern,
    /// What was used up before it was known of each that it is needed; `None` if that is known.
    pub spent: Option<Spent>,
}

/// What is left of columns that break a model by this pattern. Operations that are `unsure` count only if somebody saw what
/// they wrote.
pub(super) fn part(
    columns: &Columns,
    unsure: &[bool],
    (model, pattern): (Model, Pattern),
    bytes: usize,
    over: &dyn Fn() -> bool,
) -> Left {
    let all = vec![true; columns.len()];
    let mut part = Part { columns, unsure, model, bytes, over, keep: all.clone(), pattern, spent: None };
    part.shrink();
    if columns.len() <= SMALL && part.spent.is_none() {
        part.elsewhere(&all);
    }
    let operations = (0..columns.len()).filter(|at| part.keep[*at]).collect();
    Left { operations, pattern: part.pattern, spent: part.spent }
}

struct Part<'a> {
    columns: &'a Columns,
    unsure: &'a [bool],
    model: Model,
    bytes: usize,
    over: &'a dyn Fn() -> bool,
    keep: Vec<bool>,
    /// By what the kept ones break the model.
    pattern: Pattern,
    /// What was used up since they were last gone over.
    spent: Option<Spent>,
}

impl Part<'_> {
    fn left(&self) -> usize {
        self.keep.iter().filter(|keep| **keep).count()
    }

    /// Leaves those out, too, if what is left then is still broken.
    fn without(&mut self, out: impl IntoIterator<Item = usize>) -> bool {
        let mut keep = self.keep.clone();
        out.into_iter().for_each(|at| keep[at] = false);
        self.unseen(&mut keep);
        if keep == self.keep {
            return false;
        }
        if (self.over)() {
            self.spent = Some(Spent::Time);
            return false;
        }
        let (rest, _) = self.columns.only(&keep);
        match judge(&rest, self.model, self.bytes, self.over) {
            Answer::Broken(pattern) => {
                self.keep = keep;
                self.pattern = pattern;
                return true;
            }
            Answer::Kept => {}
            Answer::GaveUp(spent) => self.spent = Some(spent),
        }
        false
    }

    /// Leaves out what nobody is left to have seen, if it does not count then. Two that only saw one another do not prove
    /// each other: somebody who is sure has to stand at the end.
    fn unseen(&self, keep: &mut Vec<bool>) {
        if !self.unsure.contains(&true) {
            return;
        }
        let Columns { saw, wrote, .. } = self.columns;
        let most = saw.iter().chain(wrote).filter(|value| **value != NONE).max();
        let mut seen = vec![false; most.map_or(0, |most| *most as usize + 1)];
        let mut counts = vec![false; keep.len()];
        let mut more: Vec<usize> = (0..keep.len()).filter(|at| keep[*at] && !self.unsure[*at]).collect();
        while !more.is_empty() {
            for at in more {
                counts[at] = true;
                if saw[at] != NONE {
                    seen[saw[at] as usize] = true;
                }
            }
            let is_seen = |at: &usize| keep[*at] && !counts[*at] && seen[wrote[*at] as usize];
            more = (0..keep.len()).filter(is_seen).collect();
        }
        *keep = counts;
    }

    /// Leaves out all that can be left out by itself.
    fn shrink(&mut self) {
        self.keys();
        loop {
            let before = self.left();
            // Only the last round, in which nothing more can be left out, has to have had the means to try all.
            self.spent = None;
            self.values();
            self.reads();
            if self.left() == before || self.spent == Some(Spent::Time) {
                return;
            }
        }
    }

    /// What is left has nothing to spare, but there may be less to show something else: without one of these values or
    /// reads, the whole may be broken all the same.
    fn elsewhere(&mut self, all: &[bool]) {
        let mut tried = vec![false; all.len()];
        while self.left() > FEW {
            let untried = (0..all.len()).find(|at| self.keep[*at] && !tried[*at]);
            let Some(at) = untried.filter(|_| !(self.over)()) else { return };
            tried[at] = true;
            let mut other = Part { keep: all.to_vec(), spent: None, ..*self };
            if other.without(self.with_what_rests_on(&[at])) {
                other.shrink();
                // One that was not gone through to the end takes nothing from what was.
                if other.spent.is_none() && other.left() < self.left() {
                    (self.keep, self.pattern) = (other.keep, other.pattern);
                }
            }
        }
    }

    fn keys(&mut self) {
        let columns = self.columns;
        let mut keys: Vec<usize> = columns.key.iter().map(|key| *key as usize).collect();
        keys.sort_unstable();
        keys.dedup();
        in_chunks(&keys, |chunk| {
            let of_chunk = |at: &usize| chunk.binary_search(&(columns.key[*at] as usize)).is_ok();
            self.without((0..columns.len()).filter(of_chunk))
        });
    }

    fn values(&mut self) {
        let columns = self.columns;
        let kept = self.keep.clone();
        let writes: Vec<usize> =
            (0..columns.len()).filter(|at| kept[*at] && columns.wrote[*at] != NONE).collect();
        in_chunks(&writes, |chunk| self.without(self.with_what_rests_on(chunk)));
    }

    /// These operations and all that cannot be without them: whoever saw what they wrote, and what was made from that.
    fn with_what_rests_on(&self, operations: &[usize]) -> Vec<usize> {
        let Columns { saw, wrote, .. } = self.columns;
        let most = wrote.iter().chain(saw).filter(|value| **value != NONE).max();
        let mut out = vec![false; most.map_or(0, |most| *most as usize + 1)];
        let mut gone = vec![false; saw.len()];
        let mut more = operations.to_vec();
        while !more.is_empty() {
            for at in more {
                gone[at] = true;
                if wrote[at] != NONE {
                    out[wrote[at] as usize] = true;
                }
            }
            let rests = |at: &usize| !gone[*at] && saw[*at] != NONE && out[saw[*at] as usize];
            more = (0..saw.len()).filter(rests).collect();
        }
        (0..saw.len()).filter(|at| gone[*at]).collect()
    }

    fn reads(&mut self) {
        let columns = self.columns;
        let reads: Vec<usize> =
            (0..columns.len()).filter(|at| self.keep[*at] && columns.wrote[*at] == NONE).collect();
        in_chunks(&reads, |chunk| self.without(chunk.iter().copied()));
    }
}
