//! What the Docker engine can do for clusters, found out by doing it: each kind of fault is asked for, on a node that does nothing
//! else, and looked for where that takes no traffic: of other links and of ended connections it is seen only that the kernel does
//! not refuse them. Nodes are made with as few rights as the faults on them take.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::{Docker, IDLE, Image, LAUNCH_COMMAND, Limits, Options, Reach, Way, images};
use crate::backend::sandbox::Capability;
use crate::backend::{Backend, BackendError, ShapedBy};
use crate::clock::Skew;
use crate::cluster::{Change, Desired, Endpoint, Node, Observation, Program, Run};
use crate::disk;
use crate::link::{Cut, Delay, Wrong};
use crate::strain::{Name, Strain};

const NODE: Node = Node(0);
const HOUR_NS: i64 = 3_600_000_000_000;
/// How often something is looked for: an engine's machine may be busy.
const LOOKS: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(50);

/// What is tried on a node.
struct Trial {
    name: &'static str,
    /// Without it there are no clusters.
    needed: bool,
    how: String,
    changes: Vec<Change>,
    /// Whether it is there.
    seen: fn(&Observation) -> bool,
}

impl Trial {
    fn new(
        name: &'static str,
        how: impl Into<String>,
        changes: impl Into<Vec<Change>>,
        seen: fn(&Observation) -> bool,
    ) -> Self {
        Trial { name, needed: false, how: how.into(), changes: changes.into(), seen }
    }
}

/// Tries everything that a cluster in Docker needs, and each kind of fault. What it makes, it removes.
pub fn probe() -> Vec<Capability> {
    let mut found = Vec::new();
    // What comes after something that does not work is not tried.
    let _ = attempt(&mut found);
    found
}

fn attempt(found: &mut Vec<Capability>) -> Result<(), ()> {
    let connected = Engine::connect().map(|engine| {
        let how = format!("version {} at {}", engine.version(), engine.host());
        (engine, how)
    });
    let engine = Arc::new(note(found, "docker engine", true, connected)?);
    let own = images::own(&engine).map(|image| {
        let how = format!("{}, made from this program and its libraries", image.reference);
        (image, how)
    });
    let own = note(found, "docker image for sidecars", true, own)?;
    let folder = std::env::temp_dir().join(format!("schism-doctor-{}", std::process::id()));
    let plain = options(own, folder.clone());
    let traced = Options { raw_sockets: true, traces: true, ..plain.clone() };
    let heard = Options { disks: vec![disk::Wrong::Lie], ..plain.clone() };
    let shaped = Options { shapes: vec![Wrong::Rate(1_000_000)], ..plain.clone() };
    found.extend(on_a_node(&engine, plain, plain_trials));
    found.extend(on_a_node(&engine, shaped, shaped_trials));
    found.extend(on_a_node(&engine, traced, traced_trials));
    found.extend(on_a_node(&engine, heard, heard_trials));
    // A temporary folder that is left is nobody's trouble.
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}

fn options(own: Image, folder: PathBuf) -> Options {
    Options {
        nodes: 1,
        folder,
        image: own.clone(),
        own,
        client_ports: Vec::new(),
        reach: Reach::Found,
        limits: Limits { memory_bytes: 64 << 20, ..Limits::default() },
        cuts: Way::Best,
        shaped_by: ShapedBy::Best,
        capture: None,
        shapes: Vec::new(),
        raw_sockets: false,
        foreign_users: false,
        traces: false,
        disks: Vec::new(),
        seed: 0,
    }
}

fn link(wrong: Wrong) -> [Change; 1] {
    [Change::Link { from: Endpoint::Clients, to: Endpoint::Node(NODE), wrong }]
}

fn strain(strain: Strain) -> Change {
    Change::Strain { node: NODE, strain }
}

fn always(_: &Observation) -> bool {
    true
}

/// On a node whose sidecar may administer its network.
fn plain_trials(cluster: Option<&Docker>) -> Vec<Trial> {
    let told = |cluster: &Docker| [cluster.mechanisms(), cluster.notes()].concat().join("; ");
    let cut = |seen: &Observation| seen.dropped.contains_key(&(Endpoint::Clients, Endpoint::Node(NODE)));
    let stands = |seen: &Observation| seen.daemons[0].is_some_and(|daemon| daemon.stopped);
    let how = format!("a sidecar with NET_ADMIN; {}", cluster.map(told).unwrap_or_default());
    vec![
        Trial { needed: true, ..Trial::new("docker links", how, link(Wrong::Cut(Cut::Drop)), cut) },
        Trial::new(
            "docker refused links",
            "TCP reset or ICMP, chosen as cuts are",
            link(Wrong::Cut(Cut::Reset)),
            always,
        ),
        Trial::new(
            "docker ended connections",
            "SOCK_DESTROY of the kernel, in the node's own network",
            [strain(Strain::Disconnect(Duration::from_secs(1)))],
            always,
        ),
        Trial::new(
            "docker signals",
            "of the node's sidecar, which is the first of its processes",
            [Change::Run { node: NODE, run: Run::Paused }],
            stands,
        ),
    ]
}

/// On a node whose sidecar has seen that it can shape links.
fn shaped_trials(cluster: Option<&Docker>) -> Vec<Trial> {
    let how = cluster.and_then(|cluster| cluster.mechanisms().last().cloned()).unwrap_or_default();
    let slow = Delay { mean: Duration::from_millis(1), ..Delay::default() };
    vec![Trial::new("docker shaped links", how, link(Wrong::Delay(slow)), always)]
}

