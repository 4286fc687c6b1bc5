//! The sidecar: our own binary in a hidden mode, the first process of a node in Docker.
//!
//! It makes the node's links as bad as wanted in the node's own network, signals all of the node's processes and measures, as the controller
//! says on its standard input. When that closes it ends every fault, and a minute later itself, and the kernel then kills
//! everything in the node. It waits for nobody while it lives; threads of its own read what is said and hold back packets.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::protocol::{Answer, Command, Daemon, Measured, Packets, Reply, Said, Setup};
use super::{DATA, SIDECAR_COMMAND, Way, own};
use crate::backend::BackendError;
use crate::backend::kernel::capture::Pen;
use crate::backend::kernel::clock::Clocks;
use crate::backend::kernel::cuts::{Hook, Place};
use crate::backend::kernel::disk::Disks;
use crate::backend::kernel::matrix::{Matrix, Sockets};
use crate::backend::kernel::programs::{Iptables, Variant};
use crate::backend::kernel::starving::Starving;
use crate::backend::kernel::straining::Straining;
use crate::backend::kernel::{children, processes, six};
use crate::clock::Clock;
use crate::disk::Watch;
use crate::strain::Strains;

/// How long a node goes on after its controller has ended: long enough for a look, too short to be in anybody's way.
const LINGER: Duration = Duration::from_secs(60);

/// How often it tells of packets.
const TELLING: Duration = Duration::from_millis(50);
/// Of how many at once.
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
    match serve(io::stdin()) {
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
fn serve(commands: impl Read + Send + 'static) -> io::Result<()> {
    let lines = listen(commands)?;
    let answer = |answer: Answer| say(&Said::Answer(answer));
    let Ok(setup) = lines.recv() else { return Ok(()) };
    let setup: Setup = serde_json::from_str(&setup)?;
    let notes = setup.noted.as_ref().map(|(_, room)| Notes::begin(*room)).transpose()?;
    let pen = notes.as_ref().map(Notes::pen);
    let links = match children::awaited(|| prepare(&setup, pen)) {
        Ok(links) => links,
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
        links,
        notes,
        starving: Starving::default(),
        straining: Straining::default(),
        clocks: Clocks::finding_programs(),
        disks: Disks::new(DATA, Watch::default()),
    };
    while served.is_ok() {
        let line = match node.until_due() {
            Some(due) => lines.recv_timeout(due),
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        served = match line.map(|line| serde_json::from_str(&line)) {
            Ok(Ok(command)) => answer(node.obey(command)),
            Ok(Err(error)) => answer(Err(format!("not a command: {error}"))),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        served = served.and_then(|()| node.turn());
    }
    node.heal().and(served)
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

/// Reads lines in a thread of its own, so that whoever waits for one can do something else in time. A connection that breaks is
/// as much an end as one that is closed.
fn listen(commands: impl Read + Send + 'static) -> io::Result<Receiver<String>> {
    let (tell, lines) = channel();
    let read = move || {
        let mut read = BufReader::new(commands).lines();
        while let Some(Ok(line)) = read.next() {
            if tell.send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("lifeline".into()).spawn(read).map(|_| lines)
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

/// The node's side of every fault. Whoever holds a thread has to be the one that lets it go: all of it is done by one thread.
struct Node {
    links: Links,
    notes: Option<Notes>,
    starving: Starving,
    straining: Straining,
    clocks: Clocks,
    disks: Disks,
}

impl Node {
    /// How long until something is to be done that nobody has to ask for.
    fn until_due(&self) -> Option<Duration> {
        let dues = [self.starving.until_due(), self.straining.until_due(), self.clocks.until_due()];
        dues.into_iter().flatten().min()
    }

    fn turn(&mut self) -> io::Result<()> {
        self.clocks.renew();
        self.straining.disconnect()?;
        self.starving.turn()
    }

    /// Ends every fault.
    fn heal(mut self) -> io::Result<()> {
        // The kernel deletes each table with the socket that owns it; a chain of iptables is taken away by us. What is held
        // back goes out or is lost.
        children::awaited(|| drop(self.links));
        // A clock that could not be mended is right again when its lease is over.
        if !self.clocks.is_right() {
            let _ = self.clocks.set(Clock::default());
        }
        let strained = self.straining.set(Strains::default(), None);
        processes::signal_all(libc::SIGCONT).and(strained)
    }

    fn obey(&mut self, command: Command) -> Answer {
        let words = |error: io::Error| error.to_string();
        let said = |error: BackendError| error.to_string();
        let matrix = &mut self.links.matrix;
        match command {
            Command::Links(links) => {
                children::awaited(|| matrix.apply(&BTreeMap::from_iter(links))).map_err(said)?;
            }
            Command::Kill => {
                self.starving.end();
                // Who is dead and held would wait for us.
                self.straining.release();
                self.straining.killed();
                processes::kill_all().and_then(|()| self.disks.at_rest()).map_err(words)?;
            }
            Command::Pause => {
                self.starving.pause();
                self.straining.paused = true;
                processes::stop_all().map_err(words)?;
            }
            Command::Resume => {
                self.straining.paused = false;
                self.starving.resume().map_err(words)?;
            }
            Command::Starve(left) => self.starving.set(left).map_err(words)?,
            Command::Strain(strains) => {
                let daemon = daemon().map_err(words)?.map(|daemon| daemon.pid);
                self.straining.set(strains, daemon).map_err(words)?;
            }
            Command::Clock(clock) => self.clocks.set(clock).map_err(words)?,
            Command::Disk(disk) => {
                self.disks.set(disk);
                if daemon().map_err(words)?.is_none() {
                    self.disks.at_rest().map_err(words)?;
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
                let clock = runs.and_then(|daemon| self.clocks.read(daemon.pid as i32));
                let strained = self.straining.seen(daemon.map(|daemon| daemon.pid), 0);
                let disk = self.disks.work().clone();
                let measured = Measured { dropped, traffic, starved_ns, strained, clock, disk, daemon };
                return Ok(Reply::Measured(measured.into()));
            }
        }
        Ok(Reply::Done)
    }
}

/// The daemon is the process that has been here longest; whatever it or a person has started came later.
fn daemon() -> io::Result<Option<Daemon>> {
    let Some(pid) = processes::everybody()?.into_iter().min() else { return Ok(None) };
    let measured = processes::measure(pid as u32)?;
    let cpu_ns = u64::try_from(measured.cpu.as_nanos()).unwrap_or(u64::MAX);
    Ok(Some(Daemon { pid: measured.pid, cpu_ns, stopped: measured.stopped }))
}
