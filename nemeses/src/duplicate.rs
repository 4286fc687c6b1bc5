//! Lets packets arrive twice.
//!
//! Over UDP, finds messages that are carried out twice: a copy that comes later, `by` so much, meets what was done since. TCP
//! throws copies away, and all this finds there is a network that is busier than it looks.

use schism_engine::link::{Duplicate, Wrong};
use schism_engine::plan::duration_text;

use crate::links::{ENDS, Links, WAY, WHO, nodes_min};
use crate::{Entry, Setting, Settings, Takes, duration, share};

pub(crate) const ENTRY: Entry = Entry {
    name: "duplicate",
    about: "lets packets arrive twice",
    settings: &[
        Setting { name: "share", about: "how many; 10% by default", takes: Takes::Share },
        Setting {
            name: "by",
            about: "how much later the second one comes; at once by default",
            takes: Takes::Duration,
        },
        WHO,
        WAY,
        ENDS,
    ],
    nodes_min,
    make: |settings| Links::boxed(ENTRY.name, settings, wrong(settings)),
};

fn wrong(settings: &Settings) -> (Wrong, String) {
    let (share, by) = (share(settings, "share", "10%"), duration(settings, "by", "0ms"));
    let late = if by.is_zero() { String::new() } else { format!(", {} later", duration_text(by)) };
    (Wrong::Duplicate(Duplicate { share, by }), format!("{share} doubled{late}"))
}
