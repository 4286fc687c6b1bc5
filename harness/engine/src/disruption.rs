//! Breaks the cluster on schedule: begins and ends faults, brings the backend into the state that all faults in force
//! desire together, and measures what each one did.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schism_history::{Edge, FaultEvent, Note, What};

use crate::backend::{Backend, BackendError};
use crate::cluster::{Desired, Node};
use crate::effect::{Around, effect};
use crate::live::Live;
use crate::nemesis::{Fault, Nemesis, View};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::stop::Stop;
use crate::target::Target;

/// How long a node may take to say whether it leads. One that is cut off or paused does not answer at all.
const ASK: Duration = Duration::from_millis(300);

/// How often it looks for daemons that died by themselves.
const LOOK: Duration = Duration::from_millis(200);

/// One nemesis with its own stream of chance and its windows, counted from the beginning of the load.
pub struct Scheduled {
    /// Who chooses.
    pub nemesis: Box<dyn Nemesis>,
    /// Where its chance comes from.
    pub random: Random,
    /// When its faults begin and end.
    pub windows: Vec<(Duration, Duration)>,
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
    active: BTreeMap<u32, Active>,
    next_id: u32,
}

/// A fault in force.
struct Active {
    name: &'static str,
    fault: Fault,
    around: Around,
}

impl<'a> Disruption<'a> {
    /// With nothing broken yet.
    pub fn new(
        backend: &'a mut dyn Backend,
        target: &'a dyn Target,
        recorder: &'a Recorder,
        live: &'a Live,
    ) -> Self {
        Disruption { backend, target, recorder, live, active: BTreeMap::new(), next_id: 0 }
    }

    /// Follows the schedule until its end or until `over`, then heals everything.
    ///
    /// # Errors
    /// When the backend does. What can be healed is healed all the same.
    pub fn follow(&mut self, mut scheduled: Vec<Scheduled>, over: &Stop) -> Result<(), BackendError> {
        self.backend.client_network().enter()?;
        let start = Instant::now();
        let mut edges: Vec<(Duration, usize, Edge, usize)> = Vec::new();
        for (who, one) in scheduled.iter().enumerate() {
            for (which, (begin, end)) in one.windows.iter().enumerate() {
                edges.push((*begin, who, Edge::Begin, which));
                edges.push((*end, who, Edge::End, which));
            }
        }
        edges.sort_by_key(|(at, who, _, which)| (*at, *who, *which));
        let mut open: BTreeMap<(usize, usize), u32> = BTreeMap::new();
        for (at, who, edge, which) in edges {
            if !self.watch_until(start + at, over) {
                break;
            }
            match edge {
                Edge::Begin => {
                    if let Some(id) = self.begin(&mut scheduled[who])? {
                        open.insert((who, which), id);
                    }
                }
                Edge::End => {
                    if let Some(id) = open.remove(&(who, which)) {
                        self.end(&[id])?;
                    }
                }
            }
        }
        while self.watch_until(Instant::now() + LOOK, over) {}
        self.heal()
    }

    /// Ends every fault in force.
    ///
    /// # Errors
    /// When the backend does.
    pub fn heal(&mut self) -> Result<(), BackendError> {
        let all: Vec<u32> = self.active.keys().copied().collect();
        self.end(&all)
    }

    /// Waits, and writes down what dies meanwhile. Returns whether to go on.
    fn watch_until(&mut self, moment: Instant, over: &Stop) -> bool {
        loop {
            note_deaths(self.backend, self.recorder);
            let now = Instant::now();
            if now >= moment {
                return !over.requested();
            }
            if !over.sleep_until(moment.min(now + LOOK)) {
                return false;
            }
        }
    }

    fn begin(&mut self, scheduled: &mut Scheduled) -> Result<Option<u32>, BackendError> {
        let leader = scheduled.nemesis.aims_at_leader().then(|| self.leader()).flatten();
        let view = View { nodes: self.backend.nodes().len(), leader };
        let Some(fault) = scheduled.nemesis.choose(&view, &mut scheduled.random) else { return Ok(None) };
        let id = self.next_id;
        self.next_id += 1;
        let name = scheduled.nemesis.name();
        let before = self.backend.observe()?;
        self.recorder.record(What::Fault(event(id, name, &fault, Edge::Begin)));
        self.live.fault_begins(id, format!("{name} {}", fault.detail));
        self.active.insert(id, Active { name, fault, around: Around { before, ..Around::default() } });
        self.backend.apply(&self.desired())?;
        let begun = self.backend.observe()?;
        if let Some(active) = self.active.get_mut(&id) {
            active.around.begun = begun;
        }
        Ok(Some(id))
    }

    fn end(&mut self, ids: &[u32]) -> Result<(), BackendError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ending = self.backend.observe()?;
        let ended: Vec<(u32, Active)> =
            ids.iter().filter_map(|id| Some((*id, self.active.remove(id)?))).collect();
        self.backend.apply(&self.desired())?;
        let after = self.backend.observe()?;
        for (id, active) in ended {
            let around = Around { ending: ending.clone(), after: after.clone(), ..active.around };
            let mut event = event(id, active.name, &active.fault, Edge::End);
            event.effect = Some(effect(&active.fault.changes, &around));
            self.recorder.record(What::Fault(event));
            self.live.fault_ends(id);
        }
        Ok(())
    }

    fn desired(&self) -> Desired {
        Desired::of(self.active.values().flat_map(|active| &active.fault.changes))
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
    let deaths = backend.deaths();
    for death in &deaths {
        let text = format!("its daemon died by itself: {}", death.how);
        recorder.record(What::Note(Note { node: death.node.to_string(), text, doubt: death.suspicious }));
    }
    deaths.into_iter().map(|death| death.node).collect()
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
