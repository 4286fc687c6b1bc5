//! The cases. Each runs in a process of its own and fails by panicking.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use schism_engine::backend::sandbox::{Sandbox, enter, probe};
use schism_engine::backend::{Backend, BackendError, ShapedBy};
use schism_engine::cluster::{Change, Desired, Endpoint, Node, Program, Run};
use schism_engine::link::Share;

use crate::stage::{LONG, Stage, cut, folder, node, options, program, run as set, until};

/// How long to wait for what shall not come.
const SHORT: Duration = Duration::from_millis(400);

pub const CASES: &[(&str, fn())] = &[
    ("five nodes talk to one another and clients to all", everybody_talks),
    ("a node sees only what is its own", nodes_are_separate),
    ("a cut pair loses exactly its direction and counts packets", one_direction),
    ("a 2|3 split is complete, and heals", split_and_heal),
    ("clients can be cut from a node, both ways", clients_are_cut),
    ("a connection survives a cut", connection_survives),
    ("kill keeps data and other nodes, restart has another pid", kill_and_restart),
    ("kill takes what the daemon has started", kill_takes_offspring),
    ("pause uses no processor time, and resumes", pause_and_resume),
    ("who starves runs for a fraction of the time", starved),
    ("states follow one another in any order", any_order),
    ("a death is reported, a wanted kill is not", deaths_are_reported),
    ("a node whose agent dies is reported, others go on", agent_dies),
    ("a program that is not there is a clear error", program_not_found),
    ("a second cluster follows the first", one_after_the_other),
    ("a run's folder under /run is found", folder_under_run),
    ("Ctrl-C reaches the controller alone", interrupted),
    ("entering after a thread has started is refused", too_late),
    ("the doctor finds what a cluster then uses", probed),
];

pub fn run(name: &str) -> ExitCode {
    let (_, case) = CASES
        .iter()
        .chain(crate::links::CASES)
        .chain(crate::links::BY_TC)
        .chain(crate::captures::CASES)
        .chain(crate::clocks::CASES)
        .chain(crate::disks::CASES)
        .chain(crate::reboots::CASES)
        .chain(crate::strains::CASES)
        .find(|(known, _)| *known == name)
        .expect("the runner knows its cases");
    case();
    ExitCode::SUCCESS
}

fn everybody_talks() {
    let stage = Stage::new(5);
    for from in 0..5 {
        for to in 0..5 {
            assert!(stage.reaches(from, &stage.address(to).to_string(), LONG), "{from} to {to}");
        }
        assert!(stage.reaches(from, "n3", LONG), "names are known");
    }
    let all: BTreeSet<_> = stage.sandbox.nodes().iter().map(|spec| spec.address).collect();
    assert_eq!(all.len(), 5, "every node has its own address");
    assert!(stage.sandbox.notes().is_empty(), "{:?}", stage.sandbox.notes());
}

fn nodes_are_separate() {
    let stage = Stage::new(2);
    assert_eq!(stage.ask(0, "read /proc/sys/kernel/hostname"), "n1;");
    assert_eq!(stage.ask(0, "descriptors"), "0,1,2,3", "nothing is inherited; 3 is the listing itself");
    let environment = stage.ask(0, "environment");
    let names: Vec<&str> = environment.split(',').filter_map(|one| one.split('=').next()).collect();
    assert_eq!(BTreeSet::from_iter(names), BTreeSet::from(["GREETING", "PATH"]), "{environment}");
    let processes = stage.ask(0, "list /proc");
    let processes: Vec<&str> = processes.split(',').filter(|name| name.parse::<u32>().is_ok()).collect();
    assert_eq!(processes.len(), 2, "the agent and the daemon: {processes:?}");
    assert_eq!(stage.ask(0, "list /run"), "data,hosts", "the machine's own /run is hidden");
    assert_eq!(stage.ask(0, "write /run/mine"), "written");
    assert_eq!(stage.ask(0, "write /dev/shm/mine"), "written");
    assert_eq!(stage.ask(1, "list /dev/shm"), "", "shared memory is not shared between nodes");
    assert_eq!(stage.ask(1, "list /run"), "data,hosts");
    let refused = stage.ask(0, "write /proc/sys/net/ipv4/ip_forward");
    assert!(refused.contains("Read-only"), "{refused}");
    let interfaces = stage.ask(0, "list /proc/sys/net/ipv4/conf");
    assert_eq!(interfaces, "all,default,eth0,lo");
    let log = fs::read_to_string(stage.sandbox.log(Node(0))).expect("a log");
    assert!(log.starts_with("--- schism: n1, start 1: schism daemon\ndaemon "), "{log}");
}

