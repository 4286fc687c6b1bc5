//! Real clusters in the sandbox: five processes, real sockets and disks, real faults. A correct store is valid, each
//! planted bug is found, and nothing is left behind, whatever happens to the controller.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::binary::{Ended, alone, file, folder, run, sandboxes, schism, start, wait_until};
use serde_json::Value;

fn verdict(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("verdict.json")).expect("a run leaves verdict.json");
    serde_json::from_str(&text).expect("verdict.json is JSON")
}

/// All faults of a run had an effect, and there were some of each kind.
fn all_faults_bit(folder: &Path, kinds: &[&str]) {
    let verdict = verdict(folder);
    let faults = verdict["measured"]["faults"].as_array().expect("faults are measured");
    for kind in kinds {
        let totals = faults.iter().find(|totals| totals["fault"] == **kind).expect("each kind happened");
        assert!(totals["windows"].as_u64() > Some(0) && totals["bit"] == totals["windows"], "{totals}");
    }
}

fn leaves_everything(folder: &Path) {
    for name in [
        "plan.toml",
        "history.jsonl",
        "verdict.json",
        "report.html",
        "nodes/n1/node.log",
        "nodes/n5/node.log",
    ] {
        assert!(folder.join(name).is_file(), "a run leaves {name}");
    }
}

#[test]
fn the_default_run_is_valid_and_its_plan_and_history_can_be_used_again() {
    if !sandboxes("default run") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let before = Host::now();
    run(folder.path(), &["run", "--time-limit", "20s", "--seed", "7", "--out", "a"])
        .expect(0)
        .prints("VALID");
    assert_eq!(Host::now(), before, "the host is as it was");
    leaves_everything(&folder.path().join("a"));
    all_faults_bit(&folder.path().join("a"), &["partition", "kill"]);
    run(folder.path(), &["check", "a"]).expect(0).prints("VALID");
    run(folder.path(), &["run", "a/plan.toml", "--time-limit", "9s", "--out", "b"]).expect(0);
    run(folder.path(), &["run", "--out", "a"]).expect(3).says("not empty");
}

/// As an ordinary user the kernel gives namespaces too, where it allows that at all, and shows packets and lets them be forged.
#[test]
fn an_ordinary_user_runs_it_too() {
    if !sandboxes("ordinary user") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let mut command = schism();
    command.current_dir(folder.path());
    command.args([
        "run",
        "--time-limit",
        "20s",
        "--seed",
        "11",
        "--nemesis",
        "partition,partition:by=swallow,kill,pause",
        "--capture",
        "--out",
        "a",
    ]);
    #[cfg(unix)]
    // SAFETY: a plain system call that cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        use std::os::unix::process::CommandExt;
        command.uid(65_534).gid(65_534);
    }
    let ended: Ended = command.output().expect("the binary starts").into();
    ended.expect(0).prints("VALID").prints("packets swallowed, ").says("packets in capture.pcapng");
    all_faults_bit(&folder.path().join("a"), &["partition", "kill", "pause"]);
    let capture = fs::read(folder.path().join("a/capture.pcapng")).expect("there is a capture");
    for comment in ["lost, by partition (drop)", "swallowed, and acknowledged"] {
        let comment = format!("schism: {comment}").into_bytes();
        assert!(capture.windows(comment.len()).any(|part| part == comment), "faults are told of");
    }
}

/// The set workload, three nodes, several faults at once.
#[test]
fn a_set_on_three_nodes_is_valid() {
    if !sandboxes("set on three nodes") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let nemesis = "partition:shape=leader:every=4s:lasts=2s,pause:every=5s:lasts=1s";
    let words = [
        "run",
        "--workload",
        "set",
        "--nodes",
        "3",
        "--seed",
        "3",
        "--time-limit",
        "12s",
        "--nemesis",
        nemesis,
    ];
    run(folder.path(), &words).expect(0).prints("set");
}

