//! Images: our own program's, a store's official one, and those that we build from Debian's packages where no registry
//! answers.
//!
//! An image is resolved once, before anything is started, and from then on named by its id, so that all nodes of a run, and
//! all restarts, run the same.

use std::collections::HashMap;
use std::io::Read;
use std::process::{Command, Stdio};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    BuildImageOptions, CreateImageOptions, LogsOptions, RemoveContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;

use super::engine::Engine;
use super::labels::{Controller, KIND};
use super::own::{Packed, pack};
use crate::backend::BackendError;
use crate::target::StoreImage;

/// What Dockerfiles of ours build on, in the engine's own words.
const BASE: &str = "debian:bookworm-slim";
/// The same, made here. Under a name of its own: it does not claim to be what a registry would have given.
const OWN_BASE: &str = "schism/base:bookworm";
/// The word in plans for a target's official image.
pub const OFFICIAL: &str = "official";
/// The word in plans for an image built by us from Debian's packages.
pub const DEBIAN: &str = "debian";

/// An image that is at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What a plan calls it.
    pub choice: String,
    /// What it is called in the engine.
    pub reference: String,
    /// Its digest in the registry it came from, or else its id.
    pub digest: String,
    /// Its id in the engine.
    pub id: String,
    /// The program in it, and the words before that program's own arguments.
    pub entrypoint: Vec<String>,
    /// Whether programs in it are started as root.
    pub runs_as_root: bool,
}

/// The image of our own running program. Made unless it is there already.
///
/// # Errors
/// When the program cannot be read or the engine does not take it.
pub fn own(engine: &Engine) -> Result<Image, BackendError> {
    let Packed { tar, entrypoint } = pack().map_err(BackendError::system("packing our own program"))?;
    let reference = format!("schism/program:{:08x}-{}", crc32fast::hash(&tar), tar.len());
    if at_hand(engine, &reference)?.is_none() {
        import(engine, &reference, "program", tar)?;
    }
    chosen(engine, "own", &reference, entrypoint)
}

/// The image of a store that a plan wants: `official`, `debian`, or any name of an image. Where it wants none, the official
/// one if it is at hand, then the one built by us, then whatever a registry has for official.
///
/// # Errors
/// `Unsupported`, with what would bring it, when it is not at hand and cannot be pulled.
pub fn store(
    engine: &Engine,
    target: &str,
    image: &StoreImage,
    wanted: Option<&str>,
) -> Result<Image, BackendError> {
    let built = built_tag(target);
    let choice = match wanted {
        Some(choice) => choice,
        None if at_hand(engine, image.official)?.is_some() => OFFICIAL,
        None if at_hand(engine, &built)?.is_some() => DEBIAN,
        None => OFFICIAL,
    };
    let reference = match choice {
        OFFICIAL => image.official,
        DEBIAN => &built,
        other => other,
    };
    if at_hand(engine, reference)?.is_none() {
        let remedy = format!(
            "`schism images build {target}` builds one from Debian's packages, `--set target.image={DEBIAN}` uses it, \
             and `--set target.image=NAME` any other"
        );
        let missing = |why: String| BackendError::Unsupported {
            problem: format!("there is no image {reference} in the docker engine{why}"),
            remedy: remedy.clone(),
        };
        if choice == DEBIAN {
            return Err(missing(String::new()));
        }
        pull(engine, reference)
            .map_err(|error| missing(format!(", and it cannot be pulled: {}", said(&error))))?;
    }
    chosen(engine, choice, reference, vec![image.program.into()])
}

