//! A connection to a Docker engine: the local socket, or wherever `DOCKER_HOST` points (`unix://`, `tcp://`, `ssh://`).
//!
//! The client is asynchronous and Schism is not: one thread turns its wheels, and [`Engine::run`] waits for an answer. The
//! same thread follows logs and waits for containers to end in the background.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::thread::JoinHandle;
use std::time::Duration;

use bollard::errors::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

#[cfg(unix)]
use super::ssh::{self, Destination};
use crate::backend::BackendError;

/// The oldest API that has all that is asked for: that of Docker 19.03.
const OLDEST_API: (u32, u32) = (1, 40);

/// Where an engine is unless somebody says otherwise.
const LOCAL: &str = "unix:///var/run/docker.sock";

/// How long an engine may take to answer when asked who it is.
const HELLO: Duration = Duration::from_secs(10);

/// An engine that has answered.
pub struct Engine {
    docker: bollard::Docker,
    handle: Handle,
    host: String,
    version: String,
    // The thread that turns the client's wheels ends when the sender is gone.
    stay: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Connects as `DOCKER_HOST` says.
    ///
    /// # Errors
    /// `Unsupported`, with the next step, where there is no engine, it may not be used or is too old.
    pub fn connect() -> Result<Self, BackendError> {
        let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        Engine::connect_to(host.as_deref().unwrap_or(LOCAL))
    }

