//! Locks, and what they guard: who held what when, and which tokens were let in.
//!
//! Finds, per lock: **mutual exclusion broken** at the guarded resource (it took a use with an older fencing token after it
//! had taken one with a newer token: somebody who had lost the lock was let in); **two holders** at one time (the lock was
//! granted to another while the first had neither given it back nor let its lease run out); **fencing token not
//! monotonic** (a later grant got a token that is not newer). Tokens: Kleppmann, How to do distributed locking, 2016;
//! leases: Gray and Cheriton, 1989.
//!
//! Everything is concluded from definite proof: calls that were answered, and only where one was over before the other
//! began. Cannot find: what a use without an answer did; two uses with the same token; a lease that runs out early
//! because two clocks run at different speeds looks like a broken lock, which it is. O(n log n).

use std::collections::BTreeMap;
use std::time::Duration;

use schism_history::{Call, History, Key, Operation, Outcome, Position, Process, Ret, Time, Value};

use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement};

/// The judge of locks under [`Call::Acquire`], [`Call::Use`] and [`Call::Release`], with whole numbers for tokens.
#[derive(Clone, Copy, Debug)]
pub struct Fencing {
    /// How long a grant holds at least, from the moment it is asked for, if it is not given back.
    pub lease: Duration,
}

impl Checker for Fencing {
    fn name(&self) -> &'static str {
        "fencing"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let locks = locks(history, self.lease);
        let (mut anomalies, mut doubts) = (Vec::new(), Vec::new());
        let (mut grants, mut uses) = (0, 0);
        for kind in [Kind::Exclusion, Kind::TwoHolders, Kind::Token] {
            for (key, lock) in &locks {
                let found = match kind {
                    Kind::Exclusion => overtaken(&lock.uses, |earlier, later| later < earlier),
                    Kind::TwoHolders => overlapping(&lock.grants),
                    Kind::Token => overtaken(&lock.tokens(), |earlier, later| later <= earlier),
                };
                anomalies.extend(anomaly(history, key, kind, &found));
            }
        }
        for lock in locks.values() {
            grants += lock.grants.len();
            uses += lock.uses.len();
        }
        if uses == 0 {
            let reason = "no use of what a lock guards was answered".into();
            doubts.push(Doubt { reason, hint: Some("raise --time-limit, or look at why calls fail".into()) });
        }
        Judgement::new(self.name(), "locks and what they guard", anomalies, doubts)
            .with_fact("locks", locks.len())
            .with_fact("granted", grants)
            .with_fact("uses let in", uses)
            .with_fact("uses refused", refused(history))
    }
}

/// What can be wrong, the most telling first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exclusion,
    TwoHolders,
    Token,
}

/// Something that happened with a token, and between which events.
#[derive(Clone, Copy, Debug)]
struct Shown {
    operation: usize,
    token: i64,
    invoke: Position,
    complete: Position,
}

/// A grant, and the time during which it certainly held.
#[derive(Clone, Copy, Debug)]
struct Grant {
    shown: Shown,
    since: Time,
    until: Time,
}

#[derive(Default)]
struct Lock {
    grants: Vec<Grant>,
    uses: Vec<Shown>,
}

impl Lock {
    fn tokens(&self) -> Vec<Shown> {
        self.grants.iter().map(|grant| grant.shown).collect()
    }
}

/// The answered grants and uses of each lock, in the order of their invocations.
fn locks(history: &History, lease: Duration) -> BTreeMap<&Key, Lock> {
    let mut locks: BTreeMap<&Key, Lock> = BTreeMap::new();
    // The grant that each process holds now, as a place in its lock's list.
    let mut held: BTreeMap<(Process, &Key), usize> = BTreeMap::new();
    for (at, operation) in history.rows().iter().enumerate() {
        let lock = locks.entry(operation.call.key()).or_default();
        let shown =
            |token| Shown { operation: at, token, invoke: operation.invoke, complete: operation.complete };
        match (&operation.call, &operation.outcome) {
            (Call::Acquire { key }, Outcome::Ok(Ret::Value(Value::Int(token)))) => {
                let until = Time::from(operation.invoked.since_start() + lease);
                held.insert((operation.process, key), lock.grants.len());
                lock.grants.push(Grant { shown: shown(*token), since: operation.completed, until });
            }
            (Call::Use { token: Value::Int(token), .. }, Outcome::Ok(_)) => lock.uses.push(shown(*token)),
            // From the moment it is asked to give the lock back it may have it no more, whatever the answer.
            (Call::Release { key }, _) => {
                if let Some(grant) = held.remove(&(operation.process, key)) {
                    let until = &mut lock.grants[grant].until;
                    *until = operation.invoked.min(*until);
                }
            }
            _ => {}
        }
    }
    locks.retain(|_, lock| !lock.grants.is_empty() || !lock.uses.is_empty());
    locks
}

