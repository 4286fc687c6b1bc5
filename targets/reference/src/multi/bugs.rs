//! The planted bugs: each is one `if` at the place where the rule it breaks is written.

use std::collections::BTreeSet;

use super::settings::{Mode, Resolution, Stamps};
use crate::protocol::{ACK_BEFORE_FSYNC, Bug};

/// Each with what it does wrong.
pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "skewed-stamps",
        about: "with lww a write's stamp is its node's time of day alone: what a slow clock stamps loses to older writes \
                that its client had read",
    },
    Bug {
        name: "siblings-dropped",
        about: "with siblings, of concurrent writes of a key a node keeps one and forgets the others, which nobody has seen",
    },
    Bug {
        name: "deletes-forgotten",
        about: "a delete leaves nothing behind: a node that missed it tells the others the old value, and the key is back",
    },
    Bug {
        name: "blind-branches",
        about: "anti-entropy leaves half of the tree out: what was not shipped there before a crash never is",
    },
    Bug {
        name: "counts-twice",
        about: "with merge, counters that meet are added up: what a node is told twice counts twice",
    },
    Bug {
        name: "remove-wins",
        about: "with merge, an add of an element that is there leaves no mark of its own: a remove that had not seen it takes it away",
    },
    Bug {
        name: "one-successor",
        about: "with merge, of characters that are typed behind the same one a text keeps the latest alone, though others \
                were acknowledged",
    },
    ACK_BEFORE_FSYNC,
];

/// Why a bug does nothing in this mode, if it does not.
pub(super) fn idle(bug: &str, mode: &Mode) -> Option<String> {
    let needs = |is_so: bool, what: &str| (!is_so).then(|| format!("it needs {what}"));
    match bug {
        "skewed-stamps" => {
            let is_stamped = mode.resolution != Resolution::Siblings && mode.stamps != Stamps::Wall;
            needs(is_stamped, "resolution = lww or merge, and stamps other than wall")
        }
        "siblings-dropped" => needs(mode.resolution == Resolution::Siblings, "resolution = siblings"),
        "blind-branches" => needs(mode.anti_entropy, "anti-entropy = true"),
        "counts-twice" | "remove-wins" | "one-successor" => {
            needs(mode.resolution == Resolution::Merge, "resolution = merge")
        }
        _ => None,
    }
}

/// Which bugs are planted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bugs {
    pub skewed_stamps: bool,
    pub siblings_dropped: bool,
    pub deletes_forgotten: bool,
    pub blind_branches: bool,
    pub counts_twice: bool,
    pub remove_wins: bool,
    pub one_successor: bool,
}

impl Bugs {
    pub(super) fn new(names: &BTreeSet<String>) -> Self {
        let on = |name: &str| names.contains(name);
        Bugs {
            skewed_stamps: on("skewed-stamps"),
            siblings_dropped: on("siblings-dropped"),
            deletes_forgotten: on("deletes-forgotten"),
            blind_branches: on("blind-branches"),
            counts_twice: on("counts-twice"),
            remove_wins: on("remove-wins"),
            one_successor: on("one-successor"),
        }
    }
}
