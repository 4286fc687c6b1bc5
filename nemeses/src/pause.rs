//! Stops daemons where they are (SIGSTOP) and lets them go on later, as a long garbage collection, a swapped-out process
//! or a migrated virtual machine does. The daemon does not know that it was away: leases it believes to hold have passed.

use schism_engine::cluster::{Change, Run};
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{Entry, Setting, Takes, value};

pub(crate) const ENTRY: Entry = Entry {
    name: "pause",
    about: "stops daemons for a while and lets them go on",
    settings: &[Setting {
        name: "who",
        about: "whom to pause; one by default",
        takes: Takes::Words(Who::WORDS),
    }],
    nodes_min: |_| 1,
    make: |settings| Box::new(Pause(Who::of(value(settings, "who", "one")))),
};

struct Pause(Who);

impl Nemesis for Pause {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.0.draw(cluster, random);
        let changes = nodes.iter().map(|&node| Change::Run { node, run: Run::Paused }).collect();
        (!nodes.is_empty()).then(|| Fault { detail: names(&nodes), nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.0.asks_who_leads()
    }
}
