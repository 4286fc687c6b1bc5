//! Changes one bit of what packets carry. Two faults: one that the checksum tells, so that the receiver drops the packet and the
//! sender tries again; and one that it does not, as bad memory in a switch makes it, so that the application gets it.
//!
//! The second finds messages without a checksum of their own. Few stores promise to bear that.

use schism_engine::link::Wrong;

use crate::links::{ENDS, Links, WAY, WHO, nodes_min};
use crate::{Entry, Setting, Settings, Takes, share, value};

pub(crate) const ENTRY: Entry = Entry {
    name: "corrupt",
    about: "changes bits of what packets carry",
    settings: &[
        Setting { name: "share", about: "of how many; 1% by default", takes: Takes::Share },
        Setting {
            name: "checksum",
            about: "whether it tells (wrong, the default) or was made to fit (right)",
            takes: Takes::Words(&["wrong", "right"]),
        },
        WHO,
        WAY,
        ENDS,
    ],
    nodes_min,
    make: |settings| Links::boxed(ENTRY.name, settings, wrong(settings)),
};

fn wrong(settings: &Settings) -> (Wrong, String) {
    let share = share(settings, "share", "1%");
    if value(settings, "checksum", "wrong") == "right" {
        return (Wrong::Evade(share), format!("{share} changed, unnoticed"));
    }
    (Wrong::Corrupt(share), format!("{share} changed"))
}
