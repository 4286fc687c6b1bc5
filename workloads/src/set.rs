//! A set: clients add elements, each once, and read the whole set now and then and at the end.
//!
//! Finds acknowledged elements that are lost, come late, come twice or come from nowhere. Cannot find wrong orders: a set
//! has none.

use schism_checker::SetFull;
use schism_engine::generator::{Calls, Context, EachThread, Forever, Generator};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key};

use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "set",
    about: "adds to one set, reads of the whole set: nothing acknowledged is lost, late, doubled or made up",
    calls: &[CallKind::Add, CallKind::Read],
    settings: &[Setting {
        name: "reads-per-100",
        about: "how many of a hundred calls are reads; 5 by default",
    }],
    make: |settings| make(settings),
};

/// The same load with other shares: where elements are spread over nodes, a read of all is a scan of many.
pub(crate) const SCAN: Entry = Entry {
    name: "scan",
    about: "elements put in one by one, and scans of all: none misses what was there before it began",
    calls: ENTRY.calls,
    settings: &[Setting {
        name: "scans-per-100",
        about: "how many of a hundred calls are scans; 30 by default",
    }],
    make: |settings| workload(number(settings, "scans-per-100", 30)),
};

fn make(settings: &Settings) -> Workload {
    workload(number(settings, "reads-per-100", 5))
}

fn workload(reads: u64) -> Workload {
    let mut element = 0;
    let load = Forever(move |context: &mut Context<'_>| {
        if context.random.below(100) < reads {
            return Call::Read { key: key() };
        }
        element += 1;
        Call::Add { key: key(), value: element.into() }
    });
    let last = |_| -> Box<dyn Generator> { Box::new(Calls::new([Call::Read { key: key() }])) };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(load),
        finale: Box::new(EachThread::new(last)),
        checkers: vec![Box::new(SetFull::default())],
        unique_values: true,
    }
}

fn key() -> Key {
    "set".into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn every_element_is_added_once() {
        let made = Rehearsal::new(3).run(Limit::new(2_000, make(&Settings::new()).load));
        let mut added = BTreeSet::new();
        for made in &made {
            if let Call::Add { value, .. } = &made.call {
                assert!(added.insert(value), "{value} twice");
            }
        }
        assert!((1_850..1_950).contains(&added.len()), "{}", added.len());
    }

    #[test]
    fn scans_are_as_many_as_asked() {
        let scans = |asked: &str| {
            let settings = Settings::from([("scans-per-100".into(), asked.into())]);
            let made = Rehearsal::new(3).run(Limit::new(2_000, (SCAN.make)(&settings).load));
            made.iter().filter(|made| matches!(made.call, Call::Read { .. })).count()
        };
        assert!((950..1_050).contains(&scans("50")), "{}", scans("50"));
        assert!((150..250).contains(&scans("10")), "{}", scans("10"));
    }
}
