//! Two nodes in Docker, reached at their own addresses and at published ports: a cut between clients and a node bites in either
//! direction, in either way, and nobody else feels it. What a whole run does is for the tests of the command line.
//!
//! This program is what the nodes run, too: packed into an image it is their sidecar and their store. Where there is no
//! engine it says so; in CI that is a failure.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schism_engine::backend::docker::{self, Docker, Engine, Options, Reach, SIDECAR_COMMAND};
use schism_engine::backend::{Backend, BackendError};
use schism_engine::cluster::{Change, Desired, Endpoint, Node, NodeSpec, Program, Run};
use schism_engine::link::{Cut, Wrong};

/// Makes this program a store that echoes.
const STORE: &str = "echo";
const PORT: u16 = 7000;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        #[cfg(target_os = "linux")]
        Some(SIDECAR_COMMAND) => return docker::sidecar_main(),
        Some(STORE) => echo(),
        _ => {}
    }
    let engine = match Engine::connect() {
        Ok(engine) => Arc::new(engine),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "skipped in CI: docker: {error}");
            println!("skipped: docker: {error}");
            return ExitCode::SUCCESS;
        }
    };
    for reach in [Reach::Found, Reach::Published] {
        cuts_bite(&engine, reach).expect("the engine does what it is asked");
        println!("ok: cuts bite, reached {reach:?}");
    }
    ExitCode::SUCCESS
}

/// Answers every byte with the same.
fn echo() -> ! {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).expect("the port is free");
    println!("here");
    loop {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        std::thread::spawn(move || {
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
        });
    }
}

/// Whether a node answers a client within a moment.
fn answers(node: &NodeSpec) -> bool {
    let patience = Duration::from_millis(700);
    let asked = || {
        let mut stream = TcpStream::connect_timeout(&node.reach(PORT), patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"?")?;
        stream.read_exact(&mut [0])
    };
    asked().is_ok()
}

fn await_answer(node: &NodeSpec) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !answers(node) {
        assert!(Instant::now() < deadline, "{} has not answered for a minute", node.node);
    }
}

fn cuts_bite(engine: &Arc<Engine>, reach: Reach) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = docker::own(engine)?;
    let mut cluster = Docker::create(
        Arc::clone(engine),
        Options {
            nodes: 2,
            folder: folder.path().into(),
            image: own.clone(),
            own,
            client_ports: vec![PORT],
            reach,
            memory_bytes: 64 << 20,
        },
    )?;
    let nodes = cluster.nodes().to_vec();
    for spec in &nodes {
        assert_eq!(spec.published.len(), usize::from(reach == Reach::Published));
        let program = Program { arguments: vec![STORE.into()], ..Program::default() };
        cluster.start(spec.node, program)?;
    }
    nodes.iter().for_each(await_answer);

    let (clients, first) = (Endpoint::Clients, Endpoint::Node(Node(0)));
    for (from, to) in [(clients, first), (first, clients)] {
        let cut = Change::Link { from, to, wrong: Wrong::Cut(Cut::Drop) };
        cluster.apply(&Desired::of(&[cut]))?;
        assert!(!answers(&nodes[0]), "{from} to {to} is cut");
        assert!(answers(&nodes[1]), "the other node is reached as before");
        let dropped = cluster.observe()?.dropped;
        assert!(dropped.get(&(from, to)) > Some(&0), "what was cut was counted: {dropped:?}");
        cluster.apply(&Desired::default())?;
        await_answer(&nodes[0]);
    }

    // What is cut stays cut while the node is killed and started again, and a paused node says nothing.
    let cut = Change::Link { from: clients, to: first, wrong: Wrong::Cut(Cut::Drop) };
    let before = cluster.observe()?.daemons[0].expect("it runs").pid;
    cluster.apply(&Desired::of(&[cut, Change::Run { node: Node(0), run: Run::Down }]))?;
    assert_eq!(cluster.observe()?.daemons[0], None);
    cluster.apply(&Desired::of(&[cut]))?;
    assert_ne!(cluster.observe()?.daemons[0].expect("it runs again").pid, before);
    assert!(!answers(&nodes[0]), "it is still cut off");
    cluster.apply(&Desired::default())?;
    await_answer(&nodes[0]);
    cluster.apply(&Desired::of(&[Change::Run { node: Node(0), run: Run::Paused }]))?;
    assert!(cluster.observe()?.daemons[0].expect("it is there").stopped);
    assert!(!answers(&nodes[0]), "it gets no time");
    cluster.apply(&Desired::default())?;
    await_answer(&nodes[0]);
    assert_eq!(cluster.deaths(), [], "nobody died by itself");
    cluster.stop()?;
    let log = std::fs::read_to_string(cluster.log(Node(0))).expect("there is a log");
    assert_eq!(log.matches("here").count(), 2, "both starts are in the log:\n{log}");
    Ok(())
}
