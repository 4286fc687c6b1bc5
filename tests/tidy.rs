//! The style rules that a machine can check, each with its remedy. What it cannot check: whether a comment says why.

use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this is more than a reader holds in the head.
const LINES_MAX: usize = 600;

/// What must not stand in the code, and what to do instead. Written in two halves so that this file does not find itself.
const BANNED: &[(&str, &str, &str)] = &[
    ("#[al", "low(", "say #[expect(…, reason = \"…\")]: it complains when the reason is gone"),
    ("#[ig", "nore", "a test that is not run is no test: make it fast, or take it out"),
    ("TO", "DO", "do it, or write it down where users look"),
    ("FIX", "ME", "fix it, or write it down where users look"),
    ("thread_", "rng", "draw from the plan's seed: schism_engine::random"),
    ("Std", "Rng", "its stream changes between versions: schism_engine::random"),
];

fn rust_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["harness", "workloads", "nemeses", "targets", "results", "tests"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 50, "the code is somewhere else now: look there");
    files
}

#[test]
fn files_open_with_what_they_are_and_are_not_too_long() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).expect("the file is text");
        if !text.starts_with("//!") {
            wrong.push(format!("{}: open it with `//!`: what it is, finds, cannot find", path.display()));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!(
                "{}: {lines} lines; split it at a seam, {LINES_MAX} is the most",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn nothing_banned_stands_in_the_code() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).expect("the file is text");
        for (number, line) in text.lines().enumerate() {
            for (start, end, remedy) in BANNED {
                if line.contains(&format!("{start}{end}")) {
                    wrong.push(format!("{}:{}: {start}{end}: {remedy}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Vague names gather everything: a module says what it is about.
#[test]
fn no_module_is_called_after_nothing() {
    for path in rust_files() {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(
            !["util", "utils", "common", "helpers", "misc"].contains(&name),
            "{}: name it",
            path.display()
        );
    }
}
