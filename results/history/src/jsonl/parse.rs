//! One line of a history, from JSON to an event.
//!
//! The visitor is written out by hand for speed: what most lines have lies in one small struct, the rest in a box that
//! most lines do not need. It takes no more and no less than a derived one would, unknown fields aside, which are passed
//! over so that older versions read what newer ones wrote.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::Kind;
use crate::call::{Call, CallKind, Outcome, Ret, Step};
use crate::event::{Edge, Effect, Event, FaultEvent, Note, Process, Time, What};
use crate::value::Value;

/// A line taken apart.
pub(super) struct Parsed {
    pub index: u32,
    time: Time,
    kind: Kind,
    process: Option<Process>,
    f: Option<CallKind>,
    node: Option<String>,
    key: Option<Value>,
    value: Option<Value>,
    rare: Option<Box<Rare>>,
}

/// What only lines of failed calls, faults, phases and notes have, and some answers.
#[derive(Default)]
struct Rare {
    ret: Option<Value>,
    error: Option<String>,
    id: Option<u32>,
    fault: Option<String>,
    edge: Option<Edge>,
    detail: Option<String>,
    nodes: Option<Vec<String>>,
    effect: Option<Effect>,
    phase: Option<String>,
    text: Option<String>,
    doubt: Option<bool>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "kebab-case")]
enum Field {
    Index,
    Time,
    Type,
    Process,
    Node,
    F,
    Key,
    Value,
    Ret,
    Error,
    Id,
    Fault,
    Edge,
    Detail,
    Nodes,
    Effect,
    Phase,
    Text,
    Doubt,
    #[serde(other)]
    Unknown,
}

/// Puts a field's value where it belongs, unless it stood in the line before.
fn once<T, E: Error>(slot: &mut Option<T>, value: Option<T>, name: &'static str) -> Result<(), E> {
    if slot.is_some() {
        return Err(E::duplicate_field(name));
    }
    *slot = value;
    Ok(())
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Lines)
    }
}

struct Lines;

impl<'de> Visitor<'de> for Lines {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line of a history")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let (mut index, mut time, mut kind) = (None, None, None);
        let (mut process, mut f, mut node, mut key, mut value) = (None, None, None, None, None);
        let mut rare: Option<Box<Rare>> = None;
        while let Some(field) = map.next_key()? {
            match field {
                Field::Index => once(&mut index, Some(map.next_value()?), "index")?,
                Field::Time => once(&mut time, Some(map.next_value()?), "time")?,
                Field::Type => once(&mut kind, Some(map.next_value()?), "type")?,
                Field::Process => once(&mut process, map.next_value()?, "process")?,
                Field::Node => once(&mut node, map.next_value()?, "node")?,
                Field::F => once(&mut f, map.next_value()?, "f")?,
                // `null` is a value like any other: only an absent field is absent.
                Field::Key => once(&mut key, Some(map.next_value()?), "key")?,
                Field::Value => once(&mut value, Some(map.next_value()?), "value")?,
                Field::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
                field => rare.get_or_insert_default().take(&field, &mut map)?,
            }
        }
        Ok(Parsed {
            index: index.ok_or_else(|| A::Error::missing_field("index"))?,
            time: time.ok_or_else(|| A::Error::missing_field("time"))?,
            kind: kind.ok_or_else(|| A::Error::missing_field("type"))?,
            process,
            f,
            node,
            key,
            value,
            rare,
        })
    }
}

impl Rare {
    fn take<'de, A: MapAccess<'de>>(&mut self, field: &Field, map: &mut A) -> Result<(), A::Error> {
        match field {
            Field::Ret => once(&mut self.ret, Some(map.next_value()?), "ret"),
            Field::Error => once(&mut self.error, map.next_value()?, "error"),
            Field::Id => once(&mut self.id, map.next_value()?, "id"),
            Field::Fault => once(&mut self.fault, map.next_value()?, "fault"),
            Field::Edge => once(&mut self.edge, map.next_value()?, "edge"),
            Field::Detail => once(&mut self.detail, map.next_value()?, "detail"),
            Field::Nodes => once(&mut self.nodes, map.next_value()?, "nodes"),
            Field::Effect => once(&mut self.effect, map.next_value()?, "effect"),
            Field::Phase => once(&mut self.phase, map.next_value()?, "phase"),
            Field::Text => once(&mut self.text, map.next_value()?, "text"),
            Field::Doubt => once(&mut self.doubt, map.next_value()?, "doubt"),
            _ => unreachable!("the common fields were taken before"),
        }
    }
}

