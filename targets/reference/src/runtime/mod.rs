//! What gives a protocol the real world: a data directory ([`disk`]), TCP links to the other nodes ([`peers`]) and,
//! if it is asked for, UDP for what is short ([`datagrams`]), HTTP for
//! clients ([`http`]), and a clock. [`run`] is a whole node.
//!
//! ```text
//!   clients ── http ──┐                       ┌── disk (one fsync a turn)
//!                     ├─ bounded queue ─ turn ┤
//!   nodes ─── peers ──┘    (one thread)       └── then messages and responses leave
//! ```
//!
//! Two threads: one owns the protocol and the disk and never touches a socket, the other owns all sockets. A turn takes
//! whatever waits, so that many requests share one fsync; nothing leaves before that fsync has returned.

pub mod arguments;
pub mod datagrams;
pub mod disk;
pub mod error;
pub mod http;
pub mod logging;
pub mod node;
pub mod peers;

pub use arguments::Arguments;
pub use error::NodeError;
pub use node::{run, run_until};
