//! What a cluster is to the rest of the program: nodes that run a daemon each, links between endpoints, and the state in
//! which all of them are wanted.
//!
//! Faults are desired state, not commands: a nemesis changes what is desired, a backend applies the difference. Healing
//! is applying the default, so nothing has to be undone step by step and overlapping faults heal independently.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Reading, Skew};
use crate::disk::{self, Disk};
use crate::link::{Cut, Link, Share, Traffic, Wrong};
use crate::strain::{Strain, Strained, Strains};

/// A node of the cluster, by its position; people see `n1`, `n2`, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Node(pub usize);

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0 + 1)
    }
}

/// Where a link starts or ends. Clients are endpoints like nodes: the way from them to a node can be cut too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Endpoint {
    /// A node.
    Node(Node),
    /// The clients, all of them: each speaks to one node only, so cutting them from a node cuts that node's clients.
    Clients,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Node(node) => node.fmt(f),
            Endpoint::Clients => f.write_str("clients"),
        }
    }
}

/// A node as its daemon and its clients need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Which.
    pub node: Node,
    /// Its address in the cluster's own network. The same for the whole run.
    pub address: Ipv4Addr,
    /// Its data directory as the daemon sees it. Kept across restarts.
    pub data: PathBuf,
    /// Where clients reach those of its ports that they cannot reach at its own address.
    pub published: BTreeMap<u16, SocketAddr>,
}

impl NodeSpec {
    /// A node whose ports are all reached at its own address.
    pub fn new(node: Node, address: Ipv4Addr, data: impl Into<PathBuf>) -> Self {
        NodeSpec { node, address, data: data.into(), published: BTreeMap::new() }
    }

    /// Where clients reach this port of its.
    pub fn reach(&self, port: u16) -> SocketAddr {
        self.published.get(&port).copied().unwrap_or_else(|| (self.address, port).into())
    }
}

/// How a daemon is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The program file; `None` is our own.
    pub file: Option<PathBuf>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment; nothing is inherited but `PATH`.
    pub environment: Vec<(String, String)>,
}

/// Whether a node's daemon shall run. Ordered: of several faults on one node the worst stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Run {
    /// It runs.
    #[default]
    Up,
    /// It exists but gets no time.
    Paused,
    /// It does not exist: killed without warning. Its data directory stays.
    Down,
}

/// One direction of a link: whose packets, and to whom.
pub type Pair = (Endpoint, Endpoint);

/// One change of what is desired. A fault is a set of these; everything else about a fault is words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Something is wrong with the way from the one to the other.
    Link {
        /// Whose packets.
        from: Endpoint,
        /// To whom.
        to: Endpoint,
        /// What.
        wrong: Wrong,
    },
    /// A node's daemon is in this state.
    Run {
        /// Which node.
        node: Node,
        /// In which state.
        run: Run,
    },
    /// A node's processes get no more than this share of the time.
    Starve {
        /// Which node's.
        node: Node,
        /// What is left to them.
        left: Share,
    },
    /// A node's clock is wrong.
    Clock {
        /// Which node's.
        node: Node,
        /// How.
        skew: Skew,
    },
    /// A node's disk is wrong.
    Disk {
        /// Which node's.
        node: Node,
        /// How.
        wrong: disk::Wrong,
    },
    /// A node's processes are under strain.
    Strain {
        /// Which node's.
        node: Node,
        /// By what.
        strain: Strain,
    },
    /// A node is restarted when its turn comes: all that are, one after the other, in this order.
    Roll {
        /// Which node.
        node: Node,
    },
    /// A node is no member of the cluster: taken out by request to the others, its daemon ended. It comes back empty.
    Removed {
        /// Which node.
        node: Node,
    },
}

/// The state in which a whole cluster is wanted. The default is a healthy one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Ordered pairs with whose packets something is wrong, and what. Whoever is not named is well.
    pub links: BTreeMap<Pair, Link>,
    /// Nodes that are not simply up.
    pub runs: BTreeMap<Node, Run>,
    /// Nodes that get too little time, and what is left to them.
    pub starved: BTreeMap<Node, Share>,
    /// Nodes whose clocks are wrong, and how.
    pub clocks: BTreeMap<Node, Clock>,
    /// Nodes whose processes are under strain, and by what.
    pub strains: BTreeMap<Node, Strains>,
    /// Nodes whose disks are wrong, and how.
    pub disks: BTreeMap<Node, Disk>,
}

