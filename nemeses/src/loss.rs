//! Loses packets: each by chance, in bursts, or every n-th.
//!
//! Finds what counts on a message having arrived because it was sent. Over TCP a lost packet is a late one, and all behind
//! it are late as well; only much loss breaks connections.

use schism_engine::link::{Loss, Wrong};

use crate::links::{ENDS, Links, WAY, WHO, nodes_min};
use crate::{Entry, Setting, Settings, Takes, share, whole};

pub(crate) const ENTRY: Entry = Entry {
    name: "loss",
    about: "loses packets by chance, in bursts or by number",
    settings: &[
        Setting { name: "share", about: "how many; 10% by default", takes: Takes::Share },
        Setting {
            name: "burst",
            about: "how many at a time, on average; 1 by default, each for itself",
            takes: Takes::Whole(1, 10_000),
        },
        Setting {
            name: "nth",
            about: "every so manieth instead, and no other",
            takes: Takes::Whole(1, 1_000_000),
        },
        WHO,
        WAY,
        ENDS,
    ],
    nodes_min,
    make: |settings| Links::boxed(ENTRY.name, settings, wrong(settings)),
};

fn wrong(settings: &Settings) -> (Wrong, String) {
    let (share, burst) = (share(settings, "share", "10%"), whole(settings, "burst", 1));
    let (loss, words) = match (whole(settings, "nth", 0), burst) {
        (0, 1) => (Loss::Random(share), format!("{share} lost")),
        (0, burst) => (Loss::Bursts(share, burst), format!("{share} lost, {burst} at a time")),
        (nth, _) => (Loss::Every(nth), format!("one in {nth} lost")),
    };
    (Wrong::Loss(loss), words)
}
