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

/// Whether it does not answer. The kernel sets a descriptor aside for a call that waits for a connection: one may still come.
fn is_silent(at: SocketAddr) -> bool {
    (0..2).any(|_| !answers_at(at))
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
    let able = |options| Options { traces: true, edits: true, ..options };
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
    assert!(silent && seen.files.is_some_and(|room| room.used >= room.limit), "{seen:?}");
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

    let files = Pattern::of("file").expect("short");
    let edit = Change::Disk { node, wrong: disk::Wrong::Edit(Edit { harm: Harm::Flip(1), files, seed: 1 }) };
    assert_eq!(asked(first, CHANGED).expect("it tells"), 0);
    cluster.apply(&Desired::of(&[Change::Run { node, run: Run::Down }, edit]))?;
    cluster.apply(&Desired::default())?;
    await_answer(&nodes[0]);
    assert_eq!(asked(first, CHANGED).expect("it tells"), 1, "{:?}", cluster.observe()?.disks[0]);
    assert_eq!(cluster.observe()?.disks[0].edits, 1);
    let refuses = Change::Disk { node, wrong: disk::Wrong::Lie };
    let refused = cluster.apply(&Desired::of(&[refuses])).expect_err("nobody hears of calls").to_string();
    assert!(refused.contains("nobody hears"), "{refused}");
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

/// A controller that gives one node another clock, leaves one no descriptors, holds a thread of one and the connections of
/// another end; says where they are, and waits.
pub fn strain() -> ! {
    let engine = Arc::new(Engine::connect().expect("there is an engine"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let able = |options| Options { nodes: 4, traces: true, ..options };
    let mut cluster = cluster_with(&engine, folder.path(), able).expect("a cluster");
    let strains =
        [Strain::Files(0), Strain::Thread(Name::of(ACCEPTS)), Strain::Disconnect(Duration::from_millis(50))];
    let strains = strains.into_iter().zip(1..);
    let strains = strains.map(|(strain, node)| Change::Strain { node: Node(node), strain });
    let clock = Change::Clock { node: Node(0), skew: Skew::Jump(HOUR.as_nanos() as i64) };
    let changes: Vec<Change> = strains.chain([clock]).collect();
    cluster.apply(&Desired::of(&changes)).expect("faults");
    println!("{}", cluster.nodes().iter().map(|node| node.reach(PORT).to_string() + " ").collect::<String>());
    loop {
        std::thread::park();
    }
}

pub fn strains_end_with_their_controller(engine: &Engine) -> Result<(), BackendError> {
    let (mut controller, nodes) = controller(&[STRAINER], 4);
    let is_well = |which: usize| match which {
        0 => hours_ahead(nodes[0]) == 0,
        3 => lasts(nodes[3]),
        _ => !is_silent(nodes[which]),
    };
    assert_eq!((0..4).filter(|which| is_well(*which)).count(), 0, "all are as bad as asked");
    controller.kill().expect("killing");
    controller.wait().expect("waiting");
    let killed = Instant::now();
    for which in 0..4 {
        while !is_well(which) {
            assert!(killed.elapsed() < Duration::from_secs(30), "fault {which} outlives its controller");
        }
    }
    docker::clean(engine).map(drop)
}