impl Parsed {
    /// The event the line says.
    ///
    /// # Errors
    /// Which field is missing, or what is wrong with it.
    pub fn into_event(self) -> Result<Event, &'static str> {
        let time = self.time;
        let what = match self.kind {
            Kind::Invoke => What::Invoke {
                process: self.process.ok_or("an invocation without \"process\"")?,
                node: self.node,
                call: call(self.f, self.key, self.value)?,
            },
            Kind::Ok => self.into_ok()?,
            Kind::Fail | Kind::Info => {
                let why = self.rare.and_then(|rare| rare.error).unwrap_or_default();
                What::Complete {
                    process: self.process.ok_or("a completion without \"process\"")?,
                    call: call(self.f, self.key, self.value)?,
                    outcome: match self.kind {
                        Kind::Fail => Outcome::Fail(why),
                        _ => Outcome::Info(why),
                    },
                }
            }
            Kind::Fault => What::Fault(self.rare.unwrap_or_default().into_fault()?),
            Kind::Phase => {
                let phase = self.rare.and_then(|rare| rare.phase);
                What::Phase(phase.ok_or("a phase without \"phase\"")?)
            }
            Kind::Note => {
                let rare = self.rare.unwrap_or_default();
                What::Note(Note {
                    node: self.node.ok_or("a note without \"node\"")?,
                    text: rare.text.unwrap_or_default(),
                    doubt: rare.doubt.unwrap_or(false),
                })
            }
        };
        Ok(Event { time, what })
    }

    fn into_ok(self) -> Result<What, &'static str> {
        let process = self.process.ok_or("a completion without \"process\"")?;
        let done = |call, ret| Ok(What::Complete { process, call, outcome: Outcome::Ok(ret) });
        if self.f == Some(CallKind::Txn) {
            let (steps, seen) = steps(self.value.as_ref())?;
            return done(Call::Txn { steps }, Ret::Value(Value::list(seen)));
        }
        let ret = self.rare.and_then(|rare| rare.ret);
        let call = call(self.f, self.key, self.value.clone())?;
        let answer = if call.is_bare() { self.value } else { ret };
        match (answer, call.kind()) {
            (None, CallKind::Read | CallKind::Dequeue | CallKind::Pop | CallKind::Generate) => {
                Err("a call that is ok, without the \"value\" it was answered")
            }
            (None, CallKind::Contains | CallKind::Watch) => {
                Err("a call that is ok, without the \"ret\" it was answered")
            }
            (Some(value), _) => done(call, Ret::Value(value)),
            (None, _) => done(call, Ret::Done),
        }
    }
}

impl Rare {
    fn into_fault(self) -> Result<FaultEvent, &'static str> {
        Ok(FaultEvent {
            id: self.id.ok_or("a fault without \"id\"")?,
            fault: self.fault.ok_or("a fault without \"fault\"")?,
            edge: self.edge.ok_or("a fault without \"edge\"")?,
            detail: self.detail.unwrap_or_default(),
            nodes: self.nodes.unwrap_or_default(),
            effect: self.effect,
        })
    }
}

fn call(f: Option<CallKind>, key: Option<Value>, value: Option<Value>) -> Result<Call, &'static str> {
    match f.ok_or("no \"f\"")? {
        CallKind::Txn => Ok(Call::Txn { steps: steps(value.as_ref())?.0 }),
        kind => Call::of(kind, key.ok_or("no \"key\"")?, value),
    }
}

/// The steps of a transaction, and what each saw: `Nil` unless it is a read.
fn steps(value: Option<&Value>) -> Result<(Arc<[Step]>, Vec<Value>), &'static str> {
    const SHAPE: &str = "the \"value\" of a txn must be a list of [\"r\", key, seen], [\"w\", key, value] or [\"append\", key, value]";
    let Some(Value::List(items)) = value else { return Err(SHAPE) };
    let step = |item: &Value| {
        let Some([Value::Text(word), key, value]) = item.elements() else { return Err(SHAPE) };
        let (key, value) = (key.clone(), value.clone());
        match &**word {
            "r" => Ok((Step::Read { key }, value)),
            "w" => Ok((Step::Write { key, value }, Value::Nil)),
            "append" => Ok((Step::Append { key, value }, Value::Nil)),
            _ => Err(SHAPE),
        }
    };
    let both: Vec<(Step, Value)> = items.iter().map(step).collect::<Result<_, _>>()?;
    let (steps, seen): (Vec<_>, Vec<_>) = both.into_iter().unzip();
    Ok((steps.into(), seen))
}
