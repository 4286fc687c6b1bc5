//! Two nodes in Docker, reached at their own addresses and at published ports: a cut between clients and a node bites in either
//! direction, in either way, and nobody else feels it; links are late, lossy, slow and reset as asked, and a capture tells of it;
//! processes have another clock, nothing left, or a thread that stands still; calls on files fail, and what was not fsynced is lost;
//! and all is well again when the controller is killed. What a whole run does is for the tests of the command line.
//!
//! This program is what the nodes run, too: packed into an image it is their sidecar and their store. Where there is no
//! engine it says so; in CI that is a failure.

#[path = "../captured/mod.rs"]
mod captured;
mod captures;
#[path = "../sandbox/daemon.rs"]
mod daemon;
mod disks;
mod six;
mod stage;
mod strains;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use schism_engine::backend::docker::{
    self, Docker, Engine, LAUNCH_COMMAND, Limits, Options, Reach, SIDECAR_COMMAND, Way,
};
use schism_engine::backend::{Backend, BackendError, ShapedBy};
use schism_engine::cluster::{Change, Desired, Endpoint, Node, NodeSpec, Program, Run};
use schism_engine::link::{Cut, Delay, Loss, Share, Traffic, Wrong};

/// Makes this program a store that echoes.
const STORE: &str = "echo";
const PORT: u16 = 7000;
/// What a client says to be told the store's time of day, and how many bytes of its file are not as it wrote them; it answers
/// in eight bytes. Whatever else it says, it hears again.
const TIME: u8 = b't';
const CHANGED: u8 = b'f';
/// The thread that takes connections.
const ACCEPTS: &str = "accepts";
/// Where a node's volume is.
const DATA: &str = "/schism-data";
/// The store's file, and what it is full of.
const FILE: &str = "/schism-data/file";
const FILLED: [u8; 4096] = [b'x'; 4096];
/// Makes this program a controller that makes everything wrong and then waits to be killed.
const CONTROLLER: &str = "controller";
/// Makes it one that does the same to processes.
const STRAINER: &str = "strainer";
/// Makes it one that does the same to disks.
const SPOILER: &str = "spoiler";
const HOUR: Duration = Duration::from_secs(3600);
const PAIRS: [(Endpoint, Endpoint); 2] =
    [(Endpoint::Clients, Endpoint::Node(Node(0))), (Endpoint::Node(Node(0)), Endpoint::Clients)];

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        #[cfg(target_os = "linux")]
        Some(SIDECAR_COMMAND) => return docker::sidecar_main(),
        #[cfg(target_os = "linux")]
        Some(LAUNCH_COMMAND) => return docker::launch_main(),
        Some(STORE) => echo(),
        Some(daemon::COMMAND) => {
            std::env::set_current_dir(DATA).expect("the volume is there");
            return daemon::main();
        }
        Some(CONTROLLER) => wreck(),
        Some(STRAINER) => strains::strain(),
        Some(SPOILER) => disks::spoil(),
        Some(six::LISTENER) => return six::listen(),
        Some(six::SPEAKER) => six::speak(),
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
    let filters: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let case = |name: &str, run: &dyn Fn() -> Result<(), BackendError>| {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter)) {
            run().expect("the engine does what it is asked");
            println!("ok: {name}");
        }
    };
    let ways = [Way::Best, Way::IptablesNft, Way::IptablesLegacy];
    for (reach, way) in [(Reach::Published, Way::Best)].into_iter().chain(ways.map(|way| (Reach::Found, way)))
    {
        case(&format!("cuts bite, reached {reach:?}, by {way:?}"), &|| cuts_bite(&engine, reach, way));
    }
    for way in [Way::Best, Way::IptablesLegacy] {
        case(&format!("links are as bad as asked, by {way:?}"), &|| links_are_as_bad_as_asked(&engine, way));
    }
    for way in [Way::Best, Way::IptablesLegacy] {
        let name = format!("bytes are acknowledged and never delivered, by {way:?}");
        case(&name, &|| bytes_are_swallowed(&engine, way));
    }
    case("a capture tells of every packet what became of it", &|| captures::told(&engine));
    case("a capture is never longer than asked", &|| captures::bounded(&engine));
    case("calls on files fail, are slow and lie as asked", &|| disks::refused(&engine));
    case("a block is what it was when its daemon was started", &|| disks::rolled_back(&engine));
    case("what was not fsynced goes with the power", &|| disks::power_fails(&engine));
    case("a node goes down in the middle of an fsync", &|| disks::struck(&engine));
    case("disks are watched beside everything else", &|| disks::beside_others(&engine));
    case("disks of an image of others", &|| disks::of_others(&engine));
    case("links are slow by tc", &|| links_are_slow_by_tc(&engine));
    case("nodes starve", &|| nodes_starve(&engine));
    case("processes are as bad as asked", &|| strains::processes_are_as_bad_as_asked(&engine));
    // SAFETY: a plain system call.
    if unsafe { libc::geteuid() } == 0 && engine.host().starts_with("unix://") {
        for way in [Way::Best, Way::IptablesNft] {
            case(&format!("nothing comes by ipv6, by {way:?}"), &|| six::nothing_comes_by_ipv6(&engine, way));
        }
    } else {
        assert!(std::env::var_os("CI").is_none(), "skipped in CI: ipv6: it takes root and the local engine");
        println!("skipped: ipv6: it takes root and the local engine");
    }
    for (word, way) in Way::ALL {
        let name = format!("faults end with their controller, by {way:?}");
        case(&name, &|| faults_end_with_their_controller(&engine, word));
    }
    case("disks are well when their controller ends", &|| disks::end_with_their_controller(&engine));
    case("strains end with their controller", &|| strains::strains_end_with_their_controller(&engine));
    ExitCode::SUCCESS
}

