//! Where a cluster runs. A backend makes nodes and the links between them, and brings both into the desired state.

mod book;
pub mod docker;
#[cfg(target_os = "linux")]
mod kernel;
mod pcapng;
pub mod sandbox;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cluster::{Death, Desired, Node, NodeSpec, Observation, Program};

/// By what links are made late, lossy, slow and so on. It is forced in tests; a user takes the best there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShapedBy {
    /// By the packet queue; where the kernel has none by traffic control, if that can do all that is asked for; else by a switch.
    #[default]
    Best,
    /// By the kernel's packet queue (NFQUEUE) and our own shaper: everything.
    Queue,
    /// By the kernel's traffic control: delays and losses where it has netem, rates by tbf.
    Tc,
    /// By a switch of our own in user space, which cuts them, too: everything, where all links meet.
    Switch,
}

impl ShapedBy {
    /// Every way, by its word in plans.
    pub const ALL: [(&str, ShapedBy); 4] = [
        ("best", ShapedBy::Best),
        ("nfqueue", ShapedBy::Queue),
        ("tc", ShapedBy::Tc),
        ("switch", ShapedBy::Switch),
    ];
}

/// By what clocks are skewed. It is forced in tests; a user takes the best there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkewedBy {
    /// By patches, or by a library where processes cannot be patched.
    #[default]
    Best,
    /// By a patch of the vDSO of each process: any program, while it runs.
    Vdso,
    /// By a library that dynamic programs load when they are started.
    Library,
}

impl SkewedBy {
    /// Every way, by its word in plans.
    pub const ALL: [(&str, SkewedBy); 3] =
        [("best", SkewedBy::Best), ("vdso", SkewedBy::Vdso), ("library", SkewedBy::Library)];
}

/// That the packets of all links are to be written into a file.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The file (pcapng), which must not exist yet.
    pub file: PathBuf,
    /// The most bytes it may have.
    pub bytes: u64,
    /// What became of it, told when the cluster has ended.
    pub told: Arc<OnceLock<Captured>>,
}

/// What became of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// How many packets are in the file.
    pub packets: u64,
    /// How many are missing, as the file was full or they came too fast.
    pub missed: u64,
    /// Why it ended before the cluster did.
    pub failed: Option<String>,
}

/// A place where a cluster runs.
pub trait Backend: Send {
    /// Its name in plans.
    fn name(&self) -> &'static str;

    /// The nodes, in order.
    fn nodes(&self) -> &[NodeSpec];

    /// The way into the network from which clients reach the nodes.
    fn client_network(&self) -> Arc<dyn ClientNetwork>;

    /// Starts a node's daemon for the first time, and remembers how, for restarts.
    ///
    /// # Errors
    /// When the program cannot be started.
    fn start(&mut self, node: Node, program: Program) -> Result<(), BackendError>;

    /// Brings the cluster from whatever state it is in to the desired one. Safe to repeat. When it returns, the state
    /// holds: cuts drop, killed daemons are gone, paused ones stopped, others started again (not yet ready).
    ///
    /// # Errors
    /// When the system refuses; the state is then somewhere between.
    fn apply(&mut self, desired: &Desired) -> Result<(), BackendError>;

    /// Measures.
    ///
    /// # Errors
    /// When the system does not tell.
    fn observe(&mut self) -> Result<Observation, BackendError>;

    /// Does what is due by itself: what a fault in force does again and again and nobody else would. To be called several times
    /// a second.
    ///
    /// # Errors
    /// When the system refuses.
    fn tend(&mut self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Daemons that ended since the last call although they were wanted up.
    fn deaths(&mut self) -> Vec<Death>;

    /// Runs a command, in the node where it is a container and else in the clients' network, with the node's address in
    /// its environment as `NODE_ADDRESS`. The inner error is the command's own: it was not found, failed, or took longer
    /// than `limit`.
    ///
    /// # Errors
    /// When the system refuses.
    fn command(
        &mut self,
        node: Node,
        words: &[String],
        limit: Duration,
    ) -> Result<Result<(), String>, BackendError>;

    /// Where a node's output is collected.
    fn log(&self, node: Node) -> PathBuf;

    /// Ends every daemon and takes everything down that was made. Dropping does the same, without the errors.
    ///
    /// # Errors
    /// When something could not be taken down.
    fn stop(&mut self) -> Result<(), BackendError>;
}

/// The network from which clients reach the nodes.
pub trait ClientNetwork: Send + Sync {
    /// Moves the calling thread into it: sockets it opens from now on are there.
    ///
    /// # Errors
    /// When the system refuses.
    fn enter(&self) -> Result<(), BackendError>;
}

/// Why a cluster could not be made or brought into a state. Always the harness's trouble, never a finding.
#[derive(Debug, Error)]
pub enum BackendError {
    /// This machine cannot do it as it is.
    #[error("{problem}")]
    Unsupported {
        /// What is missing.
        problem: String,
        /// The exact next step for the user.
        remedy: String,
    },
    /// A system call failed.
    #[error("{action}: {source}")]
    System {
        /// What was being done.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A node did something wrong.
    #[error("{node}: {problem}")]
    Node {
        /// Which.
        node: Node,
        /// What.
        problem: String,
    },
}

impl BackendError {
    /// Wraps a system call's error with what was being done.
    pub fn system(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> BackendError {
        let action = action.into();
        move |source| BackendError::System { action, source }
    }
}