fn one_direction() {
    let mut stage = Stage::new(3);
    stage.apply(&[cut(node(0), node(1))]);
    assert_eq!(dropped(&mut stage, 0, 1), Some(0));
    let (first, second) = (stage.address(0), stage.address(1));
    stage.ask(0, &format!("send {second} lost"));
    until("the lost datagram is counted", || dropped(&mut stage, 0, 1) == Some(1));
    stage.ask(1, &format!("send {first} back"));
    until("the way back is open", || stage.ask(0, "datagrams") == "back");
    stage.ask(2, &format!("send {second} third"));
    until("others reach it", || stage.ask(1, "datagrams") == "third");
    assert_eq!(dropped(&mut stage, 0, 1), Some(1), "only the pair's own packets count");
    assert_eq!(dropped(&mut stage, 1, 0), None, "the way back is not cut");

    // A second cut leaves the first one's count alone.
    stage.apply(&[cut(node(0), node(1)), cut(node(2), node(1))]);
    assert_eq!((dropped(&mut stage, 0, 1), dropped(&mut stage, 2, 1)), (Some(1), Some(0)));
    stage.apply(&[]);
    assert_eq!(dropped(&mut stage, 0, 1), None);
    stage.ask(0, &format!("send {second} healed"));
    until("it is healed", || stage.ask(1, "datagrams") == "third,healed");
    // Each cut counts for itself.
    stage.apply(&[cut(node(0), node(1))]);
    assert_eq!(dropped(&mut stage, 0, 1), Some(0));
}

fn dropped(stage: &mut Stage, from: usize, to: usize) -> Option<u64> {
    let observed = stage.sandbox.observe().expect("observing");
    observed.dropped.get(&(node(from), node(to))).copied()
}

fn split_and_heal() {
    let mut stage = Stage::new(5);
    let side = |index: usize| index < 2;
    let mut cuts = Vec::new();
    for from in 0..5 {
        for to in (0..5).filter(|to| side(from) != side(*to)) {
            cuts.push(cut(node(from), node(to)));
        }
    }
    assert_eq!(cuts.len(), 12);
    stage.apply(&cuts);
    for from in 0..5 {
        for to in 0..5 {
            let open = side(from) == side(to);
            let reached = stage.reaches(from, &format!("n{}", to + 1), if open { LONG } else { SHORT });
            assert_eq!(reached, open, "n{} to n{}", from + 1, to + 1);
        }
    }
    // That nothing came could be slowness: that it was dropped is the proof.
    let observed = stage.sandbox.observe().expect("observing").dropped;
    assert!(observed.len() == 12 && observed.values().all(|packets| *packets > 0), "{observed:?}");
    // Clients reach both sides throughout; a heal opens every pair for the next connection.
    stage.apply(&[]);
    for from in 0..5 {
        for to in 0..5 {
            assert!(stage.reaches(from, &format!("n{}", to + 1), LONG));
        }
    }
    assert!(stage.sandbox.observe().expect("observing").dropped.is_empty());
}

fn clients_are_cut() {
    let mut stage = Stage::new(2);
    let count = |stage: &mut Stage, pair| {
        stage.sandbox.observe().expect("observing").dropped.get(&pair).copied().unwrap_or_default()
    };
    for pair in [(Endpoint::Clients, node(0)), (node(0), Endpoint::Clients)] {
        stage.apply(&[cut(pair.0, pair.1)]);
        let refused = stage.try_connect(0, SHORT).map(drop).expect_err("the node is out of reach");
        assert_eq!(refused.kind(), std::io::ErrorKind::TimedOut, "silence, not a refusal");
        assert!(count(&mut stage, pair) > 0);
        assert!(stage.reaches(1, "n1", LONG), "other nodes reach it");
        stage.apply(&[]);
        assert_eq!(stage.ask(0, "echo again"), "again");
    }
}

