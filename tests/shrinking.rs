//! `schism shrink` and `schism export` as their users run them: what they write is read again.

use std::fmt::Write;

use crate::binary::{file, folder, run};

/// Registers that two processes use in turn: each value written, then read; the last read of key 7 is stale.
fn stale_read_among(rounds: u32) -> String {
    let mut text = String::new();
    let mut index = 0;
    let mut line = |process: u32, rest: String| {
        writeln!(text, "{{\"index\":{index},\"time\":{},\"process\":{process},{rest}}}", 10 * index).unwrap();
        index += 1;
    };
    for round in 1..=rounds {
        let key = round % 10;
        let seen = if round == rounds - 3 { round - 20 } else { round };
        line(0, format!("\"type\":\"invoke\",\"f\":\"write\",\"key\":{key},\"value\":{round}"));
        line(0, format!("\"type\":\"ok\",\"f\":\"write\",\"key\":{key},\"value\":{round}"));
        line(1, format!("\"type\":\"invoke\",\"f\":\"read\",\"key\":{key}"));
        line(1, format!("\"type\":\"ok\",\"f\":\"read\",\"key\":{key},\"value\":{seen}"));
    }
    text
}

#[test]
fn the_smallest_part_is_written_beside_the_file_and_is_invalid_by_itself() {
    let folder = folder();
    let whole = stale_read_among(500);
    file(folder.path(), "history.jsonl", &whole);
    run(folder.path(), &["shrink", "history.jsonl", "--model", "register"])
        .expect(1)
        .prints("3 of 1000 operations are left, judged again and still invalid, in history.shrunk.jsonl")
        .prints("left out: 9 whole keys");
    let part = std::fs::read_to_string(folder.path().join("history.shrunk.jsonl")).unwrap();
    assert_eq!(part.lines().count(), 6, "{part}");
    run(folder.path(), &["check", "history.shrunk.jsonl", "--model", "register"])
        .expect(1)
        .prints("stale read");
    assert_eq!(std::fs::read_to_string(folder.path().join("history.jsonl")).unwrap(), whole);
    // What is there is never written over.
    run(folder.path(), &["shrink", "history.jsonl", "--model", "register"])
        .expect(3)
        .says("history.shrunk.jsonl: is there already")
        .says("--out");
    run(folder.path(), &["shrink", "history.jsonl", "--model", "register", "--out", "again.jsonl"]).expect(1);
}

#[test]
fn what_is_not_invalid_is_not_shrunk() {
    let folder = folder();
    let text: String = stale_read_among(500).lines().take(400).map(|line| format!("{line}\n")).collect();
    file(folder.path(), "good.jsonl", &text);
    run(folder.path(), &["shrink", "good.jsonl", "--model", "register"]).expect(0).says("nothing to shrink");
    file(folder.path(), "garbled.jsonl", &text.replace("\"index\":7,", "\"index\":8,"));
    run(folder.path(), &["shrink", "garbled.jsonl", "--model", "register"])
        .expect(3)
        .says("garbled.jsonl: line 8: index 8 where 7 is due");
    run(folder.path(), &["shrink", "good.jsonl", "--model", "register", "--time", "1"])
        .expect(64)
        .says("--time");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing was written");
}

/// A budget of no time at all leaves the whole, judged again, and says so.
#[test]
fn out_of_time_what_was_found_by_then_is_written() {
    let folder = folder();
    file(folder.path(), "history.jsonl", &stale_read_among(100));
    run(folder.path(), &["shrink", "history.jsonl", "--model", "register", "--time", "1ns"])
        .expect(1)
        .prints("200 of 200 operations are left")
        .says("--time lets it look for a smaller part");
}

/// Every form that can be read again gives the same verdict, the same history where it has a place for all of it.
#[test]
fn what_is_exported_is_read_again() {
    let folder = folder();
    file(folder.path(), "history.jsonl", &stale_read_among(50));
    for (form, name) in [("binary", "out.schism"), ("jsonl", "out.jsonl"), ("edn", "out.edn")] {
        run(folder.path(), &["export", "history.jsonl", "--to", form, "--out", name])
            .expect(0)
            .says("100 operations in");
        let independent: &[&str] = if form == "edn" { &["--independent"] } else { &[] };
        let words = [&["check", name, "--model", "register"], independent].concat();
        run(folder.path(), &words).expect(1).prints("stale read");
        run(folder.path(), &["export", "history.jsonl", "--to", form, "--out", name]).expect(3).says(name);
    }
    run(folder.path(), &["export", "out.schism", "--to", "jsonl", "--out", "back.jsonl"]).expect(0);
    run(folder.path(), &["export", "history.jsonl", "--to", "jsonl", "--out", "plain.jsonl"]).expect(0);
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(text("back.jsonl"), text("plain.jsonl"));
    run(folder.path(), &["export", "history.jsonl", "--to", "csv"]).expect(0).prints("process,node,");
    run(folder.path(), &["export", "missing.jsonl", "--to", "csv"]).expect(3).says("missing.jsonl");
}

