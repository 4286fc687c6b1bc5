//! Breaks the cluster on schedule: begins and ends faults, brings the backend into the state that all faults in force
//! desire together, and measures what each one did.

mod edges;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use schism_history::{Edge, FaultEvent, Note, What};

use crate::backend::{Backend, BackendError};
use crate::budget::{BrokenMax, LeftOut, Why, may_be_killed};
use crate::cluster::{Change, Desired, Node, Run};
use crate::effect::{Around, effect};
use crate::live::Live;
use crate::membership;
use crate::nemesis::{Fault, Nemesis, View};
use crate::plan::Window;
use crate::random::Random;
use crate::recorder::Recorder;
use crate::rolling::Rolling;
use crate::stop::Stop;
use crate::target::{Choices, Target};
use edges::Edges;

/// How long a node may take to say whether it leads. One that is cut off or paused does not answer at all.
const ASK: Duration = Duration::from_millis(300);

/// How long a node may take to be taken out of the cluster. Stores that look after themselves refuse to for a while: etcd
/// until enough of those who would be left have been connected for 5 s.
const LEAVES: Duration = Duration::from_secs(10);

/// How long it may take to be taken in again. A cluster that has just lost somebody else may not want to for seconds.
const JOINS: Duration = Duration::from_secs(10);

/// When a fault that may not be now, or that nobody could feel now, is drawn again.
const AGAIN: Duration = Duration::from_millis(250);

/// How much longer than planned a fault may last that has had no effect yet: a disk without a call to refuse, a link without a
/// packet to lose.
const TO_BITE: Duration = Duration::from_secs(5);

/// How often it looks for daemons that died by themselves.
const LOOK: Duration = Duration::from_millis(200);

/// How long one that was down has to run before it is relied upon again: it has to come up, and what it died of by itself may still
/// be there, as in changed files that it refuses.
const STEADY: Duration = Duration::from_secs(1);

/// One nemesis with its own stream of chance and its windows, counted from the beginning of the load.
pub struct Scheduled {
    /// Who chooses.
    pub nemesis: Box<dyn Nemesis>,
    /// Where its chance comes from.
    pub random: Random,
    /// When its faults begin and end.
    pub windows: Vec<Window>,
    /// Whether it is a step of the plan's script: whoever wrote that is told if it cannot happen.
    pub scripted: bool,
}

/// What it works on.
pub struct Disruption<'a> {
    /// The cluster.
    pub backend: &'a mut dyn Backend,
    /// What runs in it; asked who leads.
    pub target: &'a dyn Target,
    /// Where everything is written down.
    pub recorder: &'a Recorder,
    /// Where it can be watched.
    pub live: &'a Live,
    /// What the plan chooses about the target.
    pub choices: &'a Choices,
    /// How many nodes may be broken at once.
    pub broken_max: BrokenMax,
    /// When it was made: steps are timed from here.
    begun: Instant,
    active: BTreeMap<u32, Active>,
    next_id: u32,
    /// Nodes that no fault keeps out any more and that are not taken in again: they stay down.
    outside: BTreeSet<Node>,
    /// How often each node has come back as a new member.
    returns: BTreeMap<Node, u32>,
    /// Nodes whose daemons died by themselves, and since when they run again.
    fallen: BTreeMap<Node, Option<Instant>>,
    /// Nodes that faults keep down, and since when those run again that they kept down before.
    down: BTreeSet<Node>,
    risen: BTreeMap<Node, Instant>,
}

/// A fault in force.
struct Active {
    name: &'static str,
    fault: Fault,
    around: Around,
    rolling: Rolling,
}

