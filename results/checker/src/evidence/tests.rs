//! One sound run, which must pass, and each way in which it can be made hollow, which must be noticed.

use std::time::Duration;

use schism_history::{
    Call, CallKind, Edge, Effect, Event, FaultEvent, History, Note, Outcome, Process, Ret, Time, Value, What,
};

use super::{Enough, Evidence};
use crate::verdict::{Budget, Checker, Judgement, Verdict};

fn call(process: u32, value: Option<i64>, outcome: Outcome) -> [What; 2] {
    let (process, key) = (Process(process), Value::Int(1));
    let call = match value {
        Some(value) => Call::Write { key, value: value.into() },
        None => Call::Read { key },
    };
    let node = Some(format!("n{}", process.0));
    [What::Invoke { process, node, call: call.clone() }, What::Complete { process, call, outcome }]
}

fn write(process: u32, value: i64) -> [What; 2] {
    call(process, Some(value), Outcome::Ok(Ret::Done))
}

fn read(process: u32, value: Value) -> [What; 2] {
    call(process, None, Outcome::Ok(Ret::Value(value)))
}

fn phase(name: &str) -> [What; 1] {
    [What::Phase(name.into())]
}

fn fault(id: u32, edge: Edge, effect: Option<bool>) -> [What; 1] {
    let effect = effect.map(|bit| Effect { bit, evidence: "0 packets dropped".into() });
    let (fault, detail) = ("partition".into(), "n1 | n2".into());
    [What::Fault(FaultEvent { id, fault, edge, detail, nodes: vec!["n1".into()], effect })]
}

/// The parts of a sound run, to be left out or replaced one at a time.
fn sound() -> Vec<Vec<What>> {
    vec![
        phase("load").into(),
        read(0, Value::Nil).into(),
        write(1, 10).into(),
        fault(0, Edge::Begin, None).into(),
        read(0, 10.into()).into(),
        write(1, 11).into(),
        fault(0, Edge::End, Some(true)).into(),
        write(1, 12).into(),
        phase("final").into(),
        read(0, 12.into()).into(),
        phase("end").into(),
    ]
}

/// Judges the parts as a history, one event a millisecond.
fn judge(parts: Vec<Vec<What>>) -> Judgement {
    let at = |(at, what)| Event { time: Time(at as u64 * 1_000_000), what };
    let history = History::from_events(parts.into_iter().flatten().enumerate().map(at)).unwrap();
    let evidence = Evidence {
        calls: vec![Enough::in_all(CallKind::Read, 3), Enough::in_all(CallKind::Write, 3)],
        faults: vec!["partition".into()],
        unique_values: true,
    };
    evidence.check(&history, Budget { bytes: usize::MAX, time: Duration::MAX, over: &|| false })
}

fn reasons(parts: Vec<Vec<What>>) -> Vec<String> {
    let judgement = judge(parts);
    assert!(judgement.anomalies.is_empty(), "a lack is no proof");
    assert!(judgement.doubts.iter().all(|doubt| doubt.hint.is_some()));
    assert_eq!(judgement.verdict == Verdict::Unknown, !judgement.doubts.is_empty());
    judgement.doubts.into_iter().map(|doubt| doubt.reason).collect()
}

/// The sound run with some part replaced.
fn with(place: usize, part: impl Into<Vec<What>>) -> Vec<Vec<What>> {
    let mut parts = sound();
    parts[place] = part.into();
    parts
}

/// The sound run with something more before a place.
fn before(place: usize, part: impl Into<Vec<What>>) -> Vec<Vec<What>> {
    let mut parts = sound();
    parts.insert(place, part.into());
    parts
}

#[test]
fn a_sound_run_passes() {
    let judgement = judge(sound());
    assert_eq!(judgement.verdict, Verdict::Valid, "{judgement:?}");
    let facts: Vec<_> = judgement.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(
        facts,
        [
            "read: 3 ok, 0 fail, 0 info",
            "write: 3 ok, 0 fail, 0 info",
            "ok on n0: 100.0 % of 3",
            "ok on n1: 100.0 % of 3",
            "ok during partition: 2, in 1 faults",
        ]
    );
}

#[test]
fn too_few_calls() {
    let failed = || call(1, Some(12), Outcome::Fail("refused".into()));
    assert_eq!(
        reasons(with(7, failed())),
        [
            "only 2 calls of write were ok in the whole run; at least 3 needed",
            "no write was ok after the last fault; at least 1 needed"
        ]
    );
    let mut early = with(2, call(1, Some(9), Outcome::Fail("refused".into())));
    early.insert(7, write(1, 10).into());
    assert_eq!(reasons(early), ["no write was ok before the first fault; at least 1 needed"]);
    let mut late = with(5, []);
    late.insert(7, write(1, 11).into());
    assert_eq!(reasons(late), ["no write was ok during partition; at least 1 needed"]);
}

