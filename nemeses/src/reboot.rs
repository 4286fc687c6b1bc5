//! Takes nodes' power away: daemons are killed, what they had not fsynced is lost, and they are started again.
//!
//! Finds stores that answer for what is not on their disk: a missing or late fsync, a new file or a rename whose directory was
//! not fsynced; and stores that keep what a monotonic clock showed beyond a boot: it begins from zero, where the kernel has time
//! namespaces. What is durable is told in the engine's `disk.rs`. With `unsynced = torn` some of what was not fsynced is there all the
//! same, as on real disks: that finds stores that take half a write for a whole one. With `at` the node goes down in the
//! middle of its n-th fsync or rename since the fault began, and is up again at once; with `fsync = lies` none of the fsyncs until
//! then were done, which no store can bear alone: strike no more nodes than may forget everything.
//! Cannot find what only goes wrong when names change in an order that no call has asked for.

use schism_engine::cluster::{Change, Run};
use schism_engine::disk::{Call, Loss, Pattern, Strike, Wrong};
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{CHECKED, Entry, Setting, Takes, nodes, value, whole};

pub(crate) const ENTRY: Entry = Entry {
    name: "reboot",
    about: "kills daemons, loses what they had not fsynced, and restarts them",
    settings: &[
        nodes::who("whose power fails; one node's by default"),
        Setting {
            name: "unsynced",
            about: "what becomes of it: lost, all of it, the default; torn, some of it",
            takes: Takes::Words(&["lost", "torn"]),
        },
        Setting {
            name: "at",
            about: "go down in the middle of an fsync or a rename, and be up again at once; by default at any time, until the end",
            takes: Takes::Words(&["fsync", "rename"]),
        },
        Setting {
            name: "nth",
            about: "at which of these, counted from the beginning of the fault; 1 by default",
            takes: Takes::Whole(1, 1_000_000),
        },
        Setting {
            name: "files",
            about: "of which files, by name or by path below the data directory; * is anything, and the default",
            takes: Takes::Files,
        },
        Setting {
            name: "when",
            about: "before that is done, the default, or after: nobody is told of either",
            takes: Takes::Words(&["before", "after"]),
        },
        Setting {
            name: "fsync",
            about: "works, the default; lies: with `at`, is answered until then and not done",
            takes: Takes::Words(&["works", "lies"]),
        },
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let call = match value(settings, "at", "") {
            "fsync" => Some(Call::Sync),
            "rename" => Some(Call::Rename),
            _ => None,
        };
        let done = value(settings, "when", "before") == "after";
        let files = Pattern::of(value(settings, "files", "*")).expect(CHECKED);
        Box::new(Reboot {
            who: Who::of(value(settings, "who", "one")),
            tears: value(settings, "unsynced", "lost") == "torn",
            strike: call.map(|call| Strike { call, nth: whole(settings, "nth", 1), done, files }),
            lies: value(settings, "fsync", "works") == "lies",
        })
    },
};

struct Reboot {
    who: Who,
    tears: bool,
    strike: Option<Strike>,
    lies: bool,
}

impl Nemesis for Reboot {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.who.draw(cluster, random);
        let mut changes = Vec::new();
        for &node in &nodes {
            let loss = if self.tears { Loss::Torn(random.below(u64::MAX)) } else { Loss::All };
            changes.push(Change::Disk { node, wrong: Wrong::Lose(loss) });
            changes.push(match self.strike {
                None => Change::Run { node, run: Run::Down },
                Some(strike) => Change::Disk { node, wrong: Wrong::Strike(strike) },
            });
            if self.strike.is_some() && self.lies {
                changes.push(Change::Disk { node, wrong: Wrong::Lie });
            }
        }
        let what = if self.tears { ", unfsynced writes torn" } else { ", unfsynced writes lost" };
        let at = self.strike.map_or(String::new(), |strike| {
            let lies = if self.lies { ", which lies" } else { "" };
            format!(", {strike}{lies}")
        });
        let detail = format!("{}{what}{at}", names(&nodes));
        (!nodes.is_empty()).then_some(Fault { detail, nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.who.asks_who_leads()
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;

    use super::*;

    fn fault(settings: &[(&str, &str)]) -> Fault {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let view = View { nodes: 1, leader: None };
        (ENTRY.make)(&settings).choose(&view, &mut Random::of(1, "reboot")).expect("a node")
    }

    fn wrong(wrong: Wrong) -> Change {
        Change::Disk { node: Node(0), wrong }
    }

    #[test]
    fn until_the_end_or_in_the_middle_of_a_call() {
        let down = Change::Run { node: Node(0), run: Run::Down };
        let plain = fault(&[]);
        assert_eq!(plain.changes, [wrong(Wrong::Lose(Loss::All)), down]);
        assert_eq!(plain.detail, "n1, unfsynced writes lost");
        let torn = fault(&[("unsynced", "torn")]);
        assert!(matches!(torn.changes[0], Change::Disk { wrong: Wrong::Lose(Loss::Torn(_)), .. }));
        let strike = Strike { call: Call::Rename, nth: 3, done: true, files: Pattern::ALL };
        let struck = fault(&[("at", "rename"), ("nth", "3"), ("when", "after"), ("fsync", "lies")]);
        let wrongs = [Wrong::Lose(Loss::All), Wrong::Strike(strike), Wrong::Lie].map(wrong);
        assert_eq!(struck.changes, wrongs);
        assert_eq!(struck.detail, "n1, unfsynced writes lost, after rename 3, which lies");
        let of_logs = fault(&[("at", "fsync"), ("nth", "2"), ("files", "log-*")]);
        let files = Pattern::of("log-*").expect("a pattern");
        let strike = Strike { call: Call::Sync, nth: 2, done: false, files };
        assert_eq!(of_logs.changes[1], wrong(Wrong::Strike(strike)));
        assert_eq!(of_logs.detail, "n1, unfsynced writes lost, before fsync 2 of log-*");
    }
}
