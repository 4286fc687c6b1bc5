//! Strains, seen from outside: a thread stands still while its process answers, the next allocation or descriptor is refused, a
//! daemon is killed again and again. And all of it is over when it is healed.

use std::time::Duration;

use schism_engine::backend::Backend;
use schism_engine::clock::Skew;
use schism_engine::cluster::{Change, Daemon, Node, Run};
use schism_engine::strain::{HeldThread, Name, Strain};

use crate::stage::{Stage, run, until};

pub const CASES: &[(&str, fn())] = &[
    ("one thread is held while its process goes on", a_thread_alone),
    ("a thread stays held while clocks change, and a pause comes and goes", a_thread_beside_others),
    ("a thread is held that makes other processes all the time", a_thread_that_spawns),
    ("no descriptor is left, and then all are again", no_descriptors),
    ("no memory is left, and then all is again", no_memory),
    ("live connections end, and new ones do not", disconnected),
    ("a storm kills and starts one daemon again and again", storm),
];

const HOUR_NS: i64 = 3_600_000_000_000;

fn strain(strain: Strain) -> Change {
    Change::Strain { node: Node(0), strain }
}

fn look(stage: &mut Stage) -> Daemon {
    stage.sandbox.observe().expect("observing").daemons[0].expect("it runs")
}

fn a_thread_alone() {
    let mut stage = Stage::new(2);
    stage.ask(0, "spin spinner");
    stage.ask(0, "spin other");
    stage.apply(&[strain(Strain::Thread(Name::of("spinner")))]);
    let first = look(&mut stage);
    let held = first.strained.thread.expect("a thread is held");
    assert!(held.stopped && !first.stopped, "{held:?}");
    until("the other thread has run on", || look(&mut stage).cpu > first.cpu + Duration::from_millis(50));
    assert_eq!(stage.ask(0, "echo here"), "here");
    assert_eq!(look(&mut stage).strained.thread, Some(held), "it has used no time since");
    stage.apply(&[]);
    assert_eq!(look(&mut stage).strained.thread, None);
    runs_on(&mut stage, held);
    // The busiest of all is one of the two that spin.
    stage.apply(&[strain(Strain::Thread(Name::default()))]);
    let busiest = look(&mut stage).strained.thread.expect("a thread is held");
    assert!(busiest.cpu > Duration::from_millis(10), "{busiest:?}");
    // Its process is killed meanwhile, and comes up with all its threads.
    stage.apply(&[strain(Strain::Thread(Name::default())), run(0, Run::Down)]);
    stage.apply(&[]);
    assert_eq!(stage.ask(0, "echo again"), "again");
    let nobody = Strain::Thread(Name::of("nobody"));
    let mut refused = String::new();
    until("one that is young could have it yet, and then there is no such thread", || {
        stage.apply(&[]);
        let asked = stage.sandbox.apply(&schism_engine::cluster::Desired::of(&[strain(nobody)]));
        refused = asked.err().map_or(String::new(), |error| error.to_string());
        !refused.is_empty()
    });
    assert!(refused.contains("no thread is called `nobody`"), "{refused}");
    assert!(stage.sandbox.deaths().is_empty());
}

/// Waits until a thread that was held, and is free, has used more time. It is held for a moment to look at it.
fn runs_on(stage: &mut Stage, held: HeldThread) {
    until("it runs again", || {
        stage.apply(&[strain(Strain::Thread(Name::of("spinner")))]);
        let now = look(stage).strained.thread.expect("a thread is held");
        stage.apply(&[]);
        now.id == held.id && now.cpu > held.cpu + Duration::from_millis(5)
    });
}

fn a_thread_beside_others() {
    let mut stage = Stage::new(1);
    stage.ask(0, "spin spinner");
    let hold = strain(Strain::Thread(Name::of("spinner")));
    stage.apply(&[hold]);
    let held = look(&mut stage).strained.thread.expect("a thread is held");
    let skew = Change::Clock { node: Node(0), skew: Skew::Jump(HOUR_NS) };
    for others in [vec![skew], vec![run(0, Run::Paused)], vec![], vec![skew], vec![]] {
        let all: Vec<Change> = others.iter().copied().chain([hold]).collect();
        stage.apply(&all);
        let seen = look(&mut stage);
        assert_eq!(seen.strained.thread, Some(held), "{others:?}");
        if others == [skew] {
            let clock = seen.clock.expect("its clock is read");
            assert!((clock.ahead_ns - HOUR_NS).abs() < HOUR_NS / 100, "{clock:?}");
        }
        if others != [run(0, Run::Paused)] {
            assert_eq!(stage.ask(0, "echo here"), "here");
        }
    }
    stage.apply(&[]);
    runs_on(&mut stage, held);
    assert!(stage.sandbox.deaths().is_empty());
}

