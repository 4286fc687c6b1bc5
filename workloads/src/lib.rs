//! What clients do: one file a workload. To add one, copy `set.rs`, the smallest, and write it into [`ALL`].

mod bank;
mod cart;
mod catalog;
mod chat;
mod counter;
mod inventory;
mod likes;
mod lock;
mod probes;
mod register;
mod residency;
mod seats;
mod set;
mod settle;
mod text;
mod updates;
mod watch;
mod wishlist;

use std::collections::BTreeMap;

use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::CallKind;

/// What the command line and the plan need to know of a workload.
pub struct Entry {
    /// Its name in plans.
    pub name: &'static str,
    /// What it does and what it finds, in a line.
    pub about: &'static str,
    /// The calls it needs a target to speak.
    pub calls: &'static [CallKind],
    /// What it can be told; every setting is a positive whole number.
    pub settings: &'static [Setting],
    /// Makes it. Values are checked before.
    pub make: fn(&Settings) -> Workload,
}

/// A workload's settings by name.
pub type Settings = BTreeMap<String, String>;

/// Every workload there is.
pub const ALL: &[Entry] = &[
    register::ENTRY,
    register::READ_WRITE,
    set::ENTRY,
    set::SCAN,
    lock::ENTRY,
    watch::ENTRY,
    probes::SESSIONS,
    probes::CAUSAL,
    probes::CONVERGENCE,
    probes::BOUNDED,
    probes::LEDGER,
    seats::ENTRY,
    inventory::ENTRY,
    bank::ENTRY,
    likes::ENTRY,
    chat::ENTRY,
    catalog::ENTRY,
    cart::ENTRY,
    counter::ENTRY,
    updates::ENTRY,
    text::ENTRY,
    residency::ENTRY,
    wishlist::ENTRY,
];

/// The workload of that name.
pub fn named(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}

/// The value of a setting, or its default.
fn number(settings: &Settings, name: &str, default: u64) -> u64 {
    settings.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}