impl<'a> Disruption<'a> {
    /// With nothing broken yet.
    pub fn new(
        backend: &'a mut dyn Backend,
        target: &'a dyn Target,
        recorder: &'a Recorder,
        live: &'a Live,
        choices: &'a Choices,
        broken_max: BrokenMax,
    ) -> Self {
        Disruption {
            backend,
            target,
            recorder,
            live,
            choices,
            broken_max,
            begun: Instant::now(),
            active: BTreeMap::new(),
            next_id: 0,
            outside: BTreeSet::new(),
            returns: BTreeMap::new(),
            fallen: BTreeMap::new(),
            down: BTreeSet::new(),
            risen: BTreeMap::new(),
        }
    }

    /// Follows the schedule until its end or until `over`, then heals everything.
    ///
    /// # Errors
    /// When the backend does. What can be healed is healed all the same.
    pub fn follow(&mut self, mut scheduled: Vec<Scheduled>, over: &Stop) -> Result<(), BackendError> {
        self.backend.client_network().enter()?;
        let start = Instant::now();
        let mut edges = Edges::of(&scheduled);
        let mut open: BTreeMap<(usize, usize), (u32, Duration)> = BTreeMap::new();
        let mut struck: BTreeSet<usize> = BTreeSet::new();
        while let Some((at, who, edge, which)) = edges.queue.pop_front() {
            if !self.watch_until(start + at, over)? {
                break;
            }
            let Scheduled { scripted, ref windows, .. } = scheduled[who];
            let Window { begin, end } = windows[which];
            match edge {
                Edge::Begin => {
                    // One that could not be when it should should have half of its time at least, or all of it later if its nemesis
                    // has not struck yet.
                    let (length, half) = (end - begin, end - (end - begin) / 2);
                    let later = if struck.contains(&who) { half } else { edges.last.saturating_sub(length) };
                    let in_time = scripted || start.elapsed() <= half.max(at) + AGAIN;
                    let begun = if in_time { self.begin(&mut scheduled[who])? } else { None };
                    if let Some(id) = begun {
                        struck.insert(who);
                        // One that took its time to begin lasts as long as planned all the same, but for the quiet end of all.
                        let planned = if at > half { at + length } else { end };
                        let due = (planned + start.elapsed().saturating_sub(at)).min(edges.last.max(end));
                        open.insert((who, which), (id, due));
                        edges.push((due, who, Edge::End, which));
                    } else if !scripted && at + AGAIN <= later.max(half) {
                        // Perhaps soon: what is in the way now ends one by one.
                        edges.push((at + AGAIN, who, Edge::Begin, which));
                    }
                }
                Edge::End => {
                    let Some((id, due)) = open.get(&(who, which)).copied() else { continue };
                    // One that waits for its effect holds nothing else up: that may be what is in its way.
                    if at + LOOK <= due + TO_BITE && !self.has_bitten(id)? {
                        edges.push((at + LOOK, who, Edge::End, which));
                        continue;
                    }
                    open.remove(&(who, which));
                    self.end(&[id])?;
                }
            }
        }
        while self.watch_until(Instant::now() + LOOK, over)? {}
        self.heal()
    }

    /// Ends every fault in force, and starts whoever has died by itself.
    ///
    /// # Errors
    /// When the backend does.
    pub fn heal(&mut self) -> Result<(), BackendError> {
        let all: Vec<u32> = self.active.keys().copied().collect();
        self.end(&all)?;
        self.note_deaths();
        if self.fallen.is_empty() { Ok(()) } else { self.apply() }
    }

    /// Waits, and writes down what dies meanwhile. Returns whether to go on.
    fn watch_until(&mut self, moment: Instant, over: &Stop) -> Result<bool, BackendError> {
        loop {
            self.note_deaths();
            if self.fallen.values().any(Option::is_none) {
                // Perhaps not by themselves: if whoever does things to them is gone as well, there is nothing to go on with.
                self.backend.observe()?;
            }
            self.roll()?;
            self.backend.tend()?;
            let now = Instant::now();
            if now >= moment {
                return Ok(!over.requested());
            }
            if !over.sleep_until(moment.min(now + LOOK)) {
                return Ok(false);
            }
        }
    }

