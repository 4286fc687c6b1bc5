//! Which links a fault strikes, and the nemesis that all faults of links have in common: whose links, in which direction,
//! towards whom. What is wrong with them is each one's own, in a file of its own.

use schism_engine::cluster::{Change, Endpoint, Node, Pair};
use schism_engine::link::Wrong;
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{Setting, Settings, Takes, value};

/// The settings of the aim, to be added to each one's own.
pub(crate) const WHO: Setting =
    Setting { name: "who", about: "whose links; one node's by default", takes: Takes::Words(Who::WORDS) };
pub(crate) const WAY: Setting = Setting {
    name: "way",
    about: "packets to those nodes (in), from them (out), or both, the default",
    takes: Takes::Words(&["in", "out", "both"]),
};
pub(crate) const ENDS: Setting = Setting {
    name: "ends",
    about: "links to other nodes, to the nodes alone that are not struck (rest: then those struck stand together, as if in \
            another place), to clients, or to all, the default",
    takes: Takes::Words(&["nodes", "rest", "clients", "all"]),
};

/// A node alone has no links to other nodes.
pub(crate) fn nodes_min(settings: &Settings) -> usize {
    if ["nodes", "rest"].contains(&value(settings, "ends", "all")) { 2 } else { 1 }
}

/// Does one thing to links.
pub(crate) struct Links {
    name: &'static str,
    who: Who,
    way: String,
    ends: String,
    wrong: Wrong,
    /// What is wrong, for people: `100 ms late`.
    words: String,
}

impl Links {
    pub(crate) fn boxed(
        name: &'static str,
        settings: &Settings,
        (wrong, words): (Wrong, String),
    ) -> Box<dyn Nemesis> {
        Box::new(Links {
            name,
            who: Who::of(value(settings, "who", "one")),
            way: value(settings, "way", "both").into(),
            ends: value(settings, "ends", "all").into(),
            wrong,
            words,
        })
    }

    fn pairs(&self, nodes: &[Node], all: &[Node]) -> Vec<Pair> {
        let others = all.iter().map(|node| Endpoint::Node(*node)).filter(|_| self.ends != "clients");
        let others = others
            .filter(|other| self.ends != "rest" || nodes.iter().all(|node| Endpoint::Node(*node) != *other));
        let clients = ["all", "clients"].contains(&self.ends.as_str()).then_some(Endpoint::Clients);
        let others: Vec<Endpoint> = others.chain(clients).collect();
        let mut pairs = Vec::new();
        for node in nodes.iter().map(|node| Endpoint::Node(*node)) {
            for other in others.iter().copied().filter(|other| *other != node) {
                pairs.extend((self.way != "out").then_some((other, node)));
                pairs.extend((self.way != "in").then_some((node, other)));
            }
        }
        pairs.sort();
        pairs.dedup();
        pairs
    }
}

impl Nemesis for Links {
    fn name(&self) -> &'static str {
        self.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.who.draw(cluster, random);
        let pairs = self.pairs(&nodes, &cluster.all());
        let change = |(from, to)| Change::Link { from, to, wrong: self.wrong };
        let preposition = match self.way.as_str() {
            "in" => "to",
            "out" => "from",
            _ => "to and from",
        };
        let detail = format!("{preposition} {}: {}", names(&nodes), self.words);
        (!pairs.is_empty()).then(|| Fault { detail, nodes, changes: pairs.into_iter().map(change).collect() })
    }

    fn aims_at_leader(&self) -> bool {
        self.who.asks_who_leads()
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::link::Duplicate;

    use super::*;

    fn struck(settings: &[(&str, &str)], nodes: usize) -> Option<Fault> {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let wrong = Wrong::Duplicate(Duplicate::ALL);
        let mut nemesis = Links::boxed("test", &settings, (wrong, "all twice".into()));
        nemesis.choose(&View { nodes, leader: Some(Node(1)) }, &mut Random::of(1, "links"))
    }

    #[test]
    fn the_aim_is_as_asked() {
        let count = |settings: &[(&str, &str)]| struck(settings, 5).expect("links").changes.len();
        assert_eq!(count(&[]), 10, "one node to and from four others and the clients");
        assert_eq!(count(&[("way", "in")]), 5);
        assert_eq!(count(&[("ends", "nodes"), ("way", "out")]), 4);
        assert_eq!(count(&[("ends", "clients")]), 2);
        assert_eq!(count(&[("who", "all"), ("ends", "nodes")]), 20, "every ordered pair once");
        assert_eq!(count(&[("who", "all")]), 30);
        assert_eq!(count(&[("who", "minority"), ("ends", "nodes")]), 14, "two, to one another too");
        assert_eq!(count(&[("who", "minority"), ("ends", "rest")]), 12, "two, to and from three");
        assert_eq!(struck(&[("ends", "nodes")], 1), None);
        let fault = struck(&[("who", "leader"), ("way", "out")], 3).expect("links");
        assert_eq!(fault.detail, "from n2: all twice");
        assert_eq!(fault.nodes, [Node(1)]);
        let from_leader = |change: &Change| matches!(change, Change::Link { from: Endpoint::Node(Node(1)), to, .. } if *to != Endpoint::Node(Node(1)));
        assert!(fault.changes.iter().all(from_leader));
    }
}
