//! Why a node could not start or go on. Each is shown as one line, and the process exits.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use super::disk::DiskError;

/// Why a node stopped, other than being asked to.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The command line is wrong.
    #[error("{0}")]
    Arguments(String),
    /// An address cannot be listened on: taken, or not of this machine.
    #[error("cannot listen for {whom} on {address}: {source}")]
    Listen {
        /// For whom: `clients` or `nodes`.
        whom: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The data directory cannot be used, or a write to it failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The thread that owns the sockets could not start, or ended.
    #[error("the network thread {0}")]
    Network(String),
}

impl NodeError {
    /// Whether the one who typed the command line can mend it there.
    pub fn is_usage(&self) -> bool {
        matches!(self, NodeError::Arguments(_))
    }
}