/// Answers every byte with the same, but for those that ask for something. What it has nothing left for it does not do.
fn echo() -> ! {
    if !Path::new(FILE).exists() {
        std::fs::write(FILE, FILLED).expect("it may write into its folder");
    }
    let listener = TcpListener::bind(("0.0.0.0", PORT)).expect("the port is free");
    println!("here");
    let accept = move || loop {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        let talk = move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                let answered = match bytes[..count] {
                    [TIME] => stream.write_all(&now().to_le_bytes()),
                    [CHANGED] => stream.write_all(&changed().to_le_bytes()),
                    ref said => stream.write_all(said),
                };
                if answered.is_err() {
                    return;
                }
            }
        };
        // Without memory there is no thread, and the connection is closed.
        let _ = std::thread::Builder::new().spawn(talk);
    };
    std::thread::Builder::new().name(ACCEPTS.into()).spawn(accept).expect("a thread");
    loop {
        std::thread::park();
    }
}

/// Seconds since 1970, by the clock of whoever asks.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("it is later").as_secs()
}

/// How many bytes of the store's file are not as it wrote them.
fn changed() -> u64 {
    let bytes = std::fs::read(FILE).expect("it wrote it");
    bytes.iter().zip(FILLED).filter(|(is, was)| **is != *was).count() as u64
}

/// Whether a node answers a client within a moment.
fn answers(node: &NodeSpec) -> bool {
    answers_at(node.reach(PORT))
}

