//! Leaves daemons no more memory than they have: whatever asks the system for more is refused (a limit on the address space).
//!
//! Finds allocations that nobody expects to fail, stores that die of them, and what they had acknowledged by then. It does not
//! slow anything down, as a machine that swaps would, and what a program has set aside already it may still use.

use schism_engine::cluster::Change;
use schism_engine::plan::size_text;
use schism_engine::strain::Strain;

use crate::{Entry, Setting, Takes, nodes, size};

pub(crate) const ENTRY: Entry = Entry {
    name: "memory",
    about: "leaves daemons no more memory than they have",
    settings: &[
        nodes::who("whose; one node's by default"),
        Setting {
            name: "room",
            about: "how much more they may get, such as 8MiB; nothing by default",
            takes: Takes::Size,
        },
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let room = size(settings, "room", "0B");
        let words = format!(": {} more memory", size_text(room));
        nodes::boxed(ENTRY.name, settings, words, move |node| Change::Strain {
            node,
            strain: Strain::Memory(room),
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
        let settings = [("who".into(), "leader".into()), ("room".into(), "8MiB".into())].into();
        let fault = (ENTRY.make)(&settings).choose(&view, &mut Random::of(1, "memory")).expect("a leader");
        assert_eq!(fault.changes, [Change::Strain { node: Node(1), strain: Strain::Memory(8 << 20) }]);
        assert_eq!(fault.detail, "n2: 8MiB more memory");
        let fault = (ENTRY.make)(&[].into()).choose(&view, &mut Random::of(1, "memory")).expect("a node");
        assert!(matches!(fault.changes[..], [Change::Strain { strain: Strain::Memory(0), .. }]));
    }
}
