//! The seam to what goes wrong. A nemesis is a pure choice: it looks at the cluster and says what should break. When it
//! begins and ends is the schedule's business, making it so is the backend's, and proving that it bit is [`effect`]'s.
//!
//! [`effect`]: crate::effect

use crate::cluster::{Change, Node};
use crate::random::Random;

/// Chooses what to break.
pub trait Nemesis: Send {
    /// Its name in plans, which is also the word for its faults in histories.
    fn name(&self) -> &'static str;

    /// The next fault, or `None` if there is nothing to break now (no leader known, say): then the window passes quietly.
    fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault>;

    /// Whether it wants to know the leader before it chooses. Asking costs a round of requests.
    fn aims_at_leader(&self) -> bool {
        false
    }
}

/// What a nemesis may know of the cluster when it chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// How many nodes there are.
    pub nodes: usize,
    /// Who leads, if somebody does and it was asked for.
    pub leader: Option<Node>,
}

impl View {
    /// All nodes, in order.
    pub fn all(&self) -> Vec<Node> {
        (0..self.nodes).map(Node).collect()
    }
}

/// Something broken: a set of changes to the desired state, and words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How, for people: `n1 n2 | n3 n4 n5`.
    pub detail: String,
    /// The nodes it strikes.
    pub nodes: Vec<Node>,
    /// What it changes.
    pub changes: Vec<Change>,
}
