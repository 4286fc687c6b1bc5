//! Which nodes hold what: a pure function of the layout, the same at every node.
//!
//! All three placements walk one ring. Each node stands at `vnodes` points of it, drawn by a hash of its name; whoever
//! looks for the home of something goes to the point of its hash and from there on, until enough different nodes have been
//! met. When a node comes, it takes the arcs before its points and nothing else moves: about 1/n of all (Karger et al.,
//! 1997). What is hashed is the key (`ring`), the beginning of the key's range (`ranges`), or the key on a ring of the
//! nodes of its region alone (`regions`).

use std::collections::BTreeSet;

use schism_history::Value;
use serde::{Deserialize, Serialize};

use super::settings::{Mode, Place};
use crate::protocol::NodeId;
use crate::tree::hash;

/// What is stored under one name: a register, or an element of a set. The elements of a set stand after one another in the
/// order of names, and a read of a key is a scan of all that stands under it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// The key.
    pub key: String,
    /// Which element; `None`: the register. In a list of one, since JSON could not tell no element from the element null.
    pub element: Option<[Value; 1]>,
}

/// Who is there, and where ranges begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The nodes that hold anything.
    pub members: BTreeSet<NodeId>,
    /// Where ranges begin, but the first.
    pub splits: BTreeSet<Item>,
}

/// A part of a scan that one group of nodes answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// From here.
    pub from: Item,
    /// Up to here, without it; `None`: to the end of the key.
    pub to: Option<Item>,
}

/// A layout with its ring.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    mode: Mode,
    pub layout: Layout,
    /// Points and whose they are, in their order.
    ring: Vec<(u64, NodeId)>,
    /// Planted: who is missing in a group comes from anywhere.
    leaves_region: bool,
}

impl Placement {
    pub(super) fn new(mode: Mode, layout: Layout, leaves_region: bool) -> Placement {
        let points =
            |node: NodeId| (0..mode.vnodes).map(move |at| (hash(format!("{node}/{at}").as_bytes()), node));
        let mut ring: Vec<(u64, NodeId)> = layout.members.iter().copied().flat_map(points).collect();
        ring.sort_unstable();
        Placement { mode, layout, ring, leaves_region }
    }

    /// The nodes that hold an item, the first one first. Empty if there is no node that may.
    pub(super) fn group(&self, item: &Item) -> Vec<NodeId> {
        match self.mode.place {
            Place::Ring => self.walk(hash(item.key.as_bytes()), |_| true),
            Place::Ranges => self.group_of_range(self.range_of(item)),
            Place::Regions => {
                let region = self.region_of_key(&item.key);
                let token = hash(item.key.as_bytes());
                let mut group = self.walk(token, |node| self.region_of_node(node) == region);
                if self.leaves_region {
                    group.extend(self.walk(token, |node| self.region_of_node(node) != region));
                    group.truncate(self.mode.copies);
                }
                group
            }
        }
    }

    /// Every group that anything may have.
    pub(super) fn groups(&self) -> BTreeSet<Vec<NodeId>> {
        match self.mode.place {
            Place::Ranges => {
                let first = std::iter::once(None);
                first
                    .chain(self.layout.splits.iter().map(Some))
                    .map(|range| self.group_of_range(range))
                    .collect()
            }
            Place::Ring => self.ring.iter().map(|(point, _)| self.walk(*point, |_| true)).collect(),
            Place::Regions => {
                let of_region = |region| {
                    let walk = move |(point, _): &(u64, NodeId)| {
                        self.walk(*point, |node| self.region_of_node(node) == region)
                    };
                    self.ring.iter().map(walk)
                };
                (0..self.mode.regions).flat_map(of_region).filter(|group| !group.is_empty()).collect()
            }
        }
    }