impl Desired {
    /// The join of all changes in force: of everything that is wrong with a link or a node, the worst.
    pub fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut desired = Desired::default();
        for change in changes {
            match *change {
                Change::Link { from, to, wrong } => desired.links.entry((from, to)).or_default().join(wrong),
                Change::Run { node, run } => {
                    let state = desired.runs.entry(node).or_default();
                    *state = run.max(*state);
                }
                Change::Starve { node, left } => {
                    let share = desired.starved.entry(node).or_insert(left);
                    *share = left.min(*share);
                }
                Change::Clock { node, skew } => desired.clocks.entry(node).or_default().join(skew),
                Change::Disk { node, wrong } => desired.disks.entry(node).or_default().join(wrong),
                Change::Strain { node, strain } => desired.strains.entry(node).or_default().join(strain),
                // Whose turn it is changes with time: whoever steps it says so.
                Change::Roll { .. } => {}
                Change::Removed { node } => drop(desired.runs.insert(node, Run::Down)),
            }
        }
        desired.runs.retain(|_, run| *run != Run::Up);
        desired
    }

    /// The pairs that are wholly cut, in this way.
    pub fn cut(&self, how: Cut) -> BTreeSet<Pair> {
        let cut = self.links.iter().filter(|(_, link)| link.cut == Some(how));
        cut.map(|(pair, _)| *pair).collect()
    }

    /// The state wanted of a node.
    pub fn run(&self, node: Node) -> Run {
        self.runs.get(&node).copied().unwrap_or_default()
    }

    /// The clock wanted of a node.
    pub fn clock(&self, node: Node) -> Clock {
        self.clocks.get(&node).copied().unwrap_or_default()
    }
}

/// What can be measured of a cluster from outside: the raw material of every fault's proof of effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Packets that were stopped, per ordered pair that is wholly cut now, since it was cut.
    pub dropped: BTreeMap<Pair, u64>,
    /// What else was done to packets, per ordered pair with which something was ever wrong, from the beginning on.
    pub traffic: BTreeMap<Pair, Traffic>,
    /// What was seen of each node's disk and done to it, in order of the nodes, where that is known.
    pub disks: Vec<disk::Work>,
    /// Each node's daemon, in order of the nodes; `None` where none runs.
    pub daemons: Vec<Option<Daemon>>,
}

/// A running daemon, as the kernel counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Its process id, unique over the run for each start.
    pub pid: u32,
    /// Processor time it has used.
    pub cpu: Duration,
    /// Whether the kernel says that it is stopped.
    pub stopped: bool,
    /// For how long it was kept from running because it was to starve, in all its lives.
    pub starved: Duration,
    /// Its own clock, if that was ever skewed and can be read.
    pub clock: Option<Reading>,
    /// What is seen of the strains that it is under.
    pub strained: Strained,
}

/// A daemon that ended although it was wanted up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Which node's.
    pub node: Node,
    /// How, for people: `exited with status 101`, `killed by signal 9`.
    pub how: String,
    /// Whether it was killed by SIGKILL, which nobody but the machine (out of memory) sends here.
    pub suspicious: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_faults_join_and_heal_alone() {
        let pair = (Endpoint::Clients, Endpoint::Node(Node(1)));
        let link = |wrong| Change::Link { from: pair.0, to: pair.1, wrong };
        let (cut, slow) = (link(Wrong::Cut(Cut::Drop)), link(Wrong::Rate(1000)));
        let pause = Change::Run { node: Node(0), run: Run::Paused };
        let kill = Change::Run { node: Node(0), run: Run::Down };
        let both = Desired::of([&cut, &pause, &kill]);
        assert_eq!((both.run(Node(0)), both.run(Node(1)), both.links.len()), (Run::Down, Run::Up, 1));
        let both = Desired::of([&cut, &slow]);
        assert_eq!((both.cut(Cut::Drop), both.cut(Cut::Reset)), ([pair].into(), [].into()));
        assert_eq!(both.links[&pair].rate, Some(1000));
        assert!(Desired::of([&slow]).cut(Cut::Drop).is_empty());
        assert_eq!(Desired::of([&cut, &pause]).run(Node(0)), Run::Paused);
        let (ahead, further) = (Skew::Jump(5), Skew::Jump(9));
        let skew = |skew| Change::Clock { node: Node(1), skew };
        let both = Desired::of([&skew(ahead), &skew(further), &pause]);
        assert_eq!((both.clock(Node(1)).jump_ns, both.clock(Node(0))), (9, Clock::default()));
        let slow =
            |seconds| Change::Disk { node: Node(1), wrong: disk::Wrong::Slow(Duration::from_secs(seconds)) };
        let both = Desired::of([&slow(2), &slow(1), &kill]);
        assert_eq!(both.disks[&Node(1)].slow, Duration::from_secs(2));
        assert_eq!((both.disks.len(), both.run(Node(1))), (1, Run::Up));
        let starve = |percent| Change::Starve { node: Node(0), left: Share::percent(percent) };
        let both = Desired::of([&starve(5), &starve(20)]);
        assert_eq!(both.starved, [(Node(0), Share::percent(5))].into());
        assert_eq!(Desired::of([]), Desired::default());
    }
}
