//! Session guarantees in the words of their definitions: every order of versions is tried, every pair of operations of a
//! session is compared. Only for a few operations.

use schism_checker::{Guarantee, Session};
use schism_history::{Call, History, Key, Operation, Outcome, Value};

use crate::values::{done, impossible, saw, writes};

/// What happened to one key.
pub struct OfKey<'h> {
    history: &'h History,
    key: &'h Key,
    /// The values that were certainly there, the initial one first.
    values: Vec<&'h Value>,
}

impl<'h> OfKey<'h> {
    pub fn new(history: &'h History, key: &'h Key) -> Self {
        let mut of = OfKey { history, key, values: vec![&Value::Nil] };
        loop {
            let known = of.values.len();
            for operation in of.operations() {
                // Acknowledged, or seen by somebody, or changed by a cas that itself happened.
                if operation.outcome.is_ok() {
                    of.know(writes(operation));
                    of.know(of.seen(operation));
                }
                if let (Call::Cas { from, .. }, Some(to)) = (&operation.call, writes(operation))
                    && of.values.contains(&to)
                    && of.operations().any(|other| writes(other) == Some(from))
                {
                    of.know(Some(from));
                }
            }
            if of.values.len() == known {
                return of;
            }
        }
    }

    fn know(&mut self, value: Option<&'h Value>) {
        self.values.extend(value.filter(|value| !self.values.contains(value)));
    }

    fn operations(&self) -> impl Iterator<Item = &'h Operation> + use<'h> {
        let key = self.key;
        self.history.rows().iter().filter(move |operation| operation.call.key() == key)
    }

    /// What an operation saw, unless it cannot have.
    fn seen(&self, operation: &'h Operation) -> Option<&'h Value> {
        saw(operation).filter(|_| !impossible(self.history, operation))
    }

    /// What an operation wrote, if that was ever there.
    fn wrote(&self, operation: &'h Operation) -> Option<&'h Value> {
        writes(operation).filter(|value| self.values.contains(value))
    }

    /// Every order of versions that what is known without any promise allows. Without time if no order allows for it.
    pub fn orders(&self, real_time: bool) -> Vec<Vec<&'h Value>> {
        let mut orders = Vec::new();
        permute(&mut self.values[1..].to_vec(), 0, &mut |order| {
            let mut order = order.to_vec();
            order.insert(0, self.values[0]);
            if self.keeps_cas(&order) {
                orders.push(order);
            }
        });
        let timed: Vec<_> = orders.iter().filter(|order| self.keeps_time(order)).cloned().collect();
        if real_time && !timed.is_empty() { timed } else { orders }
    }

    fn keeps_cas(&self, order: &[&Value]) -> bool {
        self.operations().all(|operation| match (&operation.call, self.wrote(operation)) {
            (Call::Cas { from, .. }, Some(to)) if order.contains(&from) => {
                let impossible =
                    matches!(operation.outcome, Outcome::Ok(_)) && impossible(self.history, operation);
                impossible || place(order, from) < place(order, to)
            }
            _ => true,
        })
    }

    fn keeps_time(&self, order: &[&Value]) -> bool {
        self.operations().all(|later| {
            let Some(newer) = self.wrote(later) else { return true };
            order.iter().all(|older| {
                let before =
                    done(self.history, self.key, older).is_some_and(|(at, _)| at < i64::from(later.invoke));
                !before || *older == newer || place(order, older) < place(order, newer)
            })
        })
    }

    /// Whether every session has a guarantee by this order.
    pub fn keeps(&self, order: &[&Value], guarantee: Guarantee, session: Session) -> bool {
        let all = [
            Guarantee::ReadYourWrites,
            Guarantee::MonotonicReads,
            Guarantee::MonotonicWrites,
            Guarantee::WritesFollowReads,
        ];
        self.operations().all(|later| {
            let before = self.operations().filter(|one| one.precedes(later) && same(session, one, later));
            before.into_iter().all(|earlier| {
                let newer = |newer: Option<&Value>, older: Option<&Value>| match (newer, older) {
                    (Some(newer), Some(older)) => place(order, newer) >= place(order, older),
                    _ => true,
                };
                let one = |guarantee: Guarantee| match guarantee {
                    Guarantee::ReadYourWrites => newer(self.seen(later), self.wrote(earlier)),
                    Guarantee::MonotonicReads => newer(self.seen(later), self.seen(earlier)),
                    Guarantee::MonotonicWrites => newer(self.wrote(later), self.wrote(earlier)),
                    Guarantee::WritesFollowReads => newer(self.wrote(later), self.seen(earlier)),
                    Guarantee::Together => unreachable!("the four"),
                };
                match guarantee {
                    Guarantee::Together => all.into_iter().all(one),
                    guarantee => one(guarantee),
                }
            })
        })
    }
}

fn same(session: Session, one: &Operation, other: &Operation) -> bool {
    match session {
        Session::Process => one.process == other.process,
        Session::Node => one.node == other.node,
    }
}

fn place(order: &[&Value], value: &Value) -> usize {
    order.iter().position(|other| *other == value).expect("a value of this key")
}

fn permute<'h>(values: &mut Vec<&'h Value>, from: usize, each: &mut dyn FnMut(&[&'h Value])) {
    if from == values.len() {
        return each(values);
    }
    for at in from..values.len() {
        values.swap(from, at);
        permute(values, from + 1, each);
        values.swap(from, at);
    }
}