    /// The parts of a scan of all that stands under a key.
    pub(super) fn parts(&self, key: &str, misses_boundary: bool) -> Vec<Part> {
        let first = Item { key: key.into(), element: None };
        if self.mode.place != Place::Ranges {
            return vec![Part { from: first, to: None }];
        }
        let mut starts = vec![first.clone()];
        starts.extend(self.layout.splits.iter().filter(|split| split.key == key && **split > first).cloned());
        let mut parts = between(&starts);
        if misses_boundary && parts.len() > 1 {
            parts.pop();
        }
        parts
    }

    /// Whether an item stands at a node that is of another region.
    pub(super) fn is_astray(&self, item: &Item, node: NodeId) -> bool {
        self.mode.place == Place::Regions && self.region_of_key(&item.key) != self.region_of_node(node)
    }

    /// The name of what an item is counted under: its range, its region, or the first node of its arc.
    pub(super) fn shard(&self, item: &Item) -> String {
        match self.mode.place {
            Place::Ranges => match self.range_of(item) {
                None => "the first range".into(),
                Some(Item { key, element: None }) => format!("from {key}"),
                Some(Item { key, element: Some([element]) }) => format!("from {element} in {key}"),
            },
            Place::Regions => format!("region r{}", self.region_of_key(&item.key) + 1),
            Place::Ring => self.group(item).first().map_or("nobody".into(), |node| format!("arcs of {node}")),
        }
    }

    pub(super) fn region_of_node(&self, node: NodeId) -> usize {
        let regions = if self.mode.place == Place::Regions { self.mode.regions } else { 1 };
        usize::from(node.0) % regions
    }

    /// `r2-anything` is of the second region; without such a beginning the first character picks.
    pub(super) fn region_of_key(&self, key: &str) -> usize {
        let named = key
            .strip_prefix('r')
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(name, _)| name.parse().ok());
        match named {
            Some(region @ 1..) if region <= self.mode.regions => region - 1,
            _ => key.bytes().next().map_or(0, usize::from) % self.mode.regions,
        }
    }

    /// Where the range of an item begins; `None`: at the very beginning.
    fn range_of(&self, item: &Item) -> Option<&Item> {
        self.layout.splits.range(..=item).next_back()
    }

    fn group_of_range(&self, start: Option<&Item>) -> Vec<NodeId> {
        let name = start.map(|Item { key, element }| match element {
            None => key.clone(),
            Some([element]) => format!("{key}/{element}"),
        });
        self.walk(hash(name.unwrap_or_default().as_bytes()), |_| true)
    }

    /// The first so many different nodes from a point on, of those that may.
    fn walk(&self, token: u64, may: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let start = self.ring.partition_point(|(point, _)| *point < token);
        let mut group = Vec::with_capacity(self.mode.copies);
        for (_, node) in self.ring[start..].iter().chain(&self.ring[..start]) {
            if !group.contains(node) && may(*node) {
                group.push(*node);
                if group.len() == self.mode.copies {
                    break;
                }
            }
        }
        group
    }
}

/// From each start to the next, the last one open.
fn between(starts: &[Item]) -> Vec<Part> {
    let ends = starts.iter().skip(1).cloned().map(Some).chain([None]);
    starts.iter().cloned().zip(ends).map(|(from, to)| Part { from, to }).collect()
}

