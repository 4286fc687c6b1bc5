//! The sandbox as a backend: brings nodes and links into the desired state.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::agent::DATA;
use super::boot;
use super::command;
use super::enter::Fabric;
use super::links::{self, FIRST_INTERFACE, MOST_NODES, address};
use super::matrix::Matrix;
use super::netlink::Netlink;
use super::node::Agent;
use super::protocol::{Command, Exit, Furniture, Reply};
use super::rung::{self, Rung};
use super::system::enter_network;
use super::warden::{Made, Warden};
use super::{Options, Timings};
use crate::backend::{Backend, BackendError, ClientNetwork};
use crate::clock::Clock;
use crate::cluster::{Daemon, Death, Desired, Endpoint, Node, NodeSpec, Observation, Program, Run};
use crate::disk::{Disk, Watch, Wrong};
use crate::link::Share;
use crate::strain::Strains;

/// A cluster in namespaces of this machine. Dropping it takes everything down but the folder.
pub struct Sandbox {
    specs: Vec<NodeSpec>,
    folder: PathBuf,
    // Dropped in this order: nodes first, then the thread that made them, then what their links hung on.
    members: Vec<Member>,
    warden: Option<Warden>,
    net: Option<Net>,
    clients: Arc<Clients>,
    notes: Vec<String>,
    mechanisms: Vec<String>,
    timings: Timings,
}

/// A node, what it runs, and in which state that was left.
struct Member {
    agent: Agent,
    program: Option<Program>,
    run: Run,
    clock: Clock,
    disk: Disk,
    strains: Strains,
    left: Option<Share>,
    deaths: Vec<Exit>,
}

/// The kernel's side of the fabric.
struct Net {
    links: Netlink,
    matrix: Matrix,
}

struct Clients(OwnedFd);

impl ClientNetwork for Clients {
    fn enter(&self) -> Result<(), BackendError> {
        enter_network(&self.0).map_err(BackendError::system("entering the clients' network"))
    }
}

impl Sandbox {
    /// Makes the nodes and their links. No daemon runs yet. One sandbox at a time fits into a fabric.
    ///
    /// # Errors
    /// `Unsupported` where the machine does not let us, `System` or `Node` where something failed; all that was made
    /// until then is taken down again.
    pub fn create(fabric: &Fabric, options: &Options) -> Result<Self, BackendError> {
        let begun = Instant::now();
        if !(1..=MOST_NODES).contains(&options.nodes) {
            let problem = format!("a sandbox has 1 to {MOST_NODES} nodes, not {}", options.nodes);
            return Err(BackendError::Unsupported {
                problem,
                remedy: "choose another number of nodes".into(),
            });
        }
        let folder = folders(options)?;
        let mut agents = Vec::with_capacity(options.nodes);
        let made =
            Warden::start(fabric, options.nodes, options.fast_heal, |one| agents.push(Agent::adopt(one)));
        let (warden, Made { mut networks, mut links, faults, took: namespaces, heals_fast }) = made?;

        // The agents start, on the other processors, while their links are made.
        let boots = reboots(options).then(boots);
        let rung = options.skews.then(|| rung::choose(options.skewed_by)).transpose()?;
        let means = Means {
            watch: Watch::of(&options.disks),
            boots: matches!(boots, Some(Ok(()))),
            library: matches!(rung, Some((Rung::Library, _))),
        };
        furnish(&mut agents, &folder, &means)?;
        let ends = networks.iter().map(|one| (one.endpoint, one.namespace.as_fd()));
        links::connect(&mut links, ends)?;
        for network in &mut networks {
            links::settle(&mut network.netlink, network.endpoint)?;
        }
        let linked = begun.elapsed();
        let mut faults = faults.shaping_by(options.shaped_by);
        if let Some(capture) = &options.capture {
            faults = faults.capturing(capture.clone(), FIRST_INTERFACE);
        }
        let mut matrix = Matrix::create(faults, links::place(&options.run, options.nodes), options.seed)?;
        if !options.shapes.is_empty() {
            // Another cluster may be tried in the same fabric, which should find it as it was.
            let shaped = matrix.shaped_by(&options.shapes);
            shaped.or_else(|error| links::disconnect(&mut links).and(Err(error)))?;
        }
        if matrix.switches() {
            for network in &networks {
                links::send_as_on_a_wire(&network.netlink, network.endpoint)?;
            }
        }
        for agent in &mut agents {
            agent.reply()?;
        }
        let clients = networks.pop().expect("the clients' network is made last").namespace;
        let mut notes = notes(&matrix, options.fast_heal && !heals_fast);
        let mut mechanisms = matrix.mechanisms();
        if let Some((rung, why)) = rung {
            mechanisms.push(rung.words().into());
            notes.extend(why);
        }
        match boots {
            Some(Ok(())) => mechanisms.push(BOOTS.into()),
            Some(Err(error)) => notes.push(format!("the monotonic clock goes on through a reboot: {error}")),
            None => {}
        }
        let member = |agent| Member {
            agent,
            program: None,
            run: Run::Down,
            clock: Clock::default(),
            disk: Disk::default(),
            strains: Strains::default(),
            left: None,
            deaths: Vec::new(),
        };
        Ok(Sandbox {
            specs: specs(options.nodes),
            folder,
            members: agents.into_iter().map(member).collect(),
            warden: Some(warden),
            net: Some(Net { links, matrix }),
            clients: Arc::new(Clients(clients)),
            notes,
            mechanisms,
            timings: Timings { namespaces, links: linked, ready: begun.elapsed() },
        })
    }