    fn begin(&mut self, scheduled: &mut Scheduled) -> Result<Option<u32>, BackendError> {
        let leader = scheduled.nemesis.aims_at_leader().then(|| self.leader()).flatten();
        let view = View { nodes: self.backend.nodes().len(), leader };
        self.note_deaths();
        // One that strikes all strikes whoever fell as well.
        let drawn =
            self.broken_max.draw(scheduled, &view, &self.weak(scheduled.scripted)).or_else(|left_out| {
                let all = self.broken_max.draw(scheduled, &view, &self.in_force()).ok();
                all.filter(|fault| fault.nodes.len() == view.nodes).ok_or(left_out)
            });
        // One at a time, so that those who are left are always a majority.
        let drawn =
            drawn.and_then(|fault| match removed(&fault.changes).is_empty() || self.removed().is_empty() {
                true => Ok(fault),
                false => Err(LeftOut { fault: Some(fault), why: Why::OneAtATime }),
            });
        let fault = match drawn {
            Ok(fault) => fault,
            Err(left_out) => {
                if scheduled.scripted {
                    self.note_left_out(scheduled.nemesis.name(), &left_out);
                }
                return Ok(None);
            }
        };
        let leaves = removed(&fault.changes);
        let id = self.next_id;
        self.next_id += 1;
        let name = scheduled.nemesis.name();
        let before = self.backend.observe()?;
        self.recorder.record(What::Fault(event(id, name, &fault, Edge::Begin)));
        self.live.fault_begins(id, format!("{name} {}", fault.detail));
        let mut around = Around { before, ..Around::default() };
        let everybody = view.all();
        // Who fell does not get ready again, and would hold up all others.
        let rolls = fault.changes.iter().filter_map(|change| match change {
            Change::Roll { node } if !self.fallen.contains_key(node) => Some(*node),
            _ => None,
        });
        let rolling = Rolling::new(rolls.collect());
        self.active.insert(id, Active { name, fault, around: Around::default(), rolling });
        for node in leaves {
            around.members[0] = everybody.clone();
            around.members[1] = self.take_out(node).unwrap_or_default();
        }
        self.apply()?;
        let begun = self.backend.observe()?;
        if let Some(active) = self.active.get_mut(&id) {
            active.around = Around { begun, ..around };
        }
        Ok(Some(id))
    }

