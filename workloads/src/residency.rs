//! Residency: clients write and read keys of several regions, and ask nodes what they hold themselves.
//!
//! Finds keys at nodes of a region that they do not belong to. Cannot find what was there only while nobody asked.

use schism_checker::everyday::{HERE, Residency};
use schism_engine::generator::{Context, Forever};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Value};

use crate::settle::{SETTLE, last_reads};
use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "residency",
    about: "keys of several regions, and what each node holds itself: nothing is at a node of another region (sharded alone)",
    calls: &[CallKind::Read, CallKind::Write],
    settings: &[
        Setting { name: "regions", about: "how many regions there are, as the store was told; 2 by default" },
        Setting { name: "keys", about: "how many keys each has; 20 by default" },
        SETTLE,
    ],
    make: |settings| make(settings),
};

fn make(settings: &Settings) -> Workload {
    let (regions, keys) = (number(settings, "regions", 2), number(settings, "keys", 20));
    let name = |region: u64, key: u64, end: &str| Value::text(&format!("r{}-{key}{end}", region + 1));
    let mut value = 0;
    let load = Forever(move |context: &mut Context<'_>| {
        let (region, key) = (context.random.below(regions), context.random.below(keys));
        match context.random.below(10) {
            0..4 => {
                value += 1;
                Call::Write { key: name(region, key, ""), value: Value::Int(value) }
            }
            4..6 => Call::Read { key: name(region, key, "") },
            _ => Call::Read { key: name(region, key, HERE) },
        }
    });
    let last = move |_| {
        let all = (0..regions).flat_map(|region| (0..keys).map(move |key| (region, key)));
        all.map(|(region, key)| Call::Read { key: name(region, key, HERE) }).collect()
    };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(load),
        finale: last_reads(settings, last),
        checkers: vec![Box::new(Residency { regions: regions as usize })],
        unique_values: true,
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn keys_of_all_regions_are_written_and_looked_for_at_each_node() {
        let made = Rehearsal::new(4).run(Limit::new(1_000, make(&Settings::new()).load));
        let count = |wanted: &dyn Fn(&Call) -> bool| made.iter().filter(|made| wanted(&made.call)).count();
        for region in ["\"r1-", "\"r2-"] {
            let of_region = |call: &Call| call.key().to_string().starts_with(region);
            let here = |call: &Call| call.key().to_string().contains(HERE);
            assert!(count(&|call| of_region(call) && call.kind() == CallKind::Write) > 100);
            assert!(count(&|call| of_region(call) && here(call)) > 100);
        }
    }
}
