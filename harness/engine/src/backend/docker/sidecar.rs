//! The sidecar: our own binary in a hidden mode, the first process of a node in Docker.
//!
//! It makes the node's links as bad as wanted in the node's own network, signals all of the node's processes and measures, as the controller
//! says on its standard input. When that closes it ends every fault, and a minute later itself, and the kernel then kills
//! everything in the node. It waits for nobody while it lives; a thread of its own holds back packets.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::SIDECAR_COMMAND;
use super::protocol::{Answer, Command, Daemon, Measured, Reply, Setup};
use crate::backend::BackendError;
use crate::backend::kernel::cuts::{Hook, Place};
use crate::backend::kernel::matrix::{Matrix, Sockets};
use crate::backend::kernel::processes;

/// How long a node goes on after its controller has ended: long enough for a look, too short to be in anybody's way.
const LINGER: Duration = Duration::from_secs(60);

/// Keeps a node until its controller ends. Started in a container only; by hand it just says so.
pub fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!(
            "error: {SIDECAR_COMMAND} is for schism itself: it is the first process of a node in docker"
        );
        return ExitCode::from(64);
    }
    // Whoever has no parent left is ours, and the kernel may forget those who have ended.
    // SAFETY: a plain system call with a constant.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    match serve(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => {
            std::thread::sleep(LINGER);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("schism: sidecar: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Obeys until nobody speaks any more. No fault is in force when it returns.
fn serve(commands: impl Read, mut answers: impl Write) -> io::Result<()> {
    let mut lines = BufReader::new(commands).lines();
    let mut answer = |answer: Answer| -> io::Result<()> {
        serde_json::to_writer(&mut answers, &answer)?;
        answers.write_all(b"\n")?;
        answers.flush()
    };
    let Some(setup) = lines.next().transpose()? else { return Ok(()) };
    let mut links = match prepare(serde_json::from_str(&setup)?) {
        Ok(links) => links,
        Err(why) => return answer(Err(why)),
    };
    let lacks = links.mechanism().lacks().map(str::to_owned).collect();
    let mut served = answer(Ok(Reply::Ready(lacks)));
    while served.is_ok() {
        // A connection that breaks is as much an end as one that is closed.
        let Some(Ok(line)) = lines.next() else { break };
        served = match serde_json::from_str(&line) {
            Ok(command) => answer(obey(&mut links, command)),
            Err(error) => answer(Err(format!("not a command: {error}"))),
        };
    }
    // The kernel deletes each table with the socket that owns it, and what is held back goes out or is lost.
    drop(links);
    processes::signal_all(libc::SIGCONT)?;
    served
}

fn prepare(setup: Setup) -> Result<Matrix, String> {
    let place = Place {
        run: setup.run,
        hooks: &[Hook::Input, Hook::Output],
        clients: setup.clients,
        nodes: setup.nodes,
        nodes_only: Some(setup.nodes_only),
    };
    let sockets = Sockets::open().map_err(|error| format!("opening netlink sockets: {error}"))?;
    Matrix::create(sockets, place, setup.seed).map_err(|error| error.to_string())
}

fn obey(matrix: &mut Matrix, command: Command) -> Answer {
    let words = |error: io::Error| error.to_string();
    let said = |error: BackendError| error.to_string();
    match command {
        Command::Links(links) => matrix.apply(&BTreeMap::from_iter(links)).map_err(said)?,
        Command::Kill => processes::kill_all().map_err(words)?,
        Command::Pause => processes::stop_all().map_err(words)?,
        Command::Resume => processes::signal_all(libc::SIGCONT).map_err(words)?,
        Command::Measure => {
            let dropped = matrix.dropped().map_err(said)?.into_iter().collect();
            let traffic = matrix.traffic().map_err(said)?.into_iter().collect();
            let daemon = daemon().map_err(words)?;
            return Ok(Reply::Measured(Measured { dropped, traffic, daemon }));
        }
    }
    Ok(Reply::Done)
}

/// The daemon is the process that has been here longest; whatever it or a person has started came later.
fn daemon() -> io::Result<Option<Daemon>> {
    let Some(pid) = processes::everybody()?.into_iter().min() else { return Ok(None) };
    let measured = processes::measure(pid as u32)?;
    let cpu_ns = u64::try_from(measured.cpu.as_nanos()).unwrap_or(u64::MAX);
    Ok(Some(Daemon { pid: measured.pid, cpu_ns, stopped: measured.stopped }))
}
