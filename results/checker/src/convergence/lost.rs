//! Whether all that was acknowledged is there in the end, and nothing else.

use rustc_hash::{FxHashMap, FxHashSet};
use schism_history::{Call, Operation, Outcome, Process, Value};

use super::OfKey;
use crate::explain::wording::{did, when, who};
use crate::verdict::Anomaly;

impl OfKey<'_, '_> {
    pub(super) fn lost(&self) -> Vec<Anomaly> {
        let Some(last) = self.object.last.last().copied() else { return Vec::new() };
        let increments = |at: &usize| matches!(self.row(*at).call, Call::Increment { .. });
        let writes = |at: &usize| matches!(self.row(*at).call, Call::Write { .. } | Call::Cas { .. });
        if self.holds_elements() {
            self.lost_elements(last)
        } else if !self.object.changes.is_empty() && self.object.changes.iter().all(increments) {
            self.counted(last).into_iter().collect()
        } else if self.object.changes.iter().all(writes) {
            self.overwritten(last).into_iter().collect()
        } else {
            Vec::new()
        }
    }

    fn lost_elements(&self, last: usize) -> Vec<Anomaly> {
        let Some(held) = self.seen(last).elements() else { return Vec::new() };
        let held: FxHashSet<&Value> = held.iter().collect();
        let changes = || self.object.changes.iter().map(|at| (*at, &self.row(*at).call));
        // Of each element, the remove that was over last: it cannot have seen an add that began later.
        let mut removed: FxHashMap<&Value, usize> = FxHashMap::default();
        for (at, call) in changes() {
            let Call::Remove { value, .. } = call else { continue };
            let last = removed.entry(value).or_insert(at);
            if self.row(*last).complete < self.row(at).complete {
                *last = at;
            }
        }
        let may_be_removed = |value: &Value, at: usize| {
            removed.get(value).is_some_and(|by| !self.row(*by).precedes(self.row(at)))
        };
        let (mut lost, mut added) = (Vec::new(), FxHashMap::<&Value, usize>::default());
        for (at, call) in changes() {
            let Call::Add { value, .. } = call else { continue };
            *added.entry(value).or_default() += 1;
            if self.over_before(at, last) && !held.contains(value) && !may_be_removed(value, at) {
                lost.push(at);
            }
        }
        let mut found: Vec<Anomaly> = self.returned(last, &held, &added).into_iter().collect();
        if let Some(first) = lost.first() {
            let add = self.row(*first);
            let others = match lost.len() - 1 {
                0 => String::new(),
                more => format!("; so are {more} more"),
            };
            let sentence =
                format!("{} {} ({}), and in the end it is not there{others}", who(add), did(add), when(add));
            found.push(self.anomaly("lost element", sentence, vec![*first, last], last));
        }
        let mut made_up: Vec<&&Value> = held.iter().filter(|value| !added.contains_key(**value)).collect();
        made_up.sort_unstable_by_key(|value| value.to_string());
        if let Some(value) = made_up.first() {
            let sentence = format!("in the end there is {value}, which nobody added");
            found.push(self.anomaly("made-up value", sentence, vec![last], last));
        }
        found
    }

    /// An element that was added once, that somebody removed who had seen it, and that is there all the same.
    fn returned(
        &self,
        last: usize,
        held: &FxHashSet<&Value>,
        added: &FxHashMap<&Value, usize>,
    ) -> Option<Anomaly> {
        let removed = |at: &usize| match &self.row(*at).call {
            Call::Remove { value, .. } if self.over_before(*at, last) => Some((*at, value)),
            _ => None,
        };
        let is_back = |value: &Value| held.contains(value) && added.get(value) == Some(&1);
        let had_seen = |by: usize, value: &Value| {
            let by = self.row(by);
            self.object.reads.iter().any(|read| {
                let row = self.row(*read);
                row.process == by.process
                    && row.precedes(by)
                    && self.seen(*read).elements().is_some_and(|elements| elements.contains(value))
            })
        };
        let mut removes = self.object.changes.iter().filter_map(removed);
        let (at, value) = removes.find(|(at, value)| is_back(value) && had_seen(*at, value))?;
        let remove = self.row(at);
        let sentence = format!(
            "{} {} ({}), having seen it, and nobody added it again; but in the end {value} is there",
            who(remove),
            did(remove),
            when(remove)
        );
        Some(self.anomaly("returned element", sentence, vec![at, last], last))
    }

