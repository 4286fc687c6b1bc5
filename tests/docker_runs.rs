//! Real clusters in Docker: the same plans and verdicts as in the sandbox, faults that end by themselves when the controller is
//! killed, and a host that is as it was. Needs a Docker engine, and for etcd an image (`schism images build etcd`).
//! What it cannot show: an engine on another machine; published ports are tried with the one here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::{Ended, alone, folder, run, schism, skipped, start, wait_until};
use crate::engine_between::Between;

/// Whether there is an engine here, with an image of etcd. Where not, the test is skipped by name, and in CI that is a failure.
pub fn docker(test: &str) -> bool {
    let listed = run(Path::new("."), &["images", "list"]);
    if listed.code != Some(0) {
        return skipped(test, &format!("no docker engine here: {}", listed.err));
    }
    listed.out.lines().any(|line| line.starts_with("etcd") && line.ends_with("at hand"))
        || skipped(test, "no image of etcd here: `schism images build etcd`")
}

/// What the engine says to a command of its own client.
fn engine(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).output().expect("the engine's client is there");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything in the engine that carries our labels.
pub fn ours() -> Vec<String> {
    let label = "--filter=label=schism.run";
    let lists = [
        engine(&["ps", "-aq", label]),
        engine(&["volume", "ls", "-q", label]),
        engine(&["network", "ls", "-q", label]),
    ];
    lists.iter().flat_map(|list| list.lines()).map(str::to_owned).collect()
}

/// The words of a command line; none of ours has a blank in it.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Three nodes of etcd in Docker.
const ETCD: &str = "--target etcd --backend docker --nodes 3";

fn verdict(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("verdict.json")).expect("a run leaves verdict.json");
    serde_json::from_str(&text).expect("verdict.json is JSON")
}

/// There were faults of each kind, and every one of them had a measured effect.
pub fn all_faults_bit(folder: &Path, kinds: &[&str]) {
    let verdict = verdict(folder);
    let faults = verdict["measured"]["faults"].as_array().expect("faults are measured");
    for kind in kinds {
        let totals = faults.iter().find(|totals| totals["fault"] == **kind).expect("each kind happened");
        assert!(totals["windows"].as_u64() > Some(0) && totals["bit"] == totals["windows"], "{totals}");
    }
}

/// What of the host a run must not change: its firewall but for what the engine does for its own bridges, its routes, its
/// interfaces.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    rules: Vec<String>,
    routes: String,
    interfaces: Vec<String>,
}

impl Host {
    fn now() -> Self {
        let said = |program: &str, words: &[&str]| {
            let output = Command::new(program).args(words).output().expect("the program is there");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let rules =
            [said("nft", &["list", "ruleset"]), said("iptables-save", &[]), said("ip6tables-save", &[])];
        // Counters and the time of the listing change by themselves.
        let bare = |line: &str| {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            while let Some(at) = words.iter().position(|word| *word == "counter") {
                words.drain(at..words.len().min(at + 5));
            }
            words.retain(|word| !word.starts_with('['));
            words.join(" ")
        };
        let lines = rules.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#'));
        let entries = fs::read_dir("/sys/class/net").expect("it can be read");
        let mut interfaces: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        interfaces.sort();
        Host { rules: lines.map(bare).collect(), routes: said("ip", &["route"]), interfaces }
    }

    /// It is as it was, once the engine has done what it does after it has answered.
    #[track_caller]
    fn is_again(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Host::now() != *self && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(Host::now(), *self, "the host is as it was");
    }
}

/// How far the host's clock is from its time since boot.
fn clock_offset_ms() -> i128 {
    let boot_ms = || {
        let mut boot = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `boot` is a live timespec.
        assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut boot) }, 0);
        i128::from(boot.tv_sec) * 1000 + i128::from(boot.tv_nsec) / 1_000_000
    };
    // Looked at in between, and again if this process had to wait for its turn there.
    loop {
        let before = boot_ms();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        if boot_ms() - before < 100 {
            return now.as_millis() as i128 - before;
        }
    }
}

/// Nobody has set the host's clock; small corrections are not ours.
#[track_caller]
fn the_clock_was_not_set(offset_before_ms: i128) {
    assert!((clock_offset_ms() - offset_before_ms).abs() < 500, "the host's clock was set");
}