    fn end(&mut self, ids: &[u32]) -> Result<(), BackendError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.note_deaths();
        let ending = self.backend.observe()?;
        let ended: Vec<(u32, Active)> =
            ids.iter().filter_map(|id| Some((*id, self.active.remove(id)?))).collect();
        let back = ended.iter().flat_map(|(_, active)| removed(&active.fault.changes));
        let back: Vec<Node> = back.collect();
        // Everything else is well again before the cluster is asked to take somebody in.
        self.outside.extend(&back);
        self.apply()?;
        let mut members = Vec::new();
        for node in back {
            members = self.take_in(node)?;
        }
        let after = self.backend.observe()?;
        for (id, active) in ended {
            let mut around = Around { ending: ending.clone(), after: after.clone(), ..active.around };
            around.members[2] = members.clone();
            let mut event = event(id, active.name, &active.fault, Edge::End);
            event.effect = Some(effect(&active.fault.changes, &around));
            self.recorder.record(What::Fault(event));
            self.live.fault_ends(id);
        }
        Ok(())
    }

    /// Whether a fault has had an effect by now, or can show none while it lasts.
    fn has_bitten(&mut self, id: u32) -> Result<bool, BackendError> {
        let ending = self.backend.observe()?;
        let Some(active) = self.active.get(&id) else { return Ok(true) };
        if !removed(&active.fault.changes).is_empty() {
            return Ok(true);
        }
        let around = Around { ending, ..active.around.clone() };
        Ok(effect(&active.fault.changes, &around).bit)
    }

    /// Takes rolling restarts a step further, if it is time to.
    fn roll(&mut self) -> Result<(), BackendError> {
        let (target, nodes, limit) = (self.target, self.backend.nodes().to_vec(), self.broken_max);
        let in_force = self.broken();
        let may_go_down = |node| {
            let down = [Change::Run { node, run: Run::Down }];
            may_be_killed(node, &in_force) && limit.allows(&down, &in_force, nodes.len())
        };
        let is_ready = |node: Node| target.health(&nodes[node.0], ASK).is_ok_and(|health| health.ready);
        let mut steps = false;
        for active in self.active.values_mut() {
            steps |= active.rolling.step(self.begun.elapsed(), may_go_down, is_ready);
        }
        if steps { self.apply() } else { Ok(()) }
    }

    /// Brings the cluster into the state that is wanted now. Whoever had died by itself is started by that.
    fn apply(&mut self) -> Result<(), BackendError> {
        let desired = self.desired();
        self.backend.apply(&desired)?;
        for since in self.fallen.values_mut() {
            since.get_or_insert_with(Instant::now);
        }
        let down = |node: &Node| desired.run(*node) == Run::Down;
        let now = Instant::now();
        self.risen.extend(self.down.iter().filter(|node| !down(node)).map(|node| (*node, now)));
        self.down = desired.runs.keys().copied().filter(down).collect();
        Ok(())
    }

    /// All that is wrong now.
    fn in_force(&self) -> Vec<Change> {
        let outside = self.outside.iter().map(|node| Change::Removed { node: *node });
        let rolled = self.active.values().filter_map(|active| active.rolling.down());
        let down = rolled.map(|node| Change::Run { node, run: Run::Down });
        let changes = self.active.values().flat_map(|active| active.fault.changes.iter().copied());
        changes.chain(outside).chain(down).collect()
    }

    /// All that is wrong now, and who fell: that is as good as down. Nothing would be felt there, and the others are needed the
    /// more.
    fn broken(&self) -> Vec<Change> {
        self.in_force().into_iter().chain(self.fallen.keys().map(is_down)).collect()
    }

    /// The same, and who has just been started: so is that, but for a step of the script, which has its one moment.
    fn weak(&self, scripted: bool) -> Vec<Change> {
        let new = self.risen.iter().filter(|(_, since)| !scripted && since.elapsed() < STEADY);
        self.broken().into_iter().chain(new.map(|(node, _)| is_down(node))).collect()
    }

    fn desired(&self) -> Desired {
        Desired::of(&self.in_force())
    }

    /// Nodes that are no members, or are on their way out or in.
    fn removed(&self) -> BTreeSet<Node> {
        let active = self.active.values().flat_map(|active| removed(&active.fault.changes));
        active.chain(self.outside.iter().copied()).collect()
    }

    /// Asks the others to take a node out; the members that are left, or nothing if nobody knows.
    fn take_out(&self, node: Node) -> Option<Vec<Node>> {
        let membership = self.target.membership()?;
        match membership::take_out(membership, node, self.backend.nodes(), LEAVES) {
            Ok(members) => Some(members),
            Err(why) => {
                self.note(node, format!("it was not taken out of the cluster within {LEAVES:?}: {why}"));
                None
            }
        }
    }

    /// Has a node taken in again, and starts it, empty. One that is not taken in in time stays down, which is a doubt: the
    /// run goes on to its end without it.
    fn take_in(&mut self, node: Node) -> Result<Vec<Node>, BackendError> {
        let Some(membership) = self.target.membership() else { return Ok(Vec::new()) };
        let specs = self.backend.nodes().to_vec();
        // Whether it was ever taken out may not be known: it comes back empty, so it must not be what it was.
        let again = membership::take_out(membership, node, &specs, JOINS)
            .and_then(|_| membership::take_in(membership, node, &specs, JOINS));
        let members = match again {
            Ok(members) => members,
            Err(why) => {
                self.note(node, format!("it was not taken into the cluster again within {JOINS:?}: {why}"));
                return Ok(Vec::new());
            }
        };
        let time = self.returns.entry(node).or_default();
        *time += 1;
        let with: Vec<_> = specs.iter().filter(|spec| members.contains(&spec.node)).cloned().collect();
        let program = membership.comes_back(&specs[node.0], &with, *time, self.choices);
        self.outside.remove(&node);
        self.backend.start(node, program)?;
        // Another fault may want it down or paused still.
        self.apply()?;
        Ok(members)
    }

    /// Writes down every daemon that died by itself. One that was taken out of its cluster ends, as it should.
    fn note_deaths(&mut self) {
        let removed = self.removed();
        let died = note_deaths_but(self.backend, self.recorder, &removed);
        self.fallen.retain(|_, since| since.is_none_or(|since| since.elapsed() < STEADY));
        self.fallen.extend(died.into_iter().map(|node| (node, None)));
    }

    /// Writes down that a step of the script does not happen: a pass is none for whoever asked for it.
    fn note_left_out(&self, name: &str, left_out: &LeftOut) {
        let LeftOut { fault, why } = left_out;
        let first = fault.as_ref().and_then(|fault| fault.nodes.first());
        let node = first.map_or("cluster".to_owned(), Node::to_string);
        let whom = fault.as_ref().map_or(String::new(), |fault| format!(" ({})", fault.detail));
        let text = format!("the script's {name}{whom} did not happen: {why}");
        self.recorder.record(What::Note(Note { node, text, doubt: true }));
    }

    fn note(&self, node: Node, text: String) {
        self.recorder.record(What::Note(Note { node: node.to_string(), text, doubt: true }));
    }

    /// Who leads: of all nodes that say so, the one with the highest term. All are asked at once.
    fn leader(&self) -> Option<Node> {
        let (target, network) = (self.target, self.backend.client_network());
        let network = &network;
        let claims = std::thread::scope(|scope| {
            let asked: Vec<_> = self
                .backend
                .nodes()
                .iter()
                .map(|spec| {
                    scope.spawn(move || {
                        network.enter().ok()?;
                        Some((target.health(spec, ASK).ok()?.leads?, spec.node))
                    })
                })
                .collect();
            asked.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect::<Vec<_>>()
        });
        claims.into_iter().max().map(|(_, node)| node)
    }
}

