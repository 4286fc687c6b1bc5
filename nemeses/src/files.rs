//! Leaves daemons no descriptor to open: no file, no connection, nobody accepted (a limit on open files).
//!
//! What a leak or a limit set too low does. Finds accept loops that end or spin, logs that cannot be rolled, and errors of `open`
//! that are taken for "is not there". Connections and files that are open go on as they were.

use schism_engine::cluster::Change;
use schism_engine::strain::Strain;

use crate::{Entry, Setting, Takes, nodes, whole};

pub(crate) const ENTRY: Entry = Entry {
    name: "files",
    about: "leaves daemons no descriptor to open: no file, no connection",
    settings: &[
        nodes::who("whose; one node's by default"),
        Setting {
            name: "room",
            about: "how many more they may open; none by default",
            takes: Takes::Whole(0, 1_000_000),
        },
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let room = u64::from(whole(settings, "room", 0));
        let words = format!(": {room} more descriptors");
        nodes::boxed(ENTRY.name, settings, words, move |node| Change::Strain {
            node,
            strain: Strain::Files(room),
        })
    },
};

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;
    use schism_engine::nemesis::View;
    use schism_engine::random::Random;

    use super::*;

    #[test]
    fn whose_and_how_much() {
        let view = View { nodes: 3, leader: Some(Node(1)) };
        let settings = [("who".into(), "leader".into()), ("room".into(), "3".into())].into();
        let fault = (ENTRY.make)(&settings).choose(&view, &mut Random::of(1, "files")).expect("a leader");
        assert_eq!(fault.changes, [Change::Strain { node: Node(1), strain: Strain::Files(3) }]);
        assert_eq!(fault.detail, "n2: 3 more descriptors");
        let fault = (ENTRY.make)(&[].into()).choose(&view, &mut Random::of(1, "files")).expect("a node");
        assert!(matches!(fault.changes[..], [Change::Strain { strain: Strain::Files(0), .. }]));
    }
}
