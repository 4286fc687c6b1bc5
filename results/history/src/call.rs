//! The closed vocabulary of what a client may ask, and what may become of it.
//!
//! A target says which kinds it understands, a workload which it needs; the plan joins them or refuses.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::value::{Key, Value};

/// One request of a client to the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Read what is stored under a key: a register, a whole set, a whole list, a counter.
    Read {
        /// Which object.
        key: Key,
    },
    /// Set a register.
    Write {
        /// Which object.
        key: Key,
        /// What to store.
        value: Value,
    },
    /// Set a register to `to` if and only if it holds `from`.
    Cas {
        /// Which object.
        key: Key,
        /// What it must hold.
        from: Value,
        /// What it shall hold then.
        to: Value,
    },
    /// Add an element to a set. May answer whether it was missing.
    Add {
        /// Which object.
        key: Key,
        /// The element.
        value: Value,
    },
    /// Remove an element from a set. May answer whether it was there.
    Remove {
        /// Which object.
        key: Key,
        /// The element.
        value: Value,
    },
    /// Ask whether an element is in a set; answered by a truth value.
    Contains {
        /// Which object.
        key: Key,
        /// The element.
        value: Value,
    },
    /// Append text to a string, or an element to a list or log. May answer with its offset.
    Append {
        /// Which object.
        key: Key,
        /// What to append.
        value: Value,
    },
    /// Put an element into a queue: first in first out, unordered or by priority, as the model says.
    Enqueue {
        /// Which object.
        key: Key,
        /// The element.
        value: Value,
    },
    /// Take an element out of a queue; answered by it, or by `Nil` if there was none.
    Dequeue {
        /// Which object.
        key: Key,
    },
    /// Put an element onto a stack.
    Push {
        /// Which object.
        key: Key,
        /// The element.
        value: Value,
    },
    /// Take the top off a stack; answered by it, or by `Nil` if there was none.
    Pop {
        /// Which object.
        key: Key,
    },
    /// Add to a counter. If answered by a value, that is what it held just before: fetch-and-add, a ticket.
    Increment {
        /// Which object.
        key: Key,
        /// How much; may be negative.
        by: i64,
    },
    /// Ask for an identifier nobody else ever gets.
    Generate {
        /// Which object.
        key: Key,
    },
    /// Take a lock. If answered by a value, that is its fencing token.
    Acquire {
        /// Which object.
        key: Key,
    },
    /// Give a lock back.
    Release {
        /// Which object.
        key: Key,
    },
    /// Use what a lock guards, showing the fencing token; what is guarded may refuse it.
    Use {
        /// Which object.
        key: Key,
        /// The token the lock was acquired with.
        token: Value,
    },
    /// Follow the changes of what is stored from a revision on; answered by a list of `[revision, value]`.
    Watch {
        /// Which object.
        key: Key,
        /// The first revision to be told of.
        from: i64,
    },
    /// Several steps on several keys, all at once or not at all. Answered by a list with one value a step: what a read saw,
    /// `Nil` for any other.
    Txn {
        /// The steps, in order.
        steps: Arc<[Step]>,
    },
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Read what is stored under a key.
    Read {
        /// Which object.
        key: Key,
    },
    /// Set a register.
    Write {
        /// Which object.
        key: Key,
        /// What to store.
        value: Value,
    },
    /// Append an element to a list.
    Append {
        /// Which object.
        key: Key,
        /// The element.
        value: Value,
    },
}

/// What a call is called with beside its key, whatever it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'c> {
    /// Nothing: the call is bare.
    Nothing,
    /// An element, a token, what to store.
    Value(&'c Value),
    /// How much, or from where on.
    Number(i64),
    /// What must be there, and what shall be.
    Two(&'c Value, &'c Value),
    /// Those of a transaction.
    Steps(&'c [Step]),
}

/// The kind of a [`Call`], without its arguments; its text form is the `f` of a history line.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    bytemuck::CheckedBitPattern,
    bytemuck::NoUninit,
)]
#[repr(u8)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// [`Call::Read`]
    Read,
    /// [`Call::Write`]
    Write,
    /// [`Call::Cas`]
    Cas,
    /// [`Call::Add`]
    Add,
    /// [`Call::Remove`]
    Remove,
    /// [`Call::Contains`]
    Contains,
    /// [`Call::Append`]
    Append,
    /// [`Call::Enqueue`]
    Enqueue,
    /// [`Call::Dequeue`]
    Dequeue,
    /// [`Call::Push`]
    Push,
    /// [`Call::Pop`]
    Pop,
    /// [`Call::Increment`]
    Increment,
    /// [`Call::Generate`]
    Generate,
    /// [`Call::Acquire`]
    Acquire,
    /// [`Call::Release`]
    Release,
    /// [`Call::Use`]
    Use,
    /// [`Call::Watch`]
    Watch,
    /// [`Call::Txn`]
    Txn,
}