fn answers_at(address: SocketAddr) -> bool {
    let patience = Duration::from_millis(700);
    let asked = || {
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
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

/// Two nodes that echo.
fn cluster(engine: &Arc<Engine>, reach: Reach, cuts: Way, folder: &Path) -> Result<Docker, BackendError> {
    cluster_with(engine, folder, |options| Options { reach, cuts, ..options })
}

/// The same with other options.
fn cluster_with(
    engine: &Arc<Engine>,
    folder: &Path,
    change: impl FnOnce(Options) -> Options,
) -> Result<Docker, BackendError> {
    let mut cluster = made(engine, folder, change)?;
    for spec in cluster.nodes().to_vec() {
        cluster.start(spec.node, store())?;
    }
    cluster.nodes().iter().for_each(await_answer);
    Ok(cluster)
}

/// The same, without any store yet.
fn made(
    engine: &Arc<Engine>,
    folder: &Path,
    change: impl FnOnce(Options) -> Options,
) -> Result<Docker, BackendError> {
    let own = docker::own(engine)?;
    let options = Options {
        nodes: 2,
        folder: folder.into(),
        image: own.clone(),
        own,
        client_ports: vec![PORT],
        reach: Reach::Found,
        limits: Limits { memory_bytes: 64 << 20, ..Limits::default() },
        cuts: Way::Best,
        shaped_by: ShapedBy::Best,
        capture: None,
        shapes: vec![Wrong::Rate(16_000)],
        raw_sockets: false,
        foreign_users: false,
        traces: false,
        disks: Vec::new(),
        seed: 7,
    };
    Docker::create(Arc::clone(engine), change(options))
}

fn store() -> Program {
    Program { arguments: vec![STORE.into()], ..Program::default() }
}

/// Says so many bytes over a new connection and hears them again.
fn echoes(node: &NodeSpec, count: usize) -> io::Result<()> {
    let patience = Duration::from_secs(30);
    let mut stream = TcpStream::connect_timeout(&node.reach(PORT), patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(&vec![b'?'; count])?;
    stream.read_exact(&mut vec![0; count])
}

/// What a fault of the first node's links does, seen from outside and counted by its sidecar since the last look.
fn links_are_as_bad_as_asked(engine: &Arc<Engine>, way: Way) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cluster = cluster(engine, Reach::Found, way, folder.path())?;
    let nodes = cluster.nodes().to_vec();
    let late = Duration::from_millis(300);
    for (from, to) in PAIRS {
        let mut earlier = Traffic::default();
        let inflict = |cluster: &mut Docker, wrong: Wrong| {
            cluster.apply(&Desired::of(&[Change::Link { from, to, wrong }]))
        };
        let mut counted = |cluster: &mut Docker| -> Result<Traffic, BackendError> {
            let now = cluster.observe()?.traffic.get(&(from, to)).copied().unwrap_or_default();
            Ok(now.since(&std::mem::replace(&mut earlier, now)))
        };

        inflict(&mut cluster, Wrong::Delay(Delay { mean: late, ..Delay::default() }))?;
        echoes(&nodes[0], 1).expect("it is late, not gone");
        // The connection's first word and the first byte, each of them late.
        let seen = counted(&mut cluster)?;
        assert!(seen.delayed >= 2 && seen.held >= late * 2, "{from} to {to}: {seen:?}");

        inflict(&mut cluster, Wrong::Loss(Loss::Every(1)))?;
        assert!(!answers(&nodes[0]), "all from {from} to {to} is lost");
        assert!(counted(&mut cluster)?.lost > 0);

        // Four kilobytes at two kilobytes a second.
        inflict(&mut cluster, Wrong::Rate(16_000))?;
        echoes(&nodes[0], 4000).expect("it is slow, not gone");
        assert!(counted(&mut cluster)?.waited > 0, "{from} to {to} is slow");

        cluster.apply(&Desired::default())?;
        let mut open = TcpStream::connect(nodes[0].reach(PORT)).expect("all is well");
        open.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
        inflict(&mut cluster, Wrong::Cut(Cut::Reset))?;
        let heard = open.write_all(b"?").and_then(|()| open.read_exact(&mut [0]));
        let kind = heard.expect_err("nothing passes").kind();
        // Whoever sends is told; towards clients that is the node, and they hear no more of it.
        assert_eq!(
            kind == io::ErrorKind::ConnectionReset,
            from == Endpoint::Clients,
            "{from} to {to}: {kind}"
        );
        assert!(cluster.observe()?.dropped.get(&(from, to)) > Some(&0), "{from} to {to}");

        assert!(answers(&nodes[1]), "the other node is reached as before");
        cluster.apply(&Desired::default())?;
        await_answer(&nodes[0]);
    }
    // A node that is started anew has a new container.
    let before = cluster.observe()?.daemons[0].expect("it runs").pid;
    cluster.start(Node(0), store())?;
    await_answer(&nodes[0]);
    assert_ne!(cluster.observe()?.daemons[0].expect("it runs").pid, before);
    assert_eq!(cluster.deaths(), [], "nobody died by itself");
    cluster.stop()
}

/// How many bytes of what was said the other end has not acknowledged.
fn unacknowledged(stream: &TcpStream) -> i32 {
    unacknowledged_by(stream.as_raw_fd())
}

fn unacknowledged_by(socket: i32) -> i32 {
    let mut count = 0;
    // SAFETY: the descriptor is open, and the pointer is that of a live integer.
    let asked = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut count) };
    assert_eq!(asked, 0, "{}", io::Error::last_os_error());
    count
}

