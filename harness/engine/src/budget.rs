//! How many nodes may be broken at once: one budget for all faults together, whatever their kind.
//!
//! A store that promises to survive a minority must not be blamed for what happens when more than that is gone, and with
//! several nemeses more than that is gone every now and then by chance alone. So a fault that would break too many on top of
//! those in force is drawn again, and if no other fits, its window passes quietly. Cannot tell that a slow node is as good as
//! broken: delays, losses and too little time are not counted.

use std::collections::BTreeSet;
use std::fmt;

use crate::cluster::{Change, Desired, Endpoint, Node, Run};
use crate::disk::{Disk, Wrong};
use crate::disruption::Scheduled;
use crate::link::{Link, Share};
use crate::nemesis::{Fault, View};
use crate::strain::Strain;

/// How often a nemesis draws until it gives a window up.
const DRAWS: usize = 24;

/// How many nodes faults may break at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokenMax {
    /// Fewer than half, so that a majority is always whole; a fault that breaks more all by itself was asked for, and happens.
    #[default]
    Minority,
    /// So many, and never more.
    Nodes(usize),
    /// As many as come together.
    Any,
}

impl BrokenMax {
    /// The word or number used in plans.
    pub fn word(self) -> String {
        match self {
            BrokenMax::Minority => "minority".into(),
            BrokenMax::Nodes(number) => number.to_string(),
            BrokenMax::Any => "any".into(),
        }
    }

    /// By its word or number.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "minority" => Some(BrokenMax::Minority),
            "any" => Some(BrokenMax::Any),
            _ => word.parse().ok().map(BrokenMax::Nodes),
        }
    }

    /// How many of so many nodes may be broken together.
    fn most(self, nodes: usize) -> usize {
        match self {
            BrokenMax::Any => nodes,
            BrokenMax::Nodes(most) => most,
            BrokenMax::Minority => nodes.saturating_sub(1) / 2,
        }
    }

    /// Whether this may come on top of that.
    pub fn allows(self, changes: &[Change], in_force: &[Change], nodes: usize) -> bool {
        let most = self.most(nodes);
        let asked_for = || self == BrokenMax::Minority && broken(&Desired::of(changes), nodes) > most;
        broken(&Desired::of(in_force.iter().chain(changes)), nodes) <= most || asked_for()
    }

    /// The next fault of a nemesis that is allowed and will be felt.
    ///
    /// # Errors
    /// When it draws none: one that would have been felt and may not happen, or if there was none, the first that it drew.
    pub fn draw(self, scheduled: &mut Scheduled, view: &View, in_force: &[Change]) -> Result<Fault, LeftOut> {
        let before = Desired::of(in_force);
        let mut left_out = LeftOut::nobody(view, scheduled.nemesis.aims_at_leader());
        for _ in 0..DRAWS {
            let Some(fault) = scheduled.nemesis.choose(view, &mut scheduled.random) else { break };
            let changes_anything = Desired::of(in_force.iter().chain(&fault.changes)) != before;
            let felt = changes_anything && is_felt(&fault.changes, &before);
            if felt && self.allows(&fault.changes, in_force, view.nodes) {
                return Ok(fault);
            }
            // One that rolls asks again for each node: it is enough that it can begin.
            let mut rolled = fault.changes.iter().filter_map(|change| match change {
                Change::Roll { node } if before.run(*node) == Run::Up => Some(*node),
                _ => None,
            });
            if rolled.next().is_some_and(|first| {
                let down = [Change::Run { node: first, run: Run::Down }];
                is_felt(&down, &before) && self.allows(&down, in_force, view.nodes)
            }) {
                return Ok(fault);
            }
            if felt {
                let broken = broken(&Desired::of(in_force.iter().chain(&fault.changes)), view.nodes);
                let why = Why::TooMany { broken, most: self.most(view.nodes) };
                left_out = LeftOut { fault: Some(fault), why };
            } else if left_out.fault.is_none() {
                left_out = LeftOut { fault: Some(fault), why: Why::Unfelt };
            }
        }
        Err(left_out)
    }
}

/// A fault that does not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Which it would have been, if there was somebody to strike.
    pub fault: Option<Fault>,
    /// Why it is not to be.
    pub why: Why,
}

/// Why a fault does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is nobody of those at whom it aims.
    Nobody,
    /// It aims by who leads, and nobody is known to.
    NobodyLeads,
    /// Nothing would change, or nobody could feel it to its end.
    Unfelt,
    /// Another node is not yet a member again.
    OneAtATime,
    /// Together with what is in force it would break too many.
    TooMany {
        /// How many nodes would be broken.
        broken: usize,
        /// How many may be.
        most: usize,
    },
}

