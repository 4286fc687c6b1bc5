//! Disks that fail their stores while these run: calls that are refused, fsyncs that take long, or are answered and not done.
//!
//! Finds stores that go on after a failed fsync (what it was to keep is gone, and the next one succeeds all the same: Rebello et
//! al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020), that answer for what they could not write, or that lead
//! while their disk stands still. A store that ends itself, or refuses, is right. `fault = lies` shows only when the power fails
//! afterwards, by a `reboot` in the same plan. Cannot find what a store gets wrong by memory that is mapped: no call is made then.

use std::time::Duration;

use schism_engine::cluster::{Change, Node};
use schism_engine::disk::{Call, Error, Pattern, Refusal, Wrong};
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::plan::duration_text;
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{CHECKED, Entry, Setting, Settings, Takes, duration, nodes, value, whole};

pub(crate) const ENTRY: Entry = Entry {
    name: "disk",
    about: "makes disks fail, full, read-only, slow, or lie about fsyncs",
    settings: &[
        Setting {
            name: "fault",
            about: "fails (calls are refused with EIO), the default; full (ENOSPC); readonly (EROFS); slow (each fsync); lies",
            takes: Takes::Words(&["fails", "full", "readonly", "slow", "lies"]),
        },
        Setting {
            name: "lacks",
            about: "what a full one has no more of: space, the default; inodes: no new file, while those that are there grow on",
            takes: Takes::Words(&["space", "inodes"]),
        },
        Setting {
            name: "call",
            about: "which calls fail; fsync by default",
            takes: Takes::Words(&["fsync", "write", "open", "create", "rename", "remove"]),
        },
        Setting {
            name: "times",
            about: "how many of them fail, and none after that; all by default",
            takes: Takes::Whole(1, 1_000_000),
        },
        Setting {
            name: "delay",
            about: "how much longer a slow fsync takes; 200ms by default",
            takes: Takes::Duration,
        },
        Setting {
            name: "files",
            about: "which files, by name or by path below the data directory; * is anything, and the default",
            takes: Takes::Files,
        },
        nodes::who("whose disks; one node's by default"),
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let (wrongs, words) = wrongs(settings);
        Box::new(Disk { who: Who::of(value(settings, "who", "one")), wrongs, words })
    },
};

/// What is wrong, and how that is said.
fn wrongs(settings: &Settings) -> (Vec<Wrong>, String) {
    let files = Pattern::of(value(settings, "files", "*")).expect(CHECKED);
    let times = settings.contains_key("times").then(|| whole(settings, "times", 1));
    let of = if files == Pattern::ALL { String::new() } else { format!(" of {files}") };
    let for_which = if files == Pattern::ALL { String::new() } else { format!(" for {files}") };
    let refuse = |call, error| Wrong::Refuse(Refusal { call, files, error, times });
    match value(settings, "fault", "fails") {
        "slow" => {
            let by = duration(settings, "delay", "200ms").max(Duration::from_millis(1));
            (vec![Wrong::Slow(by)], format!("fsyncs take {} more", duration_text(by)))
        }
        "lies" => (vec![Wrong::Lie], "fsyncs are answered and not done".into()),
        // By what Linux's own file systems do without a free inode: names change and files grow as before.
        "full" if value(settings, "lacks", "space") == "inodes" => {
            (vec![refuse(Call::Create, Error::NoSpace)], format!("no inode left{for_which}"))
        }
        "full" => {
            let calls = [Call::Grow, Call::Create];
            (calls.map(|call| refuse(call, Error::NoSpace)).to_vec(), format!("full{of}"))
        }
        "readonly" => {
            let calls = [Call::Write, Call::Open, Call::Create, Call::Rename, Call::Remove];
            (calls.map(|call| refuse(call, Error::ReadOnly)).to_vec(), format!("read-only{of}"))
        }
        _ => {
            let word = value(settings, "call", "fsync");
            let call = match word {
                "write" => Call::Write,
                "open" => Call::Open,
                "create" => Call::Create,
                "rename" => Call::Rename,
                "remove" => Call::Remove,
                _ => Call::Sync,
            };
            let how_often = times.map_or(String::new(), |times| format!(", {times} times"));
            (vec![refuse(call, Error::Io)], format!("each {word}{of} fails{how_often}"))
        }
    }
}

struct Disk {
    who: Who,
    wrongs: Vec<Wrong>,
    words: String,
}

impl Nemesis for Disk {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.who.draw(cluster, random);
        let each = |node: &Node| {
            let node = *node;
            self.wrongs.iter().map(move |wrong| Change::Disk { node, wrong: *wrong })
        };
        let changes = nodes.iter().flat_map(each).collect();
        let detail = format!("{}: {}", names(&nodes), self.words);
        (!nodes.is_empty()).then_some(Fault { detail, nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.who.asks_who_leads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_become_what_is_wrong() {
        let fault = |settings: &[(&str, &str)]| {
            let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let view = View { nodes: 1, leader: None };
            (ENTRY.make)(&settings).choose(&view, &mut Random::of(1, "disk")).expect("a node")
        };
        let refuse = |call, files: &str, error, times| {
            Wrong::Refuse(Refusal { call, files: Pattern::of(files).expect("short"), error, times })
        };
        /// Settings, what is wrong then, and how that is told.
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [Wrong], &'a str);
        let cases: &[Case] = &[
            (&[], &[refuse(Call::Sync, "*", Error::Io, None)], "n1: each fsync fails"),
            (
                &[("call", "rename"), ("times", "1"), ("files", "log-*")],
                &[refuse(Call::Rename, "log-*", Error::Io, Some(1))],
                "n1: each rename of log-* fails, 1 times",
            ),
            (
                &[("fault", "full")],
                &[
                    refuse(Call::Grow, "*", Error::NoSpace, None),
                    refuse(Call::Create, "*", Error::NoSpace, None),
                ],
                "n1: full",
            ),
            (
                &[("fault", "full"), ("lacks", "inodes"), ("files", "a*")],
                &[refuse(Call::Create, "a*", Error::NoSpace, None)],
                "n1: no inode left for a*",
            ),
            (
                &[("fault", "slow"), ("delay", "1s")],
                &[Wrong::Slow(Duration::from_secs(1))],
                "n1: fsyncs take 1s more",
            ),
            (&[("fault", "lies")], &[Wrong::Lie], "n1: fsyncs are answered and not done"),
        ];
        for (settings, wrongs, detail) in cases {
            let changes: Vec<Change> =
                wrongs.iter().map(|wrong| Change::Disk { node: Node(0), wrong: *wrong }).collect();
            let fault = fault(settings);
            assert_eq!((fault.changes, fault.detail.as_str()), (changes, *detail), "{settings:?}");
        }
        let read_only = fault(&[("fault", "readonly")]);
        assert!(read_only.changes.len() == 5 && read_only.detail == "n1: read-only", "{read_only:?}");
    }
}
