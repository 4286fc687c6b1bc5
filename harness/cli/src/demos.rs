//! Known bugs to see found: each is a plan whose expected verdict is invalid, or a simulation where a real cluster shows
//! the bug too rarely to wait for it.

use std::time::Duration;

/// A known bug and how it is found.
pub struct Demo {
    /// Its name, and the bug's.
    pub name: &'static str,
    /// Where and by what it is found.
    pub found: Found,
}

/// How a demo finds its bug.
pub enum Found {
    /// On a real cluster, by this plan.
    Really {
        /// The plan's file name, and its text.
        file: &'static str,
        /// The plan.
        plan: &'static str,
    },
    /// In the simulation: a real cluster shows it too rarely.
    Simulated {
        /// Why too rarely.
        why: &'static str,
        /// Which mix of faults.
        mix: &'static str,
        /// The first seed; as many more are tried as it takes, up to a thousand.
        seed: u64,
        /// How long the simulated load lasts.
        load: Duration,
    },
}

impl Demo {
    /// What it shows, in a line.
    pub fn about(&self) -> &'static str {
        let bugs = schism_reference::runtime::arguments::bugs::<schism_reference::raft::Raft>();
        bugs.filter(|bug| bug.name == self.name).map(|bug| bug.about).next().unwrap_or_default()
    }

    /// A note if it does not run on a real cluster.
    pub fn where_it_runs(&self) -> &'static str {
        match self.found {
            Found::Really { .. } => "",
            Found::Simulated { .. } => " (simulated)",
        }
    }
}

/// The demo of that name.
pub fn named(name: &str) -> Option<&'static Demo> {
    ALL.iter().find(|demo| demo.name == name)
}

/// The demo that finds a bug.
pub fn finding(bug: &str) -> Option<&'static Demo> {
    named(bug)
}

macro_rules! real {
    ($name:literal) => {
        Demo {
            name: $name,
            found: Found::Really {
                file: concat!("targets/demos/", $name, ".toml"),
                plan: include_str!(concat!("../../../targets/demos/", $name, ".toml")),
            },
        }
    };
}

/// Every demo, the plainest first.
pub const ALL: &[Demo] = &[
    real!("follower-reads"),
    real!("unconfirmed-leader-reads"),
    real!("lease-trusts-clock"),
    real!("ack-before-majority"),
    real!("ack-before-fsync"),
    real!("suffix-not-truncated"),
    real!("retry-applied-twice"),
    Demo {
        name: "snapshot-drops-sessions",
        found: Found::Simulated {
            why: "a retry has to cross the restart of a node from a snapshot",
            mix: "retries",
            seed: 0,
            load: Duration::from_secs(12),
        },
    },
    Demo {
        name: "vote-not-persisted",
        found: Found::Simulated {
            why: "a node has to crash and be back within the milliseconds of one election",
            mix: "crashing-voters",
            seed: 0,
            load: Duration::from_secs(12),
        },
    },
    Demo {
        name: "commit-old-term",
        found: Found::Simulated {
            why: "three leaders have to crash in the one order of the paper's Figure 8",
            mix: "leader-crashes",
            seed: 0,
            load: Duration::from_secs(12),
        },
    },
    Demo {
        name: "vote-ignores-log",
        found: Found::Simulated {
            why: "a node that missed entries has to win an election before it catches up",
            mix: "partitions",
            seed: 0,
            load: Duration::from_secs(12),
        },
    },
];