    /// How long it took to make.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// What works less well on this machine than it could, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// By what its links are cut and shaped, one sentence each.
    pub fn mechanisms(&self) -> &[String] {
        &self.mechanisms
    }

    /// Takes note of daemons that have ended by themselves.
    fn collect_exits(&mut self) {
        for member in &mut self.members {
            while let Some(exit) = member.agent.exit() {
                member.run = Run::Down;
                member.deaths.push(exit);
            }
        }
    }
}

impl Backend for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn nodes(&self) -> &[NodeSpec] {
        &self.specs
    }

    fn client_network(&self) -> Arc<dyn ClientNetwork> {
        self.clients.clone()
    }

    fn start(&mut self, node: Node, program: Program) -> Result<(), BackendError> {
        let member = &mut self.members[node.0];
        member.agent.send(&start(&program))?;
        member.agent.reply()?;
        member.program = Some(program);
        member.run = Run::Up;
        Ok(())
    }

    fn apply(&mut self, desired: &Desired) -> Result<(), BackendError> {
        self.collect_exits();
        if let Some(net) = &mut self.net {
            net.matrix.apply(&desired.links)?;
        }
        // All nodes are told before the first has answered, so that a fault hits several of them together.
        let mut failed = None;
        let mut open = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            let wanted = desired.run(Node(index));
            let Some(program) = &member.program else { continue };
            // Before it is started again: then its clock is wrong from its first instruction on. Before it is paused: who is
            // stopped already can still be changed.
            let clock = desired.clock(Node(index));
            let clock = (clock != member.clock).then_some(Command::Clock(clock));
            let disk = desired.disks.get(&Node(index)).cloned().unwrap_or_default();
            let disk = (disk != member.disk).then_some(Command::Disk(disk));
            let strains = desired.strains.get(&Node(index)).copied().unwrap_or_default();
            let strain = (strains != member.strains).then_some(Command::Strain(strains));
            let left = desired.starved.get(&Node(index)).copied();
            let starve = (left != member.left).then_some(Command::Starve(left));
            for command in clock
                .into_iter()
                .chain(disk)
                .chain(strain)
                .chain(starve)
                .chain(commands(member.run, wanted, program))
            {
                match member.agent.send(&command) {
                    Ok(()) => open.push((index, After::of(&command))),
                    Err(error) => drop(failed.get_or_insert(error)),
                }
            }
        }
        let mut refusing = None;
        for (index, after) in open {
            let member = &mut self.members[index];
            match (member.agent.reply(), after) {
                // What came after a refusal had nothing to act on.
                (Ok(_), After::Run { .. }) if refusing == Some(index) => {}
                (Ok(_), After::Run { done, .. }) => member.run = done,
                (Ok(_), After::Clock(clock)) => member.clock = clock,
                (Ok(_), After::Starve(left)) => member.left = left,
                (Ok(_), After::Disk(disk)) => member.disk = disk,
                (Ok(_), After::Strain(strains)) => member.strains = strains,
                (Err(error), after) => {
                    if let After::Run { refused, .. } = after {
                        member.run = refused;
                        refusing = Some(index);
                    }
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn observe(&mut self) -> Result<Observation, BackendError> {
        self.collect_exits();
        let (mut dropped, mut traffic) = (BTreeMap::new(), BTreeMap::new());
        if let Some(net) = &mut self.net {
            (dropped, traffic) = (net.matrix.dropped()?, net.matrix.traffic()?);
        }
        for member in &mut self.members {
            member.agent.send(&Command::Measure)?;
        }
        // Every answer is read before the first error is given back: none may be left for the next question.
        let answers: Vec<_> = self.members.iter_mut().map(|member| member.agent.reply()).collect();
        let (mut daemons, mut disks) = (Vec::new(), Vec::new());
        for answer in answers {
            let Reply::Measured(measured, starved, clock, work, strained) = answer? else {
                unreachable!("measuring is answered by what was measured")
            };
            daemons.push(measured.map(|one| Daemon {
                pid: one.pid,
                cpu: one.cpu,
                stopped: one.stopped,
                starved,
                clock,
                strained: *strained,
            }));
            disks.push(*work);
        }
        Ok(Observation { dropped, traffic, daemons, disks })
    }

    fn deaths(&mut self) -> Vec<Death> {
        self.collect_exits();
        let mut deaths = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            deaths.extend(member.deaths.drain(..).map(|exit| Death {
                node: Node(index),
                how: exit.how(),
                suspicious: matches!(exit, Exit::Signal(libc::SIGKILL) | Exit::Agent),
            }));
        }
        deaths
    }

    fn command(
        &mut self,
        node: Node,
        words: &[String],
        limit: Duration,
    ) -> Result<Result<(), String>, BackendError> {
        let (clients, address) = (&self.clients, self.specs[node.0].address);
        // A thread of its own, since whoever enters a network stays there.
        std::thread::scope(|scope| {
            let ran = scope.spawn(|| {
                clients.enter()?;
                Ok(command::run(words, address, limit))
            });
            ran.join().expect("running a command does not panic")
        })
    }

    fn log(&self, node: Node) -> PathBuf {
        log(&self.folder, node)
    }

    fn stop(&mut self) -> Result<(), BackendError> {
        self.members.iter().for_each(|member| member.agent.kill());
        let mut failed = None;
        for member in &mut self.members {
            if let Err(error) = member.agent.wait() {
                failed.get_or_insert(error);
            }
        }
        self.warden.take();
        if let Some(Err(error)) = self.net.take().map(|mut net| links::disconnect(&mut net.links)) {
            failed.get_or_insert(error);
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.stop();
    }
}

/// How it is told by what the clocks of a node begin anew.
const BOOTS: &str = "after a reboot monotonic clocks begin from zero, by a time namespace";

/// Whether the power of nodes is to fail.
fn reboots(options: &Options) -> bool {
    options.disks.iter().any(|wrong| matches!(wrong, Wrong::Lose(_)))
}

/// Whether clocks that count from the last boot can begin anew here: tried by a thread that ends, as what it tries sticks to it.
fn boots() -> io::Result<()> {
    let tried = std::thread::spawn(boot::attempt).join();
    tried.unwrap_or_else(|_| Err(io::Error::other("the attempt panicked")))
}

/// What leads a daemon from one state to another.
fn commands(from: Run, to: Run, program: &Program) -> Vec<Command> {
    match (from, to) {
        (Run::Up, Run::Up) | (Run::Paused, Run::Paused) | (Run::Down, Run::Down) => vec![],
        (_, Run::Down) => vec![Command::Kill],
        (Run::Up, Run::Paused) => vec![Command::Pause],
        (Run::Paused, Run::Up) => vec![Command::Resume],
        (Run::Down, Run::Up) => vec![start(program)],
        (Run::Down, Run::Paused) => vec![start(program), Command::Pause],
    }
}

/// How a node is after a command.
enum After {
    /// In which state its daemon is when that was done, and when it was refused.
    Run { done: Run, refused: Run },
    /// What is left to it of the time when that was done.
    Starve(Option<Share>),
    /// What its disk is when that was done.
    Disk(Disk),
    /// What its processes are under when that was done.
    Strain(Strains),
    /// What its clock is when that was done. When it was refused, it is asked again next time.
    Clock(Clock),
}

impl After {
    fn of(command: &Command) -> Self {
        let (done, refused) = match command {
            Command::Start { .. } => (Run::Up, Run::Down),
            Command::Kill => (Run::Down, Run::Down),
            // Some processes may be stopped: the way back is the same.
            Command::Pause => (Run::Paused, Run::Paused),
            Command::Resume => (Run::Up, Run::Paused),
            Command::Starve(left) => return After::Starve(*left),
            Command::Clock(clock) => return After::Clock(*clock),
            Command::Disk(disk) => return After::Disk(disk.clone()),
            Command::Strain(strains) => return After::Strain(*strains),
            Command::Measure => {
                unreachable!("measuring changes nothing and is not part of a change of state")
            }
        };
        After::Run { done, refused }
    }
}

fn start(program: &Program) -> Command {
    let Program { file, arguments, environment } = program.clone();
    Command::Start { file, arguments, environment }
}

fn specs(nodes: usize) -> Vec<NodeSpec> {
    let spec = |index| {
        let node = Node(index);
        NodeSpec::new(node, address(Endpoint::Node(node)), DATA)
    };
    (0..nodes).map(spec).collect()
}

fn notes(matrix: &Matrix, heals_slowly: bool) -> Vec<String> {
    let slowly =
        "this kernel has no tcp_rto_max_ms: connections may take as long to recover as they were cut";
    let slowly = heals_slowly.then(|| slowly.to_owned());
    matrix.lacks().into_iter().chain(slowly).collect()
}

/// Makes the folders; the whole path is needed, as a node has its own idea of where it is.
fn folders(options: &Options) -> Result<PathBuf, BackendError> {
    let make = |path: &Path| {
        fs::create_dir_all(path).map_err(BackendError::system(format!("making {}", path.display())))
    };
    make(&options.folder)?;
    let folder =
        fs::canonicalize(&options.folder).map_err(BackendError::system("finding the run's folder"))?;
    for index in 0..options.nodes {
        make(&place(&folder, Node(index)).join("data"))?;
    }
    Ok(folder)
}

fn place(folder: &Path, node: Node) -> PathBuf {
    folder.join("nodes").join(node.to_string())
}

fn log(folder: &Path, node: Node) -> PathBuf {
    place(folder, node).join("node.log")
}

/// By what a node's agent does what is asked of it.
#[derive(Clone)]
struct Means {
    watch: Watch,
    boots: bool,
    library: bool,
}

/// Tells every agent what its node is, without waiting for the answers.
fn furnish(agents: &mut [Agent], folder: &Path, means: &Means) -> Result<(), BackendError> {
    let nodes = (0..agents.len()).map(|index| Endpoint::Node(Node(index)));
    let hosts: BTreeMap<_, _> = nodes.chain([Endpoint::Clients]).map(|one| (one, address(one))).collect();
    let hosts: Vec<_> = hosts.into_iter().map(|(one, address)| (one.to_string(), address)).collect();
    for (index, agent) in agents.iter_mut().enumerate() {
        let node = Node(index);
        agent.furnish(&Furniture {
            number: index,
            name: node.to_string(),
            data: place(folder, node).join("data"),
            log: log(folder, node),
            hosts: hosts.clone(),
            watch: means.watch.clone(),
            boots: means.boots,
            library: means.library,
        })?;
    }
    Ok(())
}
