//! Kills daemons without warning (SIGKILL) and starts them again, with their data directory as the kill left it.
//!
//! In a storm (`storm = "300ms"`) it is killed again so often while the fault lasts, as by a supervisor that restarts what
//! crashes at once: recovery is interrupted by the next crash.
//!
//! What the daemon had handed to the operating system survives, synced or not: this finds what was still in the process's
//! own memory, and everything a restart gets wrong. It cannot find a missing fsync by itself: that takes a disk that
//! loses what was not synced.

use std::time::Duration;

use schism_engine::cluster::{Change, Run};
use schism_engine::plan::duration_text;
use schism_engine::strain::Strain;

use crate::{Entry, Setting, Takes, duration, nodes};

pub(crate) const ENTRY: Entry = Entry {
    name: "kill",
    about: "kills daemons with SIGKILL and restarts them, their data kept",
    settings: &[
        nodes::who("whom to kill; one by default"),
        Setting {
            name: "storm",
            about: "start it again at once, and kill it again so often; by default it is down until the end",
            takes: Takes::Duration,
        },
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let storm = settings.contains_key("storm").then(|| duration(settings, "storm", "1s").max(LEAST));
        let again = storm.map(|every| format!(", again every {}", duration_text(every)));
        nodes::boxed(ENTRY.name, settings, again.unwrap_or_default(), move |node| match storm {
            None => Change::Run { node, run: Run::Down },
            Some(every) => Change::Strain { node, strain: Strain::Storm(every) },
        })
    },
};

/// No more often than that, or nothing is ever started.
const LEAST: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;
    use schism_engine::nemesis::View;
    use schism_engine::random::Random;

    use super::*;

    #[test]
    fn once_or_in_a_storm() {
        let view = View { nodes: 1, leader: None };
        let fault = |settings: &[(&str, &str)]| {
            let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            (ENTRY.make)(&settings).choose(&view, &mut Random::of(1, "kill")).expect("a node")
        };
        assert_eq!(fault(&[]).changes, [Change::Run { node: Node(0), run: Run::Down }]);
        let storm = |every_ms| Change::Strain {
            node: Node(0),
            strain: Strain::Storm(Duration::from_millis(every_ms)),
        };
        assert_eq!(fault(&[("storm", "300ms")]).changes, [storm(300)]);
        assert_eq!(fault(&[("storm", "300ms")]).detail, "n1, again every 300ms");
        assert_eq!(fault(&[("storm", "1ms")]).changes, [storm(20)], "it has to come up in between");
    }
}