/// The power fails, also in the middle of an fsync, and what was not fsynced is gone: no store of these minds. Etcd's image has nothing of
/// ours.
#[test]
fn stores_in_docker_bear_a_reboot() {
    if !docker("reboots in docker") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let nemesis = "reboot:every=8s:lasts=2s:who=all,reboot:every=8s:lasts=2s:at=fsync:nth=3";
    for (out, target) in [("a", "--backend docker --nodes 3 --capture"), ("b", ETCD)] {
        let line = format!(
            "run {target} --time-limit 24s --seed 7 --nemesis {nemesis} --broken-max any --out {out}"
        );
        let ended =
            run(folder.path(), &words(&line)).expect(0).prints("VALID").says("monotonic clocks go on");
        all_faults_bit(&folder.path().join(out), &["reboot"]);
        if out == "a" {
            ended.says("packets in capture.pcapng");
        }
    }
    assert_eq!(ours(), [""; 0], "nothing is left in the engine");
}

#[test]
fn the_bundled_store_keeps_its_promise_in_docker_and_the_host_is_as_it_was() {
    if !docker("raft in docker") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let (before, clock) = (Host::now(), clock_offset_ms());
    let nemesis = "partition:every=6s:lasts=3s,kill:every=8s:lasts=3s,pause:every=8s:lasts=2s";
    let line = format!("run --backend docker --time-limit 20s --seed 7 --nemesis {nemesis} --out a");
    run(folder.path(), &words(&line)).expect(0).prints("VALID");
    before.is_again();
    the_clock_was_not_set(clock);
    all_faults_bit(&folder.path().join("a"), &["partition", "kill", "pause"]);
    assert_eq!(ours(), [""; 0], "nothing is left in the engine");
    for node in 1..=5 {
        let log = fs::read_to_string(folder.path().join(format!("a/nodes/n{node}/node.log")));
        assert!(log.is_ok_and(|log| log.contains(&format!("n{node}, start 1"))), "n{node} has a log");
    }
    run(folder.path(), &["check", "a"]).expect(0).prints("VALID");
}

/// A plan of etcd's, as it is carried out in the sandbox too.
pub fn etcd(plan: &Path, code: i32, says: &str) {
    let folder = folder();
    let path = plan.to_str().expect("the path is text");
    let (before, clock) = (Host::now(), clock_offset_ms());
    let words = ["run", path, "--backend", "docker", "--out", "a"];
    run(folder.path(), &words).expect(code).prints(says).says("as the plan expects");
    before.is_again();
    the_clock_was_not_set(clock);
    let verdict = verdict(&folder.path().join("a"));
    let faults = verdict["measured"]["faults"].as_array().expect("faults are measured");
    let recorded = fs::read_to_string(folder.path().join("a/plan.toml")).expect("a run leaves plan.toml");
    assert_eq!(faults.is_empty(), !recorded.contains("[[nemesis]]") || recorded.contains("name = \"none\""));
    assert!(faults.iter().all(|totals| totals["bit"] == totals["windows"]), "{faults:?}");
    for words in [
        "backend = \"docker\"",
        "image = ",
        "sha256:",
        "etcd Version: 3",
        "\n# links are cut by a table of nftables",
    ] {
        assert!(recorded.contains(words), "{words:?} is not in\n{recorded}");
    }
    let mechanisms = &verdict["mechanisms"];
    assert!(mechanisms[0].as_str().is_some_and(|how| how.starts_with("links are cut by")), "{mechanisms}");
    assert_eq!(ours(), [""; 0], "nothing is left in the engine");
}

