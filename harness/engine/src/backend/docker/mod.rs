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
//! Where a run breaks disks, our own program starts the store's, from a volume beside it, so that the sidecar hears of its calls.
//!
//! What it cannot do: give clocks that count from the last boot a new beginning, or run images that insist on being the first
//! process.

mod capture;
mod clean;
mod cluster;
mod containers;
mod engine;
mod exec;
#[cfg(target_os = "linux")]
mod hearing;
mod images;
mod labels;
#[cfg(target_os = "linux")]
mod launch;
mod lifeline;
mod links;
mod network;
mod node;
mod own;
mod probe;
mod protocol;
#[cfg(target_os = "linux")]
mod sidecar;
#[cfg(unix)]
mod ssh;
mod subnet;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Capture, ShapedBy};
use crate::disk::{self, Watch};
use crate::link::Wrong;

pub use clean::{Cleaned, Left, clean};
pub use cluster::Docker;
pub use engine::Engine;
pub use images::{Image, at_hand, build, built_tag, own, store, version};
#[cfg(target_os = "linux")]
pub use launch::main as launch_main;
pub use probe::probe;
#[cfg(target_os = "linux")]
pub use sidecar::main as sidecar_main;

/// The argument that makes our binary a sidecar: the command line hands over to `sidecar_main` when it sees it first.
pub const SIDECAR_COMMAND: &str = "docker-sidecar";

/// The argument that makes it the launcher of a store, which hands over to `launch_main`.
pub const LAUNCH_COMMAND: &str = "docker-launch";

/// What the launcher is told in place of what is to be heard of, to be a store that does nothing.
const IDLE: &str = "idle";

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
    /// What a node may use.
    pub limits: Limits,
    /// How sidecars choose packets.
    pub cuts: Way,
    /// By what sidecars shape links.
    pub shaped_by: ShapedBy,
    /// Where the packets of all links are written down, if they are.
    pub capture: Option<Capture>,
    /// What is to be done to links besides cuts. What cannot be done is then told at once.
    pub shapes: Vec<Wrong>,
    /// Whether sidecars may open raw sockets, as copies of packets need them.
    pub raw_sockets: bool,
    /// Whether a store's processes change to other users than that of its image, as root may.
    pub foreign_users: bool,
    /// Whether sidecars may look into and hold the node's processes, as clocks, limits and single threads need it.
    pub traces: bool,
    /// What is to be done to disks: only what it takes is heard of.
    pub disks: Vec<disk::Wrong>,
    /// The seed of chance for what happens to packets.
    pub seed: u64,
}

impl Options {
    /// What has to be heard of stores' calls.
    fn watch(&self) -> Watch {
        Watch::of(&self.disks)
    }
}

/// What a node may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Memory, in bytes. No swap.
    pub memory_bytes: u64,
    /// Processors, such as 1.5; all there are if not said.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: u32,
}

impl Default for Limits {
    /// 2 GiB, all processors, and so many processes that a store is no harm to the machine if it forks without end.
    fn default() -> Self {
        Limits { memory_bytes: 2 << 30, cpus: None, pids: 8192 }
    }
}

/// By what a sidecar chooses packets. It is forced in tests; a user takes the best there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// By nftables, or by `iptables-legacy` where the kernel has none.
    #[default]
    Best,
    /// By an nftables table, owned where the kernel knows that.
    Nftables,
    /// By the program `iptables-nft`.
    IptablesNft,
    /// By the program `iptables-legacy`, for which the sidecar gets the capability NET_RAW.
    IptablesLegacy,
}

impl Way {
    /// Every way, by its word in plans.
    pub const ALL: [(&str, Way); 4] = [
        ("best", Way::Best),
        ("nftables", Way::Nftables),
        ("iptables-nft", Way::IptablesNft),
        ("iptables-legacy", Way::IptablesLegacy),
    ];
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
