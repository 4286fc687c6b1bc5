//! Lets long packets vanish without a word, as a tunnel does whose ends were never told about its size.
//!
//! Finds what works in small and hangs in large: connections open, heartbeats pass, and the first big message never arrives.

use schism_engine::link::Wrong;

use crate::links::{ENDS, Links, WAY, WHO, nodes_min};
use crate::{Entry, Setting, Settings, Takes, whole};

pub(crate) const ENTRY: Entry = Entry {
    name: "mtu",
    about: "lets long packets vanish",
    settings: &[
        Setting {
            name: "mtu",
            about: "how long a packet may be, in bytes with its headers; 600 by default",
            takes: Takes::Whole(68, 65_535),
        },
        WHO,
        WAY,
        ENDS,
    ],
    nodes_min,
    make: |settings| Links::boxed(ENTRY.name, settings, wrong(settings)),
};

fn wrong(settings: &Settings) -> (Wrong, String) {
    let mtu = whole(settings, "mtu", 600);
    (Wrong::Mtu(u16::try_from(mtu).unwrap_or(u16::MAX)), format!("longer than {mtu} bytes lost"))
}
