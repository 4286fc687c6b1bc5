//! Seat booking: customers book seats, each by a compare-and-set from empty to themselves, until all are gone.
//!
//! Finds seats that are sold twice and bookings that are lost. Cannot find what happens to a seat that is given back: none is.

use schism_checker::everyday::Seats;
use schism_engine::generator::{Calls, Context, EachThread, Forever, Generator};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Value};

use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "seats",
    about: "customers book seats by cas: none is sold twice, and none that was sold is free again",
    calls: &[CallKind::Read, CallKind::Cas],
    settings: &[Setting { name: "seats", about: "how many seats; 400 by default" }],
    make: |settings| make(settings),
};

/// Seats wanted at a time: customers meet at the same ones.
const WANTED: u64 = 8;
/// So many calls until the next seat is wanted, on average: about three customers try each.
const TRIES: u64 = 3;

fn make(settings: &Settings) -> Workload {
    let seats = number(settings, "seats", 400);
    let (mut customer, mut calls) = (0, 0);
    let load = Forever(move |context: &mut Context<'_>| {
        calls += 1;
        let first = (calls / (TRIES * 2)).min(seats.saturating_sub(WANTED));
        let key = ((first + context.random.below(WANTED.min(seats))) as i64).into();
        if context.random.below(2) == 0 {
            return Call::Read { key };
        }
        customer += 1;
        Call::Cas { key, from: Value::Nil, to: customer.into() }
    });
    let last = move |thread: usize| -> Box<dyn Generator> {
        // Each client looks at other seats: together they look at all, and at every one from several nodes.
        let own = (0..seats as i64).filter(move |seat| (*seat as usize + thread).is_multiple_of(4));
        Box::new(Calls::new(own.map(|seat| Call::Read { key: seat.into() })))
    };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(load),
        finale: Box::new(EachThread::new(last)),
        checkers: vec![Box::new(Seats)],
        unique_values: true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn several_customers_want_each_seat_and_all_are_looked_at() {
        let workload = make(&Settings::from([("seats".into(), "60".into())]));
        let mut wanted: BTreeMap<Value, usize> = BTreeMap::new();
        for made in Rehearsal::new(5).run(Limit::new(600, workload.load)) {
            if let Call::Cas { key, .. } = made.call {
                *wanted.entry(key).or_default() += 1;
            }
        }
        // Which of the eight wanted at a time is chance: one in ten may be passed over.
        assert!(wanted.len() > 54 && wanted.values().filter(|tries| **tries > 1).count() > 45, "{wanted:?}");
        let looked: BTreeSet<Value> =
            Rehearsal::new(5).run(workload.finale).into_iter().map(|made| made.call.key().clone()).collect();
        assert_eq!(looked.len(), 60);
    }
}
