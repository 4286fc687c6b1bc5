//! Which links are which node's to spoil, so that each is spoilt once.

use crate::cluster::{Desired, Endpoint, Node, Pair};
use crate::link::Link;

/// Whether a link is a node's to spoil: what comes to it, and what goes from it to clients, in whose own network nothing is ours.
fn is_at(node: Node, (from, to): &Pair) -> bool {
    let here = Endpoint::Node(node);
    *to == here || (*from == here && *to == Endpoint::Clients)
}

/// What is wrong at a node.
pub(super) fn links_at(node: Node, desired: &Desired) -> Vec<(Pair, Link)> {
    let mine = desired.links.iter().filter(|(pair, _)| is_at(node, pair));
    mine.map(|(pair, link)| (*pair, link.clone())).collect()
}

/// All links that are a node's to spoil.
pub(super) fn links_of(node: Node, nodes: usize) -> Vec<Pair> {
    let ends = || (0..nodes).map(|index| Endpoint::Node(Node(index))).chain([Endpoint::Clients]);
    let pairs = ends().flat_map(|from| ends().map(move |to| (from, to)));
    pairs.filter(|pair| pair.0 != pair.1 && is_at(node, pair)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_is_one_nodes_to_spoil() {
        let mut all: Vec<Pair> = (0..3).flat_map(|index| links_of(Node(index), 3)).collect();
        assert_eq!(all.len(), 3 * 2 + 3 * 2);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 12);
    }
}
