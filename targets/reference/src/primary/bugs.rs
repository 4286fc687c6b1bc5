//! The planted bugs: each is one `if` at the place where the rule it breaks is written.

use std::collections::BTreeSet;

use super::settings::{Mode, Reads};
use crate::protocol::{ACK_BEFORE_FSYNC, Bug};

/// Each with what it does wrong.
pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "ack-unreplicated",
        about: "whatever the mode asks for, a write is answered once the leader has it: a failover loses it",
    },
    Bug {
        name: "no-fencing",
        about: "followers take entries of any leader, of earlier epochs too: one that was thought dead comes back and two \
                lead at once",
    },
    Bug {
        name: "lease-unchecked",
        about: "a leader answers without looking whether its lease still holds: cut off, it answers from the past",
    },
    Bug {
        name: "lease-on-wall-clock",
        about: "a leader measures its lease by the time of day: when that jumps back, the lease seems to hold for longer",
    },
    Bug {
        name: "votes-for-anyone",
        about: "a node votes for candidates that know less than it does: a failover loses what they have missed",
    },
    Bug {
        name: "dirty-reads",
        about: "a leader answers reads with writes that are not decided yet: they may be gone after a failover",
    },
    Bug {
        name: "bound-unchecked",
        about: "with bounded reads, followers do not look how far behind they are",
    },
    ACK_BEFORE_FSYNC,
];

/// Why a bug does nothing in this mode, if it does not.
pub(super) fn idle(bug: &str, mode: &Mode) -> Option<String> {
    let needs = |is_so: bool, what: &str| (!is_so).then(|| format!("it needs {what}"));
    match bug {
        "ack-unreplicated" => needs(mode.disks > 1, "replication = sync or semi-sync"),
        "dirty-reads" => needs(mode.reads != Reads::Any, "reads = leader or bounded"),
        "bound-unchecked" => needs(matches!(mode.reads, Reads::Bounded { .. }), "reads = bounded"),
        _ => None,
    }
}

/// Which bugs are planted.
#[derive(Clone, Debug, Default)]
pub(super) struct Bugs {
    pub ack_unreplicated: bool,
    pub no_fencing: bool,
    pub lease_unchecked: bool,
    pub lease_on_wall_clock: bool,
    pub votes_for_anyone: bool,
    pub dirty_reads: bool,
    pub bound_unchecked: bool,
}

impl Bugs {
    pub(super) fn new(names: &BTreeSet<String>) -> Self {
        let on = |name: &str| names.contains(name);
        Bugs {
            ack_unreplicated: on("ack-unreplicated"),
            no_fencing: on("no-fencing"),
            lease_unchecked: on("lease-unchecked"),
            lease_on_wall_clock: on("lease-on-wall-clock"),
            votes_for_anyone: on("votes-for-anyone"),
            dirty_reads: on("dirty-reads"),
            bound_unchecked: on("bound-unchecked"),
        }
    }
}
