//! One run of a comparison, as a process of its own: how it is started, stopped with us, and what it said.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::failure::Failure;

/// How many of its last lines stand for what a run said, if it said no error.
const LAST_LINES: usize = 3;

/// Ctrl-C came: what was running was told so, and is not finished.
pub struct Stopped;

/// Whether Ctrl-C came, and whom to tell.
#[derive(Clone, Default)]
pub struct Stop {
    times: Arc<AtomicUsize>,
    running: Arc<AtomicI32>,
}

impl Stop {
    /// Whether it came.
    pub fn requested(&self) -> bool {
        self.times.load(Ordering::SeqCst) > 0
    }
}

/// Hears Ctrl-C, and tells the run that goes: the first time it heals and stops, the second time it leaves at once.
pub fn listen() -> Result<Stop, Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Stop::default();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::harness(format!("cannot listen for signals: {error}"), "try again"))?;
    let heard = stop.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            let before = heard.times.fetch_add(1, Ordering::SeqCst);
            let running = heard.running.load(Ordering::SeqCst);
            if running > 0 {
                // SAFETY: a plain system call, to a child that is not waited for yet, so its number is still its own.
                unsafe { libc::kill(running, SIGINT) };
            }
            if before == 0 {
                eprintln!("stopping: this run is not finished and will be made again");
            }
        }
    });
    Ok(stop)
}

/// Runs a plan into a folder. The exit code, if it was not a signal that ended it; all it says is in `log`.
pub fn run(
    plan: &Path,
    folder: &Path,
    log: &Path,
    stop: &Stop,
) -> Result<Result<Option<i32>, Stopped>, Failure> {
    if stop.requested() {
        return Ok(Err(Stopped));
    }
    let own = std::env::current_exe()
        .map_err(|error| Failure::harness(format!("cannot find this program: {error}"), "try again"))?;
    let said = File::create(log).map_err(|error| Failure::file(log, &error))?;
    let mut command = Command::new(own);
    command.arg("run").arg(plan).arg("--out").arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    apart_but_dying_with_us(&mut command);
    let mut child = command
        .spawn()
        .map_err(|error| Failure::harness(format!("cannot start a run: {error}"), "try again"))?;
    stop.running.store(child.id() as i32, Ordering::SeqCst);
    let ended = child.wait();
    stop.running.store(0, Ordering::SeqCst);
    let ended =
        ended.map_err(|error| Failure::harness(format!("cannot wait for a run: {error}"), "try again"))?;
    Ok(if stop.requested() { Err(Stopped) } else { Ok(ended.code()) })
}

/// In a process group of its own, so that Ctrl-C comes once and by us; and it ends when we do, however that is: in the
/// sandbox the kernel then takes its cluster down.
#[cfg(target_os = "linux")]
fn apart_but_dying_with_us(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    let parent = std::process::id();
    // SAFETY: between fork and exec only two plain system calls are made.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            // It may have died before it was asked for.
            if libc::getppid() as u32 == parent {
                Ok(())
            } else {
                Err(std::io::Error::other("its parent is gone"))
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn apart_but_dying_with_us(_: &mut Command) {}

/// What a run complained of: its first error, or its last lines.
pub fn complaint(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    if let Some(error) = text.lines().find_map(|line| line.strip_prefix("error: ")) {
        return Some(error.into());
    }
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join(" / ");
    (!last.is_empty()).then_some(last)
}
