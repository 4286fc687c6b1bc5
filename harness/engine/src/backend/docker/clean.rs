//! Takes down what runs have made in an engine, found by its labels: at a run's own end, and after a controller that was
//! killed.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptions, ListImagesOptions, ListNetworksOptions, ListVolumesOptions,
    RemoveContainerOptions, RemoveImageOptions, RemoveVolumeOptions,
};
use futures_util::future::join_all;

use super::engine::Engine;
use super::labels::{Alive, Controller, KIND, RUN};
use crate::backend::BackendError;

/// How long an engine may take to remove what it was asked to.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often that is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// Images younger than this are left alone.
const YOUNG_SECONDS: i64 = 3600;

/// What a clean found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Runs whose controller is dead: all of theirs is removed.
    pub removed: Vec<Left>,
    /// Runs whose controller lives, or is on another machine: left alone, each with why.
    pub kept: Vec<(String, String)>,
    /// Images of our own program as it once was: removed.
    pub programs: usize,
}

/// What a run has left in an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The run's id.
    pub run: String,
    /// The names of its containers.
    pub containers: Vec<String>,
    /// The names of its volumes.
    pub volumes: Vec<String>,
    /// The names of its networks.
    pub networks: Vec<String>,
}

/// Removes what dead controllers have left.
///
/// # Errors
/// When the engine refuses or something cannot be removed.
pub fn clean(engine: &Engine) -> Result<Cleaned, BackendError> {
    let mut cleaned = Cleaned::default();
    for (run, controller) in runs(engine)? {
        match controller.as_ref().map_or(Alive::No, Controller::alive) {
            Alive::No => cleaned.removed.push(remove(engine, &run)?),
            alive => {
                let who = controller.map(|one| one.shown()).unwrap_or_default();
                let why = if alive == Alive::Yes { "is still at it" } else { "can only be seen there" };
                cleaned.kept.push((run, format!("{who} {why}")));
            }
        }
    }
    cleaned.programs = forget_programs(engine)?;
    Ok(cleaned)
}

/// Every run that has something in the engine, and who controls it.
fn runs(engine: &Engine) -> Result<BTreeMap<String, Option<Controller>>, BackendError> {
    let docker = engine.docker();
    let filters = filter(RUN);
    let (containers, volumes, networks) = engine.ask("looking for what runs have left", async {
        let options = ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
        let containers = docker.list_containers(Some(options)).await?;
        let volumes = docker.list_volumes(Some(ListVolumesOptions { filters: filters.clone() })).await?;
        let networks = docker.list_networks(Some(ListNetworksOptions { filters: filters.clone() })).await?;
        Ok((containers, volumes, networks))
    })?;
    let labels = containers.into_iter().filter_map(|one| one.labels);
    let labels = labels.chain(volumes.volumes.into_iter().flatten().map(|one| one.labels));
    let labels = labels.chain(networks.into_iter().filter_map(|one| one.labels));
    Ok(labels.filter_map(|labels| Some((labels.get(RUN)?.clone(), Controller::of(&labels)))).collect())
}

fn filter(label: &str) -> Option<HashMap<String, Vec<String>>> {
    Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])]))
}

/// Removes everything of a run, and returns when the engine says that it is gone.
///
/// # Errors
/// When the engine refuses, or something is still there after a while.
pub(super) fn remove(engine: &Engine, run: &str) -> Result<Left, BackendError> {
    let docker = engine.docker();
    let filters = filter(&format!("{RUN}={run}"));
    let mut left = Left { run: run.into(), ..Left::default() };
    let begun = Instant::now();
    loop {
        let options = ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
        let there = engine.ask("listing containers", docker.list_containers(Some(options)))?;
        if there.is_empty() {
            break;
        }
        if begun.elapsed() > PATIENCE {
            let stuck = format!("{} containers of run {run} are still there", there.len());
            return Err(BackendError::Unsupported {
                problem: format!("removing containers: {stuck} after {} s", PATIENCE.as_secs()),
                remedy: "`schism clean` tries again; if it does not help, restart the docker engine".into(),
            });
        }
        let name = |one: &bollard::models::ContainerSummary| {
            one.names.iter().flatten().next().or(one.id.as_ref()).cloned().unwrap_or_default()
        };
        let mut names: Vec<String> = there.iter().map(|one| name(one).trim_matches('/').to_owned()).collect();
        names.sort();
        if left.containers.is_empty() {
            left.containers.clone_from(&names);
        }
        let removals = names.iter().map(|name| {
            let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
            docker.remove_container(name, Some(options))
        });
        engine
            .run(join_all(removals))
            .into_iter()
            .try_for_each(|removed| tolerate(engine, "a container", removed))?;
        std::thread::sleep(GLANCE);
    }
    let options = ListVolumesOptions { filters: filters.clone() };
    for volume in
        engine.ask("listing volumes", docker.list_volumes(Some(options)))?.volumes.into_iter().flatten()
    {
        let removed =
            engine.run(docker.remove_volume(&volume.name, Some(RemoveVolumeOptions { force: true })));
        tolerate(engine, "a volume", removed)?;
        left.volumes.push(volume.name);
    }
    let options = ListNetworksOptions { filters };
    for network in engine.ask("listing networks", docker.list_networks(Some(options)))? {
        let name = network.name.unwrap_or_default();
        tolerate(engine, "a network", engine.run(docker.remove_network(&name)))?;
        left.networks.push(name);
    }
    Ok(left)
}

/// Somebody else's having removed it, or being about to, is as good.
fn tolerate(engine: &Engine, what: &str, removed: Result<(), Error>) -> Result<(), BackendError> {
    match removed {
        Ok(()) | Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        Err(error) => Err(engine.refused(&format!("removing {what}"), error)),
    }
}

/// Removes images of our program that nobody uses: every build of it leaves one. Not the youngest: a run that is about to
/// begin may have made it.
fn forget_programs(engine: &Engine) -> Result<usize, BackendError> {
    let docker = engine.docker();
    let options = ListImagesOptions { filters: filter(&format!("{KIND}=program")), ..Default::default() };
    let images = engine.ask("listing images", docker.list_images(Some(options)))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    let old = images.iter().filter(|image| now - image.created > YOUNG_SECONDS);
    let removals = old.map(|image| docker.remove_image(&image.id, None::<RemoveImageOptions>, None));
    // One in use is kept by the engine, which is what is wanted.
    Ok(engine.run(join_all(removals)).into_iter().filter(Result::is_ok).count())
}
