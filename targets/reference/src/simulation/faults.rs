//! What goes wrong, as data: a [`Mix`] says which faults, how often and how long; a seed makes a schedule of it.
//!
//! Every seed leaves some of its mix's kinds out, so that each kind is also seen without the others (swarm testing).

use std::fmt;

use super::queue::Micros;
use crate::protocol::NodeId;
use crate::random::Random;

/// A kind of fault, and whom it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Some nodes are cut off from the others.
    Split,
    /// The leader is cut off from all others.
    IsolateLeader,
    /// The leader and one other node are cut off from the rest.
    LeaderWithOne,
    /// One node can send but not receive, or the other way round.
    OneWay,
    /// Every node sees a majority, no two the same one.
    Ring,
    /// Many messages are lost, some come twice.
    Lossy,
    /// Messages take long and overtake one another.
    Slow,
    /// One node crashes, and starts again at the end.
    Crash,
    /// The leader crashes.
    CrashLeader,
    /// The leader crashes while it writes to its disk: some of it is written, nothing is sent.
    CrashLeaderWriting,
    /// Some nodes crash while they write to their disks.
    CrashWriting,
    /// Nodes crash right after they followed somebody into a new term, and are back at once.
    CrashVoters,
    /// Whoever becomes leader is soon struck down, or cut off with few others.
    StrikeNewLeaders,
    /// All nodes crash at once, as in a power cut.
    CrashAll,
    /// One node gets no time to run.
    Pause,
    /// The leader gets no time to run.
    PauseLeader,
    /// One node's time of day jumps.
    Jump,
    /// The leader's time of day jumps back, while it is cut off from all others.
    JumpLeaderBack,
    /// One node's clocks run too fast or too slow.
    Drift,
    /// One node's disk takes long.
    SlowDisk,
}

/// A mixture of faults that aims at something.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Its name.
    pub name: &'static str,
    /// What it aims at, in a sentence.
    pub about: &'static str,
    /// The kinds, each as often as it stands here.
    pub kinds: &'static [Kind],
    /// From the beginning of one fault to that of the next, in milliseconds: at least and at most.
    pub every_millis: (u64, u64),
    /// How long one lasts, in milliseconds: at least and at most.
    pub lasts_millis: (u64, u64),
    /// How long a message takes when nothing is wrong.
    pub delay_micros: (u64, u64),
    /// Messages lost when nothing else is wrong, in millionths.
    pub lost_ppm: u32,
    /// Messages that come twice.
    pub twice_ppm: u32,
}

use Kind::*;

/// Nothing but the usual little loss and delay.
const CALM: Mix = Mix {
    name: "calm",
    about: "nothing goes wrong but a few late, lost and doubled messages",
    kinds: &[],
    every_millis: (1_000, 1_000),
    lasts_millis: (0, 0),
    delay_micros: (200, 2_000),
    lost_ppm: 1_000,
    twice_ppm: 1_000,
};

/// All there are; the first is the usual one.
pub const MIXES: &[Mix] = &[
    Mix {
        name: "everything",
        about: "every kind of fault, several at once",
        kinds: &[
            Split,
            IsolateLeader,
            LeaderWithOne,
            OneWay,
            Ring,
            Lossy,
            Slow,
            Crash,
            CrashLeader,
            CrashLeaderWriting,
            CrashWriting,
            CrashVoters,
            StrikeNewLeaders,
            CrashAll,
            Pause,
            PauseLeader,
            Jump,
            JumpLeaderBack,
            Drift,
            SlowDisk,
        ],
        every_millis: (150, 1_200),
        lasts_millis: (50, 2_500),
        ..CALM
    },
    CALM,
    Mix {
        name: "partitions",
        about: "nodes, leaders above all, are cut off: a leader that does not know it answers stale reads",
        kinds: &[Split, IsolateLeader, IsolateLeader, LeaderWithOne, OneWay, Ring],
        every_millis: (500, 2_000),
        lasts_millis: (800, 2_500),
        ..CALM
    },
    Mix {
        name: "leader-crashes",
        about: "leaders crash with entries on few disks and come back to lead again: Figure 8 of the Raft paper",
        kinds: &[StrikeNewLeaders],
        every_millis: (500, 1_000),
        lasts_millis: (1_000, 2_500),
        delay_micros: (5_000, 60_000),
        ..CALM
    },
    Mix {
        name: "crashing-voters",
        about: "nodes crash right after they voted and are back before the election is over",
        kinds: &[CrashLeader, PauseLeader, CrashVoters, CrashVoters],
        every_millis: (300, 900),
        lasts_millis: (600, 2_000),
        delay_micros: (10_000, 200_000),
        ..CALM
    },
    Mix {
        name: "power-cuts",
        about: "all nodes crash at once: what was answered must be on disk",
        kinds: &[CrashAll, Crash, CrashWriting, SlowDisk],
        every_millis: (700, 2_000),
        lasts_millis: (50, 600),
        ..CALM
    },
    Mix {
        name: "clocks-and-pauses",
        about: "leaders are paused or cut off while their clocks jump: leases are not to be trusted",
        kinds: &[PauseLeader, PauseLeader, JumpLeaderBack, Jump, Drift],
        every_millis: (600, 1_800),
        lasts_millis: (600, 2_500),
        ..CALM
    },
    Mix {
        name: "retries",
        about: "requests and answers get lost, leaders change, nodes start from snapshots: everything is tried again",
        kinds: &[Lossy, Slow, IsolateLeader, CrashLeader, Crash, Pause],
        every_millis: (300, 1_200),
        lasts_millis: (300, 2_000),
        lost_ppm: 20_000,
        ..CALM
    },
    Mix {
        name: "far",
        about: "nodes far from one another: messages take their time, overtake one another, and some ways are closed",
        kinds: &[Split, OneWay, Ring, Ring, Ring, Lossy],
        every_millis: (500, 2_000),
        lasts_millis: (500, 2_500),
        delay_micros: (10_000, 150_000),
        lost_ppm: 10_000,
        ..CALM
    },
];

