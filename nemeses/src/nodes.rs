//! The nemesis that faults of nodes have in common: it draws whom to strike, and does the same to each of them. What that is, is
//! each one's own, in a file of its own.

use schism_engine::cluster::{Change, Node};
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{Setting, Settings, Takes, value};

/// The setting of the aim, to be added to each one's own; `about` says whose or whom.
pub(crate) const fn who(about: &'static str) -> Setting {
    Setting { name: "who", about, takes: Takes::Words(Who::WORDS) }
}

/// Does one thing to nodes.
struct Nodes<C> {
    name: &'static str,
    who: Who,
    change: C,
    /// What is done, for people, after the names of the nodes: `: 8MiB more memory`.
    words: String,
}

/// A nemesis that makes this change to each node it strikes.
pub(crate) fn boxed(
    name: &'static str,
    settings: &Settings,
    words: String,
    change: impl Fn(Node) -> Change + Send + 'static,
) -> Box<dyn Nemesis> {
    Box::new(Nodes { name, who: Who::of(value(settings, "who", "one")), change, words })
}

impl<C: Fn(Node) -> Change + Send> Nemesis for Nodes<C> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.who.draw(cluster, random);
        let changes = nodes.iter().copied().map(&self.change).collect();
        let detail = format!("{}{}", names(&nodes), self.words);
        (!nodes.is_empty()).then_some(Fault { detail, nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.who.asks_who_leads()
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Run;

    use super::*;

    #[test]
    fn the_same_is_done_to_each_and_nobody_is_struck_without_a_leader() {
        let settings = [("who".into(), "all".into())].into();
        let mut nemesis =
            boxed("test", &settings, ", asleep".into(), |node| Change::Run { node, run: Run::Paused });
        let fault = nemesis.choose(&View { nodes: 2, leader: None }, &mut Random::of(1, "nodes"));
        let paused = |node| Change::Run { node: Node(node), run: Run::Paused };
        let (nodes, changes) = (vec![Node(0), Node(1)], vec![paused(0), paused(1)]);
        assert_eq!(fault, Some(Fault { detail: "n1 n2, asleep".into(), nodes, changes }));
        let settings = [("who".into(), "leader".into())].into();
        let mut nemesis =
            boxed("test", &settings, String::new(), |node| Change::Run { node, run: Run::Down });
        assert!(nemesis.aims_at_leader());
        assert_eq!(nemesis.choose(&View { nodes: 2, leader: None }, &mut Random::of(1, "nodes")), None);
    }
}
