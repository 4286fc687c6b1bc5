//! Registers: reads, writes and compare-and-sets on many keys, each key judged for linearizability.
//!
//! Every value is written once per key, so that a read says exactly whose write it saw; that is what lets histories of any
//! length be judged in next to no time. Finds stale reads, lost and doubled writes, split brains. Cannot find what spans
//! several keys.

use std::collections::VecDeque;

use schism_checker::Linearizable;
use schism_checker::model::CasRegister;
use schism_engine::generator::{Context, Generator, Next, PerKey};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key, Outcome, Ret, Value};

use crate::settle::{SETTLE, last_reads};
use crate::{Entry, Settings, number};

const SETTINGS: &[Setting] = &[
    Setting { name: "keys", about: "how many keys; 20 by default" },
    Setting { name: "clients-per-key", about: "how many clients work a key at a time; 5 by default" },
    Setting { name: "calls-per-visit", about: "calls before a group moves to its next key; 100 by default" },
    SETTLE,
];

pub(crate) const ENTRY: Entry = Entry {
    name: "register",
    about: "reads, writes and cas on many keys, each linearizable; every value is written once",
    calls: &[CallKind::Read, CallKind::Write, CallKind::Cas],
    settings: SETTINGS,
    make: |settings| make(settings, &ENTRY, WRITES),
};

/// For stores that cannot compare and set.
pub(crate) const READ_WRITE: Entry = Entry {
    name: "read-write",
    about: "the same without cas, for stores that have none",
    calls: &[CallKind::Read, CallKind::Write],
    settings: SETTINGS,
    make: |settings| make(settings, &READ_WRITE, 100 - READS),
};

/// Of a hundred calls so many are reads, so many writes; the rest are cas.
const READS: u64 = 50;
const WRITES: u64 = 30;

/// A cas expects one of so many values seen last: some succeed, some find that they come late.
const REMEMBERED: usize = 2;

fn make(settings: &Settings, entry: &Entry, writes: u64) -> Workload {
    let keys = number(settings, "keys", 20) as i64;
    let group = number(settings, "clients-per-key", 5) as usize;
    let visit = number(settings, "calls-per-visit", 100);
    let own = (0..keys)
        .map(|key| (Key::Int(key), Box::new(OneKey::new(key, writes)) as Box<dyn Generator>))
        .collect();
    let reads = move |_| (0..keys).map(|key| Call::Read { key: key.into() }).collect();
    Workload {
        calls: entry.calls,
        load: Box::new(PerKey::new(group, visit, own)),
        finale: last_reads(settings, reads),
        checkers: vec![Box::new(Linearizable { model: CasRegister::default() })],
        unique_values: true,
    }
}

/// Calls on one key, for ever.
struct OneKey {
    key: Key,
    /// Of a hundred calls so many.
    writes: u64,
    last_written: i64,
    seen: VecDeque<Value>,
}

impl OneKey {
    fn new(key: i64, writes: u64) -> Self {
        OneKey { key: key.into(), writes, last_written: 0, seen: VecDeque::new() }
    }

    fn fresh(&mut self) -> Value {
        self.last_written += 1;
        self.last_written.into()
    }

    fn see(&mut self, value: &Value) {
        if *value != Value::Nil && self.seen.back() != Some(value) {
            self.seen.push_back(value.clone());
            if self.seen.len() > REMEMBERED {
                self.seen.pop_front();
            }
        }
    }
}

impl Generator for OneKey {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let key = self.key.clone();
        let drawn = context.random.below(100);
        let call = if drawn < READS {
            Call::Read { key }
        } else if drawn < READS + self.writes || self.seen.is_empty() {
            Call::Write { key, value: self.fresh() }
        } else {
            let from = self.seen[context.random.index(self.seen.len())].clone();
            Call::Cas { key, from, to: self.fresh() }
        };
        Next::Call(call, context.now)
    }

    fn update(&mut self, _: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        match (call, outcome) {
            (_, Outcome::Ok(Ret::Value(value))) => self.see(value),
            (Call::Write { value, .. } | Call::Cas { to: value, .. }, Outcome::Ok(Ret::Done)) => {
                self.see(value)
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn every_value_is_written_once_a_key_and_every_kind_is_called() {
        let made = Rehearsal::new(20).run(Limit::new(20_000, (ENTRY.make)(&Settings::new()).load));
        let mut written: BTreeMap<&Key, BTreeSet<&Value>> = BTreeMap::new();
        let mut kinds: BTreeMap<CallKind, usize> = BTreeMap::new();
        for made in &made {
            *kinds.entry(made.call.kind()).or_default() += 1;
            if let Call::Write { key, value } | Call::Cas { key, to: value, .. } = &made.call {
                assert!(written.entry(key).or_default().insert(value), "{} twice", made.call);
            }
        }
        assert_eq!(written.len(), 20);
        assert!(kinds.len() == 3 && kinds.values().all(|count| *count > 3_000), "{kinds:?}");
    }

    #[test]
    fn without_cas_there_are_as_many_reads_as_writes() {
        let made = Rehearsal::new(20).run(Limit::new(2_000, (READ_WRITE.make)(&Settings::new()).load));
        let reads = made.iter().filter(|made| made.call.kind() == CallKind::Read).count();
        let writes = made.iter().filter(|made| made.call.kind() == CallKind::Write).count();
        assert!(
            reads + writes == made.len() && reads.abs_diff(writes) < 200,
            "{reads} reads, {writes} writes"
        );
    }

    #[test]
    fn in_the_end_every_thread_reads_every_key() {
        let made = Rehearsal::new(5).run((ENTRY.make)(&Settings::new()).finale);
        assert_eq!(made.len(), 5 * 20);
        assert!(made.iter().all(|made| made.call.kind() == CallKind::Read));
    }
}
