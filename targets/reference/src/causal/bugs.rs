//! The planted bugs: each is one `if` at the place where the rule it breaks is written.

use std::collections::BTreeSet;

use super::settings::Mode;
use crate::protocol::{ACK_BEFORE_FSYNC, Bug};

/// Each with what it does wrong.
pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "dependencies-unchecked",
        about: "a write of another node is shown when it arrives, whatever it depends on: replies before their messages",
    },
    Bug {
        name: "reads-not-recorded",
        about: "a session's context holds what it wrote, not what it read: its writes do not wait for what they answer",
    },
    Bug {
        name: "last-dependency-only",
        about: "a session's context holds the last thing it saw and nothing before: of two causes, one is forgotten",
    },
    Bug {
        name: "context-dropped-on-move",
        about: "a node that is behind what a session has seen elsewhere begins a new session for it instead of waiting",
    },
    Bug {
        name: "gaps-skipped",
        about: "a node's writes are shown as they arrive, out of order, and what comes late over a gap is taken for seen",
    },
    Bug {
        name: "stamps-not-advanced",
        about: "a node's clock counts its own writes and not what it shows: a write loses to what its session had read",
    },
    ACK_BEFORE_FSYNC,
];

/// Why a bug does nothing in this mode, if it does not.
pub(super) fn idle(bug: &str, mode: Mode) -> Option<String> {
    let needs = |is_so: bool, what: &str| (!is_so).then(|| format!("it needs {what}"));
    match bug {
        "dependencies-unchecked" => needs(mode.is_tracked, "dependencies = tracked"),
        "reads-not-recorded" | "last-dependency-only" => {
            needs(mode.is_tracked || mode.waits, "dependencies = tracked or sessions = moving")
        }
        "context-dropped-on-move" => needs(mode.waits, "sessions = moving"),
        _ => None,
    }
}

/// Which bugs are planted.
#[derive(Clone, Debug, Default)]
pub(super) struct Bugs {
    pub dependencies_unchecked: bool,
    pub reads_not_recorded: bool,
    pub last_dependency_only: bool,
    pub context_dropped: bool,
    pub gaps_skipped: bool,
    pub stamps_not_advanced: bool,
}

impl Bugs {
    pub(super) fn new(names: &BTreeSet<String>) -> Self {
        let on = |name: &str| names.contains(name);
        Bugs {
            dependencies_unchecked: on("dependencies-unchecked"),
            reads_not_recorded: on("reads-not-recorded"),
            last_dependency_only: on("last-dependency-only"),
            context_dropped: on("context-dropped-on-move"),
            gaps_skipped: on("gaps-skipped"),
            stamps_not_advanced: on("stamps-not-advanced"),
        }
    }
}
