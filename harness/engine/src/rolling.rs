//! A rolling restart: nodes are taken down and brought up one after the other, the next one when the last is ready again.
//!
//! What everybody does to a cluster that must not stop: configuration, upgrades, new machines. The order and the waiting are a
//! pure state machine; who goes down is told to the backend by whoever steps it. A node that does not get ready holds the roll
//! up, as it would an operator.

use std::time::Duration;

use schism_history::Effect;

use crate::cluster::{Node, Observation};

/// For how long each node is down.
const DOWN: Duration = Duration::from_millis(300);

/// How far a rolling restart has come. Times are counted from any one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rolling {
    order: Vec<Node>,
    at: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The next node is to go down as soon as it may.
    Up,
    /// It is down until then.
    Down(Duration),
    /// It is up again and not known to be ready.
    Coming,
}

impl Rolling {
    /// In this order. Nobody is down yet.
    pub fn new(order: Vec<Node>) -> Self {
        Rolling { order, at: 0, phase: Phase::Up }
    }

    /// Whom it keeps down now.
    pub fn down(&self) -> Option<Node> {
        matches!(self.phase, Phase::Down(_)).then(|| self.order[self.at])
    }

    /// Takes the next step if it is time for it. Returns whether anybody goes down or up by that.
    pub fn step(
        &mut self,
        now: Duration,
        may_go_down: impl FnOnce(Node) -> bool,
        is_ready: impl FnOnce(Node) -> bool,
    ) -> bool {
        let Some(node) = self.order.get(self.at).copied() else { return false };
        match self.phase {
            Phase::Up if may_go_down(node) => {
                self.phase = Phase::Down(now + DOWN);
                true
            }
            Phase::Down(until) if now >= until => {
                self.phase = Phase::Coming;
                true
            }
            Phase::Coming if is_ready(node) => {
                (self.at, self.phase) = (self.at + 1, Phase::Up);
                false
            }
            _ => false,
        }
    }
}

/// Who was restarted: had another process id in the end.
pub fn effect(order: &[Node], before: &Observation, ending: &Observation) -> Effect {
    let pid =
        |seen: &Observation, node: &Node| seen.daemons.get(node.0).copied().flatten().map(|one| one.pid);
    let anew = |node: &&Node| pid(ending, node).is_some() && pid(before, node) != pid(ending, node);
    let restarted: Vec<String> = order.iter().filter(anew).map(Node::to_string).collect();
    let evidence = format!("{} of {} restarted: {}", restarted.len(), order.len(), restarted.join(" "));
    Effect { bit: !restarted.is_empty(), evidence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Daemon;
    use crate::strain::Strained;

    #[test]
    fn one_after_the_other_and_each_waits() {
        let mut roll = Rolling::new(vec![Node(2), Node(0)]);
        let ms = Duration::from_millis;
        assert_eq!(roll.down(), None);
        assert!(!roll.step(ms(0), |_| false, |_| true), "not while too many are broken");
        assert!(roll.step(ms(10), |node| node == Node(2), |_| true));
        assert_eq!(roll.down(), Some(Node(2)));
        assert!(!roll.step(ms(200), |_| true, |_| true), "it stays down for its time");
        assert!(roll.step(ms(310), |_| true, |_| true));
        assert_eq!(roll.down(), None);
        assert!(!roll.step(ms(400), |_| true, |_| false) && roll.down().is_none(), "it is not ready");
        assert!(!roll.step(ms(500), |_| true, |node| node == Node(2)));
        assert!(roll.step(ms(510), |node| node == Node(0), |_| true));
        assert_eq!(roll.down(), Some(Node(0)));
        assert!(roll.step(ms(900), |_| true, |_| true) && !roll.step(ms(901), |_| true, |_| true));
        assert!(!roll.step(ms(999), |_| true, |_| true) && roll.down().is_none(), "that was all");
    }

    #[test]
    fn who_was_restarted_has_another_pid() {
        let seen = |pids: [Option<u32>; 3]| {
            let daemon = |pid| Daemon {
                pid,
                cpu: Duration::ZERO,
                stopped: false,
                starved: Duration::ZERO,
                clock: None,
                strained: Strained::default(),
            };
            Observation { daemons: pids.map(|pid| pid.map(daemon)).into(), ..Observation::default() }
        };
        let order = [Node(2), Node(0), Node(1)];
        let judged = |ending| effect(&order, &seen([Some(1), Some(1), Some(1)]), &seen(ending));
        let evidence = "2 of 3 restarted: n3 n1".into();
        assert_eq!(judged([Some(4), Some(1), Some(4)]), Effect { bit: true, evidence });
        assert!(!judged([Some(1), Some(1), Some(1)]).bit);
        assert!(!judged([None, None, None]).bit, "down is not restarted");
    }
}
