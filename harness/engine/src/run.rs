//! One run, start to end: cluster, clients and nemesis, history. What the history proves is for others to say.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use schism_history::{Note, What};
use thiserror::Error;

use crate::backend::{Backend, BackendError};
use crate::cluster::{Node, NodeSpec};
use crate::disruption::{Disruption, Scheduled, note_deaths};
use crate::generator::{Generator, Rate, Stagger, TimeLimit};
use crate::interpreter::Clients;
use crate::live::Live;
use crate::nemesis::Nemesis;
use crate::plan::{Plan, Timetable};
use crate::random::Random;
use crate::ready::Ready;
use crate::recorder::{RecordError, Recorder};
use crate::stop::Stop;
use crate::target::Target;
use crate::workload::Workload;

/// How long a node may take to answer when asked how it is.
const HEALTH: Duration = Duration::from_millis(500);

/// How often it is asked while it is not ready.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How many lines of a node's log an error shows.
const LOG_LINES: usize = 12;

/// The living parts of a plan.
pub struct Parts {
    /// What is tested.
    pub target: Box<dyn Target>,
    /// What clients do.
    pub workload: Workload,
    /// What goes wrong, in the order of [`Plan::strikes`].
    pub nemeses: Vec<Box<dyn Nemesis>>,
    /// Where the cluster runs.
    pub backend: Box<dyn Backend>,
}

/// Why a run could not be carried out. Never a finding about the target.
#[derive(Debug, Error)]
pub enum RunError {
    /// The backend could not do it.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The history could not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A node did not get ready.
    #[error("{node} is not ready after {} s: {why}", limit.as_secs_f64())]
    NotReady {
        /// Which.
        node: Node,
        /// How long it had.
        limit: Duration,
        /// What it said last.
        why: String,
        /// The last lines of its log.
        log: String,
    },
    /// A node's daemon ended before anything was asked of it.
    #[error("{node} did not start: its daemon {how}")]
    Died {
        /// Which.
        node: Node,
        /// How it ended.
        how: String,
        /// The last lines of its log.
        log: String,
    },
}

/// Carries a plan out and records it at `history`, which must not exist yet. Asked to stop, it heals, takes everything
/// down and leaves what was recorded until then.
///
/// # Errors
/// When the harness could not do its work. Everything is taken down all the same, and what was recorded stays.
pub fn run(plan: &Plan, parts: Parts, history: &Path, live: &Live, stop: &Stop) -> Result<(), RunError> {
    let Parts { target, workload, nemeses, mut backend } = parts;
    let recorder = Recorder::create(history)?;
    let conducted = conduct(plan, &*target, workload, nemeses, &mut *backend, &recorder, live, stop);
    live.phase("stop", None);
    let stopped = backend.stop();
    recorder.finish()?;
    conducted?;
    Ok(stopped?)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a run, taken apart at the one place that calls this"
)]
fn conduct(
    plan: &Plan,
    target: &dyn Target,
    workload: Workload,
    nemeses: Vec<Box<dyn Nemesis>>,
    backend: &mut dyn Backend,
    recorder: &Recorder,
    live: &Live,
    stop: &Stop,
) -> Result<(), RunError> {
    let phase = |name: &'static str, limit: Option<Duration>| {
        recorder.record(What::Phase(name.into()));
        live.phase(name, limit.map(|limit| Instant::now() + limit));
    };
    let specs: Vec<NodeSpec> = backend.nodes().to_vec();
    let names: Vec<String> = specs.iter().map(|spec| spec.node.to_string()).collect();
    let network = backend.client_network();
    let choices = plan.choices();
    let connect = |node: usize| target.client(&specs[node], &choices);
    let mut clients =
        Clients::new(plan.concurrency, &names, &connect, &*network, plan.timeout, recorder, live, stop);
    clients.roam = plan.roam;

    phase("start", Some(plan.start_limit));
    start(plan, target, &specs, backend)?;
    await_start(plan, target, &specs, backend, stop)?;

    phase("load", Some(plan.time_limit));
    let load = paced(plan, workload.load);
    under_faults(plan, target, nemeses, backend, recorder, live, stop, || {
        clients.carry_out(load, Random::of(plan.seed, "load"))
    })?;

    phase("recover", Some(plan.recovery_limit));
    await_recovery(plan, target, &specs, backend, recorder, stop)?;

    phase("final", None);
    // In the end every node is asked.
    clients.roam = 0;
    clients.carry_out(workload.finale, Random::of(plan.seed, "final"))?;
    note_deaths(backend, recorder);
    if !stop.requested() {
        phase("end", None);
    }
    Ok(())
}

/// Starts every node's daemon.
fn start(
    plan: &Plan,
    target: &dyn Target,
    specs: &[NodeSpec],
    backend: &mut dyn Backend,
) -> Result<(), RunError> {
    let choices = plan.choices();
    for spec in specs {
        backend.start(spec.node, target.program(spec, specs, &choices))?;
    }
    Ok(())
}

/// The plan's rate and time limit around a workload's load.
fn paced(plan: &Plan, load: Box<dyn Generator>) -> Box<dyn Generator> {
    match (plan.rate > 0.0, plan.stagger) {
        (false, _) => Box::new(TimeLimit::new(plan.time_limit, load)),
        (true, true) => Box::new(TimeLimit::new(plan.time_limit, Stagger::new(plan.rate, load))),
        (true, false) => Box::new(TimeLimit::new(plan.time_limit, Rate::new(plan.rate, load))),
    }
}

