//! Where keys live, how many copies there are, and when nodes come and go by themselves.

use std::time::Duration;

use crate::settings::{Allowed, Setting, Settings};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "placement",
        about: "where a key lives: on a ring by its hash (ring), by its range in the order of keys (ranges), or on the nodes \
                of its region alone (regions); ring by default",
        allowed: Allowed::Words(&["ring", "ranges", "regions"]),
    },
    Setting {
        name: "copies",
        about: "how many nodes hold a key, if so many are members; 3 by default",
        allowed: Allowed::Whole(1, 9),
    },
    Setting {
        name: "vnodes",
        about: "points of each node on the ring; 128 by default",
        allowed: Allowed::Whole(1, 1024),
    },
    Setting {
        name: "split-at",
        about: "a range that holds more than so many keys is split at the middle one; 32 by default",
        allowed: Allowed::Whole(2, 1_000_000),
    },
    Setting {
        name: "regions",
        about: "how many regions there are; node i is in region i modulo this, and a key in the one that its first \
                characters name (r1-, r2-, …), else its first character picks; 2 by default",
        allowed: Allowed::Whole(1, 9),
    },
    Setting {
        name: "churn-ms",
        about: "every so many milliseconds a member leaves, or the one that left comes back; 0, never, by default",
        allowed: Allowed::Whole(0, 3_600_000),
    },
    Setting {
        name: "failover-ms",
        about: "a member that was not heard of for so many milliseconds is taken out until it is back; 0: never; 2000 by \
                default",
        allowed: Allowed::Whole(0, 3_600_000),
    },
];

/// Where keys live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Ring,
    Ranges,
    Regions,
}

/// The settings, understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    pub place: Place,
    pub copies: usize,
    pub vnodes: u64,
    pub split_at: usize,
    pub regions: usize,
    pub churn: Option<Duration>,
    pub failover: Option<Duration>,
}

impl Mode {
    pub(super) fn of(settings: &Settings) -> Mode {
        let number = |name, default| settings.number(name, default);
        let time = |millis: u64| (millis > 0).then(|| Duration::from_millis(millis));
        Mode {
            place: match settings.word("placement", "ring") {
                "ranges" => Place::Ranges,
                "regions" => Place::Regions,
                _ => Place::Ring,
            },
            copies: number("copies", 3) as usize,
            vnodes: number("vnodes", 128),
            split_at: number("split-at", 32) as usize,
            regions: number("regions", 2) as usize,
            churn: time(number("churn-ms", 0)),
            failover: time(number("failover-ms", 2_000)),
        }
    }
}

/// The rule that these settings break together.
pub(super) fn contradiction(settings: &Settings, nodes: usize) -> Option<String> {
    let Mode { place, regions, .. } = Mode::of(settings);
    if place == Place::Regions && regions > nodes {
        return Some(format!(
            "regions = {regions} of {nodes} nodes: a region without nodes can hold nothing"
        ));
    }
    let given = |name| settings.iter().any(|(known, _)| known == name);
    if place != Place::Ranges && given("split-at") {
        return Some("split-at without placement = ranges: nothing else is split".into());
    }
    (place != Place::Regions && given("regions"))
        .then(|| "regions without placement = regions: nothing else knows of them".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_with_the_rule() {
        let rule = |pairs: &[(&str, &str)], nodes| contradiction(&Settings::of(pairs), nodes);
        assert_eq!(rule(&[], 5), None);
        assert_eq!(rule(&[("placement", "ranges"), ("split-at", "8")], 5), None);
        for (pairs, nodes, part) in [
            (&[("placement", "regions"), ("regions", "4")][..], 3, "a region without nodes"),
            (&[("split-at", "8")], 3, "nothing else is split"),
            (&[("regions", "2"), ("placement", "ranges")], 3, "nothing else knows"),
        ] {
            let said = rule(pairs, nodes).unwrap_or_default();
            assert!(said.contains(part), "{pairs:?}: {said}");
        }
    }
}
