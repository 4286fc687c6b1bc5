//! What a case has at hand: a cluster whose daemons run, and clients that talk to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use schism_engine::backend::sandbox::{Fabric, Options, Sandbox, enter};
use schism_engine::backend::{Backend, ClientNetwork, ShapedBy, SkewedBy};
use schism_engine::cluster::{Change, Desired, Endpoint, Node, Program, Run};
use schism_engine::link::{Cut, Wrong};

use crate::daemon::{COMMAND, PORT};

/// Where cases keep their data, given by the runner.
pub const FOLDER: &str = "SCHISM_TEST_FOLDER";

/// By what links are shaped, by its word in plans, given by the runner.
pub const SHAPED_BY: &str = "SCHISM_TEST_SHAPED_BY";

/// Nothing here takes that long unless it is broken.
pub const LONG: Duration = Duration::from_secs(20);

pub struct Stage {
    pub sandbox: Sandbox,
    clients: Arc<dyn ClientNetwork>,
}

/// A connection of a client to a node.
pub struct Talk {
    stream: BufReader<TcpStream>,
}

pub fn folder() -> PathBuf {
    std::env::var_os(FOLDER).expect("the runner says where").into()
}

fn shaped_by() -> ShapedBy {
    let word = std::env::var(SHAPED_BY).unwrap_or_default();
    let found = ShapedBy::ALL.into_iter().find(|(known, _)| *known == word);
    found.map(|(_, way)| way).unwrap_or_default()
}

pub fn options(nodes: usize, folder: &Path) -> Options {
    Options {
        nodes,
        folder: folder.to_owned(),
        run: "test".into(),
        seed: 7,
        shaped_by: shaped_by(),
        capture: None,
        shapes: Vec::new(),
        disks: Vec::new(),
        skews: true,
        skewed_by: SkewedBy::Best,
        fast_heal: true,
    }
}

pub fn program() -> Program {
    Program {
        file: None,
        arguments: vec![COMMAND.into()],
        environment: vec![("GREETING".into(), "hello".into())],
    }
}

impl Stage {
    /// A cluster of this many nodes, each with a daemon that answers.
    pub fn new(nodes: usize) -> Self {
        Stage::on(&enter().expect("entering"), &options(nodes, &folder()))
    }

    /// The same of such a sandbox.
    pub fn on(fabric: &Fabric, options: &Options) -> Self {
        let nodes = options.nodes;
        let sandbox = Sandbox::create(fabric, options).expect("creating");
        let mut stage = Stage { clients: sandbox.client_network(), sandbox };
        for index in 0..nodes {
            stage.sandbox.start(Node(index), program()).expect("starting");
        }
        for index in 0..nodes {
            stage.ask(index, "echo ready");
        }
        stage
    }

    pub fn address(&self, index: usize) -> Ipv4Addr {
        self.sandbox.nodes()[index].address
    }

    /// Does this in a thread of the clients' network.
    fn as_client<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.clients.enter().expect("entering the clients' network");
                act()
            });
            thread.join().expect("a client does not panic")
        })
    }

    /// Connects to a node, once, for at most so long.
    pub fn try_connect(&self, index: usize, patience: Duration) -> std::io::Result<Talk> {
        let address = (self.address(index), PORT).into();
        self.as_client(|| {
            let stream = TcpStream::connect_timeout(&address, patience)?;
            stream.set_read_timeout(Some(LONG))?;
            Ok(Talk { stream: BufReader::new(stream) })
        })
    }

    /// Connects to a node as soon as its daemon listens.
    pub fn connect(&self, index: usize) -> Talk {
        let begun = Instant::now();
        loop {
            match self.try_connect(index, LONG) {
                Ok(talk) => return talk,
                Err(error) => assert!(begun.elapsed() < LONG, "n{} does not listen: {error}", index + 1),
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// One question to a node, over a new connection.
    pub fn ask(&self, index: usize, question: &str) -> String {
        self.connect(index).ask(question)
    }

    /// The head of a node's answer to a request by HTTP, once; nothing while it does not answer.
    pub fn http_head(&self, index: usize) -> Option<String> {
        let mut talk = self.try_connect(index, LONG).ok()?;
        talk.stream.get_mut().write_all(b"GET /version HTTP/1.0\r\n\r\n").ok()?;
        let lines = talk.stream.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        Some(lines.map(|line| line + "\n").collect())
    }

    /// Whether one node's daemon gets an answer from another's.
    pub fn reaches(&self, from: usize, to: &str, patience: Duration) -> bool {
        self.ask(from, &format!("visit {to} {}", patience.as_millis())) == "hello"
    }

    pub fn apply(&mut self, changes: &[Change]) {
        self.sandbox.apply(&Desired::of(changes)).expect("applying");
    }
}

impl Talk {
    /// What comes until its patience is over, whole lines or not.
    pub fn whatever_comes(&mut self) -> String {
        let mut all = Vec::new();
        let over = self.stream.read_to_end(&mut all).expect_err("its end does not come").kind();
        assert_eq!(over, std::io::ErrorKind::WouldBlock);
        String::from_utf8(all).expect("text")
    }

    pub fn try_ask(&mut self, question: &str) -> std::io::Result<String> {
        self.stream.get_mut().write_all(format!("{question}\n").as_bytes())?;
        self.try_hear()
    }

    /// Asks without waiting for the answer.
    pub fn send(&mut self, question: &str) {
        self.stream.get_mut().write_all(format!("{question}\n").as_bytes()).expect("asking");
    }

    /// The answer to the oldest question.
    pub fn hear(&mut self) -> String {
        self.try_hear().unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    pub fn try_hear(&mut self) -> std::io::Result<String> {
        let mut answer = String::new();
        match self.stream.read_line(&mut answer)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }

    pub fn ask(&mut self, question: &str) -> String {
        self.try_ask(question).unwrap_or_else(|error| panic!("{question}: {error}"))
    }

    /// How many bytes of what was said its node has not acknowledged, as this end's kernel has it.
    pub fn unacknowledged(&self) -> i32 {
        let mut count = 0;
        // SAFETY: the descriptor is open, and the pointer is that of a live integer.
        let asked = unsafe { libc::ioctl(self.stream.get_ref().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        assert_eq!(asked, 0, "{}", std::io::Error::last_os_error());
        count
    }

    pub fn patience(&self, patience: Duration) {
        self.stream.get_ref().set_read_timeout(Some(patience)).expect("a limit");
    }
}

pub fn node(index: usize) -> Endpoint {
    Endpoint::Node(Node(index))
}

pub fn cut(from: Endpoint, to: Endpoint) -> Change {
    Change::Link { from, to, wrong: Wrong::Cut(Cut::Drop) }
}

pub fn run(index: usize, run: Run) -> Change {
    Change::Run { node: Node(index), run }
}

/// Waits until this is so; panics when it takes much longer than it ever should.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "never happened: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
