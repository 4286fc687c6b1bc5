//! The words of a run: calls, outcomes, events, operations, histories; the text form they are recorded in, and the forms
//! in which peers recorded theirs.
//!
//! Pure data: no clock, no thread, no file, no randomness. Everything above judges or pictures what stands here.

mod call;
pub mod edn;
mod event;
pub mod format;
mod history;
pub mod jepsen;
pub mod jepsen_log;
pub mod jsonl;
pub mod porcupine_kv;
mod value;

pub use call::{Call, CallKind, Outcome, Ret, Step};
pub use event::{Edge, Effect, Event, FaultEvent, Note, Process, Time, What};
pub use format::{Format, read_any};
pub use history::{Builder, Contradiction, FaultWindow, History, Operation, Position};
pub use jepsen::Keys;
pub use jsonl::{ReadError, Recorded};
pub use value::{Key, Value};