/// What an error says without our own words around it.
fn said(error: &BackendError) -> String {
    match error {
        BackendError::System { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// The name of the image that we build of a target.
pub fn built_tag(target: &str) -> String {
    format!("schism/{target}:{DEBIAN}")
}

fn chosen(
    engine: &Engine,
    choice: &str,
    reference: &str,
    entrypoint: Vec<String>,
) -> Result<Image, BackendError> {
    let found =
        engine.ask(&format!("looking at image {reference}"), engine.docker().inspect_image(reference))?;
    let id = found.id.unwrap_or_default();
    let digest = found.repo_digests.into_iter().flatten().next().unwrap_or_else(|| id.clone());
    let user = found.config.and_then(|config| config.user).unwrap_or_default();
    let runs_as_root = matches!(user.split(':').next(), None | Some("" | "0" | "root"));
    Ok(Image { choice: choice.into(), reference: reference.into(), digest, id, entrypoint, runs_as_root })
}

/// The id of an image, if it is at hand.
///
/// # Errors
/// When the engine does not tell.
pub fn at_hand(engine: &Engine, reference: &str) -> Result<Option<String>, BackendError> {
    match engine.run(engine.docker().inspect_image(reference)) {
        Ok(found) => Ok(Some(found.id.unwrap_or_default())),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(engine.refused(&format!("looking for image {reference}"), error)),
    }
}

fn pull(engine: &Engine, reference: &str) -> Result<(), BackendError> {
    let named = reference.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    // Without a tag an engine would pull every one there is.
    let from = if named { reference.to_owned() } else { format!("{reference}:latest") };
    let options = CreateImageOptions { from_image: Some(from), ..CreateImageOptions::default() };
    let mut steps = engine.docker().create_image(Some(options), None, None);
    engine.ask(&format!("pulling image {reference}"), async {
        while let Some(step) = steps.next().await {
            step?;
        }
        Ok(())
    })
}

/// Makes an image of the archive of a root.
fn import(engine: &Engine, reference: &str, kind: &str, tar: Vec<u8>) -> Result<(), BackendError> {
    let (repo, tag) = reference.split_once(':').expect("our own names have tags");
    let options = CreateImageOptions {
        from_src: Some("-".into()),
        repo: Some(repo.into()),
        tag: Some(tag.into()),
        changes: vec![format!("LABEL {KIND}={kind}")],
        ..CreateImageOptions::default()
    };
    let body = bollard::body_full(tar.into());
    let mut steps = engine.docker().create_image(Some(options), Some(body), None);
    engine.ask(&format!("making image {reference}"), async {
        while let Some(step) = steps.next().await {
            step?;
        }
        Ok(())
    })
}

/// Builds the image of a target from its Dockerfile, on a base that is made here if no registry has it. What the engine
/// says meanwhile goes to `tell`.
///
/// # Errors
/// When it cannot be built: the engine's last words.
pub fn build(
    engine: &Engine,
    target: &str,
    dockerfile: &str,
    tell: &mut dyn FnMut(&str),
) -> Result<Image, BackendError> {
    let base = base(engine, tell)?;
    let mut context = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    let packed = context.append_data(&mut header, "Dockerfile", dockerfile.as_bytes());
    let packed = packed.and_then(|()| context.into_inner());
    let packed = packed.map_err(BackendError::system("packing a build's context"))?;
    let reference = built_tag(target);
    let options = BuildImageOptions {
        dockerfile: "Dockerfile".into(),
        t: Some(reference.clone()),
        rm: true,
        forcerm: true,
        buildargs: Some(HashMap::from([("BASE".into(), base)])),
        labels: Some(HashMap::from([(KIND.into(), "store".into())])),
        ..BuildImageOptions::default()
    };
    let mut steps = engine.docker().build_image(options, None, Some(bollard::body_full(packed.into())));
    engine.ask(&format!("building image {reference}"), async {
        while let Some(step) = steps.next().await {
            let step = step?;
            if let Some(message) = step.error_detail.and_then(|detail| detail.message) {
                return Err(bollard::errors::Error::DockerStreamError { error: message });
            }
            for line in
                step.stream.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty())
            {
                tell(line);
            }
        }
        Ok(())
    })?;
    chosen(engine, DEBIAN, &reference, Vec::new())
}

/// What to build on: from the engine, from a registry, or made here from Debian's packages.
fn base(engine: &Engine, tell: &mut dyn FnMut(&str)) -> Result<String, BackendError> {
    for reference in [BASE, OWN_BASE] {
        if at_hand(engine, reference)?.is_some() {
            return Ok(reference.into());
        }
    }
    tell(&format!("pulling {BASE}"));
    let Err(refused) = pull(engine, BASE) else { return Ok(BASE.into()) };
    tell(&format!("no registry has {BASE} for us ({}): making {OWN_BASE} with mmdebstrap", said(&refused)));
    let tar = debootstrapped().map_err(|why| BackendError::Unsupported {
        problem: format!("{BASE} cannot be pulled ({}), nor made here: {why}", said(&refused)),
        remedy: "`apt-get install mmdebstrap`, or let the engine reach a registry".into(),
    })?;
    import(engine, OWN_BASE, "base", tar)?;
    Ok(OWN_BASE.into())
}

/// The root of a small Debian, as an archive.
fn debootstrapped() -> Result<Vec<u8>, String> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "bookworm", "-"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("mmdebstrap: {error}"))?;
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let complaints = std::thread::spawn(move || {
        let mut text = String::new();
        // What cannot be read is not told.
        let _ = err.read_to_string(&mut text);
        text
    });
    let mut tar = Vec::new();
    let read = out.read_to_end(&mut tar);
    let complaints = complaints.join().unwrap_or_default();
    let status = child.wait().map_err(|error| format!("mmdebstrap: {error}"))?;
    let last = || complaints.lines().last().unwrap_or_default().to_owned();
    match read {
        Ok(_) if status.success() => Ok(tar),
        Ok(_) => Err(format!("mmdebstrap ended with {status}: {}", last())),
        Err(error) => Err(format!("mmdebstrap: {error}")),
    }
}

/// What a program of an image says when it is started with these arguments, in a container of its own without network:
/// its first line.
///
/// # Errors
/// When it cannot be started.
pub fn version(engine: &Engine, image: &Image, arguments: &[&str]) -> Result<String, BackendError> {
    let body = ContainerCreateBody {
        image: Some(image.id.clone()),
        entrypoint: Some(image.entrypoint.clone()),
        cmd: Some(arguments.iter().map(|word| (*word).to_owned()).collect()),
        labels: Some(Controller::own().labels("version")),
        host_config: Some(HostConfig { network_mode: Some("none".into()), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    let docker = engine.docker();
    let action =
        format!("asking {} in image {} for its version", image.entrypoint.join(" "), image.reference);
    engine.ask(&action, async {
        let id = docker
            .create_container(None::<bollard::query_parameters::CreateContainerOptions>, body)
            .await?
            .id;
        let said = async {
            docker.start_container(&id, None).await?;
            // However it ends, it has said what it has to say.
            let _ = docker.wait_container(&id, None::<WaitContainerOptions>).next().await;
            let options = LogsOptions { stdout: true, stderr: true, ..LogsOptions::default() };
            let mut lines = docker.logs(&id, Some(options));
            let mut text = String::new();
            while let Some(part) = lines.next().await {
                text.push_str(&part?.to_string());
            }
            Ok(text.lines().next().unwrap_or_default().trim().to_owned())
        };
        let said = said.await;
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        docker.remove_container(&id, Some(options)).await?;
        said
    })
}
