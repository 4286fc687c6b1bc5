//! One node: its sidecar, its store's container, and what is known of both.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::query_parameters::{AttachContainerOptions, WaitContainerOptions};
use futures_util::StreamExt;
use tokio::task::JoinHandle;

use super::engine::Engine;
use super::lifeline::Lifeline;
use crate::backend::BackendError;
use crate::clock::Clock;
use crate::cluster::{Node, Pair, Run};
use crate::disk::Disk;
use crate::link::{Link, Share};
use crate::strain::Strains;

/// How long an engine may take to notice that a container has ended.
const NOTICE: Duration = Duration::from_secs(20);
/// How long the last lines of a log may take to arrive.
const LAST_LINES: Duration = Duration::from_secs(5);

/// A node.
pub(super) struct Member {
    pub(super) node: Node,
    pub(super) link: Lifeline,
    /// The store's container; none before the first start.
    pub(super) container: Option<String>,
    /// In which state it was left.
    pub(super) run: Run,
    /// How much of the time was left to it, if not all.
    pub(super) left: Option<Share>,
    pub(super) strains: Strains,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
    /// How often it has gone down in the middle of a call.
    pub(super) struck: u64,
    /// When it is to be killed and started again, in a storm.
    pub(super) strikes: Option<Instant>,
    /// What is wrong with links on its side.
    pub(super) links: Vec<(Pair, Link)>,
    pub(super) deaths: Vec<Ended>,
    /// The command line, for the log.
    pub(super) shown: String,
    pub(super) starts: u32,
    log: Arc<File>,
    running: Option<Running>,
    /// Those who write down its output, of all starts.
    followers: Vec<JoinHandle<()>>,
}

/// The store's container between a start and its end.
pub(super) struct Running {
    ended: Receiver<Ended>,
    follower: JoinHandle<()>,
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With this status, and whether it had used up its memory.
    Status(i64, bool),
    /// Nobody knows: the engine went away.
    Unseen,
}

impl Ended {
    /// For people.
    pub(super) fn how(self) -> String {
        match self {
            Ended::Status(_, true) => "killed for having used up its memory".into(),
            // As shells and engines write the end by a signal.
            Ended::Status(code @ 129..=192, false) => format!("killed by signal {}", code - 128),
            Ended::Status(code, false) => format!("exited with status {code}"),
            Ended::Unseen => "unknown: the docker engine went away".into(),
        }
    }

    /// Whether nobody but the machine can have done it.
    pub(super) fn suspicious(self) -> bool {
        matches!(self, Ended::Status(137, _) | Ended::Status(_, true) | Ended::Unseen)
    }
}

impl Member {
    /// A node whose sidecar lives and whose store has no container yet.
    pub(super) fn new(node: Node, link: Lifeline, log: &Path) -> Result<Self, BackendError> {
        let opened = OpenOptions::new().create(true).append(true).open(log);
        let log = opened.map_err(BackendError::system(format!("opening {}", log.display())))?;
        Ok(Member {
            node,
            link,
            container: None,
            run: Run::Down,
            left: None,
            strains: Strains::default(),
            clock: Clock::default(),
            disk: Disk::default(),
            struck: 0,
            strikes: None,
            links: Vec::new(),
            deaths: Vec::new(),
            shown: String::new(),
            starts: 0,
            log: Arc::new(log),
            running: None,
            followers: Vec::new(),
        })
    }

    /// How the store has ended, if it has, and nobody wanted it to.
    pub(super) fn look(&mut self) -> Option<Ended> {
        if self.run == Run::Down {
            return None;
        }
        let ended = self.running.as_ref()?.ended.try_recv().ok()?;
        self.run = Run::Down;
        self.followers.extend(self.running.take().map(|running| running.follower));
        Some(ended)
    }

    /// Waits until the engine has noticed that the store has ended: it does not start again what it takes for running.
    pub(super) fn await_end(&mut self) -> Result<(), BackendError> {
        let Some(running) = self.running.take() else { return Ok(()) };
        self.followers.push(running.follower);
        running.ended.recv_timeout(NOTICE).map(drop).map_err(|_| {
            let problem = format!("the engine has not noticed its end for {} s", NOTICE.as_secs());
            BackendError::Node { node: self.node, problem }
        })
    }

    /// Waits for the last lines of the log. The store has ended.
    pub(super) fn await_log(&mut self, engine: &Engine) {
        self.followers.extend(self.running.take().map(|running| running.follower));
        for follower in self.followers.drain(..) {
            // Lines that come later than that are lost; there is nobody left to tell.
            let _ = engine.run(async { tokio::time::timeout(LAST_LINES, follower).await });
        }
    }

    /// What starts the store's container; the log is followed from its first byte on.
    pub(super) fn launch<'a>(
        &mut self,
        engine: &'a Arc<Engine>,
    ) -> impl Future<Output = Result<Running, Error>> + use<'a> {
        self.starts += 1;
        let container = self.container.clone().expect("only what was started once is started again");
        let line = format!("--- schism: {}, start {}: {}\n", self.node, self.starts, self.shown);
        let log = Arc::clone(&self.log);
        async move {
            let docker = engine.docker();
            let options =
                AttachContainerOptions { stream: true, stdout: true, stderr: true, ..Default::default() };
            let mut output = docker.attach_container(&container, Some(options)).await?.output;
            (&*log).write_all(line.as_bytes())?;
            let follower = engine.spawn(async move {
                while let Some(Ok(part)) = output.next().await {
                    // A full disk is noticed by the recorder, which says so.
                    let _ = (&*log).write_all(&part.into_bytes());
                }
            });
            docker.start_container(&container, None).await?;
            let (tell, ended) = channel();
            engine.spawn(await_end(docker.clone(), container, tell));
            Ok(Running { ended, follower })
        }
    }

    /// It runs now.
    pub(super) fn launched(&mut self, running: Running) {
        self.running = Some(running);
        self.run = Run::Up;
    }
}

async fn await_end(docker: bollard::Docker, container: String, tell: Sender<Ended>) {
    let code = match docker.wait_container(&container, None::<WaitContainerOptions>).next().await {
        Some(Ok(answer)) => Some(answer.status_code),
        Some(Err(Error::DockerContainerWaitError { code, .. })) => Some(code),
        _ => None,
    };
    let ended = match code {
        Some(code) => {
            let seen = docker.inspect_container(&container, None).await.ok();
            let state = seen.and_then(|seen| seen.state);
            Ended::Status(code, state.and_then(|state| state.oom_killed).unwrap_or_default())
        }
        None => Ended::Unseen,
    };
    // When nobody listens any more, nobody wants to know.
    let _ = tell.send(ended);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_as_the_kernel_would() {
        let how = |code, oom| Ended::Status(code, oom).how();
        assert_eq!(how(137, false), "killed by signal 9");
        assert_eq!(how(1, false), "exited with status 1");
        assert!(how(137, true).contains("memory"));
        assert!(Ended::Status(137, false).suspicious() && !Ended::Status(139, false).suspicious());
    }
}