/// For each thing that was begun after another was over, although by its token it is older: the two. Of all that were
/// over before it, the one with the newest token stands for all. `shown` is in the order of invocations.
fn overtaken(shown: &[Shown], older: impl Fn(i64, i64) -> bool) -> Vec<(usize, usize)> {
    let mut ended: Vec<&Shown> = shown.iter().collect();
    ended.sort_unstable_by_key(|shown| shown.complete);
    let (mut over, mut newest): (usize, Option<&Shown>) = (0, None);
    let mut found = Vec::new();
    for later in shown {
        while let Some(earlier) = ended.get(over).filter(|earlier| earlier.complete < later.invoke) {
            newest = newest.filter(|newest| newest.token >= earlier.token).or(Some(earlier));
            over += 1;
        }
        found.extend(
            newest.filter(|newest| older(newest.token, later.token)).map(|n| (n.operation, later.operation)),
        );
    }
    found
}

/// Pairs of grants that certainly held at the same time, each with the one before it that held longest.
fn overlapping(grants: &[Grant]) -> Vec<(usize, usize)> {
    let mut in_order: Vec<&Grant> = grants.iter().filter(|grant| grant.since < grant.until).collect();
    in_order.sort_unstable_by_key(|grant| (grant.since, grant.shown.operation));
    let mut longest: Option<&Grant> = None;
    let mut found = Vec::new();
    for grant in in_order {
        if let Some(longest) = longest.filter(|longest| grant.since < longest.until) {
            found.push((longest.shown.operation, grant.shown.operation));
        }
        longest = longest.filter(|longest| longest.until >= grant.until).or(Some(grant));
    }
    found
}

fn refused(history: &History) -> usize {
    let refused = |operation: &&Operation| {
        matches!((&operation.call, &operation.outcome), (Call::Use { .. }, Outcome::Fail(_)))
    };
    history.rows().iter().filter(refused).count()
}

/// All of one kind on one lock: the first told in full, the rest by number.
fn anomaly(history: &History, key: &Key, kind: Kind, found: &[(usize, usize)]) -> Option<Anomaly> {
    let (earlier, later) = *found.first()?;
    let (one, other) = (&history.rows()[earlier], &history.rows()[later]);
    let (name, mut sentences) = match kind {
        Kind::Exclusion => ("mutual exclusion broken", tell_exclusion(one, other, key)),
        Kind::TwoHolders => ("two holders", tell_two_holders(one, other, key)),
        Kind::Token => ("fencing token not monotonic", tell_token(one, other, key)),
    };
    if found.len() > 1 {
        sentences.push(format!("This happened {} times in all to lock {key}.", found.len()));
    }
    let mut witness = vec![earlier, later];
    if kind == Kind::Exclusion {
        witness.extend([one, other].into_iter().filter_map(|used| grant_of(history, used)));
    }
    witness.sort_unstable();
    witness.dedup();
    Some(Anomaly {
        name: name.into(),
        key: Some(key.clone()),
        sentences,
        witness,
        culprit: Some(later),
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof: Vec::new(),
    })
}

/// The grant whose token a use showed.
fn grant_of(history: &History, used: &Operation) -> Option<usize> {
    let Call::Use { key, token } = &used.call else { return None };
    history.rows().iter().position(|operation| match (&operation.call, &operation.outcome) {
        (Call::Acquire { key: other }, Outcome::Ok(Ret::Value(granted))) => other == key && granted == token,
        _ => false,
    })
}

fn tell_exclusion(one: &Operation, other: &Operation, key: &Key) -> Vec<String> {
    vec![
        format!("{} was let in with token {} until {}.", who(one), token(one), one.completed),
        format!(
            "{} began at {} to use what lock {key} guards with token {}, which is older: it had lost the lock to a later \
             holder, and was let in all the same.",
            who(other),
            other.invoked,
            token(other)
        ),
    ]
}

fn tell_two_holders(one: &Operation, other: &Operation, key: &Key) -> Vec<String> {
    vec![
        format!("{} was granted lock {key} at {} with token {}.", who(one), one.completed, token(one)),
        format!(
            "{} was granted it at {} with token {}, while the first had not given it back and its lease had not run out.",
            who(other),
            other.completed,
            token(other)
        ),
    ]
}

fn tell_token(one: &Operation, other: &Operation, key: &Key) -> Vec<String> {
    vec![format!(
        "{} was granted lock {key} at {} with token {}, and {} asked for it after that, at {}, and got token {}, which is \
         not newer.",
        who(one),
        one.completed,
        token(one),
        who(other),
        other.invoked,
        token(other)
    )]
}

fn who(operation: &Operation) -> String {
    match &operation.node {
        Some(node) => format!("{} on {node}", operation.process),
        None => operation.process.to_string(),
    }
}

fn token(operation: &Operation) -> String {
    match (&operation.call, &operation.outcome) {
        (Call::Use { token, .. }, _) => token.to_string(),
        (_, Outcome::Ok(Ret::Value(token))) => token.to_string(),
        _ => "none".into(),
    }
}

#[cfg(test)]
mod tests;
