//! Kills daemons and changes their files before they start again: a torn tail, a file cut short, a turned bit, a block of
//! zeros, a block in another's place, a block as it was before.
//!
//! Finds stores that believe what they read. A store that notices and refuses to start is right: its node then stays down,
//! so it keeps to the nodes that it struck first: strike no more than a minority unless that is what you want to see. Cannot find what only bad memory would show.

use schism_engine::cluster::{Change, Node, Run};
use schism_engine::disk::{Edit, Harm, Pattern, Wrong};
use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::who::{Who, names};
use crate::{CHECKED, Entry, Setting, Takes, value, whole};

pub(crate) const ENTRY: Entry = Entry {
    name: "rot",
    about: "kills daemons, changes their files, and restarts them",
    settings: &[
        Setting {
            name: "kind",
            about: "flip bits, the default; line: only the lowest bit of a byte, as by one bad line of a bus; tear a few last \
                    bytes off; truncate anywhere; zero a block; misdirect a block; rollback a block to what it was when the \
                    node was last started",
            takes: Takes::Words(&["flip", "line", "tear", "truncate", "zero", "misdirect", "rollback"]),
        },
        Setting {
            name: "bits",
            about: "how many bits to flip; 1 by default",
            takes: Takes::Whole(1, 1_000_000),
        },
        Setting {
            name: "files",
            about: "which files, by name or by path below the data directory; * is anything, and the default",
            takes: Takes::Files,
        },
        Setting { name: "who", about: "whose files; one node's by default", takes: Takes::Words(Who::WORDS) },
    ],
    nodes_min: |_| 1,
    make: |settings| {
        let harm = match value(settings, "kind", "flip") {
            "tear" => Harm::Tear,
            "truncate" => Harm::Truncate,
            "zero" => Harm::Zero,
            "misdirect" => Harm::Misdirect,
            "rollback" => Harm::RollBack,
            "line" => Harm::Line(whole(settings, "bits", 1)),
            _ => Harm::Flip(whole(settings, "bits", 1)),
        };
        let files = Pattern::of(value(settings, "files", "*")).expect(CHECKED);
        Box::new(Rot { who: Who::of(value(settings, "who", "one")), struck: Vec::new(), harm, files })
    },
};

struct Rot {
    who: Who,
    /// Whom it struck first. It keeps to them: a node may be right to stay down, and the others are enough then.
    struck: Vec<Node>,
    harm: Harm,
    files: Pattern,
}

impl Nemesis for Rot {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
        if self.struck.is_empty() {
            self.struck = self.who.draw(cluster, random);
        }
        let nodes = self.struck.clone();
        let mut changes = Vec::new();
        for &node in &nodes {
            let seed = random.below(u64::MAX);
            let wrong = Wrong::Edit(Edit { harm: self.harm, files: self.files, seed });
            changes.extend([Change::Run { node, run: Run::Down }, Change::Disk { node, wrong }]);
        }
        let what = match self.harm {
            Harm::Tear => "torn tail of",
            Harm::Truncate => "cut off within",
            Harm::Flip(1) | Harm::Line(1) => "a bit turned in",
            Harm::Flip(_) | Harm::Line(_) => "bits turned in",
            Harm::Zero => "a block of zeros in",
            Harm::Misdirect => "a block misplaced in",
            Harm::RollBack => "a block rolled back in",
        };
        let detail = format!("{}: {what} {}", names(&nodes), self.files);
        (!nodes.is_empty()).then_some(Fault { detail, nodes, changes })
    }

    fn aims_at_leader(&self) -> bool {
        self.who == Who::Leader && self.struck.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_files_and_how() {
        let settings = [("who", "leader"), ("kind", "tear"), ("files", "log-*")];
        let settings = settings.map(|(name, value)| (name.into(), value.into())).into();
        let mut rot = (ENTRY.make)(&settings);
        let view = View { nodes: 3, leader: Some(Node(1)) };
        let mut random = Random::of(1, "rot");
        let mut seed = || {
            let fault = rot.choose(&view, &mut random).expect("a leader");
            assert_eq!(fault.detail, "n2: torn tail of log-*");
            let [down, Change::Disk { node, wrong: Wrong::Edit(edit) }] = fault.changes[..] else {
                panic!("{fault:?}")
            };
            assert_eq!((down, node), (Change::Run { node: Node(1), run: Run::Down }, Node(1)));
            assert_eq!((edit.harm, edit.files), (Harm::Tear, Pattern::of("log-*").expect("short")));
            edit.seed
        };
        assert_ne!(seed(), seed(), "each fault is somewhere else");
        let later = rot.choose(&View { nodes: 3, leader: Some(Node(2)) }, &mut random).expect("the same");
        assert_eq!(later.nodes, [Node(1)], "it keeps to whom it struck first");
    }
}
