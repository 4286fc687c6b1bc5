//! Histories written again: in our own text form, and for other tools as Jepsen's EDN and as a table of comma-separated
//! values.
//!
//! Ours has a place for all of a history; the others have not. EDN has none for faults, phases and notes, nor for what an
//! `add`, `remove`, `append` or `increment` was answered; where a history has more keys than `nil`, each value is a pair
//! `[key value]`, as of Jepsen's independent workloads. A table has one row an
//! operation, values as JSON.

use std::io::{self, Write};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::call::{Argument, CallKind, Outcome, Ret, Step};
use crate::event::{Edge, Event, FaultEvent, Process, Time, What};
use crate::history::{History, Operation, Position};
use crate::jsonl::write_event;
use crate::value::Value;

/// An invocation or a completion: when, where among all of that time, of which operation, and whether it completes it.
type End = (u64, u64, u32, bool);

/// All of them, in the order of time.
fn ends(history: &History) -> Vec<End> {
    let mut ends: Vec<End> = Vec::with_capacity(2 * history.len());
    let columns = history.columns();
    for at in 0..history.len() {
        let (invoke, complete) = (u64::from(columns.invoke()[at]), columns.complete()[at]);
        let (invoked, ended) = (columns.invoked()[at], columns.ended()[at]);
        ends.push((invoked, 2 * invoke, at as u32, false));
        match complete {
            Position::MAX if ended == u64::MAX => {}
            // Where it stood among the events of that time is not kept: before all but its own invocation will do.
            Position::MAX if ended > invoked => ends.push((ended, 0, at as u32, true)),
            Position::MAX => ends.push((ended, 2 * invoke + 1, at as u32, true)),
            complete => ends.push((ended, 2 * u64::from(complete), at as u32, true)),
        }
    }
    ends.sort_unstable();
    ends
}

/// Writes the history in our own text form ([`crate::jsonl`]), with faults, phases and notes. A process that comes back after
/// an `info`, as some peers have it, goes on under another number, the next free one.
///
/// # Errors
/// When `out` does.
pub fn jsonl(out: &mut impl Write, history: &History) -> io::Result<()> {
    let mut others = others(history).into_iter().peekable();
    let mut processes = Renumbered::new(history);
    let mut index = 0;
    let mut write = |event: &Event| {
        index += 1;
        write_event(out, index - 1, event)
    };
    for (time, _, at, completed) in ends(history) {
        while let Some(other) = others.next_if(|other| other.time.0 <= time) {
            write(&other)?;
        }
        let Operation { process, node, call, outcome, .. } = history.operation(at as usize);
        let process = processes.of(process, !completed);
        let what = if completed {
            if history.columns().status()[at as usize].is_info() {
                processes.retire(history.columns().process()[at as usize]);
            }
            What::Complete { process, call, outcome }
        } else {
            What::Invoke { process, node: node.as_deref().map(String::from), call }
        };
        write(&Event { time: Time(time), what })?;
    }
    others.try_for_each(|other| write(&other))
}

/// Numbers of processes none of which comes back after an `info`.
struct Renumbered {
    retired: FxHashMap<u32, bool>,
    now: FxHashMap<u32, u32>,
    next: u32,
}

impl Renumbered {
    fn new(history: &History) -> Self {
        let most = history.columns().process().iter().max().map_or(0, |most| most.saturating_add(1));
        Renumbered { retired: FxHashMap::default(), now: FxHashMap::default(), next: most }
    }

    fn retire(&mut self, process: u32) {
        self.retired.insert(process, true);
    }

    /// What the process is called now; another name if it comes back.
    fn of(&mut self, process: Process, invokes: bool) -> Process {
        if invokes && self.retired.insert(process.0, false) == Some(true) {
            self.now.insert(process.0, self.next);
            self.next = self.next.saturating_add(1);
        }
        Process(*self.now.get(&process.0).unwrap_or(&process.0))
    }
}

/// Faults, phases and notes as events, in the order of time.
fn others(history: &History) -> Vec<Event> {
    let mut others = Vec::new();
    for window in &history.faults {
        let edge = |edge, effect| {
            What::Fault(FaultEvent {
                id: window.id,
                fault: window.fault.clone(),
                edge,
                detail: window.detail.clone(),
                nodes: window.nodes.clone(),
                effect,
            })
        };
        others.push(Event { time: window.began, what: edge(Edge::Begin, None) });
        if let Some(time) = window.ended {
            others.push(Event { time, what: edge(Edge::End, window.effect.clone()) });
        }
    }
    let phases = history.phases.iter().cloned();
    others.extend(phases.map(|(time, phase)| Event { time, what: What::Phase(phase) }));
    let notes = history.notes.iter().cloned();
    others.extend(notes.map(|(time, note)| Event { time, what: What::Note(note) }));
    others.sort_by_key(|event| event.time);
    others
}

