//! Likes: clients read how many likes a post has and write one more, without compare-and-set.
//!
//! Finds likes that are lost: two who read the same number make one like of two, in a linearizable store as in any other;
//! what is needed is a cas, or a store that merges. Cannot find how many are lost at a time.

use std::collections::HashMap;

use schism_checker::everyday::{Likes, number as count, numbered};
use schism_engine::generator::{Calls, Context, EachThread, Generator, Next};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key, Outcome, Ret, Value};

use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "likes",
    about: "likes by reading the number and writing one more: every one that was acknowledged counts",
    calls: &[CallKind::Read, CallKind::Write],
    settings: &[Setting { name: "posts", about: "how many posts; 4 by default" }],
    make: |settings| make(settings),
};

fn make(settings: &Settings) -> Workload {
    let posts = number(settings, "posts", 4);
    let last = move |_| -> Box<dyn Generator> {
        Box::new(Calls::new((0..posts).map(|post| Call::Read { key: (post as i64).into() })))
    };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(Readers { posts, ticket: 0, seen: HashMap::new() }),
        finale: Box::new(EachThread::new(last)),
        checkers: vec![Box::new(Likes)],
        unique_values: true,
    }
}

/// Clients that read and like in turns.
struct Readers {
    posts: u64,
    ticket: i64,
    /// What each client is about to like, and how many likes that had.
    seen: HashMap<usize, (Key, i64)>,
}

impl Generator for Readers {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let call = match self.seen.remove(&context.thread) {
            Some((key, likes)) => {
                self.ticket += 1;
                Call::Write { key, value: numbered(likes + 1, self.ticket) }
            }
            None => Call::Read { key: (context.random.below(self.posts) as i64).into() },
        };
        Next::Call(call, context.now)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        if let (Call::Read { key }, Outcome::Ok(Ret::Value(value))) = (call, outcome) {
            let likes = if *value == Value::Nil { 0 } else { count(value).unwrap_or(0) };
            self.seen.insert(context.thread, (key.clone(), likes));
        }
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn every_other_call_is_a_like_of_what_was_read() {
        let made = Rehearsal::new(1).run(Limit::new(100, make(&Settings::new()).load));
        for pair in made.chunks(2) {
            let [Call::Read { key }, Call::Write { key: liked, value }] = [&pair[0].call, &pair[1].call]
            else {
                panic!("{pair:?}");
            };
            assert_eq!((key, count(value)), (liked, Some(1)));
        }
    }
}
