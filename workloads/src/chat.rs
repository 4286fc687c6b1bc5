//! Chat: somebody writes a message, somebody who has read it writes a reply, and a third one who sees the reply looks for
//! the message.
//!
//! Finds replies that are seen without their message: causality broken. Every value is written once, so the judge of
//! causal consistency is asked too. Cannot find what clients tell one another outside of the store.

use std::collections::HashMap;

use schism_checker::everyday::Chat;
use schism_checker::{Weak, weak};
use schism_engine::generator::{Calls, Context, EachThread, Generator, Next};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key, Outcome, Ret, Value};

use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "chat",
    about: "messages, replies by those who read them, and readers of both: no reply is seen without its message",
    calls: &[CallKind::Read, CallKind::Write],
    settings: &[Setting {
        name: "open",
        about: "how many of the newest conversations are followed at a time; 6 by default",
    }],
    make: |settings| make(settings),
};

fn make(settings: &Settings) -> Workload {
    let open = number(settings, "open", 6) as i64;
    // Conversations are many, and the first ones are as good as any to show that nodes agree in the end.
    let last = |_| -> Box<dyn Generator> {
        let keys = (1..=20).flat_map(|number| [message(number), reply(number)]);
        Box::new(Calls::new(keys.map(|key| Call::Read { key })))
    };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(Room { open, newest: 0, replies: 0, next: HashMap::new() }),
        finale: Box::new(EachThread::new(last)),
        checkers: vec![Box::new(Chat), Box::new(Weak { model: weak::Model::Causal, initial: Value::Nil })],
        unique_values: true,
    }
}

fn message(number: i64) -> Key {
    Value::text(&format!("m{number}"))
}

fn reply(number: i64) -> Key {
    Value::text(&format!("r{number}"))
}

/// Everybody in it.
struct Room {
    open: i64,
    newest: i64,
    /// Numbers replies, so that each is another one.
    replies: i64,
    /// What a client does next because of what it saw.
    next: HashMap<usize, Call>,
}

impl Generator for Room {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        if let Some(call) = self.next.remove(&context.thread) {
            return Next::Call(call, context.now);
        }
        let drawn = context.random.below(100);
        let recent = (self.newest - context.random.below(self.open as u64) as i64).max(1);
        let call = match drawn {
            0..20 => {
                self.newest += 1;
                Call::Write { key: message(self.newest), value: self.newest.into() }
            }
            20..40 => Call::Read { key: message(recent) },
            _ => Call::Read { key: reply(recent) },
        };
        Next::Call(call, context.now)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        let (Call::Read { key: Value::Text(name) }, Outcome::Ok(Ret::Value(value))) = (call, outcome) else {
            return;
        };
        let (kind, number) = name.split_at(1);
        let Some(number) = number.parse().ok().filter(|_| *value != Value::Nil) else { return };
        let next = if kind == "r" {
            // It looks for the message behind the reply.
            Call::Read { key: message(number) }
        } else if context.random.below(2) == 0 {
            self.replies += 1;
            Call::Write { key: reply(number), value: self.replies.into() }
        } else {
            return;
        };
        self.next.insert(context.thread, next);
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::random::Random;

    use super::*;

    #[test]
    fn who_sees_a_reply_looks_for_the_message() {
        let mut room = Room { open: 6, newest: 9, replies: 0, next: HashMap::new() };
        let mut random = Random::of(1, "chat");
        let mut context =
            Context { now: schism_history::Time(0), thread: 2, threads: 5, random: &mut random };
        let seen = Outcome::Ok(Ret::Value(4.into()));
        room.update(&mut context, &Call::Read { key: reply(7) }, &seen);
        let next = room.next(&mut context);
        assert_eq!(next, Next::Call(Call::Read { key: message(7) }, schism_history::Time(0)));
        // And nothing follows from what is not there.
        room.update(&mut context, &Call::Read { key: reply(7) }, &Outcome::Ok(Ret::Value(Value::Nil)));
        assert!(room.next.is_empty());
    }

    #[test]
    fn only_who_has_read_a_message_replies() {
        let mut room = Room { open: 6, newest: 9, replies: 0, next: HashMap::new() };
        let mut random = Random::of(1, "chat");
        let mut context =
            Context { now: schism_history::Time(0), thread: 0, threads: 5, random: &mut random };
        let made: Vec<Next> = (0..500).map(|_| room.next(&mut context)).collect();
        let replies = |next: &Next| matches!(next, Next::Call(Call::Write { key: Value::Text(name), .. }, _) if name.starts_with('r'));
        assert!(!made.iter().any(replies));
        for _ in 0..20 {
            room.update(&mut context, &Call::Read { key: message(9) }, &Outcome::Ok(Ret::Value(9.into())));
            if let Some(call) = room.next.remove(&0) {
                assert!(matches!(call, Call::Write { key, .. } if key == reply(9)));
            }
        }
        assert!(room.replies > 0);
    }
}
