//! The sandbox: a cluster inside this machine, made by the harness itself out of the kernel's namespaces. No Docker, no
//! set-up, as root or as an ordinary user.
//!
//! Every node has its own network, mounts, processes, host name and shared memory; links go through the controller's own
//! network namespace, where they can be cut. All of it is held by processes, sockets and namespaces that the kernel takes
//! back when the controller ends, `kill -9` included, so there is nothing to undo and nothing to clean.
//!
//! A program that wants sandboxes does three things: hand over to [`agent_main`] when its first argument is
//! [`AGENT_COMMAND`], call [`enter`] before it starts a thread, and then [`Sandbox::create`].
//! What it cannot do: hold a hostile program.

use std::path::PathBuf;
use std::time::Duration;

use super::{Capture, ShapedBy, SkewedBy};
use crate::link::Wrong;

// What its files ask of the kernel, under short names.
#[cfg(target_os = "linux")]
use super::kernel::{
    boot, clock, connections, cuts, disk, execs, filter, matrix, netlink, processes, starving, straining,
    switch, system,
};

#[cfg(target_os = "linux")]
mod agent;
#[cfg(target_os = "linux")]
mod cluster;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
pub(super) mod enter;
#[cfg(target_os = "linux")]
pub(super) mod links;
#[cfg(target_os = "linux")]
mod node;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
pub(super) mod probe;
#[cfg(target_os = "linux")]
mod protocol;
#[cfg(target_os = "linux")]
mod remedy;
#[cfg(target_os = "linux")]
mod rung;
#[cfg(not(target_os = "linux"))]
mod stub;
#[cfg(target_os = "linux")]
mod warden;

#[cfg(target_os = "linux")]
pub use agent::main as agent_main;
#[cfg(target_os = "linux")]
pub use cluster::Sandbox;
#[cfg(target_os = "linux")]
pub use enter::{Fabric, enter};
#[cfg(target_os = "linux")]
pub use probe::probe;
#[cfg(not(target_os = "linux"))]
pub use stub::{Fabric, Sandbox, agent_main, enter, probe};

/// The argument that makes our binary a node agent: the command line hands over to [`agent_main`] when it sees it first.
pub const AGENT_COMMAND: &str = "sandbox-agent";

/// Behind [`AGENT_COMMAND`]: say the time of day, and nothing else.
#[cfg(target_os = "linux")]
const TELL: &str = "time";

/// What a sandbox is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes, from 1 to 254.
    pub nodes: usize,
    /// The folder that gets `nodes/n1/data` and `nodes/n1/node.log`, and so on. Made if missing, never removed.
    pub folder: PathBuf,
    /// The run's id: part of the name of what is made in the kernel.
    pub run: String,
    /// Where the chance of links comes from: which packets are lost, and by how much they are late.
    pub seed: u64,
    /// By what links are shaped.
    pub shaped_by: ShapedBy,
    /// Whether and where packets are captured.
    pub capture: Option<Capture>,
    /// What is to be done to links besides cuts. What cannot be done is then told at once.
    pub shapes: Vec<Wrong>,
    /// What is to go wrong with disks. Only what that needs is watched: nodes pay for nothing else.
    pub disks: Vec<crate::disk::Wrong>,
    /// Whether clocks are to go wrong.
    pub skews: bool,
    /// By what clocks are skewed.
    pub skewed_by: SkewedBy,
    /// Whether TCP connections recover within about a second after a heal. Without it (as machines come), a connection
    /// may stay dead after a cut for as long as the cut was.
    pub fast_heal: bool,
}

/// How long the making of a sandbox took, step by step from the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// Until all namespaces were there and the nodes' first processes born.
    pub namespaces: Duration,
    /// Until all links were up and addresses set.
    pub links: Duration,
    /// Until every node was furnished and its agent ready for commands.
    pub ready: Duration,
}

/// One thing that a sandbox needs, or could use, and whether this machine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// What it is, in a few words.
    pub name: &'static str,
    /// Whether it was seen to work.
    pub works: bool,
    /// Whether there is no sandbox without it, for this user.
    pub needed: bool,
    /// By which mechanism, or why not.
    pub how: String,
    /// The exact next step where it does not work, or could work better.
    pub remedy: Option<String>,
}
