//! The node agent: our own binary in a hidden mode, the first process of a node's pid namespace.
//!
//! It furnishes the node (own `/proc`, `/run`, data directory, host name), starts the daemon, kills, stops and continues
//! it on command, reaps what ends, and measures. It ends when its controller does, and the kernel then kills everything
//! in the node. It has one thread (ptrace wants that) but for the moment of a start, and keeps no
//! state but the clock and the disk that its node is to have.
//!
//! Apart from what is mounted here, a daemon sees the machine's own files: this separates nodes from one another and
//! keeps the machine's network, processes and clock out of reach; it is no jail for hostile programs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::thread;

use super::boot::Boot;
use super::clock::{self, Clocks, patiently};
use super::disk::{Disks, Fate};
use super::execs::{self, Execs};
use super::filter;
use super::power::Power;
use super::processes;
use super::protocol::{Command, Exit, Furniture, Message, Reply, receive, send};
use super::starving::Starving;
use super::straining::Straining;
use super::system::{check, die_with_parent, mount, socket_pair};
use super::{AGENT_COMMAND, TELL};
use crate::cluster::Node;

/// How many are heard before something else is done: there may always be another.
const AT_ONCE: usize = 256;
/// Where the agent finds its end of the lifeline.
pub(super) const LIFELINE: i32 = 3;

/// The data directory as a daemon sees it.
pub(super) const DATA: &str = "/run/data";

/// Where a node has the library that its programs load for their clocks.
const LIBRARY: &str = "/run/schism-clock.so";

/// Capabilities a daemon keeps, those every container has: without the rest it cannot change its links, mounts or the clock.
const KEPT_CAPABILITIES: [u32; 14] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];

