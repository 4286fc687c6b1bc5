//! Which nodes a fault strikes: one, a minority, a majority, all, or the leader.

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
}

impl Who {
    /// The words for it in plans.
    pub(crate) const WORDS: &'static [&'static str] = &["one", "minority", "majority", "all", "leader"];

    /// By its word; `one` for any other.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "minority" => Who::Minority,
            "majority" => Who::Majority,
            "all" => Who::All,
            "leader" => Who::Leader,
            _ => Who::One,
        }
    }

    /// Draws the nodes, in order; nobody if the leader is wanted and unknown.
    pub(crate) fn draw(self, view: &View, random: &mut Random) -> Vec<Node> {
        let count = match self {
            Who::Leader => return view.leader.into_iter().collect(),
            Who::One => 1,
            Who::Minority => (view.nodes.saturating_sub(1) / 2).max(1),
            Who::Majority => view.nodes / 2 + 1,
            Who::All => view.nodes,
        };
        let mut nodes = view.all();
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
        assert_eq!(counts, [1, 2, 3, 5, 1]);
        assert_eq!(Who::Leader.draw(&view, &mut random), [Node(3)]);
        assert_eq!(Who::Leader.draw(&View { leader: None, ..view }, &mut random), []);
    }
}
