//! Takes a node out of the cluster's membership, ends its daemon, and later takes it in again, empty.
//!
//! What an operator does who replaces a broken machine. Finds members that still count though they are out, newcomers that
//! vote or answer before they have caught up, data that only the one who left had. One node at a time and never of fewer
//! than three, so that those who are left can always decide; cannot find what happens when a majority is replaced at once.

use schism_engine::cluster::Change;
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{Entry, Setting, Takes, value};

pub(crate) const ENTRY: Entry = Entry {
    name: "membership",
    about: "removes a member from the cluster, and adds it again without its data",
    settings: &[Setting {
        name: "who",
        about: "whom to remove: one, the leader or a follower; one by default",
        takes: Takes::Words(Who::SINGLE),
    }],
    nodes_min: |_| 3,
    make: |settings| Box::new(Membership(Who::of(value(settings, "who", "one")))),
};

struct Membership(Who);

impl Nemesis for Membership {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.0.draw(cluster, random);
        let changes = nodes.iter().map(|&node| Change::Removed { node }).collect();
        (!nodes.is_empty()).then(|| Fault { detail: names(&nodes), nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.0.asks_who_leads()
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;

    use super::*;

    #[test]
    fn one_member_at_a_time() {
        let view = View { nodes: 5, leader: Some(Node(3)) };
        let mut random = Random::of(1, "membership");
        for (who, nodes) in [(Who::One, None), (Who::Leader, Some(Node(3)))] {
            for _ in 0..50 {
                let fault = Membership(who).choose(&view, &mut random).unwrap();
                assert_eq!(fault.changes, [Change::Removed { node: fault.nodes[0] }]);
                assert!(nodes.is_none_or(|node| node == fault.nodes[0]));
            }
        }
        assert_eq!(Membership(Who::Leader).choose(&View { leader: None, ..view }, &mut random), None);
    }
}
