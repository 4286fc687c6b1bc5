//! The bundled reference nodes: protocols as state machines without I/O, the runtime that gives them sockets, a disk and
//! a clock, and the simulation that gives them faulty ones. One folder a family of protocols; [`FAMILIES`] lists them.

pub mod causal;
mod family;
mod keys;
pub mod multi;
pub mod primary;
pub mod protocol;
pub mod quorum;
pub mod raft;
pub mod random;
pub mod runtime;
pub mod settings;
pub mod sharded;
pub mod simulation;
mod tree;
pub mod turn;
pub mod version;

pub use family::{FAMILIES, Family, named};
