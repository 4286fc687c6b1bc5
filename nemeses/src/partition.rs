//! Cuts links: packets vanish on the way, in both directions or in one, at the same moment for all links concerned.
//!
//! Finds what happens when nodes cannot hear one another: two leaders, stale reads, lost acknowledgements. The shapes are
//! Jepsen's, with one-way and client links added. A store that only ever speaks to one leader may not care about some.

use schism_engine::cluster::{Change, Endpoint, Node};
use schism_engine::link::{Cut, Flap, Wrong};
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{Entry, Setting, Settings, Takes, duration, value, whole};

/// The shapes, `any` last: it draws one of the others each time.
const SHAPES: &[&str] = &[
    "one",
    "halves",
    "majority",
    "ring",
    "bridge",
    "one-way-in",
    "one-way-out",
    "leader",
    "follower",
    "clients",
    "replies",
    "any",
];

pub(crate) const ENTRY: Entry = Entry {
    name: "partition",
    about: "cuts links between nodes, or between clients and nodes",
    settings: &[
        Setting {
            name: "shape",
            about: "which links; any by default, which draws another one each time. one: a node from the others; \
                halves; majority: from a minority; ring: each node sees a majority, no two the same; bridge: two halves \
                joined by one node; one-way-in, one-way-out: packets to or from one node; leader, follower: from the \
                others, clients still reach it; clients: from one node; replies: of one node to its clients",
            takes: Takes::Words(SHAPES),
        },
        Setting {
            name: "who",
            about: "who is the one node, or on the smaller side, or joins the halves; any by default",
            takes: Takes::Words(Who::SINGLE),
        },
        Setting {
            name: "by",
            about: "how: packets vanish (drop, the default), TCP connections are reset, senders are told that nobody is there \
                    (refuse), packets vanish for a while and pass for a while in turns (flapping), what is sent by TCP is \
                    acknowledged to its sender and never delivered (swallow), or all vanishes behind a byte that is yet to come, \
                    in the middle of a message (behind)",
            takes: Takes::Words(&["drop", "reset", "refuse", "flapping", "swallow", "behind"]),
        },
        Setting {
            name: "port",
            about: "only packets from or to this TCP or UDP port vanish, on the links concerned; all by default",
            takes: Takes::Whole(1, 65_535),
        },
        Setting {
            name: "byte",
            about: "behind which byte links are cut by=behind, counted in each direction from when the fault begins; 1000 by \
                    default",
            takes: Takes::Whole(1, 1 << 31),
        },
        Setting {
            name: "flap",
            about: "how long a flapping link is cut, and how long it is whole; 300ms by default",
            takes: Takes::Duration,
        },
    ],
    nodes_min: |settings| nodes_min(shape(settings)),
    make: |settings| {
        let who = Who::of(value(settings, "who", "one"));
        Box::new(Partition { shape: shape(settings).to_string(), who, wrong: wrong(settings) })
    },
};

fn shape(settings: &Settings) -> &str {
    value(settings, "shape", "any")
}

/// Below this many nodes a shape cuts nothing, or is another shape.
fn nodes_min(shape: &str) -> usize {
    match shape {
        "clients" | "replies" => 1,
        "ring" => 4,
        "bridge" => 3,
        _ => 2,
    }
}

/// How links are cut.
fn wrong(settings: &Settings) -> Wrong {
    let port = settings.get("port").and_then(|port| port.parse().ok());
    match value(settings, "by", "drop") {
        _ if port.is_some() => Wrong::CutPort(port.unwrap_or_default()),
        "reset" => Wrong::Cut(Cut::Reset),
        "refuse" => Wrong::Cut(Cut::Refuse),
        "swallow" => Wrong::Cut(Cut::Swallow),
        "behind" => Wrong::CutBehind(whole(settings, "byte", 1000)),
        "flapping" => {
            let flap = duration(settings, "flap", "300ms");
            Wrong::Flap(Flap { down: flap, up: flap })
        }
        _ => Wrong::Cut(Cut::Drop),
    }
}

struct Partition {
    shape: String,
    who: Who,
    wrong: Wrong,
}

