//! Breaks nothing: a run without faults, and the file to copy for a new nemesis.

use schism_engine::nemesis::{Fault, Nemesis, View};
use schism_engine::random::Random;

use crate::Entry;

pub(crate) const ENTRY: Entry = Entry {
    name: "none",
    about: "breaks nothing",
    settings: &[],
    nodes_min: |_| 1,
    make: |_| Box::new(None),
};

struct None;

impl Nemesis for None {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn choose(&mut self, _: &View, _: &mut Random) -> Option<Fault> {
        Option::None
    }
}