impl LeftOut {
    fn nobody(view: &View, aims_at_leader: bool) -> Self {
        let why = if aims_at_leader && view.leader.is_none() { Why::NobodyLeads } else { Why::Nobody };
        LeftOut { fault: None, why }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Nobody => f.write_str("there was nobody to strike"),
            Why::NobodyLeads => f.write_str("it aims by who leads, and nobody was known to"),
            Why::Unfelt => f.write_str(
                "nothing would have changed, or who was to feel it was down, paused, or to feel something else; \
                 move it to another time, or aim it at others",
            ),
            Why::OneAtATime => f.write_str("another node was not a member again yet; move it to another time"),
            Why::TooMany { broken, most } => write!(
                f,
                "with what was wrong already {broken} nodes would have been broken, and `broken-max` allows {most}; \
                 raise that, or move it to another time"
            ),
        }
    }
}

/// Whether there are daemons that can feel it to its end, and whether it leaves them to what else is to be felt by them. A fault
/// that bites nobody would be held against the whole run.
fn is_felt(changes: &[Change], before: &Desired) -> bool {
    let is_up = |end: &Endpoint| match end {
        Endpoint::Node(node) => before.run(*node) == Run::Up,
        Endpoint::Clients => true,
    };
    let mut links = changes.iter().filter_map(|change| match change {
        Change::Link { from, to, .. } => Some(is_up(from) && is_up(to)),
        _ => None,
    });
    // One link that is used is enough: they are proven together.
    links.next().is_none_or(|first| first || links.any(|used| used))
        && changes.iter().all(|change| is_felt_by_its_node(change, changes, before))
}

fn is_felt_by_its_node(change: &Change, together: &[Change], before: &Desired) -> bool {
    let lives = |node: &Node| before.run(*node) == Run::Up && !may_end(*node, before);
    match change {
        Change::Starve { node, .. } => lives(node),
        // What two wrongs have done to one clock cannot be told apart.
        Change::Clock { node, .. } => lives(node) && !before.clocks.contains_key(node),
        Change::Strain { node, strain } => lives(node) && !(ends_daemons(*strain) && feels(*node, before)),
        // Files can be changed of one that is down already.
        Change::Run { node, .. } => {
            let edits = |change: &Change| matches!(change, Change::Disk { node: one, wrong: Wrong::Edit(_) } if one == node);
            !feels(*node, before) && (before.run(*node) != Run::Down || together.iter().any(edits))
        }
        Change::Disk { node, wrong: Wrong::Lie | Wrong::Slow(_) } => lives(node),
        Change::Disk { node, wrong: Wrong::Refuse(_) | Wrong::Strike(_) } => {
            lives(node) && !feels(*node, before)
        }
        _ => true,
    }
}

/// Whether something is wrong with its daemon that has to be felt while that lives. A disk that lies is felt when it goes down.
fn feels(node: Node, before: &Desired) -> bool {
    let heard = |disk: &Disk| !disk.slow.is_zero() || !disk.refuses.is_empty() || disk.strike.is_some();
    before.strains.contains_key(&node)
        || before.starved.contains_key(&node)
        || before.clocks.contains_key(&node)
        || before.disks.get(&node).is_some_and(heard)
}

/// Whether its daemon is killed again and again, or may well give up.
fn may_end(node: Node, before: &Desired) -> bool {
    let strained = before.strains.get(&node);
    let refused = |disk: &Disk| !disk.refuses.is_empty() || disk.strike.is_some();
    strained.is_some_and(|all| all.storm.is_some() || all.memory.is_some() || all.files.is_some())
        || before.disks.get(&node).is_some_and(refused)
}

fn ends_daemons(strain: Strain) -> bool {
    matches!(strain, Strain::Storm(_) | Strain::Memory(_) | Strain::Files(_))
}

/// Whether a node may be killed now without taking away who is to feel something else.
pub fn may_be_killed(node: Node, in_force: &[Change]) -> bool {
    !feels(node, &Desired::of(in_force))
}

/// How many nodes are no use to the cluster: those that are down, stopped or no members, those whose disks or processes something
/// is wrong with, and those that do not have a whole way
/// there and back to a majority of all, themselves counted. Where no majority is up, a majority of those who are counts.
pub fn broken(desired: &Desired, nodes: usize) -> usize {
    let spoilt = |node: &Node| desired.strains.contains_key(node) || desired.disks.contains_key(node);
    let all = (0..nodes).map(Node);
    let up: BTreeSet<Node> = all.filter(|node| desired.run(*node) == Run::Up && !spoilt(node)).collect();
    let whole = |from: Node, to: Node| {
        let link = desired.links.get(&(Endpoint::Node(from), Endpoint::Node(to)));
        link.is_none_or(|link| !is_cut(link))
    };
    let heard = |one: Node| {
        up.iter().filter(|other| **other == one || (whole(one, **other) && whole(**other, one))).count()
    };
    let half = if up.len() > nodes / 2 { nodes / 2 } else { up.len() / 2 };
    let useful = up.iter().filter(|node| heard(**node) > half).count();
    nodes - useful
}

