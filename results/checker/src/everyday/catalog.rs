//! Catalog: a customer who has seen a new price never sees an old one again.
//!
//! A product is a register, and one client alone writes its prices, each with its number: 1, 2, 3. Finds a client that read
//! a price and later an older one, if that was certainly replaced before: its write was acknowledged before the newer one
//! began. Cannot find prices that are old from the start, nor what two customers could tell one another.

use std::collections::BTreeMap;

use schism_history::{Call, History, Key, Process, Value};

use super::{acknowledged, anomaly};
use crate::explain::wording::{did, when, who};
use crate::verdict::{Budget, Checker, Judgement};

/// The judge of catalogs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Catalog;

impl Checker for Catalog {
    fn name(&self) -> &'static str {
        "catalog"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let rows = history.rows();
        let mut written: BTreeMap<(&Key, i64), usize> = BTreeMap::new();
        for (key, writes) in acknowledged(history, |operation| matches!(operation.call, Call::Write { .. })) {
            for at in writes {
                if let Call::Write { value: Value::Int(number), .. } = rows[at].call {
                    written.insert((key, number), at);
                }
            }
        }
        let mut best: BTreeMap<(Process, &Key), (i64, usize)> = BTreeMap::new();
        let (mut anomalies, mut reads) = (Vec::new(), 0);
        for (at, operation) in rows.iter().enumerate() {
            let (Call::Read { key }, Some(seen)) = (&operation.call, operation.read()) else { continue };
            let number = match seen {
                Value::Nil => 0,
                Value::Int(number) => *number,
                _ => continue,
            };
            reads += 1;
            let entry = best.entry((operation.process, key)).or_insert((number, at));
            if number >= entry.0 {
                *entry = (number, at);
                continue;
            }
            let replaced = match (written.get(&(key, number)), written.get(&(key, entry.0))) {
                _ if number == 0 => true,
                (Some(old), Some(new)) => rows[*old].precedes(&rows[*new]),
                _ => false,
            };
            if replaced {
                let earlier = &rows[entry.1];
                let sentence = format!(
                    "product {key}: {} {} ({}), and later it {} ({}): an older price",
                    who(operation),
                    did(earlier),
                    when(earlier),
                    did(operation),
                    when(operation)
                );
                anomalies.push(anomaly("a price went back", key, sentence, vec![entry.1], at));
            }
        }
        Judgement::new(self.name(), "a customer sees no price older than one it saw", anomalies, Vec::new())
            .with_fact("prices read", reads)
    }
}
