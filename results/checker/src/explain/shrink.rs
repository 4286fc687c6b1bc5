//! The smallest part of a history that still shows it is not linearizable.
//!
//! Every step here may only be taken if the rest proves something about the whole: whenever the whole has a legal order,
//! so has the rest. Then a rest without one means a whole without one. The steps, and why they are such:
//! * **End early.** What was invoked after a moment is left out, what was pending there becomes optional.
//! * **Begin late.** After a write `w` that took effect, the state is what `w` wrote, whatever came before. What returned
//!   before `w` was invoked is left out; what was under way while `w` was may have come before `w`, so it becomes
//!   optional, or is left out if it only observes.
//! * **Whole values.** All operations that ask for or leave behind any of a set of states are left out, if no operation
//!   leads from one of them to a state that stays. What stays meets the state it met before.
//! * **Single observers** are left out; **single other operations** become optional.
//! * **Optional operations nobody could tell** are left out.
//!
//! Each result is judged by the same search; one that is not proven bad within a bounded number of steps is not taken.

use rustc_hash::{FxHashMap, FxHashSet};
use schism_history::Position;

use crate::linear::{Allowance, Entry, Finding, search, without_idle};
use crate::model::{Gives, Model, Needs};

/// How much harder than the whole a part may be.
const STEPS: u64 = 200_000;
/// How many writes are tried as a beginning one by one, from the latest on; after that ever larger strides are taken.
const BEGINNINGS: usize = 48;
/// So many operations are put back to tell who wrote what is asked for.
const MOST_ORIGINS: usize = 6;

/// The entries that are left, each as it stands in the whole; in the order of invocation. If nothing could be left out,
/// the whole.
pub(super) fn shrink<'h, M: Model>(
    model: &M,
    whole: &[Entry<'h>],
    allowance: &Allowance<'_>,
) -> Vec<Entry<'h>> {
    let shrinker = Shrinker { model, allowance };
    let part = shrinker.end_early(whole);
    let (mut part, beginning) = shrinker.begin_late(part, whole);
    part = shrinker.whole_values(part);
    part = shrinker.one_by_one(part, beginning);
    let kept: FxHashSet<usize> = part.iter().map(|entry| entry.operation).collect();
    // Back to how they stand in the whole: a required operation constrains more than an optional one.
    let part: Vec<Entry<'h>> =
        whole.iter().filter(|entry| kept.contains(&entry.operation)).copied().collect();
    if shrinker.bad(&part) { part } else { whole.to_vec() }
}

struct Shrinker<'a, 'b, M> {
    model: &'a M,
    allowance: &'a Allowance<'b>,
}

