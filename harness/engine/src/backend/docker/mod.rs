//! Docker: a cluster of containers, over the Engine API, on this machine or another.
//!
//! A node is two containers. Its *sidecar*, made of our own running program, comes first: it has the node's address, is the
//! first process of the node's processes, and has the right to administer that one network and nothing else. The store's
//! own container joins the sidecar's network and processes. So a store's image needs nothing of ours, faults stay in force
//! and addresses stay the same while a store is killed and started again, and a whole node is killed or stopped by one
//! signal, as in the sandbox: from beside a store that is itself the first process, the kernel would not let it be stopped.
//!
//! The sidecar's standard input is its lifeline. When the controller ends, `kill -9` included, the engine closes it: the
//! sidecar ends every fault at once, and the node soon after. What then remains (stopped containers, volumes, the network)
//! carries labels by which [`clean()`] finds it.
//!
//! What it cannot do: skew clocks, break disks, or run images that insist on being the first process.

mod clean;
mod cluster;
mod engine;
mod images;
mod labels;
mod lifeline;
mod node;
mod own;
mod probe;
mod protocol;
#[cfg(target_os = "linux")]
mod sidecar;
mod subnet;

use std::path::PathBuf;

pub use clean::{Cleaned, Left, clean};
pub use cluster::Docker;
pub use engine::Engine;
pub use images::{Image, at_hand, build, built_tag, own, store, version};
pub use probe::probe;
#[cfg(target_os = "linux")]
pub use sidecar::main as sidecar_main;

/// The argument that makes our binary a sidecar: the command line hands over to `sidecar_main` when it sees it first.
pub const SIDECAR_COMMAND: &str = "docker-sidecar";

/// The data directory as a daemon sees it.
const DATA: &str = "/schism-data";

/// What a cluster is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes, from 1 to 99.
    pub nodes: usize,
    /// The folder that gets `nodes/n1/node.log`, and so on. Made if missing, never removed.
    pub folder: PathBuf,
    /// What every node runs.
    pub image: Image,
    /// What the sidecars run: our own program.
    pub own: Image,
    /// The ports of a node that clients speak to.
    pub client_ports: Vec<u16>,
    /// How clients reach the nodes.
    pub reach: Reach,
    /// The most memory a node may use, in bytes.
    pub memory_bytes: u64,
    /// The seed of chance for what happens to packets.
    pub seed: u64,
}

/// How clients reach the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// At the nodes' own addresses if the engine's network is one of this machine's, else at published ports.
    #[default]
    Found,
    /// At ports that the engine publishes, as with an engine on another machine.
    Published,
}
