//! The counts over all keys: the lines of the set's table, and the doubts that follow from them.

use std::time::Duration;

use crate::verdict::{Doubt, Judgement};

/// Elements by what became of them, over all keys.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub attempted: usize,
    pub acknowledged: usize,
    pub in_last_reads: usize,
    pub lost: usize,
    pub stale: usize,
    pub duplicated: usize,
    pub unexpected: usize,
    pub never_read: usize,
    pub recovered: usize,
    /// Read twice, but also added more than once.
    pub added_again: usize,
    longest_stale: Duration,
    longest_lost: Duration,
}

impl Sums {
    pub fn stale_for(&mut self, time: Duration) {
        self.longest_stale = self.longest_stale.max(time);
    }

    pub fn lost_after(&mut self, time: Duration) {
        self.longest_lost = self.longest_lost.max(time);
    }

    pub fn doubts(&self) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        let mut doubt = |reason: String, hint: &str| doubts.push(Doubt { reason, hint: Some(hint.into()) });
        if self.acknowledged == 0 {
            doubt(
                "no add was acknowledged: there is nothing to lose".into(),
                "raise --time-limit, or look at why adds fail",
            );
        }
        if self.never_read > 0 {
            doubt(
                format!("no read began after {} of the acknowledged adds", self.never_read),
                "read every set once more at the end",
            );
        }
        if self.added_again > 0 {
            doubt(
                format!("{} elements were read twice, but were also added twice", self.added_again),
                "let the workload add every element once",
            );
        }
        doubts
    }

    pub fn facts(&self, judgement: Judgement) -> Judgement {
        let mut judgement = judgement
            .with_fact("attempted", self.attempted)
            .with_fact("acknowledged", self.acknowledged)
            .with_fact("read at the end", self.in_last_reads)
            .with_fact("lost", self.lost)
            .with_fact("stale", self.stale)
            .with_fact("duplicated", self.duplicated)
            .with_fact("unexpected", self.unexpected)
            .with_fact("never read", self.never_read)
            .with_fact("recovered", self.recovered);
        if self.stale > 0 {
            judgement = judgement.with_fact("longest stale", seconds(self.longest_stale));
        }
        if self.lost > 0 {
            judgement = judgement.with_fact("longest time to a loss", seconds(self.longest_lost));
        }
        judgement
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
