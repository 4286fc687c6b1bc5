//! Inventory: clients sell from a small stock, each sale a compare-and-set from what they last saw to one less.
//!
//! Finds items that are oversold, and stock that does not add up. Cannot find a sale that was wrongly refused.

use std::collections::HashMap;

use schism_checker::everyday::{Inventory, number as count, numbered};
use schism_engine::generator::{Calls, Context, EachThread, Generator, Next};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key, Outcome, Ret, Value};

use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "inventory",
    about: "sales by cas from a small stock: no more is sold than there was, and it adds up",
    calls: &[CallKind::Read, CallKind::Cas],
    settings: &[
        Setting { name: "items", about: "how many items; 10 by default" },
        Setting { name: "stock", about: "how many there are of each; 40 by default" },
    ],
    make: |settings| make(settings),
};

fn make(settings: &Settings) -> Workload {
    let items = number(settings, "items", 10);
    let stock = number(settings, "stock", 40) as i64;
    let last = move |_| -> Box<dyn Generator> {
        Box::new(Calls::new((0..items).map(|item| Call::Read { key: (item as i64).into() })))
    };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(Shop { items, stock, ticket: 0, seen: HashMap::new() }),
        finale: Box::new(EachThread::new(last)),
        checkers: vec![Box::new(Inventory { stock })],
        unique_values: true,
    }
}

/// Clients that look and sell in turns.
struct Shop {
    items: u64,
    stock: i64,
    ticket: i64,
    /// What each client saw last of which item.
    seen: HashMap<usize, (Key, Value)>,
}

impl Generator for Shop {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let call = match self.seen.remove(&context.thread) {
            Some((key, from)) => {
                let left = if from == Value::Nil { Some(self.stock) } else { count(&from) };
                match left.filter(|left| *left > 0) {
                    Some(left) => {
                        self.ticket += 1;
                        Call::Cas { key, from, to: numbered(left - 1, self.ticket) }
                    }
                    None => Call::Read { key: (context.random.below(self.items) as i64).into() },
                }
            }
            None => Call::Read { key: (context.random.below(self.items) as i64).into() },
        };
        Next::Call(call, context.now)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        if let (Call::Read { key }, Outcome::Ok(Ret::Value(value))) = (call, outcome) {
            self.seen.insert(context.thread, (key.clone(), value.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn who_has_looked_sells_one_less_with_a_ticket_of_its_own() {
        // A rehearsal's reads answer nothing: all sales are from the whole stock.
        let made = Rehearsal::new(3).run(Limit::new(400, make(&Settings::new()).load));
        let sales: Vec<_> = made
            .iter()
            .filter_map(|made| if let Call::Cas { to, .. } = &made.call { Some(to) } else { None })
            .collect();
        assert!((190..=200).contains(&sales.len()), "{}", sales.len());
        assert!(sales.iter().all(|to| count(to) == Some(39)));
        assert_eq!(sales.iter().collect::<std::collections::BTreeSet<_>>().len(), sales.len());
    }
}
