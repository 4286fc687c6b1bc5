//! What goes wrong: one file a nemesis. To add one, copy `none.rs`, the nemesis that breaks nothing, and write it into
//! [`ALL`].

mod kill;
mod none;
mod partition;
mod pause;
mod who;

use std::collections::BTreeMap;

use schism_engine::nemesis::Nemesis;
use schism_engine::target::Setting;

/// What the command line and the plan need to know of a nemesis.
pub struct Entry {
    /// Its name in plans.
    pub name: &'static str,
    /// What it breaks, in a line.
    pub about: &'static str,
    /// What it can be told: `--nemesis NAME:SETTING=VALUE`.
    pub settings: &'static [Setting],
    /// The values each setting takes, in the order of `settings`.
    pub values: &'static [&'static [&'static str]],
    /// How many nodes it needs for one of these values; most need one.
    pub nodes_min: fn(&Settings) -> usize,
    /// Makes it. Values are checked before.
    pub make: fn(&Settings) -> Box<dyn Nemesis>,
}

/// A nemesis's settings by name.
pub type Settings = BTreeMap<String, String>;

/// Every nemesis there is.
pub const ALL: &[Entry] = &[none::ENTRY, partition::ENTRY, kill::ENTRY, pause::ENTRY];

/// The nemesis of that name.
pub fn named(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}

/// The value of a setting, or its default.
fn value<'a>(settings: &'a Settings, name: &str, default: &'a str) -> &'a str {
    settings.get(name).map_or(default, String::as_str)
}
