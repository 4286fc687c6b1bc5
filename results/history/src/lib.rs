//! The words of a run: calls, outcomes, events, operations, histories; the text form they are recorded in, and the forms
//! in which peers recorded theirs.
//!
//! Pure data: no clock, no thread, no file, no randomness. Everything above judges or pictures what stands here.

pub mod apart;
pub mod binary;
mod builder;
mod by_key;
mod call;
mod column;
mod columns;
pub mod edn;
mod event;
pub mod export;
pub mod format;
mod history;
mod intern;
pub mod jepsen;
pub mod jepsen_log;
pub mod jsonl;
pub mod porcupine_kv;
mod said;
mod value;

pub use builder::Builder;
pub use by_key::{ByKey, KeyColumns, OfKey};
pub use call::{Argument, Call, CallKind, Outcome, Ret, Step};
pub use column::Shared;
pub use columns::{Columns, Status};
pub use event::{Edge, Effect, Event, FaultEvent, Note, Process, Time, What};
pub use format::{Format, read_any};
pub use history::{Contradiction, FaultWindow, History, Operation, Position};
pub use intern::Numbers;
pub use jepsen::Keys;
pub use jsonl::{ReadError, Recorded};
pub use value::{Key, Value};