impl Mix {
    /// The mix of a name.
    pub fn named(name: &str) -> Option<&'static Mix> {
        MIXES.iter().find(|mix| mix.name == name)
    }
}

impl Default for &'static Mix {
    fn default() -> Self {
        &MIXES[0]
    }
}

/// What is wrong between two times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Partition { closed: Vec<(NodeId, NodeId)>, detail: String },
    Lossy { lost_ppm: u32, twice_ppm: u32 },
    Slow { micros: Micros },
    Crash { nodes: Vec<NodeId>, during_write: bool },
    CrashVoters,
    StrikeNewLeaders,
    Pause { node: NodeId },
    Jump { node: NodeId, by_millis: i64 },
    Drift { node: NodeId, ppm: i64 },
    SlowDisk { node: NodeId, micros: Micros },
}

/// When something of which kind begins and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub kind: Kind,
    pub begin: Micros,
    pub end: Micros,
}

/// Draws what happens before `end`; all is over by then.
pub(super) fn schedule(mix: &Mix, end: Micros, random: &mut Random) -> Vec<Planned> {
    let mut kinds: Vec<Kind> = mix.kinds.iter().copied().filter(|_| random.chance(700_000)).collect();
    if kinds.is_empty() {
        kinds = mix.kinds.to_vec();
    }
    let between = |random: &mut Random, (low, high): (u64, u64)| 1_000 * random.between(low, high);
    let mut planned = Vec::new();
    let mut begin = 1_000_000;
    while let Some(kind) = random.choose(&kinds).copied() {
        begin += between(random, mix.every_millis);
        if begin >= end {
            break;
        }
        let lasts = between(random, mix.lasts_millis);
        planned.push(Planned { kind, begin, end: (begin + lasts).min(end) });
    }
    planned
}

/// Makes a fault of a kind, now that it is known who leads.
pub(super) fn aim(kind: Kind, nodes: usize, leader: Option<NodeId>, random: &mut Random) -> Vec<Fault> {
    let mut order: Vec<NodeId> = (0..nodes).map(|node| NodeId(node as u8)).collect();
    random.shuffle(&mut order);
    let any = order[0];
    let leader = leader.unwrap_or(any);
    let some = |random: &mut Random| order[..random.between(1, nodes as u64 - 1) as usize].to_vec();
    let split = |side: &[NodeId]| split(side, &order);
    let crash = |nodes: Vec<NodeId>, during_write| Fault::Crash { nodes, during_write };
    match kind {
        Split => vec![split(&some(random))],
        IsolateLeader => vec![split(&[leader])],
        LeaderWithOne => {
            let friend = order.iter().copied().find(|node| *node != leader);
            vec![split(&[Some(leader), friend].into_iter().flatten().collect::<Vec<_>>())]
        }
        OneWay => vec![one_way(any, &order, random.chance(500_000))],
        Ring => vec![ring(&order)],
        Lossy => vec![Fault::Lossy {
            lost_ppm: random.between(50_000, 400_000) as u32,
            twice_ppm: random.between(0, 200_000) as u32,
        }],
        Slow => vec![Fault::Slow { micros: random.between(20_000, 400_000) }],
        Crash => vec![crash(vec![any], false)],
        CrashLeader => vec![crash(vec![leader], false)],
        CrashLeaderWriting => vec![crash(vec![leader], true)],
        CrashWriting => vec![crash(some(random), true)],
        CrashVoters => vec![Fault::CrashVoters],
        StrikeNewLeaders => vec![Fault::StrikeNewLeaders],
        CrashAll => vec![crash(order, false)],
        Pause => vec![Fault::Pause { node: any }],
        PauseLeader => vec![Fault::Pause { node: leader }],
        Jump => vec![Fault::Jump { node: any, by_millis: random.between(0, 20_000) as i64 - 10_000 }],
        JumpLeaderBack => {
            let by_millis = -(random.between(200, 5_000) as i64);
            vec![split(&[leader]), Fault::Jump { node: leader, by_millis }]
        }
        Drift => vec![Fault::Drift { node: any, ppm: random.between(0, 400_000) as i64 - 200_000 }],
        SlowDisk => vec![Fault::SlowDisk { node: any, micros: random.between(10_000, 300_000) }],
    }
}

