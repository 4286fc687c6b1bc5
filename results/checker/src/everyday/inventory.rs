//! Inventory: no more is sold than there was, and what is left and what was sold add up.
//!
//! An item is a register that holds how many are left, `LEFT/TICKET`, and at first nothing: the whole stock. A sale is a
//! compare-and-set to one less. Finds an item that is oversold, and stock that does not add up in the end. A sale of
//! unknown fate may have happened or not. Cannot find two errors that cancel one another out.

use schism_history::{Call, History, Outcome, Value};

use super::{acknowledged, anomaly, final_reads, number, unread};
use crate::explain::wording::{did, who};
use crate::verdict::{Budget, Checker, Judgement};

/// The judge of an inventory.
#[derive(Clone, Copy, Debug)]
pub struct Inventory {
    /// How many of each item there are at first.
    pub stock: i64,
}

impl Checker for Inventory {
    fn name(&self) -> &'static str {
        "inventory"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let rows = history.rows();
        let reads = final_reads(history);
        let (mut anomalies, mut all) = (Vec::new(), 0);
        for (item, sales) in acknowledged(history, |operation| matches!(operation.call, Call::Cas { .. })) {
            let sold = sales.len() as i64;
            all += sold;
            let last = *sales.last().expect("a key is there for its operations");
            if sold > self.stock {
                let sentence = format!("of item {item} {sold} were sold, and there were only {}", self.stock);
                anomalies.push(anomaly("oversold", item, sentence, Vec::new(), last));
                continue;
            }
            let unsure = rows.iter().filter(|operation| {
                matches!(&operation.call, Call::Cas { key, .. } if key == item)
                    && matches!(operation.outcome, Outcome::Info(_))
            });
            let possible = sold..=sold + unsure.count() as i64;
            let wrong = reads.get(item).into_iter().flatten().find(|read| {
                let left = match rows[**read].read() {
                    Some(Value::Nil) => Some(self.stock),
                    Some(value) => number(value),
                    None => None,
                };
                !left.is_some_and(|left| possible.contains(&(self.stock - left)))
            });
            if let Some(read) = wrong {
                let read_row = &rows[*read];
                let sentence = format!(
                    "of item {item} there were {}, {sold} were sold for certain, and in the end {} {}",
                    self.stock,
                    who(read_row),
                    did(read_row)
                );
                anomalies.push(anomaly("stock does not add up", item, sentence, vec![last], *read));
            }
        }
        let about = "no more is sold than there is, and the stock adds up";
        Judgement::new(self.name(), about, anomalies, unread(&reads)).with_fact("sold", all)
    }
}
