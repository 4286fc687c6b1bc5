//! The smallest part of columns that still breaks a model.
//!
//! Every step only leaves out what cannot have been the reason: when the whole keeps the model, so does the rest. That
//! is so for all models here of whole keys, of a value with everyone who saw it and all that was made from it, and of
//! single reads: what stays meets what it met before, and nothing that must come before something is added. A write that
//! only counts because somebody saw it goes with the last one that did.

use super::columns::{Columns, NONE};
use super::{Answer, Model, judge};
use crate::explain::in_chunks;

/// Which operations are left, in their order. Those that are `unsure` count only if somebody saw what they wrote.
pub(super) fn part(
    columns: &Columns,
    unsure: &[bool],
    model: Model,
    bytes: usize,
    over: &dyn Fn() -> bool,
) -> Vec<usize> {
    let mut part = Part { columns, unsure, model, bytes, over, keep: vec![true; columns.len()] };
    part.keys();
    loop {
        let before = part.left();
        part.values();
        part.reads();
        if part.left() == before || over() {
            return (0..columns.len()).filter(|at| part.keep[*at]).collect();
        }
    }
}

struct Part<'a> {
    columns: &'a Columns,
    unsure: &'a [bool],
    model: Model,
    bytes: usize,
    over: &'a dyn Fn() -> bool,
    keep: Vec<bool>,
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
        if (self.over)() || keep == self.keep {
            return false;
        }
        let (rest, _) = self.columns.only(&keep);
        let broken = matches!(judge(&rest, self.model, self.bytes, self.over), Answer::Broken(_));
        if broken {
            self.keep = keep;
        }
        broken
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
        let values = (0..columns.len()).filter(|at| kept[*at] && columns.wrote[*at] != NONE);
        let values: Vec<usize> = values.map(|at| columns.wrote[at] as usize).collect();
        let most = columns.wrote.iter().chain(&columns.saw).filter(|value| **value != NONE).max();
        let most = most.map_or(0, |most| *most as usize);
        in_chunks(&values, |chunk| {
            let mut out = vec![false; most + 1];
            chunk.iter().for_each(|value| out[*value] = true);
            loop {
                let mut more = false;
                for at in (0..columns.len()).filter(|at| kept[*at]) {
                    let (saw, wrote) = (columns.saw[at], columns.wrote[at]);
                    // What was made from a value goes with it.
                    if saw != NONE && wrote != NONE && out[saw as usize] {
                        more |= !std::mem::replace(&mut out[wrote as usize], true);
                    }
                }
                if !more {
                    break;
                }
            }
            let gone = |value: u32| value != NONE && out[value as usize];
            let gone = |at: &usize| gone(columns.saw[*at]) || gone(columns.wrote[*at]);
            self.without((0..columns.len()).filter(gone))
        });
    }

    fn reads(&mut self) {
        let columns = self.columns;
        let reads: Vec<usize> =
            (0..columns.len()).filter(|at| self.keep[*at] && columns.wrote[*at] == NONE).collect();
        in_chunks(&reads, |chunk| self.without(chunk.iter().copied()));
    }
}