/// Makes a fault for a node that has just become leader: it crashes, or keeps only a few nodes or none.
pub(super) fn strike(leader: NodeId, nodes: usize, random: &mut Random) -> Fault {
    let mut others: Vec<NodeId> =
        (0..nodes).map(|node| NodeId(node as u8)).filter(|node| *node != leader).collect();
    random.shuffle(&mut others);
    let friends = random.below(nodes as u64 / 2) as usize;
    match random.below(3) {
        0 => Fault::Crash { nodes: vec![leader], during_write: false },
        _ => split(&[&[leader], &others[..friends]].concat(), &[&[leader], &others[..]].concat()),
    }
}

fn names(nodes: &[NodeId]) -> String {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" ")
}

fn split(side: &[NodeId], all: &[NodeId]) -> Fault {
    let others: Vec<NodeId> = all.iter().copied().filter(|node| !side.contains(node)).collect();
    let pairs = side.iter().flat_map(|a| others.iter().map(move |b| (*a, *b)));
    let closed = pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect();
    Fault::Partition { closed, detail: format!("{} | {}", names(side), names(&others)) }
}

fn one_way(node: NodeId, all: &[NodeId], is_deaf: bool) -> Fault {
    let others = all.iter().copied().filter(|other| *other != node);
    let closed = others.map(|other| if is_deaf { (other, node) } else { (node, other) }).collect();
    let detail = if is_deaf { format!("{node} hears nobody") } else { format!("nobody hears {node}") };
    Fault::Partition { closed, detail }
}

/// In a circle, each node sees the nearest that make a majority with it.
fn ring(order: &[NodeId]) -> Fault {
    let count = order.len();
    let reach = count / 4 + usize::from(count % 4 > 1);
    let mut closed = Vec::new();
    for a in 0..count {
        for b in 0..count {
            let apart = a.abs_diff(b).min(count - a.abs_diff(b));
            if apart > reach {
                closed.push((order[a], order[b]));
            }
        }
    }
    let detail = order.iter().map(NodeId::to_string).collect::<Vec<_>>().join("–");
    Fault::Partition { closed, detail: format!("ring {detail}") }
}

impl Fault {
    /// What is broken, in a word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Fault::Partition { .. } => "partition",
            Fault::Lossy { .. } => "loss",
            Fault::Slow { .. } => "delay",
            Fault::Crash { .. } | Fault::CrashVoters => "crash",
            Fault::StrikeNewLeaders => "strike-leaders",
            Fault::Pause { .. } => "pause",
            Fault::Jump { .. } => "clock-jump",
            Fault::Drift { .. } => "clock-drift",
            Fault::SlowDisk { .. } => "slow-disk",
        }
    }

    /// Whom it strikes; all, if nobody in particular.
    pub(super) fn nodes(&self, all: usize) -> Vec<NodeId> {
        match self {
            Fault::Crash { nodes, .. } => nodes.clone(),
            Fault::Pause { node }
            | Fault::Jump { node, .. }
            | Fault::Drift { node, .. }
            | Fault::SlowDisk { node, .. } => vec![*node],
            _ => (0..all).map(|node| NodeId(node as u8)).collect(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Partition { detail, .. } => f.write_str(detail),
            Fault::Lossy { lost_ppm, twice_ppm } => {
                write!(f, "{} % lost, {} % twice", lost_ppm / 10_000, twice_ppm / 10_000)
            }
            Fault::Slow { micros } => write!(f, "messages take up to {} ms", micros / 1_000),
            Fault::Crash { nodes, during_write: false } => f.write_str(&names(nodes)),
            Fault::Crash { nodes, during_write: true } => write!(f, "{} during a write", names(nodes)),
            Fault::CrashVoters => f.write_str("any node that has just voted"),
            Fault::StrikeNewLeaders => f.write_str("each new leader crashes or is cut off"),
            Fault::Pause { node } => write!(f, "{node}"),
            Fault::Jump { node, by_millis } => write!(f, "{node} by {by_millis} ms"),
            Fault::Drift { node, ppm } => write!(f, "{node} by {} %", ppm / 10_000),
            Fault::SlowDisk { node, micros } => write!(f, "{node} takes {} ms", micros / 1_000),
        }
    }
}
