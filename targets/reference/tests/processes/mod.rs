//! A cluster of real processes on loopback, each with its own address and data directory. They die with the value.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use schism_reference::protocol::{Config, NodeId};
use schism_reference::runtime::Arguments;
use schism_reference::settings::Settings;
use serde_json::Value as Json;

/// Ends a test that waits for what never comes. Nothing is concluded from how long anything took.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Nodes of one cluster.
pub struct Cluster {
    directory: tempfile::TempDir,
    children: Vec<Option<Child>>,
    /// What each node is started with.
    pub arguments: Vec<Arguments>,
    agent: ureq::Agent,
    /// The last answer to somebody who insists, to be shown when a test fails.
    last: RefCell<String>,
}

/// Addresses no other test uses: the process's id and a counter stand in them, and 127/8 is all ours.
pub fn addresses(nodes: u8) -> Vec<(SocketAddr, SocketAddr)> {
    static PORT: AtomicU16 = AtomicU16::new(7000);
    let port = PORT.fetch_add(2, Ordering::Relaxed);
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = |node| Ipv4Addr::new(127, 1 + high % 250, low, node + 1);
    (0..nodes).map(|n| ((address(n), port).into(), (address(n), port + 1).into())).collect()
}

impl Cluster {
    /// Starts `nodes` nodes with these planted bugs.
    pub fn start(nodes: u8, bugs: &[&str]) -> Cluster {
        let directory = tempfile::tempdir().unwrap();
        let addresses = addresses(nodes);
        let peers: BTreeMap<_, _> =
            addresses.iter().enumerate().map(|(n, at)| (NodeId(n as u8), at.1)).collect();
        let arguments = (0..nodes).map(|n| Arguments {
            id: NodeId(n),
            client: addresses[usize::from(n)].0,
            peers: peers.clone(),
            data: directory.path().join(format!("n{}", n + 1)),
            cluster: "test".into(),
            seed: 1,
            datagrams: false,
            snapshot_every: Config::SNAPSHOT_EVERY,
            settings: Settings::default(),
            bugs: bugs.iter().map(|&bug| bug.into()).collect(),
        });
        let arguments = arguments.collect();
        let children = (0..nodes).map(|_| None).collect();
        let mut cluster =
            Cluster { directory, children, arguments, agent: agent(), last: RefCell::default() };
        (0..usize::from(nodes)).for_each(|n| cluster.restart(n));
        cluster
    }

    /// Starts a node that is not running, on the data it left.
    pub fn restart(&mut self, n: usize) {
        assert!(self.children[n].is_none(), "node {n} is running");
        let log = File::options().create(true).append(true).open(self.log(n)).unwrap();
        let child = node(&self.arguments[n]).stderr(log).spawn().unwrap();
        self.children[n] = Some(child);
    }

    /// `kill -9`.
    pub fn kill(&mut self, n: usize) {
        let mut child = self.children[n].take().expect("running");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for a node that was asked to end.
    pub fn wait(&mut self, n: usize) -> ExitStatus {
        self.children[n].take().expect("running").wait().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, n: usize, signal: &str) {
        let child = self.children[n].as_ref().expect("running");
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn log(&self, n: usize) -> PathBuf {
        self.directory.path().join(format!("n{}.log", n + 1))
    }

    /// What a node wrote on stderr.
    pub fn logged(&self, n: usize) -> String {
        fs::read_to_string(self.log(n)).unwrap_or_default()
    }

    /// Asks a node; `None` if it gives no answer.
    pub fn ask(&self, n: usize, method: &str, path: &str, body: &str) -> Option<(u16, Json)> {
        ask(&self.agent, self.arguments[n].client, method, path, body)
    }

    /// Asks a node again and again until it answers 200: reads, and writes that may happen twice.
    pub fn insist(&self, n: usize, method: &str, path: &str, body: &str) -> Json {
        self.until(&format!("n{} answers {method} {path} {body}", n + 1), || {
            let answer = self.ask(n, method, path, body);
            *self.last.borrow_mut() = format!("{answer:?}");
            answer.filter(|(code, _)| *code == 200).map(|(_, json)| json)
        })
    }

    /// Polls until there is something.
    pub fn until<T>(&self, what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(it) = poll() {
                return it;
            }
            if begun.elapsed() > DEADLINE {
                let logs: Vec<String> = (0..self.arguments.len()).map(|n| self.logged(n)).collect();
                panic!("never happened: {what}\nlast answer: {}\n{}", self.last.borrow(), logs.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The node that says it leads, once there is one that others agree on.
    pub fn leader(&self) -> usize {
        self.until("somebody leads", || {
            let status = (0..self.arguments.len()).filter_map(|n| {
                Some((n, self.children[n].as_ref().and_then(|_| self.ask(n, "GET", "/status", ""))?.1))
            });
            let status: Vec<(usize, Json)> = status.collect();
            let (leader, _) = status.iter().find(|(_, json)| json["role"] == "leader")?;
            let name = format!("n{}", leader + 1);
            let agree = status.iter().filter(|(_, json)| json["leader"] == *name).count();
            (agree > self.arguments.len() / 2).then_some(*leader)
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The command that starts a node.
pub fn node(arguments: &Arguments) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reference-node"));
    command.arg("raft").args(arguments.words()).stdin(Stdio::null());
    command
}

/// A client with one connection that takes every code for an answer.
pub fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(15)))
        .max_idle_connections_per_host(1);
    config.build().into()
}

/// One call; `None` if there was no answer.
pub fn ask(agent: &ureq::Agent, at: SocketAddr, method: &str, path: &str, body: &str) -> Option<(u16, Json)> {
    let request = ureq::http::Request::builder().method(method).uri(format!("http://{at}{path}"));
    let mut answer = if body.is_empty() {
        agent.run(request.body(()).unwrap()).ok()?
    } else {
        agent.run(request.body(body).unwrap()).ok()?
    };
    let text = answer.body_mut().read_to_string().ok()?;
    Some((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Json::Null)))
}
