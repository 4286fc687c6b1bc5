//! What a node loses with its power besides what was not fsynced: its boot, its connections, and the time to say so.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use schism_engine::backend::Backend;
use schism_engine::backend::sandbox::{Options, enter};
use schism_engine::cluster::{Change, Node, Run};
use schism_engine::disk::{Call, Loss, Pattern, Strike, Wrong};

use crate::stage::{LONG, Stage, folder, options, run, until};

pub const CASES: &[(&str, fn())] = &[
    ("each node has a boot of its own, and another one after a reboot", boot_ids),
    ("a node whose power fails does not say so, and forgets every connection", connections_forgotten),
];

const LOSES: Wrong = Wrong::Lose(Loss::All);

fn stage(nodes: usize, disks: &[Wrong]) -> Stage {
    Stage::on(&enter().expect("entering"), &Options { disks: disks.to_vec(), ..options(nodes, &folder()) })
}

fn wrong(index: usize, wrong: Wrong) -> Change {
    Change::Disk { node: Node(index), wrong }
}

const BOOT: &str = "/proc/sys/kernel/random/boot_id";

fn boot(stage: &Stage, index: usize) -> String {
    let told = stage.ask(index, &format!("read {BOOT}"));
    let groups = told.strip_suffix(';').expect("a line");
    assert_eq!(groups.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{told}");
    groups.to_owned()
}

fn boot_ids() {
    let strike = Wrong::Strike(Strike { call: Call::Sync, nth: 1, done: false, files: Pattern::ALL });
    let mut stage = stage(2, &[LOSES, strike]);
    let machine = || fs::read_to_string(BOOT).expect("the kernel tells").trim_end().to_owned();
    let (first, of_machine) = ([boot(&stage, 0), boot(&stage, 1)], machine());
    let mut seen = BTreeSet::from([of_machine.clone(), first[0].clone(), first[1].clone()]);
    assert_eq!(seen.len(), 3, "each its own: {seen:?}");
    stage.apply(&[run(0, Run::Down)]);
    stage.apply(&[]);
    assert_eq!(boot(&stage, 0), first[0], "a kill is no reboot");
    for _ in 0..2 {
        stage.apply(&[run(0, Run::Down), wrong(0, LOSES)]);
        stage.apply(&[]);
        assert!(seen.insert(boot(&stage, 0)), "another one");
    }
    // In the middle of a call, too.
    stage.apply(&[wrong(0, LOSES), wrong(0, strike)]);
    assert_eq!(stage.ask(0, "put file 1"), "done");
    stage.connect(0).send("fsync file");
    until("it goes down", || stage.sandbox.observe().expect("observing").disks[0].strikes == 1);
    assert!(seen.insert(boot(&stage, 0)), "another one");
    stage.apply(&[]);
    assert_eq!((boot(&stage, 1), machine()), (first[1].clone(), of_machine), "nobody else's");
    let refused = stage.ask(0, &format!("write {BOOT}"));
    assert_ne!(refused, "written", "it is not the node's to change");
    assert!(stage.sandbox.deaths().is_empty());
}

/// A node's connections by their states, as the kernel has them: listeners left out.
fn states(stage: &Stage, index: usize) -> Vec<String> {
    let table = stage.ask(index, "read /proc/net/tcp");
    let state = |line: &str| line.split_whitespace().nth(3).map(str::to_owned);
    let mut all: Vec<String> = table.split(';').skip(1).filter_map(state).filter(|one| one != "0A").collect();
    all.sort();
    all
}

fn connections_forgotten() {
    let mut stage = stage(2, &[LOSES]);
    // Where a process is killed, its machine ends its connections in order: the other end hears of it at once, and all that
    // was still to be sent is sent first.
    let mut idle = stage.connect(0);
    idle.ask("echo here");
    stage.apply(&[run(0, Run::Down)]);
    assert_eq!(idle.try_hear().expect_err("it is told").kind(), ErrorKind::UnexpectedEof);
    stage.apply(&[]);

    let mut idle = stage.connect(0);
    idle.ask("echo here");
    // More than the buffer of somebody holds who does not read it.
    let mut deaf = stage.connect(0);
    deaf.send(&format!("echo {}", "x".repeat(1 << 20)));
    // One that the node ends first waits in its kernel for a while.
    assert!(stage.reaches(0, "n2", LONG));
    until("one waits for its end", || states(&stage, 0).contains(&"06".into()));
    stage.apply(&[run(0, Run::Down), wrong(0, LOSES)]);
    idle.patience(Duration::from_millis(300));
    assert_eq!(idle.try_hear().expect_err("nobody tells").kind(), ErrorKind::WouldBlock);
    assert!(stage.try_connect(0, Duration::from_millis(300)).is_err(), "nobody is there");
    stage.apply(&[]);
    assert_eq!(states(&stage, 0), ["01"], "there is none but that of who asks");
    // Who was connected learns of it when it says something.
    idle.patience(LONG);
    let error = idle.try_ask("echo again").expect_err("nobody knows of it");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    assert!(stage.reaches(0, "n2", LONG) && stage.reaches(1, "n1", LONG), "both ways");
}
