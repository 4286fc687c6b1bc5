//! What is known of the order of versions, as a graph: an edge leads from the older to the newer one. There is such an
//! order if and only if no two versions lie on a circle.
//!
//! "Everything that was over before this began" would be quadratically many edges; a row of stops in the order of time
//! stands for them. A version that leads to itself over a row says nothing: "not older than" is kept by the same version.

use std::collections::VecDeque;

/// So many versions of a circle are tried as the start of a shortest one.
const STARTS: usize = 32;

/// Why a version is older than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It was there at first.
    Initial,
    /// A cas changed it to the other.
    Changed,
    /// It had been there when the write of the other began. Which operations show it.
    Time(usize, usize),
    /// A session wrote or saw it before it wrote or saw the other. Which operations did.
    Session(usize, usize),
}

/// Makes a reason of the earlier and the later operation that show it.
type Evidence = fn(usize, usize) -> Why;

#[derive(Clone, Copy, Debug)]
enum Edge {
    /// From version to version.
    Whole(Why),
    /// From a version to a stop: what it is known by.
    On(usize),
    /// From stop to stop.
    Along,
    /// From a stop to a version.
    Off(usize, Evidence),
}

/// A graph whose first nodes are versions and whose others are stops.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    versions: usize,
    edges: Vec<Vec<(usize, Edge)>>,
}

impl Graph {
    /// So many versions, of whose order nothing is known.
    pub(super) fn new(versions: usize) -> Self {
        Graph { versions, edges: vec![Vec::new(); versions] }
    }

    /// One is older than another.
    pub(super) fn edge(&mut self, older: usize, newer: usize, why: Why) {
        self.edges[older].push((newer, Edge::Whole(why)));
    }

    /// The version of each of `earlier`, given with the moment it was over, is no newer than that of each of `later`
    /// that began after that moment. Both with the operation that shows it. How many of `later` follow any.
    pub(super) fn chain<T: Copy + Ord>(
        &mut self,
        mut earlier: Vec<(T, usize, usize)>,
        later: Vec<(T, usize, usize)>,
        why: Evidence,
    ) -> usize {
        earlier.sort_unstable();
        let first = self.edges.len();
        for (at, (_, version, operation)) in earlier.iter().enumerate() {
            let stop = first + at;
            self.edges[*version].push((stop, Edge::On(*operation)));
            self.edges.push(if at + 1 < earlier.len() { vec![(stop + 1, Edge::Along)] } else { Vec::new() });
        }
        let mut follow = 0;
        for (began, version, operation) in later {
            if let Some(at) = earlier.partition_point(|(over, ..)| *over < began).checked_sub(1) {
                self.edges[first + at].push((version, Edge::Off(operation, why)));
                follow += 1;
            }
        }
        follow
    }

    /// A short circle of two versions or more, each with why it is older than the next; none if there is none.
    pub(super) fn circle(&self) -> Option<Vec<(usize, Why)>> {
        let part = self.part_with_two_versions()?;
        let mut inside = vec![false; self.edges.len()];
        for node in &part {
            inside[*node] = true;
        }
        let starts = part.iter().copied().filter(|node| *node < self.versions).take(STARTS);
        starts.filter_map(|start| self.circle_from(start, &inside)).min_by_key(Vec::len)
    }

    /// A strongly connected part with two versions or more (Tarjan, 1972; without recursion).
    fn part_with_two_versions(&self) -> Option<Vec<usize>> {
        const NEW: usize = usize::MAX;
        let nodes = self.edges.len();
        let (mut index, mut low) = (vec![NEW; nodes], vec![0; nodes]);
        let mut open = vec![false; nodes];
        let (mut stack, mut path, mut count) = (Vec::new(), Vec::new(), 0);
        for root in 0..nodes {
            if index[root] != NEW {
                continue;
            }
            path.push((root, 0));
            while let Some((node, next)) = path.last_mut() {
                let node = *node;
                if *next == 0 {
                    (index[node], low[node], open[node]) = (count, count, true);
                    stack.push(node);
                    count += 1;
                }
                if let Some((to, _)) = self.edges[node].get(*next) {
                    *next += 1;
                    if index[*to] == NEW {
                        path.push((*to, 0));
                    } else if open[*to] {
                        low[node] = low[node].min(index[*to]);
                    }
                    continue;
                }
                path.pop();
                if let Some((parent, _)) = path.last() {
                    low[*parent] = low[*parent].min(low[node]);
                }
                if low[node] == index[node] {
                    let at = stack.iter().rposition(|other| *other == node).expect("it was put there");
                    let part = stack.split_off(at);
                    if part.iter().filter(|node| **node < self.versions).count() > 1 {
                        return Some(part);
                    }
                    part.iter().for_each(|node| open[*node] = false);
                }
            }
        }
        None
    }

    /// The shortest circle through a version and another one, by the number of versions.
    ///
    /// A node may be reached before and after another version was passed, and only the latter closes a circle: each is
    /// two places, `2 * node` and `2 * node + 1`.
    fn circle_from(&self, start: usize, inside: &[bool]) -> Option<Vec<(usize, Why)>> {
        let mut came: Vec<Option<(usize, Edge)>> = vec![None; 2 * self.edges.len()];
        let mut queue = VecDeque::from([2 * start]);
        let mut done = vec![false; 2 * self.edges.len()];
        while let Some(place) = queue.pop_front() {
            if std::mem::replace(&mut done[place], true) {
                continue;
            }
            for (to, edge) in &self.edges[place / 2] {
                let passed = place % 2 == 1;
                if *to == start {
                    if passed {
                        return Some(self.steps(start, place, *edge, &came));
                    }
                    continue;
                }
                let version = *to < self.versions;
                let next = 2 * to + usize::from(passed || version);
                if !inside[*to] || done[next] || came[next].is_some() && version {
                    continue;
                }
                came[next] = Some((place, *edge));
                if version { queue.push_back(next) } else { queue.push_front(next) }
            }
        }
        None
    }

    /// The circle that was found, from its last place back to its start.
    fn steps(
        &self,
        start: usize,
        last: usize,
        edge: Edge,
        came: &[Option<(usize, Edge)>],
    ) -> Vec<(usize, Why)> {
        let mut steps = Vec::new();
        let mut off: Option<(usize, Evidence)> = None;
        let mut next = Some((last, edge));
        while let Some((place, edge)) = next {
            match edge {
                Edge::Whole(why) => steps.push((place / 2, why)),
                Edge::Off(operation, why) => off = Some((operation, why)),
                Edge::Along => {}
                Edge::On(operation) => {
                    let (later, why) = off.take().expect("a row that is entered is left");
                    steps.push((place / 2, why(operation, later)));
                }
            }
            next = if place == 2 * start { None } else { came[place] };
        }
        steps.reverse();
        steps
    }
}