/// On a node whose sidecar may look into and hold its processes, and send packets by a raw socket.
fn traced_trials(_: Option<&Docker>) -> Vec<Trial> {
    let held = |seen: &Observation| {
        let thread = seen.daemons[0].and_then(|daemon| daemon.strained.thread);
        thread.is_some_and(|thread| thread.stopped)
    };
    let limited = |seen: &Observation| {
        let strained = seen.daemons[0].map(|daemon| daemon.strained);
        strained.is_some_and(|one| one.memory.is_some() && one.files.is_some())
    };
    let ahead = |seen: &Observation| {
        let clock = seen.daemons[0].and_then(|daemon| daemon.clock);
        clock.is_some_and(|clock| (clock.ahead_ns - HOUR_NS).abs() < HOUR_NS / 2)
    };
    vec![
        Trial::new(
            "docker swallowed bytes",
            "a sidecar with NET_RAW; both ends of such connections are reset at the end",
            link(Wrong::Cut(Cut::Swallow)),
            always,
        ),
        Trial::new(
            "docker threads held",
            "ptrace, by a sidecar with SYS_PTRACE; they go on when it dies",
            [strain(Strain::Thread(Name::default()))],
            held,
        ),
        Trial::new(
            "docker limits",
            "soft ones of running processes (prlimit), by a sidecar with SYS_PTRACE",
            [strain(Strain::Memory(0)), strain(Strain::Files(0))],
            limited,
        ),
        Trial::new(
            "docker skewed clocks",
            "a patch of each process's vDSO, by a sidecar with SYS_PTRACE; ends by its lease",
            [Change::Clock { node: NODE, skew: Skew::Jump(HOUR_NS) }],
            ahead,
        ),
    ]
}

/// On a node whose calls on files are heard of.
fn heard_trials(_: Option<&Docker>) -> Vec<Trial> {
    let how = "a sidecar with SYS_PTRACE hears of a store's calls on files by seccomp; monotonic clocks go on through a reboot";
    let lies = Change::Disk { node: NODE, wrong: disk::Wrong::Lie };
    let lied = |seen: &Observation| seen.disks[0].lied > 0;
    vec![Trial::new("docker broken disks", how, [lies], lied)]
}

/// Makes a node, tries each thing on it, and removes it. If there can be no such node, none of them works.
fn on_a_node(
    engine: &Arc<Engine>,
    options: Options,
    trials: fn(Option<&Docker>) -> Vec<Trial>,
) -> Vec<Capability> {
    let idle = [LAUNCH_COMMAND, IDLE].map(str::to_owned).to_vec();
    let made = Docker::create(Arc::clone(engine), options).and_then(|mut cluster| {
        cluster.start(NODE, Program { arguments: idle, ..Program::default() }).map(|()| cluster)
    });
    match made {
        Ok(mut cluster) => {
            let mut tried: Vec<_> =
                trials(Some(&cluster)).into_iter().map(|trial| tried(&mut cluster, trial)).collect();
            if let (Err(error), Some(last)) = (cluster.stop(), tried.last_mut()) {
                *last = capability(last.name, last.needed, Err(error));
            }
            tried
        }
        Err(error) => {
            let (how, remedy) = words(error);
            let fails = |trial: Trial| Capability {
                name: trial.name,
                works: false,
                needed: trial.needed,
                how: how.clone(),
                remedy: remedy.clone(),
            };
            trials(None).into_iter().map(fails).collect()
        }
    }
}

/// Asks for it, looks for it, and takes it back.
fn tried(cluster: &mut Docker, trial: Trial) -> Capability {
    let Trial { name, needed, how, changes, seen } = trial;
    let mut look = || {
        cluster.apply(&Desired::of(&changes))?;
        let mut there = false;
        for look in 0..LOOKS {
            if look > 0 {
                std::thread::sleep(BETWEEN);
            }
            there = seen(&cluster.observe()?);
            if there {
                break;
            }
        }
        Ok(there)
    };
    let looked = look();
    let result = match (looked, cluster.apply(&Desired::default())) {
        (Ok(true), Ok(())) => Ok(how),
        (Ok(false), Ok(())) => Err(BackendError::Node {
            node: NODE,
            problem: "it was asked for, and nothing was to be seen of it".into(),
        }),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    capability(name, needed, result)
}

/// Writes down what an attempt found.
fn note<T>(
    found: &mut Vec<Capability>,
    name: &'static str,
    needed: bool,
    tried: Result<(T, String), BackendError>,
) -> Result<T, ()> {
    let (value, tried) = match tried {
        Ok((value, how)) => (Ok(value), Ok(how)),
        Err(error) => (Err(()), Err(error)),
    };
    found.push(capability(name, needed, tried));
    value
}

fn capability(name: &'static str, needed: bool, tried: Result<String, BackendError>) -> Capability {
    match tried {
        Ok(how) => Capability { name, works: true, needed, how, remedy: None },
        Err(error) => {
            let (how, remedy) = words(error);
            Capability { name, works: false, needed, how, remedy }
        }
    }
}

/// What is said of an error, and what to do about it.
fn words(error: BackendError) -> (String, Option<String>) {
    match error {
        BackendError::Unsupported { problem, remedy } => (problem, Some(remedy)),
        error => (error.to_string(), None),
    }
}
