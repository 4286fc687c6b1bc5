//! Identifiers nobody else ever gets. Linear time.
//!
//! Finds every identifier that was given twice. One given to somebody who never learnt it is nobody's.

use super::{Answer, Columns, NEVER, NONE, Rule};

/// An identifier was given; the number says which, if anybody knows.
pub const GENERATE: u32 = 0;

static DOUBLED: Rule = Rule { name: "duplicated identifier", law: "{0}, and {1}" };

/// Judges identifiers.
pub fn judge(columns: &Columns) -> Answer {
    let mut given = vec![NONE; columns.numbers()];
    for operation in 0..columns.len() as u32 {
        if columns.complete(operation) == NEVER {
            continue;
        }
        let before = std::mem::replace(&mut given[columns.number(operation) as usize], operation);
        if before != NONE {
            return DOUBLED.broken_by([before, operation]);
        }
    }
    Answer::Legal
}