/// In either direction: it is acknowledged, it does not arrive, and at the end whoever waits for it is told.
fn bytes_are_swallowed(engine: &Arc<Engine>, way: Way) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let change = |options| Options { cuts: way, raw_sockets: true, ..options };
    let mut cluster = cluster_with(engine, folder.path(), change)?;
    let nodes = cluster.nodes().to_vec();
    for (from, to) in PAIRS {
        let wrong = Wrong::Cut(Cut::Swallow);
        let mut open = TcpStream::connect(nodes[0].reach(PORT)).expect("all is well");
        cluster.apply(&Desired::of(&[Change::Link { from, to, wrong }]))?;
        // Where answers are swallowed, requests go on arriving.
        for said in 1..=2 {
            open.write_all(&[b'?'; 1000]).expect("it is open");
            let deadline = Instant::now() + Duration::from_secs(30);
            let counted = |cluster: &mut Docker| -> Result<u64, BackendError> {
                Ok(cluster.observe()?.traffic.get(&(from, to)).map_or(0, |traffic| traffic.acknowledged))
            };
            while unacknowledged(&open) > 0 || counted(&mut cluster)? < said * 1000 {
                assert!(Instant::now() < deadline, "{from} to {to}: not acknowledged for half a minute");
            }
        }
        open.set_read_timeout(Some(Duration::from_millis(300))).expect("a limit");
        let silence = open.read_exact(&mut [0]).expect_err("nothing is delivered").kind();
        assert_eq!(silence, io::ErrorKind::WouldBlock, "{from} to {to}");
        assert!(answers(&nodes[1]), "the other node is reached as before");
        cluster.apply(&Desired::default())?;
        open.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        let told = open.read_exact(&mut [0]).expect_err("it cannot go on").kind();
        assert_eq!(told, io::ErrorKind::ConnectionReset, "{from} to {to}");
        await_answer(&nodes[0]);
    }
    // Whoever is to be told may be cut off just then.
    let [there, back] = PAIRS.map(|(from, to)| move |cut| Change::Link { from, to, wrong: Wrong::Cut(cut) });
    let mut open = TcpStream::connect(nodes[0].reach(PORT)).expect("all is well");
    cluster.apply(&Desired::of(&[there(Cut::Swallow)]))?;
    open.write_all(&[b'?'; 1000]).expect("it is open");
    let deadline = Instant::now() + Duration::from_secs(30);
    while unacknowledged(&open) > 0 {
        assert!(Instant::now() < deadline, "not acknowledged for half a minute");
    }
    cluster.apply(&Desired::of(&[there(Cut::Drop), back(Cut::Drop)]))?;
    assert!(!answers(&nodes[0]));
    cluster.apply(&Desired::default())?;
    await_answer(&nodes[0]);
    assert_eq!(cluster.deaths(), [], "nobody died by itself");
    cluster.stop()
}

/// By the kernel's traffic control, in either direction: what it can do it does, what it cannot is refused at once.
fn links_are_slow_by_tc(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let by_tc = |wrong| {
        let shapes = vec![wrong];
        cluster_with(engine, folder.path(), |usual| Options { shaped_by: ShapedBy::Tc, shapes, ..usual })
    };
    let refused = by_tc(Wrong::Mtu(1000)).err().expect("there is no such discipline").to_string();
    assert!(refused.contains("a longest packet") && refused.contains("tc, by htb"), "{refused}");
    let (bits, bytes) = (2_000_000, 250_000);
    let mut cluster = by_tc(Wrong::Rate(bits))?;
    assert!(cluster.mechanisms().iter().any(|how| how.contains("tc, by htb")), "{:?}", cluster.mechanisms());
    let nodes = cluster.nodes().to_vec();
    for (from, to) in PAIRS {
        cluster.apply(&Desired::of(&[Change::Link { from, to, wrong: Wrong::Rate(bits) }]))?;
        let begun = Instant::now();
        echoes(&nodes[0], bytes).expect("it is slow, not gone");
        let rate = bytes as f64 * 8.0 / begun.elapsed().as_secs_f64();
        println!("{bits} bits a second from {from} to {to}: {rate:.0}");
        // A busy machine may be slower, never faster.
        assert!(rate < bits as f64 * 1.1, "{from} to {to}: {rate}");
        let traffic = cluster.observe()?.traffic;
        assert!(traffic[&(from, to)].waited > 0 && traffic.len() <= 2, "{traffic:?}");
        echoes(&nodes[1], bytes).expect("the other node is reached as before");
        cluster.apply(&Desired::default())?;
        let before = cluster.observe()?.traffic;
        echoes(&nodes[0], bytes).expect("all is well");
        assert_eq!(cluster.observe()?.traffic, before, "a link that is well is not looked at");
    }
    cluster.stop()
}