fn connection_survives() {
    let mut stage = Stage::new(1);
    let mut talk = stage.connect(0);
    assert_eq!(talk.ask("echo before"), "before");
    // The request arrives and is executed; only its answer is lost, until the kernel sends it again.
    stage.apply(&[cut(node(0), Endpoint::Clients)]);
    talk.patience(SHORT);
    let silence = talk.try_ask("append once").expect_err("the answer is lost");
    assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    stage.apply(&[]);
    talk.patience(LONG);
    assert_eq!(talk.ask("contents"), "appended", "the answer to the first question comes first");
    assert_eq!(stage.ask(0, "contents"), "once,");
}

fn pid(stage: &mut Stage, index: usize) -> Option<u32> {
    stage.sandbox.observe().expect("observing").daemons[index].map(|daemon| daemon.pid)
}

fn kill_and_restart() {
    let mut stage = Stage::new(3);
    stage.ask(1, "append kept");
    let before = pid(&mut stage, 1).expect("it runs");
    let others = (pid(&mut stage, 0), pid(&mut stage, 2));
    let mut talk = stage.connect(1);
    let address = stage.address(1);
    stage.apply(&[set(1, Run::Down)]);
    assert_eq!(pid(&mut stage, 1), None);
    assert!(talk.try_ask("echo x").is_err(), "its connections are gone");
    let refused = stage.try_connect(1, LONG).map(drop).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(stage.reaches(0, "n3", LONG));
    assert_eq!((pid(&mut stage, 0), pid(&mut stage, 2)), others);
    stage.apply(&[]);
    assert_eq!(stage.ask(1, "contents"), "kept,");
    let after = pid(&mut stage, 1).expect("it runs again");
    assert_ne!(before, after);
    assert_eq!(stage.address(1), address);
    let log = fs::read_to_string(stage.sandbox.log(Node(1))).expect("a log");
    assert_eq!(log.matches("--- schism: n2, start ").count(), 2, "{log}");
    let data = folder().join("nodes/n2/data/file");
    assert_eq!(fs::read_to_string(data).expect("the data is in the run's folder"), "kept\n");
}

fn kill_takes_offspring() {
    let mut stage = Stage::new(1);
    let child = stage.ask(0, "offspring");
    assert!(stage.ask(0, "list /proc").split(',').any(|name| name == child));
    stage.apply(&[set(0, Run::Down)]);
    stage.apply(&[]);
    assert!(!stage.ask(0, "list /proc").split(',').any(|name| name == child), "the child outlived the kill");
    // A daemon that ends by itself may leave others behind; the next start does not find them.
    let child = stage.ask(0, "offspring");
    let _ = stage.connect(0).try_ask("exit 0");
    until("the death is noticed", || !stage.sandbox.deaths().is_empty());
    stage.apply(&[]);
    assert!(
        !stage.ask(0, "list /proc").split(',').any(|name| name == child),
        "the child outlived the restart"
    );
}

fn pause_and_resume() {
    let mut stage = Stage::new(2);
    stage.ask(0, "spin");
    stage.ask(0, "offspring");
    stage.ask(1, "spin");
    let observe = |stage: &mut Stage| {
        let daemons = stage.sandbox.observe().expect("observing").daemons;
        [daemons[0].expect("it exists"), daemons[1].expect("it exists")]
    };
    let awake = observe(&mut stage)[0];
    assert!(!awake.stopped);
    stage.apply(&[set(0, Run::Paused)]);
    let [before, other] = observe(&mut stage);
    assert!(before.stopped && !other.stopped);
    let enough = other.cpu + Duration::from_millis(50);
    until("the other node gets time", || observe(&mut stage)[1].cpu > enough);
    assert_eq!(observe(&mut stage)[0], before, "a paused daemon uses no time at all");
    let mut talk = stage.try_connect(0, LONG).expect("the kernel still accepts for it");
    talk.patience(SHORT);
    talk.try_ask("echo slow").expect_err("but nobody answers");
    stage.apply(&[]);
    assert!(!observe(&mut stage)[0].stopped);
    until("it gets time again", || observe(&mut stage)[0].cpu > before.cpu);
    assert_eq!(observe(&mut stage)[0].pid, awake.pid, "it is the same process");
    assert_eq!(stage.ask(0, "echo awake"), "awake");
    assert!(stage.sandbox.deaths().is_empty());
}

