//! Values with dots: what concurrent writes leave side by side, and what each write had seen.
//!
//! A *dot* names one write: the node that took it and how many of that key's writes it had taken. A *context* is the set
//! of dots that somebody has seen, whether their values are still there or not: a version vector, and beyond it the few
//! dots that came before their predecessors. Two replicas join by one rule: a value stays if both hold it, or if the one
//! that does not hold it has never seen it. So what was replaced or removed is gone wherever that is heard of, and what
//! was written without knowing of it stays: there are no tombstones, only dots that were seen.
//!
//! A change is a small replica of its own (a *delta*), that has seen the new dot and those it replaces, and nothing else.
//!
//! Sources: Preguiça et al., *Dotted Version Vectors* (2010); Almeida, Shoker, Baquero, *Delta State Replicated Data
//! Types* (2018).

use std::collections::{BTreeMap, BTreeSet};

use schism_history::Value;
use serde::{Deserialize, Serialize};

use crate::protocol::NodeId;

/// One write of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dot {
    /// Who took it.
    pub node: NodeId,
    /// Its place among the writes of this key that the node took, from 1 on.
    pub number: u64,
}

/// A set of dots. Equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// All dots of each node up to this number.
    upto: BTreeMap<NodeId, u64>,
    /// Those beyond, whose predecessors are missing.
    beyond: BTreeSet<Dot>,
}

impl Context {
    fn has(&self, dot: Dot) -> bool {
        self.reach(dot.node) >= dot.number || self.beyond.contains(&dot)
    }

    fn reach(&self, node: NodeId) -> u64 {
        self.upto.get(&node).copied().unwrap_or(0)
    }

    /// The first dot of a node after all that are here.
    fn next(&self, node: NodeId) -> Dot {
        let of_node = Dot { node, number: 0 }..=Dot { node, number: u64::MAX };
        let last = self.beyond.range(of_node).next_back().map_or(0, |dot| dot.number);
        Dot { node, number: 1 + last.max(self.reach(node)) }
    }

    fn insert(&mut self, dot: Dot) {
        if !self.has(dot) {
            self.beyond.insert(dot);
            self.close_up(dot.node);
        }
    }

    /// Takes over all dots of another. True if some are new.
    fn join(&mut self, other: &Context) -> bool {
        let before = self.clone();
        for (node, number) in &other.upto {
            let reach = self.upto.entry(*node).or_insert(0);
            *reach = (*reach).max(*number);
        }
        self.beyond.extend(&other.beyond);
        let nodes: BTreeSet<NodeId> =
            self.upto.keys().copied().chain(self.beyond.iter().map(|dot| dot.node)).collect();
        nodes.into_iter().for_each(|node| self.close_up(node));
        *self != before
    }

    /// What follows without a gap belongs to the vector.
    fn close_up(&mut self, node: NodeId) {
        let mut reach = self.reach(node);
        while let Some(dot) = self.beyond.range(Dot { node, number: 0 }..).next().copied()
            && dot.node == node
            && dot.number <= reach + 1
        {
            reach = reach.max(dot.number);
            self.beyond.remove(&dot);
        }
        if reach > 0 {
            self.upto.insert(node, reach);
        }
    }

    /// As clients carry it from a read to a write.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn from_text(text: &str) -> Option<Context> {
        serde_json::from_str(text).ok()
    }
}

/// Values by the dots of their writes, with the context of all that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dotted {
    context: Context,
    #[serde(with = "super::pairs")]
    held: BTreeMap<Dot, Value>,
}

