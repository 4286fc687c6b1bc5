//! How nodes are found to be ready, in both backends: each kind of probe lets a run begin, and one that never succeeds is
//! told with the node's last words. Cannot show that a probe is a good one: that is its author's.

use std::path::Path;

use crate::binary::{Ended, alone, folder, run, sandboxes};
use crate::docker_runs::{docker, ours};

/// A short run without faults.
fn begins(words: &str, ready: &str) -> Ended {
    let folder = folder();
    let ready = format!("backend.ready={ready}");
    let line = "run --nemesis none --nodes 3 --time-limit 3s --seed 1 --out a";
    let words: Vec<&str> =
        line.split_whitespace().chain(words.split_whitespace()).chain(["--set", &ready]).collect();
    let ended = run(folder.path(), &words);
    assert!(Path::new(folder.path()).join("a/nodes/n1/node.log").exists(), "n1 has a log");
    ended
}

#[test]
fn nodes_in_docker_are_ready_when_a_probe_says_so() {
    if !docker("readiness in docker") {
        return;
    }
    let _alone = alone();
    for ready in [
        "http:2379/health",
        "tcp:2379",
        "log:published local member",
        "command:test -d /schism-data/etcd/member",
    ] {
        begins("--backend docker --target etcd", ready).expect(0).prints("VALID");
    }
}

#[test]
fn nodes_in_docker_that_are_never_ready_are_told_with_their_last_words() {
    if !docker("no readiness in docker") {
        return;
    }
    let _alone = alone();
    for (ready, why) in [
        ("http:2379/nowhere", "404"),
        ("tcp:9", "tcp port 9"),
        ("log:no store says this", "is not in its log"),
        ("command:test -e /nowhere", "test: exit status 1"),
        ("command:/no/such/program", "/no/such/program"),
    ] {
        let ended = begins("--backend docker --target etcd --start-limit 8s", ready).expect(3);
        ended.says("is not ready after 8 s").says(why).says("\"msg\":");
        assert_eq!(ours(), [""; 0], "nothing is left in the engine");
    }
}

#[test]
fn nodes_in_the_sandbox_are_ready_when_a_probe_says_so() {
    if !sandboxes("readiness in the sandbox") {
        return;
    }
    let _alone = alone();
    for ready in ["http:8080/status", "log:leader", "command:test $NODE_ADDRESS"] {
        begins("", ready).expect(0).prints("VALID");
    }
}