impl Partition {
    /// A fault of this shape, cut in our way.
    fn cut(&self, shape: &str, cluster: &View, random: &mut Random) -> Option<Fault> {
        let mut fault = cut(shape, self.who, cluster, random)?;
        for change in &mut fault.changes {
            if let Change::Link { wrong, .. } = change {
                *wrong = self.wrong;
            }
        }
        fault.detail.push_str(&match self.wrong {
            Wrong::Cut(Cut::Reset) => ", by reset".into(),
            Wrong::Cut(Cut::Refuse) => ", refused".into(),
            Wrong::Cut(Cut::Swallow) => ", swallowed".into(),
            Wrong::Flap(_) => ", flapping".into(),
            Wrong::CutPort(port) => format!(", port {port}"),
            Wrong::CutBehind(byte) => format!(", behind byte {byte}"),
            _ => String::new(),
        });
        Some(fault)
    }
}

impl Nemesis for Partition {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        if self.shape != "any" {
            return self.cut(&self.shape, cluster, random);
        }
        let possible: Vec<&str> = SHAPES
            .iter()
            .copied()
            .filter(|shape| {
                // A follower from the others is one from the others.
                !matches!(*shape, "any" | "follower")
                    && cluster.nodes >= nodes_min(shape)
                    && (*shape != "leader" || cluster.leader.is_some())
            })
            .collect();
        let shape = possible[random.index(possible.len())];
        self.cut(shape, cluster, random)
    }

    fn aims_at_leader(&self) -> bool {
        matches!(self.shape.as_str(), "leader" | "follower" | "any") || self.who.asks_who_leads()
    }
}

/// A fault of one shape around one node; nothing if it takes a leader and none is known.
fn cut(shape: &str, who: Who, cluster: &View, random: &mut Random) -> Option<Fault> {
    let mut nodes = cluster.all();
    random.shuffle(&mut nodes);
    let around = match shape {
        "leader" => Who::Leader,
        "follower" => Who::Follower,
        _ => who,
    };
    if around.asks_who_leads() {
        // Every shape is built around the first ones.
        let one = *around.draw(cluster, random).first()?;
        nodes.retain(|node| *node != one);
        nodes.insert(0, one);
    }
    let total = nodes.len();
    Some(match shape {
        "halves" => split(&nodes[..total / 2], &nodes[total / 2..]),
        "majority" => {
            let minority = 1 + random.index(((total - 1) / 2).max(1));
            split(&nodes[..minority], &nodes[minority..])
        }
        "ring" => ring(&nodes),
        "bridge" => bridge(&nodes),
        "one-way-in" => one_way(&nodes, |one, other| (other, one), "nothing reaches"),
        "one-way-out" => one_way(&nodes, |one, other| (one, other), "nothing leaves"),
        "leader" | "follower" => {
            let mut fault = split(&nodes[..1], &nodes[1..]);
            fault.detail = format!("{shape} {}", fault.detail);
            fault
        }
        "clients" => clients(nodes[0], true),
        "replies" => clients(nodes[0], false),
        _ => split(&nodes[..1], &nodes[1..]),
    })
}

fn node(node: Node) -> Endpoint {
    Endpoint::Node(node)
}

/// One direction of one link.
fn cut_off(from: Endpoint, to: Endpoint) -> Change {
    Change::Link { from, to, wrong: Wrong::Cut(Cut::Drop) }
}

/// Both directions of one link.
fn both(one: Node, other: Node) -> [Change; 2] {
    let (one, other) = (node(one), node(other));
    [cut_off(one, other), cut_off(other, one)]
}

/// Two sides that cannot hear one another.
fn split(one: &[Node], other: &[Node]) -> Fault {
    let sorted = |side: &[Node]| {
        let mut side = side.to_vec();
        side.sort();
        side
    };
    let (one, other) = (sorted(one), sorted(other));
    let changes = one.iter().flat_map(|a| other.iter().flat_map(|b| both(*a, *b))).collect();
    Fault { detail: format!("{} | {}", names(&one), names(&other)), nodes: one, changes }
}

