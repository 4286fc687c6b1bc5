//! Holds packets back so that later ones overtake them.
//!
//! Over UDP, finds messages that count on coming in order. TCP puts its own packets in order again, but between two
//! connections, or two nodes, there is no order that it would keep.

use schism_engine::link::{Reorder, Wrong};
use schism_engine::plan::duration_text;

use crate::links::{ENDS, Links, WAY, WHO, nodes_min};
use crate::{Entry, Setting, Settings, Takes, duration, share};

pub(crate) const ENTRY: Entry = Entry {
    name: "reorder",
    about: "holds packets back so that others overtake them",
    settings: &[
        Setting { name: "share", about: "how many; 10% by default", takes: Takes::Share },
        Setting { name: "by", about: "for how long; 20ms by default", takes: Takes::Duration },
        WHO,
        WAY,
        ENDS,
    ],
    nodes_min,
    make: |settings| Links::boxed(ENTRY.name, settings, wrong(settings)),
};

fn wrong(settings: &Settings) -> (Wrong, String) {
    let (share, by) = (share(settings, "share", "10%"), duration(settings, "by", "20ms"));
    (Wrong::Reorder(Reorder { share, by }), format!("{share} held back by {}", duration_text(by)))
}
