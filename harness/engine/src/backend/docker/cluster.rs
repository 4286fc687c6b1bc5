//! Docker as a backend: brings nodes and links into the desired state.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::query_parameters::{AttachContainerOptions, CreateContainerOptions, RemoveContainerOptions};
use futures_util::future::join_all;

use super::capture::Collector;
use super::engine::Engine;
use super::labels::Controller;
use super::lifeline::{Lifeline, lacks_a_right};
use super::links::{links_at, links_of};
use super::node::Member;
use super::protocol::{Command, Measured, Reply, Setup};
use super::subnet::Subnet;
use super::{DATA, Options, Reach, Way, clean, containers, exec, network};
use crate::backend::{Backend, BackendError, ClientNetwork};
use crate::clock::Clock;
use crate::cluster::{Daemon, Death, Desired, Node, NodeSpec, Observation, Program, Run};
use crate::disk::Wrong;
use crate::strain::{Strained, Strains};

/// How many nodes a network has addresses for.
const MOST_NODES: usize = 99;
/// How long an engine that went away may take to come back, for what is to be removed.
const COMEBACK: Duration = Duration::from_secs(30);

/// What a reboot does not do here.
const GOES_ON: &str =
    "monotonic clocks go on through a reboot: an engine gives no container a time namespace";

/// A cluster of containers. Dropping it removes all of them but the folder.
pub struct Docker {
    engine: Arc<Engine>,
    controller: Controller,
    options: Options,
    specs: Vec<NodeSpec>,
    members: Vec<Member>,
    notes: Vec<String>,
    mechanisms: Vec<String>,
    /// The first thing that went wrong with the engine itself.
    trouble: Option<BackendError>,
    /// What sidecars tell of packets.
    collector: Arc<Mutex<Collector>>,
    /// Whether packets are being written down.
    captures: bool,
    gone: bool,
}

/// What came of making a cluster.
enum Attempt {
    Made(Box<Docker>),
    /// Sidecars cannot choose packets in the best way there is: why.
    NoTable(String),
}

/// Clients are on the machine's own network already.
struct Here;