fn starved() {
    let mut stage = Stage::new(2);
    stage.ask(0, "spin");
    stage.ask(0, "offspring");
    let starve = Change::Starve { node: Node(0), left: Share::percent(10) };
    let look = |stage: &mut Stage| stage.sandbox.observe().expect("observing").daemons[0].expect("it runs");
    stage.apply(&[starve]);
    let (begun, first) = (Instant::now(), look(&mut stage));
    // It goes on answering, and looking at it is no pause.
    until("it has starved for a second", || {
        let now = look(&mut stage);
        assert!(!now.stopped && now.pid == first.pid);
        std::thread::sleep(Duration::from_millis(200));
        now.starved > first.starved + Duration::from_secs(1)
    });
    assert_eq!(stage.ask(0, "echo slowly"), "slowly");
    let (last, lasted) = (look(&mut stage), begun.elapsed());
    assert!(last.cpu - first.cpu < lasted / 2, "it ran for {:?} of {lasted:?}", last.cpu - first.cpu);
    // Another fault comes and goes meanwhile.
    stage.apply(&[starve, set(0, Run::Paused)]);
    let paused = look(&mut stage);
    std::thread::sleep(SHORT);
    assert_eq!(look(&mut stage), paused, "a paused node does not starve");
    stage.apply(&[starve, set(0, Run::Down)]);
    stage.apply(&[starve]);
    let again = look(&mut stage);
    until("it starves after its restart", || look(&mut stage).starved > again.starved);
    stage.apply(&[]);
    let healed = look(&mut stage);
    assert_eq!(stage.ask(0, "spin"), "spinning");
    until("it runs again", || look(&mut stage).cpu > healed.cpu + Duration::from_millis(50));
    assert_eq!(look(&mut stage).starved, healed.starved, "nobody keeps it from running any more");
    assert!(stage.sandbox.deaths().is_empty());
}

fn any_order() {
    let mut stage = Stage::new(1);
    let states = [Run::Up, Run::Paused, Run::Down];
    for from in states {
        for to in states {
            stage.apply(&[set(0, from)]);
            stage.apply(&[set(0, to)]);
            stage.apply(&[set(0, to)]);
            let seen = stage.sandbox.observe().expect("observing").daemons[0];
            let wanted = match to {
                Run::Up => Some(false),
                Run::Paused => Some(true),
                Run::Down => None,
            };
            assert_eq!(seen.map(|daemon| daemon.stopped), wanted, "{from:?} to {to:?}");
            if to == Run::Up {
                assert_eq!(stage.ask(0, "echo here"), "here");
            }
        }
    }
    assert!(stage.sandbox.deaths().is_empty());
}

fn deaths_are_reported() {
    let mut stage = Stage::new(3);
    let _ = stage.connect(0).try_ask("exit 7");
    let _ = stage.connect(1).try_ask("abort");
    stage.apply(&[set(2, Run::Down)]);
    let mut deaths = Vec::new();
    until("both deaths are seen", || {
        deaths.extend(stage.sandbox.deaths());
        deaths.len() >= 2
    });
    deaths.sort_by_key(|death| death.node);
    let how: Vec<_> =
        deaths.iter().map(|death| (death.node.0, death.how.as_str(), death.suspicious)).collect();
    assert_eq!(how, [(0, "exited with status 7", false), (1, "killed by signal 6", false)]);
    assert!(stage.sandbox.deaths().is_empty(), "each is reported once");
    stage.apply(&[]);
    for index in 0..3 {
        assert_eq!(stage.ask(index, "echo back"), "back", "what has died is started again");
    }
    assert!(stage.sandbox.deaths().is_empty());
}

