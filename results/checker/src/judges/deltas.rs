//! Counters whose changes are of any amount, up or down: what reads can say at least and at most. Linear time.
//!
//! A read cannot be less than all that certainly happened before it, with everything that may have happened taken off;
//! nor more than the other way round. That is necessary and not sufficient: whether some choice of changes adds up to
//! exactly what was read is NP-hard (subset sum). So where no bound is broken the search has to judge.

use super::columns::NOTHING;
use super::{Answer, Columns, Rule};

/// A change; the number says which of the amounts.
pub const CHANGE: u32 = 0;
/// A read; the number says which of the amounts it saw.
pub const READ: u32 = 1;

static LOW: Rule =
    Rule { name: "lost increment", law: "{0}, less than all that was certainly added by then" };
static HIGH: Rule =
    Rule { name: "unexpected increment", law: "{0}, more than all that can have been added by then" };

/// Judges the reads of a counter that is zero at first by their bounds.
pub fn judge(columns: &Columns, amounts: &[i64]) -> Answer {
    let dense = columns.dense();
    let columns = &*dense;
    let mut sums = Sums::default();
    let mut at_begin = vec![Sums::default(); columns.len()];
    for end in columns.timeline().into_iter().filter(|end| *end != NOTHING) {
        let (operation, returns) = (end / 2, end % 2 == 1);
        let amount = i128::from(amounts[columns.number(operation) as usize]);
        match (columns.kind(operation), returns) {
            (CHANGE, false) if amount > 0 => sums.up_begun += amount,
            (CHANGE, true) if amount > 0 => sums.up_over += amount,
            (CHANGE, false) => sums.down_begun += amount,
            (CHANGE, true) => sums.down_over += amount,
            (_, false) => at_begin[operation as usize] = sums,
            (_, true) => {
                let begin = at_begin[operation as usize];
                if amount < begin.up_over + sums.down_begun {
                    return LOW.broken_by([operation]);
                }
                if amount > sums.up_begun + begin.down_over {
                    return HIGH.broken_by([operation]);
                }
            }
        }
    }
    Answer::Unfit("its changes are not all by one, and what reads can say at least and at most holds")
}

/// What was added and taken off so far, by calls that began and by calls that are over.
#[derive(Clone, Copy, Default)]
struct Sums {
    up_begun: i128,
    up_over: i128,
    down_begun: i128,
    down_over: i128,
}