/// Runs a node until its controller ends. Started by the controller only; by hand it just says so.
pub fn main() -> ExitCode {
    if std::env::args().nth(2).is_some_and(|word| word == TELL) {
        clock::tell();
        return ExitCode::SUCCESS;
    }
    if std::process::id() != 1 {
        eprintln!("error: {AGENT_COMMAND} is for schism itself: it is the first process of a sandbox's node");
        return ExitCode::from(64);
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("schism: node agent: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A daemon's program, its arguments and its environment.
type Started = (Option<PathBuf>, Vec<String>, Vec<(String, String)>);

struct Agent {
    name: String,
    lifeline: OwnedFd,
    log: File,
    children: OwnedFd,
    daemon: Option<u32>,
    starts: u32,
    clocks: Clocks,
    starving: Starving,
    straining: Straining,
    /// What the daemon was started by.
    program: Option<Started>,
    disks: Disks,
    power: Power,
    /// What clocks count from that count from the last boot.
    boot: Boot,
    /// Whether its power has failed since it was booted.
    dark: bool,
    /// Whether such clocks can begin anew.
    boots: bool,
    /// The node is to go down in the middle of a call.
    struck: bool,
    execs: Option<Execs>,
}

fn serve() -> io::Result<()> {
    // A change of credentials in exec may have taken this back; if the controller has died since, the lifeline says so.
    die_with_parent()?;
    // SAFETY: the controller put our end of the lifeline there, and nobody else in this program knows of it.
    let lifeline = unsafe {
        check(libc::fcntl(LIFELINE, libc::F_SETFD, libc::FD_CLOEXEC))?;
        OwnedFd::from_raw_fd(LIFELINE)
    };
    let Some(furniture) = receive::<Furniture>(&lifeline, true)? else { return Ok(()) };
    let children = watch_children()?;
    let clocks = |log| {
        let library = furniture.library.then(|| Clocks::by_library(Path::new(LIBRARY)));
        Ok((log, library.transpose().map_err(during("making a library for clocks"))?.unwrap_or_default()))
    };
    let power = |(log, clocks)| {
        let power = Power::on(Node(furniture.number)).map_err(during("switching the node's power on"))?;
        Ok((log, clocks, power))
    };
    let (log, clocks, power) = match furnish(&furniture).and_then(clocks).and_then(power) {
        Ok(furnished) => furnished,
        Err(error) => return send(&lifeline, &Message::Reply(Err(error.to_string()))),
    };
    let Furniture { name, watch, boots, .. } = furniture;
    let mut agent = Agent {
        name,
        lifeline,
        log,
        children,
        daemon: None,
        starts: 0,
        clocks,
        starving: Starving::default(),
        straining: Straining::default(),
        program: None,
        disks: Disks::new(DATA, watch),
        power,
        boot: Boot::default(),
        dark: false,
        boots,
        struck: false,
        execs: None,
    };
    send(&agent.lifeline, &Message::Reply(Ok(Reply::Done)))?;
    agent.run()
}

impl Agent {
    fn run(&mut self) -> io::Result<()> {
        loop {
            // Rounded up: waking too early would mean waking twice.
            let dues = [self.clocks.until_due(), self.starving.until_due(), self.straining.until_due()];
            let patience = dues.into_iter().chain([self.disks.until_due()]).flatten().min();
            let patience = patience.map_or(-1, |due| due.as_millis() as i32 + 1);
            let mut fds =
                [self.lifeline.as_raw_fd(), self.children.as_raw_fd(), self.listener()].map(readable);
            poll(&mut fds, patience)?;
            if fds[1].revents != 0 {
                self.forget_signals();
            }
            self.reap()?;
            self.clocks.renew();
            self.starving.turn()?;
            self.straining.disconnect()?;
            self.let_go(false)?;
            if self.straining.strikes() {
                self.start_again()?;
            }
            match fds[2].revents {
                0 => {}
                revents if revents & libc::POLLIN != 0 => self.hear()?,
                // Nobody is left who could execute anything.
                _ => self.execs = None,
            }
            if std::mem::take(&mut self.struck) {
                self.start_again()?;
            }
            if fds[0].revents != 0 {
                let Some(command) = receive::<Command>(&self.lifeline, true)? else { return Ok(()) };
                let reply = self.obey(command).map_err(|error| error.to_string());
                send(&self.lifeline, &Message::Reply(reply))?;
            }
        }
    }

    fn obey(&mut self, command: Command) -> io::Result<Reply> {
        // Who is held in the middle of a call cannot be stopped or traced.
        if matches!(command, Command::Pause | Command::Strain(_) | Command::Clock(_) | Command::Starve(_)) {
            self.let_go(true)?;
        }
        match command {
            Command::Start { file, arguments, environment } => {
                // A daemon may have ended and left others behind: they hold its ports and files.
                self.kill_all()?;
                self.start(file.as_deref(), &arguments, &environment)?;
                self.program = Some((file, arguments, environment));
            }
            Command::Kill => self.go_down()?,
            Command::Pause => {
                self.starving.pause();
                self.straining.paused = true;
                processes::stop_all(|| false)?;
            }
            Command::Resume => {
                self.straining.paused = false;
                self.starving.resume()?;
            }
            Command::Strain(strains) => {
                patiently(self, |agent| agent.straining.set(strains, agent.daemon), Agent::hear_all)?;
            }
            Command::Starve(left) => self.starving.set(left)?,
            Command::Clock(clock) => patiently(self, |agent| agent.clocks.set(clock), Agent::hear_all)?,
            Command::Disk(disk) => {
                self.let_go(true)?;
                self.disks.set(disk);
                if self.daemon.is_none() {
                    self.rest()?;
                }
            }
            Command::Measure => {
                self.starving.interrupt()?;
                let measured = self.daemon.map(processes::measure).transpose()?;
                // One that is stopped cannot look at its clock.
                let clock = measured.as_ref().filter(|one| !one.stopped);
                let clock = clock.and_then(|one| self.clocks.read(one.pid as i32, &self.disks.held()));
                let work = self.disks.work().clone().into();
                let strained = self.straining.seen(self.daemon, self.starts).into();
                return Ok(Reply::Measured(measured, self.starving.kept(), clock, work, strained));
            }
        }
        Ok(Reply::Done)
    }

    /// Kills everybody, and does what is to be done while nobody runs. If the power fails, nobody is told that they end.
    fn go_down(&mut self) -> io::Result<()> {
        if self.disks.lose_power() {
            self.power.fail()?;
        }
        self.kill_all()?;
        self.rest()
    }

    /// Does what is to be done while nobody runs.
    fn rest(&mut self) -> io::Result<()> {
        self.dark |= self.disks.at_rest()?;
        Ok(())
    }

    /// Kills the daemon and starts it as it was, if it runs.
    fn start_again(&mut self) -> io::Result<()> {
        self.reap()?;
        if self.daemon.is_none() {
            return Ok(());
        }
        let Some(program) = self.program.take() else { return Ok(()) };
        self.go_down()?;
        self.struck = false;
        let (file, arguments, environment) = &program;
        let started = self.start(file.as_deref(), arguments, environment);
        self.program = Some(program);
        started
    }

    fn start(
        &mut self,
        file: Option<&Path>,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> io::Result<()> {
        self.starts += 1;
        self.power.come_back()?;
        self.disks.begin()?;
        let shown = file.unwrap_or(Path::new("schism")).display().to_string();
        let line =
            format!("--- schism: {}, start {}: {shown} {}\n", self.name, self.starts, arguments.join(" "));
        self.log.write_all(line.as_bytes())?;
        let mut command = std::process::Command::new(file.unwrap_or(Path::new("/proc/self/exe")));
        if file.is_none() {
            command.arg0("schism");
        }
        command.args(arguments).env_clear().current_dir(DATA);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        if let Some(library) = self.clocks.library() {
            let theirs = environment.iter().rfind(|(name, _)| name == "LD_PRELOAD");
            let all = [library.to_str(), theirs.map(|(_, value)| value.as_str())];
            command.env("LD_PRELOAD", all.into_iter().flatten().collect::<Vec<_>>().join(":"));
        }
        command.stdin(Stdio::null()).stdout(self.log.try_clone()?).stderr(self.log.try_clone()?);
        let child = self.spawn(command).map_err(|error| {
            let missing = file.is_some() && error.kind() == io::ErrorKind::NotFound;
            let hint = if missing { " (is it installed on this machine?)" } else { "" };
            io::Error::other(format!("cannot start {shown}: {error}{hint}"))
        })?;
        // Its id in the node, as the daemon itself knows it; the kernel counts upwards, so every start has another.
        self.daemon = Some(child.id());
        Ok(())
    }

    /// Starts a process of whose new programs we hear, its first one included: who starts it waits until it is a program, so
    /// that is done by another thread.
    fn spawn(&mut self, mut command: std::process::Command) -> io::Result<Child> {
        let (ours, theirs) = socket_pair()?;
        let to = theirs.as_raw_fd();
        let calls = self.disks.rules();
        let mut program = filter::program(&[&execs::RULES[..], &calls].concat());
        // SAFETY: between fork and exec only system calls are made, none of which allocates.
        unsafe { command.pre_exec(move || execs::tell(to, &mut program).and_then(|()| leave_agent())) };
        self.execs = None;
        if std::mem::take(&mut self.dark) && self.boots {
            self.boot = Boot::now();
        }
        let boot = self.boot;
        let child = thread::scope(|scope| {
            let spawned = scope.spawn(move || {
                // Of this thread's alone, which ends with the start.
                let spawned = boot.enter().and_then(|()| command.spawn());
                // The child's copy closes when it is another program: then nobody can write any more.
                drop(theirs);
                spawned
            });
            loop {
                let mut fds = [ours.as_raw_fd(), self.listener()].map(readable);
                poll(&mut fds, -1)?;
                if fds[1].revents & libc::POLLIN != 0 {
                    self.hear()?;
                } else if fds[0].revents != 0 {
                    match Execs::receive(&ours)? {
                        Some(execs) => self.execs = Some(execs),
                        None => break,
                    }
                }
            }
            spawned.join().expect("starting a process does not panic")
        })?;
        if self.execs.is_none() && !calls.is_empty() {
            return Err(io::Error::other("the kernel does not let us hear of its calls (seccomp)"));
        }
        Ok(child)
    }

    /// Somebody waits to make a call. Who wants to be another program is followed where clocks are wrong, to be given his again.
    fn hear(&mut self) -> io::Result<()> {
        let Some(execs) = &self.execs else { return Ok(()) };
        let Some(waiting) = execs.next()? else { return Ok(()) };
        if waiting.is_exec() {
            if self.clocks.has_to_follow() {
                execs::follow(waiting.thread);
            }
            return execs.allow(&waiting);
        }
        match self.disks.judge(waiting)? {
            Fate::Passes => execs.allow(&waiting),
            Fate::Answered(result) => execs.answer(&waiting, result),
            Fate::Waits => Ok(()),
            Fate::Fatal => {
                self.struck = true;
                Ok(())
            }
        }
    }

    /// Hears everybody who waits now, and keeps nobody waiting. Who has stopped meanwhile stays so: he was to stop, and is tried again.
    fn hear_all(&mut self) -> io::Result<()> {
        for _ in 0..AT_ONCE {
            let mut fds = [readable(self.listener())];
            poll(&mut fds, 0)?;
            if fds[0].revents & libc::POLLIN == 0 {
                break;
            }
            self.hear()?;
        }
        if std::mem::take(&mut self.struck) {
            self.start_again()?;
        }
        self.let_go(true)
    }

    /// Lets those go on whose calls were held back for long enough, or all.
    fn let_go(&mut self, all: bool) -> io::Result<()> {
        for waiting in self.disks.due(all)? {
            if let Some(execs) = &self.execs {
                execs.allow(&waiting)?;
            }
        }
        Ok(())
    }

    fn listener(&self) -> RawFd {
        // The kernel ignores negative descriptors.
        self.execs.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Kills everybody and waits until they are gone. A daemon that had ended before is reported as such first.
    fn kill_all(&mut self) -> io::Result<()> {
        self.reap()?;
        self.daemon = None;
        self.starving.end();
        self.straining.killed();
        self.disks.killed();
        processes::signal_all(libc::SIGKILL)?;
        // SAFETY: a null status is allowed. Whoever has no parent left is our child, so this ends only when all are gone.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
        Ok(())
    }

    /// Takes note of everything that has ended; reports the daemon.
    fn reap(&mut self) -> io::Result<()> {
        loop {
            let mut status = 0;
            // SAFETY: `status` is a live integer.
            let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::__WALL) };
            if pid <= 0 {
                return Ok(());
            }
            if libc::WIFSTOPPED(status) {
                if execs::stopped(pid, status)
                    && (!self.clocks.has_to_follow() || self.clocks.follow(pid).is_err())
                {
                    execs::forget(pid);
                }
                continue;
            }
            if self.daemon == Some(pid as u32) {
                self.daemon = None;
                let signalled = libc::WIFSIGNALED(status);
                let exit = if signalled {
                    Exit::Signal(libc::WTERMSIG(status))
                } else {
                    Exit::Status(libc::WEXITSTATUS(status))
                };
                send(&self.lifeline, &Message::Exited(exit))?;
            }
        }
    }

    fn forget_signals(&self) {
        let mut signals = [0u8; 4096];
        // SAFETY: the pointer and the length are those of a live array. How often we were told does not matter.
        unsafe { libc::read(self.children.as_raw_fd(), signals.as_mut_ptr().cast(), signals.len()) };
    }
}

fn readable(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

/// Waits for one of these, for at most so many milliseconds; -1 is for ever.
fn poll(fds: &mut [libc::pollfd], patience_ms: i32) -> io::Result<()> {
    // SAFETY: the pointer and the count are those of a live slice.
    let polled = check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, patience_ms) });
    match polled {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// A descriptor that is readable when a child has ended.
fn watch_children() -> io::Result<OwnedFd> {
    // SAFETY: the set lives through all three calls; the descriptor is new and nobody else's.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        check(libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()))?;
        Ok(OwnedFd::from_raw_fd(check(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?))
    }
}

/// In the daemon's process, before it becomes the daemon: own session, no signals blocked, only what capabilities it needs.
fn leave_agent() -> io::Result<()> {
    // SAFETY: plain system calls; the set is a live local.
    unsafe {
        check(libc::setsid())?;
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut()))?;
        for capability in (0..64).filter(|number| !KEPT_CAPABILITIES.contains(number)) {
            // Beyond the kernel's last capability this fails, as it should.
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
    }
    Ok(())
}

/// Mounts what is the node's own, and opens its log. Everything on the host is opened before `/run` hides it.
fn furnish(furniture: &Furniture) -> io::Result<File> {
    let log = OpenOptions::new().create(true).append(true).open(&furniture.log);
    let log = log.map_err(during("opening the log"))?;
    // SAFETY: both descriptors are live; from here on even a panic of the agent is in the node's log.
    check(unsafe { libc::dup2(log.as_raw_fd(), 2) })?;
    let data = open_directory(&furniture.data).map_err(during("opening the data directory"))?;

    let closed = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount("proc", "/proc", "proc", closed, "").map_err(during("mounting /proc"))?;
    // Kernel settings are for looking at: those of the machine are not the node's to change.
    mount("/proc/sys", "/proc/sys", "", libc::MS_BIND, "").map_err(during("binding /proc/sys"))?;
    let frozen = closed | libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY;
    mount("", "/proc/sys", "", frozen, "").map_err(during("making /proc/sys read-only"))?;

    let open = libc::MS_NOSUID | libc::MS_NODEV;
    mount("tmpfs", "/run", "tmpfs", open, "mode=755").map_err(during("mounting a tmpfs on /run"))?;
    if Path::new("/dev/shm").is_dir() {
        // Named shared memory would otherwise be shared by all nodes.
        mount("tmpfs", "/dev/shm", "tmpfs", open, "mode=1777")
            .map_err(during("mounting a tmpfs on /dev/shm"))?;
    }
    fs::create_dir(DATA).map_err(during("making /run/data"))?;
    let from = format!("/proc/self/fd/{}", data.as_raw_fd());
    mount(&from, DATA, "", libc::MS_BIND, "").map_err(during("binding the data directory"))?;

    let name = furniture.name.as_bytes();
    // SAFETY: the pointer and the length are those of a live string.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })
        .map_err(during("setting the host name"))?;
    if Path::new("/etc/hosts").is_file() {
        let lines = furniture.hosts.iter().map(|(name, address)| format!("{address} {name}\n"));
        let text: String = std::iter::once("127.0.0.1 localhost\n".to_owned()).chain(lines).collect();
        fs::write("/run/hosts", text).map_err(during("writing the node's hosts file"))?;
        mount("/run/hosts", "/etc/hosts", "", libc::MS_BIND, "").map_err(during("binding /etc/hosts"))?;
    }
    Ok(log)
}

fn open_directory(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)
}

fn during(action: &'static str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{action}: {error}"))
}
