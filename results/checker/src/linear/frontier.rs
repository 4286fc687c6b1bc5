//! Breadth first, event by event, and nothing skipped: every configuration that agrees with all operations so far.
//!
//! Slower than the search by orders of magnitude, and so plain that it can be checked by eye. It gives what an explanation
//! needs, the first operation nobody can explain and what the state could have been before it, and it is the second
//! judge that every violation is brought before in its smallest form.

use std::collections::HashSet;

use super::Entry;
use crate::model::Model;

/// How far the operations can be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frontier<S> {
    /// To the end.
    Explained,
    /// Up to this one.
    Stuck {
        /// The index, among the entries, of the first operation to return that nobody can explain.
        culprit: usize,
        /// What could have been the case just before its return: the state, and for each entry whether it is in line
        /// and has not returned.
        possible: Vec<Configuration<S>>,
    },
    /// More configurations than allowed were possible at once.
    TooWide,
}

/// What may be the case at one moment: the state, and which pending operations are in line.
pub type Configuration<S> = (S, Vec<bool>);

/// Follows the operations of one object as long as some configuration explains them. Holds at most `most`
/// configurations, each as large as the number of entries.
pub fn frontier<M: Model>(model: &M, entries: &[Entry<'_>], most: usize) -> Frontier<M::State> {
    let mut ends: Vec<(u32, bool, usize)> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        ends.push((entry.invoke, false, index));
        if entry.ret.is_some() {
            ends.push((entry.complete, true, index));
        }
    }
    ends.sort_unstable();
    let mut pending: Vec<usize> = Vec::new();
    let mut possible = vec![(model.initial(), vec![false; entries.len()])];
    for (_, returns, index) in ends {
        if !returns {
            pending.push(index);
            continue;
        }
        let Some(reachable) = closure(model, entries, &pending, &possible, most) else {
            return Frontier::TooWide;
        };
        possible = reachable.iter().filter(|(_, done)| done[index]).cloned().collect();
        if possible.is_empty() {
            return Frontier::Stuck { culprit: index, possible: reachable };
        }
        pending.retain(|other| *other != index);
        for (_, done) in &mut possible {
            // Everything that returned is in line: one bit less to tell configurations apart.
            done[index] = false;
        }
    }
    Frontier::Explained
}

/// Everything that can be the case when any pending operations take effect now, in any order.
fn closure<M: Model>(
    model: &M,
    entries: &[Entry<'_>],
    pending: &[usize],
    possible: &[Configuration<M::State>],
    most: usize,
) -> Option<Vec<Configuration<M::State>>> {
    let mut seen: HashSet<Configuration<M::State>> = possible.iter().cloned().collect();
    let mut found: Vec<Configuration<M::State>> = possible.to_vec();
    let mut at = 0;
    while at < found.len() {
        if found.len() > most {
            return None;
        }
        for index in pending {
            let (state, done) = found[at].clone();
            if done[*index] {
                continue;
            }
            for after in model.outcomes(&state, entries[*index].call, entries[*index].ret) {
                let mut done = done.clone();
                done[*index] = true;
                let next = (after, done);
                if seen.insert(next.clone()) {
                    found.push(next);
                }
            }
        }
        at += 1;
    }
    Some(found)
}
