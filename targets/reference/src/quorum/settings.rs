//! The numbers of homes, of acknowledgements and of answers, and the switches.

use std::time::Duration;

use crate::settings::{Allowed, Setting, Settings};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "n",
        about: "how many homes a key has; all nodes by default",
        allowed: Allowed::Whole(1, 99),
    },
    Setting {
        name: "w",
        about: "how many homes a write waits for; more than half of n by default",
        allowed: Allowed::Whole(1, 99),
    },
    Setting {
        name: "r",
        about: "how many homes a read, and a write for its stamp, waits for; more than half of n by default",
        allowed: Allowed::Whole(1, 99),
    },
    Setting {
        name: "write-back",
        about: "a read waits until w homes have what it answers; true by default",
        allowed: Allowed::Switch,
    },
    Setting {
        name: "read-repair",
        about: "homes that answered a read with something older are told; true by default",
        allowed: Allowed::Switch,
    },
    Setting {
        name: "anti-entropy",
        about: "homes compare what they hold, now and then; true by default",
        allowed: Allowed::Switch,
    },
    Setting {
        name: "sloppy",
        about: "others keep what is meant for homes that are gone, and count for w; needs n < nodes; false by default",
        allowed: Allowed::Switch,
    },
    Setting {
        name: "stamps",
        about: "a write takes a stamp later than those it asked r homes for (asked), or its coordinator's time of day \
                (wall); asked by default",
        allowed: Allowed::Words(&["asked", "wall"]),
    },
    Setting {
        name: "grace-ms",
        about: "milliseconds until a deleted key is forgotten altogether; a home that was away for longer brings it back; \
                0, never, by default",
        allowed: Allowed::Whole(0, 3_600_000),
    },
];

/// The settings, understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    pub n: usize,
    pub w: usize,
    pub r: usize,
    pub write_back: bool,
    pub read_repair: bool,
    pub anti_entropy: bool,
    pub sloppy: bool,
    pub wall_stamps: bool,
    /// Until a tombstone is forgotten; `None`: never.
    pub grace: Option<Duration>,
}

impl Mode {
    pub(super) fn of(settings: &Settings, nodes: usize) -> Mode {
        let n = settings.number("n", nodes as u64) as usize;
        let majority = (n / 2 + 1) as u64;
        let grace = settings.number("grace-ms", 0);
        Mode {
            n,
            w: settings.number("w", majority) as usize,
            r: settings.number("r", majority) as usize,
            write_back: settings.is_on("write-back", true),
            read_repair: settings.is_on("read-repair", true),
            anti_entropy: settings.is_on("anti-entropy", true),
            sloppy: settings.is_on("sloppy", false),
            wall_stamps: settings.word("stamps", "asked") == "wall",
            grace: (grace > 0).then(|| Duration::from_millis(grace)),
        }
    }
}

/// The rule that these settings break together.
pub(super) fn contradiction(settings: &Settings, nodes: usize) -> Option<String> {
    let Mode { n, w, r, sloppy, .. } = Mode::of(settings, nodes);
    if n > nodes {
        return Some(format!("n = {n} of {nodes} nodes: a key cannot have more homes than there are nodes"));
    }
    if let Some((name, value)) = [("w", w), ("r", r)].into_iter().find(|(_, value)| *value > n) {
        return Some(format!("{name} = {value} of n = {n}: no more than all homes can answer"));
    }
    (sloppy && n == nodes).then(|| {
        format!("sloppy with n = {n} of {nodes} nodes: nobody is left to keep what is meant for a home, set n lower")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_with_the_rule() {
        let rule = |pairs: &[(&str, &str)], nodes| contradiction(&Settings::of(pairs), nodes);
        assert_eq!(rule(&[], 5), None);
        assert_eq!(rule(&[("n", "3"), ("w", "1"), ("r", "3"), ("sloppy", "true")], 5), None);
        for (pairs, nodes, part) in [
            (&[("n", "4")][..], 3, "more homes than there are nodes"),
            (&[("r", "4"), ("n", "3")], 5, "r = 4 of n = 3"),
            (&[("w", "6")], 5, "w = 6 of n = 5"),
            (&[("sloppy", "true")], 5, "set n lower"),
        ] {
            let said = rule(pairs, nodes).unwrap_or_default();
            assert!(said.contains(part), "{pairs:?}: {said}");
        }
    }
}
