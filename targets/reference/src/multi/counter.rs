//! A counter that goes up and down: for each node what it has added and what it has taken away, both of which only grow
//! (PN-counter; Shapiro et al., *A comprehensive study of Convergent and Commutative Replicated Data Types*, 2011). Of
//! two replicas the greater of each counts, so that nothing counts twice however often it is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::protocol::NodeId;

/// A counter, or the share that one node has in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counter(BTreeMap<NodeId, Share>);

/// What one node did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Share {
    added: u64,
    taken: u64,
}

impl Counter {
    pub(super) fn value(&self) -> i64 {
        let sum: i128 = self.0.values().map(|share| i128::from(share.added) - i128::from(share.taken)).sum();
        sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// The change that adds so much at a node, or takes it away.
    pub(super) fn plus(&self, node: NodeId, by: i64) -> Counter {
        let mut share = self.0.get(&node).copied().unwrap_or_default();
        let side = if by < 0 { &mut share.taken } else { &mut share.added };
        *side = side.saturating_add(by.unsigned_abs());
        Counter(BTreeMap::from([(node, share)]))
    }

    /// Takes over what another replica knows. True if anything changes. `adds_up`: the planted bug.
    pub(super) fn join(&mut self, other: &Counter, adds_up: bool) -> bool {
        let mut changed = false;
        for (node, theirs) in &other.0 {
            let own = self.0.entry(*node).or_default();
            let joined = if adds_up {
                Share {
                    added: own.added.saturating_add(theirs.added),
                    taken: own.taken.saturating_add(theirs.taken),
                }
            } else {
                Share { added: own.added.max(theirs.added), taken: own.taken.max(theirs.taken) }
            };
            changed |= joined != *own;
            *own = joined;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_twice_counts_once() {
        let (a, b) = (NodeId(0), NodeId(1));
        let (mut one, mut other) = (Counter::default(), Counter::default());
        for (node, by) in [(a, 5), (b, 2), (a, -3)] {
            let replica = if node == a { &mut one } else { &mut other };
            let delta = replica.plus(node, by);
            assert!(replica.join(&delta, false));
        }
        assert_eq!((one.value(), other.value()), (2, 2));
        assert!(one.join(&other, false) && !one.join(&other, false));
        assert!(other.join(&one, false));
        assert_eq!((one.value(), &one), (4, &other));
        assert!(one.join(&other, true) && one.value() == 8);
    }
}
