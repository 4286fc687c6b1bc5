//! What goes wrong: one file a nemesis. To add one, copy `none.rs`, the nemesis that breaks nothing, and write it into
//! [`ALL`].

mod beside;
mod clock;
mod corrupt;
mod delay;
mod disconnect;
mod disk;
mod duplicate;
mod files;
mod footing;
mod kill;
mod links;
mod loss;
mod membership;
mod memory;
mod mtu;
mod nodes;
mod none;
mod partition;
mod pause;
mod rate;
mod reboot;
mod reorder;
mod rolling;
mod rot;
mod starve;
mod who;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schism_engine::cluster::{Change, Node};
use schism_engine::disk::Wrong as DiskWrong;
use schism_engine::link::{Cut, Share, Wrong};
use schism_engine::nemesis::{Nemesis, View};
use schism_engine::plan;
use schism_engine::random::Random;
use schism_engine::strain::Strain;

pub use beside::{BESIDE, Beside};
pub use footing::{FOOTINGS, Footing, undone_by};

/// What the command line and the plan need to know of a nemesis.
pub struct Entry {
    /// Its name in plans.
    pub name: &'static str,
    /// What it breaks, in a line.
    pub about: &'static str,
    /// What it can be told: `--nemesis NAME:SETTING=VALUE`.
    pub settings: &'static [Setting],
    /// How many nodes it needs for one of these values; most need one.
    pub nodes_min: fn(&Settings) -> usize,
    /// Makes it. Values are checked before.
    pub make: fn(&Settings) -> Box<dyn Nemesis>,
}

/// Something a nemesis can be told.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in plans.
    pub name: &'static str,
    /// What it changes, and its default, in a line.
    pub about: &'static str,
    /// What it may be set to.
    pub takes: Takes,
}

/// What a setting may be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// One of these words.
    Words(&'static [&'static str]),
    /// A duration such as `100ms`.
    Duration,
    /// A part of all such as `10%`.
    Share,
    /// Bits a second, such as `10mbit`.
    Rate,
    /// Which files, such as `log-*`.
    Files,
    /// Any text.
    Text,
    /// Bytes, such as `8MiB`.
    Size,
    /// A whole number, from the first to the second.
    Whole(u64, u64),
}

/// A nemesis's settings by name.
pub type Settings = BTreeMap<String, String>;

/// Every nemesis there is.
pub const ALL: &[Entry] = &[
    none::ENTRY,
    partition::ENTRY,
    delay::ENTRY,
    loss::ENTRY,
    rate::ENTRY,
    duplicate::ENTRY,
    reorder::ENTRY,
    corrupt::ENTRY,
    mtu::ENTRY,
    disconnect::ENTRY,
    kill::ENTRY,
    reboot::ENTRY,
    rolling::ENTRY,
    pause::ENTRY,
    starve::ENTRY,
    memory::ENTRY,
    files::ENTRY,
    clock::ENTRY,
    disk::ENTRY,
    rot::ENTRY,
    membership::ENTRY,
];

/// The nemesis of that name.
pub fn named(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}

/// Whether it needs a target whose members can be changed while it runs.
pub fn needs_membership(name: &str) -> bool {
    name == membership::ENTRY.name
}

/// What it changes when it strikes. Which nodes makes no difference, if it strikes any.
fn changes(name: &str, settings: &Settings) -> Vec<Change> {
    let Some(entry) = named(name) else { return Vec::new() };
    let cluster = View { nodes: 99, leader: Some(Node(0)) };
    let fault = (entry.make)(settings).choose(&cluster, &mut Random::of(0, name));
    fault.map(|fault| fault.changes).unwrap_or_default()
}

/// What it does to packets that takes a look at each of them.
pub fn shapes(name: &str, settings: &Settings) -> Vec<Wrong> {
    let wrong = |change: Change| match change {
        Change::Link { wrong: Wrong::Cut(Cut::Drop | Cut::Reset | Cut::Refuse), .. } => None,
        Change::Link { wrong, .. } => Some(wrong),
        _ => None,
    };
    let wrongs: BTreeSet<Wrong> = changes(name, settings).into_iter().filter_map(wrong).collect();
    wrongs.into_iter().collect()
}

/// What it does to disks.
pub fn disks(name: &str, settings: &Settings) -> Vec<DiskWrong> {
    let wrong = |change: Change| match change {
        Change::Disk { wrong, .. } => Some(wrong),
        _ => None,
    };
    changes(name, settings).into_iter().filter_map(wrong).collect()
}

/// Whether it makes clocks wrong.
pub fn skews(name: &str, settings: &Settings) -> bool {
    changes(name, settings).iter().any(|change| matches!(change, Change::Clock { .. }))
}

/// Whether it holds processes, or has to look into them: their clocks, their limits, their threads.
pub fn traces(name: &str, settings: &Settings) -> bool {
    changes(name, settings).iter().any(|change| match change {
        Change::Clock { .. } => true,
        Change::Strain { strain, .. } => {
            matches!(strain, Strain::Thread(_) | Strain::Memory(_) | Strain::Files(_))
        }
        _ => false,
    })
}

/// Whether packets are sent by us that nobody else has sent, which takes a raw socket.
pub fn sends_packets(name: &str, settings: &Settings) -> bool {
    shapes(name, settings).iter().any(|wrong| matches!(wrong, Wrong::Duplicate(_) | Wrong::Cut(Cut::Swallow)))
}

