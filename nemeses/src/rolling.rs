//! Restarts one node after the other, each when the last one is ready again: a rolling restart.
//!
//! What operators do to every cluster, with all its clients connected. Finds leaders that are handed over badly, nodes that say
//! that they are ready before they are, and calls that are lost though never more than one node is away. Daemons end without
//! warning, and come up as the same version: it cannot find what a polite end, or the next version, would do.

use schism_engine::cluster::Change;
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::names;
use crate::{Entry, Setting, Takes, value};

pub(crate) const ENTRY: Entry = Entry {
    name: "rolling",
    about: "restarts all nodes one after the other, each when the last is ready again; as far as it gets in its time",
    settings: &[Setting {
        name: "order",
        about: "random, the default; number: from n1 on; leader: that one last, as operators do",
        takes: Takes::Words(&["random", "number", "leader"]),
    }],
    nodes_min: |_| 1,
    make: |settings| Box::new(Rolling { order: value(settings, "order", "random").into() }),
};

struct Rolling {
    order: String,
}

impl Nemesis for Rolling {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let mut nodes = cluster.all();
        if self.order != "number" {
            random.shuffle(&mut nodes);
        }
        if self.aims_at_leader() {
            nodes.sort_by_key(|node| Some(*node) == cluster.leader);
        }
        let changes = nodes.iter().map(|&node| Change::Roll { node }).collect();
        Some(Fault { detail: format!("{}, one after the other", names(&nodes)), nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.order == "leader"
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;

    use super::*;

    #[test]
    fn everybody_once_in_the_order_asked_for() {
        let view = View { nodes: 5, leader: Some(Node(1)) };
        for seed in 0..50 {
            let order = |order: &str| {
                let mut rolling = Rolling { order: order.into() };
                rolling.choose(&view, &mut Random::of(seed, "rolling")).expect("always").nodes
            };
            assert_eq!(order("number"), view.all());
            assert_eq!(order("leader").last(), Some(&Node(1)));
            for mut nodes in [order("random"), order("leader")] {
                nodes.sort();
                assert_eq!(nodes, view.all());
            }
        }
    }
}
