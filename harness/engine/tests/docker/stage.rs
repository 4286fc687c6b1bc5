//! What a case has at hand whose nodes do more than echo: a cluster of the daemons that the sandbox's cases have, and what is said to
//! them.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schism_engine::backend::docker::{Docker, Engine, Options};
use schism_engine::backend::{Backend, BackendError};
use schism_engine::cluster::{Change, Desired, Node, Program};

use super::daemon::{self, PORT};
use super::made;

/// Nothing here takes that long unless it is broken.
pub const LONG: Duration = Duration::from_secs(60);

pub struct Stage {
    pub cluster: Docker,
}

/// A connection to a daemon.
pub struct Talk(BufReader<TcpStream>);

impl Stage {
    /// Two nodes, or as many as asked for, each with a daemon that answers.
    pub fn new(
        engine: &Arc<Engine>,
        folder: &Path,
        change: impl FnOnce(Options) -> Options,
    ) -> Result<Self, BackendError> {
        let mut cluster = made(engine, folder, change)?;
        for spec in cluster.nodes().to_vec() {
            let program = Program { arguments: vec![daemon::COMMAND.into()], ..Program::default() };
            cluster.start(spec.node, program)?;
        }
        let stage = Stage { cluster };
        for index in 0..stage.cluster.nodes().len() {
            stage.ask(index, "echo ready");
        }
        Ok(stage)
    }

    pub fn at(&self, index: usize) -> SocketAddr {
        self.cluster.nodes()[index].reach(PORT)
    }

    pub fn apply(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        self.cluster.apply(&Desired::of(changes))
    }

    pub fn connect(&self, index: usize) -> Talk {
        connect(self.at(index))
    }

    /// One question to a node, over a new connection.
    pub fn ask(&self, index: usize, question: &str) -> String {
        self.connect(index).ask(question)
    }
}

/// Connects as soon as it listens.
pub fn connect(at: SocketAddr) -> Talk {
    let begun = Instant::now();
    loop {
        match TcpStream::connect_timeout(&at, LONG) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LONG)).expect("a limit");
                return Talk(BufReader::new(stream));
            }
            Err(error) => assert!(begun.elapsed() < LONG, "{at} does not listen: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Talk {
    /// Asks without waiting for the answer.
    pub fn send(&mut self, question: &str) {
        self.0.get_mut().write_all(format!("{question}\n").as_bytes()).expect("asking");
    }

    pub fn try_hear(&mut self) -> io::Result<String> {
        let mut answer = String::new();
        match self.0.read_line(&mut answer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }

    pub fn try_ask(&mut self, question: &str) -> io::Result<String> {
        self.0.get_mut().write_all(format!("{question}\n").as_bytes())?;
        self.try_hear()
    }

    pub fn ask(&mut self, question: &str) -> String {
        self.try_ask(question).unwrap_or_else(|error| panic!("{question}: {error}"))
    }

    pub fn patience(&self, patience: Duration) {
        self.0.get_ref().set_read_timeout(Some(patience)).expect("a limit");
    }

    /// How many bytes of what was said the other end has not acknowledged.
    pub fn unacknowledged(&self) -> i32 {
        super::unacknowledged_by(self.0.get_ref().as_raw_fd())
    }
}

/// Waits until this is so; panics when it takes much longer than it ever should.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn node(index: usize) -> schism_engine::cluster::Endpoint {
    schism_engine::cluster::Endpoint::Node(Node(index))
}
