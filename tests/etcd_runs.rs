//! etcd in the sandbox and in Docker, by the plans in `targets/plans/etcd`: what it promises it keeps, and what it does not
//! promise is found, in both. Needs the `etcd` program, and an engine with an image of it; finds what our client or judge gets
//! wrong about a store that others have judged.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::binary::{alone, file, folder, run, sandboxes, skipped};
use crate::docker_runs::{self, docker};

/// Carries out a plan that ships with Schism, which says itself what it expects, in both backends at once: neither is busy
/// most of the time.
fn as_expected(plan: &str, code: i32, verdict: &str) {
    let here = etcd(plan) && sandboxes(plan);
    let in_docker = docker(&format!("{plan} in docker"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../targets/plans/etcd/{plan}.toml"));
    let _alone = alone();
    std::thread::scope(|scope| {
        if in_docker {
            scope.spawn(|| docker_runs::etcd(&path, code, verdict));
        }
        if here {
            in_sandbox(&path, code, verdict);
        }
    });
}

fn in_sandbox(plan: &Path, code: i32, verdict: &str) {
    let folder = folder();
    let path = plan.to_str().expect("the path is text");
    let ended = run(folder.path(), &["run", path, "--out", "a"]).expect(code).prints(verdict);
    ended.says("as the plan expects");
    let recorded = fs::read_to_string(folder.path().join("a/plan.toml")).expect("a run leaves plan.toml");
    assert!(recorded.contains("it says of itself: etcd Version: 3."), "{recorded}");
    let text = fs::read_to_string(folder.path().join("a/verdict.json")).expect("a run leaves verdict.json");
    let found: Value = serde_json::from_str(&text).expect("verdict.json is JSON");
    let faults = found["measured"]["faults"].as_array().expect("faults are measured");
    let planned = recorded.contains("[[nemesis]]") && !recorded.contains("name = \"none\"");
    assert_eq!(planned, !faults.is_empty(), "{faults:?}");
    assert!(faults.iter().all(|totals| totals["bit"] == totals["windows"]), "{faults:?}");
}

/// Whether there is an etcd here. Where not, the test is skipped by name, and in CI that is a failure.
fn etcd(test: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search).any(|folder| folder.join("etcd").is_file())
        || skipped(test, "there is no etcd here: `apt-get install etcd-server`")
}

#[test]
fn registers_are_linearizable_whatever_is_cut_killed_or_paused() {
    as_expected("register", 0, "VALID");
}

#[test]
fn serializable_reads_are_found_to_be_stale() {
    as_expected("serializable", 1, "stale read");
}

#[test]
fn no_acknowledged_element_is_missing() {
    as_expected("set", 0, "VALID");
}

#[test]
fn without_fencing_a_sleeper_breaks_mutual_exclusion() {
    as_expected("lock-unfenced", 1, "stale token accepted");
}

#[test]
fn with_fencing_nobody_late_is_let_in() {
    as_expected("lock-fenced", 0, "VALID");
}

#[test]
fn watchers_are_told_everything_once_and_in_order() {
    as_expected("watch", 0, "VALID");
}

#[test]
fn registers_stay_linearizable_while_members_come_and_go() {
    as_expected("membership", 0, "VALID");
}

#[test]
fn three_can_replace_their_leader() {
    as_expected("membership-three", 0, "VALID");
}

/// Only a target that can do it is asked to.
#[test]
fn a_target_whose_members_are_fixed_is_refused() {
    let folder = folder();
    run(folder.path(), &["run", "--target", "raft", "--nemesis", "membership"])
        .expect(64)
        .says("target `raft` cannot change its members while it runs")
        .says("targets for it: `etcd`");
}

/// Every plan there is has its test here.
#[test]
fn no_plan_is_forgotten() {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../targets/plans/etcd");
    let mut names: Vec<_> = fs::read_dir(plans)
        .expect("the plans are there")
        .map(|entry| entry.expect("the entry is readable").file_name())
        .collect();
    names.sort();
    let tested = [
        "lock-fenced.toml",
        "lock-unfenced.toml",
        "membership-three.toml",
        "membership.toml",
        "register.toml",
        "serializable.toml",
        "set.toml",
        "watch.toml",
    ];
    assert_eq!(names, tested);
}

/// Without the program nothing is started, not even a folder, and both remedies are told.
#[test]
fn without_the_program_nothing_starts() {
    let folder = folder();
    let words = ["run", "--target", "etcd", "--set", "target.program=/nowhere/etcd", "--out", "a"];
    run(folder.path(), &words)
        .expect(3)
        .says("there is no program `/nowhere/etcd`")
        .says("apt-get install etcd-server")
        .says("target.program=");
    assert!(!folder.path().join("a").exists(), "nothing was begun");
}

/// A program that is not etcd: the node's last words are shown.
#[test]
fn a_program_that_is_not_etcd_is_shown_with_what_it_said() {
    if !sandboxes("not etcd") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let words = ["run", "--target", "etcd", "--set", "target.program=/bin/ls", "--out", "a"];
    run(folder.path(), &words).expect(3).says("did not start").says("unrecognized option");
}

/// What a setting may be is known before anything starts, and where it stands.
#[test]
fn a_setting_that_means_nothing_is_pointed_at() {
    let folder = folder();
    let plan = "[target]\nname = \"etcd\"\nreads = \"serialisable\"\n[workload]\nname = \"register\"\n";
    file(folder.path(), "plan.toml", plan);
    run(folder.path(), &["run", "plan.toml"]).expect(64).says("plan.toml:3:").says("serializable");
}