/// The kernel's traffic control in place of the packet queue: what it can do is done, recorded and proven; what it cannot is
/// refused.
#[test]
fn links_are_slow_by_tc_where_that_is_asked_for() {
    if !sandboxes("links by tc") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let by_tc = |nemesis: &str, out: &str| {
        let line = format!(
            "run --nodes 3 --seed 2 --time-limit 10s --nemesis {nemesis}:every=4s:lasts=2s \
             --set backend.shaping=tc --out {out}"
        );
        run(folder.path(), &line.split_whitespace().collect::<Vec<_>>())
    };
    by_tc("rate:rate=100kbit", "a").expect(0).prints("VALID");
    all_faults_bit(&folder.path().join("a"), &["rate"]);
    let how = "links are shaped by tc, by htb";
    let plan = fs::read_to_string(folder.path().join("a/plan.toml")).expect("a run leaves plan.toml");
    assert!(plan.contains(how), "{plan}");
    let told = &verdict(&folder.path().join("a"))["mechanisms"];
    assert!(told[1].as_str().is_some_and(|told| told.starts_with(how)), "{told}");
    by_tc("duplicate", "b").expect(3).says("doubled packets").says("hint:");
    assert!(!folder.path().join("b/history.jsonl").exists(), "nothing was begun");
}

/// Ctrl-C once: heals, collects, judges what there is. The verdict is there, and says that the run was cut short.
#[test]
fn interrupted_once_it_judges_what_there_is() {
    if !sandboxes("interrupt") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let child = start(folder.path(), &["run", "--time-limit", "60s", "--seed", "1", "--out", "a"]);
    let history = folder.path().join("a/history.jsonl");
    wait_until("the load has begun", || lines(&history) > 500);
    signal(child.id(), libc::SIGINT);
    let ended = child.ended();
    ended.expect(130).says("stopping").prints("UNKNOWN");
    leaves_everything(&folder.path().join("a"));
}

/// Ctrl-C twice: out, at once, and still nothing is left.
#[test]
fn interrupted_twice_it_leaves_at_once() {
    if !sandboxes("interrupt twice") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    // Two different signals: two equal ones so close together may reach the process as one.
    let mut child = start(folder.path(), &["run", "--time-limit", "60s", "--out", "a"]);
    wait_until("the cluster is there", || lines(&folder.path().join("a/history.jsonl")) > 0);
    let pids = descendants(child.id());
    signal(child.id(), libc::SIGINT);
    signal(child.id(), libc::SIGTERM);
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(130)), "exit code {code:?}");
    wait_until("all its processes are gone", || pids.iter().all(|pid| !alive(*pid)));
}

/// `kill -9` of the controller at twenty moments of a run, from its first milliseconds on: no process, interface,
/// namespace or mount of it remains, and the history reads up to its last whole line.
#[test]
fn killed_at_any_moment_it_leaves_nothing_but_a_readable_history() {
    if !sandboxes("kill -9") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let before = Host::now();
    for round in 0..20u64 {
        let out = format!("run{round}");
        // Moments from 0 to about 4 s, close together at the beginning, where everything is being made.
        let moment = Duration::from_millis(round * round * 10);
        let nemesis = "partition:every=1500ms:lasts=500ms,kill:every=1500ms:lasts=500ms";
        let seed = round.to_string();
        let words = ["run", "--time-limit", "30s", "--seed", &seed, "--nemesis", nemesis, "--out", &out];
        let started = Instant::now();
        let mut child = start(folder.path(), &words);
        while started.elapsed() < moment {
            std::thread::sleep(Duration::from_millis(1));
        }
        let pids = descendants(child.id());
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        wait_until("all its processes are gone", || pids.iter().all(|pid| !alive(*pid)));
        wait_until("no agent is left", || agents(folder.path()).is_empty());
        let history = folder.path().join(&out).join("history.jsonl");
        if history.is_file() {
            let bytes = fs::read(&history).expect("the history is a file");
            let whole = bytes.iter().filter(|byte| **byte == b'\n').count();
            let recorded = schism_history::jsonl::read(&bytes[..]).expect("the history reads");
            assert_eq!(recorded.history.events as usize, whole);
        }
    }
    assert_eq!(Host::now(), before, "the host is as it was");
    run(folder.path(), &["clean"]).expect(0).prints("nothing to clean");
}