/// Each node hears its neighbours on both sides, as many as make a majority with itself; no two hear the same ones.
fn ring(nodes: &[Node]) -> Fault {
    let total = nodes.len();
    let reach = (total / 2 + 1).div_ceil(2).min((total - 2) / 2);
    let mut changes = Vec::new();
    for (at, one) in nodes.iter().enumerate() {
        for (beyond, other) in nodes.iter().enumerate().skip(at + 1) {
            let distance = (beyond - at).min(total - (beyond - at));
            if distance > reach {
                changes.extend(both(*one, *other));
            }
        }
    }
    Fault { detail: format!("ring {}", names(nodes)), nodes: nodes.to_vec(), changes }
}

/// Two halves that cannot hear one another, and one node that hears both.
fn bridge(nodes: &[Node]) -> Fault {
    let (bridge, rest) = (nodes[0], &nodes[1..]);
    let mut fault = split(&rest[..rest.len() / 2], &rest[rest.len() / 2..]);
    fault.detail = format!("{}, joined by {bridge}", fault.detail);
    fault
}

/// One node and all others, in one direction only. Over TCP both sides stall, but one of them still carries out what it
/// hears.
fn one_way(
    nodes: &[Node],
    direct: impl Fn(Endpoint, Endpoint) -> (Endpoint, Endpoint),
    words: &str,
) -> Fault {
    let one = nodes[0];
    let changes = nodes[1..]
        .iter()
        .map(|other| {
            let (from, to) = direct(node(one), node(*other));
            cut_off(from, to)
        })
        .collect();
    Fault { detail: format!("{words} {one}"), nodes: vec![one], changes }
}

