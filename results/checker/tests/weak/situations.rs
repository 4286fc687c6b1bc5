//! One situation each, and what is said of it.

use schism_checker::weak::Model;
use schism_checker::{Budget, Checker, Judgement, Verdict, Weak};
use schism_history::{History, Value};

use crate::BUDGET;
use crate::script::history;

fn judge_by(model: Model, history: &History, budget: Budget<'_>) -> Judgement {
    Weak { model, initial: Value::Nil }.check(history, budget)
}

fn judge(model: Model, text: &str) -> Judgement {
    let judgement = judge_by(model, &history(text), BUDGET);
    for anomaly in &judgement.anomalies {
        assert!(anomaly.witness.len() <= 6, "{anomaly:#?}");
    }
    judgement
}

/// Which models are broken, and by what.
fn broken(text: &str) -> Vec<(Model, String)> {
    let names = |model| judge(model, text).anomalies.into_iter().map(move |anomaly| (model, anomaly.name));
    Model::ALL.into_iter().flat_map(names).collect()
}

#[test]
fn a_stale_read_breaks_none() {
    assert_eq!(broken("p1 10-20 w1\np1 30-40 w2\np2 50-60 r1"), []);
    assert_eq!(broken("p1 10-20 w1\np2 50-60 r-\np2 70-80 r1"), []);
}

#[test]
fn what_was_overwritten_before_ones_eyes() {
    let text = "p1 10-20 w1\np1 30-40 w2\np2 50-60 r2\np2 70-80 r1";
    let names: Vec<String> = broken(text).into_iter().map(|(_, name)| name).collect();
    assert_eq!(
        names,
        [
            "cyclic happened-before",
            "causally overwritten value",
            "causally overwritten value",
            "not sequentially consistent"
        ]
    );
    let judgement = judge(Model::Causal, text);
    let anomaly = &judgement.anomalies[0];
    assert_eq!((&anomaly.witness[..], anomaly.culprit), (&[0, 1, 2, 3][..], Some(3)));
    // The causal path, from the write to the read that had to know of it, and what follows.
    let proof = anomaly.proof.iter().map(|step| (&*step.what, &*step.operations));
    assert_eq!(
        proof.collect::<Vec<_>>(),
        [
            ("reads from", &[1, 2][..]),
            ("session order", &[2, 3][..]),
            ("older than what was seen", &[1, 0, 3][..]),
            ("session order", &[0, 1][..])
        ]
    );
    assert_eq!(
        anomaly.sentences,
        [
            "process 2 on n2 read 2 of \"x\" (0.050 s to 0.060 s), which process 1 on n1 had written.",
            "process 2 on n2 read 2 of \"x\" (0.050 s to 0.060 s), and after that read 1 of \"x\" (0.070 s to 0.080 s): the \
             same session.",
            "process 2 on n2 read 1 of \"x\" (0.070 s to 0.080 s), though 2 of \"x\" comes before that: 2 is older than 1.",
            "process 1 on n1 wrote 1 to \"x\" (0.010 s to 0.020 s), and after that wrote 2 to \"x\" (0.030 s to 0.040 s): the \
             same session.",
            "So one of them comes before itself: WriteCORead, which causal consistency forbids.",
        ]
    );
}

#[test]
fn what_was_there_at_first_after_something_newer() {
    let text = "p1 10-20 w1\np2 30-40 r1\np2 50-60 r-";
    let expected = ["overwritten initial value", "causally overwritten initial value"];
    let names: Vec<String> = broken(text).into_iter().map(|(_, name)| name).take(2).collect();
    assert_eq!(names, expected);
    assert_eq!(judge(Model::Pram, text).anomalies[0].witness, [0, 1, 2]);
}

#[test]
fn back_and_forth_between_concurrent_writes_is_causal_but_does_not_converge() {
    let text = "p1 10-20 w1\np2 10-20 w2\np3 30-40 r1\np3 50-60 r2\np3 70-80 r1";
    let models: Vec<Model> = broken(text).into_iter().map(|(model, _)| model).collect();
    assert_eq!(models, [Model::Pram, Model::Convergent, Model::Sequential]);
    // Two sessions that disagree for ever on which of two is the newer one.
    let apart = "p1 10-20 w1\np2 10-20 w2\np3 30-40 r1\np3 50-60 r2\np4 30-40 r2\np4 50-60 r1";
    let models: Vec<Model> = broken(apart).into_iter().map(|(model, _)| model).collect();
    assert_eq!(models, [Model::Convergent, Model::Sequential]);
    let judgement = judge(Model::Convergent, apart);
    assert_eq!(judgement.anomalies[0].name, "cyclic conflict order");
    assert_eq!(judgement.anomalies[0].sentences.len(), 7, "{:#?}", judgement.anomalies);
}

#[test]
fn two_reads_that_each_missed_the_others_write_are_not_sequential() {
    // Dekker's: on two keys, so by hand.
    let text = "p1 10-20 w1\np1 30-40 r1\np2 10-20 w2\np2 30-40 r2";
    assert_eq!(broken(text), []);
}

#[test]
fn a_write_of_unknown_fate_counts_if_it_was_seen() {
    assert_eq!(broken("p1 10-? w1\np2 30-40 r-"), []);
    let names = broken("p1 10-? w1\np2 30-40 r1\np2 50-60 r-");
    assert_eq!(names.len(), Model::ALL.len(), "{names:?}");
}

#[test]
fn a_failed_or_missing_write_is_no_source() {
    for text in ["p1 10-20 w1!\np2 30-40 r1", "p2 30-40 r1", "p2 10-20 r1\np1 30-40 w1"] {
        let names = broken(text);
        assert_eq!(names.len(), Model::ALL.len(), "{names:?}");
    }
}

#[test]
fn twice_written_values_and_spent_budgets_are_doubts() {
    for model in Model::ALL {
        let twice = judge(model, "p1 10-20 w1\np1 30-40 w1\np2 50-60 r1");
        assert_eq!(twice.verdict, Verdict::Unknown, "{twice:?}");
        let fine = history("p1 10-20 w1\np1 30-40 w2\np2 50-60 r1");
        let poor = judge_by(model, &fine, Budget { bytes: 8, ..BUDGET });
        assert_eq!(poor.verdict, Verdict::Unknown, "{poor:?}");
        assert!(poor.doubts[0].reason.contains("3 operations of 2 sessions"), "{poor:?}");
        let late = judge_by(model, &fine, Budget { over: &|| true, ..BUDGET });
        assert_ne!(late.verdict, Verdict::Invalid, "{late:?}");
    }
}
