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
