//! The sidecar: our own binary in a hidden mode, the first process of a node in Docker.
//!
//! It makes the node's links as bad as wanted in the node's own network, signals all of the node's processes and measures, as the controller
//! says on its standard input. When that closes it ends every fault, and a minute later itself, and the kernel then kills
//! everything in the node. It waits for nobody while it lives; threads of its own hold back packets and tell of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::hearing::Hearing;
use super::protocol::{Answer, Command, Daemon, Measured, Packets, Reply, Said, Setup};
use super::{SIDECAR_COMMAND, Way, own};
use crate::backend::BackendError;
use crate::backend::kernel::capture::Pen;
use crate::backend::kernel::clock::{Clocks, patiently};
use crate::backend::kernel::cuts::{Hook, Place};
use crate::backend::kernel::matrix::{Matrix, Sockets};
use crate::backend::kernel::programs::{Iptables, Variant};
use crate::backend::kernel::starving::Starving;
use crate::backend::kernel::straining::Straining;
use crate::backend::kernel::system::check;
use crate::backend::kernel::{children, processes, six};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::strain::Strains;

/// How long a node goes on after its controller has ended: long enough for a look, too short to be in anybody's way.
const LINGER: Duration = Duration::from_secs(60);

/// How often it tells of packets.
const TELLING: Duration = Duration::from_millis(50);
/// Of how many at once; and how many calls are answered before something else is done.
const AT_ONCE: usize = 256;

/// Keeps a node until its controller ends. Started in a container only; by hand it just says so.
pub fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!(
            "error: {SIDECAR_COMMAND} is for schism itself: it is the first process of a node in docker"
        );
        return ExitCode::from(64);
    }
    children::forget();
    match io::stdin().as_fd().try_clone_to_owned().and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("schism: sidecar: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Obeys until nobody speaks any more, ends every fault, and lingers.
fn serve(commands: OwnedFd) -> io::Result<()> {
    let mut lines = Lines { commands: commands.into(), read: Vec::new(), ended: false };
    let answer = |answer: Answer| say(&Said::Answer(answer));
    let setup = loop {
        match lines.next() {
            Some(setup) => break setup,
            None if lines.ended => return Ok(()),
            None => lines.read(),
        }
    };
    let setup: Setup = serde_json::from_slice(&setup)?;
    let notes = setup.noted.as_ref().map(|(_, room)| Notes::begin(*room)).transpose()?;
    let pen = notes.as_ref().map(Notes::pen);
    let begun = children::awaited(|| prepare(&setup, pen)).and_then(|links| {
        Hearing::begin(&setup.watch).map(|hearing| (links, hearing)).map_err(Refused::Other)
    });
    let (links, hearing) = match begun {
        Ok(begun) => begun,
        Err(Refused::Table(error)) => return answer(Ok(Reply::NoTable(error.to_string()))),
        Err(Refused::Other(BackendError::Unsupported { problem, remedy })) => {
            return answer(Ok(Reply::Cannot(problem, remedy)));
        }
        Err(Refused::Other(error)) => return answer(Err(error.to_string())),
    };
    let lacks = links.matrix.lacks().into_iter().chain(links.six.lacks()).collect();
    let mechanisms = links.matrix.mechanisms();
    let mut served = answer(Ok(Reply::Ready { lacks, mechanisms }));
    let mut node = Node {
        lifeline: lines.commands.as_raw_fd(),
        links: Some(links),
        notes,
        starving: Starving::default(),
        straining: Straining::default(),
        clocks: Clocks::finding_programs(),
        hearing,
    };
    while served.is_ok() && !lines.ended {
        served = node.turn(&mut lines);
        while let Some(line) = lines.next() {
            served = served.and(answer(match serde_json::from_slice(&line) {
                Ok(command) => node.obey(command),
                Err(error) => Err(format!("not a command: {error}")),
            }));
        }
    }
    node.heal().and(served)?;
    node.linger()
}

/// What is said to us, line by line.
struct Lines {
    commands: File,
    read: Vec<u8>,
    /// Nobody will say any more.
    ended: bool,
}

impl Lines {
    /// Reads what there is, or waits for it. A connection that breaks is as much an end as one that is closed.
    fn read(&mut self) {
        let mut bytes = [0; 4096];
        match self.commands.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => self.ended = true,
            Ok(count) => self.read.extend(&bytes[..count]),
        }
    }

    /// The next line that has been read.
    fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.read.iter().position(|byte| *byte == b'\n')?;
        let rest = self.read.split_off(end + 1);
        Some(std::mem::replace(&mut self.read, rest))
    }
}

