//! What the controller and a sidecar say to one another: one JSON value a line, over the sidecar's standard input and output.
//!
//! A stream attached through an engine keeps no boundaries of messages, and JSON on one line has none inside. The first line
//! is [`Setup`], all others are commands, and each gets one answer, in order. Between answers a sidecar tells of packets.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::Way;
use crate::backend::ShapedBy;
use crate::backend::book::Noted;
use crate::clock::{Clock, Reading};
use crate::cluster::Pair;
use crate::disk::{Disk, Watch, Work};
use crate::link::{Link, Share, Traffic, Wrong};
use crate::strain::{Strained, Strains};

/// What a node is, and who is who in its network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    /// The run's id.
    pub(super) run: String,
    /// The clients' address.
    pub(super) clients: Ipv4Addr,
    /// The nodes' addresses, in order.
    pub(super) nodes: Vec<Ipv4Addr>,
    /// Where only nodes are: address and mask.
    pub(super) nodes_only: (Ipv4Addr, Ipv4Addr),
    /// The seed of chance for what happens to packets.
    pub(super) seed: u64,
    /// How packets are chosen.
    pub(super) cuts: Way,
    /// How links are shaped.
    pub(super) shaped_by: ShapedBy,
    /// What is to be done to links besides cuts: then it is tried at once.
    pub(super) shapes: Vec<Wrong>,
    /// What has to be heard of its calls on files.
    pub(super) watch: Watch,
    /// Links of which it is to tell every packet, if any, and for how many bytes of them there is room.
    pub(super) noted: Option<(Vec<Pair>, u64)>,
}

/// What a sidecar is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Command {
    /// Make exactly these ordered pairs as bad as this; this node is a part of each. All others are well.
    Links(Vec<(Pair, Link)>),
    /// Kill all of the node's processes, and wait until they are gone.
    Kill,
    /// Stop them all, and wait until the kernel says so.
    Pause,
    /// Let them go on.
    Resume,
    /// Leave the node's processes no more than this share of the time, or all of it.
    Starve(Option<Share>),
    /// Put the node's processes under these strains, and no others; storms are the controller's.
    Strain(Strains),
    /// Make the clock of the node's processes this wrong, or right.
    Clock(Clock),
    /// Make the node's disk this wrong: its files are changed as soon as nobody runs.
    Disk(Disk),
    /// Say what was dropped and how the daemon is.
    Measure,
    /// Tell of all packets until now before you answer.
    Tell,
}

/// What a sidecar says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    /// The answer to the oldest command still open.
    Answer(Answer),
    /// Packets that it has seen.
    Packets(Packets),
}

/// Packets, and how many more there were for which there was no room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packets {
    pub(super) noted: Vec<Noted>,
    pub(super) missed: u64,
}

/// What a command gave; else why it failed, in words.
pub(super) type Answer = Result<Reply, String>;

/// What a command gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It is ready for commands; what works less well than it could, and by what links are cut and shaped.
    Ready { lacks: Vec<String>, mechanisms: Vec<String> },
    /// The kernel has no nftables for it, and it was to take the best there is: why.
    NoTable(String),
    /// It cannot do what was wanted here: what, and what would help.
    Cannot(String, String),
    /// It is done.
    Done,
    /// What it has measured.
    Measured(Box<Measured>),
}

/// What was done to packets, and how the daemon is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Packets stopped for each pair that is wholly cut now.
    pub(super) dropped: Vec<(Pair, u64)>,
    /// What else was done to packets, for each pair with which anything was ever wrong.
    pub(super) traffic: Vec<(Pair, Traffic)>,
    /// For how long the node was kept from running, in nanoseconds.
    pub(super) starved_ns: u64,
    /// What is seen of its strains.
    pub(super) strained: Strained,
    /// The daemon's own clock, if that was ever wrong and can be read.
    pub(super) clock: Option<Reading>,
    /// What was done to its files.
    pub(super) disk: Work,
    /// The daemon, if one runs.
    pub(super) daemon: Option<Daemon>,
}

/// A running daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Daemon {
    /// Its process id in the node, unique for each start.
    pub(super) pid: u32,
    /// Processor time that all of the node's processes have used, in nanoseconds.
    pub(super) cpu_ns: u64,
    /// Whether all of them are stopped.
    pub(super) stopped: bool,
}
