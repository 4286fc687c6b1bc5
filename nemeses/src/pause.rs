//! Stops daemons where they are (SIGSTOP) and lets them go on later, as a long garbage collection, a swapped-out process
//! or a migrated virtual machine does. The daemon does not know that it was away: leases it believes to hold have passed.
//!
//! With `thread` only one thread is held, by ptrace, and all others go on: a gray failure, in which a node still answers but no
//! longer writes, or sends heartbeats and does nothing else. Which thread that is depends on the store.

use schism_engine::cluster::{Change, Node, Run};
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;
use schism_engine::strain::{Name, Strain};

use crate::who::{Who, names};
use crate::{Entry, Setting, Takes, value};

pub(crate) const ENTRY: Entry = Entry {
    name: "pause",
    about: "stops daemons for a while and lets them go on",
    settings: &[
        Setting { name: "who", about: "whom to pause; one by default", takes: Takes::Words(Who::WORDS) },
        Setting {
            name: "thread",
            about: "hold only the thread of that name (the busiest of them), or `busiest` of all; all threads by default",
            takes: Takes::Text,
        },
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let who = Who::of(value(settings, "who", "one"));
        let name = |text: &String| if text == "busiest" { Name::default() } else { Name::of(text) };
        Box::new(Pause { who, thread: settings.get("thread").map(name) })
    },
};

struct Pause {
    who: Who,
    thread: Option<Name>,
}

impl Nemesis for Pause {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        let nodes = self.who.draw(cluster, random);
        let change = |&node: &Node| match self.thread {
            None => Change::Run { node, run: Run::Paused },
            Some(name) => Change::Strain { node, strain: Strain::Thread(name) },
        };
        let changes = nodes.iter().map(change).collect();
        let words = match self.thread {
            None => String::new(),
            Some(name) if name.is_busiest() => ", its busiest thread".into(),
            Some(name) => format!(", its thread {name}"),
        };
        let detail = format!("{}{words}", names(&nodes));
        (!nodes.is_empty()).then_some(Fault { detail, nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.who.asks_who_leads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_or_one_thread() {
        let view = View { nodes: 1, leader: None };
        let fault = |settings: &[(&str, &str)]| {
            let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            (ENTRY.make)(&settings).choose(&view, &mut Random::of(1, "pause")).expect("a node")
        };
        let thread = |name| Change::Strain { node: Node(0), strain: Strain::Thread(name) };
        assert_eq!(fault(&[]).changes, [Change::Run { node: Node(0), run: Run::Paused }]);
        assert_eq!(fault(&[("thread", "network")]).changes, [thread(Name::of("network"))]);
        assert_eq!(fault(&[("thread", "busiest")]).changes, [thread(Name::default())]);
        assert_eq!(fault(&[("thread", "network")]).detail, "n1, its thread network");
    }
}