impl<M: Model> Shrinker<'_, '_, M> {
    fn bad(&self, entries: &[Entry<'_>]) -> bool {
        search(self.model, entries, self.allowance, STEPS).0 == Finding::NotLinearizable
    }

    fn observes(&self, entry: &Entry<'_>) -> bool {
        self.model.effect(entry.call, entry.ret).gives == Gives::Same
    }

    /// The same entry, with less certainty: `None` if it constrains nothing then.
    fn relaxed<'h>(&self, entry: &Entry<'h>) -> Option<Entry<'h>> {
        (!self.observes(entry)).then_some(Entry { ret: None, complete: Position::MAX, ..*entry })
    }

    fn until<'h>(&self, entries: &[Entry<'h>], end: Position) -> Vec<Entry<'h>> {
        let begun = entries.iter().filter(|entry| entry.invoke < end);
        let part = begun.filter_map(|entry| match entry.ret {
            Some(_) if entry.complete > end => self.relaxed(entry),
            _ => Some(*entry),
        });
        without_idle(self.model, &part.collect::<Vec<_>>())
    }

    /// The shortest beginning that is bad: legality is lost once and never comes back, so the moment can be bisected.
    fn end_early<'h>(&self, whole: &[Entry<'h>]) -> Vec<Entry<'h>> {
        let mut ends: Vec<Position> =
            whole.iter().filter(|entry| entry.ret.is_some()).map(|entry| entry.complete).collect();
        ends.sort_unstable();
        let mut best = whole.to_vec();
        let (mut good, mut bad) = (0, ends.len());
        while good < bad {
            let middle = (good + bad) / 2;
            let part = self.until(whole, ends[middle]);
            if self.bad(&part) {
                best = part;
                bad = middle;
            } else {
                good = middle + 1;
            }
        }
        best
    }

    /// The latest beginning that leaves the part bad, and the write it begins with if that must stay: without it, a
    /// value that was written before the beginning would seem never to have been written.
    fn begin_late<'h>(&self, part: Vec<Entry<'h>>, whole: &[Entry<'h>]) -> (Vec<Entry<'h>>, Option<usize>) {
        let mut writes: Vec<&Entry<'h>> = part
            .iter()
            .filter(|entry| {
                let effect = self.model.effect(entry.call, entry.ret);
                entry.ret.is_some()
                    && effect.needs == Needs::Nothing
                    && matches!(effect.gives, Gives::State(_))
            })
            .collect();
        writes.sort_by_key(|entry| std::cmp::Reverse(entry.invoke));
        let mut at = 0;
        while let Some(write) = writes.get(at) {
            let mut rest = self.since(&part, write);
            if rest.len() < part.len() && self.bad(&rest) {
                let write = write.operation;
                let told = self.add_origins(&mut rest, whole);
                return (rest, (!told).then_some(write));
            }
            at += if at < BEGINNINGS { 1 } else { at / 4 };
        }
        (part, None)
    }

    fn since<'h>(&self, entries: &[Entry<'h>], write: &Entry<'h>) -> Vec<Entry<'h>> {
        let part = entries.iter().filter_map(|entry| match entry.ret {
            Some(_) if entry.operation == write.operation => Some(*entry),
            Some(_) if entry.complete < write.invoke => None,
            Some(_) if entry.invoke < write.complete => self.relaxed(entry),
            _ => Some(*entry),
        });
        without_idle(self.model, &part.collect::<Vec<_>>())
    }

    /// Leaves out as many whole values as can be.
    fn whole_values<'h>(&self, part: Vec<Entry<'h>>) -> Vec<Entry<'h>> {
        let mut touched = Vec::with_capacity(part.len());
        let mut order: Vec<M::State> = Vec::new();
        let mut ids: FxHashMap<M::State, usize> = FxHashMap::default();
        for entry in &part {
            let effect = self.model.effect(entry.call, entry.ret);
            let mut id = |state: M::State| {
                *ids.entry(state.clone()).or_insert_with(|| {
                    order.push(state);
                    order.len() - 1
                })
            };
            let asked = match effect.needs {
                Needs::State(state) => Some(id(state)),
                Needs::Nothing => None,
                Needs::Unknown => return part,
            };
            let left = match effect.gives {
                Gives::State(state) => Some(id(state)),
                Gives::Same => None,
                Gives::Unknown => return part,
            };
            touched.push((asked, left));
        }
        let leave_out = |values: &FxHashSet<usize>| {
            let mut out = values.clone();
            loop {
                let before = out.len();
                for (asked, left) in &touched {
                    if let (Some(asked), Some(left)) = (asked, left)
                        && out.contains(asked)
                    {
                        out.insert(*left);
                    }
                }
                if out.len() == before {
                    break;
                }
            }
            let gone = |value: &Option<usize>| value.is_some_and(|value| out.contains(&value));
            let kept = part.iter().zip(&touched).filter(|(_, (asked, left))| !gone(asked) && !gone(left));
            without_idle(self.model, &kept.map(|(entry, _)| *entry).collect::<Vec<_>>())
        };
        let mut out = FxHashSet::default();
        let mut best = part.clone();
        let all: Vec<usize> = (0..order.len()).collect();
        in_chunks(&all, |chunk| {
            let mut more = out.clone();
            more.extend(chunk.iter().copied());
            let rest = leave_out(&more);
            let taken = rest.len() < best.len() && self.bad(&rest);
            if taken {
                out = more;
                best = rest;
            }
            taken
        });
        best
    }

    /// Leaves out observers and relaxes all else, as far as it goes.
    fn one_by_one<'h>(&self, part: Vec<Entry<'h>>, keep: Option<usize>) -> Vec<Entry<'h>> {
        // Observers first: once the write that one saw is optional, it would have to stay.
        let mut required: Vec<&Entry<'h>> =
            part.iter().filter(|entry| entry.ret.is_some() && Some(entry.operation) != keep).collect();
        required.sort_by_key(|entry| !self.observes(entry));
        let observers = required.iter().filter(|entry| self.observes(entry)).count();
        let required: Vec<usize> = required.iter().map(|entry| entry.operation).collect();
        let mut best = part.clone();
        let mut weaken = |chunk: &[usize]| {
            let weaker = best.iter().filter_map(|entry| {
                if chunk.contains(&entry.operation) && entry.ret.is_some() {
                    self.relaxed(entry)
                } else {
                    Some(*entry)
                }
            });
            let rest = without_idle(self.model, &weaker.collect::<Vec<_>>());
            let taken = self.bad(&rest);
            if taken {
                best = rest;
            }
            taken
        };
        in_chunks(&required[..observers], &mut weaken);
        in_chunks(&required[observers..], &mut weaken);
        best
    }

    /// Puts back who last wrote a value that is asked for, where that was left out with all that came before the
    /// beginning. Whether all could be told in a few operations; if not, nothing is put back.
    fn add_origins<'h>(&self, part: &mut Vec<Entry<'h>>, whole: &[Entry<'h>]) -> bool {
        // Those made optional, too, and as they stand in the whole: in the end they do so again.
        let kept: FxHashSet<usize> = part.iter().map(|entry| entry.operation).collect();
        let mut due: Vec<Entry<'h>> =
            whole.iter().filter(|entry| kept.contains(&entry.operation)).copied().collect();
        let mut added: Vec<Entry<'h>> = Vec::new();
        while let Some(reader) = due.pop() {
            let Needs::State(asked) = self.model.effect(reader.call, reader.ret).needs else { continue };
            let gives = |entry: &&Entry<'h>| {
                entry.operation != reader.operation
                    && entry.invoke < reader.complete
                    && matches!(self.model.effect(entry.call, entry.ret).gives, Gives::State(state) if state == asked)
            };
            if asked == self.model.initial() || part.iter().chain(&added).any(|entry| gives(&entry)) {
                continue;
            }
            let origin = whole.iter().rev().find(gives);
            if let Some(origin) = origin {
                added.push(*origin);
                due.push(*origin);
            }
            if added.len() > MOST_ORIGINS {
                return false;
            }
        }
        if self.bad(&added) {
            return false;
        }
        let mut whole_story = part.clone();
        whole_story.extend(added);
        whole_story.sort_by_key(|entry| entry.operation);
        let told = self.bad(&whole_story);
        if told {
            *part = whole_story;
        }
        told
    }
}

/// Offers ever smaller chunks of the items to `take`, each item until it was offered alone; what was taken is not
/// offered again. Few items are left in the end where `take` wants most of them: then it is called about as often as
/// the logarithm of their number for each one left.
pub fn in_chunks(items: &[usize], mut take: impl FnMut(&[usize]) -> bool) {
    let mut left = items.to_vec();
    let mut size = left.len().max(1);
    loop {
        let mut kept = Vec::with_capacity(left.len());
        for chunk in left.chunks(size) {
            if !take(chunk) {
                kept.extend_from_slice(chunk);
            }
        }
        left = kept;
        if size == 1 || left.is_empty() {
            return;
        }
        size = size.div_ceil(2);
    }
}
