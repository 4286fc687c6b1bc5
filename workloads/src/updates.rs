//! Updates: clients read a key and write it anew, again and again; every client reads all keys at the end.
//!
//! Finds writes that were acknowledged and are gone though nobody wrote after having read them: lost updates. A register
//! without a cas loses them, linearizable or not; a store that keeps siblings does not. Cannot find losses that were made
//! up for before the end.

use std::collections::HashMap;

use schism_checker::Convergence;
use schism_checker::everyday::Updates;
use schism_engine::generator::{Context, Generator, Next};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key, Outcome, Ret};

use crate::settle::{SETTLE, last_reads};
use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "updates",
    about: "clients write anew what they read: no write is replaced by one that had not seen it",
    calls: &[CallKind::Read, CallKind::Write],
    settings: &[Setting { name: "keys", about: "how many keys; 20 by default" }, SETTLE],
    make: |settings| make(settings),
};

fn make(settings: &Settings) -> Workload {
    let keys = number(settings, "keys", 20);
    let last = move |_| (0..keys).map(|key| Call::Read { key: (key as i64).into() }).collect();
    Workload {
        calls: ENTRY.calls,
        load: Box::new(Readers { keys, value: 0, seen: HashMap::new() }),
        finale: last_reads(settings, last),
        checkers: vec![Box::new(Updates), Box::new(Convergence::default())],
        unique_values: true,
    }
}

/// Clients that read and write in turns.
struct Readers {
    keys: u64,
    value: i64,
    /// What each client has read last, and not written since.
    seen: HashMap<usize, Key>,
}

impl Generator for Readers {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let call = match self.seen.remove(&context.thread) {
            Some(key) => {
                self.value += 1;
                Call::Write { key, value: self.value.into() }
            }
            None => Call::Read { key: (context.random.below(self.keys) as i64).into() },
        };
        Next::Call(call, context.now)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        if let (Call::Read { key }, Outcome::Ok(Ret::Value(_))) = (call, outcome) {
            self.seen.insert(context.thread, key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn a_client_writes_what_it_has_read_just_before() {
        let made = Rehearsal::new(3).run(Limit::new(300, make(&Settings::new()).load));
        for thread in 0..3 {
            let calls: Vec<&Call> =
                made.iter().filter(|made| made.thread == thread).map(|made| &made.call).collect();
            assert!(calls.len() > 50);
            for pair in calls.chunks_exact(2) {
                assert_eq!((pair[0].kind(), pair[1].kind()), (CallKind::Read, CallKind::Write));
                assert_eq!(pair[0].key(), pair[1].key());
            }
        }
    }
}