/// Calls one after another: who calls what, with which value, and what that is answered.
type Calls = &'static [(u32, &'static str, &'static str, &'static str)];

/// Of every model of single objects something wrong in few calls.
const WRONG: [(&str, Calls); 26] = [
    ("register", &[(0, "write", "1", ""), (0, "write", "2", ""), (1, "read", "", "1")]),
    ("cas-register", &[(0, "write", "1", ""), (0, "cas", "[1,2]", ""), (1, "read", "", "1")]),
    ("string", &[(0, "write", "\"a\"", ""), (0, "append", "\"b\"", ""), (1, "read", "", "\"a\"")]),
    ("set", &[(0, "add", "1", ""), (1, "read", "", "[]")]),
    ("staleness", &[(0, "write", "1", ""), (1, "read", "", "9")]),
    ("sessions", &[(0, "write", "1", ""), (0, "read", "", "null")]),
    ("pram", &[(0, "write", "1", ""), (0, "read", "", "null")]),
    ("causal", &[(0, "write", "1", ""), (0, "read", "", "null")]),
    ("causal-convergent", &[(0, "write", "1", ""), (0, "read", "", "null")]),
    ("sequential", &[(0, "write", "1", ""), (0, "read", "", "null")]),
    ("convergence", &[(0, "write", "1", ""), (1, "phase", "", ""), (1, "read", "", "null")]),
    ("set-elements", &[(0, "add", "1", ""), (1, "contains", "1", "false")]),
    ("growing-set", &[(0, "add", "1", ""), (1, "read", "", "[]")]),
    ("log", &[(0, "append", "1", ""), (1, "read", "", "[]")]),
    ("queue", &[(0, "enqueue", "1", ""), (1, "dequeue", "", "null")]),
    ("bag", &[(0, "enqueue", "1", ""), (1, "dequeue", "", "null")]),
    ("total-queue", &[(0, "enqueue", "1", ""), (1, "dequeue", "", "9")]),
    ("priority-queue", &[(0, "enqueue", "2", ""), (0, "enqueue", "1", ""), (1, "dequeue", "", "2")]),
    ("stack", &[(0, "push", "1", ""), (0, "push", "2", ""), (1, "pop", "", "1")]),
    ("counter", &[(0, "increment", "1", ""), (1, "read", "", "0")]),
    ("unique-ids", &[(0, "generate", "", "5"), (1, "generate", "", "5")]),
    ("mutex", &[(0, "acquire", "", ""), (1, "acquire", "", "")]),
    ("semaphore", &[(0, "acquire", "", ""), (1, "acquire", "", "")]),
    ("lease", &[(0, "acquire", "", ""), (1, "acquire", "", "")]),
    ("fencing-tokens", &[(0, "acquire", "", "2"), (1, "acquire", "", "1")]),
    ("fenced-lock", &[(0, "acquire", "", "1"), (1, "acquire", "", "2")]),
];

/// What is wrong on one key is found among a hundred others, on which only the first call was made.
#[test]
fn every_model_of_single_objects_is_shrunk() {
    let folder = folder();
    for (model, calls) in WRONG {
        let (mut text, mut index) = (String::new(), 0);
        let mut line = |rest: String| {
            writeln!(text, "{{\"index\":{index},\"time\":{},{rest}}}", 10 * index).unwrap();
            index += 1;
        };
        let others = (2..102).map(|key| (key, calls[0]));
        for (key, (process, f, value, answer)) in others.chain(calls.iter().map(|call| (1, *call))) {
            if f == "phase" {
                line("\"type\":\"phase\",\"phase\":\"final\"".into());
                continue;
            }
            let process = if key == 1 { process } else { key };
            let call = format!("\"process\":{process},\"f\":\"{f}\",\"key\":{key}");
            let with = |name: &str, what: &str| match what {
                "" => String::new(),
                what => format!(",\"{name}\":{what}"),
            };
            line(format!("\"type\":\"invoke\",{call}{}", with("value", value)));
            let told = if value.is_empty() {
                with("value", answer)
            } else {
                with("value", value) + &with("ret", answer)
            };
            line(format!("\"type\":\"ok\",{call}{told}"));
        }
        let name = format!("{model}.jsonl");
        file(folder.path(), &name, &text);
        run(folder.path(), &["check", &name, "--model", model]).expect(1);
        run(folder.path(), &["shrink", &name, "--model", model])
            .expect(1)
            .prints("judged again and still invalid")
            .prints("left out: 100 whole keys");
    }
}
