//! Bad input gets a clear error with its place and the next step, exit 3 or 64, and nothing is lost.

use crate::binary::{file, folder, run, schism};

/// The history of one register, two processes, valid.
const HISTORY: &str = r#"{"index":0,"time":10,"type":"invoke","process":0,"f":"write","key":1,"value":7}
{"index":1,"time":20,"type":"ok","process":0,"f":"write","key":1,"value":7}
{"index":2,"time":30,"type":"invoke","process":1,"f":"read","key":1}
{"index":3,"time":40,"type":"ok","process":1,"f":"read","key":1,"value":7}
"#;

/// The answer to the read, and two that are wrong.
const READ: &str = r#""type":"ok","process":1,"f":"read","key":1,"value":7"#;
const STALE: &str = r#""type":"ok","process":1,"f":"read","key":1,"value":null"#;
const THIN_AIR: &str = r#""type":"ok","process":1,"f":"read","key":1,"value":8"#;

#[test]
fn a_plan_with_several_mistakes_reports_all_of_them() {
    let folder = folder();
    let plan = "target = \"rafft\"\nnodes = \"three\"\n\n[workload]\nname = \"register\"\nkyes = 3\n";
    file(folder.path(), "plan.toml", plan);
    run(folder.path(), &["run", "plan.toml"])
        .expect(64)
        .says("plan.toml:1:10")
        .says("did you mean `raft`?")
        .says("plan.toml:2:9")
        .says("plan.toml:6:1")
        .says("3 mistakes");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was started");
}

#[test]
fn impossible_plans_are_refused_before_anything_starts() {
    let folder = folder();
    run(folder.path(), &["run", "--nodes", "1", "--nemesis", "partition:shape=one"])
        .expect(64)
        .says("partition");
    run(folder.path(), &["run", "--nemesis", "reboot:nth=3"])
        .expect(64)
        .says("`nth` of nemesis `reboot` means nothing without `at`")
        .says("`at = fsync` or `at = rename`");
    run(folder.path(), &["run", "--nemesis", "disk:fault=slow:files=log-*"]).expect(64).says("`files` of");
    run(folder.path(), &["run", "--workload", "lists"]).expect(64).says("there is");
    run(folder.path(), &["run", "--bug", "follower-read"]).expect(64).says("did you mean `follower-reads`?");
    run(folder.path(), &["run", "--time-limit", "20"]).expect(64).says("did you mean `20s`?");
    run(folder.path(), &["run", "--concurrency", "2"]).expect(64).says("--concurrency");
    run(folder.path(), &["demo", "follower"]).expect(64).says("follower-reads");
    run(folder.path(), &["walk"]).expect(64).says("--help");
    run(folder.path(), &["run", "missing.toml"]).expect(3).says("missing.toml").says("check the path");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was started");
}

#[test]
fn a_good_history_is_judged_and_never_written_to() {
    let folder = folder();
    let path = file(folder.path(), "history.jsonl", HISTORY);
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    run(folder.path(), &["check", "history.jsonl", "--model", "register"]).expect(0).prints("VALID");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), HISTORY);
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "check leaves nothing behind");
}

#[test]
fn a_stale_read_is_explained() {
    let folder = folder();
    file(folder.path(), "history.jsonl", &HISTORY.replace(READ, STALE));
    run(folder.path(), &["check", "history.jsonl", "--model", "register"])
        .expect(1)
        .prints("INVALID")
        .prints("stale read");
}

/// Each way a file can be wrong: an error with file and line, exit 3.
#[test]
fn garbled_cut_and_contradictory_histories_are_no_verdicts() {
    let folder = folder();
    let cases: [(&str, String, &str); 6] = [
        ("garbled", HISTORY.replace("{\"index\":2", "{\"index:2"), "line 3"),
        ("cut", HISTORY[..HISTORY.len() - 9].to_string(), "line 4: the file is cut off here"),
        (
            "missing-line",
            HISTORY.lines().skip(1).map(|line| format!("{line}\n")).collect(),
            "line 1: index 1 where 0 is due",
        ),
        ("time", HISTORY.replace("\"time\":30", "\"time\":3"), "line 3: time goes back"),
        (
            "pairing",
            HISTORY.replace("\"ok\",\"process\":1", "\"ok\",\"process\":5"),
            "line 4: process 5 completes",
        ),
        ("number", HISTORY.replace("\"value\":7", "\"value\":99999999999999999999"), "line 1"),
    ];
    for (name, text, words) in &cases {
        assert_ne!(text, HISTORY, "{name} is no change");
        let name = format!("{name}.jsonl");
        file(folder.path(), &name, text);
        run(folder.path(), &["check", &name, "--model", "register"]).expect(3).says(&name).says(words);
    }
    run(folder.path(), &["check", "cut.jsonl", "--model", "register", "--cut"]).expect(0);
    let deep = format!(
        "{{\"index\":0,\"time\":1,\"type\":\"invoke\",\"process\":0,\"f\":\"write\",\"key\":{}1",
        "[".repeat(100_000)
    );
    file(folder.path(), "deep.jsonl", &format!("{deep}\n"));
    run(folder.path(), &["check", "deep.jsonl", "--model", "register"]).expect(3).says("line 1");
    run(folder.path(), &["check", "missing.jsonl", "--model", "register"]).expect(3).says("missing.jsonl");
    run(folder.path(), &["check", "cut.jsonl"]).expect(64).says("--model");
}

/// Of several files the worst decides, and an unreadable one never hides an invalid one.
#[test]
fn the_worst_of_several_files_decides() {
    let folder = folder();
    file(folder.path(), "good.jsonl", HISTORY);
    file(folder.path(), "bad.jsonl", &HISTORY.replace(READ, THIN_AIR));
    file(folder.path(), "garbled.jsonl", "{\n");
    let check = |files: &[&str]| {
        let words: Vec<&str> = ["check", "--model", "register"].iter().chain(files).copied().collect();
        run(folder.path(), &words)
    };
    check(&["good.jsonl", "good.jsonl"]).expect(0);
    check(&["good.jsonl", "garbled.jsonl"]).expect(3);
    check(&["bad.jsonl", "garbled.jsonl", "good.jsonl"]).expect(1);
}

#[test]
fn json_is_on_stdout_and_nothing_else() {
    let folder = folder();
    file(folder.path(), "good.jsonl", HISTORY);
    let ended = run(folder.path(), &["check", "good.jsonl", "--model", "register", "--json"]).expect(0);
    let verdict: serde_json::Value = serde_json::from_str(&ended.out).expect("stdout is one JSON document");
    assert_eq!(verdict["verdict"], "valid");
}

#[test]
fn help_teaches_and_names_the_exit_codes() {
    let folder = folder();
    run(folder.path(), &["--help"]).expect(0).prints("exit codes: 0 valid").prints("schism demo");
    run(folder.path(), &["run", "--help"]).expect(0).prints("--nemesis").prints("schism run --nemesis");
    run(folder.path(), &["check", "--help"]).expect(0).prints("--model");
    run(folder.path(), &["list"]).expect(0).prints("follower-reads").prints("partition").prints("register");
    let version: crate::binary::Ended = schism().arg("--version").output().unwrap().into();
    version.expect(0).prints("schism 0.");
}
