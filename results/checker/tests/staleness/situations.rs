//! One situation each, and what is said of it.

use std::time::Duration;

use schism_checker::{Checker, Judgement, Staleness, Verdict};

use crate::script::history;
use crate::{BUDGET, fact};

fn judge(text: &str, max_time: Option<u64>, max_versions: Option<u64>) -> Judgement {
    let max_time = max_time.map(Duration::from_millis);
    Staleness { max_time, max_versions, ..Staleness::default() }.check(&history(text), BUDGET)
}

fn names(judgement: &Judgement) -> Vec<&str> {
    judgement.anomalies.iter().map(|anomaly| anomaly.name.as_str()).collect()
}

/// 1 was replaced at 40; it is still read at 100.
const OLD: &str = "
    p1 10-20 w1
    p1 30-40 w2
    p1 50-60 w3
    p2 100-110 r1
";

#[test]
fn without_a_bound_it_only_measures() {
    let judgement = judge(OLD, None, None);
    assert_eq!(judgement.verdict, Verdict::Valid);
    assert_eq!(fact(&judgement, "least Δ"), "60ms");
    assert_eq!(fact(&judgement, "least k"), "3");
    assert_eq!(fact(&judgement, "fresh reads"), "0.00 %");
    assert_eq!(fact(&judgement, "time staleness p50 / p90 / p99 / max"), "60ms / 60ms / 60ms / 60ms");
    assert_eq!(fact(&judgement, "version staleness p50 / p90 / p99 / max"), "2 / 2 / 2 / 2");
}

#[test]
fn a_bound_is_kept_or_not() {
    assert_eq!(judge(OLD, Some(60), Some(2)).verdict, Verdict::Valid);
    let late = judge(OLD, Some(59), None);
    assert_eq!(names(&late), ["stale read"]);
    assert_eq!(late.anomalies[0].culprit, Some(3));
    assert_eq!(
        late.anomalies[0].sentences,
        [
            "process 1 on n1 wrote 1, over at 0.020 s, before process 1 on n1 began at 0.030 s and wrote 2.",
            "process 1 on n1 wrote 2, over at 0.040 s, before process 2 on n2 began at 0.100 s and read 1.",
            "The operations on one version stand together, and of these two sets neither can be first.",
            "Fresh when it began, at 0.100 s: 3. 1 was outdated from 0.040 s on, 60ms before it was read: process 1 on n1 \
             wrote 2, over at 0.040 s.",
            "Only if reads may be 60ms out of date has all this an order; 59ms are allowed.",
        ]
    );
    let proof = late.anomalies[0].proof.iter().map(|step| (&*step.what, &*step.operations));
    assert_eq!(
        proof.collect::<Vec<_>>(),
        [
            ("real time", &[0, 1][..]),
            ("real time", &[1, 3][..]),
            ("outdated since", &[1, 3][..]),
            ("fresh", &[2][..])
        ]
    );
    assert_eq!(late.anomalies[0].possible_states, ["3"]);
    assert_eq!(late.anomalies[0].witness, [0, 1, 3]);
    let many = judge(OLD, None, Some(1));
    assert_eq!(names(&many), ["stale read"]);
    assert_eq!(many.anomalies[0].culprit, Some(3));
    assert_eq!(many.anomalies[0].witness, [0, 1, 2, 3]);
    assert_eq!(
        many.anomalies[0].sentences,
        [
            "process 1 on n1 wrote 1, over at 0.020 s.",
            "Writes that began after that were over before 0.100 s: 2 of them, 2, 3.",
            "Then process 2 on n2 read 1: it missed 2 newer versions; 1 are allowed.",
            "Fresh when it began, at 0.100 s: 3. 1 was outdated from 0.040 s on, 60ms before it was read: process 1 on n1 \
             wrote 2, over at 0.040 s.",
        ]
    );
    assert_eq!(
        many.anomalies[0].proof[1].because,
        "3 could be read from 0.050 s on, when its write began, and was there at 0.060 s, when write(3) was over."
    );
}

#[test]
fn a_read_can_be_too_old_only_beside_another() {
    // Both writes are concurrent, so that each read is fresh by itself.
    let text = "
        p1 10-100 w1
        p2 10-100 w2
        p3 20-30 r1
        p3 40-50 r2
        p3 60-70 r1
    ";
    let judgement = judge(text, None, None);
    assert_eq!(fact(&judgement, "fresh reads"), "100.00 %");
    assert_eq!(fact(&judgement, "least Δ"), "10ms");
    assert_eq!(names(&judge(text, Some(9), None)), ["stale read"]);
}

#[test]
fn the_initial_value_can_be_stale_too() {
    let text = "
        p1 10-20 w1
        p2 50-60 r-
    ";
    let judgement = judge(text, Some(29), Some(0));
    assert_eq!(names(&judgement), ["stale read", "stale read"]);
    assert_eq!(judgement.anomalies[0].witness, [0, 1]);
    assert_eq!(judgement.anomalies[0].possible_states, ["1"]);
    assert_eq!(judge(text, Some(30), Some(1)).verdict, Verdict::Valid);
}

#[test]
fn writes_out_of_order_are_no_staleness() {
    // 2 was made from 1 before anybody began to write 1's successor, yet two cas changed 1.
    let lost_update = "
        p1 10-20 w1
        p1 30-40 c1>2
        p2 50-60 c1>3
    ";
    let judgement = judge(lost_update, None, None);
    assert_eq!(judgement.verdict, Verdict::Valid, "a bound was not asked for");
    assert!(fact(&judgement, "least Δ").starts_with("none is enough"));
    let judgement = judge(lost_update, Some(1_000_000), None);
    assert_eq!(names(&judgement), ["misordered writes"]);
    assert_eq!(judgement.anomalies[0].witness, [1, 2]);
    // A cas found a value that had been replaced long before: it is no read that could have been early.
    let judgement = judge("p1 10-20 w1\np1 30-40 w2\np1 50-60 c1>3", Some(1_000_000), None);
    assert_eq!(names(&judgement), ["misordered writes"]);
}

#[test]
fn impossible_reads_are_wrong_whatever_is_allowed() {
    assert_eq!(names(&judge("p1 10-20 r7", None, None)), ["thin-air read"]);
    assert_eq!(names(&judge("p1 10-20 w7!\np2 30-40 r7", None, None)), ["aborted read"]);
    assert_eq!(names(&judge("p1 10-20 r7\np2 30-40 w7", None, None)), ["future read"]);
    assert_eq!(names(&judge("p1 10-20 c7>8", None, None)), ["thin-air read"]);
}

#[test]
fn a_value_written_twice_is_a_doubt() {
    let judgement = judge("p1 10-20 w1\np1 30-40 w1\np1 50-60 r1", Some(0), None);
    assert_eq!(judgement.verdict, Verdict::Unknown);
    assert_eq!(judgement.doubts[0].reason, "key \"x\" was not judged: 1 was written to it more than once");
}

#[test]
fn a_write_of_unknown_fate_counts_once_it_was_seen() {
    let text = "
        p1 10-20 w1
        p2 30-? w2
        p3 40-50 r2
        p3 100-110 r1
    ";
    assert_eq!(fact(&judge(text, None, None), "least Δ"), "50ms");
    assert_eq!(fact(&judge("p1 10-20 w1\np2 30-? w2\np3 100-110 r1", None, None), "least Δ"), "0ns");
}
