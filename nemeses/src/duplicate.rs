//! Lets packets arrive twice.
//!
//! Over UDP, finds messages that are carried out twice. TCP throws copies away, and all this finds there is a network that
//! is busier than it looks.

use schism_engine::link::Wrong;

use crate::links::{ENDS, Links, WAY, WHO, nodes_min};
use crate::{Entry, Setting, Settings, Takes, share};

pub(crate) const ENTRY: Entry = Entry {
    name: "duplicate",
    about: "lets packets arrive twice",
    settings: &[
        Setting { name: "share", about: "how many; 10% by default", takes: Takes::Share },
        WHO,
        WAY,
        ENDS,
    ],
    nodes_min,
    make: |settings| Links::boxed(ENTRY.name, settings, wrong(settings)),
};

fn wrong(settings: &Settings) -> (Wrong, String) {
    let share = share(settings, "share", "10%");
    (Wrong::Duplicate(share), format!("{share} doubled"))
}