impl Dotted {
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Each value once, in order.
    pub(super) fn values(&self) -> Vec<Value> {
        self.held.values().collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The change that puts a value, if any, in the place of all that a context has seen.
    pub(super) fn replacing(&self, node: NodeId, seen: &Context, value: Option<Value>) -> Dotted {
        let dot = self.context.next(node);
        let mut delta = Dotted { context: seen.clone(), held: BTreeMap::new() };
        if let Some(value) = value {
            delta.context.insert(dot);
            delta.held.insert(dot, value);
        }
        delta
    }

    /// The change that adds an element, in the place of what was added of it before.
    pub(super) fn adding(&self, node: NodeId, element: Value) -> Dotted {
        self.replacing(node, &self.dots_of(&element), Some(element))
    }

    /// The change that removes what was added of an element, as far as that is known here.
    pub(super) fn removing(&self, node: NodeId, element: &Value) -> Dotted {
        self.replacing(node, &self.dots_of(element), None)
    }

    fn dots_of(&self, element: &Value) -> Context {
        let mut dots = Context::default();
        let held = self.held.iter().filter(|(_, value)| *value == element);
        held.for_each(|(dot, _)| dots.insert(*dot));
        dots
    }

    pub(super) fn contains(&self, element: &Value) -> bool {
        self.held.values().any(|value| value == element)
    }

    /// Takes over what another replica holds and has seen. True if anything changes.
    pub(super) fn join(&mut self, other: &Dotted) -> bool {
        let mut changed = false;
        for dot in self.seen_by(&other.context) {
            if !other.held.contains_key(&dot) {
                // The dot was seen before, so the context alone does not tell that something is new.
                changed |= self.held.remove(&dot).is_some();
            }
        }
        for (dot, value) in &other.held {
            if !self.context.has(*dot) {
                self.held.insert(*dot, value.clone());
            }
        }
        self.context.join(&other.context) || changed
    }

    /// Keeps the value of the greatest dot alone: the planted bug.
    pub(super) fn keep_one(&mut self) {
        while self.held.len() > 1 {
            self.held.pop_first();
        }
    }

    /// The dots held here that a context has seen. A small context is gone through, not all that is held.
    fn seen_by(&self, context: &Context) -> Vec<Dot> {
        let upto = context.upto.iter().flat_map(|(&node, &number)| {
            self.held.range(Dot { node, number: 0 }..=Dot { node, number }).map(|(dot, _)| *dot)
        });
        upto.chain(context.beyond.iter().filter(|dot| self.held.contains_key(*dot)).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);

    fn write(replica: &mut Dotted, node: NodeId, seen: &Context, value: i64) -> Dotted {
        let delta = replica.replacing(node, seen, Some(value.into()));
        replica.join(&delta);
        delta
    }

    #[test]
    fn concurrent_writes_stay_side_by_side_and_one_that_saw_both_replaces_both() {
        let (mut a, mut b) = (Dotted::default(), Dotted::default());
        let nothing = Context::default();
        let first = write(&mut a, A, &nothing, 1);
        let second = write(&mut b, B, &nothing, 2);
        a.join(&second);
        b.join(&first);
        assert_eq!(a, b);
        assert_eq!(a.values(), [1.into(), 2.into()]);
        let seen = a.context().clone();
        let third = write(&mut a, A, &seen, 3);
        assert!(b.join(&third) && !b.join(&third) && !b.join(&first));
        assert_eq!(b.values(), [3.into()]);
        assert_eq!(a, b);
    }

    #[test]
    fn a_delete_takes_what_it_saw_and_no_more_even_if_it_comes_first() {
        let (mut a, mut b, mut c) = (Dotted::default(), Dotted::default(), Dotted::default());
        let first = write(&mut a, A, &Context::default(), 1);
        b.join(&first);
        let gone = b.replacing(B, &b.context().clone(), None);
        let second = write(&mut a, A, &Context::default(), 2);
        c.join(&second);
        c.join(&gone);
        c.join(&first);
        assert_eq!(c.values(), [2.into()]);
    }

    #[test]
    fn an_add_wins_over_a_remove_that_had_not_seen_it() {
        let (mut a, mut b) = (Dotted::default(), Dotted::default());
        let first = a.adding(A, 1.into());
        a.join(&first);
        b.join(&first);
        let (again, gone) = (a.adding(A, 1.into()), b.removing(B, &1.into()));
        assert!(a.join(&again) && b.join(&gone) && b.values().is_empty() && !b.join(&gone));
        assert!(!a.join(&gone) && b.join(&again));
        assert_eq!(a.values(), [1.into()]);
        assert_eq!(a, b);
        let gone = a.removing(A, &1.into());
        assert!(a.join(&gone) && b.join(&gone) && !b.join(&first));
        assert!(!b.contains(&1.into()));
    }

    /// Equal sets of dots must be equal values, or hashes would differ for ever.
    #[test]
    fn in_whichever_order_dots_come_the_context_is_the_same() {
        let dots: Vec<Dot> = [(A, 1), (A, 2), (B, 1), (A, 3), (B, 3)]
            .map(|(node, number)| Dot { node, number })
            .into_iter()
            .collect();
        let mut random = crate::random::Random::new(1, 1);
        let forward = dots.iter().fold(Context::default(), |mut context, dot| {
            context.insert(*dot);
            context
        });
        for _ in 0..100 {
            let mut order = dots.clone();
            random.shuffle(&mut order);
            let mut joined = Context::default();
            for half in order.chunks(2) {
                let mut part = Context::default();
                half.iter().for_each(|dot| part.insert(*dot));
                joined.join(&part);
            }
            assert_eq!(joined, forward);
        }
        assert_eq!(forward.next(A), Dot { node: A, number: 4 });
        assert_eq!(forward.next(B), Dot { node: B, number: 4 });
        assert!(!forward.has(Dot { node: B, number: 2 }));
    }
}
