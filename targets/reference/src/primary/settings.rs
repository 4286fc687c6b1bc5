//! The modes: how many disks a write waits for, who answers reads, how far behind a follower may be.

use std::time::Duration;

use crate::settings::{Allowed, Setting, Settings};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "replication",
        about: "a write waits for a majority (sync), for the leader and `acks` others (semi-sync), for the leader alone \
                (async); sync by default",
        allowed: Allowed::Words(&["sync", "semi-sync", "async"]),
    },
    Setting {
        name: "acks",
        about: "how many followers a write waits for; 1 by default, only with replication = semi-sync",
        allowed: Allowed::Whole(1, 98),
    },
    Setting {
        name: "reads",
        about: "who answers reads: the leader, any node whatever it knows, any node that is not too far behind (bounded); \
                leader by default",
        allowed: Allowed::Words(&["leader", "any", "bounded"]),
    },
    Setting {
        name: "bound-ms",
        about: "how many milliseconds a follower's answer may lie behind; 1000 by default, only with reads = bounded",
        allowed: Allowed::Whole(300, 60_000),
    },
    Setting {
        name: "too-far",
        about: "what a follower does that is too far behind: refuse, or forward to the leader; refuse by default, only with \
                reads = bounded",
        allowed: Allowed::Words(&["refuse", "forward"]),
    },
];

/// Who answers reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    Leader,
    Any,
    Bounded { bound: Duration, forwards: bool },
}

/// The settings, understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    /// On how many disks a write must be, the leader's included.
    pub disks: usize,
    pub reads: Reads,
}

impl Mode {
    pub(super) fn of(settings: &Settings, nodes: usize) -> Mode {
        let disks = match settings.word("replication", "sync") {
            "async" => 1,
            "semi-sync" => 1 + settings.number("acks", 1) as usize,
            _ => nodes / 2 + 1,
        };
        let reads = match settings.word("reads", "leader") {
            "any" => Reads::Any,
            "bounded" => Reads::Bounded {
                bound: Duration::from_millis(settings.number("bound-ms", 1_000)),
                forwards: settings.word("too-far", "refuse") == "forward",
            },
            _ => Reads::Leader,
        };
        Mode { disks, reads }
    }
}

/// The rule that these settings break together.
pub(super) fn contradiction(settings: &Settings, nodes: usize) -> Option<String> {
    let is_set = |name: &str| settings.iter().any(|(set, _)| set == name);
    let is_semi_sync = settings.word("replication", "sync") == "semi-sync";
    let acks = settings.number("acks", 1);
    if is_set("acks") && !is_semi_sync {
        return Some("acks means something only with replication = semi-sync".into());
    }
    if is_semi_sync && acks as usize >= nodes {
        return Some(format!(
            "acks = {acks} of {nodes} nodes: there are only {} followers",
            nodes.saturating_sub(1)
        ));
    }
    let is_bounded = settings.word("reads", "leader") == "bounded";
    ["bound-ms", "too-far"]
        .into_iter()
        .find(|name| is_set(name) && !is_bounded)
        .map(|name| format!("{name} means something only with reads = bounded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_with_the_rule() {
        let rule = |pairs: &[(&str, &str)], nodes| contradiction(&Settings::of(pairs), nodes);
        assert_eq!(rule(&[("replication", "semi-sync"), ("acks", "2")], 3), None);
        assert_eq!(rule(&[("reads", "bounded"), ("bound-ms", "500")], 3), None);
        for (pairs, nodes, part) in [
            (&[("acks", "1")][..], 3, "only with replication = semi-sync"),
            (&[("replication", "semi-sync"), ("acks", "3")], 3, "only 2 followers"),
            (&[("replication", "semi-sync")], 1, "only 0 followers"),
            (&[("bound-ms", "500")], 3, "only with reads = bounded"),
            (&[("reads", "any"), ("too-far", "refuse")], 3, "only with reads = bounded"),
        ] {
            let said = rule(pairs, nodes).unwrap_or_default();
            assert!(said.contains(part), "{pairs:?}: {said}");
        }
    }
}
