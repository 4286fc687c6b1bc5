//! Catalog: one client sets the prices of each product, all others read them again and again.
//!
//! Finds customers who see a new price and then an old one again. Cannot find that all see old prices alike.

use schism_checker::everyday::Catalog;
use schism_engine::generator::{Calls, Context, EachThread, Forever, Generator};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind};

use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "catalog",
    about: "one client sets a product's prices, all others read them: none sees a price older than one it saw",
    calls: &[CallKind::Read, CallKind::Write],
    settings: &[
        Setting { name: "products", about: "how many products; 5 by default" },
        Setting {
            name: "writes-per-100",
            about: "how many of a setter's hundred calls are new prices; 60 by default",
        },
    ],
    make: |settings| make(settings),
};

fn make(settings: &Settings) -> Workload {
    let products = number(settings, "products", 5);
    let writes = number(settings, "writes-per-100", 60);
    let mut prices = vec![0i64; products as usize];
    let load = Forever(move |context: &mut Context<'_>| {
        // The first clients set the price of a product each, as many as there are; then they read like the others.
        let own = context.thread as u64;
        if own < products && context.random.below(100) < writes {
            prices[own as usize] += 1;
            return Call::Write { key: (own as i64).into(), value: prices[own as usize].into() };
        }
        Call::Read { key: (context.random.below(products) as i64).into() }
    });
    let last = move |_| -> Box<dyn Generator> {
        Box::new(Calls::new((0..products).map(|product| Call::Read { key: (product as i64).into() })))
    };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(load),
        finale: Box::new(EachThread::new(last)),
        checkers: vec![Box::new(Catalog)],
        unique_values: true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn each_products_prices_are_numbered_by_one_client() {
        let made = Rehearsal::new(8).run(Limit::new(2_000, make(&Settings::new()).load));
        let mut prices: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for made in &made {
            if let Call::Write { key, value } = &made.call {
                assert_eq!(*key, (made.thread as i64).into());
                prices.entry(key.clone()).or_default().push(value.clone());
            }
        }
        assert_eq!(prices.len(), 5);
        for written in prices.values() {
            let counted: Vec<_> = (1..=written.len() as i64).map(Into::into).collect();
            assert_eq!(*written, counted);
        }
    }
}
