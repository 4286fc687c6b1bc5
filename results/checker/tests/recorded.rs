//! Histories that other projects recorded, each with the verdict it must get.
//!
//! They are not part of this project: the folder is named by `SCHISM_RECORDED`, or lies beside the checkout under
//! `shared/histories`. Where it is absent the test says so and is over. Its `verdicts.tsv` has one history a line: file,
//! form, model, verdict, note. Models nobody here judges yet are counted, not judged.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schism_checker::judges::{Object, Objects};
use schism_checker::model::{CasRegister, TextRegister};
use schism_checker::{Budget, Checker, Linearizable, SetFull, Verdict};
use schism_history::{Call, Format, History, Keys, Operation, Value, read_any};

/// The harness swallows what a test prints; this line is for whoever reads the log of a green run.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("SCHISM_RECORDED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/histories"),
    };
    if folder.join("verdicts.tsv").is_file() {
        return Some(folder);
    }
    let ci = std::env::var_os("CI").is_some();
    assert!(!ci, "no recorded histories: in CI they lie beside the checkout, under shared/histories");
    say(
        "skipped: recorded histories: no verdicts.tsv in the folder SCHISM_RECORDED names, nor beside the checkout",
    );
    None
}

fn checker(model: &str) -> Option<Box<dyn Checker>> {
    Some(match model {
        "cas-register init=nil" => Box::new(Linearizable::<CasRegister>::default()),
        "string per key: put, append, get" => Box::new(Linearizable::<TextRegister>::default()),
        "set" | "set-full" => Box::new(SetFull::default()),
        "counter" => Box::new(Objects { object: Object::Counter }),
        _ => return None,
    })
}

fn format(word: &str) -> Format {
    match word {
        "elle-json" => Format::JepsenJson,
        _ => Format::ALL.into_iter().find(|format| format.word() == word).expect("a known form"),
    }
}

fn read(path: &Path, format: Format) -> History {
    let text = std::fs::read(path).expect("a file that verdicts.tsv names");
    let recorded = read_any(text.as_slice(), format, Keys::One)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(recorded.cut, None, "{}", path.display());
    let by_itself = read_any(text.as_slice(), Format::Auto, Keys::One).expect("its form is recognised");
    assert_eq!(by_itself.history, recorded.history, "{}", path.display());
    // Nothing may be passed over in silence: every invocation in the text, the nemesis's aside, is an operation.
    let text = String::from_utf8(text).expect("text");
    let invoked = text.matches(":invoke").count() + text.matches("\"invoke\"").count();
    assert_eq!(recorded.history.len(), invoked, "{}", path.display());
    recorded.history
}

/// Jepsen's counters are added to by `:add`, which is the word of sets as well.
fn with_increments(history: &History) -> History {
    history.with(history.operations().map(|operation| match &operation.call {
        Call::Add { key, value: Value::Int(by) } => {
            Operation { call: Call::Increment { key: key.clone(), by: *by }, ..operation }
        }
        _ => operation,
    }))
}

#[test]
fn each_gets_its_verdict() {
    let Some(folder) = folder() else { return };
    let verdicts = std::fs::read_to_string(folder.join("verdicts.tsv")).expect("verdicts.tsv is text");
    let mut judged: BTreeMap<String, usize> = BTreeMap::new();
    let (mut left_out, mut wrong) = (0, Vec::new());
    for line in verdicts.lines().skip(1).filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, form, model, expected, ..] = fields[..] else { panic!("a line of verdicts.tsv: {line}") };
        let Some(checker) = checker(model) else {
            left_out += 1;
            continue;
        };
        let expected = match expected {
            "valid" => Verdict::Valid,
            "invalid" => Verdict::Invalid,
            other => panic!("verdict {other} of {file}"),
        };
        let mut history = read(&folder.join(file), format(form));
        if model == "counter" {
            history = with_increments(&history);
        }
        let budget = Budget { bytes: 1 << 30, time: Duration::MAX, over: &|| false };
        let judgement = checker.check(&history, budget);
        *judged.entry(format!("{model} {expected:?}").to_lowercase()).or_default() += 1;
        if judgement.verdict != expected {
            wrong.push(format!(
                "{file}: {:?} instead of {expected:?}: {:?}",
                judgement.verdict, judgement.doubts
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let judged: Vec<String> = judged.iter().map(|(what, count)| format!("{count} {what}")).collect();
    say(&format!("recorded histories judged: {}; {left_out} left out, of other models", judged.join(", ")));
}
