//! How concurrent writes are resolved, by which stamps, and how far the regions are apart.

use std::time::Duration;

use crate::settings::{Allowed, Setting, Settings};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "resolution",
        about: "of concurrent writes of a key the last wins (lww), all are kept for the next reader (siblings), \
                counters and sets take in all (merge); lww by default",
        allowed: Allowed::Words(&["lww", "siblings", "merge"]),
    },
    Setting {
        name: "stamps",
        about: "which write is the last: by the time of day, or just after all that the node has heard of if that is later \
                (hybrid); by a count alone (lamport); by the time of day alone (wall); hybrid by default, not with siblings",
        allowed: Allowed::Words(&["hybrid", "lamport", "wall"]),
    },
    Setting {
        name: "anti-entropy",
        about: "nodes compare what they hold, now and then; true by default",
        allowed: Allowed::Switch,
    },
    Setting {
        name: "regions",
        about: "how many regions the nodes are spread over, the first nodes in the first; 1 by default",
        allowed: Allowed::Whole(1, 9),
    },
    Setting {
        name: "region-delay-ms",
        about: "milliseconds that a node holds back what it sends to another region; 100 by default, only with regions",
        allowed: Allowed::Whole(1, 10_000),
    },
];

/// What is made of concurrent writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    Lww,
    Siblings,
    Merge,
}

/// Where stamps come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamps {
    Hybrid,
    Lamport,
    Wall,
}

/// The settings, understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    pub resolution: Resolution,
    pub stamps: Stamps,
    pub anti_entropy: bool,
    pub regions: usize,
    pub region_delay: Duration,
}

impl Mode {
    pub(super) fn of(settings: &Settings) -> Mode {
        Mode {
            resolution: match settings.word("resolution", "lww") {
                "siblings" => Resolution::Siblings,
                "merge" => Resolution::Merge,
                _ => Resolution::Lww,
            },
            stamps: match settings.word("stamps", "hybrid") {
                "lamport" => Stamps::Lamport,
                "wall" => Stamps::Wall,
                _ => Stamps::Hybrid,
            },
            anti_entropy: settings.is_on("anti-entropy", true),
            regions: settings.number("regions", 1) as usize,
            region_delay: Duration::from_millis(settings.number("region-delay-ms", 100)),
        }
    }

    /// The region of the node at a place among so many.
    pub(super) fn region(&self, place: usize, nodes: usize) -> usize {
        place * self.regions / nodes.max(1)
    }
}

/// The rule that these settings break together.
pub(super) fn contradiction(settings: &Settings, nodes: usize) -> Option<String> {
    let is_set = |name: &str| settings.iter().any(|(set, _)| set == name);
    let mode = Mode::of(settings);
    if mode.regions > nodes {
        return Some(format!("regions = {} of {nodes} nodes: a region would have no node", mode.regions));
    }
    if is_set("region-delay-ms") && mode.regions == 1 {
        return Some("region-delay-ms means something only with regions of 2 or more".into());
    }
    (is_set("stamps") && mode.resolution == Resolution::Siblings)
        .then(|| "stamps mean nothing with resolution = siblings: dots tell what a write had seen".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_with_the_rule() {
        let rule = |pairs: &[(&str, &str)], nodes| contradiction(&Settings::of(pairs), nodes);
        assert_eq!(rule(&[], 5), None);
        assert_eq!(rule(&[("regions", "3"), ("region-delay-ms", "50"), ("stamps", "wall")], 3), None);
        for (pairs, nodes, part) in [
            (&[("regions", "4")][..], 3, "a region would have no node"),
            (&[("region-delay-ms", "50")], 5, "only with regions"),
            (&[("regions", "1"), ("region-delay-ms", "50")], 5, "only with regions"),
            (&[("resolution", "siblings"), ("stamps", "wall")], 5, "dots tell"),
        ] {
            let said = rule(pairs, nodes).unwrap_or_default();
            assert!(said.contains(part), "{pairs:?}: {said}");
        }
    }

    #[test]
    fn every_region_has_nodes() {
        for nodes in 1..=9 {
            for regions in 1..=nodes {
                let mode = Mode { regions, ..Mode::of(&Settings::default()) };
                let mut of_nodes: Vec<usize> = (0..nodes).map(|place| mode.region(place, nodes)).collect();
                of_nodes.dedup();
                assert_eq!(of_nodes, (0..regions).collect::<Vec<_>>(), "{nodes} nodes");
            }
        }
    }
}
