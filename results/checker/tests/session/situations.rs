//! One situation each, and what is said of it.

use schism_checker::{Checker, Judgement, Session, Sessions, Verdict};
use schism_history::Operation;

use crate::BUDGET;
use crate::script::history;

fn judge_by(judge: Sessions, text: &str) -> Judgement {
    let judgement = judge.check(&history(text), BUDGET);
    for anomaly in &judgement.anomalies {
        // Two reads of each of two sessions and the two writers they disagree about; most need less.
        assert!(anomaly.witness.len() <= 6, "{anomaly:#?}");
        assert!(anomaly.sentences.len() >= 2, "{anomaly:#?}");
    }
    judgement
}

fn judge(text: &str) -> Judgement {
    judge_by(Sessions { real_time: true, ..Sessions::default() }, text)
}

fn names(judgement: &Judgement) -> Vec<&str> {
    judgement.anomalies.iter().map(|anomaly| anomaly.name.as_str()).collect()
}

#[test]
fn missing_your_writes() {
    let judgement = judge("p1 10-20 w1\np1 30-40 w2\np1 50-60 r1");
    assert_eq!(names(&judgement), ["missing your writes"]);
    let anomaly = &judgement.anomalies[0];
    assert_eq!(
        anomaly.sentences,
        [
            "1 is older than 2: process 1 on n1 wrote 1, over at 0.020 s, before process 1 on n1 began at 0.030 s \
             and wrote 2.",
            "process 1 on n1 wrote 2, over at 0.040 s, then process 1 on n1 began at 0.050 s and read 1: by read \
             your writes 2 is no newer than 1.",
        ]
    );
    assert_eq!((&anomaly.witness[..], anomaly.culprit), (&[0, 1, 2][..], Some(2)));
    let proof = anomaly.proof.iter().map(|step| (&*step.what, &*step.operations, step.values.join(" < ")));
    assert_eq!(
        proof.collect::<Vec<_>>(),
        [
            ("real time", &[0, 1][..], "1 < 2".to_string()),
            ("session order", &[1, 2][..], "2 < 1".to_string())
        ]
    );
    let facts: Vec<&str> = judgement.facts.iter().map(|(_, fact)| fact.as_str()).collect();
    assert_eq!(
        facts,
        [
            "1",
            "broken on 1 keys; 1 calls put it to the test",
            "never put to the test",
            "kept by 1 calls",
            "never put to the test",
            "broken with one of the four",
        ]
    );
}

#[test]
fn somebody_elses_stale_read_breaks_no_promise() {
    assert_eq!(judge("p1 10-20 w1\np1 30-40 w2\np2 50-60 r1").verdict, Verdict::Valid);
    // Nor does what was concurrent: either can be the newer one.
    assert_eq!(judge("p1 10-20 w1\np2 10-20 w2\np1 30-40 r2").verdict, Verdict::Valid);
    // Both at once it cannot be.
    let judgement = judge("p1 10-20 w1\np2 10-20 w2\np1 30-40 r2\np2 30-40 r1");
    assert_eq!(names(&judgement), ["missing your writes"]);
}

#[test]
fn the_initial_value_after_a_write_of_ones_own() {
    let judgement = judge("p1 10-20 w1\np1 30-40 r-");
    assert_eq!(names(&judgement), ["missing your writes"]);
    assert_eq!(judgement.anomalies[0].witness, [0, 1]);
}

#[test]
fn non_monotonic_reads() {
    let judgement = judge("p1 10-20 w1\np1 30-40 w2\np2 50-60 r2\np2 70-80 r1");
    assert_eq!(names(&judgement), ["non-monotonic reads"]);
    assert_eq!(judgement.anomalies[0].witness, [0, 1, 2, 3]);
    assert_eq!(judgement.anomalies[0].culprit, Some(3));
    // There and back again needs no other evidence than the reads themselves.
    let judge_alone = Sessions::default();
    let flicker = "p1 10-200 w1\np2 10-200 w2\np3 20-30 r1\np3 40-50 r2\np3 60-70 r1";
    assert_eq!(names(&judge_by(judge_alone.clone(), flicker)), ["non-monotonic reads"]);
    // Two sessions that saw two concurrent writes in two orders cannot both be right.
    let crossed = "p1 10-200 w1\np2 10-200 w2\np3 20-30 r1\np3 40-50 r2\np4 20-30 r2\np4 40-50 r1";
    assert_eq!(names(&judge_by(judge_alone, crossed)), ["non-monotonic reads"]);
}

#[test]
fn non_monotonic_writes() {
    // Process 1 wrote 1 and then 2, but 3 was made from 2, and 1 from 3, which it had seen when it made that.
    let judgement = judge("p1 10-20 c3>1\np1 30-40 w2\np2 10-100 c2>3");
    assert_eq!(names(&judgement), ["non-monotonic writes", "missing read-write dependency"]);
    assert_eq!(
        judgement.anomalies[0].sentences,
        [
            "2 is older than 3: process 2 on n2 changed the one to the other.",
            "3 is older than 1: process 1 on n1 changed the one to the other.",
            "process 1 on n1 changed 3 to 1, over at 0.020 s, then process 1 on n1 began at 0.030 s and wrote 2: by \
             monotonic writes 1 is no newer than 2.",
        ]
    );
}

#[test]
fn missing_read_write_dependency() {
    // Process 1 read 1 and then wrote 2, but 3 was made from 2, and 1 from 3.
    let judgement = judge("p1 10-20 r1\np1 30-40 w2\np2 10-100 c2>3\np3 10-100 c3>1");
    assert_eq!(names(&judgement), ["missing read-write dependency"]);
    assert_eq!(judgement.anomalies[0].witness, [0, 1, 2, 3]);
}

#[test]
fn cas_in_a_circle_are_wrong_whatever_sessions_are_promised() {
    let judgement = judge("p1 10-100 c1>2\np2 10-100 c2>1");
    assert_eq!(names(&judgement), ["misordered writes"]);
    assert_eq!(judgement.anomalies[0].witness, [0, 1]);
}

#[test]
fn time_is_no_evidence_where_the_last_write_wins_by_clocks() {
    let text = "p1 10-20 w1\np2 30-40 w2\np3 50-60 r2\np3 70-80 r1";
    assert_eq!(names(&judge(text)), ["non-monotonic reads"]);
    let judge_alone = Sessions::default();
    assert_eq!(judge_by(judge_alone.clone(), text).verdict, Verdict::Valid);
    // By one session the two writes are ordered only if its writes are promised to be: all four promises cannot hold.
    let together = "p1 10-20 w1\np1 30-40 w2\np3 50-60 r2\np3 70-80 r1";
    assert_eq!(names(&judge_by(judge_alone, together)), ["session causality violation"]);
}

#[test]
fn a_session_goes_on_after_its_process_was_retired() {
    // Process 1 on n1 wrote; another process on n1 does not find that.
    let history = history("p1 10-20 w1\np2 30-40 r-");
    let on_n1 = |operation| Operation { node: Some("n1".into()), ..operation };
    let history = history.with(history.operations().map(on_n1));
    assert_eq!(Sessions::default().check(&history, BUDGET).verdict, Verdict::Valid);
    let by_node = Sessions { session: Session::Node, ..Sessions::default() };
    assert_eq!(names(&by_node.check(&history, BUDGET)), ["missing your writes"]);
}

#[test]
fn a_value_written_twice_is_a_doubt() {
    assert_eq!(judge("p1 10-20 w1\np1 30-40 w1").verdict, Verdict::Unknown);
}
