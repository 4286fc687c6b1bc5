//! A bank: clients move money between accounts. A transfer takes it from one by a compare-and-set from what was last seen
//! there, and puts it into another in the same way, again until that is done.
//!
//! Finds money that was made or lost, and accounts that are overdrawn. Cannot find what is wrong for as long as money is on
//! its way: no call here spans two accounts.

use std::collections::HashMap;

use schism_checker::everyday::{Bank, number as count, numbered};
use schism_engine::generator::{Context, Generator, Next};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key, Outcome, Ret, Value};

use crate::settle::{SETTLE, last_reads};
use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "bank",
    about: "transfers by cas: no money is made or lost, and no account is overdrawn",
    calls: &[CallKind::Read, CallKind::Cas],
    settings: &[
        Setting { name: "accounts", about: "how many accounts; 10 by default" },
        Setting { name: "opening", about: "what is in each at first; 50 by default" },
        SETTLE,
    ],
    make: |settings| make(settings),
};

/// A transfer moves at most this much.
const MOST: u64 = 20;

fn make(settings: &Settings) -> Workload {
    let accounts = number(settings, "accounts", 10);
    let opening = number(settings, "opening", 50) as i64;
    let last = move |_| (0..accounts).map(|account| Call::Read { key: (account as i64).into() }).collect();
    Workload {
        calls: ENTRY.calls,
        load: Box::new(Tellers { accounts, opening, ticket: 0, at_work: HashMap::new() }),
        finale: last_reads(settings, last),
        checkers: vec![Box::new(Bank { opening })],
        unique_values: true,
    }
}

/// Clients that look, take, look and put.
struct Tellers {
    accounts: u64,
    opening: i64,
    ticket: i64,
    /// What each client is at.
    at_work: HashMap<usize, Teller>,
}

#[derive(Clone, Default)]
struct Teller {
    /// What it has taken, and not put anywhere yet.
    in_hand: i64,
    /// What it saw last, and not acted upon.
    seen: Option<(Key, Value)>,
}

impl Generator for Tellers {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let teller = self.at_work.entry(context.thread).or_default();
        let seen = teller.seen.take();
        let moved = seen.and_then(|(key, from)| {
            let balance = if from == Value::Nil { Some(self.opening) } else { count(&from) }?;
            let by = match teller.in_hand {
                0 => -(1 + context.random.below(MOST) as i64),
                in_hand => in_hand,
            };
            // Nobody takes more than there is.
            (balance + by >= 0).then(|| {
                self.ticket += 1;
                Call::Cas { key, from, to: numbered(balance + by, self.ticket) }
            })
        });
        let look = || Call::Read { key: (context.random.below(self.accounts) as i64).into() };
        Next::Call(moved.unwrap_or_else(look), context.now)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        let opening = self.opening;
        let teller = self.at_work.entry(context.thread).or_default();
        match (call, outcome) {
            (Call::Read { key }, Outcome::Ok(Ret::Value(value))) => {
                teller.seen = Some((key.clone(), value.clone()));
            }
            (Call::Cas { from, to, .. }, Outcome::Ok(_)) => {
                let balance = |value: &Value| if *value == Value::Nil { Some(opening) } else { count(value) };
                teller.in_hand = match teller.in_hand {
                    0 => balance(from).zip(balance(to)).map_or(0, |(from, to)| from - to),
                    _ => 0,
                };
            }
            // Nobody knows whether it was put there: it is not put anywhere else, or money would be made.
            (Call::Cas { .. }, Outcome::Info(_)) => teller.in_hand = 0,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::random::Random;

    use super::*;

    fn tell(tellers: &mut Tellers, random: &mut Random, answer: impl Fn(&Call) -> Outcome) -> Call {
        let mut context = Context { now: schism_history::Time(0), thread: 0, threads: 1, random };
        let Next::Call(call, _) = tellers.next(&mut context) else { panic!("a bank has always work") };
        let outcome = answer(&call);
        tellers.update(&mut context, &call, &outcome);
        call
    }

    /// A bank where every cas is as expected: what is taken is put, and nobody takes what is not there.
    #[test]
    fn what_is_taken_is_put_somewhere_and_nobody_takes_more_than_there_is() {
        let mut tellers = Tellers { accounts: 3, opening: 5, ticket: 0, at_work: HashMap::new() };
        let mut random = Random::of(1, "bank");
        let mut balances: HashMap<Key, Value> = HashMap::new();
        let (mut taken, mut put) = (0, 0);
        for _ in 0..2_000 {
            let held = balances.clone();
            let call = tell(&mut tellers, &mut random, |call| match call {
                Call::Read { key } => Outcome::Ok(Ret::Value(held.get(key).cloned().unwrap_or(Value::Nil))),
                _ => Outcome::Ok(Ret::Done),
            });
            if let Call::Cas { key, from, to } = call {
                let was = if from == Value::Nil { 5 } else { count(&from).unwrap() };
                let is = count(&to).unwrap();
                assert!(is >= 0, "{key} {from} {to}");
                *(if is < was { &mut taken } else { &mut put }) += (is - was).abs();
                balances.insert(key, to);
            }
        }
        assert!(taken > 300 && (taken - put) <= MOST as i64, "{taken} taken, {put} put");
    }

    #[test]
    fn what_may_have_been_put_is_not_put_again() {
        let mut tellers = Tellers { accounts: 1, opening: 50, ticket: 0, at_work: HashMap::new() };
        let mut random = Random::of(1, "bank");
        let full = |_: &Call| Outcome::Ok(Ret::Value(Value::Nil));
        tell(&mut tellers, &mut random, full);
        tell(&mut tellers, &mut random, |_| Outcome::Ok(Ret::Done));
        assert!(tellers.at_work[&0].in_hand > 0);
        tell(&mut tellers, &mut random, full);
        tell(&mut tellers, &mut random, |_| Outcome::Info("lost".into()));
        assert_eq!(tellers.at_work[&0].in_hand, 0);
    }
}
