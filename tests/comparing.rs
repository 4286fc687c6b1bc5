//! `schism compare` as its users run it: two targets side by side, one that does not start, and a comparison that is killed
//! in the middle and goes on.

use std::fs;
use std::path::Path;

use crate::binary::{alone, file, folder, run, sandboxes, start, wait_until};

/// Two targets, one of them stale by design while a node is cut off.
const PLAN: &str = r#"
about = "a leader that answers, and anybody who answers"
nodes = 3
time-limit = "5s"
rate = 200
concurrency = 6
start-limit = "60s"

[[target]]
label = "leader"
textbook = "PC/EC"
name = "primary"

[[target]]
label = "anybody"
textbook = "PA/EL"
name = "primary"
reads = "any"

[[workload]]
name = "read-write"
keys = 2
clients-per-key = 6
settle-ms = 700

[[case]]
label = "one cut off"
nemesis = [{ name = "partition", shape = "one", schedule = "periodic", every = "9s", lasts = "3s" }]
"#;

/// The same with a target that cannot start before the others.
fn with_one_missing() -> String {
    let missing =
        "[[target]]\nlabel = \"missing\"\nname = \"etcd\"\nprogram = \"/nowhere/etcd\"\n\n[[target]]";
    PLAN.replacen("[[target]]", missing, 1)
}

fn cells(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder.join("cells"))
        .map(|cells| cells.map(|cell| cell.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// One of three targets does not start: its run fails alone, the others stand beside one another, and the worst decides.
/// Shown again, nothing is run again but what failed.
#[test]
fn targets_stand_beside_one_another_and_one_that_does_not_start_fails_alone() {
    if !sandboxes("compare") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    file(folder.path(), "c.toml", &with_one_missing());
    let ended = run(folder.path(), &["compare", "c.toml", "--out", "a"]).expect(1);
    let ended = ended.says("/nowhere/etcd").prints("linearizable").prints("why not stronger");
    ended.prints("1 run without a verdict");
    let a = folder.path().join("a");
    for name in ["comparison.html", "comparison.md", "comparison.json", "compare.toml"] {
        assert!(a.join(name).is_file(), "a comparison leaves {name}");
    }
    let json = fs::read_to_string(a.join("comparison.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let by_name = |name: &str| {
        let rows = json["targets"].as_array().unwrap();
        rows.iter().find(|row| row["target"] == name).cloned().expect("every target has a row")
    };
    assert_eq!(by_name("leader")["standing"]["keeps"], "linearizable", "{json:#}");
    let anybody = by_name("anybody");
    assert!(anybody["levels"]["linearizable"]["broken"].as_u64() > Some(0), "{anybody:#}");
    assert!(anybody["ruled_out"]["sentences"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(by_name("missing")["standing"]["keeps"], serde_json::Value::Null);
    assert_eq!(cells(&a).len(), 2, "every other run has a folder");

    let verdict = a.join("cells").join(&cells(&a)[0]).join("verdict.json");
    let before = fs::metadata(&verdict).unwrap().modified().unwrap();
    run(folder.path(), &["compare", "a"]).expect(1).says("3 runs, 2 of them done");
    assert_eq!(fs::metadata(&verdict).unwrap().modified().unwrap(), before, "what is done is not done again");
    // It confirms itself, as far as anything is known.
    run(folder.path(), &["compare", "a", "--confirm", "a"]).expect(2).says("\nconfirmed").says("unknown");
    file(folder.path(), "other.toml", PLAN);
    run(folder.path(), &["compare", "other.toml", "--out", "a"]).expect(64).says("another plan");
    run(folder.path(), &["compare", "other.toml", "--out", "b", "--confirm", "a"])
        .expect(64)
        .says("another plan");
    assert!(!folder.path().join("b/cells").exists(), "nothing was begun");
}

/// Killed without warning in its second run: the first one is not made again, the second one is, and what it had left is
/// kept.
#[test]
fn a_comparison_that_is_killed_goes_on_where_it_stopped() {
    if !sandboxes("compare killed") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    file(folder.path(), "c.toml", PLAN);
    let a = folder.path().join("a");
    let mut child = start(folder.path(), &["compare", "c.toml", "--out", "a", "--jobs", "1"]);
    let second = |a: &Path| cells(a).get(1).map(|name| a.join("cells").join(name).join("history.jsonl"));
    wait_until("the second run has a history", || {
        second(&a).and_then(|path| fs::metadata(path).ok()).is_some_and(|meta| meta.len() > 10_000)
    });
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let first = a.join("cells").join(&cells(&a)[0]).join("verdict.json");
    let before = fs::metadata(&first).expect("the first run is finished").modified().unwrap();

    run(folder.path(), &["compare", "c.toml", "--out", "a"])
        .expect(1)
        .says("2 runs, 1 of them done")
        .prints("linearizable");
    assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), before);
    let aside = fs::read_dir(a.join("unfinished")).expect("what was not finished is kept").count();
    assert_eq!((cells(&a).len(), aside), (2, 1));
}

/// Ctrl-C while two runs go at once: both are told, neither counts, and both are made again.
#[test]
fn all_runs_that_go_stop_with_the_comparison() {
    if !sandboxes("compare interrupted") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    file(folder.path(), "c.toml", PLAN);
    let a = folder.path().join("a");
    let mut child = start(folder.path(), &["compare", "c.toml", "--out", "a", "--jobs", "2"]);
    let going = |name: &String| {
        let history = fs::metadata(a.join("cells").join(name).join("history.jsonl"));
        history.is_ok_and(|meta| meta.len() > 10_000)
    };
    wait_until("both runs have a history", || cells(&a).iter().filter(|name| going(name)).count() == 2);
    // SAFETY: a plain system call, to a child that is not waited for yet.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    assert_eq!(child.wait().expect("it ends").code(), Some(130));

    run(folder.path(), &["compare", "a"]).expect(1).says("2 runs, 0 of them done").prints("linearizable");
    assert_eq!(fs::read_dir(a.join("unfinished")).expect("what was not finished is kept").count(), 2);
}

#[test]
fn mistakes_are_told_with_their_places_before_anything_runs() {
    let folder = folder();
    let wrong =
        PLAN.replace("reads = \"any\"", "reads = \"anyone\"").replace("shape = \"one\"", "shape = \"two\"");
    file(folder.path(), "c.toml", &wrong);
    run(folder.path(), &["compare", "c.toml"])
        .expect(64)
        .says("c.toml:18:9")
        .says("c.toml:28:")
        .says("2 mistakes");
    let quorum = "[[target]]\nname = \"quorum\"\nn = 3\nr = 4\n\n[[workload]]\nname = \"read-write\"\n";
    file(folder.path(), "q.toml", quorum);
    run(folder.path(), &["compare", "q.toml"]).expect(64).says("q.toml:1:1").says("r = 4 of n = 3");
    run(folder.path(), &["compare", "quorumz"]).expect(64).says("quorums");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing was started");
}
