//! Which nodes a fault strikes, by number or by role: one (any, the leader, a follower), a minority, a majority, all.
//!
//! `leader-or-any` is the leader where there is one: for plans that strike stores with and without.
//!
//! `random` and `primary` are other words for `one` and `leader`: whoever comes from another tool finds them.

use schism_engine::cluster::Node;
use schism_engine::nemesis::View;
use schism_engine::random::Random;

/// A choice of nodes by number or role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    One,
    Minority,
    Majority,
    All,
    Leader,
    LeaderOrAny,
    Follower,
}

impl Who {
    /// The words for it in plans.
    pub(crate) const WORDS: &'static [&'static str] =
        &["one", "random", "leader", "primary", "leader-or-any", "follower", "minority", "majority", "all"];

    /// Those of them that are one node.
    pub(crate) const SINGLE: &'static [&'static str] =
        &["one", "random", "leader", "primary", "leader-or-any", "follower"];

    /// By its word; `one` for any other.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "minority" => Who::Minority,
            "majority" => Who::Majority,
            "all" => Who::All,
            "leader" | "primary" => Who::Leader,
            "leader-or-any" => Who::LeaderOrAny,
            "follower" => Who::Follower,
            _ => Who::One,
        }
    }

    /// Whether it has to be known who leads.
    pub(crate) fn asks_who_leads(self) -> bool {
        matches!(self, Who::Leader | Who::LeaderOrAny | Who::Follower)
    }

    /// Draws the nodes, in order; nobody if it matters who leads, and that is unknown.
    pub(crate) fn draw(self, view: &View, random: &mut Random) -> Vec<Node> {
        let count = match self {
            Who::Leader => return view.leader.into_iter().collect(),
            Who::LeaderOrAny if view.leader.is_some() => return view.leader.into_iter().collect(),
            Who::LeaderOrAny => 1,
            Who::One => 1,
            Who::Follower => 1,
            Who::Minority => (view.nodes.saturating_sub(1) / 2).max(1),
            Who::Majority => view.nodes / 2 + 1,
            Who::All => view.nodes,
        };
        let mut nodes = view.all();
        if self == Who::Follower {
            let Some(leader) = view.leader else { return Vec::new() };
            nodes.retain(|node| *node != leader);
        }
        random.shuffle(&mut nodes);
        nodes.truncate(count);
        nodes.sort();
        nodes
    }
}

/// `n1 n3`, for people.
pub(crate) fn names(nodes: &[Node]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_of_five() {
        let view = View { nodes: 5, leader: Some(Node(3)) };
        let mut random = Random::of(1, "who");
        let counts: Vec<usize> =
            Who::WORDS.iter().map(|word| Who::of(word).draw(&view, &mut random).len()).collect();
        assert_eq!(counts, [1, 1, 1, 1, 1, 1, 2, 3, 5]);
        assert_eq!(Who::Leader.draw(&view, &mut random), [Node(3)]);
        let unknown = View { leader: None, ..view };
        for who in [Who::Leader, Who::Follower] {
            assert_eq!(who.draw(&unknown, &mut random), []);
        }
        assert_eq!(Who::LeaderOrAny.draw(&view, &mut random), [Node(3)]);
        assert_eq!(Who::LeaderOrAny.draw(&unknown, &mut random).len(), 1);
    }

    #[test]
    fn roles_are_who_they_say() {
        let view = View { nodes: 5, leader: Some(Node(3)) };
        let mut random = Random::of(1, "who");
        assert_eq!(Who::of("primary"), Who::Leader);
        assert_eq!(Who::of("random"), Who::One);
        let followers: std::collections::BTreeSet<Node> =
            (0..200).flat_map(|_| Who::Follower.draw(&view, &mut random)).collect();
        assert_eq!(followers, [0, 1, 2, 4].map(Node).into());
        let alone = View { nodes: 1, leader: Some(Node(0)) };
        assert_eq!(Who::Follower.draw(&alone, &mut random), []);
    }
}
