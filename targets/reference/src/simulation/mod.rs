//! A protocol in a simulated world: network, disks, clocks, crashes, pauses and clients, all drawn from one seed. The
//! protocol's code is the very same that runs in a real cluster; only its surroundings are made up.
//!
//! What it finds: any order of events that the real world could bring about and a person would not think of, thousands of
//! runs a minute, each one repeatable by its seed. What comes out is a history, judged like any other.
//!
//! What it cannot find: mistakes outside of the protocol (sockets, files, the runtime), and disks that lie; and it does
//! not prove anything: what it did not try, it did not see.
//!
//! Read on: `world` (what happens), `machine` (disk, clocks), `network`, `clients`, `faults` (what goes wrong, as
//! data), `nemesis` (does it).

mod clients;
mod faults;
mod machine;
mod nemesis;
mod network;
mod queue;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use schism_history::{Event, History};

pub use clients::Habit;
pub use faults::{Kind, MIXES, Mix};

use crate::protocol::{NodeId, Protocol};
use crate::settings::Settings;
use world::World;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything random comes from here.
    pub seed: u64,
    /// How many nodes, from 1 to 255.
    pub nodes: usize,
    /// How many clients; at least as many as nodes, since each node is read from in the end.
    pub clients: usize,
    /// How many keys they share.
    pub keys: usize,
    /// How long faults and load last. Some seconds without faults and the final reads come on top.
    pub load: Duration,
    /// What goes wrong.
    pub mix: &'static Mix,
    /// What is planted.
    pub bugs: BTreeSet<String>,
    /// After how many applied entries a node takes a snapshot.
    pub snapshot_every: u64,
    /// What the family is told.
    pub settings: Settings,
    /// What clients do.
    pub habit: Habit,
    /// For how long before the final reads clients call nothing: what is shipped afterwards needs a moment. Less than the
    /// 3 s between the last fault and the final reads.
    pub quiet: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 0,
            nodes: 5,
            clients: 10,
            keys: 3,
            load: Duration::from_secs(12),
            mix: Default::default(),
            bugs: BTreeSet::new(),
            snapshot_every: 40,
            settings: Settings::default(),
            habit: Habit::Registers,
            quiet: Duration::ZERO,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// What clients did and what went wrong, in the order of time.
    pub events: Vec<Event>,
    /// Whether each node answered a read of each key in the end.
    pub is_answered: bool,
    /// How much happened.
    pub counts: Counts,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps of the simulation.
    pub happenings: u64,
    /// Simulated time, in microseconds.
    pub simulated_micros: u64,
    /// Messages that were on their way.
    pub messages: u64,
    /// Messages that never arrived.
    pub lost: u64,
    /// Nodes that crashed.
    pub crashes: u64,
    /// Inputs that waited for a paused node.
    pub held: u64,
}

impl Simulated {
    /// The events as a history.
    pub fn history(&self) -> History {
        match History::from_events(self.events.iter().cloned()) {
            Ok(history) => history,
            Err((at, error)) => unreachable!("the simulation contradicts itself at event {at}: {error}"),
        }
    }
}

/// Simulates. The same options give the same result.
pub fn run<P: Protocol>(options: &Options) -> Simulated {
    run_observed::<P>(options, |_, _| {})
}

/// Simulates while somebody looks on: at every node after its start and after every input.
pub fn run_observed<P: Protocol>(options: &Options, observe: impl FnMut(NodeId, &P)) -> Simulated {
    let mut world = World::new(options, observe);
    world.run();
    let is_answered = world.clients.is_over();
    Simulated { events: world.clients.events, is_answered, counts: world.counts }
}
