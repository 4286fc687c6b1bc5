//! Likes: every like that was acknowledged counts.
//!
//! A post is a register with its number of likes, `LIKES/TICKET`. To like it is to read the number and write one more, as
//! is done everywhere until somebody looks: two at a time make one. Finds likes that are lost, however linearizable the
//! store. Cannot find one lost where a like of unknown fate makes up for it.

use schism_history::{Call, History};

use super::{acknowledged, anomaly, final_reads, number, unread};
use crate::explain::wording::{did, who};
use crate::verdict::{Budget, Checker, Judgement};

/// The judge of likes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Likes;

impl Checker for Likes {
    fn name(&self) -> &'static str {
        "likes"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let rows = history.rows();
        let reads = final_reads(history);
        let (mut anomalies, mut all, mut shown) = (Vec::new(), 0, 0);
        for (post, likes) in acknowledged(history, |operation| matches!(operation.call, Call::Write { .. })) {
            all += likes.len();
            let seen = reads.get(post).into_iter().flatten();
            // The most that any node shows: the others may only be late.
            let count = |read: &usize| rows[*read].read().and_then(number).unwrap_or(0);
            let Some(best) = seen.copied().max_by_key(count) else { continue };
            let most = count(&best);
            shown += most.max(0) as usize;
            if most < likes.len() as i64 {
                let read = &rows[best];
                let sentence = format!(
                    "post {post} was liked {} times for certain, and in the end {} {}: {} likes are lost",
                    likes.len(),
                    who(read),
                    did(read),
                    likes.len() as i64 - most
                );
                let witness = vec![likes[0], *likes.last().expect("a key is there for its operations")];
                anomalies.push(anomaly("lost likes", post, sentence, witness, best));
            }
        }
        Judgement::new(self.name(), "every acknowledged like counts", anomalies, unread(&reads))
            .with_fact("likes acknowledged", all)
            .with_fact("likes shown", shown)
    }
}
