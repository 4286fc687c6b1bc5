//! What befalls an engine in the middle of things: restarted, its disk full. Each is told with the next step and exit 3, and
//! nothing is left in it. The engine is the test's own: the machine's has others to serve.

use std::fs;

use crate::binary::{alone, folder, skipped, wait_until};
use crate::docker_runs::docker;
use crate::second_engine::Second;

/// Whether a second engine may be started here, which takes root.
fn may_start(test: &str) -> bool {
    // SAFETY: a plain system call.
    docker(test) && (unsafe { libc::geteuid() } == 0 || skipped(test, "a second engine takes root"))
}

#[test]
fn an_engine_that_is_restarted_during_a_run_is_no_finding() {
    if !may_start("engine restarted") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let engine = Second::start("");
    let line = "run --backend docker --nodes 3 --time-limit 60s --nemesis kill:every=2s:lasts=1s --out a";
    let words: Vec<&str> = line.split(' ').collect();
    let history = folder.path().join("a/history.jsonl");
    std::thread::scope(|scope| {
        let run = scope.spawn(|| engine.run(folder.path(), &words));
        wait_until("the load has begun", || fs::read(&history).is_ok_and(|bytes| bytes.len() > 20_000));
        engine.restart();
        let ended = run.join().expect("it has ended").expect(3);
        assert!(!ended.out.contains("VALID"), "{}", ended.out);
        ended.says("docker engine").says("hint:");
    });
    assert_eq!(engine.ours(), [""; 0], "nothing is left in the engine");
    engine.run(folder.path(), &["clean"]).expect(0).prints("nothing to clean: no killed run");
}

#[test]
fn an_engine_whose_disk_is_full_is_told_with_what_makes_room() {
    if !may_start("disk full") {
        return;
    }
    let (_alone, folder) = (alone(), folder());
    let engine = Second::start("24m");
    let words = ["run", "--backend", "docker", "--nodes", "3", "--out", "a"];
    engine.run(folder.path(), &words).expect(3).says("no space left on device").says("docker system df");
    assert_eq!(engine.ours(), [""; 0], "nothing is left in the engine");
    assert!(!folder.path().join("a").exists(), "nothing was begun");
}