/// The value of a setting, or its default.
fn value<'a>(settings: &'a Settings, name: &str, default: &'a str) -> &'a str {
    settings.get(name).map_or(default, String::as_str)
}

const CHECKED: &str = "the plan was checked against the catalogue";

fn duration(settings: &Settings, name: &str, default: &str) -> Duration {
    plan::duration(value(settings, name, default)).expect(CHECKED)
}

fn share(settings: &Settings, name: &str, default: &str) -> Share {
    plan::share(value(settings, name, default)).expect(CHECKED)
}

/// Bits a second.
fn rate(settings: &Settings, name: &str, default: &str) -> u64 {
    plan::rate(value(settings, name, default)).expect(CHECKED)
}

/// Bytes.
fn size(settings: &Settings, name: &str, default: &str) -> u64 {
    plan::size(value(settings, name, default)).expect(CHECKED)
}

fn whole(settings: &Settings, name: &str, default: u32) -> u32 {
    settings.get(name).map_or(default, |text| text.parse().expect(CHECKED))
}

#[cfg(test)]
mod tests {
    use schism_engine::link::{Delay, Duplicate, Loss, Reorder, Spread};

    use super::*;

    /// What one of these, so set, does to links, and how it says so.
    fn done(name: &str, settings: &[(&str, &str)]) -> (Wrong, String) {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut nemesis = (named(name).expect("there is one").make)(&settings);
        let fault =
            nemesis.choose(&View { nodes: 3, leader: None }, &mut Random::of(1, name)).expect("links");
        let [Change::Link { wrong, .. }, ..] = fault.changes[..] else { panic!("{fault:?}") };
        (wrong, fault.detail.split_once(": ").map_or(String::new(), |(_, words)| words.into()))
    }

    #[test]
    fn settings_become_what_is_wrong() {
        let ms = Duration::from_millis;
        let (delay, reorder) =
            (|mean, jitter, spread| Wrong::Delay(Delay { mean, jitter, spread }), Wrong::Reorder);
        let percent = Share::percent;
        /// A nemesis, its settings, what is wrong then, and how that is told.
        type Case = (&'static str, &'static [(&'static str, &'static str)], Wrong, &'static str);
        let cases: &[Case] = &[
            ("delay", &[], delay(ms(50), ms(0), Spread::Uniform), "50ms late"),
            (
                "delay",
                &[("delay", "100ms"), ("jitter", "20ms"), ("spread", "pareto")],
                delay(ms(100), ms(20), Spread::Pareto),
                "100ms ± 20ms late",
            ),
            ("loss", &[], Wrong::Loss(Loss::Random(percent(10))), "10 % lost"),
            ("loss", &[("burst", "4")], Wrong::Loss(Loss::Bursts(percent(10), 4)), "10 % lost, 4 at a time"),
            ("loss", &[("nth", "7")], Wrong::Loss(Loss::Every(7)), "one in 7 lost"),
            ("rate", &[("rate", "10mbit")], Wrong::Rate(10_000_000), "no more than 10mbit a second"),
            (
                "duplicate",
                &[("share", "0.5%")],
                Wrong::Duplicate(Duplicate { share: Share::millionths(5000), by: ms(0) }),
                "0.5 % doubled",
            ),
            (
                "duplicate",
                &[("by", "50ms")],
                Wrong::Duplicate(Duplicate { share: percent(10), by: ms(50) }),
                "10 % doubled, 50ms later",
            ),
            ("reorder", &[], reorder(Reorder { share: percent(10), by: ms(20) }), "10 % held back by 20ms"),
            ("corrupt", &[], Wrong::Corrupt(percent(1)), "1 % changed"),
            ("corrupt", &[("checksum", "right")], Wrong::Evade(percent(1)), "1 % changed, unnoticed"),
            ("mtu", &[("mtu", "1000")], Wrong::Mtu(1000), "longer than 1000 bytes lost"),
        ];
        for (name, settings, wrong, words) in cases {
            assert_eq!(done(name, settings), (*wrong, (*words).to_owned()), "{name} {settings:?}");
            let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            assert_eq!(shapes(name, &settings), [*wrong], "{name} {settings:?}");
        }
        let flapping = [("by".to_owned(), "flapping".to_owned())].into();
        assert!(matches!(shapes("partition", &flapping)[..], [Wrong::Flap(_)]));
        for (name, settings) in [("partition", Settings::new()), ("kill", Settings::new())] {
            assert_eq!(shapes(name, &settings), [], "{name}");
            assert_eq!(disks(name, &settings), [], "{name}");
        }
        let set = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
        assert!(traces("clock", &[].into()) && traces("files", &[].into()) && traces("memory", &[].into()));
        assert!(traces("pause", &set("thread", "wal")) && !traces("pause", &[].into()));
        assert!(skews("clock", &[].into()) && !skews("pause", &set("thread", "wal")));
        assert!(!traces("kill", &set("storm", "1s")) && !traces("disconnect", &[].into()));
        let lost = DiskWrong::Lose(schism_engine::disk::Loss::All);
        assert_eq!(disks("reboot", &[("who".into(), "leader".into())].into()), [lost]);
    }
}
