//! The closed vocabulary of what a client may ask, and what may become of it.
//!
//! A target says which kinds it understands, a workload which it needs; the plan joins them or refuses.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::value::{Key, Value};

/// One request of a client to the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
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
    /// Set a register to `to` if and only if it holds `from`.
    Cas {
        /// Which object.
        key: Key,
        /// What it must hold.
        from: Value,
        /// What it shall hold then.
        to: Value,
    },
    /// Add an element to a set.
    Add {
        /// Which object.
        key: Key,
        /// The element.
        value: Value,
    },
    /// Append text to a string.
    Append {
        /// Which object.
        key: Key,
        /// What to append.
        value: Value,
    },
}

/// The kind of a [`Call`], without its arguments; its text form is the `f` of a history line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// [`Call::Append`]
    Append,
}

impl CallKind {
    /// Every kind, in the order of [`Call`].
    pub const ALL: [CallKind; 5] =
        [CallKind::Read, CallKind::Write, CallKind::Cas, CallKind::Add, CallKind::Append];

    /// The word used in histories and plans.
    pub fn word(self) -> &'static str {
        match self {
            CallKind::Read => "read",
            CallKind::Write => "write",
            CallKind::Cas => "cas",
            CallKind::Add => "add",
            CallKind::Append => "append",
        }
    }
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Call {
    /// Its kind.
    pub fn kind(&self) -> CallKind {
        match self {
            Call::Read { .. } => CallKind::Read,
            Call::Write { .. } => CallKind::Write,
            Call::Cas { .. } => CallKind::Cas,
            Call::Add { .. } => CallKind::Add,
            Call::Append { .. } => CallKind::Append,
        }
    }

    /// The object it is about.
    pub fn key(&self) -> &Key {
        match self {
            Call::Read { key }
            | Call::Write { key, .. }
            | Call::Cas { key, .. }
            | Call::Add { key, .. }
            | Call::Append { key, .. } => key,
        }
    }

    /// Whether it can change anything. A read that failed or got no answer changed nothing.
    pub fn changes(&self) -> bool {
        !matches!(self, Call::Read { .. })
    }
}

/// For people: `write(3)`, `cas(3 → 4)`, without the key.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Read { .. } => f.write_str("read()"),
            Call::Write { value, .. } => write!(f, "write({value})"),
            Call::Cas { from, to, .. } => write!(f, "cas({from} → {to})"),
            Call::Add { value, .. } => write!(f, "add({value})"),
            Call::Append { value, .. } => write!(f, "append({value})"),
        }
    }
}

/// What the store answered to a call that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// Done; nothing else to tell.
    Done,
    /// What a read saw.
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
