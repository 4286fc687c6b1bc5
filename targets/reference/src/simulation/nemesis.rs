//! The simulation's nemesis: lets planned faults begin and end, measures whether they bit, and strikes nodes at the moment
//! some faults wait for.

use schism_history::{Edge, Effect, FaultEvent, What};

use super::faults::{self, Fault, Planned};
use super::queue::Micros;
use super::world::{Active, Happening, World};
use crate::protocol::{NodeId, Protocol};

/// A new leader is struck within one of these times, and for how long.
const STRIKES_WITHIN: [Micros; 3] = [60_000, 200_000, 400_000];
const STRIKES_FOR: (Micros, Micros) = (300_000, 2_000_000);

impl<P: Protocol, O: FnMut(NodeId, &P)> World<'_, P, O> {
    fn leader(&self) -> Option<NodeId> {
        let statuses = self.machines.iter().enumerate().filter_map(|(at, machine)| {
            let status = machine.node.as_ref()?.status();
            (status.role == "leader").then_some((status.term, NodeId(at as u8)))
        });
        statuses.max().map(|(_, node)| node)
    }

    pub(super) fn begin(&mut self, planned: Planned) {
        let leader = self.leader();
        for fault in faults::aim(planned.kind, self.machines.len(), leader, &mut self.random) {
            self.inflict(fault, planned.end);
        }
    }

    fn inflict(&mut self, fault: Fault, end: Micros) {
        let now = self.queue.now();
        let id = self.faults_begun;
        self.faults_begun += 1;
        self.say_fault(id, &fault, Edge::Begin, None);
        let before = self.measure(&fault);
        match &fault {
            Fault::Crash { nodes, during_write: false } => {
                nodes.iter().for_each(|node| self.crash(usize::from(node.0)));
            }
            Fault::Crash { nodes, during_write: true } => {
                nodes.iter().for_each(|node| self.machines[usize::from(node.0)].is_doomed = true);
            }
            Fault::Pause { node } => self.machines[usize::from(node.0)].is_paused = true,
            Fault::Jump { node, by_millis } => {
                self.machines[usize::from(node.0)].clocks.jumped += by_millis * 1_000;
            }
            Fault::Drift { node, ppm } => self.machines[usize::from(node.0)].clocks.set_drift(now, *ppm),
            _ => {}
        }
        self.active.push(Active { id, fault, before });
        self.queue.at(end, Happening::End { fault: id });
        self.network.set_faults(self.active.iter().map(|active| &active.fault));
    }

    pub(super) fn end(&mut self, id: u32) {
        let now = self.queue.now();
        let Some(at) = self.active.iter().position(|active| active.id == id) else { return };
        let Active { fault, before, .. } = self.active.remove(at);
        match &fault {
            Fault::Crash { nodes, .. } => {
                for node in nodes {
                    self.machines[usize::from(node.0)].is_doomed = false;
                    self.start_if_free(usize::from(node.0));
                }
            }
            Fault::Pause { node } => self.resume(*node),
            Fault::Jump { node, by_millis } => {
                self.machines[usize::from(node.0)].clocks.jumped -= by_millis * 1_000;
            }
            Fault::Drift { node, .. } => self.machines[usize::from(node.0)].clocks.set_drift(now, 0),
            _ => {}
        }
        let measured = self.measure(&fault) - before;
        self.network.set_faults(self.active.iter().map(|active| &active.fault));
        let (bit, evidence) = match &fault {
            Fault::Partition { .. } | Fault::Lossy { .. } => {
                (measured > 0, format!("{measured} messages lost"))
            }
            Fault::Crash { .. } | Fault::CrashVoters => (measured > 0, format!("{measured} crashes")),
            Fault::Pause { .. } => (measured > 0, format!("{measured} inputs held up")),
            Fault::StrikeNewLeaders => (true, "see the faults within it".into()),
            Fault::Slow { .. } | Fault::Jump { .. } | Fault::Drift { .. } | Fault::SlowDisk { .. } => {
                (true, "set in the simulation".into())
            }
        };
        self.say_fault(id, &fault, Edge::End, Some(Effect { bit, evidence }));
    }

    /// A number that grows when such a fault bites.
    fn measure(&self, fault: &Fault) -> u64 {
        match fault {
            Fault::Partition { .. } | Fault::Lossy { .. } => self.network.lost,
            Fault::Crash { .. } | Fault::CrashVoters => self.counts.crashes,
            Fault::Pause { .. } => self.counts.held,
            _ => 0,
        }
    }

    fn say_fault(&mut self, id: u32, fault: &Fault, edge: Edge, effect: Option<Effect>) {
        let nodes = fault.nodes(self.machines.len()).iter().map(NodeId::to_string).collect();
        let (fault, detail) = (fault.word().into(), fault.to_string());
        self.clients
            .say(self.queue.now(), What::Fault(FaultEvent { id, fault, edge, detail, nodes, effect }));
    }

    /// A machine goes on, and what waited for it comes in any order, all about at once.
    fn resume(&mut self, node: NodeId) {
        let is_other =
            |active: &Active| matches!(active.fault, Fault::Pause { node: other } if other == node);
        if self.active.iter().any(is_other) {
            return;
        }
        let now = self.queue.now();
        let node = usize::from(node.0);
        self.machines[node].is_paused = false;
        for delivery in std::mem::take(&mut self.machines[node].held) {
            self.counts.held += 1;
            let at = now + self.random.below(20_000);
            self.queue.at(at, Happening::Deliver { node, delivery });
        }
    }

    /// What some faults wait for: a node has just won an election, or has just followed somebody into a new term.
    pub(super) fn watch(&mut self, node: usize) {
        let strikes_winners = self.is_active(&Fault::StrikeNewLeaders);
        let crashes_voters = self.is_active(&Fault::CrashVoters);
        if !strikes_winners && !crashes_voters {
            return;
        }
        let Some(status) = self.machines[node].node.as_ref().map(P::status) else { return };
        let now = self.queue.now();
        let (seen, led) = &mut self.terms[node];
        let has_followed = status.term > *seen && status.role == "follower";
        let has_won = status.term > *led && status.role == "leader";
        *seen = status.term.max(*seen);
        if has_won {
            *led = status.term;
        }
        if has_won && strikes_winners {
            let high = *self.random.choose(&STRIKES_WITHIN).unwrap_or(&0);
            let soon = now + self.random.below(high + 1);
            self.queue.at(soon, Happening::Strike { node });
        }
        if has_won && strikes_winners && self.random.chance(400_000) {
            // Its first write as a leader may be the one it does not survive.
            self.strike_with(Fault::Crash { nodes: vec![NodeId(node as u8)], during_write: true });
        }
        if has_followed && crashes_voters && self.random.chance(600_000) {
            let soon = now + self.random.below(4_000);
            let life = self.machines[node].life;
            self.queue.at(soon, Happening::Blink { node, life });
        }
    }

    fn is_active(&self, fault: &Fault) -> bool {
        self.active.iter().any(|active| active.fault == *fault)
    }

    /// A crash that is over almost before anybody notices.
    pub(super) fn blink(&mut self, node: usize) {
        self.crash(node);
        let back = self.queue.now() + self.random.between(1_000, 10_000);
        self.queue.at(back, Happening::Start { node });
    }

    pub(super) fn strike_with(&mut self, fault: Fault) {
        let lasts = self.random.between(STRIKES_FOR.0, STRIKES_FOR.1);
        let end = (self.queue.now() + lasts).min(self.heals);
        self.inflict(fault, end);
    }
}
