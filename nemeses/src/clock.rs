//! Makes nodes' clocks wrong while their daemons run: a jump, a drift, a strobe to and fro, a leap second.
//!
//! Only the time of day, and only that of the nodes it strikes. Finds leases, timeouts and orders of events that trust the
//! time of day; cannot find what trusts the monotonic clock, which a machine whose clock is set keeps as well.

use std::time::Duration;

use schism_engine::clock::Skew;
use schism_engine::cluster::Change;
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{Entry, Setting, Settings, Takes, duration, value, whole};

pub(crate) const ENTRY: Entry = Entry {
    name: "clock",
    about: "makes clocks jump, drift, strobe or repeat a second, while their daemons run",
    settings: &[
        Setting {
            name: "kind",
            about: "jump to another time, the default; drift away; strobe to and fro; leap, a second twice",
            takes: Takes::Words(&["jump", "drift", "strobe", "leap"]),
        },
        Setting {
            name: "by",
            about: "how far to jump or strobe; 1h and 200ms by default",
            takes: Takes::Duration,
        },
        Setting {
            name: "ppb",
            about: "how fast to drift, in parts per billion; 100000000, a tenth, by default",
            takes: Takes::Whole(1, 900_000_000),
        },
        Setting {
            name: "flip",
            about: "how long a strobe stays on each side; 100ms by default, 1s at most",
            takes: Takes::Duration,
        },
        Setting {
            name: "way",
            about: "ahead, back, or either by chance, the default",
            takes: Takes::Words(&["ahead", "back", "either"]),
        },
        Setting {
            name: "who",
            about: "whose clocks; one node's by default",
            takes: Takes::Words(Who::WORDS),
        },
    ],
    nodes_min: |_| 1,
    make: |settings| Box::new(Clock::of(settings)),
};

/// A strobe that turned less often than this would be a jump.
const FLIP_MAX: Duration = Duration::from_secs(1);

struct Clock {
    who: Who,
    way: String,
    /// Ahead; turned round where it is to go back.
    skew: Skew,
}

impl Clock {
    fn of(settings: &Settings) -> Self {
        let by =
            |default: &str| i64::try_from(duration(settings, "by", default).as_nanos()).unwrap_or(i64::MAX);
        let skew = match value(settings, "kind", "jump") {
            "drift" => Skew::Drift(whole(settings, "ppb", 100_000_000).into()),
            "strobe" => {
                let flip = duration(settings, "flip", "100ms");
                Skew::Strobe(by("200ms"), flip.clamp(Duration::from_millis(1), FLIP_MAX))
            }
            "leap" => Skew::Leap,
            _ => Skew::Jump(by("1h")),
        };
        let who = Who::of(value(settings, "who", "one"));
        Clock { who, way: value(settings, "way", "either").into(), skew }
    }
}

impl Nemesis for Clock {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.who.draw(cluster, random);
        let back = match self.way.as_str() {
            "ahead" => false,
            "back" => true,
            _ => random.below(2) == 1,
        };
        let skew = if back { turned(self.skew) } else { self.skew };
        let detail = format!("{}: {}", names(&nodes), words(skew));
        let changes = nodes.iter().map(|&node| Change::Clock { node, skew }).collect();
        (!nodes.is_empty()).then_some(Fault { detail, nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.who.asks_who_leads()
    }
}

fn turned(skew: Skew) -> Skew {
    match skew {
        Skew::Jump(by) => Skew::Jump(-by),
        Skew::Drift(ppb) => Skew::Drift(-ppb),
        Skew::Strobe(by, every) => Skew::Strobe(-by, every),
        Skew::Leap => Skew::Leap,
    }
}

/// For people: `1h ahead`.
fn words(skew: Skew) -> String {
    let far = |by: i64| {
        let way = if by < 0 { "back" } else { "ahead" };
        format!("{:?} {way}", Duration::from_nanos(by.unsigned_abs()))
    };
    match skew {
        Skew::Jump(by) => format!("clock {}", far(by)),
        Skew::Drift(ppb) if ppb < 0 => format!("clock too slow by {} ppb", -ppb),
        Skew::Drift(ppb) => format!("clock too fast by {ppb} ppb"),
        Skew::Strobe(by, every) => format!("clock {} and right again every {every:?}", far(by)),
        Skew::Leap => "clock repeats a second".into(),
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;

    use super::*;

    fn chosen(settings: &[(&str, &str)]) -> Vec<(Change, String)> {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut clock = Clock::of(&settings);
        let mut random = Random::of(1, "clock");
        let view = View { nodes: 3, leader: Some(Node(1)) };
        let mut fault = || {
            let fault = clock.choose(&view, &mut random).expect("there are nodes");
            (fault.changes[0], fault.detail.split_once(": ").expect("who and what").1.to_owned())
        };
        (0..20).map(|_| fault()).collect()
    }

    #[test]
    fn settings_become_skews() {
        const HOUR: i64 = 3_600_000_000_000;
        let flip = Duration::from_millis(30);
        /// Settings, and what they make.
        type Case = (&'static [(&'static str, &'static str)], Skew, &'static str);
        let cases: &[Case] = &[
            (&[("way", "ahead")], Skew::Jump(HOUR), "clock 3600s ahead"),
            (&[("way", "back"), ("by", "5ms")], Skew::Jump(-5_000_000), "clock 5ms back"),
            (
                &[("kind", "drift"), ("way", "ahead")],
                Skew::Drift(100_000_000),
                "clock too fast by 100000000 ppb",
            ),
            (&[("kind", "drift"), ("ppb", "7"), ("way", "back")], Skew::Drift(-7), "clock too slow by 7 ppb"),
            (
                &[("kind", "strobe"), ("flip", "30ms"), ("way", "ahead")],
                Skew::Strobe(200_000_000, flip),
                "clock 200ms ahead and right again every 30ms",
            ),
            (&[("kind", "leap")], Skew::Leap, "clock repeats a second"),
        ];
        for (settings, skew, words) in cases {
            let settings = [*settings, &[("who", "leader")]].concat();
            for (change, told) in chosen(&settings) {
                assert_eq!(change, Change::Clock { node: Node(1), skew: *skew }, "{settings:?}");
                assert_eq!(told, *words);
            }
        }
    }

    #[test]
    fn either_way_is_by_chance() {
        let ahead = |(change, _): &(Change, String)| matches!(change, Change::Clock { skew: Skew::Jump(by), .. } if *by > 0);
        let count = chosen(&[]).iter().filter(|one| ahead(one)).count();
        assert!((1..20).contains(&count), "{count} of 20 ahead");
    }
}
