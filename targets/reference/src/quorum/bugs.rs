//! The planted bugs: each is one `if` at the place where the rule it breaks is written.

use std::collections::BTreeSet;

use super::settings::Mode;
use crate::protocol::{ACK_BEFORE_FSYNC, Bug};

/// Each with what it does wrong.
pub(super) const BUGS: &[Bug] = &[
    Bug { name: "writes-one", about: "a write is answered once a single home has it, whatever w asks for" },
    Bug { name: "reads-one", about: "a read answers with what the first home tells, whatever r asks for" },
    Bug {
        name: "stamps-by-wall-clock",
        about: "a write's stamp is its coordinator's time of day: what a slow clock stamps loses to older writes",
    },
    Bug {
        name: "repair-overwrites",
        about: "repair after a read tells all homes what the read saw, and they put it over whatever they hold, later \
                writes too",
    },
    Bug {
        name: "tombstones-forgotten",
        about: "a delete leaves no tombstone: a home that missed it tells the others the old value, and the key is back",
    },
    Bug {
        name: "hints-dropped",
        about: "who stands in for a home that is gone acknowledges, and keeps nothing: the write is never handed over",
    },
    Bug {
        name: "blind-anti-entropy",
        about: "the hashes that homes compare leave the stamps out: two values of a key look alike, and never converge",
    },
    ACK_BEFORE_FSYNC,
];

/// Why a bug does nothing in this mode, if it does not.
pub(super) fn idle(bug: &str, mode: &Mode) -> Option<String> {
    let needs = |is_so: bool, what: &str| (!is_so).then(|| format!("it needs {what}"));
    match bug {
        "writes-one" => needs(mode.w > 1, "w of 2 or more"),
        "reads-one" => needs(mode.r > 1, "r of 2 or more"),
        "stamps-by-wall-clock" => needs(!mode.wall_stamps, "stamps = asked"),
        "repair-overwrites" => needs(mode.read_repair, "read-repair = true"),
        "hints-dropped" => needs(mode.sloppy, "sloppy = true"),
        "blind-anti-entropy" => needs(mode.anti_entropy, "anti-entropy = true"),
        _ => None,
    }
}

/// Which bugs are planted.
#[derive(Clone, Debug, Default)]
pub(super) struct Bugs {
    pub writes_one: bool,
    pub reads_one: bool,
    pub wall_stamps: bool,
    pub repair_overwrites: bool,
    pub tombstones_forgotten: bool,
    pub hints_dropped: bool,
    pub blind_tree: bool,
}

impl Bugs {
    pub(super) fn new(names: &BTreeSet<String>) -> Self {
        let on = |name: &str| names.contains(name);
        Bugs {
            writes_one: on("writes-one"),
            reads_one: on("reads-one"),
            wall_stamps: on("stamps-by-wall-clock"),
            repair_overwrites: on("repair-overwrites"),
            tombstones_forgotten: on("tombstones-forgotten"),
            hints_dropped: on("hints-dropped"),
            blind_tree: on("blind-anti-entropy"),
        }
    }
}