/// Does the clients' work while the nemeses do theirs. Healed when it returns.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a run, taken apart at the one place that calls this"
)]
fn under_faults(
    plan: &Plan,
    target: &dyn Target,
    nemeses: Vec<Box<dyn Nemesis>>,
    backend: &mut dyn Backend,
    recorder: &Recorder,
    live: &Live,
    stop: &Stop,
    work: impl FnOnce() -> Result<(), BackendError>,
) -> Result<(), RunError> {
    let scheduled: Vec<Scheduled> = plan
        .timetables()
        .into_iter()
        .zip(nemeses)
        .enumerate()
        .map(|(at, (Timetable { windows, random }, nemesis))| {
            let scripted = at >= plan.nemeses.len();
            Scheduled { nemesis, random, windows, scripted }
        })
        .collect();
    let over = Stop::default();
    let choices = plan.choices();
    let (worked, disrupted) = std::thread::scope(|scope| {
        let (over, choices) = (&over, &choices);
        let disruption = scope.spawn(move || {
            // Whatever ends the faults early also ends the load: a run without its faults proves nothing.
            Disruption::new(backend, target, recorder, live, choices, plan.broken_max)
                .follow(scheduled, over)
                .inspect_err(|_| stop.request())
        });
        let worked = work();
        over.request();
        (worked, disruption.join().expect("the disruption does not panic"))
    });
    disrupted?;
    Ok(worked?)
}

/// Waits until every node is ready. A node that dies before that ends the run at once.
fn await_start(
    plan: &Plan,
    target: &dyn Target,
    specs: &[NodeSpec],
    backend: &mut dyn Backend,
    stop: &Stop,
) -> Result<(), RunError> {
    let (deadline, ready) = (Instant::now() + plan.start_limit, plan.ready());
    while let Some((node, why)) = first_unready(target, specs, backend, &ready)? {
        if let Some(death) = backend.deaths().into_iter().next() {
            let log = log_tail(&backend.log(death.node));
            return Err(RunError::Died { node: death.node, how: death.how, log });
        }
        if Instant::now() >= deadline {
            let log = log_tail(&backend.log(node));
            return Err(RunError::NotReady { node, limit: plan.start_limit, why, log });
        }
        if !stop.sleep_until(Instant::now() + ASK_AGAIN) {
            break;
        }
    }
    Ok(())
}

/// Waits until every node is ready again. One that is not in time is written down as a doubt; the final phase is still
/// tried, since what the others say may be telling enough. One whose files were changed and that does not run any more may
/// be right: it has noticed, and the others go on without it.
fn await_recovery(
    plan: &Plan,
    target: &dyn Target,
    specs: &[NodeSpec],
    backend: &mut dyn Backend,
    recorder: &Recorder,
    stop: &Stop,
) -> Result<(), RunError> {
    let (deadline, ready) = (Instant::now() + plan.recovery_limit, plan.ready());
    let mut dead = BTreeSet::new();
    let mut specs = specs.to_vec();
    while let Some((node, why)) = first_unready(target, &specs, backend, &ready)? {
        dead.extend(note_deaths(backend, recorder));
        if refuses(backend, node)? {
            let text = "it does not run after its files were changed; the others go on without it".into();
            recorder.record(What::Note(Note { node: node.to_string(), text, doubt: false }));
            specs.retain(|spec| spec.node != node);
            continue;
        }
        if Instant::now() >= deadline || dead.contains(&node) {
            let limit = plan.recovery_limit.as_secs_f64();
            let text = format!("it was not ready again within {limit} s after all faults were healed: {why}");
            recorder.record(What::Note(Note { node: node.to_string(), text, doubt: true }));
            break;
        }
        if !stop.sleep_until(Instant::now() + ASK_AGAIN) {
            break;
        }
    }
    Ok(())
}

/// Whether a node is down by its own decision, after its files were changed behind its back.
fn refuses(backend: &mut dyn Backend, node: Node) -> Result<bool, BackendError> {
    let seen = backend.observe()?;
    let changed = seen.disks.get(node.0).is_some_and(|work| work.edits > 0);
    Ok(changed && seen.daemons.get(node.0).is_none_or(Option::is_none))
}

/// The first node that is not ready, and what it said.
fn first_unready(
    target: &dyn Target,
    specs: &[NodeSpec],
    backend: &mut dyn Backend,
    ready: &Ready,
) -> Result<Option<(Node, String)>, BackendError> {
    for spec in specs {
        if let Some(Err(why)) = ready.at_backend(spec, backend)? {
            return Ok(Some((spec.node, why)));
        }
    }
    let network = backend.client_network();
    std::thread::scope(|scope| {
        let asked: Vec<_> = specs
            .iter()
            .map(|spec| {
                let network = &network;
                scope.spawn(move || {
                    network.enter()?;
                    if *ready != Ready::Health {
                        let asked = ready.over_network(spec, HEALTH).unwrap_or(Ok(()));
                        return Ok(asked.err().map(|why| (spec.node, why)));
                    }
                    Ok(match target.health(spec, HEALTH) {
                        Ok(health) if health.ready => None,
                        Ok(_) => Some((spec.node, "it answers, but would not take calls yet".to_string())),
                        Err(why) => Some((spec.node, why)),
                    })
                })
            })
            .collect();
        let answers: Result<Vec<_>, BackendError> =
            asked.into_iter().map(|thread| thread.join().expect("asking does not panic")).collect();
        Ok(answers?.into_iter().flatten().next())
    })
}

/// The last lines of a log, for an error.
pub fn log_tail(path: &Path) -> String {
    const BYTES: u64 = 8192;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