/// A random number, of which the seed is printed: the same seed gives the same again.
fn moments(count: usize) -> Vec<Duration> {
    use std::hash::{BuildHasher, Hasher};
    let seed = std::env::var("SCHISM_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut state: u64 = seed.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish());
    println!("moments of SCHISM_SEED={state}");
    let mut next = || {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..count).map(|_| Duration::from_millis(next() % 9_000)).collect()
}

/// The faults that can be seen from inside a node: rules of ours in its network, and processes that are stopped.
fn faults(container: &str) -> Vec<String> {
    let pid = engine(&["inspect", "--format={{.State.Pid}}", container]);
    let pid = pid.trim();
    if pid.is_empty() || pid == "0" {
        return Vec::new();
    }
    let rules = Command::new("nsenter").args(["-t", pid, "-n", "nft", "list", "tables"]).output();
    let rules = String::from_utf8_lossy(&rules.expect("nsenter is there").stdout).into_owned();
    let mut found: Vec<String> =
        rules.lines().filter(|line| line.contains("schism-")).map(str::to_owned).collect();
    let processes = engine(&["top", container, "-eo", "stat,args"]);
    found.extend(processes.lines().filter(|line| line.starts_with('T')).map(str::to_owned));
    found
}

/// `kill -9` of the controller at ten random moments of a run of etcd: within five seconds no fault is in force any more, a
/// clean removes the rest, and the next run is as if nothing had been.
#[test]
fn killed_at_any_moment_its_faults_end_and_a_clean_removes_the_rest() {
    if !docker("kill -9 in docker") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let (before, clock) = (Host::now(), clock_offset_ms());
    let (mut seen, mut cleaned) = (0, 0);
    for (round, moment) in moments(10).into_iter().enumerate() {
        let out = format!("run{round}");
        let nemesis = "partition:every=1500ms:lasts=1s,pause:every=1500ms:lasts=1s,kill:every=3s:lasts=1s";
        let line = format!("run {ETCD} --time-limit 30s --nemesis {nemesis} --out {out}");
        let mut child = start(folder.path(), &words(&line));
        std::thread::sleep(moment);
        if round == 9 {
            // However long the others took to get there, this one has faults in force.
            let history = folder.path().join(&out).join("history.jsonl");
            let faulty =
                || fs::read_to_string(&history).is_ok_and(|text| text.contains("\"edge\":\"begin\""));
            wait_until("a fault has begun", faulty);
        }
        let left = || -> Vec<String> {
            engine(&["ps", "-q", "--filter=label=schism.kind=sidecar"]).lines().flat_map(faults).collect()
        };
        seen += left().len();
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        let killed = Instant::now();
        // A look takes its time on a busy machine: what counts is when it began.
        let mut looked = killed.elapsed();
        let mut in_force = left();
        while !in_force.is_empty() && looked < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(50));
            looked = killed.elapsed();
            in_force = left();
        }
        assert!(in_force.is_empty(), "killed after {moment:?}, still in force after 5 s: {in_force:?}");
        // What was on its way to the engine when the controller died may still be made.
        wait_until("nothing is left", || {
            cleaned += usize::from(run(folder.path(), &["clean"]).expect(0).out.contains("removed run"));
            ours().is_empty()
        });
    }
    assert!(seen > 0, "what was looked for was there before a kill, and could be seen");
    assert!(cleaned > 0, "a run that was killed left something, and `clean` said that it removed it");
    before.is_again();
    the_clock_was_not_set(clock);
    run(folder.path(), &["clean"])
        .expect(0)
        .prints("nothing to clean: no killed run has left anything in docker");
    // Long enough for an election and calls after it on a busy machine, too.
    let early = "partition:schedule=periodic:every=12s:lasts=6s";
    let line = format!("run {ETCD} --time-limit 15s --nemesis {early} --out next");
    run(folder.path(), &words(&line)).expect(0).prints("VALID");
}

/// A run that is going on is left alone, and named.
#[test]
fn a_clean_leaves_a_live_run_alone() {
    if !docker("clean beside a live run") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let line = "run --backend docker --nodes 3 --time-limit 60s --nemesis none --out a \
                --set backend.memory=300MiB --set backend.cpus=0.5 --set backend.pids=300";
    let child = start(folder.path(), &words(line));
    let history = folder.path().join("a/history.jsonl");
    wait_until("the load has begun", || fs::read(&history).is_ok_and(|bytes| bytes.len() > 50_000));
    let there = ours();
    let told = |kind: &str, format: &str| {
        let containers = engine(&["ps", "-q", &format!("--filter=label=schism.kind={kind}")]);
        containers.lines().map(|one| engine(&["inspect", format, one])).collect::<Vec<_>>()
    };
    let limits = "--format={{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(told("node", limits), ["314572800 500000000 300\n"; 3]);
    let rights = "--format={{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}} {{.HostConfig.Privileged}}";
    assert_eq!(told("sidecar", rights), ["[NET_ADMIN] [ALL] false\n"; 3]);
    run(folder.path(), &["clean"]).expect(0).prints("left alone: run").prints("is still at it");
    assert_eq!(ours(), there, "everything is where it was");
    // SAFETY: a plain system call; the process is our child and has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    child.ended().expect(130);
    assert_eq!(ours(), [""; 0], "an interrupted run leaves nothing");
}

/// Runs against an engine that lies in one way, and must end with exit 3, these words, and nothing left.
fn against(test: &str, between: &Between, words: &[&str], says: &[&str]) {
    let folder = folder();
    let mut command = schism();
    command.current_dir(folder.path()).env("DOCKER_HOST", between.host());
    let all = "run --backend docker --nodes 3 --time-limit 30s --seed 1 --out a";
    let ended: Ended = command.args(self::words(all)).args(words).output().expect("the binary starts").into();
    let ended = says.iter().fold(ended.expect(3).says("hint:"), |ended, words| ended.says(words));
    assert!(!ended.out.contains("VALID"), "{test}: {}", ended.out);
    assert_eq!(ours(), [""; 0], "{test}: nothing is left in the engine");
}