#[test]
fn a_node_that_cannot_start_is_shown_with_its_last_log_lines() {
    if !sandboxes("node that cannot start") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    // The data directory of n2 cannot be one: a file stands in its place.
    fs::create_dir_all(folder.path().join("a/nodes/n2")).unwrap();
    file(folder.path(), "a/nodes/n2/data", "in the way");
    run(folder.path(), &["run", "--out", "a"]).expect(3).says("not empty");
    let words = ["run", "--out", "b", "--set", "target.snapshot-every=0"];
    run(folder.path(), &words).expect(3).says("did not start").says("snapshot-every").says("hint:");
    let words = ["run", "--out", "c", "--start-limit", "1ms"];
    run(folder.path(), &words).expect(3).says("is not ready after 0.001 s").says("last lines of its log");
    assert!(agents(folder.path()).is_empty());
}

/// No permission to write where the run should go: said before anything starts.
#[test]
fn a_folder_that_may_not_be_written_is_named() {
    if !sandboxes("no permission") {
        return;
    }
    let folder = folder();
    fs::create_dir(folder.path().join("closed")).unwrap();
    let mut command = schism();
    command.current_dir(folder.path()).args(["run", "--out", "closed/a"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder.path().join("closed"), fs::Permissions::from_mode(0o555)).unwrap();
        // SAFETY: a plain system call that cannot fail.
        if unsafe { libc::geteuid() } == 0 {
            use std::os::unix::process::CommandExt;
            command.uid(65_534).gid(65_534);
        }
    }
    let ended: Ended = command.output().expect("the binary starts").into();
    ended.expect(3).says("closed/a: Permission denied").says("hint: check who may");
}

/// A machine on which no sandbox can be made says so, and what to do. The limit is taken away in a namespace of its own.
#[test]
fn where_no_sandbox_can_be_made_the_remedy_is_named() {
    if !sandboxes("no sandbox") {
        return;
    }
    let folder = folder();
    // Root of a user namespace may forbid namespaces to itself, and to nobody else.
    let script = format!(
        "echo 0 > /proc/sys/user/max_net_namespaces; cd {folder} && exec {schism} run --out a",
        folder = folder.path().display(),
        schism = env!("CARGO_BIN_EXE_schism"),
    );
    let output = std::process::Command::new("unshare").args(["-Ur", "sh", "-c", &script]).output();
    let ended: Ended = output.expect("unshare is there").into();
    ended.expect(3).says("max_net_namespaces").says("hint:");
    assert!(!folder.path().join("a").exists(), "nothing was started");
}

/// A full disk is the harness's trouble: no verdict, and the place is named.
#[test]
fn a_full_disk_is_harness_trouble_not_a_finding() {
    if !sandboxes("full disk") {
        return;
    }
    // SAFETY: a plain system call that cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        crate::binary::skipped("full disk", "only root can mount a small disk");
        return;
    }
    let (_alone, folder) = (alone(), folder());
    // A mount namespace of its own: the host never sees the small disk.
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs {small} && exec {schism} run --time-limit 20s --rate 0 --out {small}/a",
        small = folder.path().display(),
        schism = env!("CARGO_BIN_EXE_schism"),
    );
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()
        .expect("unshare is there");
    let ended: Ended = output.into();
    assert_eq!(ended.code, Some(3), "stdout:\n{}\nstderr:\n{}", ended.out, ended.err);
    assert!(!ended.out.contains("VALID"), "{}", ended.out);
}

