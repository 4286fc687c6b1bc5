//! The simulated network between nodes: every message takes its own time, so that messages overtake one another; some are
//! lost or come twice; some ways are closed, in one direction or both.

use super::faults::{Fault, Mix};
use super::queue::Micros;
use crate::protocol::NodeId;
use crate::random::Random;

/// One message in this many takes up to [`STRAGGLES`].
const STRAGGLER_IN: u64 = 100;
const STRAGGLES: Micros = 60_000;

/// The network.
pub(super) struct Network {
    /// `closed[from][to]`
    closed: Vec<Vec<bool>>,
    usual: Quality,
    at_present: Quality,
    random: Random,
    /// Messages that never arrived.
    pub lost: u64,
}

/// How well it works.
#[derive(Clone, Copy)]
struct Quality {
    delay: (Micros, Micros),
    lost_ppm: u32,
    twice_ppm: u32,
}

impl Network {
    pub(super) fn new(nodes: usize, mix: &Mix, random: Random) -> Self {
        let usual = Quality { delay: mix.delay_micros, lost_ppm: mix.lost_ppm, twice_ppm: mix.twice_ppm };
        Network { closed: vec![vec![false; nodes]; nodes], usual, at_present: usual, random, lost: 0 }
    }

    /// The network is as these faults leave it.
    pub(super) fn set_faults<'a>(&mut self, active: impl Iterator<Item = &'a Fault>) {
        self.closed.iter_mut().flatten().for_each(|way| *way = false);
        self.at_present = self.usual;
        for fault in active {
            match fault {
                Fault::Partition { closed, .. } => {
                    for (from, to) in closed {
                        self.closed[usize::from(from.0)][usize::from(to.0)] = true;
                    }
                }
                Fault::Lossy { lost_ppm, twice_ppm } => {
                    self.at_present.lost_ppm = self.at_present.lost_ppm.max(*lost_ppm);
                    self.at_present.twice_ppm = self.at_present.twice_ppm.max(*twice_ppm);
                }
                Fault::Slow { micros } => self.at_present.delay.1 = self.at_present.delay.1.max(*micros),
                _ => {}
            }
        }
    }

    /// How long each copy of a message takes that arrives: none, one or two.
    pub(super) fn copies(&mut self, from: NodeId, to: NodeId) -> impl Iterator<Item = Micros> + use<> {
        let is_closed = self.closed[usize::from(from.0)][usize::from(to.0)];
        if is_closed || self.random.chance(self.at_present.lost_ppm) {
            self.lost += 1;
            return [None, None].into_iter().flatten();
        }
        let is_doubled = self.random.chance(self.at_present.twice_ppm);
        let first = Some(self.delay());
        let second = is_doubled.then(|| self.delay());
        [first, second].into_iter().flatten()
    }

    fn delay(&mut self) -> Micros {
        let (low, high) = self.at_present.delay;
        let high = if self.random.below(STRAGGLER_IN) == 0 { high.max(STRAGGLES) } else { high };
        self.random.between(low, high)
    }
}