/// Says it on one line of the standard output, whoever else says something.
fn say(said: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    let mut output = io::stdout().lock();
    output.write_all(&line)?;
    output.flush()
}

/// What there is to tell of packets. A thread of its own does it.
#[derive(Clone)]
struct Notes(Arc<Mutex<Pen>>);

impl Notes {
    fn begin(room: u64) -> io::Result<Self> {
        let notes = Notes(Arc::new(Mutex::new(Pen::held(room))));
        let mine = notes.clone();
        // It ends with the process, or when nobody listens.
        let tell = move || {
            while mine.tell().is_ok() {
                std::thread::sleep(TELLING);
            }
        };
        std::thread::Builder::new().name("notes".into()).spawn(tell).map(|_| notes)
    }

    fn pen(&self) -> Pen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells of all packets until now. When it returns, that has been said.
    fn tell(&self) -> io::Result<()> {
        let pen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (noted, missed) = pen.take();
        if missed > 0 {
            say(&Said::Packets(Packets { noted: Vec::new(), missed }))?;
        }
        noted
            .chunks(AT_ONCE)
            .try_for_each(|noted| say(&Said::Packets(Packets { noted: noted.to_vec(), missed: 0 })))
    }
}

/// What is in force in the node's network.
struct Links {
    matrix: Matrix,
    /// Held for what it keeps out.
    six: six::Closed,
}

/// Why there is nothing in force.
enum Refused {
    /// There is no nftables, which was to be tried first.
    Table(BackendError),
    Other(BackendError),
}

impl From<BackendError> for Refused {
    fn from(error: BackendError) -> Self {
        Refused::Other(error)
    }
}

fn prepare(setup: &Setup, pen: Option<Pen>) -> Result<Links, Refused> {
    let place = Place {
        run: setup.run.clone(),
        hooks: &[Hook::Input, Hook::Output],
        clients: setup.clients,
        nodes: setup.nodes.clone(),
        nodes_only: Some(setup.nodes_only),
    };
    let failed = || BackendError::system("opening netlink sockets");
    let packed = |variant, file| Iptables::packed(Path::new(own::ROOT), variant, file).map(Some);
    let iptables = match setup.cuts {
        Way::Best | Way::Nftables => Ok(None),
        Way::IptablesNft => packed(Variant::Nft, own::NFT),
        Way::IptablesLegacy => packed(Variant::Legacy, own::LEGACY),
    };
    let iptables = iptables.map_err(|error| BackendError::Unsupported {
        problem: format!("there is no iptables in the sidecar's image ({error})"),
        remedy: "`apt-get install iptables` where schism runs: its programs go into sidecars".into(),
    })?;
    let six = six::close(&setup.run, iptables.as_ref())?;
    let sockets = Sockets::open().map_err(failed())?.shaping_by(setup.shaped_by);
    let sockets = match (iptables, &setup.noted, pen) {
        (Some(_), Some(_), _) => return Err(Refused::Other(unseen())),
        (Some(iptables), ..) => sockets.choosing_by(iptables),
        (None, Some((links, _)), Some(pen)) => sockets.noting(pen, links.iter().copied().collect()),
        (None, ..) => sockets,
    };
    let matrix = Matrix::create(sockets, place, setup.seed);
    let mut matrix = matrix.map_err(|error| match setup.cuts {
        Way::Best => Refused::Table(error),
        _ => Refused::Other(error),
    })?;
    if !setup.shapes.is_empty() {
        matrix.shaped_by(&setup.shapes)?;
    }
    Ok(Links { matrix, six })
}