/// Whether it is as good as cut for a protocol that needs it.
fn is_cut(link: &Link) -> bool {
    let loses_all = link.loss.is_some_and(|loss| loss.part() >= Share::ALL.probability());
    link.cut.is_some()
        || link.cut_behind.is_some()
        || link.flap.is_some()
        || !link.ports.is_empty()
        || loses_all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Skew;
    use crate::disk;
    use crate::link::{self, Cut, Delay, Loss};
    use crate::nemesis::Nemesis;
    use crate::random::Random;
    use crate::strain::Strain;

    fn run(node: usize, run: Run) -> Change {
        Change::Run { node: Node(node), run }
    }

    fn link(from: usize, to: usize, wrong: link::Wrong) -> Change {
        Change::Link { from: Endpoint::Node(Node(from)), to: Endpoint::Node(Node(to)), wrong }
    }

    /// Those against the rest, in both directions.
    fn split(side: &[usize], nodes: usize) -> Vec<Change> {
        let cut = link::Wrong::Cut(Cut::Drop);
        let others: Vec<usize> = (0..nodes).filter(|node| !side.contains(node)).collect();
        let pairs = side.iter().flat_map(|one| others.iter().map(|other| (*one, *other)));
        pairs.flat_map(|(one, other)| [link(one, other, cut), link(other, one, cut)]).collect()
    }

    fn count(changes: &[Change], nodes: usize) -> usize {
        broken(&Desired::of(changes), nodes)
    }

    #[test]
    fn broken_is_who_cannot_be_of_use() {
        assert_eq!(count(&[], 5), 0);
        assert_eq!(count(&[run(0, Run::Down), run(1, Run::Paused), Change::Removed { node: Node(2) }], 5), 3);
        assert_eq!(count(&split(&[0, 1], 5), 5), 2);
        // One side of four is no majority, nor is the other.
        assert_eq!(count(&split(&[0, 1], 4), 4), 4);
        // The cut of two and a kill among the three leave nobody a majority.
        let both: Vec<Change> = split(&[0, 1], 5).into_iter().chain([run(2, Run::Down)]).collect();
        assert_eq!(count(&both, 5), 5);
        // A kill on the small side breaks nobody else.
        let both: Vec<Change> = split(&[0, 1], 5).into_iter().chain([run(1, Run::Down)]).collect();
        assert_eq!(count(&both, 5), 2);
        // One direction is enough; being late is not.
        let to_one = |wrong| -> Vec<Change> { (1..5).map(|from| link(from, 0, wrong)).collect() };
        assert_eq!(count(&to_one(link::Wrong::Cut(Cut::Refuse)), 5), 1);
        assert_eq!(count(&to_one(link::Wrong::CutPort(9)), 5), 1);
        assert_eq!(count(&to_one(link::Wrong::Loss(Loss::Random(Share::ALL))), 5), 1);
        assert_eq!(count(&to_one(link::Wrong::Loss(Loss::Random(Share::percent(99)))), 5), 0);
        assert_eq!(count(&to_one(link::Wrong::Delay(Delay::default())), 5), 0);
    }

    #[test]
    fn all_faults_share_one_budget_unless_the_plan_says_otherwise() {
        let down = |node| [run(node, Run::Down)];
        let (two, pause) = ([run(0, Run::Down), run(1, Run::Paused)], [run(2, Run::Paused)]);
        assert!(BrokenMax::Minority.allows(&pause, &down(0), 5));
        assert!(!BrokenMax::Minority.allows(&pause, &two, 5));
        assert!(BrokenMax::Minority.allows(&down(1), &two, 5), "who is broken already may be broken more");
        let all: Vec<Change> = (0..5).map(|node| run(node, Run::Down)).collect();
        assert!(BrokenMax::Minority.allows(&all, &down(0), 5), "asked for by itself");
        assert!(!BrokenMax::Nodes(2).allows(&all, &[], 5), "but not where a number says otherwise");
        assert!(
            BrokenMax::Nodes(1).allows(&pause, &[], 5) && !BrokenMax::Nodes(1).allows(&pause, &down(0), 5)
        );
        assert!(BrokenMax::Any.allows(&pause, &two, 5));
    }

    /// Does this to any node.
    struct Careless(fn(Node) -> Change);

    impl Nemesis for Careless {
        fn name(&self) -> &'static str {
            "careless"
        }

        fn choose(&mut self, cluster: &View, random: &mut Random) -> Option<Fault> {
            let node = Node(random.index(cluster.nodes));
            let changes = vec![(self.0)(node)];
            Some(Fault { detail: node.to_string(), nodes: vec![node], changes })
        }
    }

    /// Starving who is down, or killing who is short of memory: what was to be felt could not be.
    #[test]
    fn what_nobody_would_feel_is_not_drawn() {
        let (node, strain) = (Node(1), Strain::Memory(0));
        let strained = Change::Strain { node, strain };
        let starved = Change::Starve { node, left: Share::percent(10) };
        let skewed = Change::Clock { node, skew: Skew::Leap };
        for state in [Run::Down, Run::Paused] {
            let before = Desired::of(&[run(1, state)]);
            assert!([strained, starved, skewed].iter().all(|change| !is_felt(&[*change], &before)));
            for felt in [strained, starved, skewed] {
                assert!(
                    !is_felt(&[run(1, state)], &Desired::of(&[felt])),
                    "{felt:?} has to be felt to its end"
                );
                assert!(may_be_killed(Node(0), &[felt]) && !may_be_killed(node, &[felt]));
            }
        }
        assert!(
            is_felt(&[run(1, Run::Down)], &Desired::of(&[run(1, Run::Paused)])),
            "who is paused can be killed"
        );
        assert!(!is_felt(&[starved], &Desired::of(&[strained])), "who has no memory left may give up");
        let down = [run(0, Run::Down)];
        assert!([strained, starved, skewed].iter().all(|change| is_felt(&[*change], &Desired::of(&down))));
        assert!(
            !is_felt(&[run(0, Run::Down), run(1, Run::Down)], &Desired::of(&down)),
            "one cannot be killed"
        );
        let edit = disk::Edit { harm: disk::Harm::Tear, files: disk::Pattern::ALL, seed: 1 };
        let rot = [run(0, Run::Down), Change::Disk { node: Node(0), wrong: Wrong::Edit(edit) }];
        assert!(is_felt(&rot, &Desired::of(&down)), "files can be changed of who is down");
        // Nobody sends anything between two that are down; of several links one that is used is enough.
        let two = Desired::of(&[run(0, Run::Down), run(1, Run::Paused)]);
        let lossy = |to| link(0, to, link::Wrong::Cut(Cut::Drop));
        assert!(!is_felt(&[lossy(1), lossy(2)], &two));
        assert!(is_felt(&[lossy(1), link(3, 2, link::Wrong::Cut(Cut::Drop))], &two));
        for seed in 0..300 {
            let starve = |node| Change::Starve { node, left: Share::percent(10) };
            let fault = draw(BrokenMax::Any, &down, seed, starve).expect("four nodes are up");
            assert_ne!(fault.nodes, [Node(0)]);
        }
    }

    fn draw(
        limit: BrokenMax,
        in_force: &[Change],
        seed: u64,
        change: fn(Node) -> Change,
    ) -> Result<Fault, LeftOut> {
        let (nemesis, random) = (Box::new(Careless(change)), Random::of(seed, "careless"));
        let mut careless = Scheduled { nemesis, random, windows: vec![], scripted: false };
        limit.draw(&mut careless, &View { nodes: 5, leader: None }, in_force)
    }

    /// Many times over: of what a careless nemesis draws, only what fits is taken, and what fits is found.
    #[test]
    fn what_does_not_fit_is_drawn_again_and_then_given_up() {
        let draw = |limit, in_force: &[Change], seed| {
            draw(limit, in_force, seed, |node| Change::Run { node, run: Run::Paused })
        };
        let mut in_force = vec![run(0, Run::Paused)];
        for seed in 0..300 {
            let fault = draw(BrokenMax::Minority, &in_force, seed).expect("there is room for one more");
            assert_ne!(fault.nodes, [Node(0)], "that one is paused already: nothing would change");
            assert_eq!(draw(BrokenMax::Minority, &in_force, seed), Ok(fault), "one seed, one choice");
        }
        in_force.push(run(4, Run::Down));
        for seed in 0..300 {
            let left_out = draw(BrokenMax::Minority, &in_force, seed).expect_err("two are broken");
            assert_eq!(left_out.why, Why::TooMany { broken: 3, most: 2 });
            let fault = left_out.fault.expect("it was drawn");
            assert!(
                ![Node(0), Node(4)].contains(&fault.nodes[0]),
                "one that would have been felt: {fault:?}"
            );
            assert!(draw(BrokenMax::Any, &in_force, seed).is_ok());
        }
    }
}