impl CallKind {
    /// Every kind, in the order of [`Call`].
    pub const ALL: [CallKind; 18] = [
        CallKind::Read,
        CallKind::Write,
        CallKind::Cas,
        CallKind::Add,
        CallKind::Remove,
        CallKind::Contains,
        CallKind::Append,
        CallKind::Enqueue,
        CallKind::Dequeue,
        CallKind::Push,
        CallKind::Pop,
        CallKind::Increment,
        CallKind::Generate,
        CallKind::Acquire,
        CallKind::Release,
        CallKind::Use,
        CallKind::Watch,
        CallKind::Txn,
    ];

    /// Whether such a call has no argument but its key.
    pub fn is_bare(self) -> bool {
        use CallKind::{Acquire, Dequeue, Generate, Pop, Read, Release};
        matches!(self, Read | Dequeue | Pop | Generate | Acquire | Release)
    }

    /// The word used in histories and plans.
    pub fn word(self) -> &'static str {
        match self {
            CallKind::Read => "read",
            CallKind::Write => "write",
            CallKind::Cas => "cas",
            CallKind::Add => "add",
            CallKind::Remove => "remove",
            CallKind::Contains => "contains",
            CallKind::Append => "append",
            CallKind::Enqueue => "enqueue",
            CallKind::Dequeue => "dequeue",
            CallKind::Push => "push",
            CallKind::Pop => "pop",
            CallKind::Increment => "increment",
            CallKind::Generate => "generate",
            CallKind::Acquire => "acquire",
            CallKind::Release => "release",
            CallKind::Use => "use",
            CallKind::Watch => "watch",
            CallKind::Txn => "txn",
        }
    }
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The key of a transaction: all that is stored is its object.
static EVERYTHING: Key = Value::Nil;

impl Call {
    /// Its kind.
    pub fn kind(&self) -> CallKind {
        match self {
            Call::Read { .. } => CallKind::Read,
            Call::Write { .. } => CallKind::Write,
            Call::Cas { .. } => CallKind::Cas,
            Call::Add { .. } => CallKind::Add,
            Call::Remove { .. } => CallKind::Remove,
            Call::Contains { .. } => CallKind::Contains,
            Call::Append { .. } => CallKind::Append,
            Call::Enqueue { .. } => CallKind::Enqueue,
            Call::Dequeue { .. } => CallKind::Dequeue,
            Call::Push { .. } => CallKind::Push,
            Call::Pop { .. } => CallKind::Pop,
            Call::Increment { .. } => CallKind::Increment,
            Call::Generate { .. } => CallKind::Generate,
            Call::Acquire { .. } => CallKind::Acquire,
            Call::Release { .. } => CallKind::Release,
            Call::Use { .. } => CallKind::Use,
            Call::Watch { .. } => CallKind::Watch,
            Call::Txn { .. } => CallKind::Txn,
        }
    }

