//! Ends live TCP connections of a node, again and again: both ends learn of it at once, and connect anew.
//!
//! What a firewall that restarts or a load balancer that forgets does. Unlike a partition nothing is kept from arriving for
//! long: it finds requests that are sent again and done twice, answers given on the wrong connection, sessions that end with
//! their connection, and clients that never come back.

use std::time::Duration;

use schism_engine::cluster::Change;
use schism_engine::plan::duration_text;
use schism_engine::strain::Strain;

use crate::{Entry, Setting, Takes, duration, nodes};

pub(crate) const ENTRY: Entry = Entry {
    name: "disconnect",
    about: "ends all live TCP connections of nodes, again and again",
    settings: &[
        nodes::who("whose; one node's by default"),
        Setting { name: "again", about: "how often; every 500ms by default", takes: Takes::Duration },
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let again = duration(settings, "again", "500ms").max(LEAST);
        let words = format!(", again every {}", duration_text(again));
        let strain = Strain::Disconnect(again);
        nodes::boxed(ENTRY.name, settings, words, move |node| Change::Strain { node, strain })
    },
};

/// No more often than that, or nothing is ever connected.
const LEAST: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;
    use schism_engine::nemesis::View;
    use schism_engine::random::Random;

    use super::*;

    #[test]
    fn whose_and_how_often() {
        let view = View { nodes: 3, leader: Some(Node(1)) };
        let settings = [("who".into(), "leader".into()), ("again".into(), "1ms".into())].into();
        let fault =
            (ENTRY.make)(&settings).choose(&view, &mut Random::of(1, "disconnect")).expect("a leader");
        let strain = Strain::Disconnect(LEAST);
        assert_eq!(fault.changes, [Change::Strain { node: Node(1), strain }]);
        assert_eq!(fault.detail, "n2, again every 10ms");
    }
}
