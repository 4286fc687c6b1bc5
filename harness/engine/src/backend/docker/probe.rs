//! What the Docker engine can do for clusters, found out by doing it: a network, a sidecar in it, a cut, and hearing of calls on
//! files.

use std::sync::Arc;

use super::engine::Engine;
use super::{Docker, Limits, Options, Reach, Way, images};
use crate::backend::sandbox::Capability;
use crate::backend::{Backend, BackendError, ShapedBy};
use crate::cluster::{Change, Desired, Endpoint, Node};
use crate::disk;
use crate::link::{Cut, Wrong};

/// Tries everything that a cluster in Docker needs. What it makes, it removes.
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
    let options = Options {
        nodes: 1,
        folder: std::env::temp_dir().join(format!("schism-doctor-{}", std::process::id())),
        image: own.clone(),
        own,
        client_ports: Vec::new(),
        reach: Reach::Found,
        limits: Limits { memory_bytes: 64 << 20, ..Limits::default() },
        cuts: Way::Best,
        shaped_by: ShapedBy::Best,
        capture: None,
        shapes: vec![Wrong::Rate(1_000_000)],
        raw_sockets: false,
        foreign_users: false,
        traces: false,
        disks: Vec::new(),
        seed: 0,
    };
    let folder = options.folder.clone();
    let heard = Options { disks: vec![disk::Wrong::Lie], ..options.clone() };
    let tried = one_node(&engine, options);
    let heard = tried.is_ok().then(|| one_that_is_heard(&engine, heard));
    // A temporary folder that is left is nobody's trouble.
    let _ = std::fs::remove_dir_all(folder);
    note(found, "docker network and cuts", true, tried.map(|how| ((), how)))?;
    heard.map_or(Ok(()), |heard| note(found, "docker broken disks", false, heard.map(|how| ((), how))))
}

fn one_node(engine: &Arc<Engine>, options: Options) -> Result<String, BackendError> {
    let mut cluster = Docker::create(Arc::clone(engine), options)?;
    let pair = (Endpoint::Clients, Endpoint::Node(Node(0)));
    cluster.apply(&Desired::of(&[Change::Link {
        from: pair.0,
        to: pair.1,
        wrong: Wrong::Cut(Cut::Drop),
    }]))?;
    let counted = cluster.observe()?.dropped.contains_key(&pair);
    let lacks = cluster.notes().join("; ");
    let mechanisms = cluster.mechanisms().join("; ");
    cluster.stop()?;
    let counts = if counted { "with a packet counter for each pair" } else { "without counters" };
    Ok(format!(
        "a sidecar with NET_ADMIN; {mechanisms} {counts}{}{lacks}",
        if lacks.is_empty() { "" } else { "; " }
    ))
}

/// Its sidecar tries what it takes at the start.
fn one_that_is_heard(engine: &Arc<Engine>, options: Options) -> Result<String, BackendError> {
    Docker::create(Arc::clone(engine), options)?.stop()?;
    Ok("a sidecar with SYS_PTRACE hears of a store's calls on files by seccomp; monotonic clocks go on through a reboot".into())
}

/// Writes down what an attempt found.
fn note<T>(
    found: &mut Vec<Capability>,
    name: &'static str,
    needed: bool,
    tried: Result<(T, String), BackendError>,
) -> Result<T, ()> {
    let (works, how, remedy, value) = match tried {
        Ok((value, how)) => (true, how, None, Ok(value)),
        Err(BackendError::Unsupported { problem, remedy }) => (false, problem, Some(remedy), Err(())),
        Err(error) => (false, error.to_string(), None, Err(())),
    };
    found.push(Capability { name, works, needed, how, remedy });
    value
}
