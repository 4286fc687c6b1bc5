//! Processes of nodes in Docker: another clock, no memory, no descriptors, a thread that stands still, connections that end, storms and
//! changed files, as asked and no longer than their controller lives.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use schism_engine::backend::docker::{self, Docker, Engine, Options};
use schism_engine::backend::{Backend, BackendError};
use schism_engine::clock::Skew;
use schism_engine::cluster::{Change, Desired, Node, Run};
use schism_engine::disk::{self, Edit, Harm, Pattern};
use schism_engine::strain::{Name, Strain};

use super::{
    ACCEPTS, CHANGED, HOUR, PORT, STRAINER, TIME, answers_at, await_answer, cluster_with, controller, now,
};

/// What a store says to a question.
fn asked(at: SocketAddr, question: u8) -> io::Result<u64> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&[question])?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).map(|()| u64::from_le_bytes(answer))
}

/// By how many hours a store's clock is ahead of ours.
fn hours_ahead(at: SocketAddr) -> u64 {
    let told = asked(at, TIME).expect("it tells");
    (told + HOUR.as_secs() / 2).saturating_sub(now()) / HOUR.as_secs()
}

/// A bit of the store's file.
fn flipped() -> disk::Wrong {
    let files = Pattern::of("file").expect("short");
    disk::Wrong::Edit(Edit { harm: Harm::Flip(1), files, seed: 1 })
}

/// Whether it does not answer. The kernel sets a descriptor aside for a call that waits for a connection: one may still come.
fn is_silent(at: SocketAddr) -> bool {
    (0..2).any(|_| !answers_at(at))
}

/// Whether it answers several that stay connected. One alone it may: a thread that has ended leaves its stack to the next one.
fn answers_many(at: SocketAddr) -> bool {
    let mut open = Vec::new();
    (0..16).all(|_| {
        let asked = || {
            let mut stream = TcpStream::connect(at)?;
            stream.set_read_timeout(Some(Duration::from_millis(700)))?;
            stream.write_all(b"?")?;
            stream.read_exact(&mut [0]).map(|()| stream)
        };
        asked().map(|stream| open.push(stream)).is_ok()
    })
}

/// Whether an open connection goes on for a while.
fn lasts(at: SocketAddr) -> bool {
    let used = || {
        let mut stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(Duration::from_millis(700)))?;
        match stream.read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            ended => return ended.map(|_| ()).and(Err(io::ErrorKind::ConnectionReset.into())),
        }
        stream.write_all(b"?")?;
        stream.read_exact(&mut [0])
    };
    used().is_ok()
}

/// What is done to a node's processes, seen from outside and by its sidecar; the other node never feels it.
pub fn processes_are_as_bad_as_asked(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disks = vec![flipped()];
    let able = |options| Options { traces: true, disks, ..options };
    let mut cluster = cluster_with(engine, folder.path(), able)?;
    let nodes = cluster.nodes().to_vec();
    let [first, second] = [nodes[0].reach(PORT), nodes[1].reach(PORT)];
    let node = Node(0);
    let strained = |cluster: &mut Docker, strain| -> Result<_, BackendError> {
        cluster.apply(&Desired::of(&[Change::Strain { node, strain }]))?;
        let bad = (is_silent(first), cluster.observe()?.daemons[0].expect("it runs").strained);
        assert!(answers_at(second), "the other node is as before");
        Ok(bad)
    };

    cluster.apply(&Desired::of(&[Change::Clock { node, skew: Skew::Jump(HOUR.as_nanos() as i64) }]))?;
    assert_eq!((hours_ahead(first), hours_ahead(second)), (1, 0));
    let own = cluster.observe()?.daemons[0].expect("it runs").clock.expect("it is read");
    assert_eq!(Duration::from_nanos(own.ahead_ns as u64).as_secs().div_ceil(60), 60, "{own:?}");
    // It is still so after a restart.
    let skewed = Change::Clock { node, skew: Skew::Jump(HOUR.as_nanos() as i64) };
    cluster.apply(&Desired::of(&[skewed, Change::Run { node, run: Run::Down }]))?;
    cluster.apply(&Desired::of(&[skewed]))?;
    await_answer(&nodes[0]);
    assert_eq!(hours_ahead(first), 1);
    cluster.apply(&Desired::default())?;
    assert_eq!(hours_ahead(first), 0);

    let (silent, seen) = strained(&mut cluster, Strain::Files(0))?;
    // A connection that was about to be closed when it was counted makes room for one more.
    assert!(silent && seen.files.is_some_and(|room| room.used + 1 >= room.limit), "{seen:?}");
    let (silent, seen) = strained(&mut cluster, Strain::Thread(Name::of(ACCEPTS)))?;
    assert!(silent && seen.thread.is_some_and(|thread| thread.stopped), "{seen:?}");
    cluster.apply(&Desired::default())?;
    await_answer(&nodes[0]);

    assert!(lasts(first));
    let disconnected = Change::Strain { node, strain: Strain::Disconnect(Duration::from_millis(50)) };
    cluster.apply(&Desired::of(&[disconnected]))?;
    assert!(!lasts(first) && lasts(second));
    assert!(cluster.observe()?.daemons[0].expect("it runs").strained.ended > 0);
    cluster.apply(&Desired::default())?;
    assert!(lasts(first));

    let before = cluster.observe()?.daemons[0].expect("it runs");
    let storm = Change::Strain { node, strain: Strain::Storm(Duration::from_millis(1)) };
    cluster.apply(&Desired::of(&[storm]))?;
    for _ in 0..2 {
        cluster.tend()?;
    }
    cluster.apply(&Desired::default())?;
    cluster.tend()?;
    let after = cluster.observe()?.daemons[0].expect("it runs");
    assert_eq!((after.strained.starts - before.strained.starts, after.pid == before.pid), (2, false));
    await_answer(&nodes[0]);

    let edit = Change::Disk { node, wrong: flipped() };
    assert_eq!(asked(first, CHANGED).expect("it tells"), 0);
    cluster.apply(&Desired::of(&[Change::Run { node, run: Run::Down }, edit]))?;
    cluster.apply(&Desired::default())?;
    await_answer(&nodes[0]);
    assert_eq!(asked(first, CHANGED).expect("it tells"), 1, "{:?}", cluster.observe()?.disks[0]);
    assert_eq!(cluster.observe()?.disks[0].edits, 1);
    assert_eq!(cluster.deaths(), [], "nobody died by itself");

    // Whoever has no memory left may die of it; then it is started again.
    cluster.apply(&Desired::of(&[Change::Strain { node, strain: Strain::Memory(0) }]))?;
    assert!(is_silent(first) && answers_at(second));
    let begun = Instant::now();
    cluster.apply(&Desired::default())?;
    while !answers_at(first) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come back");
        // The engine takes a moment to tell of its end.
        cluster.apply(&Desired::default())?;
    }
    assert_eq!(cluster.observe()?.daemons[0].expect("it runs").strained.memory, None);
    assert!(cluster.deaths().iter().all(|death| death.node == node), "the other node did not");
    cluster.stop()
}

