//! A command inside a store's container: a plan's own way to see that a node is ready.

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;

use super::engine::Engine;
use crate::backend::BackendError;

/// Runs it, for `limit` at most. The inner error is the command's last words, or why there are none.
///
/// # Errors
/// When the engine refuses; that the container does not run is an inner error, since it may soon.
pub(super) fn run(
    engine: &Engine,
    container: &str,
    words: &[String],
    environment: Vec<String>,
    limit: Duration,
) -> Result<Result<(), String>, BackendError> {
    let docker = engine.docker();
    let asked = async {
        let options = CreateExecOptions {
            cmd: Some(words.to_vec()),
            env: Some(environment),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let id = docker.create_exec(container, options).await?.id;
        let started = docker.start_exec(&id, None::<StartExecOptions>).await?;
        let mut said = String::new();
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(part) = output.next().await {
                said = part?.to_string();
            }
        }
        let status = docker.inspect_exec(&id).await?.exit_code;
        Ok((status, said))
    };
    let program = words.first().map(String::as_str).unwrap_or_default();
    match engine.run(async { tokio::time::timeout(limit, asked).await }) {
        Err(_) => Ok(Err(format!("{program}: not done after {limit:?}"))),
        Ok(Ok((Some(0), _))) => Ok(Ok(())),
        Ok(Ok((status, said))) => {
            let status = status.map_or("no status".into(), |status| format!("exit status {status}"));
            let last = said.lines().next_back().unwrap_or_default();
            Ok(Err(format!("{program}: {status}: {last}").trim_end_matches(": ").into()))
        }
        // Not running, paused or being restarted.
        Ok(Err(bollard::errors::Error::DockerResponseServerError { status_code: 409 | 500, message })) => {
            Ok(Err(format!("{program}: {}", message.trim())))
        }
        Ok(Err(error)) => Err(engine.refused("running a command in a container", error)),
    }
}
