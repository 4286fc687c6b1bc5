//! Ledger: every entry that was acknowledged is there in the end.
//!
//! An entry is a register that is written once. Finds entries whose write was acknowledged and that no read in the phase
//! `final` shows: acknowledged and lost. Cannot find an entry that only some nodes have.

use schism_history::{Call, History};

use super::{acknowledged, anomaly, final_reads, unread};
use crate::explain::wording::{did, when, who};
use crate::verdict::{Budget, Checker, Judgement};

/// The judge of ledgers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ledger;

impl Checker for Ledger {
    fn name(&self) -> &'static str {
        "ledger"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let rows = history.rows();
        let reads = final_reads(history);
        let (mut lost, mut looked) = (Vec::new(), 0);
        for (entry, writes) in acknowledged(history, |operation| matches!(operation.call, Call::Write { .. }))
        {
            let (Some(seen), Call::Write { value, .. }) = (reads.get(entry), &rows[writes[0]].call) else {
                continue;
            };
            looked += 1;
            if seen.iter().all(|read| rows[*read].read() != Some(value)) {
                lost.push((entry, writes[0], seen[0]));
            }
        }
        let anomalies = lost.first().map(|(entry, write, read)| {
            let (written, looked_for) = (&rows[*write], &rows[*read]);
            let others = match lost.len() - 1 {
                0 => String::new(),
                more => format!("; so are {more} more"),
            };
            let sentence = format!(
                "{} {} ({}) and was told that it is done; in the end {} {}: it is lost{others}",
                who(written),
                did(written),
                when(written),
                who(looked_for),
                did(looked_for)
            );
            anomaly("acknowledged write lost", entry, sentence, vec![*write], *read)
        });
        let about = "every acknowledged write is there in the end";
        Judgement::new(self.name(), about, anomalies.into_iter().collect(), unread(&reads))
            .with_fact("acknowledged and looked for", looked)
            .with_fact("lost", lost.len())
    }
}