/// It waits for its child in a call that nothing interrupts, and its child for being heard by who holds.
fn a_thread_that_spawns() {
    let mut stage = Stage::new(1);
    assert_eq!(stage.ask(0, "spawning"), "spawning");
    for round in 0..20 {
        stage.apply(&[strain(Strain::Thread(Name::of("spawner")))]);
        let held = look(&mut stage).strained.thread.unwrap_or_else(|| panic!("round {round}: it is held"));
        assert!(held.stopped, "round {round}: {held:?}");
        stage.apply(&[]);
        assert_eq!(look(&mut stage).strained.thread, None, "round {round}");
    }
    assert!(stage.sandbox.deaths().is_empty());
}

fn no_descriptors() {
    let mut stage = Stage::new(2);
    let mut talk = stage.connect(0);
    assert_eq!(talk.ask("append before"), "appended");
    stage.apply(&[strain(Strain::Files(0))]);
    let full = look(&mut stage).strained.files.expect("it is limited");
    assert_eq!(full.used, full.limit);
    let refused = talk.ask("append during");
    assert!(refused.contains("os error 24"), "{refused}");
    assert_eq!(stage.ask(1, "append elsewhere"), "appended", "another node is not limited");
    // Two more, and the second is the last.
    stage.apply(&[strain(Strain::Files(2))]);
    let room = look(&mut stage).strained.files.expect("it is limited");
    assert_eq!(room.used + 2, room.limit);
    stage.apply(&[]);
    assert_eq!(look(&mut stage).strained.files, None);
    assert_eq!(talk.ask("append after"), "appended");
    assert_eq!(stage.ask(0, "echo anew"), "anew", "it accepts again");
    assert!(stage.sandbox.deaths().is_empty());
}

fn no_memory() {
    let mut stage = Stage::new(1);
    let mut talk = stage.connect(0);
    assert_eq!(talk.ask("allocate 256"), "allocated");
    stage.apply(&[strain(Strain::Memory(64 << 20))]);
    let room = look(&mut stage).strained.memory.expect("it is limited");
    assert!(room.used <= room.limit && room.limit - room.used <= 64 << 20, "{room:?}");
    assert_eq!(talk.ask("allocate 256"), "refused");
    assert_eq!(talk.ask("allocate 16"), "allocated");
    stage.apply(&[]);
    assert_eq!(look(&mut stage).strained.memory, None);
    assert_eq!(talk.ask("allocate 256"), "allocated");
    assert!(stage.sandbox.deaths().is_empty());
}

fn disconnected() {
    let mut stage = Stage::new(2);
    let (mut talk, mut other) = (stage.connect(0), stage.connect(1));
    assert_eq!(talk.ask("echo before"), "before");
    assert_eq!(other.ask("echo before"), "before");
    stage.apply(&[strain(Strain::Disconnect(Duration::from_secs(3600)))]);
    assert_eq!(look(&mut stage).strained.ended, 1);
    assert!(talk.try_ask("echo during").is_err(), "its connection is gone");
    assert_eq!(other.ask("echo during"), "during", "another node's is not");
    assert_eq!(stage.ask(0, "echo anew"), "anew", "nothing stays behind");
    // Again and again, as often as asked for.
    stage.apply(&[strain(Strain::Disconnect(Duration::from_millis(20)))]);
    until("three more have ended", || {
        drop(stage.connect(0).try_ask("echo now"));
        look(&mut stage).strained.ended >= 4
    });
    stage.apply(&[]);
    let ended = look(&mut stage).strained.ended;
    let mut talk = stage.connect(0);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(talk.ask("echo after"), "after");
    assert_eq!(look(&mut stage).strained.ended, ended);
    assert!(stage.sandbox.deaths().is_empty());
}

fn storm() {
    let mut stage = Stage::new(2);
    stage.ask(0, "append kept");
    let other = stage.sandbox.observe().expect("observing").daemons[1].expect("it runs").pid;
    let first = look(&mut stage);
    let storm = strain(Strain::Storm(Duration::from_millis(50)));
    stage.apply(&[storm]);
    until("it has been started five times", || look(&mut stage).strained.starts >= first.strained.starts + 5);
    // It waits while the daemon is stopped, and while it is down.
    stage.apply(&[storm, run(0, Run::Paused)]);
    let paused = look(&mut stage);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(look(&mut stage), paused);
    stage.apply(&[storm]);
    until("it goes on", || look(&mut stage).strained.starts > paused.strained.starts);
    stage.apply(&[]);
    let last = look(&mut stage);
    assert!(last.pid > first.pid);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(look(&mut stage).pid, last.pid, "it is over");
    assert_eq!(stage.ask(0, "echo here"), "here");
    let seen = stage.sandbox.observe().expect("observing").daemons[1].expect("it runs").pid;
    assert_eq!(seen, other, "the other node is as it was");
    assert!(stage.sandbox.deaths().is_empty(), "a wanted kill is no death");
}
