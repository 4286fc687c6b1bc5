//! Wish lists: wishes are added, taken off by who has seen them, and some are added again; every client reads all lists at
//! the end.
//!
//! Finds wishes that were added last and are missing, wishes that were taken off and are back, and nodes that end with
//! different lists. Cannot find what a remove did to an add that it may have seen: the store may order the two either way.

use std::collections::HashMap;

use schism_checker::Convergence;
use schism_engine::generator::{Context, Generator, Next};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key, Outcome, Ret, Value};

use crate::settle::{SETTLE, last_reads};
use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "wishlist",
    about: "wishes come, go and come again: none that was added last is missing, none that was taken off is back",
    calls: &[CallKind::Add, CallKind::Remove, CallKind::Read],
    settings: &[Setting { name: "lists", about: "how many lists; 10 by default" }, SETTLE],
    make: |settings| make(settings),
};

/// So many wishes of a list come and go; each other is added once.
const RETURNING: u64 = 4;

fn make(settings: &Settings) -> Workload {
    let lists = number(settings, "lists", 10);
    let last = move |_| (0..lists).map(|list| Call::Read { key: (list as i64).into() }).collect();
    Workload {
        calls: ENTRY.calls,
        load: Box::new(Wishes { lists, wish: 0, seen: HashMap::new() }),
        finale: last_reads(settings, last),
        checkers: vec![Box::new(Convergence::default())],
        // Some are added again and again: that is the point.
        unique_values: false,
    }
}

/// Clients that look at a list and then change it.
struct Wishes {
    lists: u64,
    wish: i64,
    /// What each client has read last, and not acted upon since.
    seen: HashMap<usize, (Key, Value)>,
}

impl Generator for Wishes {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let Some((key, seen)) = self.seen.remove(&context.thread) else {
            let key = (context.random.below(self.lists) as i64).into();
            return Next::Call(Call::Read { key }, context.now);
        };
        let there = seen.elements().unwrap_or_default();
        // Lists stay short: the longer one is, the sooner something is taken off.
        let call = if context.random.below(8) < there.len() as u64 {
            Call::Remove { key, value: there[context.random.index(there.len())].clone() }
        } else if context.random.below(2) == 0 {
            Call::Add { key, value: (-1 - context.random.below(RETURNING) as i64).into() }
        } else {
            self.wish += 1;
            Call::Add { key, value: self.wish.into() }
        };
        Next::Call(call, context.now)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        if let (Call::Read { key }, Outcome::Ok(Ret::Value(value))) = (call, outcome) {
            self.seen.insert(context.thread, (key.clone(), value.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    /// The rehearsal answers reads with nothing, so nothing is there to be taken off.
    #[test]
    fn clients_look_before_they_add_what_comes_again_or_what_is_new() {
        let made = Rehearsal::new(1).run(Limit::new(400, make(&Settings::new()).load));
        let (mut again, mut once) = (0, 0);
        for pair in made.chunks_exact(2) {
            let [Call::Read { key }, Call::Add { key: list, value: Value::Int(wish) }] =
                [&pair[0].call, &pair[1].call]
            else {
                panic!("{pair:?}");
            };
            assert_eq!(key, list);
            *(if *wish < 0 { &mut again } else { &mut once }) += 1;
        }
        assert!(again > 70 && once > 70, "{again}, {once}");
    }

    #[test]
    fn what_a_client_has_seen_it_takes_off_now_and_then() {
        let mut wishes = Wishes { lists: 1, wish: 0, seen: HashMap::new() };
        let seen = Value::list((1..=8).map(Value::Int));
        let mut rehearsal = schism_engine::random::Random::of(1, "wishlist");
        let mut context =
            Context { now: schism_history::Time(0), thread: 0, threads: 1, random: &mut rehearsal };
        wishes.update(&mut context, &Call::Read { key: 0.into() }, &Outcome::Ok(Ret::Value(seen.clone())));
        let Next::Call(Call::Remove { value, .. }, _) = wishes.next(&mut context) else { panic!() };
        assert!(seen.elements().unwrap_or_default().contains(&value));
    }
}
