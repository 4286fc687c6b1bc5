//! Makes packets late, each by about as much, in the order in which they were sent.
//!
//! Finds time limits that are too short, leases that count on a fast network, and work done one packet after the other. It
//! loses nothing: a store may become slow, but has no excuse for a wrong answer.

use schism_engine::link::{Delay, Spread, Wrong};
use schism_engine::plan::duration_text;

use crate::links::{ENDS, Links, WAY, WHO, nodes_min};
use crate::{Entry, Setting, Settings, Takes, duration, value};

pub(crate) const ENTRY: Entry = Entry {
    name: "delay",
    about: "makes packets late",
    settings: &[
        Setting { name: "delay", about: "by how much; 50ms by default", takes: Takes::Duration },
        Setting { name: "jitter", about: "how far around that; none by default", takes: Takes::Duration },
        Setting {
            name: "spread",
            about: "how delays lie around it: uniform by default, normal, or pareto, which is mostly early and sometimes very late",
            takes: Takes::Words(&["uniform", "normal", "pareto"]),
        },
        WHO,
        WAY,
        ENDS,
    ],
    nodes_min,
    make: |settings| Links::boxed(ENTRY.name, settings, wrong(settings)),
};

fn wrong(settings: &Settings) -> (Wrong, String) {
    let (mean, jitter) = (duration(settings, "delay", "50ms"), duration(settings, "jitter", "0s"));
    let spread = match value(settings, "spread", "uniform") {
        "normal" => Spread::Normal,
        "pareto" => Spread::Pareto,
        _ => Spread::Uniform,
    };
    let around = if jitter.is_zero() { String::new() } else { format!(" ± {}", duration_text(jitter)) };
    let words = format!("{}{around} late", duration_text(mean));
    (Wrong::Delay(Delay { mean, jitter, spread }), words)
}
