//! Our own text form, written from a history and not line by line by a run: it says the same.

use schism_history::jepsen::read_edn;
use schism_history::{Call, History, Keys, Outcome, binary, export, jsonl};

fn written(history: &History) -> String {
    let mut out = Vec::new();
    export::jsonl(&mut out, history).unwrap();
    String::from_utf8(out).unwrap()
}

const LINES: &str = r#"{"index":0,"time":0,"type":"phase","phase":"load"}
{"index":1,"time":5,"type":"invoke","process":0,"node":"n1","f":"write","key":1,"value":7}
{"index":2,"time":5,"type":"fault","id":0,"fault":"pause","edge":"begin","detail":"n1","nodes":["n1"]}
{"index":3,"time":6,"type":"invoke","process":1,"f":"read","key":1}
{"index":4,"time":6,"type":"info","process":0,"f":"write","key":1,"value":7,"error":"no answer"}
{"index":5,"time":6,"type":"ok","process":1,"f":"read","key":1,"value":[7,null]}
{"index":6,"time":6,"type":"fault","id":0,"fault":"pause","edge":"end","detail":"n1","nodes":["n1"]}
{"index":7,"time":7,"type":"note","node":"n1","text":"slow","doubt":false}
{"index":8,"time":9,"type":"invoke","process":2,"f":"add","key":1,"value":3}
"#;

/// Operations, what became of them, who was before whom, faults, phases and notes: all of it comes back, also by way of the
/// binary form.
#[test]
fn all_of_a_history_comes_back() {
    let history = jsonl::read(LINES.as_bytes()).unwrap().history;
    let text = written(&history);
    let again = jsonl::read(text.as_bytes()).unwrap().history;
    assert_eq!(text.lines().count(), LINES.lines().count());
    assert_eq!(
        (&again.faults, &again.phases, &again.notes),
        (&history.faults, &history.phases, &history.notes)
    );
    assert_eq!((again.len(), again.events, again.end), (history.len(), history.events, history.end));
    for (one, other) in again.operations().zip(history.operations()) {
        assert_eq!(
            (one.process, &one.node, &one.call, &one.outcome),
            (other.process, &other.node, &other.call, &other.outcome)
        );
        assert_eq!((one.invoked, one.completed, one.ended), (other.invoked, other.completed, other.ended));
    }
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        let before = |history: &History| history.operation(one).precedes(&history.operation(other));
        assert_eq!(before(&again), before(&history));
    }
    let mut file = Vec::new();
    binary::write(&mut file, &history).unwrap();
    assert_eq!(written(&binary::from_bytes(&file).unwrap().history), text);
    assert_eq!(written(&again), text);
}

/// A peer's process that comes back after an info goes on as another one: ours are retired then.
#[test]
fn a_process_that_comes_back_has_another_number() {
    let text = "{:process 0 :type :invoke :f :write :value 1}{:process 0 :type :info :f :write :value 1}\
                {:process 0 :type :invoke :f :write :value 2}{:process 0 :type :info :f :write :value 2}\
                {:process 0 :type :invoke :f :read :value nil}{:process 0 :type :ok :f :read :value 2}\
                {:process 1 :type :invoke :f :read :value nil}{:process 1 :type :ok :f :read :value 2}";
    let history = read_edn(text.as_bytes(), Keys::One).unwrap().history;
    let again = jsonl::read(written(&history).as_bytes()).unwrap().history;
    let processes: Vec<u32> = again.operations().map(|operation| operation.process.0).collect();
    assert_eq!(processes, [0, 2, 3, 1]);
    let unknown = |operation: &schism_history::Operation| matches!(operation.outcome, Outcome::Info(_));
    assert_eq!(again.operations().filter(unknown).count(), 2);
    assert!(matches!(again.operation(2).call, Call::Read { .. }));
}
