//! Counters: clients add to them and read them, and every client reads all of them at the end.
//!
//! Finds increments that were acknowledged and are missing in the end, that count twice or that nobody made, and nodes that
//! end with different sums; an increment of unknown fate may count or not. So it asks the same of a store that answers on
//! both sides of a partition as of one that does not. Cannot find reads that were wrong before the end:
//! `schism check … --model counter` judges those of a store that shall be linearizable.

use schism_checker::Convergence;
use schism_engine::generator::{Context, Forever};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind};

use crate::settle::{SETTLE, last_reads};
use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "counter",
    about: "increments of counters: in the end every node shows the sum of those that were acknowledged",
    calls: &[CallKind::Increment, CallKind::Read],
    settings: &[Setting { name: "counters", about: "how many counters; 4 by default" }, SETTLE],
    make: |settings| make(settings),
};

fn make(settings: &Settings) -> Workload {
    let counters = number(settings, "counters", 4);
    let load = Forever(move |context: &mut Context<'_>| {
        let key = (context.random.below(counters) as i64).into();
        if context.random.below(100) < 30 {
            return Call::Read { key };
        }
        Call::Increment { key, by: 1 + context.random.below(5) as i64 }
    });
    let last = move |_| (0..counters).map(|key| Call::Read { key: (key as i64).into() }).collect();
    Workload {
        calls: ENTRY.calls,
        load: Box::new(load),
        finale: last_reads(settings, last),
        checkers: vec![Box::new(Convergence::default())],
        // Amounts are no values that a read could show.
        unique_values: false,
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn clients_add_more_often_than_they_read_and_read_all_in_the_end() {
        let workload = make(&Settings::new());
        let made = Rehearsal::new(3).run(Limit::new(1_000, workload.load));
        let adds = made.iter().filter(|made| matches!(made.call, Call::Increment { by: 1..=5, .. })).count();
        assert!((600..800).contains(&adds), "{adds}");
        assert_eq!(Rehearsal::new(3).run(workload.finale).len(), 3 * 4);
    }
}