/// Nodes of the controller that is killed, by what is wrong with them.
const CLOCK: usize = 0;
const DISCONNECTED: usize = 3;
const FORGETFUL: usize = 4;
const STORMY: usize = 5;
const ROTTEN: usize = 6;
const NODES: usize = 7;

/// A controller that gives one node another clock, leaves one no descriptors and one no memory, holds a thread of one, has the
/// connections of another end, one restart again and again, and has changed a file of the last; says where they are, and waits.
pub fn strain() -> ! {
    let engine = Arc::new(Engine::connect().expect("there is an engine"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disks = vec![flipped()];
    let able = |options| Options { nodes: NODES, traces: true, disks, ..options };
    let mut cluster = cluster_with(&engine, folder.path(), able).expect("a cluster");
    let rotten = Node(ROTTEN);
    let rot = [Change::Run { node: rotten, run: Run::Down }, Change::Disk { node: rotten, wrong: flipped() }];
    cluster.apply(&Desired::of(&rot)).expect("a changed file");
    cluster.apply(&Desired::default()).expect("a restart");
    await_answer(&cluster.nodes()[ROTTEN]);
    // Who has a mebibyte left makes no thread, and lives.
    let strains = [
        Strain::Files(0),
        Strain::Thread(Name::of(ACCEPTS)),
        Strain::Disconnect(Duration::from_millis(50)),
        Strain::Memory(1 << 20),
        Strain::Storm(Duration::from_millis(1)),
    ];
    let strains = strains.into_iter().zip(1..);
    let strains = strains.map(|(strain, node)| Change::Strain { node: Node(node), strain });
    let clock = Change::Clock { node: Node(CLOCK), skew: Skew::Jump(HOUR.as_nanos() as i64) };
    let changes: Vec<Change> = strains.chain([clock]).collect();
    cluster.apply(&Desired::of(&changes)).expect("faults");
    println!("{}", cluster.nodes().iter().map(|node| node.reach(PORT).to_string() + " ").collect::<String>());
    loop {
        cluster.tend().expect("tending");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether nobody starts or ends a node any more: it goes on for a while, or stays down.
fn is_calm(at: SocketAddr) -> bool {
    const LOOKS: u32 = 4;
    (0..LOOKS).all(|_| lasts(at)) || (0..LOOKS).all(|_| !answers_at(at))
}

pub fn strains_end_with_their_controller(engine: &Engine) -> Result<(), BackendError> {
    let (mut controller, nodes) = controller(&[STRAINER], NODES);
    let changed = || asked(nodes[ROTTEN], CHANGED).expect("it tells");
    let is_well = |which: usize| match which {
        CLOCK => hours_ahead(nodes[which]) == 0,
        DISCONNECTED => lasts(nodes[which]),
        FORGETFUL => answers_many(nodes[which]),
        STORMY => is_calm(nodes[which]),
        // What was changed stays so.
        ROTTEN => changed() == 1,
        _ => !is_silent(nodes[which]),
    };
    for which in [CLOCK, 1, 2, DISCONNECTED, FORGETFUL] {
        assert!(!is_well(which), "node {which} is as bad as asked");
    }
    assert!(!(0..4).all(|_| lasts(nodes[STORMY])), "it is started again and again");
    assert_eq!(changed(), 1);
    controller.kill().expect("killing");
    controller.wait().expect("waiting");
    let killed = Instant::now();
    for which in 0..NODES {
        while !is_well(which) {
            assert!(killed.elapsed() < Duration::from_secs(40), "fault {which} outlives its controller");
        }
    }
    docker::clean(engine).map(drop)
}
