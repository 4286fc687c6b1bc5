//! The planted bugs: each is one `if` at the place where the rule it breaks is written.

use std::collections::BTreeSet;

use super::settings::{Mode, Place};
use crate::protocol::{ACK_BEFORE_FSYNC, Bug};

/// Each with what it does wrong.
pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "moved-from-one",
        about: "who takes keys over asks one of the nodes that held them, not a majority: what that one had missed is lost",
    },
    Bug {
        name: "epoch-unchecked",
        about: "a node goes on answering for keys that have moved to others, whatever epoch it is asked in",
    },
    Bug {
        name: "scan-ends-at-split",
        about: "a scan over a range that was split ends at the last boundary: what stands behind it is missed",
    },
    Bug {
        name: "configuration-overwritten",
        about: "a change of the configuration is written, not compared and set: two nodes that join at once make two \
                configurations of one epoch, and keys have two groups",
    },
    Bug {
        name: "retry-takes-new-stamp",
        about: "a write that goes on in a new epoch takes a new stamp: it is applied twice, the second time over later writes",
    },
    Bug {
        name: "failover-leaves-region",
        about: "who is missing in a region is replaced by nodes of other regions: keys leave where they must stay",
    },
    ACK_BEFORE_FSYNC,
];

/// Why a bug does nothing in this mode, if it does not.
pub(super) fn idle(bug: &str, mode: &Mode) -> Option<String> {
    let needs = |is_so: bool, what: &str| (!is_so).then(|| format!("it needs {what}"));
    match bug {
        "scan-ends-at-split" => needs(mode.place == Place::Ranges, "placement = ranges"),
        "failover-leaves-region" => needs(
            mode.place == Place::Regions && mode.failover.is_some(),
            "placement = regions, and a failover-ms",
        ),
        _ => None,
    }
}

/// Which bugs are planted.
#[derive(Clone, Debug, Default)]
pub(super) struct Bugs {
    pub moved_from_one: bool,
    pub epoch_unchecked: bool,
    pub scan_ends_at_split: bool,
    pub configuration_overwritten: bool,
    pub retry_takes_new_stamp: bool,
    pub leaves_region: bool,
}

impl Bugs {
    pub(super) fn new(names: &BTreeSet<String>) -> Self {
        let on = |name: &str| names.contains(name);
        Bugs {
            moved_from_one: on("moved-from-one"),
            epoch_unchecked: on("epoch-unchecked"),
            scan_ends_at_split: on("scan-ends-at-split"),
            configuration_overwritten: on("configuration-overwritten"),
            retry_takes_new_stamp: on("retry-takes-new-stamp"),
            leaves_region: on("failover-leaves-region"),
        }
    }
}