impl ClientNetwork for Here {
    fn enter(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

impl Docker {
    /// Makes the network, and each node's volume and sidecar. No store runs yet.
    ///
    /// # Errors
    /// What the engine refused, with the next step where one is known; all that was made until then is removed again.
    pub fn create(engine: Arc<Engine>, options: Options) -> Result<Self, BackendError> {
        if !(1..=MOST_NODES).contains(&options.nodes) {
            return Err(BackendError::Unsupported {
                problem: format!("a cluster in docker has 1 to {MOST_NODES} nodes, not {}", options.nodes),
                remedy: "choose another number of nodes".into(),
            });
        }
        for index in 0..options.nodes {
            let place = place(&options.folder, Node(index));
            fs::create_dir_all(&place)
                .map_err(BackendError::system(format!("making {}", place.display())))?;
        }
        let second = Options { cuts: Way::IptablesLegacy, ..options.clone() };
        match Docker::attempt(Arc::clone(&engine), options)? {
            Attempt::Made(cluster) => Ok(*cluster),
            // That takes a capability more, so the sidecars are made anew.
            Attempt::NoTable(_) => match Docker::attempt(engine, second)? {
                Attempt::Made(cluster) => Ok(*cluster),
                Attempt::NoTable(problem) => {
                    Err(BackendError::Unsupported { problem, remedy: "sudo modprobe nf_tables".into() })
                }
            },
        }
    }

    fn attempt(engine: Arc<Engine>, options: Options) -> Result<Attempt, BackendError> {
        let mut cluster = Docker {
            engine,
            controller: Controller::own(),
            options,
            specs: Vec::new(),
            members: Vec::new(),
            notes: Vec::new(),
            mechanisms: Vec::new(),
            trouble: None,
            collector: Arc::default(),
            captures: false,
            gone: false,
        };
        let subnet = network::make(&cluster.engine, &cluster.controller)?;
        let direct = cluster.options.reach == Reach::Found && UdpSocket::bind((subnet.gateway(), 0)).is_ok();
        cluster.make_nodes(subnet, !direct)?;
        Ok(match cluster.set_up(subnet)? {
            None => {
                cluster.begin_capture()?;
                Attempt::Made(cluster.into())
            }
            Some(why) => Attempt::NoTable(why),
        })
    }

    /// What works less well here than it could, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// By what its links are cut and shaped, one sentence each.
    pub fn mechanisms(&self) -> &[String] {
        &self.mechanisms
    }

    /// From now on there is a file for what sidecars tell of packets.
    fn begin_capture(&mut self) -> Result<(), BackendError> {
        if let Some(asked) = &self.options.capture {
            let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
            collector.begin(asked, self.options.nodes)?;
            self.captures = true;
        }
        Ok(())
    }

    /// Ends the file with what sidecars have not told yet.
    fn end_capture(&mut self) {
        if std::mem::take(&mut self.captures) {
            // Whoever is gone has nothing to tell any more.
            let _ = self.command((0..self.members.len()).map(|index| (index, Command::Tell)).collect());
            self.collector.lock().unwrap_or_else(PoisonError::into_inner).end();
        }
    }

    fn name(&self, what: &str) -> String {
        containers::name(&self.controller, what)
    }

    /// Makes all nodes' volumes and sidecars at once.
    fn make_nodes(&mut self, subnet: Subnet, publish: bool) -> Result<(), BackendError> {
        if containers::is_launched_from_outside(&self.options) {
            let volume = self.volume(containers::PROGRAM);
            let making = self.engine.docker().create_volume(volume);
            self.engine.ask("making a volume for our own program", making)?;
        }
        let sidecars = (0..self.options.nodes).map(|index| {
            let (name, body) =
                containers::sidecar(&self.controller, &self.options, Node(index), subnet, publish);
            let (docker, volume) = (self.engine.docker(), self.volume(&format!("{}-data", Node(index))));
            async move {
                docker.create_volume(volume).await?;
                let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
                docker.create_container(Some(options), body).await?;
                let streams = AttachContainerOptions {
                    stream: true,
                    stdin: true,
                    stdout: true,
                    stderr: true,
                    ..Default::default()
                };
                let attached = docker.attach_container(&name, Some(streams)).await?;
                docker.start_container(&name, None).await?;
                let seen = docker.inspect_container(&name, None).await?;
                Ok((attached, seen.network_settings.and_then(|settings| settings.ports).unwrap_or_default()))
            }
        });
        let made = self.engine.run(join_all(sidecars));
        for (index, made) in made.into_iter().enumerate() {
            let node = Node(index);
            let action = format!("starting the sidecar of {node}");
            let (attached, ports) = made.map_err(|error| self.engine.refused(&action, error))?;
            let mut spec = NodeSpec::new(node, subnet.node(index), DATA);
            if publish {
                spec.published = network::published(&self.engine, node, &self.options.client_ports, &ports)?;
            }
            self.specs.push(spec);
            let link = Lifeline::new(node, &self.engine, attached, Arc::clone(&self.collector));
            self.members.push(Member::new(node, link, &self.log(node))?);
        }
        Ok(())
    }

    fn volume(&self, what: &str) -> bollard::models::VolumeCreateRequest {
        bollard::models::VolumeCreateRequest {
            name: Some(self.name(what)),
            labels: Some(self.controller.labels("volume")),
            ..Default::default()
        }
    }

    /// Tells every sidecar what its node is; says why if they cannot choose packets in the best way there is.
    fn set_up(&mut self, subnet: Subnet) -> Result<Option<String>, BackendError> {
        let mut setup = Setup {
            run: self.controller.run(),
            clients: subnet.gateway(),
            nodes: containers::addresses(subnet, self.options.nodes),
            nodes_only: subnet.nodes_only(),
            seed: self.options.seed,
            cuts: self.options.cuts,
            shaped_by: self.options.shaped_by,
            shapes: self.options.shapes.clone(),
            watch: self.options.watch(),
            noted: None,
        };
        for member in &mut self.members {
            let room = self.options.capture.as_ref().map(|asked| asked.bytes);
            setup.noted = room.map(|room| (links_of(member.node, self.options.nodes), room));
            member.link.send(&setup)?;
        }
        let (mut refused, mut no_table) = (None, None);
        for member in &mut self.members {
            match member.link.reply()? {
                // No other way would help: all of them take the same right.
                Reply::NoTable(why) | Reply::Cannot(why, _) if lacks_a_right(&why) => {
                    refused.get_or_insert(member.link.refused(why));
                }
                Reply::NoTable(why) => no_table = Some(format!("{}: {why}", member.node)),
                Reply::Ready { lacks, mechanisms } => {
                    self.notes.extend(lacks.into_iter().filter(|_| member.node == Node(0)));
                    self.mechanisms.extend(mechanisms.into_iter().filter(|_| member.node == Node(0)));
                }
                Reply::Cannot(problem, remedy) => {
                    let problem = format!("{}: {problem}", member.node);
                    refused.get_or_insert(BackendError::Unsupported { problem, remedy });
                }
                Reply::Done | Reply::Measured(_) => {}
            }
        }
        let loses = |wrong: &Wrong| matches!(wrong, Wrong::Lose(_));
        self.notes.extend(self.options.disks.iter().any(loses).then(|| GOES_ON.to_owned()));
        refused.map_or(Ok(no_table), Err)
    }

    /// Makes room for another container of a node. Its volume stays.
    fn remove_store(&mut self, node: Node) -> Result<(), BackendError> {
        let member = &mut self.members[node.0];
        let Some(container) = member.container.take() else { return Ok(()) };
        // It may still run: removing it by force ends it, and only then is there an end to wait for.
        let options = RemoveContainerOptions { force: true, v: false, ..Default::default() };
        let removing = self.engine.docker().remove_container(&container, Some(options));
        self.engine.ask(&format!("{node}: removing its earlier container"), removing)?;
        self.members[node.0].await_end()
    }

    /// Starts the stores of these nodes, all at once.
    fn launch(&mut self, nodes: &[Node]) -> Result<(), BackendError> {
        let (engine, options) = (&self.engine, &self.options);
        let chosen = self.members.iter_mut().filter(|member| nodes.contains(&member.node));
        let starts: Vec<_> = chosen.map(|member| member.launch(engine)).collect();
        let mut failed = None;
        for (node, started) in nodes.iter().zip(engine.run(join_all(starts))) {
            let image = &options.image.reference;
            match started {
                Ok(running) => self.members[node.0].launched(running),
                Err(error) => {
                    let action = format!("{node}: starting image {image}");
                    failed.get_or_insert(engine.refused(&action, error));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Who has just been started gets the clock that is wanted of the node.
    fn come_up(&mut self, nodes: &[Node]) -> Result<(), BackendError> {
        let clock = |node: &Node| (node.0, self.members[node.0].clock);
        let wrong = nodes.iter().map(clock).filter(|(_, clock)| *clock != Clock::default());
        self.command(wrong.map(|(index, clock)| (index, Command::Clock(clock))).collect())
    }

    /// Those who may have gone down in the middle of a call.
    fn may_be_struck(&self) -> Vec<usize> {
        let is_to_be = |index: &usize| self.members[*index].disk.strike.is_some();
        (0..self.members.len()).filter(is_to_be).collect()
    }

    /// Starts those of these again who went down in the middle of a call: their sidecars have killed them, and count it.
    fn revive(&mut self, nodes: &[usize]) -> Result<(), BackendError> {
        for index in nodes {
            self.members[*index].link.send(&Command::Measure)?;
        }
        let answers: Vec<_> = nodes.iter().map(|index| self.members[*index].link.reply()).collect();
        let mut down = Vec::new();
        for (index, answer) in nodes.iter().zip(answers) {
            let Reply::Measured(measured) = answer? else { continue };
            let member = &mut self.members[*index];
            if std::mem::replace(&mut member.struck, measured.disk.strikes) < measured.disk.strikes {
                member.await_end()?;
                member.run = Run::Down;
                down.push(member.node);
            }
        }
        self.launch(&down)?;
        self.come_up(&down)
    }

    /// Takes note of stores that have ended by themselves.
    fn look(&mut self) {
        for index in 0..self.members.len() {
            let Some(ended) = self.members[index].look() else { continue };
            let before = self.members[index].struck;
            // Between a look at its sidecar and this one it may have gone down as it was to.
            if self.members[index].disk.strike.is_some()
                && let Err(error) = self.revive(&[index])
            {
                self.trouble.get_or_insert(error);
            }
            if self.members[index].struck == before {
                self.members[index].deaths.push(ended);
            }
        }
    }

    /// Sends each command, then reads each answer: a fault hits all of its nodes as nearly together as can be.
    fn command(&mut self, commands: Vec<(usize, Command)>) -> Result<(), BackendError> {
        let mut failed = None;
        let mut open = Vec::new();
        for (index, command) in commands {
            match self.members[index].link.send(&command) {
                Ok(()) => open.push((index, command)),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        for (index, command) in open {
            let member = &mut self.members[index];
            match (member.link.reply(), command) {
                (Ok(_), Command::Links(links)) => member.links = links,
                (Ok(_), Command::Starve(left)) => member.left = left,
                (Ok(_), Command::Clock(clock)) => member.clock = clock,
                (Ok(_), Command::Disk(disk)) => member.disk = disk,
                (Ok(_), Command::Strain(strains)) => {
                    let storm = member.strains.storm;
                    member.strains = Strains { storm, ..strains };
                }
                (Ok(_), Command::Kill) => member.run = Run::Down,
                (Ok(_), Command::Resume) => member.run = Run::Up,
                (Ok(_), Command::Pause) => member.run = Run::Paused,
                (Ok(_), Command::Measure | Command::Tell) => {}
                (Err(error), command) => {
                    if command == Command::Pause {
                        // Some processes may be stopped even if not all are: the way back is the same.
                        member.run = Run::Paused;
                    }
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Backend for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn nodes(&self) -> &[NodeSpec] {
        &self.specs
    }

    fn client_network(&self) -> Arc<dyn ClientNetwork> {
        Arc::new(Here)
    }

    fn start(&mut self, node: Node, program: Program) -> Result<(), BackendError> {
        self.remove_store(node)?;
        let name = self.name(&node.to_string());
        let body = containers::store(&self.controller, &self.options, node, &program);
        let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        let image = &self.options.image.reference;
        let docker = self.engine.docker();
        let action = format!("{node}: making a container of image {image}");
        self.engine.ask(&action, docker.create_container(Some(options), body))?;
        let words = self.options.image.entrypoint.iter().chain(&program.arguments);
        let member = &mut self.members[node.0];
        member.shown = words.map(String::as_str).collect::<Vec<_>>().join(" ");
        member.container = Some(name);
        self.launch(&[node])
    }

    fn apply(&mut self, desired: &Desired) -> Result<(), BackendError> {
        self.revive(&self.may_be_struck())?;
        self.look();
        let struck = self.may_be_struck();
        let mut commands = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            let clock = desired.clock(Node(index));
            if clock != member.clock {
                commands.push((index, Command::Clock(clock)));
            }
            let disk = desired.disks.get(&Node(index)).cloned().unwrap_or_default();
            if disk != member.disk {
                commands.push((index, Command::Disk(disk)));
            }
            let strains = desired.strains.get(&Node(index)).copied().unwrap_or_default();
            if strains.storm != member.strains.storm {
                member.strains.storm = strains.storm;
                member.strikes = strains.storm.map(|_| Instant::now());
            }
            // Whoever is started by the engine is killed by it, too: the sidecar need not know.
            if strains != member.strains {
                commands.push((index, Command::Strain(Strains { storm: None, ..strains })));
            }
            let links = links_at(Node(index), desired);
            if links != member.links {
                commands.push((index, Command::Links(links)));
            }
            let left = desired.starved.get(&Node(index)).copied();
            if left != member.left {
                commands.push((index, Command::Starve(left)));
            }
            match (member.run, desired.run(Node(index))) {
                (Run::Up | Run::Paused, Run::Down) => commands.push((index, Command::Kill)),
                (Run::Up, Run::Paused) => commands.push((index, Command::Pause)),
                (Run::Paused, Run::Up) => commands.push((index, Command::Resume)),
                _ => {}
            }
        }
        let mut done = self.command(commands);
        for member in self.members.iter_mut().filter(|member| member.run == Run::Down) {
            done = done.and(member.await_end());
        }
        done?;
        // Whom nothing strikes any more may have been struck until just now.
        self.revive(&struck)?;
        let wanted = |member: &&Member| {
            member.run == Run::Down && member.container.is_some() && desired.run(member.node) != Run::Down
        };
        let starting: Vec<Node> = self.members.iter().filter(wanted).map(|member| member.node).collect();
        self.launch(&starting)?;
        self.come_up(&starting)?;
        let paused = starting.into_iter().filter(|node| desired.run(*node) == Run::Paused);
        self.command(paused.map(|node| (node.0, Command::Pause)).collect())
    }

    fn tend(&mut self) -> Result<(), BackendError> {
        let now = Instant::now();
        let is_due = |member: &Member| member.run == Run::Up && member.strikes.is_some_and(|due| due <= now);
        self.revive(&self.may_be_struck())?;
        self.look();
        let struck: Vec<Node> =
            self.members.iter().filter(|member| is_due(member)).map(|member| member.node).collect();
        if struck.is_empty() {
            return Ok(());
        }
        self.command(struck.iter().map(|node| (node.0, Command::Kill)).collect())?;
        for node in &struck {
            let member = &mut self.members[node.0];
            member.await_end()?;
            member.strikes = member.strains.storm.map(|every| now + every);
        }
        self.launch(&struck)?;
        self.come_up(&struck)
    }

    fn observe(&mut self) -> Result<Observation, BackendError> {
        self.revive(&self.may_be_struck())?;
        self.look();
        for member in &mut self.members {
            member.link.send(&Command::Measure)?;
        }
        // Every answer is read before the first error is given back: none may be left for the next question.
        let answers: Vec<_> = self.members.iter_mut().map(|member| member.link.reply()).collect();
        let mut observation = Observation::default();
        for answer in answers {
            let measured = match answer? {
                Reply::Measured(measured) => *measured,
                Reply::Ready { .. } | Reply::NoTable(_) | Reply::Cannot(..) | Reply::Done => {
                    Measured::default()
                }
            };
            observation.dropped.extend(measured.dropped);
            observation.traffic.extend(measured.traffic);
            let starts = self.members[observation.daemons.len()].starts;
            observation.disks.push(measured.disk);
            observation.daemons.push(measured.daemon.map(|one| Daemon {
                pid: one.pid,
                cpu: Duration::from_nanos(one.cpu_ns),
                stopped: one.stopped,
                starved: Duration::from_nanos(measured.starved_ns),
                clock: measured.clock,
                strained: Strained { starts, ..measured.strained },
            }));
        }
        Ok(observation)
    }

    fn deaths(&mut self) -> Vec<Death> {
        if let Err(error) = self.revive(&self.may_be_struck()) {
            self.trouble.get_or_insert(error);
        }
        self.look();
        let mut deaths = Vec::new();
        for member in &mut self.members {
            let node = member.node;
            for ended in member.deaths.drain(..) {
                if ended == super::node::Ended::Unseen {
                    self.trouble.get_or_insert_with(|| BackendError::Unsupported {
                        problem: format!("{node}: the docker engine went away during the run"),
                        remedy: "see what ended it (its own log tells), and run again".into(),
                    });
                }
                deaths.push(Death { node, how: ended.how(), suspicious: ended.suspicious() });
            }
        }
        deaths
    }

    fn command(
        &mut self,
        node: Node,
        words: &[String],
        limit: Duration,
    ) -> Result<Result<(), String>, BackendError> {
        let Some(container) = &self.members[node.0].container else {
            return Ok(Err("it has no container yet".into()));
        };
        let address = format!("NODE_ADDRESS={}", self.specs[node.0].address);
        exec::run(&self.engine, container, words, vec![address], limit)
    }

    fn log(&self, node: Node) -> PathBuf {
        place(&self.options.folder, node).join("node.log")
    }

    fn stop(&mut self) -> Result<(), BackendError> {
        if self.gone {
            return Ok(());
        }
        self.deaths();
        self.end_capture();
        let begun = Instant::now();
        let removed = loop {
            match clean::remove(&self.engine, &self.controller.run()) {
                // An engine that is being restarted comes back, and knows its containers still.
                Err(_) if begun.elapsed() < COMEBACK => std::thread::sleep(Duration::from_millis(500)),
                removed => break removed,
            }
        };
        for member in &mut self.members {
            member.await_log(&self.engine);
        }
        self.gone = true;
        removed?;
        self.trouble.take().map_or(Ok(()), Err)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.stop();
    }
}

fn place(folder: &Path, node: Node) -> PathBuf {
    folder.join("nodes").join(node.to_string())
}
