//! A client's request: done here and answered at once, whoever else can be reached.

use schism_history::Value;

use super::Multi;
use super::counter::Counter;
use super::dotted::{Context, Dotted};
use super::object::Object;
use super::settings::{Resolution, Stamps};
use super::text::Text;
use crate::protocol::{Operation, Request, Response, Ticket};
use crate::version::{Stamp, Version};

impl Multi {
    pub(super) fn request(&mut self, ticket: Ticket, Request { key, operation, session, .. }: Request) {
        let response = if session.is_some() {
            refused("this store keeps no sessions")
        } else {
            match self.mode.resolution {
                Resolution::Lww => self.by_latest(key, operation),
                Resolution::Siblings => self.by_siblings(key, operation),
                Resolution::Merge => self.by_merging(key, operation),
            }
        };
        self.turn.reply(ticket, response);
    }

    /// The last write wins. What changes a part of a value writes the whole anew, and is lost with it.
    fn by_latest(&mut self, key: String, operation: Operation) -> Response {
        let held = self.shelf.get(&key).map_or(Value::Nil, Object::value);
        let value = match operation {
            Operation::Read => return Response::Value(held),
            Operation::Write(value) => value,
            Operation::Add(element) => match held.elements() {
                Some(elements) if elements.contains(&element) => return Response::Done,
                Some(elements) => Value::list(elements.iter().cloned().chain([element])),
                None => return Response::Mismatch { found: held },
            },
            Operation::Append(element) => match held.elements() {
                Some(elements) => Value::list(elements.iter().cloned().chain([element])),
                None => return Response::Mismatch { found: held },
            },
            Operation::Remove(element) => match held.elements() {
                Some(elements) => Value::list(elements.iter().filter(|held| **held != element).cloned()),
                None => return Response::Mismatch { found: held },
            },
            Operation::Increment(by) => match held {
                Value::Nil => by.into(),
                Value::Int(number) => number.saturating_add(by).into(),
                _ => return Response::Mismatch { found: held },
            },
            Operation::Cas { .. } | Operation::Replace { .. } => {
                return refused("where the last write wins there is no cas, and no context");
            }
        };
        let stamp = self.stamp();
        self.change(key, Object::Latest(Version { stamp, value }));
        Response::Done
    }

    /// The stamp of a write that is taken now.
    fn stamp(&mut self) -> Stamp {
        let wall = self.turn.clock.wall.as_micros() as u64;
        let counter = match self.mode.stamps {
            _ if self.bugs.skewed_stamps => wall,
            Stamps::Wall => wall,
            Stamps::Lamport => self.latest + 1,
            Stamps::Hybrid => wall.max(self.latest + 1),
        };
        Stamp { counter, node: self.id, number: self.number() }
    }

    /// All writes stay that no later one has seen; reads give them all, with what is needed to replace them.
    fn by_siblings(&mut self, key: String, operation: Operation) -> Response {
        let none = Dotted::default();
        let held = match self.shelf.get(&key) {
            Some(Object::Siblings(held)) => held,
            _ => &none,
        };
        let (seen, value) = match operation {
            Operation::Read => {
                return Response::Siblings { values: held.values(), context: held.context().to_text() };
            }
            Operation::Write(value) => (Some(Context::default()), value),
            Operation::Replace { value, context } => (Context::from_text(&context), value),
            _ => {
                return refused("with siblings there are only reads and writes");
            }
        };
        let Some(seen) = seen else { return refused("that is no context that a read has given") };
        let delta = held.replacing(self.id, &seen, (value != Value::Nil).then_some(value));
        self.change(key, Object::Siblings(delta));
        Response::Done
    }
}

impl Multi {
    /// What a key is, is for the first change to say: a register, a counter, a set, a text. Each merges in its own way.
    fn by_merging(&mut self, key: String, operation: Operation) -> Response {
        let held = self.shelf.get(&key);
        let (no_counter, no_set) = (Counter::default(), Dotted::default());
        let delta = match (operation, held) {
            (Operation::Read, None) => return Response::Value(self.fields(&key)),
            (Operation::Read, Some(held)) => return Response::Value(held.value()),
            (Operation::Write(value), None | Some(Object::Latest(_))) => {
                let stamp = self.stamp();
                Object::Latest(Version { stamp, value })
            }
            (Operation::Increment(by), None) => Object::Counter(no_counter.plus(self.id, by)),
            (Operation::Increment(by), Some(Object::Counter(counter))) => {
                Object::Counter(counter.plus(self.id, by))
            }
            (Operation::Add(element), None) => Object::Set(no_set.adding(self.id, element)),
            (Operation::Add(element), Some(Object::Set(set))) => {
                if self.bugs.remove_wins && set.contains(&element) {
                    return Response::Done;
                }
                Object::Set(set.adding(self.id, element))
            }
            (Operation::Remove(_), None) => return Response::Done,
            (Operation::Remove(element), Some(Object::Set(set))) => {
                Object::Set(set.removing(self.id, &element))
            }
            (Operation::Append(value), None) => Object::Text(Text::default().typing(self.id, value)),
            (Operation::Append(value), Some(Object::Text(text))) => Object::Text(text.typing(self.id, value)),
            (Operation::Remove(value), Some(Object::Text(text))) => Object::Text(text.taking_out(&value)),
            (Operation::Cas { .. } | Operation::Replace { .. }, _) => {
                return refused("where writes merge there is no cas, and no context");
            }
            (_, Some(other)) => return Response::Mismatch { found: other.value() },
        };
        self.change(key, delta);
        Response::Done
    }

    /// A map: `cart.apples` is the field `apples` of `cart`, and `cart` reads as all its fields, each with what is there.
    fn fields(&self, key: &str) -> Value {
        let of_key = self.shelf.below(key).filter(|(_, object)| !object.is_deleted());
        let mut fields =
            of_key.map(|(field, object)| Value::list([Value::text(field), object.value()])).peekable();
        if fields.peek().is_some() { Value::list(fields) } else { Value::Nil }
    }
}

fn refused(reason: &str) -> Response {
    Response::Refused { reason: reason.into(), leader: None }
}