#[test]
fn without_an_engine_the_next_step_is_told() {
    let folder = folder();
    let mut command = schism();
    command.current_dir(folder.path()).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let ended: Ended = command
        .args(["run", "--backend", "docker", "--out", "a"])
        .output()
        .expect("the binary starts")
        .into();
    ended.expect(3).says("there is no docker engine at unix:///nowhere/docker.sock").says("DOCKER_HOST");
    assert!(!folder.path().join("a").exists(), "nothing was begun");
}

#[test]
fn an_engine_that_is_too_old_is_told_apart() {
    let _alone = alone();
    if !docker("old engine") {
        return;
    }
    let old = Between::new(&[("\"ApiVersion\":\"1.", "\"ApiVersion\":\"0.")]);
    against("old engine", &old, &[], &["speaks API version \"0.", "update it"]);
}

#[test]
fn an_image_that_nobody_has_is_told_with_how_to_get_one() {
    let _alone = alone();
    if !docker("missing image") {
        return;
    }
    let engine = Between::new(&[]);
    let words = ["--target", "etcd", "--set", "target.image=127.0.0.1:1/none:none"];
    against(
        "missing image",
        &engine,
        &words,
        &["no image 127.0.0.1:1/none:none", "schism images build etcd"],
    );
}

/// The engine gives another capability than the one asked for.
#[test]
fn a_refused_capability_is_told() {
    let _alone = alone();
    if !docker("no NET_ADMIN") {
        return;
    }
    let refusing = Between::new(&[("NET_ADMIN", "MAC_ADMIN")]);
    against("no NET_ADMIN", &refusing, &[], &["NET_ADMIN"]);
}

/// An engine that gives sidecars other rights than they need: which faults that costs is told, and nothing else is doubted.
#[test]
fn a_doctor_tells_which_faults_an_engine_does_not_let_happen() {
    let _alone = alone();
    if !docker("doctor in docker") {
        return;
    }
    let works = |engine: &Between| -> BTreeMap<String, bool> {
        let mut command = schism();
        command.env("DOCKER_HOST", engine.host()).args(["doctor", "docker", "--json"]);
        let ended: Ended = command.output().expect("the binary starts").into();
        let told: Value = serde_json::from_str(&ended.expect(0).out).expect("it is JSON");
        let faults = told["faults"].as_array().expect("faults are told");
        let works = |row: &Value| Some((row["fault"].as_str()?.to_owned(), row["works"].as_bool()?));
        faults.iter().map(|row| works(row).expect("a fault, and whether it works")).collect()
    };
    let all = works(&Between::new(&[]));
    assert!(all.len() > 30 && all.values().all(|works| *works), "{all:?}");
    let refusing = Between::new(&[("SYS_PTRACE", "AUDIT_READ"), ("NET_RAW", "SETFCAP")]);
    let some = works(&refusing);
    for (faults, works) in [
        (&["partition", "partition:by=reset", "delay", "disconnect", "kill", "pause", "starve"][..], true),
        (&["partition:by=swallow", "pause:thread", "clock", "disk", "reboot"][..], false),
    ] {
        for fault in faults {
            assert_eq!(some.get(*fault), Some(&works), "{fault}: {some:?}");
        }
    }
    assert_eq!(ours(), [""; 0], "nothing is left in the engine");
}

/// Somebody has taken all of the addresses among which ours are chosen.
#[test]
fn a_network_that_is_always_taken_is_told() {
    let _alone = alone();
    if !docker("network taken") {
        return;
    }
    let name = format!("taken-by-{}", std::process::id());
    engine(&["network", "create", "--subnet=198.18.0.0/15", &name]);
    // Taken down again whatever comes of it.
    let told = std::panic::catch_unwind(|| {
        let engine = Between::new(&[]);
        against("network taken", &engine, &[], &["no network of 198.18.0.0/15 is free", "schism clean"]);
    });
    engine(&["network", "rm", &name]);
    told.expect("it was told");
}

/// A store that dies as soon as it is started is shown with its last words.
#[test]
fn a_container_that_dies_at_start_is_shown_with_what_it_said() {
    let _alone = alone();
    if !docker("dies at start") {
        return;
    }
    let engine = Between::new(&[]);
    let words = ["--set", "target.snapshot-every=0"];
    against("dies at start", &engine, &words, &["did not start", "snapshot-every"]);
}

/// The connection to the engine breaks in the middle of a run, for good as far as that connection goes.
#[test]
fn an_engine_that_goes_away_is_no_finding() {
    let _alone = alone();
    if !docker("engine goes away") {
        return;
    }
    let engine = Between::new(&[]);
    let breaker = engine.breaks_when(|| ours().len() > 8, Duration::from_secs(6));
    let words = ["--nemesis", "kill:every=2s:lasts=1s"];
    against("engine goes away", &engine, &words, &["docker engine"]);
    breaker.join().expect("it has broken the connections");
}