fn agent_dies() {
    let mut stage = Stage::new(3);
    // From outside, agents are our children, in the order in which they were made.
    let parent = format!("PPid:\t{}\n", std::process::id());
    let mut agents: Vec<i32> = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter(|entry| {
            fs::read_to_string(entry.path().join("status")).is_ok_and(|status| status.contains(&parent))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    agents.sort_unstable();
    assert_eq!(agents.len(), 3);
    // SAFETY: plain system call on a child of ours that nobody has waited for.
    assert_eq!(unsafe { libc::kill(agents[0], libc::SIGKILL) }, 0);
    let mut deaths = Vec::new();
    until("the death is seen", || {
        deaths.extend(stage.sandbox.deaths());
        !deaths.is_empty()
    });
    assert_eq!((deaths.len(), deaths[0].suspicious), (1, true));
    assert!(deaths[0].how.contains("node agent died"), "{deaths:?}");
    let error = stage.sandbox.apply(&Desired::default()).expect_err("it cannot be started again");
    assert_eq!(error.to_string(), format!("{}: its node agent has died", deaths[0].node));
    let living = (0..3).filter(|index| *index != deaths[0].node.0);
    living.for_each(|index| assert_eq!(stage.ask(index, "echo well"), "well"));
    stage.sandbox.stop().expect("stopping the rest");
}

fn program_not_found() {
    let mut stage = Stage::new(1);
    stage.apply(&[set(0, Run::Down)]);
    let missing = Program { file: Some("/nowhere/etcd".into()), ..program() };
    let error = stage.sandbox.start(Node(0), missing).expect_err("there is no such program");
    let text = error.to_string();
    assert!(text.starts_with("n1: cannot start /nowhere/etcd: No such file"), "{text}");
    let bare =
        Program { file: Some("sh".into()), arguments: vec!["-c".into(), "exit 3".into()], ..program() };
    stage.sandbox.start(Node(0), bare).expect("found on the PATH");
    let mut deaths = Vec::new();
    until("it ends", || {
        deaths = stage.sandbox.deaths();
        !deaths.is_empty()
    });
    assert_eq!(deaths[0].how, "exited with status 3");
}

fn one_after_the_other() {
    let fabric = enter().expect("entering");
    for round in 0..3 {
        let mut options = options(3, &folder());
        if round == 2 {
            // Whatever the others have done to the fabric, it is as it was.
            options.shaped_by = ShapedBy::Best;
        }
        let mut stage = Stage::on(&fabric, &options);
        assert!(stage.reaches(0, "n2", LONG));
        let sandbox = &mut stage.sandbox;
        if round != 1 {
            sandbox.stop().expect("stopping");
            sandbox.stop().expect("stopping once more");
        }
    }
}

fn folder_under_run() {
    let fabric = enter().expect("entering");
    // Our mounts are our own by now, so this hides the machine's /run from nobody else.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).status();
    assert!(mounted.expect("running mount").success());
    let place = Path::new("/run/user/1000/run");
    let mut sandbox = Sandbox::create(&fabric, &options(1, place)).expect("creating");
    let script = Program {
        file: Some("sh".into()),
        arguments: vec!["-c".into(), "echo said; echo kept >it".into()],
        ..program()
    };
    sandbox.start(Node(0), script).expect("starting");
    until("it ends", || !sandbox.deaths().is_empty());
    assert_eq!(fs::read_to_string(place.join("nodes/n1/data/it")).expect("its data"), "kept\n");
    assert!(fs::read_to_string(sandbox.log(Node(0))).expect("its log").ends_with("\nsaid\n"));
}

fn interrupted() {
    extern "C" fn take_note(_: i32) {}
    let note: extern "C" fn(i32) = take_note;
    // SAFETY: plain system calls, and a handler that does nothing. A group of our own, so that the signal does not reach whoever
    // runs the tests. To ignore the signal instead would be inherited by every program started from here.
    unsafe {
        assert_eq!(libc::setpgid(0, 0), 0);
        libc::signal(libc::SIGINT, note as libc::sighandler_t);
    }
    let mut stage = Stage::new(2);
    // SAFETY: plain system call: what the terminal does on Ctrl-C.
    assert_eq!(unsafe { libc::kill(0, libc::SIGINT) }, 0);
    for index in 0..2 {
        assert_eq!(stage.ask(index, "echo unharmed"), "unharmed");
    }
    assert!(stage.sandbox.deaths().is_empty());
}

fn too_late() {
    let _busy = std::thread::spawn(std::thread::park);
    match enter().map(drop) {
        Err(BackendError::System { source, .. }) => {
            assert!(source.to_string().contains("threads exist already"))
        }
        other => panic!("{other:?}"),
    }
}

fn probed() {
    let found = probe();
    assert!(found.len() >= 14, "each is tried: {found:?}");
    // This case runs only where a cluster can be made: then nothing of it may be missing.
    for one in
        found.iter().filter(|one| one.name != "fast heal of connections" && one.name != "user namespace")
    {
        assert!(one.works, "{one:?}");
    }
    let stage = Stage::new(1);
    let heals = found.iter().find(|one| one.name == "fast heal of connections").expect("it is tried");
    assert_eq!(heals.works, stage.ask(0, "read /proc/sys/net/ipv4/tcp_rto_max_ms") == "1000;");
}
