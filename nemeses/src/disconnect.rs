//! Ends live TCP connections of a node, again and again: both ends learn of it at once, and connect anew.
//!
//! What a firewall that restarts or a load balancer that forgets does. Unlike a partition nothing is kept from arriving for
//! long: it finds requests that are sent again and done twice, answers given on the wrong connection, sessions that end with
//! their connection, and clients that never come back.

use std::time::Duration;

use schism_engine::cluster::Change;
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::plan::duration_text;
use schism_engine::random::Random;
use schism_engine::strain::Strain;

use crate::who::{Who, names};
use crate::{Entry, Setting, Takes, duration, value};

pub(crate) const ENTRY: Entry = Entry {
    name: "disconnect",
    about: "ends all live TCP connections of nodes, again and again",
    settings: &[
        Setting { name: "who", about: "whose; one node's by default", takes: Takes::Words(Who::WORDS) },
        Setting { name: "again", about: "how often; every 500ms by default", takes: Takes::Duration },
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let who = Who::of(value(settings, "who", "one"));
        Box::new(Disconnect { who, again: duration(settings, "again", "500ms").max(LEAST) })
    },
};

/// No more often than that, or nothing is ever connected.
const LEAST: Duration = Duration::from_millis(10);

struct Disconnect {
    who: Who,
    again: Duration,
}

impl Nemesis for Disconnect {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.who.draw(cluster, random);
        let change = |&node| Change::Strain { node, strain: Strain::Disconnect(self.again) };
        let changes = nodes.iter().map(change).collect();
        let detail = format!("{}, again every {}", names(&nodes), duration_text(self.again));
        (!nodes.is_empty()).then_some(Fault { detail, nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.who.asks_who_leads()
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;

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
