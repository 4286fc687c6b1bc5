//! The judge of convergence: what each node ends with, what was acknowledged, and how long they differed.

use std::time::Duration;

use schism_checker::{Budget, Checker, Convergence, Judgement, Verdict};
use schism_history::{History, jsonl};

const BUDGET: Budget<'static> = Budget { bytes: 1 << 30, time: Duration::from_secs(3600), over: &|| false };

/// A history of lines such as `0 n1 write 7`, each an invocation and its completion at once; `final` begins the last phase,
/// `cut` and `heal` are the ends of a fault. An `?` before the call leaves its fate unknown. Each line takes a millisecond.
fn history(script: &str) -> History {
    let mut text = String::new();
    let (mut index, mut process) = (0, 100);
    let mut line = |words: String| {
        let time = (index / 2 + 1) * 1_000_000;
        text.push_str(&format!("{{\"index\":{index},\"time\":{time},{words}}}\n"));
        index += 1;
    };
    let fault = |edge: &str| {
        format!(
            r#""type":"fault","id":0,"fault":"partition","edge":"{edge}","detail":"n1 | n2","nodes":["n1"]"#
        )
    };
    for words in script.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        match words[..] {
            [] => {}
            ["final"] => line(r#""type":"phase","phase":"final""#.into()),
            ["cut"] => line(fault("begin")),
            ["heal"] => line(fault("end")),
            [client, node, f, ref value @ ..] => {
                let unknown = f.starts_with('?');
                let f = f.trim_start_matches('?');
                // A client is not heard of again after an answer that never came.
                let client = if unknown {
                    process += 1;
                    process.to_string()
                } else {
                    client.to_string()
                };
                let value = value.first().map_or("null", |value| value);
                let call = format!(r#""process":{client},"f":"{f}","key":1"#);
                let asked = if f == "read" { String::new() } else { format!(",\"value\":{value}") };
                line(format!(r#""type":"invoke","node":"{node}",{call}{asked}"#));
                let kind = if unknown { "info" } else { "ok" };
                line(format!(r#""type":"{kind}",{call},"value":{value}"#));
            }
            _ => panic!("{words:?}"),
        }
    }
    jsonl::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}")).history
}

fn judged(script: &str) -> Judgement {
    Convergence::default().check(&history(script), BUDGET)
}

#[track_caller]
fn finds(script: &str, name: &str, words: &str) {
    let judgement = judged(script);
    let names: Vec<&str> = judgement.anomalies.iter().map(|anomaly| &*anomaly.name).collect();
    assert_eq!(names, [name], "{judgement:#?}");
    let anomaly = &judgement.anomalies[0];
    assert!(anomaly.sentences[0].contains(words), "{judgement:#?}");
    assert!(!anomaly.witness.is_empty() && anomaly.culprit.is_some());
}

#[track_caller]
fn passes(script: &str) -> Judgement {
    let judgement = judged(script);
    assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:#?}");
    judgement
}

#[test]
fn nodes_that_end_alike_have_converged_and_it_is_said_when() {
    let judgement = passes(
        "0 n1 write 1\n cut\n 0 n1 write 2\n 1 n2 write 3\n heal\n final\n 0 n1 read 2\n 1 n2 read 3\n 0 n1 read 3\n 1 n2 read 3",
    );
    let took = &judgement.facts.iter().find(|(name, _)| name == "convergence").unwrap().1;
    // The last read of another value began a millisecond after the fault's end.
    assert!(took.starts_with("still apart 1ms after") || took.starts_with("still apart 2ms after"), "{took}");
    let at_once = passes("0 n1 write 1\n final\n 0 n1 read 1\n 1 n2 read 1");
    assert!(at_once.facts.iter().any(|(_, took)| took == "agreed from the first final read on"));
}

#[test]
fn nodes_that_end_differently_have_not() {
    let script = "0 n1 write 1\n 1 n2 write 2\n final\n 0 n1 read 1\n 1 n2 read 2";
    finds(script, "diverged", "process 0 on n1 in the end read 1");
    finds("0 n1 add 1\n 1 n2 ?add 2\n final\n 0 n1 read [2]\n 1 n2 read [1,2]", "diverged", "read [2]");
    // As sets, the order does not matter.
    passes("0 n1 add 1\n 1 n2 add 2\n final\n 0 n1 read [1,2]\n 1 n2 read [2,1]");
}

#[test]
fn what_was_acknowledged_must_be_there() {
    let end = "final\n 0 n1 read [1]\n 1 n2 read [1]";
    finds(&format!("0 n1 add 1\n 1 n2 add 2\n {end}"), "lost element", "process 1 on n2 added 2");
    passes(&format!("0 n1 add 1\n 1 n2 ?add 2\n {end}"));
    passes(&format!("0 n1 add 1\n 1 n2 add 2\n 0 n1 remove 2\n {end}"));
    // A remove takes away the adds that it can have seen, and no later one.
    finds(
        &format!("0 n1 add 1\n 1 n2 add 2\n 0 n1 remove 2\n 1 n2 add 2\n {end}"),
        "lost element",
        "added 2",
    );
    passes(&format!("0 n1 add 1\n 1 n2 add 2\n 0 n1 ?remove 2\n 1 n2 add 2\n {end}"));
    finds(
        &format!("1 n2 write 5\n {}", "final\n 0 n1 read null\n 1 n2 read null"),
        "lost write",
        "as at first",
    );
    finds(
        &format!("1 n2 ?write 5\n {}", "final\n 0 n1 read 6\n 1 n2 read 6"),
        "made-up value",
        "6, which nobody",
    );
}

/// Only who has seen an element has removed it for certain, and only if nobody adds it again.
#[test]
fn what_was_removed_knowingly_is_gone() {
    let end = "final\n 0 n1 read [1]\n 1 n2 read [1]";
    let seen = "0 n1 add 1\n 1 n2 read [1]\n 1 n2 remove 1";
    finds(&format!("{seen}\n {end}"), "returned element", "process 1 on n2 removed 1");
    passes(&format!("0 n1 add 1\n 2 n2 read [1]\n 1 n2 remove 1\n {end}"));
    passes(&format!("{seen}\n 0 n1 add 1\n {end}"));
    passes(&format!("{seen}\n 0 n1 ?add 1\n {end}"));
    passes(&format!("0 n1 add 1\n 1 n2 read [1]\n 1 n2 ?remove 1\n {end}"));
}

#[test]
fn a_counter_ends_within_its_bounds() {
    let script = |end: i64| {
        format!(
            "0 n1 increment 2\n 1 n2 increment 3\n 1 n2 ?increment 4\n final\n 0 n1 read {end}\n 1 n2 read {end}"
        )
    };
    passes(&script(5));
    passes(&script(9));
    finds(&script(3), "lost increment", "at least 5");
    // A counter that was never heard of shows nothing.
    finds("0 n1 increment 2\n final\n 0 n1 read null", "lost increment", "at least 2");
    finds(&script(10), "made-up increment", "9 at most");
}

/// Which node held what, as data and in words.
#[test]
fn who_held_what_in_the_end_is_told() {
    let judgement = judged("0 n1 write 1\n 1 n2 write 2\n final\n 0 n1 read 1\n 1 n2 read 2\n 2 n3 read 2");
    let anomaly = &judgement.anomalies[0];
    assert_eq!(anomaly.sentences[1..], ["in the end n1 held 1", "in the end n2 n3 held 2"]);
    let held = anomaly.proof.iter().map(|step| (&*step.what, &*step.operations, step.values.join(" ")));
    assert_eq!(
        held.collect::<Vec<_>>(),
        [
            ("holds", &[2][..], "n1 1".to_string()),
            ("holds", &[3][..], "n2 2".to_string()),
            ("holds", &[4][..], "n3 2".to_string())
        ]
    );
    assert_eq!(anomaly.possible_states, ["1", "2"]);
}

/// Only a write that knew of the other has replaced it: concurrent ones may win or lose.
#[test]
fn an_older_write_may_only_win_over_one_that_did_not_know_of_it() {
    let end = "final\n 0 n1 read 1\n 1 n2 read 1";
    passes(&format!("0 n1 write 1\n 1 n2 write 2\n {end}"));
    finds(&format!("0 n1 write 1\n 0 n1 write 2\n {end}"), "lost write", "knowing of 1");
    finds(
        &format!("0 n1 write 1\n 1 n2 read 1\n 1 n2 write 2\n {end}"),
        "lost write",
        "process 1 on n2 wrote 2",
    );
    passes(&format!("0 n1 write 1\n 1 n2 ?write 2\n {end}"));
    // The initial value, too, may be written again.
    passes("0 n1 read null\n 0 n1 write 1\n 1 n2 write null\n final\n 0 n1 read null\n 1 n2 read null");
}

#[test]
fn what_cannot_be_known_is_a_doubt() {
    for (script, words) in [
        ("0 n1 write 1\n 0 n1 read 1", "no phase `final`"),
        ("0 n1 write 1\n 1 n2 write 2\n final\n 0 n1 read 2", "n2 answered no final read of key 1"),
        ("0 n1 write 1\n final", "no final read of key 1 was answered"),
        ("0 n1 write 1\n final\n 0 n1 read 1\n 0 n1 write 2", "still changed in the phase final"),
        ("final\n 0 n1 read null\n 0 n1 write 2\n 1 n2 read 2", "still changed in the phase final"),
        ("0 n1 write 1\n 1 n2 ?write 2\n final\n 0 n1 read 1\n 1 n2 read 2", "calls of unknown fate"),
        ("0 n1 add 1\n 1 n2 ?add 2\n final\n 0 n1 read [1]\n 1 n2 read [1,2]", "calls of unknown fate"),
    ] {
        let judgement = judged(script);
        assert_eq!(judgement.verdict, Verdict::Unknown, "{judgement:#?}");
        assert!(judgement.doubts.iter().any(|doubt| doubt.reason.contains(words)), "{judgement:#?}");
    }
}
