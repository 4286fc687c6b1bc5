//! The controller's side of a sidecar: a line to it and a line back, through the engine.

use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::container::{AttachContainerResults, LogOutput};
use futures_util::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::capture::Collector;
use super::engine::Engine;
use super::protocol::{Answer, Reply, Said};
use crate::backend::BackendError;
use crate::cluster::Node;

/// How long a sidecar may take for one command. The slowest are a pause and a kill, which have their own, shorter limit.
const PATIENCE: Duration = Duration::from_secs(30);

/// A line to a sidecar. Closing it ends every fault of its node.
pub(super) struct Lifeline {
    node: Node,
    engine: Arc<Engine>,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    answers: Receiver<Answer>,
    /// What it said on its standard error: it says something only when it fails.
    said: Receiver<String>,
}

impl Lifeline {
    /// Takes the streams of a sidecar that has been attached to. What it tells of packets is collected.
    pub(super) fn new(
        node: Node,
        engine: &Arc<Engine>,
        attached: AttachContainerResults,
        collector: Arc<Mutex<Collector>>,
    ) -> Self {
        let (tell, answers) = channel();
        let (complain, said) = channel();
        engine.spawn(read(attached.output, tell, complain, collector));
        Lifeline { node, engine: Arc::clone(engine), input: attached.input, answers, said }
    }

    /// Sends one line; answered by one reply. Several may be sent before the first answer is read.
    pub(super) fn send(&mut self, value: &impl serde::Serialize) -> Result<(), BackendError> {
        let mut line = serde_json::to_vec(value).expect("every message has a JSON text");
        line.push(b'\n');
        let input = &mut self.input;
        let sent = self.engine.run(async {
            input.write_all(&line).await?;
            input.flush().await
        });
        sent.map_err(|error| self.lost(&error.to_string()))
    }

    /// Waits for the answer to the oldest line still open.
    pub(super) fn reply(&mut self) -> Result<Reply, BackendError> {
        match self.answers.recv_timeout(PATIENCE) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(problem)) => Err(self.refused(problem)),
            Err(RecvTimeoutError::Timeout) => {
                let problem = format!("its sidecar has not answered for {} s", PATIENCE.as_secs());
                Err(BackendError::Node { node: self.node, problem })
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.lost("its output ended")),
        }
    }

    /// What a sidecar's no means: where it lacks a right, that is the engine's doing.
    pub(super) fn refused(&self, problem: String) -> BackendError {
        if !lacks_a_right(&problem) {
            return BackendError::Node { node: self.node, problem };
        }
        BackendError::Unsupported {
            problem: format!("{}: its sidecar lacks a right: {problem}", self.node),
            remedy: "let the engine give a container the capabilities that a sidecar asks for (NET_ADMIN, for some faults \
                     NET_RAW or SYS_PTRACE): an authorization plugin or a rootless engine may forbid it"
                .into(),
        }
    }

    fn lost(&self, why: &str) -> BackendError {
        let said: Vec<String> = self.said.try_iter().collect();
        let said =
            if said.is_empty() { String::new() } else { format!("; it said: {}", said.concat().trim()) };
        BackendError::Unsupported {
            problem: format!("{}: its sidecar is gone: {why}{said}", self.node),
            remedy:
                "see whether the docker engine was restarted or the machine ran out of memory, then run again"
                    .into(),
        }
    }
}

/// Whether the kernel knows how, and does not let it.
pub(super) fn lacks_a_right(problem: &str) -> bool {
    let problem = problem.to_lowercase();
    problem.contains("not permitted") || problem.contains("permission denied")
}

type Output = Pin<Box<dyn futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// Puts lines together and hands them on until the stream ends or nobody listens.
async fn read(
    mut output: Output,
    tell: Sender<Answer>,
    complain: Sender<String>,
    collector: Arc<Mutex<Collector>>,
) {
    let mut line = Vec::new();
    while let Some(Ok(part)) = output.next().await {
        match part {
            LogOutput::StdOut { message } => line.extend_from_slice(&message),
            other => drop(complain.send(String::from_utf8_lossy(&other.into_bytes()).into_owned())),
        }
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let rest = line.split_off(end + 1);
            let said = serde_json::from_slice(&line);
            line = rest;
            let answer = match said {
                Ok(Said::Packets(packets)) => {
                    collector.lock().unwrap_or_else(PoisonError::into_inner).take(packets);
                    continue;
                }
                Ok(Said::Answer(answer)) => answer,
                Err(error) => Err(format!("not an answer: {error}")),
            };
            if tell.send(answer).is_err() {
                return;
            }
        }
    }
}
