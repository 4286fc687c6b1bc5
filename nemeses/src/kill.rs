//! Kills daemons without warning (SIGKILL) and starts them again, with their data directory as the kill left it.
//!
//! What the daemon had handed to the operating system survives, synced or not: this finds what was still in the process's
//! own memory, and everything a restart gets wrong. It cannot find a missing fsync by itself: that takes a disk that
//! loses what was not synced.

use schism_engine::cluster::{Change, Run};
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{Entry, Setting, Takes, value};

pub(crate) const ENTRY: Entry = Entry {
    name: "kill",
    about: "kills daemons with SIGKILL and restarts them, their data kept",
    settings: &[Setting {
        name: "who",
        about: "whom to kill; one by default",
        takes: Takes::Words(Who::WORDS),
    }],
    nodes_min: |_| 1,
    make: |settings| Box::new(Kill(Who::of(value(settings, "who", "one")))),
};

struct Kill(Who);

impl Nemesis for Kill {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.0.draw(cluster, random);
        let changes = nodes.iter().map(|&node| Change::Run { node, run: Run::Down }).collect();
        (!nodes.is_empty()).then(|| Fault { detail: names(&nodes), nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.0.asks_who_leads()
    }
}
