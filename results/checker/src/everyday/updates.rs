//! Updates: what was acknowledged is there in the end, unless somebody who had read it put something else in its place.
//!
//! A key holds one value, or, in a store that keeps siblings, the list of all that nobody has replaced yet. A client's write
//! replaces what its last read of the key saw. It finds, in the last answered read of each key at each node in the phase
//! `final`:
//! * **lost update**: an acknowledged write that is not there, and that no write replaced which may have happened. In a
//!   register that has no siblings, that is what becomes of all but one of the clients that read the same and write anew;
//! * **returned value**: one that is there though an acknowledged write had replaced it.
//!
//! Values are written once; nil is a delete. It cannot find nodes that differ: `Convergence` does.

use rustc_hash::{FxHashMap, FxHashSet};
use schism_history::{Call, History, Key, Outcome, Process, Value};

use super::{acknowledged, anomaly, final_reads, unread};
use crate::explain::wording::{did, when, who};
use crate::verdict::{Anomaly, Budget, Checker, Judgement};

/// The judge of updates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Updates;

/// The writes that replaced a value of a key, those of unknown fate too.
type Replaced<'h> = FxHashMap<(&'h Key, &'h Value), Vec<usize>>;

impl Checker for Updates {
    fn name(&self) -> &'static str {
        "updates"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let replaced = replaced(history);
        let reads = final_reads(history);
        let writes = acknowledged(
            history,
            |operation| matches!(&operation.call, Call::Write { value, .. } if *value != Value::Nil),
        );
        let (mut anomalies, mut all, mut lost) = (Vec::new(), 0, 0);
        for (key, writes) in writes {
            all += writes.len();
            let judge = OfKey { history, key, writes, replaced: &replaced };
            let mut missing = FxHashSet::default();
            let mut found: Vec<Anomaly> = Vec::new();
            for read in reads.get(key).into_iter().flatten().copied() {
                let lost = judge.lost(read);
                found.extend(lost.first().map(|write| judge.tell_lost(*write, read, lost.len())));
                found.extend(judge.returned(read));
                missing.extend(lost);
            }
            lost += missing.len();
            anomalies.extend(found.into_iter().next());
        }
        let about = "no acknowledged write is replaced by one that had not seen it";
        Judgement::new(self.name(), about, anomalies, unread(&reads))
            .with_fact("updates acknowledged", all)
            .with_fact("updates lost", lost)
    }
}

/// One key before the judge.
struct OfKey<'a, 'h> {
    history: &'h History,
    key: &'h Key,
    writes: Vec<usize>,
    replaced: &'a Replaced<'h>,
}

impl<'h> OfKey<'_, 'h> {
    fn replacers(&self, value: &'h Value) -> &[usize] {
        self.replaced.get(&(self.key, value)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The acknowledged writes that a final read should show and does not.
    fn lost(&self, read: usize) -> Vec<usize> {
        let rows = self.history.rows();
        let seen: FxHashSet<&Value> = rows[read].read().into_iter().flat_map(siblings).collect();
        let is_lost = |write: &&usize| {
            let write = &rows[**write];
            let Call::Write { value, .. } = &write.call else { return false };
            write.precedes(&rows[read]) && !seen.contains(value) && self.replacers(value).is_empty()
        };
        self.writes.iter().filter(is_lost).copied().collect()
    }

    fn tell_lost(&self, write: usize, read: usize, lost: usize) -> Anomaly {
        let (written, looked_for) = (&self.history.rows()[write], &self.history.rows()[read]);
        let others = match lost - 1 {
            0 => String::new(),
            more => format!("; so are {more} more"),
        };
        let sentence = format!(
            "key {}: {} {} ({}), nobody wrote after having read that, and in the end {} {}: it is lost{others}",
            self.key,
            who(written),
            did(written),
            when(written),
            who(looked_for),
            did(looked_for)
        );
        anomaly("lost update", self.key, sentence, vec![write], read)
    }

    fn returned(&self, read: usize) -> Option<Anomaly> {
        let rows = self.history.rows();
        let is_over = |write: &&usize| rows[**write].outcome.is_ok() && rows[**write].precedes(&rows[read]);
        let mut seen = siblings(rows[read].read()?).iter();
        let (value, by) =
            seen.find_map(|value| Some((value, *self.replacers(value).iter().find(is_over)?)))?;
        let (replacer, looked) = (&rows[by], &rows[read]);
        let sentence = format!(
            "key {}: {} {} ({}), having read {value}; but in the end {} {}: {value} is back",
            self.key,
            who(replacer),
            did(replacer),
            when(replacer),
            who(looked),
            did(looked)
        );
        Some(anomaly("returned value", self.key, sentence, vec![by], read))
    }
}

/// What a read saw: siblings, or one value, or nothing.
fn siblings(value: &Value) -> &[Value] {
    value.elements().unwrap_or(std::slice::from_ref(value))
}

fn replaced(history: &History) -> Replaced<'_> {
    let mut last: FxHashMap<(Process, &Key), &[Value]> = FxHashMap::default();
    let mut replaced = Replaced::default();
    for (at, operation) in history.rows().iter().enumerate() {
        let of_client = (operation.process, operation.call.key());
        match (&operation.call, operation.read()) {
            (Call::Read { .. }, Some(seen)) => {
                last.insert(of_client, siblings(seen));
            }
            (Call::Write { .. }, _) if !matches!(operation.outcome, Outcome::Fail(_)) => {
                for value in last.get(&of_client).copied().unwrap_or_default() {
                    replaced.entry((of_client.1, value)).or_default().push(at);
                }
            }
            _ => {}
        }
    }
    replaced
}
