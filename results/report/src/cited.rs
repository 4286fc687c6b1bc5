//! An operation as a finding cites it: everything a reader needs of it, so that `verdict.json` can be read without the
//! history beside it.
//!
//! The words `f`, `key`, `value`, `type` and `error` are those of the history's own lines.

use schism_history::{CallKind, Event, Key, Operation, Outcome, Ret, Time, Value, What, jsonl};
use serde::{Deserialize, Serialize};

/// One operation of the history, in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CitedOperation {
    /// Its position among the history's operations, in the order of invocation, from 0.
    pub operation: usize,
    /// Who.
    pub process: u32,
    /// The node it spoke to, where known.
    pub node: Option<String>,
    /// The kind of its call.
    pub f: CallKind,
    /// The object it is about.
    pub key: Key,
    /// What it was to store, or, of a read that was ok, what it saw. `null` also if there is none.
    pub value: Option<Value>,
    /// `ok`, `fail` or `info`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why it failed, or why nobody knows.
    pub error: Option<String>,
    /// The call, for people: `write(3)`.
    pub call: String,
    /// What became of it, for people: `ok`, `3`, `info: no answer within 1 s`.
    pub outcome: String,
    /// When it was invoked, in nanoseconds since the run began.
    pub invoked_ns: u64,
    /// When it completed; `null` if it is `info`: it may still take effect at any later time.
    pub completed_ns: Option<u64>,
    /// When an answer arrived or the client gave up, also for `info`. Nothing is concluded from it.
    pub ended_ns: Option<u64>,
}

/// An operation that could have come next, and why it could not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusedOperation {
    /// Which.
    pub operation: CitedOperation,
    /// Why not, as a sentence.
    pub because: String,
}

/// One step of a proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CitedStep {
    /// What it is: `session order`, `reads from`, `real time`, `fresh`, `holds` …
    pub what: String,
    /// The operations that show it, the earlier one first.
    pub operations: Vec<CitedOperation>,
    /// What it is about: the older and the newer value of a step between versions; what a node held.
    pub values: Vec<String>,
    /// The step as a sentence.
    pub because: String,
}

/// What a history's line says beyond who, when and of which object: a transaction's line has no key.
#[derive(Deserialize)]
struct Line {
    f: CallKind,
    value: Option<Value>,
    error: Option<String>,
}

impl CitedOperation {
    /// Cites the operation that stands at a position of a history.
    pub(crate) fn new(position: usize, operation: &Operation) -> Self {
        let line = completion(operation);
        let completed = (operation.completed != Time::NEVER).then_some(operation.completed.0);
        CitedOperation {
            operation: position,
            process: operation.process.0,
            node: operation.node.as_deref().map(String::from),
            f: line.f,
            key: operation.call.key().clone(),
            value: line.value,
            kind: operation.outcome.word().into(),
            error: line.error,
            call: operation.call.to_string(),
            outcome: outcome(&operation.outcome),
            invoked_ns: operation.invoked.0,
            completed_ns: completed,
            ended_ns: operation.ended.map(|time| time.0),
        }
    }
}

/// The completion in the history's own words: written by its own writer, so that the two can never differ.
fn completion(operation: &Operation) -> Line {
    let what = What::Complete {
        process: operation.process,
        call: operation.call.clone(),
        outcome: operation.outcome.clone(),
    };
    let event = Event { time: operation.invoked, what };
    let mut text = Vec::new();
    jsonl::write_event(&mut text, 0, &event).expect("memory takes what is written to it");
    serde_json::from_slice(&text).expect("the history's writer writes what its reader reads")
}

/// What became of a call, for people.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(Ret::Done) => "ok".into(),
        Outcome::Ok(Ret::Value(value)) => value.to_string(),
        Outcome::Fail(error) => format!("fail: {error}"),
        Outcome::Info(error) => format!("info: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use schism_history::{Call, History, Process, Step};

    use super::*;

    /// A transaction has no key of its own, and its line none at all.
    #[test]
    fn a_transaction_is_cited_too() {
        let steps = [Step::Write { key: 1.into(), value: 5.into() }, Step::Read { key: 2.into() }];
        let call = Call::Txn { steps: steps.into() };
        let (process, seen) = (Process(3), Value::list([Value::Nil, 7.into()]));
        let outcome = Outcome::Ok(Ret::Value(seen));
        let events = [
            What::Invoke { process, node: None, call: call.clone() },
            What::Complete { process, call, outcome },
        ];
        let events = events.into_iter().zip(1..).map(|(what, time)| Event { time: Time(time), what });
        let history = History::from_events(events).expect("a call and its answer");
        let cited = CitedOperation::new(0, &history.operation(0));
        assert_eq!((cited.f, cited.key, cited.process), (CallKind::Txn, Value::Nil, 3));
        let list = |word: &str, key: i64, value: i64| Value::list([word.into(), key.into(), value.into()]);
        assert_eq!(cited.value, Some(Value::list([list("w", 1, 5), list("r", 2, 7)])));
    }
}
