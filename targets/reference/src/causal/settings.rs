//! What writes carry and for whom nodes wait.

use crate::settings::{Allowed, Setting, Settings};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "dependencies",
        about: "a write carries what its session had seen and is shown after that (tracked), or goes alone (none): then \
                nodes agree in the end and no more; tracked by default",
        allowed: Allowed::Words(&["tracked", "none"]),
    },
    Setting {
        name: "sessions",
        about: "a node that is behind what a session has seen elsewhere waits before it answers, and refuses after a while \
                (moving), or answers at once (sticky: for clients that stay); moving by default",
        allowed: Allowed::Words(&["moving", "sticky"]),
    },
];

/// The settings, understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    /// Writes carry their dependencies.
    pub is_tracked: bool,
    /// Nodes wait for what a session has seen.
    pub waits: bool,
}

impl Mode {
    pub(super) fn of(settings: &Settings) -> Mode {
        Mode {
            is_tracked: settings.word("dependencies", "tracked") == "tracked",
            waits: settings.word("sessions", "moving") == "moving",
        }
    }
}