/// Writes the operations as Jepsen does: a map for each invocation and each completion, in the order of time.
///
/// # Errors
/// When `out` does.
pub fn edn(out: &mut impl Write, history: &History) -> io::Result<()> {
    let keyed = history.columns().keys().iter().any(|key| *key != Value::Nil);
    for (index, (time, _, at, completed)) in ends(history).into_iter().enumerate() {
        let operation = history.operation(at as usize);
        write!(out, "{{:index {index}, :time {time}, :process {}, ", operation.process.0)?;
        let kind = if completed { operation.outcome.word() } else { "invoke" };
        write!(out, ":type :{kind}, :f :{}, :value ", operation.call.kind())?;
        let value = shown(&operation, completed);
        if keyed && operation.call.kind() != CallKind::Txn {
            write!(out, "[")?;
            edn_value(out, operation.call.key())?;
            write!(out, " ")?;
            edn_value(out, &value)?;
            write!(out, "]")?;
        } else {
            edn_value(out, &value)?;
        }
        match (&operation.node, &operation.outcome) {
            (Some(node), _) if !completed => write!(out, ", :node {}", serde_json::to_string(&**node)?)?,
            (_, Outcome::Fail(why) | Outcome::Info(why)) if completed => {
                write!(out, ", :error {}", serde_json::to_string(why)?)?;
            }
            _ => {}
        }
        writeln!(out, "}}")?;
    }
    Ok(())
}

/// The value of an invocation or of its completion.
fn shown(operation: &Operation, completed: bool) -> Value {
    let answer = match &operation.outcome {
        Outcome::Ok(Ret::Value(value)) if completed => Some(value),
        _ => None,
    };
    match operation.call.argument() {
        Argument::Nothing => answer.cloned().unwrap_or_default(),
        Argument::Value(value) if operation.call.kind() == CallKind::Contains => {
            answer.unwrap_or(value).clone()
        }
        Argument::Value(value) => value.clone(),
        Argument::Number(number) => Value::Int(number),
        Argument::Two(from, to) => Value::list([from.clone(), to.clone()]),
        Argument::Steps(steps) => {
            let seen = answer.and_then(Value::elements).unwrap_or_default();
            Value::list(steps.iter().enumerate().map(|(place, step)| {
                let value = match step {
                    Step::Read { .. } => seen.get(place).cloned().unwrap_or_default(),
                    Step::Write { value, .. } | Step::Append { value, .. } => value.clone(),
                };
                // With a colon, a text is written as the keyword it was read from.
                Value::list([format!(":{}", step.word()).as_str().into(), step.key().clone(), value])
            }))
        }
    }
}

fn edn_value(out: &mut impl Write, value: &Value) -> io::Result<()> {
    match value {
        Value::Nil => write!(out, "nil"),
        Value::Bool(bool) => write!(out, "{bool}"),
        Value::Int(int) => write!(out, "{int}"),
        Value::Text(word) if is_keyword(word) => write!(out, "{word}"),
        Value::Text(text) => write!(out, "{}", serde_json::to_string(&**text)?),
        Value::List(items) => {
            write!(out, "[")?;
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    write!(out, " ")?;
                }
                edn_value(out, item)?;
            }
            write!(out, "]")
        }
    }
}

/// Whether a text is what a keyword becomes when it is read.
fn is_keyword(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|word| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    })
}

/// An operation as a row of a table: keys, values and answers as JSON, times in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who.
    pub process: u32,
    /// The node it spoke to, where known.
    pub node: Option<Arc<str>>,
    /// The word of what it asked.
    pub f: &'static str,
    /// Of which object.
    pub key: String,
    /// What it was called with; none of a bare call.
    pub value: Option<String>,
    /// `ok`, `fail` or `info`.
    pub kind: &'static str,
    /// What it was answered, if it was ok and answered by anything.
    pub answer: Option<String>,
    /// Why it was not ok.
    pub error: Option<String>,
    /// When it was invoked.
    pub invoked: u64,
    /// When it was answered or given up.
    pub ended: Option<u64>,
    /// Where its invocation stands among all events.
    pub invoke: Position,
    /// Where its completion stands among all events, unless it is info.
    pub complete: Option<Position>,
}

impl Row {
    /// The names of its columns, in this order.
    pub const NAMES: [&str; 12] = [
        "process", "node", "f", "key", "value", "type", "answer", "error", "invoked", "ended", "invoke",
        "complete",
    ];

