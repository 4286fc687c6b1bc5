//! Registers under reads and writes, judged by what weaker stores promise: session guarantees, causality, convergence, a bound on
//! staleness, and that nothing acknowledged is lost.
//!
//! Four of them are one load with other judges: clients write and read a few keys, each value once. The fifth, `ledger`,
//! writes every key once, so that each acknowledged write can be looked for in the end: what it finds is exactly what was
//! lost.

use std::time::Duration;

use schism_checker::everyday::Ledger;
use schism_checker::{Checker, Convergence, Sessions, Staleness, Weak, weak};
use schism_engine::generator::{Context, Forever};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Value};

use crate::settle::{SETTLE, last_reads};
use crate::{Entry, Settings, number};

const CALLS: &[CallKind] = &[CallKind::Read, CallKind::Write];
const KEYS: Setting = Setting { name: "keys", about: "how many keys; 6 by default" };

pub(crate) const SESSIONS: Entry = Entry {
    name: "sessions",
    about: "reads and writes: read your writes, monotonic reads and writes, writes follow reads",
    calls: CALLS,
    settings: &[KEYS, SETTLE],
    make: |settings| registers(settings, vec![session_guarantees()]),
};

pub(crate) const CAUSAL: Entry = Entry {
    name: "causal",
    about: "reads and writes: no effect is seen without its cause, and all agree on the order of what is concurrent (CCv)",
    calls: CALLS,
    settings: &[KEYS, SETTLE],
    make: |settings| {
        let model = weak::Model::Convergent;
        registers(settings, vec![Box::new(Weak { model, initial: Value::Nil }), session_guarantees()])
    },
};

pub(crate) const CONVERGENCE: Entry = Entry {
    name: "convergence",
    about: "reads and writes: in the end all nodes say the same",
    calls: CALLS,
    settings: &[
        KEYS,
        SETTLE,
        Setting {
            name: "deletes-per-100",
            about: "how many of a hundred writes are deletes; none by default",
        },
    ],
    make: |settings| registers(settings, vec![Box::new(Convergence::default())]),
};

pub(crate) const BOUNDED: Entry = Entry {
    name: "bounded",
    about: "reads and writes: no read is staler than a bound",
    calls: CALLS,
    settings: &[
        KEYS,
        SETTLE,
        Setting { name: "bound-ms", about: "the bound in milliseconds; 1000 by default" },
    ],
    make: |settings| {
        let bound = Duration::from_millis(number(settings, "bound-ms", 1_000));
        let judge = Staleness { max_time: Some(bound), ..Staleness::default() };
        registers(settings, vec![Box::new(judge)])
    },
};

pub(crate) const LEDGER: Entry = Entry {
    name: "ledger",
    about: "every key is written once and looked for in the end: no acknowledged write is lost",
    calls: CALLS,
    settings: &[
        Setting { name: "entries", about: "how many keys are written at most; 2000 by default" },
        SETTLE,
    ],
    make: |settings| ledger(settings),
};

/// By definite evidence alone: whether writes follow real time is no matter of sessions.
fn session_guarantees() -> Box<dyn Checker> {
    Box::new(Sessions::default())
}

fn registers(settings: &Settings, checkers: Vec<Box<dyn Checker>>) -> Workload {
    let keys = number(settings, "keys", 6);
    let deletes = number(settings, "deletes-per-100", 0);
    let mut value = 0;
    let load = Forever(move |context: &mut Context<'_>| {
        let key = (context.random.below(keys) as i64).into();
        if context.random.below(100) < 60 {
            return Call::Read { key };
        }
        if deletes > 0 && context.random.below(100) < deletes {
            return Call::Write { key, value: Value::Nil };
        }
        value += 1;
        Call::Write { key, value: value.into() }
    });
    let last = move |_| (0..keys).map(|key| Call::Read { key: (key as i64).into() }).collect();
    Workload {
        calls: CALLS,
        load: Box::new(load),
        finale: last_reads(settings, last),
        checkers,
        // A delete is a write of nil, as often as there are deletes.
        unique_values: deletes == 0,
    }
}

fn ledger(settings: &Settings) -> Workload {
    let entries = number(settings, "entries", 2_000) as i64;
    let mut written = 0;
    let load = Forever(move |context: &mut Context<'_>| {
        // Once the ledger is full, it is only read.
        if context.random.below(100) < 20 || written >= entries {
            return Call::Read { key: (1 + context.random.below(written.max(1) as u64) as i64).into() };
        }
        written += 1;
        Call::Write { key: written.into(), value: Value::Int(written) }
    });
    let last = move |thread: usize| {
        // Each client looks at a tenth: together at every entry, and at each from two clients or more of twenty.
        let own = (1..=entries).filter(move |entry| (*entry as usize).abs_diff(thread).is_multiple_of(10));
        own.map(|entry| Call::Read { key: entry.into() }).collect()
    };
    Workload {
        calls: CALLS,
        load: Box::new(load),
        finale: last_reads(settings, last),
        checkers: vec![Box::new(Ledger)],
        unique_values: true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn values_are_written_once() {
        for entry in [SESSIONS, CAUSAL, CONVERGENCE, BOUNDED, LEDGER] {
            let made = Rehearsal::new(4).run(Limit::new(2_000, (entry.make)(&Settings::new()).load));
            let written: Vec<_> = made
                .iter()
                .filter_map(
                    |made| if let Call::Write { value, .. } = &made.call { Some(value) } else { None },
                )
                .collect();
            assert!(written.len() > 700, "{}: {}", entry.name, written.len());
            assert_eq!(written.iter().collect::<BTreeSet<_>>().len(), written.len(), "{}", entry.name);
        }
    }

    #[test]
    fn every_entry_of_a_ledger_is_looked_for_at_the_end() {
        let workload = ledger(&Settings::from([("entries".into(), "95".into())]));
        let looked: BTreeSet<_> =
            Rehearsal::new(10).run(workload.finale).into_iter().map(|made| made.call.key().clone()).collect();
        assert_eq!(looked.len(), 95);
    }
}