fn unseen() -> BackendError {
    BackendError::Unsupported {
        problem: "packets cannot be captured: what iptables cuts never comes to where it could be seen"
            .into(),
        remedy: "sudo modprobe nf_tables where the engine runs, or run without --capture".into(),
    }
}

/// The node's side of every fault. Whoever has to hold a thread has to be the one that lets it go: all of it is done by one thread.
struct Node {
    /// Where commands come from. Faults end at once when nobody is at its other end, whatever somebody there was told to wait for.
    lifeline: RawFd,
    links: Option<Links>,
    notes: Option<Notes>,
    starving: Starving,
    straining: Straining,
    clocks: Clocks,
    hearing: Hearing,
}

impl Node {
    /// Waits until something is said, somebody calls, or something is due, and does what nobody has to ask for.
    fn turn(&mut self, lines: &mut Lines) -> io::Result<()> {
        let dues = [self.starving.until_due(), self.straining.until_due(), self.clocks.until_due()];
        let due = dues.into_iter().chain([self.hearing.until_due()]).flatten().min();
        let [said, heard @ ..] = self.wait(lines.commands.as_raw_fd(), due)?;
        if said != 0 {
            lines.read();
        }
        self.clocks.renew();
        self.straining.disconnect()?;
        self.starving.turn()?;
        if self.hearing.attend(heard)? { self.die() } else { Ok(()) }
    }