    fn of(operation: Operation) -> io::Result<Row> {
        let value = match operation.call.is_bare() {
            true => None,
            false => Some(serde_json::to_string(&shown(&operation, false))?),
        };
        let kind = operation.outcome.word();
        let (answer, error) = match operation.outcome {
            Outcome::Ok(Ret::Value(value)) => (Some(serde_json::to_string(&value)?), None),
            Outcome::Ok(Ret::Done) => (None, None),
            Outcome::Fail(why) | Outcome::Info(why) => (None, Some(why)),
        };
        Ok(Row {
            process: operation.process.0,
            f: operation.call.kind().word(),
            key: serde_json::to_string(operation.call.key())?,
            node: operation.node,
            value,
            kind,
            answer,
            error,
            invoked: operation.invoked.0,
            ended: operation.ended.map(|ended| ended.0),
            invoke: operation.invoke,
            complete: (operation.complete != Position::MAX).then_some(operation.complete),
        })
    }
}

/// The operations as rows, in the order of invocation, each made when it is asked for.
pub fn rows(history: &History) -> impl Iterator<Item = io::Result<Row>> {
    history.operations().map(Row::of)
}

/// Writes the operations as comma-separated values: a line of names ([`Row::NAMES`]), then a line for each in the order of
/// invocation. What has no value is empty.
///
/// # Errors
/// When `out` does.
pub fn csv(out: &mut impl Write, history: &History) -> io::Result<()> {
    writeln!(out, "{}", Row::NAMES.join(","))?;
    for row in rows(history) {
        let row = row?;
        write!(out, "{},", row.process)?;
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
        let texts = [row.node.as_deref().unwrap_or_default(), row.f, &row.key, &or_nothing(&row.value)];
        for text in texts.into_iter().chain([row.kind, &or_nothing(&row.answer), &or_nothing(&row.error)]) {
            cell(out, text)?;
        }
        write!(out, "{},", row.invoked)?;
        match row.ended {
            Some(ended) => write!(out, "{ended},")?,
            None => write!(out, ",")?,
        }
        match row.complete {
            None => writeln!(out, "{},", row.invoke)?,
            Some(complete) => writeln!(out, "{},{complete}", row.invoke)?,
        }
    }
    Ok(())
}

/// A text, quoted where it must be, and a comma.
fn cell(out: &mut impl Write, text: &str) -> io::Result<()> {
    if text.contains(['"', ',', '\n', '\r']) {
        write!(out, "\"{}\",", text.replace('"', "\"\""))
    } else {
        write!(out, "{text},")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jepsen::{Keys, read_edn};

    const TEXT: &str = concat!(
        "{:process 0 :type :invoke :f :write :value [:k \"a \\\"b\\\"\\n, c\"] :time 5 :node \"n1\"}\n",
        "{:process 1 :type :invoke :f :read :value [2 nil] :time 5}\n",
        "{:process 1 :type :ok :f :read :value [2 [1 true nil]] :time 6}\n",
        "{:process 2 :type :invoke :f :txn :value [[:r 1 nil] [:append 2 3]] :time 6}\n",
        "{:process 2 :type :ok :f :txn :value [[:r 1 [7]] [:append 2 3]] :time 7}\n",
        "{:process 3 :type :invoke :f :cas :value [2 [1 4]] :time 7}\n",
        "{:process 0 :type :info :f :write :value [:k nil] :time 7 :error \"slow, \\\"very\\\"\"}\n",
        "{:process 3 :type :fail :f :cas :value [2 [1 4]] :time 8 :error \"no\"}\n",
        "{:process 4 :type :invoke :f :contains :value [2 9] :time 8}\n",
        "{:process 4 :type :ok :f :contains :value [2 true] :time 9}\n",
        "{:process 5 :type :invoke :f :dequeue :value [2 nil] :time 9}\n",
    );

    #[test]
    fn edn_says_what_was_read() {
        let history = read_edn(TEXT.as_bytes(), Keys::Tuple).unwrap().history;
        let mut out = Vec::new();
        edn(&mut out, &history).unwrap();
        let again = read_edn(out.as_slice(), Keys::Tuple).unwrap().history;
        let but_for_positions = |history: &History| -> Vec<Operation> {
            let positions = |operation| Operation { invoke: 0, complete: 0, ..operation };
            history.operations().map(positions).collect()
        };
        assert_eq!(
            but_for_positions(&again),
            but_for_positions(&history),
            "{}",
            String::from_utf8_lossy(&out)
        );
        assert_eq!(again.operation(0).node.as_deref(), Some("n1"));
    }

    #[test]
    fn the_table_has_a_line_for_each_operation() {
        let history = read_edn(TEXT.as_bytes(), Keys::Tuple).unwrap().history;
        let mut out = Vec::new();
        csv(&mut out, &history).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[1], r#"0,n1,write,""":k""","""a \""b\""\n, c""",info,,"slow, ""very""",5,7,0,"#);
        assert_eq!(lines[2], "1,,read,2,,ok,\"[1,true,null]\",,5,6,1,2");
        assert_eq!(lines[6], "5,,dequeue,2,,info,,the history ends before its completion,9,,10,");
    }
}