    /// Connects to that engine.
    ///
    /// # Errors
    /// As [`Engine::connect`].
    pub fn connect_to(host: &str) -> Result<Self, BackendError> {
        let failed = BackendError::system("starting the docker client");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stay, end) = oneshot::channel();
        let turn = move || drop(runtime.block_on(end));
        let thread = std::thread::Builder::new().name("docker".into()).spawn(turn);
        let thread = thread.map_err(BackendError::system("starting a thread"))?;
        let docker = {
            let _inside = handle.enter();
            client(host)?
        };
        let version = String::new();
        let mut engine =
            Engine { docker, handle, host: host.into(), version, stay: Some(stay), thread: Some(thread) };
        engine.version = engine.hello()?;
        Ok(engine)
    }

    /// Asks for its version, and looks whether it is new enough.
    fn hello(&self) -> Result<String, BackendError> {
        let asked = async { tokio::time::timeout(HELLO, self.docker.version()).await };
        let silent = || unreachable(&self.host, &format!("it has not answered for {} s", HELLO.as_secs()));
        let said = self.run(asked).map_err(|_| silent())?.map_err(|error| match &error {
            Error::DockerResponseServerError { .. } => self.refused("asking for its version", error),
            _ => unreachable(&self.host, &chain(&error)),
        })?;
        let api = said.api_version.unwrap_or_default();
        let number = api.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (major, minor) = OLDEST_API;
        if number.is_none_or(|number: (u32, u32)| number < OLDEST_API) {
            return Err(BackendError::Unsupported {
                problem: format!(
                    "the docker engine at {} speaks API version {api:?}; {major}.{minor} is the oldest that will do",
                    self.host
                ),
                remedy: "update it: Docker 19.03 or newer".into(),
            });
        }
        Ok(said.version.unwrap_or_default())
    }

    /// Its client.
    pub(super) fn docker(&self) -> &bollard::Docker {
        &self.docker
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it is.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Waits for something asynchronous.
    pub(super) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }

    /// Does something in the background, for as long as the engine is held.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.handle.spawn(work)
    }

    /// Asks the engine for something, and waits for the answer.
    pub(super) fn ask<T>(
        &self,
        action: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, BackendError> {
        self.run(work).map_err(|error| self.refused(action, error))
    }

    /// The address of the machine on which it publishes ports, as seen from here.
    ///
    /// # Errors
    /// When `DOCKER_HOST` names a machine that nobody knows.
    pub(super) fn address(&self) -> Result<IpAddr, BackendError> {
        let rest = self.host.split_once("://").filter(|(scheme, _)| *scheme != "unix").map(|(_, rest)| rest);
        let Some(rest) = rest else { return Ok(Ipv4Addr::LOCALHOST.into()) };
        let place = rest.split('/').next().unwrap_or_default();
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        let name = place.rsplit_once(':').map_or(place, |(name, _)| name).trim_matches(['[', ']']);
        #[cfg(unix)]
        let meant =
            self.host.strip_prefix("ssh://").and_then(|place| Destination::parse(place).ok()?.machine());
        #[cfg(unix)]
        let name = meant.as_deref().unwrap_or(name);
        let failed = || BackendError::system(format!("finding the address of {name}"));
        let mut found = (name, 0).to_socket_addrs().map_err(failed())?;
        found
            .find(|one| one.is_ipv4())
            .map(|one| one.ip())
            .ok_or_else(|| failed()(io::ErrorKind::NotFound.into()))
    }

    /// An engine's no, or its silence, with the next step.
    pub(super) fn refused(&self, action: &str, error: Error) -> BackendError {
        match error {
            Error::DockerResponseServerError { message, .. }
            | Error::DockerStreamError { error: message } => {
                let message = message.trim();
                match next_step(message) {
                    Some(remedy) => {
                        BackendError::Unsupported { problem: format!("{action}: {message}"), remedy }
                    }
                    None => BackendError::system(action)(io::Error::other(message.to_owned())),
                }
            }
            error => BackendError::Unsupported {
                problem: format!("{action}: the docker engine at {} went away: {}", self.host, chain(&error)),
                remedy: "see what ended it (its own log tells), then `schism clean`, and run again".into(),
            },
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stay.take();
        if let Some(thread) = self.thread.take() {
            // A panic there would have been felt by whoever waited for an answer.
            let _ = thread.join();
        }
    }
}

/// What to do about something that engines say.
fn next_step(message: &str) -> Option<String> {
    let said = |words: &str| message.to_lowercase().contains(words);
    if said("no space left on device") || said("disk quota exceeded") {
        return Some(
            "make room where the engine keeps its data: `schism clean`, then `docker system df`".into(),
        );
    }
    if said("permission denied") && said("seccomp") || said("operation not permitted") {
        return Some(
            "let the engine start containers with the capability NET_ADMIN: not every rootless one may"
                .into(),
        );
    }
    None
}

/// A client for the engine there, which has not been asked anything yet.
fn client(host: &str) -> Result<bollard::Docker, BackendError> {
    let made = match host.strip_prefix("ssh://") {
        #[cfg(unix)]
        Some(place) => ssh::client(Destination::parse(place).map_err(|why| unreachable(host, why))?),
        _ => bollard::Docker::connect_with_host(host),
    };
    made.map_err(|error| unreachable(host, &error.to_string()))
}

fn unreachable(host: &str, why: &str) -> BackendError {
    let denied = why.to_lowercase().contains("permission denied");
    let remedy = if host.starts_with("ssh://") {
        "see that `ssh` gets there without asking for anything, and finds a `docker` that may be used"
    } else if denied {
        "join the group `docker`, or run as root"
    } else {
        "start it (`systemctl start docker`, or `apt-get install docker.io`), or set DOCKER_HOST to another; \
         `--backend sandbox` needs none"
    };
    BackendError::Unsupported {
        problem: format!("there is no docker engine at {host}: {why}"),
        remedy: remedy.into(),
    }
}

/// An error and what lies behind it, each thing said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        below = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_what_makes_room() {
        assert!(
            next_step("write /var/lib/x: no space left on device").is_some_and(|step| step.contains("room"))
        );
        assert_eq!(next_step("conflict"), None);
    }

    #[test]
    fn where_there_is_no_engine_the_next_step_is_told() {
        let Err(error) = Engine::connect_to("unix:///nowhere/docker.sock") else { panic!("there is none") };
        assert!(
            matches!(&error, BackendError::Unsupported { remedy, .. } if remedy.contains("DOCKER_HOST")),
            "{error}"
        );
        let Err(error) = Engine::connect_to("ftp://nowhere") else { panic!("there is none") };
        assert!(error.to_string().contains("ftp://nowhere"), "{error}");
    }
}