fn demo(name: &str) {
    if !sandboxes(name) {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let demo = |words: &[&str]| run(folder.path(), &[&["demo", name], words].concat());
    // Both at once: they wait more than they work.
    let (found, fixed) = std::thread::scope(|scope| {
        let fixed = scope.spawn(|| demo(&["--fixed", "--out", "fixed"]));
        (demo(&["--out", "bug"]), fixed.join().expect("it only waits"))
    });
    let found = found.expect(1).prints("INVALID");
    assert!(found.out.contains("process "), "the verdict is explained: {}", found.out);
    fixed.expect(0).prints("VALID");
}

macro_rules! demos {
    ($($test:ident $name:literal)*) => {
        $(#[test] fn $test() { demo($name); })*

        /// Every demo there is has its test here.
        #[test]
        fn no_demo_is_forgotten() {
            let listed = run(Path::new("."), &["list", "demos"]).expect(0).out;
            let mut names: Vec<&str> =
                listed.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next()).collect();
            let mut tested = vec![$($name),*];
            names.sort_unstable();
            tested.sort_unstable();
            assert_eq!(names, tested);
        }
    };
}

demos! {
    demo_follower_reads "follower-reads"
    demo_unconfirmed_leader_reads "unconfirmed-leader-reads"
    demo_lease_trusts_clock "lease-trusts-clock"
    demo_ack_before_majority "ack-before-majority"
    demo_ack_before_fsync "ack-before-fsync"
    demo_no_checksum "no-checksum"
    demo_suffix_not_truncated "suffix-not-truncated"
    demo_retry_applied_twice "retry-applied-twice"
    demo_backoff_kept "backoff-kept"
    demo_snapshot_drops_sessions "snapshot-drops-sessions"
    demo_vote_not_persisted "vote-not-persisted"
    demo_commit_old_term "commit-old-term"
    demo_vote_ignores_log "vote-ignores-log"
    demo_ack_unreplicated "ack-unreplicated"
    demo_no_fencing "no-fencing"
    demo_lease_unchecked "lease-unchecked"
    demo_lease_on_wall_clock "lease-on-wall-clock"
    demo_votes_for_anyone "votes-for-anyone"
    demo_dirty_reads "dirty-reads"
    demo_bound_unchecked "bound-unchecked"
    demo_reads_one "reads-one"
    demo_tombstones_forgotten "tombstones-forgotten"
    demo_hints_dropped "hints-dropped"
    demo_blind_anti_entropy "blind-anti-entropy"
    demo_writes_one "writes-one"
    demo_repair_overwrites "repair-overwrites"
    demo_stamps_by_wall_clock "stamps-by-wall-clock"
    demo_skewed_stamps "skewed-stamps"
    demo_siblings_dropped "siblings-dropped"
    demo_deletes_forgotten "deletes-forgotten"
    demo_blind_branches "blind-branches"
    demo_counts_twice "counts-twice"
    demo_remove_wins "remove-wins"
    demo_one_successor "one-successor"
    demo_dependencies_unchecked "dependencies-unchecked"
    demo_reads_not_recorded "reads-not-recorded"
    demo_last_dependency_only "last-dependency-only"
    demo_context_dropped_on_move "context-dropped-on-move"
    demo_gaps_skipped "gaps-skipped"
    demo_stamps_not_advanced "stamps-not-advanced"
    demo_moved_from_one "moved-from-one"
    demo_epoch_unchecked "epoch-unchecked"
    demo_scan_ends_at_split "scan-ends-at-split"
    demo_failover_leaves_region "failover-leaves-region"
    demo_configuration_overwritten "configuration-overwritten"
    demo_retry_takes_new_stamp "retry-takes-new-stamp"
}

/// What of the host a run must not change.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    interfaces: Vec<String>,
    routes: String,
    mounts: Vec<String>,
    rules: Option<String>,
}

impl Host {
    fn now() -> Self {
        let interfaces = fs::read_dir("/sys/class/net")
            .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
            .unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mounts: Vec<String> =
            mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_string).collect();
        // Without counters: somebody may speak to this machine meanwhile.
        let rules = std::process::Command::new("nft").args(["--stateless", "list", "ruleset"]).output().ok();
        let mut host = Host {
            interfaces,
            routes: fs::read_to_string("/proc/net/route").unwrap_or_default(),
            mounts,
            rules: rules.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()),
        };
        host.interfaces.sort();
        host.mounts.sort();
        host
    }
}

fn lines(path: &Path) -> usize {
    fs::read(path).map(|bytes| bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(0)
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: a plain system call; the process is our child and has not been waited for.
    unsafe { libc::kill(pid as i32, signal) };
}

fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// All processes below one, as far as they can be seen now.
fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = processes()
        .into_iter()
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let above = found[at];
        found.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        at += 1;
    }
    found.remove(0);
    found
}

fn processes() -> Vec<u32> {
    fs::read_dir("/proc")
        .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default()
}

/// Processes that work in a folder of ours or hold a file of it open: nodes and agents that outlived their controller.
fn agents(folder: &Path) -> Vec<(u32, PathBuf)> {
    processes()
        .into_iter()
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid| {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
            let ours = open
                .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
                .find(|path| path.starts_with(folder));
            ours.map(|path| (pid, path))
        })
        .collect()
}
