//! A plan's cluster: what it needs from this machine, looked for before anything is begun, and then the cluster itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schism_engine::backend::docker::{self, Docker, Engine};
use schism_engine::backend::sandbox::{self, Fabric, Sandbox};
use schism_engine::backend::{Backend, BackendError, Capture};
use schism_engine::disk;
use schism_engine::link::Wrong;
use schism_engine::plan::Plan;
use schism_engine::target::Target;

use crate::backends::{self, DOCKER};
use crate::failure::Failure;
use crate::version;

/// What a plan's cluster needs, found.
pub struct Ground {
    /// What will run, in lines for `plan.toml`.
    pub runs: Vec<String>,
    place: Place,
}

enum Place {
    Sandbox(Fabric),
    Docker { engine: Arc<Engine>, image: Box<docker::Image>, own: Box<docker::Image>, ports: &'static [u16] },
}

/// Finds it. In the sandbox this has to come before any thread is started. What a plan leaves to us is chosen, and then
/// stands in it.
pub fn prepare(plan: &mut Plan, target: &dyn Target) -> Result<Ground, Failure> {
    if plan.backend.name == DOCKER { in_docker(plan, target) } else { in_sandbox(plan, target) }
}

fn in_sandbox(plan: &Plan, target: &dyn Target) -> Result<Ground, Failure> {
    let program = target
        .executable(&plan.choices())
        .map_err(|missing| Failure::harness(missing.what, missing.remedy))?;
    let says =
        |program: &Path| version::said_by(program, target.version_arguments()?).map_or_else(Some, Some);
    let version = program.as_deref().and_then(says);
    let fabric = sandbox::enter()?;
    let named = |program: PathBuf| format!("{}: {}", program.display(), checksum(&program));
    let version = version.map(|said| format!("it says of itself: {said}"));
    let runs = program.map(named).into_iter().chain(version).collect();
    Ok(Ground { runs, place: Place::Sandbox(fabric) })
}

fn in_docker(plan: &mut Plan, target: &dyn Target) -> Result<Ground, Failure> {
    let Some(image) = target.image() else {
        let problem = format!("target {} cannot run in docker: it names no image", target.name());
        return Err(Failure::usage(problem, "choose `--backend sandbox`"));
    };
    let engine = Arc::new(Engine::connect()?);
    let own = docker::own(&engine)?;
    let ports = image.client_ports;
    let mut runs = vec![format!("docker engine {} at {}", engine.version(), engine.host())];
    let image = match image.store {
        None => own.clone(),
        Some(store) => {
            let wanted = plan.target.settings.get("image").map(String::as_str);
            let image = docker::store(&engine, target.name(), &store, wanted)?;
            if wanted.is_none() {
                eprintln!("note: image {}: the one at hand", image.reference);
                plan.target.settings.insert("image".into(), image.choice.clone());
            }
            runs.push(format!("image {}: {}", image.reference, image.digest));
            if let Some(arguments) = target.version_arguments() {
                runs.push(format!("it says of itself: {}", docker::version(&engine, &image, arguments)?));
            }
            image
        }
    };
    Ok(Ground { runs, place: Place::Docker { engine, image: image.into(), own: own.into(), ports } })
}

/// A cluster that no store runs in yet.
pub struct Made {
    /// It.
    pub cluster: Box<dyn Backend>,
    /// By what its links are cut and shaped, one sentence each.
    pub mechanisms: Vec<String>,
    /// Where its packets are captured, if they are.
    pub capture: Option<Capture>,
}

/// What a plan does to links besides cutting them.
fn shapes(plan: &Plan) -> Vec<Wrong> {
    plan.strikes().flat_map(|one| schism_nemeses::shapes(&one.name, &one.settings)).collect()
}

/// What a plan does to disks.
fn disks(plan: &Plan) -> Vec<disk::Wrong> {
    plan.strikes().flat_map(|one| schism_nemeses::disks(&one.name, &one.settings)).collect()
}

impl Ground {
    /// Makes the cluster, and tells by what its links are cut and shaped. No store runs yet.
    pub fn cluster(self, plan: &Plan, folder: &Path) -> Result<Made, BackendError> {
        let (shaped_by, shapes) = (backends::shaped_by(&plan.backend), shapes(plan));
        let capture = backends::capture(&plan.backend, folder);
        let note = |notes: &[String]| notes.iter().for_each(|note| eprintln!("note: {note}"));
        match self.place {
            Place::Sandbox(fabric) => {
                let options = sandbox::Options {
                    nodes: plan.nodes,
                    folder: folder.into(),
                    run: std::process::id().to_string(),
                    seed: plan.seed,
                    shaped_by,
                    capture: capture.clone(),
                    shapes,
                    disks: disks(plan),
                    skews: plan.strikes().any(|one| schism_nemeses::skews(&one.name, &one.settings)),
                    skewed_by: backends::skewed_by(&plan.backend),
                    fast_heal: false,
                };
                let cluster = Sandbox::create(&fabric, &options)?;
                note(cluster.notes());
                let mechanisms = cluster.mechanisms().to_vec();
                Ok(Made { cluster: Box::new(cluster), mechanisms, capture })
            }
            Place::Docker { engine, image, own, ports } => {
                let options = docker::Options {
                    nodes: plan.nodes,
                    folder: folder.into(),
                    image: *image,
                    own: *own,
                    client_ports: ports.to_vec(),
                    reach: backends::reach(&plan.backend),
                    limits: backends::limits(&plan.backend),
                    cuts: backends::cuts(&plan.backend),
                    shaped_by,
                    capture: capture.clone(),
                    shapes,
                    raw_sockets: plan
                        .strikes()
                        .any(|one| schism_nemeses::sends_packets(&one.name, &one.settings)),
                    traces: plan.strikes().any(|one| schism_nemeses::traces(&one.name, &one.settings)),
                    disks: disks(plan),
                    foreign_users: plan.backend.settings.get("foreign-users").is_some_and(|is| is == "true"),
                    seed: plan.seed,
                };
                let cluster = Docker::create(engine, options)?;
                note(cluster.notes());
                let mechanisms = cluster.mechanisms().to_vec();
                Ok(Made { cluster: Box::new(cluster), mechanisms, capture })
            }
        }
    }
}

/// A file's size and checksum.
pub fn checksum(program: &Path) -> String {
    match std::fs::read(program) {
        Ok(bytes) => format!("{} bytes, crc32 {:08x}", bytes.len(), crc32fast::hash(&bytes)),
        Err(error) => format!("not read: {error}"),
    }
}