/// The clients of one node: cut off altogether, or only from its replies, so that what they ask still happens.
fn clients(one: Node, altogether: bool) -> Fault {
    let mut changes = vec![cut_off(node(one), Endpoint::Clients)];
    if altogether {
        changes.push(cut_off(Endpoint::Clients, node(one)));
    }
    let detail = if altogether { format!("clients | {one}") } else { format!("no replies from {one}") };
    Fault { detail, nodes: vec![one], changes }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn pairs(fault: &Fault) -> BTreeSet<(Endpoint, Endpoint)> {
        fault
            .changes
            .iter()
            .map(|change| match *change {
                Change::Link { from, to, wrong: Wrong::Cut(Cut::Drop) } => (from, to),
                other => panic!("a partition only cuts, and does not {other:?}"),
            })
            .collect()
    }

    fn symmetric(pairs: &BTreeSet<(Endpoint, Endpoint)>) -> bool {
        pairs.iter().all(|(from, to)| pairs.contains(&(*to, *from)))
    }

    /// For each shape, cluster size and many seeds: something is cut, nothing twice, and what is cut is what the name says.
    #[test]
    fn every_shape_on_every_size() {
        for shape in SHAPES.iter().filter(|shape| **shape != "any") {
            for nodes in nodes_min(shape)..=9 {
                for seed in 0..50 {
                    let view = View { nodes, leader: Some(Node(seed as usize % nodes)) };
                    let fault = cut(shape, Who::One, &view, &mut Random::of(seed, "shape")).unwrap();
                    let cut = pairs(&fault);
                    assert!(!cut.is_empty(), "{shape} of {nodes} cuts nothing");
                    assert_eq!(cut.len(), fault.changes.len(), "{shape} of {nodes} cuts a link twice");
                    let one_way = matches!(*shape, "one-way-in" | "one-way-out" | "replies");
                    assert_eq!(symmetric(&cut), !one_way, "{shape} of {nodes}");
                    let clients = cut.iter().any(|(from, to)| [*from, *to].contains(&Endpoint::Clients));
                    assert_eq!(clients, matches!(*shape, "clients" | "replies"));
                }
            }
        }
    }

    fn hears(cut: &BTreeSet<(Endpoint, Endpoint)>, nodes: usize, who: usize) -> BTreeSet<usize> {
        (0..nodes).filter(|other| !cut.contains(&(node(Node(*other)), node(Node(who))))).collect()
    }

    #[test]
    fn in_a_ring_each_hears_its_own_majority() {
        for nodes in [5, 7, 9] {
            let view = View { nodes, leader: None };
            let cut = pairs(&cut("ring", Who::One, &view, &mut Random::of(3, "ring")).unwrap());
            let heard: Vec<_> = (0..nodes).map(|who| hears(&cut, nodes, who)).collect();
            assert!(heard.iter().all(|heard| heard.len() > nodes / 2 && heard.len() < nodes), "{heard:?}");
            let different: BTreeSet<_> = heard.iter().collect();
            assert_eq!(different.len(), nodes);
        }
    }

    #[test]
    fn one_port_alone() {
        let settings = [("port", "7001"), ("shape", "one")].map(|(name, value)| (name.into(), value.into()));
        let view = View { nodes: 3, leader: None };
        let fault = (ENTRY.make)(&settings.into()).choose(&view, &mut Random::of(1, "port")).unwrap();
        assert!(fault.detail.ends_with(", port 7001"), "{fault:?}");
        let cut = |change: &Change| matches!(change, Change::Link { wrong: Wrong::CutPort(7001), .. });
        assert!(fault.changes.iter().all(cut));
        let shaped = crate::shapes(ENTRY.name, &[("port".into(), "7001".into())].into());
        assert_eq!(shaped, [Wrong::CutPort(7001)]);
    }

    /// The leader alone, on the smaller side, or between the halves; a follower never is the leader.
    #[test]
    fn shapes_are_built_around_whom_they_are_told() {
        let view = View { nodes: 5, leader: Some(Node(3)) };
        for seed in 0..100 {
            let cut = |shape, who| cut(shape, who, &view, &mut Random::of(seed, "who")).unwrap();
            for shape in ["one", "one-way-in", "one-way-out", "clients", "replies", "leader"] {
                assert_eq!(cut(shape, Who::Leader).nodes, [Node(3)], "{shape}");
                if shape != "leader" {
                    assert_ne!(cut(shape, Who::Follower).nodes, [Node(3)], "{shape}");
                }
            }
            assert_ne!(cut("follower", Who::One).nodes, [Node(3)]);
            for shape in ["halves", "majority"] {
                assert!(cut(shape, Who::Leader).nodes.contains(&Node(3)), "{shape}");
            }
            assert!(cut("bridge", Who::Leader).detail.ends_with("joined by n4"));
        }
    }

    #[test]
    fn the_bridge_hears_all() {
        let view = View { nodes: 5, leader: None };
        let cut = pairs(&cut("bridge", Who::One, &view, &mut Random::of(3, "bridge")).unwrap());
        let heard: Vec<usize> = (0..5).map(|who| hears(&cut, 5, who).len()).collect();
        assert_eq!(heard.iter().filter(|heard| **heard == 5).count(), 1);
        assert_eq!(heard.iter().filter(|heard| **heard == 3).count(), 4);
    }

    #[test]
    fn no_leader_no_leader_cut_but_any_other() {
        let view = View { nodes: 5, leader: None };
        assert_eq!(cut("leader", Who::One, &view, &mut Random::of(1, "x")), None);
        assert_eq!(cut("halves", Who::Leader, &view, &mut Random::of(1, "x")), None);
        let mut any = Partition { shape: "any".into(), who: Who::One, wrong: Wrong::Cut(Cut::Drop) };
        let mut random = Random::of(1, "any");
        assert!((0..100).all(|_| any.choose(&view, &mut random).is_some()));
    }

    #[test]
    fn links_are_cut_in_the_way_asked_for() {
        let ways = [
            ("drop", Wrong::Cut(Cut::Drop), ""),
            ("reset", Wrong::Cut(Cut::Reset), ", by reset"),
            ("refuse", Wrong::Cut(Cut::Refuse), ", refused"),
            ("swallow", Wrong::Cut(Cut::Swallow), ", swallowed"),
            ("behind", Wrong::CutBehind(1000), ", behind byte 1000"),
            (
                "flapping",
                Wrong::Flap(Flap { down: Duration::from_millis(50), up: Duration::from_millis(50) }),
                ", flapping",
            ),
        ];
        for (by, wanted, words) in ways {
            let settings = [("by", by), ("flap", "50ms")].map(|(name, value)| (name.into(), value.into()));
            let mut partition = (ENTRY.make)(&settings.into());
            let view = View { nodes: 5, leader: None };
            let fault = partition.choose(&view, &mut Random::of(1, "by")).unwrap();
            assert!(!fault.changes.is_empty() && fault.detail.ends_with(words), "{fault:?}");
            for change in fault.changes {
                assert!(matches!(change, Change::Link { wrong, .. } if wrong == wanted), "{change:?}");
            }
        }
    }
}
