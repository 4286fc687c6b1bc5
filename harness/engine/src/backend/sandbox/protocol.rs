//! What the controller and a node's agent say to one another: one JSON value a packet, over a socket pair.
//!
//! The socket pair keeps the boundaries of packets, so nothing has to be framed. It is also the agent's lifeline: when
//! the controller's end closes, for whatever reason, the agent ends, and with it everything in its node.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::backend::kernel::processes::Measured;
use crate::clock::{Clock, Reading};
use crate::disk::{Disk, Watch, Work};
use crate::link::Share;
use crate::strain::{Strained, Strains};

/// The longest packet: what a socket's default buffer holds, so arguments and environment are far below.
const LONGEST: usize = 192 * 1024;

/// The first thing an agent is told: what its node is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Furniture {
    /// Which node it is.
    pub(super) number: usize,
    /// The node's name, and its host name.
    pub(super) name: String,
    /// Its data directory on the host.
    pub(super) data: PathBuf,
    /// The file to which the daemon's output is appended, on the host.
    pub(super) log: PathBuf,
    /// Every endpoint's name and address.
    pub(super) hosts: Vec<(String, Ipv4Addr)>,
    /// What has to be heard of its calls on files.
    pub(super) watch: Watch,
    /// Whether clocks that count from the last boot can begin anew.
    pub(super) boots: bool,
    /// Whether programs load a library for their clocks.
    pub(super) library: bool,
}

/// What an agent is asked. Each gets one `Reply`, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Command {
    /// Start the daemon; none is running.
    Start { file: Option<PathBuf>, arguments: Vec<String>, environment: Vec<(String, String)> },
    /// Kill the daemon and all it has started, and wait until they are gone.
    Kill,
    /// Stop them all, and wait until the kernel says so.
    Pause,
    /// Let them go on.
    Resume,
    /// Leave them all no more than this share of the time, or all of it.
    Starve(Option<Share>),
    /// Put the daemon under this strain, or under none.
    Strain(Strains),
    /// Make everybody's clock this wrong, or right.
    Clock(Clock),
    /// Make the disk this wrong, or right.
    Disk(Disk),
    /// Say how the daemon is.
    Measure,
}

/// What an agent says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// The answer to the oldest command still open (to `Furniture` as well).
    Reply(Result<Reply, String>),
    /// The daemon ended by itself, not by a `Kill`.
    Exited(Exit),
}

/// What a command gave.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It is done.
    Done,
    /// How the daemon is, `None` where none runs, for how long it was starved, what its own clock shows, and what became of
    /// its disk, and what is seen of its strains.
    Measured(Option<Measured>, Duration, Option<Reading>, Box<Work>, Box<Strained>),
}

/// How a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// With its whole node: the agent itself is gone.
    Agent,
}

impl Exit {
    /// For people.
    pub(super) fn how(self) -> String {
        match self {
            Exit::Status(status) => format!("exited with status {status}"),
            Exit::Signal(signal) => format!("killed by signal {signal}"),
            Exit::Agent => "its node agent died, and the whole node with it".into(),
        }
    }
}

/// Sends one packet.
///
/// # Errors
/// When it is too long, or the other side is gone.
pub(super) fn send(socket: &OwnedFd, value: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(value)?;
    if bytes.len() > LONGEST {
        return Err(io::Error::other("arguments and environment are too long for one packet"));
    }
    loop {
        // SAFETY: the pointer and the length are those of a live vector.
        let sent =
            unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
        match io::Error::last_os_error() {
            _ if sent >= 0 => return Ok(()),
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}

/// Receives one packet; `None` when the other side is gone. With `wait: false`, fails with `WouldBlock` if none is there.
///
/// # Errors
/// When the socket's own time limit is over, or what came is no such value.
pub(super) fn receive<T: DeserializeOwned>(socket: &OwnedFd, wait: bool) -> io::Result<Option<T>> {
    let mut buffer = vec![0u8; LONGEST];
    let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
    loop {
        // SAFETY: the pointer and the length are those of a live vector.
        let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
        match io::Error::last_os_error() {
            _ if got == 0 => return Ok(None),
            _ if got > 0 => return Ok(Some(serde_json::from_slice(&buffer[..got as usize])?)),
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            error => return Err(error),
        }
    }
}