/// A node is kept from running for most of the time, and for none when it is let.
fn nodes_starve(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cluster = cluster(engine, Reach::Found, Way::Best, folder.path())?;
    let first = cluster.nodes()[0].clone();
    let starve = Change::Starve { node: Node(0), left: Share::percent(10) };
    cluster.apply(&Desired::of(&[starve]))?;
    let look = |cluster: &mut Docker, node: usize| -> Result<_, BackendError> {
        let daemon = cluster.observe()?.daemons[node].expect("it runs");
        assert!(!daemon.stopped, "to be looked at it is let run");
        Ok((daemon.pid, daemon.starved))
    };
    let (pid, begun) = (look(&mut cluster, 0)?.0, Instant::now());
    while look(&mut cluster, 0)?.1 < Duration::from_secs(1) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not starve");
        std::thread::sleep(Duration::from_millis(200));
    }
    await_answer(&first);
    assert_eq!(look(&mut cluster, 1)?.1, Duration::ZERO, "the other node does not");
    // Paused and killed meanwhile.
    cluster.apply(&Desired::of(&[starve, Change::Run { node: Node(0), run: Run::Paused }]))?;
    assert!(cluster.observe()?.daemons[0].as_ref().expect("it is there").stopped);
    cluster.apply(&Desired::of(&[starve, Change::Run { node: Node(0), run: Run::Down }]))?;
    cluster.apply(&Desired::of(&[starve]))?;
    await_answer(&first);
    cluster.apply(&Desired::default())?;
    let (again, starved) = look(&mut cluster, 0)?;
    assert_ne!(again, pid, "it has been started again");
    await_answer(&first);
    assert_eq!(look(&mut cluster, 0)?.1, starved, "nobody keeps it from running any more");
    assert_eq!(cluster.deaths(), [], "nobody died by itself");
    cluster.stop()
}

/// A controller: makes the first node late beyond use and the second unreachable, has what is said to the third swallowed, says where
/// they are, and waits.
fn wreck() -> ! {
    let engine = Arc::new(Engine::connect().expect("there is an engine"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let word = std::env::args().nth(2).expect("a way");
    let (_, way) = Way::ALL.into_iter().find(|(known, _)| *known == word).expect("a known way");
    let able = |options| Options { nodes: 3, cuts: way, raw_sockets: true, ..options };
    let mut cluster = cluster_with(&engine, folder.path(), able).expect("a cluster");
    let late = Wrong::Delay(Delay { mean: HOUR, ..Delay::default() });
    let changes = [(0, late), (1, Wrong::Cut(Cut::Reset)), (2, Wrong::Cut(Cut::Swallow))];
    let changes = changes.map(|(node, wrong)| Change::Link {
        from: Endpoint::Clients,
        to: Endpoint::Node(Node(node)),
        wrong,
    });
    cluster.apply(&Desired::of(&changes)).expect("faults");
    println!("{}", cluster.nodes().iter().map(|node| node.reach(PORT).to_string() + " ").collect::<String>());
    loop {
        std::thread::park();
    }
}

/// Starts a controller, and hears where its nodes are.
fn controller(words: &[&str], count: usize) -> (std::process::Child, Vec<SocketAddr>) {
    let program = std::env::current_exe().expect("this program has a file");
    let mut controller = std::process::Command::new(program)
        .args(words)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starting this program");
    let mut line = String::new();
    let output = controller.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("it says where the nodes are");
    let nodes: Vec<SocketAddr> =
        line.split_whitespace().map(|word| word.parse().expect("an address")).collect();
    assert_eq!(nodes.len(), count, "{line}");
    (controller, nodes)
}

fn faults_end_with_their_controller(engine: &Engine, way: &str) -> Result<(), BackendError> {
    let (mut controller, nodes) = controller(&[CONTROLLER, way], 3);
    for node in &nodes {
        assert!(!answers_at(*node), "{node} is unreachable");
    }
    let mut swallowed = TcpStream::connect(nodes[2]).expect("connections are made");
    swallowed.write_all(&[b'?'; 1000]).expect("it is open");
    let begun = Instant::now();
    while unacknowledged(&swallowed) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "not acknowledged for half a minute");
    }
    controller.kill().expect("killing");
    controller.wait().expect("waiting");
    let killed = Instant::now();
    // Nobody can deliver it any more: whoever said it is told.
    swallowed.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    let told = swallowed.read_exact(&mut [0]).expect_err("it cannot go on").kind();
    assert_eq!(told, io::ErrorKind::ConnectionReset);
    for node in &nodes {
        while !answers_at(*node) {
            assert!(killed.elapsed() < Duration::from_secs(30), "{node}'s fault outlives its controller");
        }
    }
    docker::clean(engine).map(drop)
}

fn cuts_bite(engine: &Arc<Engine>, reach: Reach, way: Way) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cluster = cluster(engine, reach, way, folder.path())?;
    let nodes = cluster.nodes().to_vec();
    for spec in &nodes {
        assert_eq!(spec.published.len(), usize::from(reach == Reach::Published));
    }

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
