//! One run of a comparison, as a process of its own: how it is started, stopped with us, and what it said.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::Failure;

/// How many of its last lines stand for what a run said, if it said no error.
const LAST_LINES: usize = 3;

/// Ctrl-C came: what was running was told so, and is not finished.
pub struct Stopped;

/// Whether Ctrl-C came, and whom to tell.
#[derive(Clone, Default)]
pub struct Stop(Arc<Mutex<Going>>);

#[derive(Default)]
struct Going {
    /// How often it came.
    times: usize,
    /// The runs that go. Who stands here was not waited for yet, so its number is still its own.
    runs: Vec<libc::pid_t>,
}

impl Stop {
    /// Whether it came.
    pub fn requested(&self) -> bool {
        self.with(|going| going.times > 0)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Going) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts a run, unless it came before: who is started is told.
    fn start(&self, command: &mut Command) -> Result<std::io::Result<Child>, Stopped> {
        self.with(|going| {
            if going.times > 0 {
                return Err(Stopped);
            }
            let child = command.spawn();
            going.runs.extend(child.as_ref().map(|child| child.id() as libc::pid_t));
            Ok(child)
        })
    }

    /// Waits until a run has ended.
    fn wait(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
        let pid = child.id();
        loop {
            // SAFETY: an all-zero siginfo_t is a valid one.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            // SAFETY: a plain system call that writes to `info`. The child stays to be waited for.
            let waited =
                unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
            let error = std::io::Error::last_os_error();
            if waited == 0 || error.kind() != std::io::ErrorKind::Interrupted {
                break;
            }
        }
        self.with(|going| going.runs.retain(|run| *run != pid as libc::pid_t));
        child.wait()
    }
}

/// Hears Ctrl-C, and tells all runs that go: the first time they heal and stop, the second time they leave at once.
pub fn listen() -> Result<Stop, Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Stop::default();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::harness(format!("cannot listen for signals: {error}"), "try again"))?;
    let heard = stop.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            let first = heard.with(|going| {
                going.times += 1;
                for run in &going.runs {
                    // SAFETY: a plain system call, to a child that is not waited for yet.
                    unsafe { libc::kill(*run, SIGINT) };
                }
                going.times == 1
            });
            if first {
                eprintln!("stopping: what runs now is not finished and will be made again");
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
    let own = std::env::current_exe()
        .map_err(|error| Failure::harness(format!("cannot find this program: {error}"), "try again"))?;
    let said = File::create(log).map_err(|error| Failure::file(log, &error))?;
    let mut command = Command::new(own);
    command.arg("run").arg(plan).arg("--out").arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    apart_but_dying_with_us(&mut command);
    let Ok(started) = stop.start(&mut command) else { return Ok(Err(Stopped)) };
    let mut child =
        started.map_err(|error| Failure::harness(format!("cannot start a run: {error}"), "try again"))?;
    let ended = stop.wait(&mut child);
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
