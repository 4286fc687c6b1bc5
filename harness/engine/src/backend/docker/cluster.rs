//! Docker as a backend: brings nodes and links into the desired state.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Ipam, IpamConfig, Mount,
    MountType, NetworkCreateRequest, NetworkingConfig, PortBinding,
};
use bollard::query_parameters::{
    AttachContainerOptions, CreateContainerOptions, ListNetworksOptions, RemoveContainerOptions,
};
use futures_util::future::join_all;

use super::engine::Engine;
use super::labels::Controller;
use super::lifeline::Lifeline;
use super::node::Member;
use super::protocol::{Command, Reply, Setup};
use super::subnet::{self, Subnet};
use super::{DATA, Options, Reach, SIDECAR_COMMAND, clean};
use crate::backend::{Backend, BackendError, ClientNetwork};
use crate::cluster::{Daemon, Death, Desired, Endpoint, Node, NodeSpec, Observation, Pair, Program, Run};
use crate::link::Link;

/// How many nodes a network has addresses for.
const MOST_NODES: usize = 99;
/// How many networks are tried when others take them at the same time.
const TRIES: usize = 16;
/// How long an engine that went away may take to come back, for what is to be removed.
const COMEBACK: Duration = Duration::from_secs(30);
/// The most processes and threads a node may have: a store that forks without end is no harm to the machine.
const PIDS: i64 = 8192;
/// What a sidecar may use; it needs a few megabytes.
const SIDECAR_MEMORY: i64 = 128 << 20;