/// Writes down every daemon that died by itself since the last look, and says whose.
pub fn note_deaths(backend: &mut dyn Backend, recorder: &Recorder) -> Vec<Node> {
    note_deaths_but(backend, recorder, &BTreeSet::new())
}

fn note_deaths_but(backend: &mut dyn Backend, recorder: &Recorder, expected: &BTreeSet<Node>) -> Vec<Node> {
    let mut deaths = backend.deaths();
    deaths.retain(|death| !expected.contains(&death.node));
    for death in &deaths {
        let whose =
            if death.suspicious { "; that may be the machine's doing, as where memory runs out" } else { "" };
        let text = format!("its daemon died by itself: {}{whose}", death.how);
        recorder.record(What::Note(Note { node: death.node.to_string(), text, doubt: death.suspicious }));
    }
    deaths.into_iter().map(|death| death.node).collect()
}

fn is_down(node: &Node) -> Change {
    Change::Run { node: *node, run: Run::Down }
}

/// The nodes that a fault takes out of the cluster.
fn removed(changes: &[Change]) -> Vec<Node> {
    let removed = |change: &Change| match change {
        Change::Removed { node } => Some(*node),
        _ => None,
    };
    changes.iter().filter_map(removed).collect()
}

fn event(id: u32, name: &str, fault: &Fault, edge: Edge) -> FaultEvent {
    FaultEvent {
        id,
        fault: name.into(),
        edge,
        detail: fault.detail.clone(),
        nodes: fault.nodes.iter().map(ToString::to_string).collect(),
        effect: None,
    }
}
