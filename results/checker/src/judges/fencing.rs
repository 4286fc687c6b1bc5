//! Fencing tokens: locks whose every acquisition is answered a larger token than all before, and what they guard, which
//! refuses a token smaller than one it has seen. Near-linear time.
//!
//! Tokens say in which order the lock was acquired; whoever shows a token comes after the acquisition that gave it, and
//! never after a larger one was accepted. A token that nobody is known to have been given must be that of an acquisition of
//! unknown fate, which has begun before anybody shows it, or a larger one was given.
//!
//! Finds every violation and nothing else; that two hold the lock at once is not one: see `lock`.

use super::{Answer, Columns, NEVER, NONE, Rule};

/// The lock was acquired and this token given, or, if nobody knows whether it happened, any token; then the number means
/// nothing.
pub const ACQUIRE: u32 = 0;
/// What the lock guards accepted this token.
pub const USE: u32 = 1;

static DOUBLED: Rule = Rule { name: "duplicated token", law: "{0}, and {1}: the same token twice" };
static BACKWARDS: Rule =
    Rule { name: "token out of order", law: "{0}; only after that, with a smaller token: {1}" };
static STALE: Rule =
    Rule { name: "stale token accepted", law: "{0}; only after that was an older token accepted: {1}" };
static EARLY: Rule = Rule {
    name: "unexpected token",
    law: "{0}; only after that began what would have given it, or a smaller one: {1}",
};
static MADE_UP: Rule =
    Rule { name: "unexpected token", law: "{0}, but nobody can have been given that by then" };

/// What is known of a token; operations are places in the columns.
#[derive(Clone, Copy)]
struct Token {
    acquire: u32,
    /// Who used it and was done first, and who began last.
    used_first: u32,
    used_last: u32,
}

/// Judges tokens; numbers must be in their order.
pub fn judge(columns: &Columns) -> Answer {
    let empty = Token { acquire: NONE, used_first: NONE, used_last: NONE };
    let mut tokens = vec![empty; columns.numbers()];
    let mut unknown = Vec::new();
    let over = |operation: u32| if operation == NONE { NEVER } else { columns.complete(operation) };
    let begins = |operation: u32| if operation == NONE { 0 } else { columns.invoke(operation) + 1 };
    for operation in 0..columns.len() as u32 {
        let token = &mut tokens[columns.number(operation) as usize];
        match (columns.kind(operation), columns.complete(operation)) {
            (ACQUIRE, NEVER) => unknown.push(operation),
            (ACQUIRE, _) if token.acquire != NONE => return DOUBLED.broken_by([token.acquire, operation]),
            (ACQUIRE, _) => token.acquire = operation,
            (_, NEVER) => {}
            (_, end) => {
                token.used_first = if end < over(token.used_first) { operation } else { token.used_first };
                token.used_last = operation;
            }
        }
    }
    // Each must not be over before anything began that comes earlier.
    let (mut acquired, mut used) = (NONE, NONE);
    for token in &tokens {
        if over(token.acquire).saturating_add(1) < begins(acquired) {
            return BACKWARDS.broken_by([token.acquire, acquired]);
        }
        acquired = if begins(token.acquire) > begins(acquired) { token.acquire } else { acquired };
        if over(token.used_first).saturating_add(1) < begins(acquired) {
            return EARLY.broken_by([token.used_first, acquired]);
        }
        if over(token.used_first).saturating_add(1) < begins(used) {
            return STALE.broken_by([token.used_first, used]);
        }
        used = if begins(token.used_last) > begins(used) { token.used_last } else { used };
    }
    made_up(columns, &tokens, &unknown)
}

/// Whether the tokens that nobody is known to have been given can be those of acquisitions of unknown fate.
fn made_up(columns: &Columns, tokens: &[Token], unknown: &[u32]) -> Answer {
    let over = |operation: u32| if operation == NONE { NEVER } else { columns.complete(operation) };
    // From the largest on: who must not be over before such a one began.
    let mut first = NONE;
    let mut due = Vec::new();
    for token in tokens.iter().rev() {
        first = if over(token.used_first) < over(first) { token.used_first } else { first };
        if token.acquire == NONE && token.used_first != NONE {
            due.push((first, token.used_first));
        }
        first = if over(token.acquire) < over(first) { token.acquire } else { first };
    }
    for (place, (first, used)) in due.iter().rev().enumerate() {
        if unknown.get(place).is_none_or(|acquire| columns.invoke(*acquire) > over(*first)) {
            let mut operations = vec![*used];
            operations.extend((first != used).then_some(*first));
            operations
                .extend(due.iter().rev().take(place).map(|(_, used)| *used).filter(|other| other != first));
            operations.extend(unknown.iter().take(place));
            return MADE_UP.broken_by(operations);
        }
    }
    Answer::Legal
}
