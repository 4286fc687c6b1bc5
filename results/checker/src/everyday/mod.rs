//! Everyday cases, each with the invariant that a business would state, judged by what clients were told and nothing else.
//! One file a case.
//!
//! They say nothing of a consistency model: the point is to see which model each case survives on. Values carry what they
//! mean as text, `LEFT/TICKET`, so that every value is written once and the judges of models can follow it too.

mod bank;
mod cart;
mod catalog;
mod chat;
mod inventory;
mod ledger;
mod likes;
mod residency;
mod seats;
#[cfg(test)]
mod tests;
mod text;
mod updates;

use std::collections::BTreeMap;

use schism_history::{Call, History, Key, Operation, Value};

use crate::verdict::{Anomaly, Doubt};

pub use bank::Bank;
pub use cart::Cart;
pub use catalog::Catalog;
pub use chat::Chat;
pub use inventory::Inventory;
pub use ledger::Ledger;
pub use likes::Likes;
pub use residency::{HERE, Residency};
pub use seats::Seats;
pub use text::Texts;
pub use updates::Updates;

/// A number, and the ticket that makes its value the only one of its kind: `17/204`.
pub fn numbered(number: i64, ticket: i64) -> Value {
    Value::text(&format!("{number}/{ticket}"))
}

/// The number of such a value.
pub fn number(value: &Value) -> Option<i64> {
    let Value::Text(text) = value else { return None };
    text.split_once('/')?.0.parse().ok()
}

/// What was read of each key last, in the phase `final`: the position of the last answered read at each node. Where there is
/// time to settle, all is read twice, and what was seen before it says nothing of the end.
fn final_reads(history: &History) -> BTreeMap<&Key, Vec<usize>> {
    let begin = history.phases.iter().rev().find(|(_, phase)| phase == "final").map(|(time, _)| *time);
    let mut last: BTreeMap<&Key, BTreeMap<Option<&str>, usize>> = BTreeMap::new();
    for (at, operation) in history.rows().iter().enumerate() {
        let is_last = begin.is_some_and(|begin| operation.invoked >= begin);
        if let (true, Call::Read { key }, Some(_)) = (is_last, &operation.call, operation.read()) {
            last.entry(key).or_default().insert(operation.node.as_deref(), at);
        }
    }
    last.into_iter().map(|(key, of_nodes)| (key, of_nodes.into_values().collect())).collect()
}

/// Nobody can say how a case ended that nobody looked at.
fn unread(reads: &BTreeMap<&Key, Vec<usize>>) -> Vec<Doubt> {
    let doubt = || Doubt {
        reason: "no read was answered in the phase final".into(),
        hint: Some("see why the cluster did not recover after the last fault".into()),
    };
    if reads.is_empty() { vec![doubt()] } else { Vec::new() }
}

fn anomaly(name: &str, key: &Key, sentence: String, mut witness: Vec<usize>, culprit: usize) -> Anomaly {
    witness.push(culprit);
    witness.sort_unstable();
    witness.dedup();
    Anomaly {
        name: name.into(),
        key: Some(key.clone()),
        sentences: vec![sentence],
        witness,
        culprit: Some(culprit),
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof: Vec::new(),
    }
}

/// The operations of each key that were ok, by position.
fn acknowledged(history: &History, wanted: impl Fn(&Operation) -> bool) -> BTreeMap<&Key, Vec<usize>> {
    let mut by_key: BTreeMap<&Key, Vec<usize>> = BTreeMap::new();
    for (at, operation) in history.rows().iter().enumerate() {
        if operation.outcome.is_ok() && wanted(operation) {
            by_key.entry(operation.call.key()).or_default().push(at);
        }
    }
    by_key
}