    /// Whether a counter ends within the bounds of what happened and what may have.
    fn counted(&self, last: usize) -> Option<Anomaly> {
        let end = match self.seen(last) {
            Value::Int(end) => end,
            Value::Nil => &0,
            _ => return None,
        };
        let (mut least, mut most) = (0i128, 0i128);
        for at in &self.object.changes {
            let Call::Increment { by, .. } = self.row(*at).call else { continue };
            let (ok, by) = (self.over_before(*at, last), i128::from(by));
            least += if ok || by < 0 { by } else { 0 };
            most += if ok || by > 0 { by } else { 0 };
        }
        let (name, bound) = match i128::from(*end) {
            end if end < least => ("lost increment", format!("at least {least}")),
            end if end > most => ("made-up increment", format!("{most} at most")),
            _ => return None,
        };
        let read = self.row(last);
        let sentence = format!(
            "{} in the end {} ({}), but by what was acknowledged it is {bound}",
            who(read),
            did(read),
            when(read)
        );
        Some(self.anomaly(name, sentence, vec![last], last))
    }

    /// Whether a register ends with what an acknowledged write had replaced.
    fn overwritten(&self, last: usize) -> Option<Anomaly> {
        let end = self.seen(last);
        let acknowledged = |at: &&usize| self.over_before(**at, last);
        let writers: Vec<usize> =
            self.object.changes.iter().filter(|at| written(self.row(**at)) == Some(end)).copied().collect();
        if *end == self.judge.initial && writers.is_empty() {
            let lost = *self.object.changes.iter().rev().find(acknowledged)?;
            let write = self.row(lost);
            let sentence = format!(
                "{} {} ({}), but in the end there is {end} as at first",
                who(write),
                did(write),
                when(write)
            );
            return Some(self.anomaly("lost write", sentence, vec![lost, last], last));
        }
        // Written or never replaced: that cannot be told apart.
        if *end == self.judge.initial {
            return None;
        }
        // Values of a register with siblings are lists of what concurrent writes left: those are not judged here.
        if writers.is_empty() && end.elements().is_some() {
            return None;
        }
        let Some([writer]) = writers.first_chunk::<1>().filter(|_| writers.len() == 1) else {
            let made_up =
                writers.is_empty().then(|| format!("in the end there is {end}, which nobody wrote"));
            return made_up.map(|sentence| self.anomaly("made-up value", sentence, vec![last], last));
        };
        // Since when each client knew of the value.
        let mut knows: FxHashMap<Process, u32> = FxHashMap::default();
        knows.insert(self.row(*writer).process, self.row(*writer).complete);
        for read in self.object.reads.iter().filter(|at| self.seen(**at) == end) {
            let (process, since) = (self.row(*read).process, self.row(*read).complete);
            knows.entry(process).and_modify(|known| *known = since.min(*known)).or_insert(since);
        }
        let after = |at: &&usize| {
            let write = self.row(**at);
            **at != *writer && knows.get(&write.process).is_some_and(|since| *since < write.invoke)
        };
        let lost = *self.object.changes.iter().filter(acknowledged).find(after)?;
        let (write, earlier) = (self.row(lost), self.row(*writer));
        let sentence = format!(
            "{} {} ({}), knowing of {end}, which {} had written; but in the end there is {end} again",
            who(write),
            did(write),
            when(write),
            who(earlier)
        );
        Some(self.anomaly("lost write", sentence, vec![*writer, lost, last], last))
    }
}

/// What a call leaves in a register.
fn written(operation: &Operation) -> Option<&Value> {
    match (&operation.call, &operation.outcome) {
        (Call::Write { value, .. } | Call::Cas { to: value, .. }, Outcome::Ok(_) | Outcome::Info(_)) => {
            Some(value)
        }
        _ => None,
    }
}
