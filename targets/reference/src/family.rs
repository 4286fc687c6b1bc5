//! The families there are, each as plain data and functions, so that who lists or starts them need not know their types.
//! To add one: a folder with its protocol, and a line in [`FAMILIES`].

use std::collections::BTreeSet;

use schism_history::CallKind;

use crate::causal::Causal;
use crate::multi::Multi;
use crate::primary::Primary;
use crate::protocol::{self, Bug, Protocol};
use crate::quorum::Quorum;
use crate::raft::Raft;
use crate::runtime::{self, Arguments, NodeError, arguments};
use crate::settings::{Setting, Settings};
use crate::sharded::Sharded;
use crate::simulation::{self, Options, Simulated};

/// A family of reference nodes: one replication pattern.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it is and what it claims, in a line.
    pub about: &'static str,
    /// The calls it understands.
    pub speaks: &'static [CallKind],
    /// What it can be told.
    pub settings: &'static [Setting],
    /// The rule that settings and planted bugs break together, for a cluster of so many nodes.
    pub contradiction: fn(&Settings, usize, &BTreeSet<String>) -> Option<String>,
    /// All bugs a real node can be planted with.
    pub bugs: fn() -> Vec<&'static Bug>,
    /// Runs a node until it is told to end.
    pub run: fn(Arguments) -> Result<(), NodeError>,
    /// Simulates a cluster.
    pub simulate: fn(&Options) -> Simulated,
}

/// Every family.
pub const FAMILIES: &[Family] = &[
    Family::of::<Raft>("raft", "the bundled Raft store: linearizable registers and sets over HTTP"),
    Family::of::<Primary>(
        "primary",
        "leader and followers, failover by lease: linearizable with sync replication and reads at the leader; async loses \
         acknowledged writes",
    ),
    Family::of::<Quorum>(
        "quorum",
        "no leader: n homes a key, a write waits for w and a read for r; atomic registers if w + r > n and reads write back",
    ),
    Family::of::<Multi>(
        "multi",
        "every node a leader: takes reads and writes by itself and ships them afterwards; all converge; concurrent writes are \
         lost (lww), kept for the next reader (siblings) or merged (counters, sets, maps, texts)",
    ),
    Family::of::<Causal>(
        "causal",
        "every node answers by itself, and no effect is seen without its cause: causal convergence, for sessions that move, too",
    ),
    Family::of::<Sharded>(
        "sharded",
        "keys spread over the nodes by a ring, ranges or regions, and moved while nodes come and go: each key linearizable",
    ),
];

/// The family of that name.
pub fn named(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.name == name)
}

impl Family {
    const fn of<P: Protocol>(name: &'static str, about: &'static str) -> Family {
        Family {
            name,
            about,
            speaks: P::SPEAKS,
            settings: P::SETTINGS,
            contradiction: protocol::contradiction::<P>,
            bugs: || arguments::bugs::<P>().collect(),
            run: runtime::run::<P>,
            simulate: simulation::run::<P>,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_that_would_do_nothing_is_refused_with_the_rule() {
        let rule = |family: &str, bug: &str, settings: &[(&str, &str)]| {
            let family = named(family).expect("a family of this name");
            assert!((family.bugs)().iter().any(|known| known.name == bug), "{bug}");
            (family.contradiction)(&Settings::of(settings), 5, &BTreeSet::from([bug.into()]))
        };
        for (family, bug, wrong, right, part) in [
            ("multi", "counts-twice", &[][..], &[("resolution", "merge")][..], "resolution = merge"),
            ("multi", "skewed-stamps", &[("stamps", "wall")], &[], "stamps other than wall"),
            ("multi", "siblings-dropped", &[], &[("resolution", "siblings")], "resolution = siblings"),
            ("quorum", "hints-dropped", &[], &[("n", "3"), ("sloppy", "true")], "sloppy = true"),
            ("quorum", "reads-one", &[("r", "1")], &[], "r of 2"),
            ("primary", "bound-unchecked", &[], &[("reads", "bounded")], "reads = bounded"),
            ("primary", "ack-unreplicated", &[("replication", "async")], &[], "replication = sync"),
            ("causal", "context-dropped-on-move", &[("sessions", "sticky")], &[], "sessions = moving"),
            ("sharded", "scan-ends-at-split", &[], &[("placement", "ranges")], "placement = ranges"),
        ] {
            let said = rule(family, bug, wrong).unwrap_or_default();
            assert!(said.contains(bug) && said.contains(part), "{family}, {bug}: {said}");
            assert_eq!(rule(family, bug, right), None, "{family}, {bug}");
        }
    }
}
