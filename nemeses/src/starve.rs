//! Leaves nodes too little processor time: all of a node's processes run for a fraction of each moment only.
//!
//! What a busy neighbour, a machine that swaps or a limit set too low do. Unlike a pause it goes on, slowly: heartbeats come late
//! and not never, timeouts are near. It cannot find what one slow thread among quick ones would show.

use schism_engine::cluster::Change;

use crate::{Entry, Setting, Takes, nodes, share};

pub(crate) const ENTRY: Entry = Entry {
    name: "starve",
    about: "leaves daemons a fraction of the time",
    settings: &[
        Setting { name: "left", about: "what is left to them; 10% by default", takes: Takes::Share },
        nodes::who("whom to starve; one by default"),
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let left = share(settings, "left", "10%");
        nodes::boxed(ENTRY.name, settings, format!(": {left} of the time left"), move |node| Change::Starve {
            node,
            left,
        })
    },
};

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;
    use schism_engine::link::Share;
    use schism_engine::nemesis::View;
    use schism_engine::random::Random;

    use super::*;

    #[test]
    fn whom_and_how_much() {
        let settings = [("who".into(), "leader".into()), ("left".into(), "5%".into())].into();
        let view = View { nodes: 3, leader: Some(Node(1)) };
        let fault = (ENTRY.make)(&settings).choose(&view, &mut Random::of(1, "starve")).expect("a leader");
        assert_eq!(fault.changes, [Change::Starve { node: Node(1), left: Share::percent(5) }]);
        assert_eq!(fault.detail, "n2: 5 % of the time left");
    }
}
