//! `verdict.json`: whole without the history, and read back to the same value.

use schism_checker::{Judgement, Verdict};
use schism_history::History;
use schism_report::{About, Summary};

use crate::situations;

#[test]
fn what_is_written_reads_back() {
    for situation in [situations::valid(), situations::stale_read(), situations::unknown()] {
        let text = situation.summary.to_json();
        assert_eq!(Summary::from_json(&text).unwrap(), situation.summary);
    }
}

/// The names programs rely on.
#[test]
fn names_are_stable() {
    let text = situations::stale_read().summary.to_json();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["schism"], 1);
    assert_eq!(json["verdict"], "invalid");
    assert_eq!(json["seed"], 42);
    assert_eq!(json["judgements"][0]["verdict"], "invalid");
    let finding = &json["judgements"][0]["anomalies"][0];
    assert_eq!(finding["name"], "stale read");
    let witness = finding["witness"].as_array().unwrap();
    assert_eq!(witness.len(), 3);
    let read = witness.iter().find(|operation| operation["operation"] == finding["culprit"]).unwrap();
    assert_eq!((&read["f"], &read["type"], &read["node"]), (&"read".into(), &"ok".into(), &"n1".into()));
    assert!(read["value"].is_i64() && read["invoked_ns"].as_u64() < read["completed_ns"].as_u64());
    for name in ["duration_ns", "operations", "availability", "faults", "nodes"] {
        assert!(!json["measured"][name].is_null(), "{name}");
    }
    assert!(json["measured"]["availability"]["during"]["ok"].as_u64().unwrap() > 0);
}

#[test]
fn another_version_is_refused_by_name() {
    let text = situations::valid().summary.to_json().replace("\"schism\": 1", "\"schism\": 2");
    let error = Summary::from_json(&text).unwrap_err().to_string();
    assert_eq!(error, "verdict of form 2; this program reads form 1");
    assert!(Summary::from_json("{}").is_err());
}

#[test]
fn an_unknown_never_hides_an_invalid_and_nobody_asked_is_unknown() {
    let history = History::default();
    let judgement = |verdict| Judgement { verdict, ..Judgement::new("", "", vec![], vec![]) };
    let worst = |verdicts: &[Verdict]| {
        let judgements: Vec<Judgement> = verdicts.iter().copied().map(judgement).collect();
        Summary::new(About::default(), &judgements, &history).verdict
    };
    use Verdict::{Invalid, Unknown, Valid};
    assert_eq!(worst(&[Invalid, Unknown, Valid]), Invalid);
    assert_eq!(worst(&[Valid, Unknown]), Unknown);
    assert_eq!(worst(&[Valid]), Valid);
    assert_eq!(worst(&[]), Unknown);
}

/// Before, during and after add up, and each operation is counted where its interval lies.
#[test]
fn availability_adds_up() {
    let situation = situations::valid();
    let measured = &situation.summary.measured;
    let parts = measured.availability;
    let all = [parts.before, parts.during, parts.after].map(|period| period.counts.all());
    assert_eq!(all.iter().sum::<u64>(), situation.history.len() as u64);
    let before =
        situation.history.rows().iter().filter(|op| op.ended < Some(situation.history.faults[0].began));
    assert_eq!(parts.before.counts.all(), before.count() as u64);
    // Nobody answers writes sent to the node that is cut off, and nobody is cut off outside of faults.
    assert!(parts.during.counts.info > 0);
    assert_eq!(parts.before.counts.info, 0);
    let partition = &measured.faults[0];
    assert_eq!((partition.windows, partition.total_ns), (2, 4_500 * situations::MS));
    assert_eq!(partition.evidence.as_deref(), Some("2434 packets dropped"));
}