/// How many of a group are more than half of it.
pub(super) fn majority(group: &[NodeId]) -> usize {
    group.len() / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn placement(pairs: &[(&str, &str)], nodes: impl IntoIterator<Item = u8>, splits: &[Item]) -> Placement {
        let members = nodes.into_iter().map(NodeId).collect();
        let layout = Layout { members, splits: splits.iter().cloned().collect() };
        Placement::new(Mode::of(&Settings::of(pairs)), layout, false)
    }

    fn item(key: &str) -> Item {
        Item { key: key.into(), element: None }
    }

    fn keys() -> impl Iterator<Item = Item> {
        (0..10_000).map(|number| item(&format!("key-{number}")))
    }

    /// A ring of one copy, with 128 points a node.
    fn ring(nodes: u8) -> Placement {
        placement(&[("copies", "1")], 0..nodes, &[])
    }

    /// What is first among the elements is not the register, on the way to other nodes and back either.
    #[test]
    fn an_item_is_the_same_on_the_other_side() {
        let null = Item { key: "k".into(), element: Some([Value::Nil]) };
        assert!(item("k") < null);
        for item in [item("k"), null] {
            let sent = serde_json::to_string(&item).unwrap();
            assert_eq!(serde_json::from_str::<Item>(&sent).unwrap(), item, "{sent}");
        }
    }

    #[test]
    fn the_nth_node_takes_its_share_and_nothing_else_moves() {
        for n in 2..=10_u8 {
            let (before, after) = (ring(n - 1), ring(n));
            let moved: Vec<Vec<NodeId>> = keys()
                .map(|key| (before.group(&key), after.group(&key)))
                .filter(|(a, b)| a != b)
                .map(|(_, b)| b)
                .collect();
            assert!(moved.iter().all(|group| *group == [NodeId(n - 1)]), "only the new node takes anything");
            let share = moved.len() as f64 / 10_000.0 * f64::from(n);
            assert!((0.7..=1.3).contains(&share), "{n} nodes: {share:.2} of a fair share moved");
            println!("{n} nodes: {} of 10 000 keys moved, {share:.2}/n", moved.len());
        }
    }

    #[test]
    fn nodes_hold_about_as_many_keys_as_one_another() {
        for n in 2..=10_u8 {
            let ring = ring(n);
            let mut held = vec![0_u32; usize::from(n)];
            keys().for_each(|key| held[usize::from(ring.group(&key)[0].0)] += 1);
            let fair = 10_000.0 / f64::from(n);
            let within = |held: &u32| (0.6..=1.4).contains(&(f64::from(*held) / fair));
            assert!(held.iter().all(within), "{n} nodes: {held:?}");
        }
    }

    #[test]
    fn a_group_is_of_different_nodes_and_every_group_is_listed() {
        for pairs in [&[][..], &[("placement", "regions")], &[("placement", "ranges")]] {
            let placement = placement(pairs, 0..5, &[item("key-3"), item("key-5")]);
            let all = placement.groups();
            for key in keys().take(2_000) {
                let group = placement.group(&key);
                assert_eq!(group.iter().collect::<BTreeSet<_>>().len(), group.len());
                assert!(all.contains(&group), "{pairs:?}: {group:?} of {key:?} is not among {all:?}");
            }
        }
    }

    #[test]
    fn a_key_stays_in_its_region_or_nowhere() {
        let placement = placement(&[("placement", "regions"), ("regions", "3")], [0, 1, 3, 4], &[]);
        assert_eq!(placement.group(&item("r3-x")), [], "the nodes of the third region are gone");
        for (key, region) in
            [("r1-x", 0), ("r2-y", 1), ("r2-", 1), ("a", 97 % 3), ("r9-x", usize::from(b'r') % 3)]
        {
            let group = placement.group(&item(key));
            assert!(group.iter().all(|node| usize::from(node.0) % 3 == region), "{key}: {group:?}");
        }
    }

    #[test]
    fn a_scan_has_a_part_for_each_range_that_its_key_reaches_into() {
        let element = |key: &str, element: i64| Item { key: key.into(), element: Some([element.into()]) };
        let splits = [element("b", 10), element("b", 20), item("c")];
        let placement = placement(&[("placement", "ranges")], 0..5, &splits);
        let part = |from: Item, to: Option<Item>| Part { from, to };
        assert_eq!(placement.parts("a", false), [part(item("a"), None)]);
        assert_eq!(placement.parts("c", false), [part(item("c"), None)]);
        let of_b = [
            part(item("b"), Some(splits[0].clone())),
            part(splits[0].clone(), Some(splits[1].clone())),
            part(splits[1].clone(), None),
        ];
        assert_eq!(placement.parts("b", false), of_b);
        assert_eq!(placement.parts("b", true), of_b[..2]);
    }
}
