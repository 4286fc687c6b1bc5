//! What never turns a legal history into an illegal one, whatever the model: to know less, to have looked less, and to have
//! taken longer.

use schism_checker::linear::{Allowance, Entry, Finding, search};
use schism_checker::model::Model;

use crate::BUDGET;
use crate::dice::Dice;

/// Changes legal entries in each of these ways, and judges them again.
pub fn keep<M: Model>(model: &M, entries: &[Entry<'_>], dice: &mut Dice) {
    let stays_legal = |changed: &[Entry<'_>], how: &str| {
        let (finding, _) = search(model, changed, &Allowance::new(BUDGET), u64::MAX);
        assert_eq!(finding, Finding::Linearizable, "{} {how}: {entries:#?} {changed:#?}", model.name());
    };
    if entries.is_empty() {
        return;
    }
    let at = dice.below(entries.len());

    let mut unknown = entries.to_vec();
    if entries[at].call.changes() {
        unknown[at].ret = None;
    } else {
        unknown.remove(at);
    }
    stays_legal(&unknown, "with one operation nobody knows the fate of");

    let mut slower: Vec<Entry<'_>> = entries.to_vec();
    let count = entries.len() as u32;
    for (number, entry) in slower.iter_mut().enumerate() {
        // Room between any two positions for every operation's ends.
        let room = 4 * count;
        let longer = dice.below(6) as u32 * room;
        entry.invoke = (entry.invoke * room).saturating_sub(longer) + number as u32;
        entry.complete =
            entry.complete.saturating_mul(room).saturating_add(longer + 2 * count + number as u32);
    }
    let latest = slower.iter().filter(|entry| entry.ret.is_some()).map(|entry| entry.complete).max();
    assert!(latest.is_none_or(|latest| latest < u32::MAX));
    stays_legal(&slower, "with operations that took longer");
}
