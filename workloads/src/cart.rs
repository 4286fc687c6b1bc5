//! Shopping carts: items are put into carts, looked at now and then, and looked at by every client at the end.
//!
//! Finds items that were put in and are missing at the checkout. Cannot find items that come back after they were taken out:
//! none is.

use schism_checker::everyday::Cart;
use schism_engine::generator::{Calls, Context, EachThread, Forever, Generator};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind};

use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "cart",
    about: "items are put into carts: every one that was acknowledged is there at the checkout",
    calls: &[CallKind::Add, CallKind::Read],
    settings: &[Setting { name: "carts", about: "how many carts; 20 by default" }],
    make: |settings| make(settings),
};

fn make(settings: &Settings) -> Workload {
    let carts = number(settings, "carts", 20);
    let mut item = 0;
    let load = Forever(move |context: &mut Context<'_>| {
        let key = (context.random.below(carts) as i64).into();
        if context.random.below(100) < 30 {
            return Call::Read { key };
        }
        item += 1;
        Call::Add { key, value: item.into() }
    });
    let last = move |_| -> Box<dyn Generator> {
        Box::new(Calls::new((0..carts).map(|cart| Call::Read { key: (cart as i64).into() })))
    };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(load),
        finale: Box::new(EachThread::new(last)),
        checkers: vec![Box::new(Cart)],
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
    fn every_item_is_put_in_once() {
        let made = Rehearsal::new(3).run(Limit::new(1_000, make(&Settings::new()).load));
        let added: Vec<_> = made
            .iter()
            .filter_map(|made| if let Call::Add { value, .. } = &made.call { Some(value) } else { None })
            .collect();
        assert!(added.len() > 600 && added.iter().collect::<BTreeSet<_>>().len() == added.len());
    }
}