    /// What there is at this descriptor, and at those of whom we hear, at last when that is due.
    fn wait(&self, commands: RawFd, due: Option<Duration>) -> io::Result<[i16; 4]> {
        let [door, guest, calls] = self.hearing.descriptors();
        let mut all =
            [commands, door, guest, calls].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        // Rounded up: waking too early would mean waking twice.
        let patience = due.map_or(-1, |due| i32::try_from(due.as_millis()).unwrap_or(i32::MAX - 1) + 1);
        // SAFETY: the pointer and the count are those of a live array.
        match check(unsafe { libc::poll(all.as_mut_ptr(), all.len() as libc::nfds_t, patience) }) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            Err(_) => Ok([0; 4]),
            Ok(_) => Ok(all.map(|one| one.revents)),
        }
    }

    /// Hears everybody who calls now, and keeps nobody waiting.
    fn hear_all(&mut self) -> io::Result<()> {
        for _ in 0..AT_ONCE {
            let [_, heard @ ..] = self.wait(-1, Some(Duration::ZERO))?;
            if heard == [0; 3] {
                break;
            }
            if self.hearing.attend(heard)? {
                self.die()?;
            }
        }
        self.hearing.let_go(true)
    }

    /// Everybody in the node dies, and what is to happen to its files then happens.
    fn die(&mut self) -> io::Result<()> {
        self.starving.end();
        // Who is dead and held would wait for us.
        self.straining.release();
        self.straining.killed();
        let lifeline = self.lifeline;
        processes::kill_all(|| is_cut(lifeline))?;
        self.hearing.at_rest()
    }

    /// Ends every fault.
    fn heal(&mut self) -> io::Result<()> {
        // The kernel deletes each table with the socket that owns it; a chain of iptables is taken away by us. What is held
        // back goes out or is lost.
        children::awaited(|| drop(self.links.take()));
        // A clock that could not be mended is right again when its lease is over.
        if !self.clocks.is_right() {
            let _ = self.clocks.set(Clock::default());
        }
        let heard = self.hearing.set(Disk::default());
        let strained = self.straining.set(Strains::default(), None);
        processes::signal_all(libc::SIGCONT).and(strained).and(heard)
    }

    /// Stays for a while, as who is heard of cannot do without.
    fn linger(&mut self) -> io::Result<()> {
        let end = Instant::now() + LINGER;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let [_, heard @ ..] = self.wait(-1, Some(left))?;
            self.hearing.attend(heard)?;
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) -> Answer {
        let words = |error: io::Error| error.to_string();
        let said = |error: BackendError| error.to_string();
        let matrix = &mut self.links.as_mut().expect("there are until the end").matrix;
        // Who is held in the middle of a call cannot be stopped or traced.
        if matches!(command, Command::Pause | Command::Strain(_) | Command::Clock(_) | Command::Starve(_)) {
            self.hearing.let_go(true).map_err(words)?;
        }
        match command {
            Command::Links(links) => {
                children::awaited(|| matrix.apply(&BTreeMap::from_iter(links))).map_err(said)?;
            }
            Command::Kill => self.die().map_err(words)?,
            Command::Pause => {
                self.starving.pause();
                self.straining.paused = true;
                let lifeline = self.lifeline;
                processes::stop_all(|| is_cut(lifeline)).map_err(words)?;
            }
            Command::Resume => {
                self.straining.paused = false;
                self.starving.resume().map_err(words)?;
            }
            Command::Starve(left) => self.starving.set(left).map_err(words)?,
            Command::Strain(strains) => {
                let set = |node: &mut Node| {
                    let daemon = daemon()?.map(|daemon| daemon.pid);
                    node.straining.set(strains, daemon)
                };
                patiently(self, set, Node::hear_all).map_err(words)?;
            }
            Command::Clock(clock) => {
                patiently(self, |node| node.clocks.set(clock), Node::hear_all).map_err(words)?;
            }
            Command::Disk(disk) => {
                self.hearing.set(disk).map_err(words)?;
                if daemon().map_err(words)?.is_none() {
                    self.hearing.at_rest().map_err(words)?;
                }
            }
            Command::Tell => self.notes.iter().try_for_each(Notes::tell).map_err(words)?,
            Command::Measure => {
                // Whoever is stopped only for a moment is looked at while it runs.
                self.starving.interrupt().map_err(words)?;
                let starved_ns = u64::try_from(self.starving.kept().as_nanos()).unwrap_or(u64::MAX);
                let dropped = children::awaited(|| matrix.dropped()).map_err(said)?.into_iter().collect();
                let traffic = matrix.traffic().map_err(said)?.into_iter().collect();
                let daemon = daemon().map_err(words)?;
                // One that is stopped cannot look at its clock. How often it was started is the controller's to say.
                let runs = daemon.filter(|daemon| !daemon.stopped);
                let clock = runs.and_then(|daemon| self.clocks.read(daemon.pid as i32, &[]));
                let strained = self.straining.seen(daemon.map(|daemon| daemon.pid), 0);
                let disk = self.hearing.work().clone();
                let measured = Measured { dropped, traffic, starved_ns, strained, clock, disk, daemon };
                return Ok(Reply::Measured(measured.into()));
            }
        }
        Ok(Reply::Done)
    }
}

/// Whether nobody is at the other end, although something may be left to read.
fn is_cut(lifeline: RawFd) -> bool {
    let mut one = [libc::pollfd { fd: lifeline, events: libc::POLLRDHUP, revents: 0 }];
    // SAFETY: the pointer and the count are those of a live array.
    let told = unsafe { libc::poll(one.as_mut_ptr(), 1, 0) };
    told == 1
}

/// The daemon is the process that has been here longest; whatever it or a person has started came later.
fn daemon() -> io::Result<Option<Daemon>> {
    let Some(pid) = processes::everybody()?.into_iter().min() else { return Ok(None) };
    let measured = processes::measure(pid as u32)?;
    let cpu_ns = u64::try_from(measured.cpu.as_nanos()).unwrap_or(u64::MAX);
    Ok(Some(Daemon { pid: measured.pid, cpu_ns, stopped: measured.stopped }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifeline_is_cut_when_nobody_is_there_whatever_was_said_before() {
        let (ours, mut theirs) = io::pipe().expect("a pipe");
        assert!(!is_cut(ours.as_raw_fd()));
        theirs.write_all(b"the last word").expect("there is room");
        assert!(!is_cut(ours.as_raw_fd()), "somebody is there");
        drop(theirs);
        assert!(is_cut(ours.as_raw_fd()), "and is not any more");
    }
}