    /// A call of one object out of its parts as histories show them.
    ///
    /// # Errors
    /// What is missing, or of another shape than it must be.
    pub fn of(kind: CallKind, key: Key, value: Option<Value>) -> Result<Call, &'static str> {
        match kind {
            CallKind::Read => return Ok(Call::Read { key }),
            CallKind::Dequeue => return Ok(Call::Dequeue { key }),
            CallKind::Pop => return Ok(Call::Pop { key }),
            CallKind::Generate => return Ok(Call::Generate { key }),
            CallKind::Acquire => return Ok(Call::Acquire { key }),
            CallKind::Release => return Ok(Call::Release { key }),
            _ => {}
        }
        let value = value.ok_or("no \"value\"")?;
        let number = |value: &Value| match value {
            Value::Int(number) => Ok(*number),
            _ => Err("the \"value\" of an increment or a watch must be a whole number"),
        };
        Ok(match kind {
            CallKind::Write => Call::Write { key, value },
            CallKind::Add => Call::Add { key, value },
            CallKind::Remove => Call::Remove { key, value },
            CallKind::Contains => Call::Contains { key, value },
            CallKind::Append => Call::Append { key, value },
            CallKind::Enqueue => Call::Enqueue { key, value },
            CallKind::Push => Call::Push { key, value },
            CallKind::Use => Call::Use { key, token: value },
            CallKind::Increment => Call::Increment { key, by: number(&value)? },
            CallKind::Watch => Call::Watch { key, from: number(&value)? },
            CallKind::Cas => match value.elements() {
                Some([from, to]) => Call::Cas { key, from: from.clone(), to: to.clone() },
                _ => return Err("the \"value\" of a cas must be [from, to]"),
            },
            _ => return Err("a transaction is not a call of one object"),
        })
    }

    /// The object it is about; `Nil` for a transaction, whose object is all that is stored.
    pub fn key(&self) -> &Key {
        match self {
            Call::Read { key }
            | Call::Write { key, .. }
            | Call::Cas { key, .. }
            | Call::Add { key, .. }
            | Call::Remove { key, .. }
            | Call::Contains { key, .. }
            | Call::Append { key, .. }
            | Call::Enqueue { key, .. }
            | Call::Dequeue { key }
            | Call::Push { key, .. }
            | Call::Pop { key }
            | Call::Increment { key, .. }
            | Call::Generate { key }
            | Call::Acquire { key }
            | Call::Release { key }
            | Call::Use { key, .. }
            | Call::Watch { key, .. } => key,
            Call::Txn { .. } => &EVERYTHING,
        }
    }

    /// Whether it has no argument but its key: histories then show what it was answered in the argument's place.
    pub fn is_bare(&self) -> bool {
        self.kind().is_bare()
    }

    /// What it is called with beside its key.
    pub fn argument(&self) -> Argument<'_> {
        match self {
            Call::Write { value, .. }
            | Call::Add { value, .. }
            | Call::Remove { value, .. }
            | Call::Contains { value, .. }
            | Call::Append { value, .. }
            | Call::Enqueue { value, .. }
            | Call::Push { value, .. }
            | Call::Use { token: value, .. } => Argument::Value(value),
            Call::Increment { by: number, .. } | Call::Watch { from: number, .. } => {
                Argument::Number(*number)
            }
            Call::Cas { from, to, .. } => Argument::Two(from, to),
            Call::Txn { steps } => Argument::Steps(steps),
            Call::Read { .. }
            | Call::Dequeue { .. }
            | Call::Pop { .. }
            | Call::Generate { .. }
            | Call::Acquire { .. }
            | Call::Release { .. } => Argument::Nothing,
        }
    }

    /// Whether it can change anything. One that cannot, and failed or got no answer, changed nothing.
    pub fn changes(&self) -> bool {
        match self {
            Call::Read { .. } | Call::Contains { .. } | Call::Watch { .. } => false,
            Call::Txn { steps } => steps.iter().any(|step| !matches!(step, Step::Read { .. })),
            _ => true,
        }
    }
}

/// For people: `write(3)`, `cas(3 → 4)`, without the key; of a transaction with the keys.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.kind().word();
        match self.argument() {
            Argument::Nothing => write!(f, "{word}()"),
            Argument::Value(value) => write!(f, "{word}({value})"),
            Argument::Two(from, to) => write!(f, "{word}({from} → {to})"),
            Argument::Number(from) if self.kind() == CallKind::Watch => write!(f, "{word}(from {from})"),
            Argument::Number(by) => write!(f, "{word}({by})"),
            Argument::Steps(steps) => {
                write!(f, "{word}(")?;
                for (place, step) in steps.iter().enumerate() {
                    let comma = if place == 0 { "" } else { ", " };
                    match step {
                        Step::Read { key } => write!(f, "{comma}read {key}")?,
                        Step::Write { key, value } => write!(f, "{comma}write {key} {value}")?,
                        Step::Append { key, value } => write!(f, "{comma}append {key} {value}")?,
                    }
                }
                write!(f, ")")
            }
        }
    }
}

impl Step {
    /// The word used in histories: those of Elle.
    pub fn word(&self) -> &'static str {
        match self {
            Step::Read { .. } => "r",
            Step::Write { .. } => "w",
            Step::Append { .. } => "append",
        }
    }

    /// The object it is about.
    pub fn key(&self) -> &Key {
        match self {
            Step::Read { key } | Step::Write { key, .. } | Step::Append { key, .. } => key,
        }
    }
}

/// What the store answered to a call that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// Done; nothing else to tell.
    Done,
    /// What was seen, taken or given: see each [`Call`].
    Value(Value),
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened.
    Ok(Ret),
    /// It certainly did not happen, and never will. A claim: argued for, error by error, in the client.
    Fail(String),
    /// Nobody knows: it may take effect once at any time after its invocation, or never.
    Info(String),
}

impl Outcome {
    /// The `type` word of a history line.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Ok(_) => "ok",
            Outcome::Fail(_) => "fail",
            Outcome::Info(_) => "info",
        }
    }

    /// Whether it is [`Outcome::Ok`].
    pub fn is_ok(&self) -> bool {
        matches!(self, Outcome::Ok(_))
    }
}
