//! Makes links narrow: so many bits pass a second, the rest waits for its turn, and what would wait too long is lost.
//!
//! Finds what is sent whole where a part would do, heartbeats that queue behind data, and queues without an end.

use schism_engine::link::Wrong;

use crate::links::{ENDS, Links, WAY, WHO, nodes_min};
use crate::{Entry, Setting, Settings, Takes, rate, value};

pub(crate) const ENTRY: Entry = Entry {
    name: "rate",
    about: "makes links narrow",
    settings: &[
        Setting { name: "rate", about: "what passes in a second; 1mbit by default", takes: Takes::Rate },
        WHO,
        WAY,
        ENDS,
    ],
    nodes_min,
    make: |settings| Links::boxed(ENTRY.name, settings, wrong(settings)),
};

fn wrong(settings: &Settings) -> (Wrong, String) {
    let text = value(settings, "rate", "1mbit");
    (Wrong::Rate(rate(settings, "rate", "1mbit")), format!("no more than {text} a second"))
}
