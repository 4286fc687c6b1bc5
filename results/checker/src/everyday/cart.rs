//! Shopping cart: whatever was put into a cart is in it at the checkout.
//!
//! A cart is a set. Finds an item whose add was acknowledged and that a read in the phase `final` does not show. Cannot find
//! an item that was gone for a while and came back.

use schism_history::{Call, History};

use super::{acknowledged, anomaly, final_reads, unread};
use crate::explain::wording::{did, when, who};
use crate::verdict::{Budget, Checker, Judgement};

/// The judge of shopping carts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cart;

impl Checker for Cart {
    fn name(&self) -> &'static str {
        "cart"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let rows = history.rows();
        let reads = final_reads(history);
        let (mut anomalies, mut all) = (Vec::new(), 0);
        for (cart, adds) in acknowledged(history, |operation| matches!(operation.call, Call::Add { .. })) {
            all += adds.len();
            for read in reads.get(cart).into_iter().flatten() {
                let held = rows[*read].read().and_then(|value| value.elements()).unwrap_or_default();
                let missing = adds
                    .iter()
                    .find(|at| matches!(&rows[**at].call, Call::Add { value, .. } if !held.contains(value)));
                if let Some(add) = missing {
                    let (add_row, read_row) = (&rows[*add], &rows[*read]);
                    let sentence = format!(
                        "cart {cart}: {} {} ({}), and at the checkout {} does not find it",
                        who(add_row),
                        did(add_row),
                        when(add_row),
                        who(read_row)
                    );
                    anomalies.push(anomaly(
                        "item missing at the checkout",
                        cart,
                        sentence,
                        vec![*add],
                        *read,
                    ));
                    break;
                }
            }
        }
        let about = "what was put into a cart is in it at the checkout";
        Judgement::new(self.name(), about, anomalies, unread(&reads)).with_fact("items put in", all)
    }
}
