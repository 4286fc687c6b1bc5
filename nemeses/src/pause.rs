//! Stops daemons where they are (SIGSTOP) and lets them go on later, as a long garbage collection, a swapped-out process
//! or a migrated virtual machine does. The daemon does not know that it was away: leases it believes to hold have passed.
//!
//! With `thread` only one thread is held, by ptrace, and all others go on: a gray failure, in which a node still answers but no
//! longer writes, or sends heartbeats and does nothing else. Which thread that is depends on the store.

use schism_engine::cluster::{Change, Run};
use schism_engine::strain::{Name, Strain};

use crate::{Entry, Setting, Takes, nodes};

pub(crate) const ENTRY: Entry = Entry {
    name: "pause",
    about: "stops daemons for a while and lets them go on",
    settings: &[
        nodes::who("whom to pause; one by default"),
        Setting {
            name: "thread",
            about: "hold only the thread of that name (the busiest of them), or `busiest` of all; all threads by default",
            takes: Takes::Text,
        },
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let name = |text: &String| if text == "busiest" { Name::default() } else { Name::of(text) };
        let thread = settings.get("thread").map(name);
        let words = match thread {
            None => String::new(),
            Some(name) if name.is_busiest() => ", its busiest thread".into(),
            Some(name) => format!(", its thread {name}"),
        };
        nodes::boxed(ENTRY.name, settings, words, move |node| match thread {
            None => Change::Run { node, run: Run::Paused },
            Some(name) => Change::Strain { node, strain: Strain::Thread(name) },
        })
    },
};

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;
    use schism_engine::nemesis::View;
    use schism_engine::random::Random;

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