/// A cluster of containers. Dropping it removes all of them but the folder.
pub struct Docker {
    engine: Arc<Engine>,
    controller: Controller,
    options: Options,
    specs: Vec<NodeSpec>,
    members: Vec<Member>,
    notes: Vec<String>,
    /// The first thing that went wrong with the engine itself.
    trouble: Option<BackendError>,
    gone: bool,
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
        let mut cluster = Docker {
            engine,
            controller: Controller::own(),
            options,
            specs: Vec::new(),
            members: Vec::new(),
            notes: Vec::new(),
            trouble: None,
            gone: false,
        };
        let subnet = cluster.make_network()?;
        let direct = cluster.options.reach == Reach::Found && UdpSocket::bind((subnet.gateway(), 0)).is_ok();
        cluster.make_nodes(subnet, !direct)?;
        cluster.set_up(subnet)?;
        Ok(cluster)
    }

    /// What works less well here than it could, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn name(&self, what: &str) -> String {
        format!("schism-{}-{what}", self.controller.run())
    }

    /// A network of its own, with addresses that nobody else uses.
    fn make_network(&mut self) -> Result<Subnet, BackendError> {
        let docker = self.engine.docker();
        let networks =
            self.engine.ask("listing networks", docker.list_networks(None::<ListNetworksOptions>))?;
        let configs = networks.into_iter().filter_map(|network| network.ipam?.config).flatten();
        let mut taken: Vec<_> =
            configs.filter_map(|config| config.subnet).filter_map(|text| subnet::parse(&text)).collect();
        // Of an engine elsewhere, nobody here knows the routes; it refuses by itself what overlaps with its own.
        taken.extend(subnet::routed(&fs::read_to_string("/proc/net/route").unwrap_or_default()));
        let mut refused = String::new();
        for subnet in subnet::free(&taken, std::process::id()).take(TRIES) {
            let config = IpamConfig {
                subnet: Some(subnet.text()),
                gateway: Some(subnet.gateway().to_string()),
                ..IpamConfig::default()
            };
            let request = NetworkCreateRequest {
                name: self.name("network"),
                driver: Some("bridge".into()),
                ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
                labels: Some(self.controller.labels("network")),
                ..NetworkCreateRequest::default()
            };
            match self.engine.ask("making the cluster's network", docker.create_network(request)) {
                Ok(_) => return Ok(subnet),
                Err(error) if error.to_string().to_lowercase().contains("overlap") => {
                    refused = format!(": {error}");
                }
                Err(error) => return Err(error),
            }
        }
        Err(BackendError::Unsupported {
            problem: format!("no network of 198.18.0.0/15 is free in the docker engine{refused}"),
            remedy: "`schism clean` removes those of killed runs, `docker network ls` shows the others"
                .into(),
        })
    }

    /// Makes all nodes' volumes and sidecars at once.
    fn make_nodes(&mut self, subnet: Subnet, publish: bool) -> Result<(), BackendError> {
        let sidecars = (0..self.options.nodes).map(|index| {
            let (name, body) = self.sidecar(Node(index), subnet, publish);
            let (docker, volume) = (self.engine.docker(), self.volume(Node(index)));
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
                spec.published = self.published(node, &ports)?;
            }
            self.specs.push(spec);
            let link = Lifeline::new(node, &self.engine, attached);
            self.members.push(Member::new(node, link, &self.log(node))?);
        }
        Ok(())
    }

    fn volume(&self, node: Node) -> bollard::models::VolumeCreateRequest {
        bollard::models::VolumeCreateRequest {
            name: Some(self.name(&format!("{node}-data"))),
            labels: Some(self.controller.labels("volume")),
            ..Default::default()
        }
    }

    fn sidecar(&self, node: Node, subnet: Subnet, publish: bool) -> (String, ContainerCreateBody) {
        let network = self.name("network");
        let ports: Vec<String> = self.options.client_ports.iter().map(|port| format!("{port}/tcp")).collect();
        let anywhere = || Some(vec![PortBinding::default()]);
        let names = (0..self.options.nodes).map(|index| format!("{}:{}", Node(index), subnet.node(index)));
        let address = EndpointIpamConfig {
            ipv4_address: Some(subnet.node(node.0).to_string()),
            ..EndpointIpamConfig::default()
        };
        let endpoint = EndpointSettings { ipam_config: Some(address), ..EndpointSettings::default() };
        let host = HostConfig {
            network_mode: Some(network.clone()),
            port_bindings: publish.then(|| ports.iter().map(|port| (port.clone(), anywhere())).collect()),
            extra_hosts: Some(names.chain([format!("clients:{}", subnet.gateway())]).collect()),
            auto_remove: Some(true),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".into()]),
            // To choose this node's packets, to send copies of them, and to signal its processes, whoever's they are.
            cap_add: Some(["NET_ADMIN", "NET_RAW", "KILL"].map(String::from).to_vec()),
            memory: Some(SIDECAR_MEMORY),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(self.options.own.id.clone()),
            entrypoint: Some(self.options.own.entrypoint.clone()),
            cmd: Some(vec![SIDECAR_COMMAND.into()]),
            hostname: Some(node.to_string()),
            labels: Some(self.controller.labels("sidecar")),
            open_stdin: Some(true),
            // When whoever is attached goes away, the engine closes it: this is the lifeline.
            stdin_once: Some(true),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            exposed_ports: publish.then_some(ports),
            host_config: Some(host),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(network, endpoint)])),
            }),
            ..ContainerCreateBody::default()
        };
        (self.name(&format!("{node}-sidecar")), body)
    }

    /// Where a node's published ports are reached.
    fn published(
        &self,
        node: Node,
        ports: &HashMap<String, Option<Vec<PortBinding>>>,
    ) -> Result<BTreeMap<u16, SocketAddr>, BackendError> {
        let host = self.engine.address()?;
        let reached = |port: &u16| {
            let bound = ports.get(&format!("{port}/tcp"))?.as_ref()?;
            let number = bound.iter().find_map(|one| one.host_port.as_ref()?.parse().ok())?;
            Some((*port, SocketAddr::new(host, number)))
        };
        let all: Option<BTreeMap<_, _>> = self.options.client_ports.iter().map(reached).collect();
        let problem = || "the engine has not published its ports".to_owned();
        all.ok_or_else(|| BackendError::Node { node, problem: problem() })
    }

    /// Tells every sidecar what its node is.
    fn set_up(&mut self, subnet: Subnet) -> Result<(), BackendError> {
        let setup = Setup {
            run: self.controller.run(),
            clients: subnet.gateway(),
            nodes: self.specs.iter().map(|spec| spec.address).collect::<Vec<Ipv4Addr>>(),
            nodes_only: subnet.nodes_only(),
            seed: self.options.seed,
        };
        for member in &mut self.members {
            member.link.send(&setup)?;
        }
        for member in &mut self.members {
            if let Reply::Ready(lacks) = member.link.reply()? {
                self.notes.extend(lacks.into_iter().filter(|_| member.node == Node(0)));
            }
        }
        Ok(())
    }

    /// The store's container of a node, which joins its sidecar's network and processes.
    fn body(&self, node: Node, program: &Program) -> ContainerCreateBody {
        let sidecar = format!("container:{}", self.name(&format!("{node}-sidecar")));
        let data = Mount {
            target: Some(DATA.into()),
            source: Some(self.name(&format!("{node}-data"))),
            typ: Some(MountType::VOLUME),
            ..Mount::default()
        };
        let memory = i64::try_from(self.options.memory_bytes).unwrap_or(i64::MAX);
        let host = HostConfig {
            network_mode: Some(sidecar.clone()),
            pid_mode: Some(sidecar),
            mounts: Some(vec![data]),
            memory: Some(memory),
            // The same: no swap, in which a node would be slow rather than out of memory.
            memory_swap: Some(memory),
            pids_limit: Some(PIDS),
            ..HostConfig::default()
        };
        ContainerCreateBody {
            image: Some(self.options.image.id.clone()),
            entrypoint: Some(self.options.image.entrypoint.clone()),
            cmd: Some(program.arguments.clone()),
            env: Some(program.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            labels: Some(self.controller.labels("node")),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
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

    /// Takes note of stores that have ended by themselves.
    fn look(&mut self) {
        self.members.iter_mut().for_each(Member::look);
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
                (Ok(_), Command::Kill) => member.run = Run::Down,
                (Ok(_), Command::Resume) => member.run = Run::Up,
                // Some processes may be stopped even if not all are: the way back is the same.
                (Ok(_) | Err(BackendError::Node { .. }), Command::Pause) => member.run = Run::Paused,
                (Ok(_), Command::Measure) => {}
                (Err(error), _) => drop(failed.get_or_insert(error)),
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
        let body = self.body(node, &program);
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
        self.look();
        let mut commands = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            let links = links_at(Node(index), desired);
            if links != member.links {
                commands.push((index, Command::Links(links)));
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
        let wanted = |member: &&Member| {
            member.run == Run::Down && member.container.is_some() && desired.run(member.node) != Run::Down
        };
        let starting: Vec<Node> = self.members.iter().filter(wanted).map(|member| member.node).collect();
        self.launch(&starting)?;
        let paused = starting.into_iter().filter(|node| desired.run(*node) == Run::Paused);
        self.command(paused.map(|node| (node.0, Command::Pause)).collect())
    }

    fn observe(&mut self) -> Result<Observation, BackendError> {
        self.look();
        for member in &mut self.members {
            member.link.send(&Command::Measure)?;
        }
        // Every answer is read before the first error is given back: none may be left for the next question.
        let answers: Vec<_> = self.members.iter_mut().map(|member| member.link.reply()).collect();
        let mut observation = Observation::default();
        for answer in answers {
            let daemon = match answer? {
                Reply::Measured(measured) => {
                    observation.dropped.extend(measured.dropped);
                    observation.traffic.extend(measured.traffic);
                    measured.daemon
                }
                Reply::Ready(_) | Reply::Done => None,
            };
            observation.daemons.push(daemon.map(|one| Daemon {
                pid: one.pid,
                cpu: Duration::from_nanos(one.cpu_ns),
                stopped: one.stopped,
            }));
        }
        Ok(observation)
    }

    fn deaths(&mut self) -> Vec<Death> {
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

    fn log(&self, node: Node) -> PathBuf {
        place(&self.options.folder, node).join("node.log")
    }

    fn stop(&mut self) -> Result<(), BackendError> {
        if self.gone {
            return Ok(());
        }
        self.deaths();
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

/// What is wrong at a node: with what comes to it, and with what goes from it to clients, in whose own network nothing is ours.
fn links_at(node: Node, desired: &Desired) -> Vec<(Pair, Link)> {
    let here = Endpoint::Node(node);
    let mine = |(from, to): &Pair| *to == here || (*from == here && *to == Endpoint::Clients);
    desired.links.iter().filter(|(pair, _)| mine(pair)).map(|(pair, link)| (*pair, link.clone())).collect()
}

fn place(folder: &Path, node: Node) -> PathBuf {
    folder.join("nodes").join(node.to_string())
}