/// A call that began before the fault proves nothing about the time of the fault.
#[test]
fn a_call_that_spans_the_edge_of_a_fault_is_not_during_it() {
    let [invoke, complete] = write(1, 11);
    let mut parts = with(5, []);
    parts[3].insert(0, invoke);
    parts[3].push(complete);
    parts[7].extend(write(2, 14));
    assert_eq!(reasons(parts), ["no write was ok during partition; at least 1 needed"]);
}

#[test]
fn a_fault_that_did_not_bite() {
    assert_eq!(
        reasons(with(6, fault(0, Edge::End, Some(false)))),
        ["partition (fault 0: n1 | n2) did not bite: 0 packets dropped"]
    );
    assert_eq!(
        reasons(with(6, fault(0, Edge::End, None))),
        ["partition (fault 0: n1 | n2) left no measured effect"]
    );
}

/// Of many faults of a kind one in four may meet somebody with nothing to do.
#[test]
fn of_many_faults_three_in_four_have_to_bite() {
    let missed = |missed: u32| {
        let more = (1..4).flat_map(|id| {
            [fault(id, Edge::Begin, None), fault(id, Edge::End, Some(id > missed))].into_iter().flatten()
        });
        reasons(before(6, more.collect::<Vec<What>>()))
    };
    assert_eq!(missed(1), Vec::<String>::new());
    assert_eq!(missed(2).len(), 2, "{:?}", missed(2));
}

#[test]
fn many_faults_that_did_not_bite_are_counted() {
    let more: Vec<What> = (1..9)
        .flat_map(|id| [fault(id, Edge::Begin, None), fault(id, Edge::End, Some(false))])
        .flatten()
        .collect();
    let reasons = reasons(before(6, more));
    assert_eq!(reasons.len(), 4);
    assert_eq!(reasons[3], "5 more faults of partition like this");
}

#[test]
fn a_fault_that_never_ended() {
    assert_eq!(reasons(with(6, [])), ["partition (fault 0: n1 | n2) began at 0.005 s and never ended"]);
}

#[test]
fn a_planned_fault_that_never_happened() {
    let mut parts = with(3, []);
    parts[6].clear();
    assert_eq!(reasons(parts), ["partition was planned but never happened"]);
}

#[test]
fn no_final_phase_or_no_answer_in_it() {
    assert_eq!(reasons(with(8, [])), ["the run never came to its final phase"]);
    let mut parts = with(9, call(0, None, Outcome::Info("no answer".into())));
    parts[7].extend(read(0, 12.into()));
    assert_eq!(reasons(parts), ["no read was ok in the final phase"]);
}

#[test]
fn a_run_that_was_cut() {
    assert_eq!(reasons(with(10, [])), ["the run was cut: its history has no end"]);
}

#[test]
fn a_death_that_may_be_the_machines_doing() {
    let note = |doubt| [What::Note(Note { node: "n2".into(), text: "killed by signal 9".into(), doubt })];
    assert_eq!(reasons(before(4, note(true))), ["n2 at 0.006 s: killed by signal 9"]);
    assert!(reasons(before(4, note(false))).is_empty());
}

#[test]
fn a_value_written_twice() {
    assert_eq!(
        reasons(with(7, write(1, 10))),
        ["10 was written to key 1 twice, by process 1 at 0.003 s and by process 1 at 0.011 s"]
    );
}

#[test]
fn a_store_that_was_not_empty() {
    assert_eq!(
        reasons(with(1, read(0, 7.into()))),
        ["dirty start: process 0 read 7 of key 1 at 0.002 s, before anybody changed it"]
    );
    assert!(reasons(with(1, read(0, Value::list([])))).is_empty());
    // A read that overlaps the first write may have seen it.
    let [invoke, complete] = read(0, 10.into());
    let mut parts = with(1, [invoke]);
    parts[2].insert(1, complete);
    assert!(reasons(parts).is_empty());
}

/// The thresholds themselves: one less is too few, the number itself is enough.
#[test]
fn windows_of_one_kind_count_together() {
    let mut parts = sound();
    parts.insert(6, fault(1, Edge::Begin, None).into());
    parts.insert(8, read(0, 11.into()).into());
    parts.insert(9, fault(1, Edge::End, Some(true)).into());
    let at = |(at, what)| Event { time: Time(at as u64), what };
    let history = History::from_events(parts.into_iter().flatten().enumerate().map(at)).unwrap();
    let during = |during| {
        let enough = Enough { kind: CallKind::Read, in_all: 0, before: 0, during, after: 0 };
        let evidence = Evidence { calls: vec![enough], ..Evidence::default() };
        let budget = Budget { bytes: usize::MAX, time: Duration::MAX, over: &|| false };
        evidence.check(&history, budget).verdict
    };
    assert_eq!([during(2), during(3)], [Verdict::Valid, Verdict::Unknown]);
}
