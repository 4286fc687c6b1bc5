//! Faults that are aimed and scheduled: a plan's script happens as it is written, a mix shifts, and all faults together break no
//! more nodes than they may. As an ordinary user, on real clusters in the sandbox.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use schism_history::{FaultWindow, Time};

use crate::binary::{Ended, alone, folder, run, sandboxes, schism};

/// The plans that come with the project.
fn plan(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../targets/plans").join(name)
}

/// Runs a plan of the project, as an ordinary user where we are root, and gives its faults.
fn faults(folder: &Path, name: &str, words: &[&str]) -> Vec<FaultWindow> {
    let mut command = schism();
    command.current_dir(folder).arg("run").arg(plan(name)).args(words).args(["--out", "a"]);
    #[cfg(unix)]
    // SAFETY: a plain system call that cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        use std::os::unix::process::CommandExt;
        command.uid(65_534).gid(65_534);
    }
    let ended: Ended = command.output().expect("the binary starts").into();
    ended.expect(0).prints("VALID");
    let bytes = fs::read(folder.join("a/history.jsonl")).expect("a run leaves its history");
    schism_history::jsonl::read(&bytes[..]).expect("the history reads").history.faults
}

/// A pass of a plan whose script did not happen would be a pass of another plan: whoever asked for it is told which step, when
/// and why, on the terminal and in the history.
#[test]
fn a_step_that_may_not_happen_is_told() {
    if !sandboxes("left out") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let step = |at: &str, does: &str| format!("[[script]]\nat = {at:?}\ndo = {does:?}\nfor = \"2s\"\n");
    let text =
        "seed = 1\nnodes = 3\ntime-limit = \"8s\"\ntarget = \"raft\"\nworkload = \"register\"\n\n".to_owned();
    let text = text + &step("2s", "kill:who=leader") + &step("3s", "pause");
    fs::write(folder.path().join("plan.toml"), text).expect("a file can be written");
    let ended = run(folder.path(), &["run", "plan.toml", "--out", "a"]).expect(2);
    let why = "did not happen: with what was wrong already 2 nodes would have been broken, and `broken-max` allows 1";
    let lines: Vec<&str> = ended.out.split_whitespace().collect();
    assert!(lines.join(" ").contains(why), "not told on the terminal:\n{}", ended.out);
    let bytes = fs::read(folder.path().join("a/history.jsonl")).expect("a run leaves its history");
    let history = schism_history::jsonl::read(&bytes[..]).expect("the history reads").history;
    let names: Vec<&str> = history.faults.iter().map(|fault| fault.fault.as_str()).collect();
    assert_eq!(names, ["kill"]);
    let told: Vec<_> = history.notes.iter().filter(|(_, note)| note.text.contains(why)).collect();
    let [(time, note)] = told[..] else { panic!("one step, one note: {:?}", history.notes) };
    assert!(note.doubt && note.node.starts_with('n') && *time > history.faults[0].began, "{note:?}");
}

/// The times at which some nodes were struck, and which: down, stopped, or on the smaller side of a cut.
fn most_struck_at_once(faults: &[FaultWindow]) -> usize {
    let breaks = |fault: &&FaultWindow| ["partition", "kill", "pause"].contains(&fault.fault.as_str());
    let open = |fault: &FaultWindow, at: Time| fault.began <= at && fault.ended.is_none_or(|end| at < end);
    let struck = |at| -> BTreeSet<&String> {
        faults.iter().filter(breaks).filter(|fault| open(fault, at)).flat_map(|fault| &fault.nodes).collect()
    };
    faults.iter().map(|fault| struck(fault.began).len()).max().unwrap_or(0)
}

#[test]
fn a_script_happens_as_it_is_written() {
    if !sandboxes("script") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let faults = faults(folder.path(), "raft/script.toml", &[]);
    let names: Vec<&str> = faults.iter().map(|fault| fault.fault.as_str()).collect();
    assert_eq!(names, ["partition", "pause", "partition", "kill"]);
    let [leader, follower, halves, kill] = &faults[..] else { panic!("four, as was just seen") };
    assert!(leader.detail.starts_with("leader "), "{leader:?}");
    assert_ne!(leader.nodes, follower.nodes);
    assert!(follower.began < leader.ended.expect("it ended"), "two at once");
    assert!(kill.began < halves.ended.expect("it ended"), "two at once");
    assert!(halves.nodes.contains(&kill.nodes[0]), "only who is cut off already may be killed: {kill:?}");
    assert!(faults.iter().all(|fault| fault.effect.as_ref().is_some_and(|effect| effect.bit)), "{faults:?}");
}

#[test]
fn what_else_can_happen_to_nodes_is_felt_and_survived() {
    if !sandboxes("nodes") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let faults = faults(folder.path(), "raft/nodes.toml", &[]);
    let names: Vec<&str> = faults.iter().map(|fault| fault.fault.as_str()).collect();
    assert_eq!(names, ["kill", "pause", "memory", "files", "disconnect", "rolling"]);
    assert!(faults.iter().all(|fault| fault.effect.as_ref().is_some_and(|effect| effect.bit)), "{faults:?}");
}

#[test]
fn what_can_happen_to_disks_is_felt_and_survived() {
    if !sandboxes("disks") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let faults = faults(folder.path(), "raft/disks.toml", &[]);
    let names: Vec<&str> = faults.iter().map(|fault| fault.fault.as_str()).collect();
    let wanted = ["reboot", "reboot", "disk", "disk", "disk", "disk", "disk", "disk", "reboot"];
    assert_eq!(names, wanted);
    assert!(faults.iter().all(|fault| fault.effect.as_ref().is_some_and(|effect| effect.bit)), "{faults:?}");
}

/// What a lie about an fsync does is seen when the power fails, and then it is: a store without a bug loses what it acknowledged.
#[test]
fn no_store_bears_disks_that_lie() {
    if !sandboxes("lying disks") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let path = plan("raft/lying-disks.toml");
    let path = path.to_str().expect("it is text");
    run(folder.path(), &["run", path, "--out", "a"]).expect(1).prints("INVALID").prints("lost element");
}

/// A denser mix than the plan's own, whose faults meet in nearly every quarter: without a limit it breaks three. The rest of it is
/// tested as a pure function.
#[test]
fn a_mix_breaks_no_more_than_a_minority_at_once() {
    if !sandboxes("mix") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let words = "partition:shape=halves,kill,pause:who=follower";
    let each = words.split(',').map(|one| format!("{one}:schedule=mix:every=1100ms:lasts=1s"));
    let each = each.collect::<Vec<_>>().join(",");
    let faults = faults(folder.path(), "raft/mix.toml", &["--time-limit", "20s", "--nemesis", &each]);
    let kinds: BTreeSet<&str> = faults.iter().map(|fault| fault.fault.as_str()).collect();
    assert_eq!(kinds, ["kill", "partition", "pause"].into());
    let most = most_struck_at_once(&faults);
    assert!((1..=2).contains(&most), "{most} nodes of five were broken at once: {faults:#?}");
}
