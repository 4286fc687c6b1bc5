//! Known bugs to see found: each is a plan whose expected verdict is invalid, or a simulation where a real cluster shows
//! the bug too rarely to wait for it.

use std::time::Duration;

use schism_reference::simulation::Habit;

/// A known bug and how it is found.
pub struct Demo {
    /// Its name, and the bug's.
    pub name: &'static str,
    /// The bundled family that is planted with it.
    pub family: &'static str,
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
        /// What the family is told.
        settings: &'static [(&'static str, &'static str)],
        /// What clients do.
        habit: Habit,
    },
}

impl Demo {
    /// What it shows, in a line.
    pub fn about(&self) -> &'static str {
        let bugs = schism_reference::named(self.family).map(|family| (family.bugs)()).unwrap_or_default();
        bugs.iter().find(|bug| bug.name == self.name).map(|bug| bug.about).unwrap_or_default()
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

/// The demo that finds a bug of a target.
pub fn finding(target: &str, bug: &str) -> Option<&'static Demo> {
    ALL.iter().find(|demo| demo.family == target && demo.name == bug)
}

/// A demo in simulation, of 12 simulated seconds a seed.
const fn simulated(family: &'static str, name: &'static str, mix: &'static str, why: &'static str) -> Demo {
    let (settings, habit, load) = (&[], Habit::Registers, Duration::from_secs(12));
    Demo { name, family, found: Found::Simulated { why, mix, seed: 0, load, settings, habit } }
}

macro_rules! real {
    ($family:literal, $name:literal) => {
        Demo {
            name: $name,
            family: $family,
            found: Found::Really {
                file: concat!("targets/demos/", $name, ".toml"),
                plan: include_str!(concat!("../../../targets/demos/", $name, ".toml")),
            },
        }
    };
}

/// Every demo, the plainest first.
pub const ALL: &[Demo] = &[
    real!("raft", "follower-reads"),
    real!("raft", "unconfirmed-leader-reads"),
    real!("raft", "lease-trusts-clock"),
    real!("raft", "ack-before-majority"),
    real!("raft", "ack-before-fsync"),
    real!("raft", "no-checksum"),
    real!("raft", "suffix-not-truncated"),
    real!("raft", "retry-applied-twice"),
    real!("raft", "backoff-kept"),
    Demo {
        name: "snapshot-drops-sessions",
        family: "raft",
        found: Found::Simulated {
            why: "a retry has to cross the restart of a node from a snapshot",
            mix: "retries",
            seed: 0,
            load: Duration::from_secs(12),
            settings: &[],
            habit: Habit::Registers,
        },
    },
    Demo {
        name: "vote-not-persisted",
        family: "raft",
        found: Found::Simulated {
            why: "a node has to crash and be back within the milliseconds of one election",
            mix: "crashing-voters",
            seed: 0,
            load: Duration::from_secs(12),
            settings: &[],
            habit: Habit::Registers,
        },
    },
    Demo {
        name: "commit-old-term",
        family: "raft",
        found: Found::Simulated {
            why: "three leaders have to crash in the one order of the paper's Figure 8",
            mix: "leader-crashes",
            seed: 0,
            load: Duration::from_secs(12),
            settings: &[],
            habit: Habit::Registers,
        },
    },
    Demo {
        name: "vote-ignores-log",
        family: "raft",
        found: Found::Simulated {
            why: "a node that missed entries has to win an election before it catches up",
            mix: "partitions",
            seed: 0,
            load: Duration::from_secs(12),
            settings: &[],
            habit: Habit::Registers,
        },
    },
    real!("primary", "ack-unreplicated"),
    simulated(
        "primary",
        "no-fencing",
        "partitions",
        "a leader that is thought dead has to ship before it hears of the next",
    ),
    simulated(
        "primary",
        "lease-unchecked",
        "clocks-and-pauses",
        "no plan for a real cluster has been tried yet",
    ),
    simulated(
        "primary",
        "lease-on-wall-clock",
        "clocks-and-pauses",
        "the leader's clock has to jump back while it is cut off",
    ),
    simulated(
        "primary",
        "votes-for-anyone",
        "partitions",
        "a node that missed writes has to win an election before it catches up",
    ),
    simulated(
        "primary",
        "dirty-reads",
        "partitions",
        "a client has to read a write in the moment before its leader is lost",
    ),
    real!("primary", "bound-unchecked"),
    real!("quorum", "reads-one"),
    real!("quorum", "tombstones-forgotten"),
    real!("quorum", "hints-dropped"),
    real!("quorum", "blind-anti-entropy"),
    simulated(
        "quorum",
        "writes-one",
        "crashing-voters",
        "a read has to overtake a write on its way to each of the homes it asks",
    ),
    simulated("quorum", "repair-overwrites", "partitions", "a repair has to arrive after a later write"),
    simulated(
        "quorum",
        "stamps-by-wall-clock",
        "clocks-and-pauses",
        "the clock of one coordinator has to jump",
    ),
    real!("multi", "skewed-stamps"),
    real!("multi", "siblings-dropped"),
    real!("multi", "deletes-forgotten"),
    real!("multi", "blind-branches"),
    real!("multi", "counts-twice"),
    real!("multi", "remove-wins"),
    real!("multi", "one-successor"),
    moving("dependencies-unchecked", "far", UNTRIED),
    moving("reads-not-recorded", "far", NOT_SEEN),
    moving("last-dependency-only", "far", NOT_SEEN),
    real!("causal", "context-dropped-on-move"),
    real!("causal", "gaps-skipped"),
    real!("causal", "stamps-not-advanced"),
    churning("moved-from-one", "partitions", UNTRIED),
    churning("epoch-unchecked", "partitions", NOT_SEEN),
    real!("sharded", "scan-ends-at-split"),
    real!("sharded", "failover-leaves-region"),
    churning(
        "configuration-overwritten",
        "everything",
        "two nodes have to propose within the same few milliseconds",
    ),
    churning(
        "retry-takes-new-stamp",
        "everything",
        "an epoch has to end while a write is on its way and others have seen it",
    ),
];

/// Tried, and not found in the first run.
const NOT_SEEN: &str = "the one plan tried for a real cluster did not show it";

/// Not tried.
const UNTRIED: &str = "no plan for a real cluster has been tried yet";

/// A demo of `causal` in simulation, with clients that move.
const fn moving(name: &'static str, mix: &'static str, why: &'static str) -> Demo {
    let (settings, habit, load) = (&[], Habit::Moves, Duration::from_secs(6));
    Demo { name, family: "causal", found: Found::Simulated { why, mix, seed: 0, load, settings, habit } }
}

/// A demo of `sharded` in simulation, while members leave and come back.
const fn churning(name: &'static str, mix: &'static str, why: &'static str) -> Demo {
    let (settings, load) = (&[("churn-ms", "600"), ("failover-ms", "500")], Duration::from_secs(12));
    let habit = Habit::Registers;
    Demo { name, family: "sharded", found: Found::Simulated { why, mix, seed: 0, load, settings, habit } }
}
