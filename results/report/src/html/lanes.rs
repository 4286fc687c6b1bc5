//! Who is drawn on which line: processes grouped by their node, and a process that retired followed on the same line by
//! the one that took its place.

use std::collections::HashMap;

use schism_history::{History, Process};

use super::focus::end;
use crate::wording::{natural, printable, shorten};

/// One line of a picture.
pub(super) struct Lane<'h> {
    /// The node its processes speak to, where known.
    pub(super) node: Option<&'h str>,
    /// The processes, one after the other.
    pub(super) processes: Vec<Process>,
    /// Their operations, by position, in the order of invocation.
    pub(super) operations: Vec<usize>,
    /// When the last one's last operation ended.
    until: u64,
}

impl Lane<'_> {
    /// Whose line it is: `process 4`, `process 4, 9, …`.
    pub(super) fn label(&self) -> String {
        let shown: Vec<String> = self.processes.iter().take(2).map(|p| p.0.to_string()).collect();
        let more = if self.processes.len() > 2 { ", …" } else { "" };
        format!("process {}{more}", shown.join(", "))
    }

    /// Its node, for people.
    pub(super) fn node_label(&self) -> String {
        self.node.map_or_else(String::new, |node| shorten(&printable(node), 10))
    }
}

/// Puts operations on lines, which are in the order of nodes, then of time.
pub(super) fn lanes<'h>(operations: &[usize], history: &'h History) -> Vec<Lane<'h>> {
    let mut of_process: HashMap<Process, Lane<'h>> = HashMap::new();
    for &at in operations {
        let operation = &history.rows()[at];
        let lane = of_process.entry(operation.process).or_insert_with(|| Lane {
            node: operation.node.as_deref(),
            processes: vec![operation.process],
            operations: Vec::new(),
            until: 0,
        });
        lane.operations.push(at);
        lane.until = lane.until.max(end(operation, history));
    }
    let mut single: Vec<Lane> = of_process.into_values().collect();
    single.sort_by_cached_key(|lane| (lane.node.map(natural), lane.operations[0]));
    let mut packed: Vec<Lane> = Vec::new();
    let mut group = 0;
    for lane in single {
        if packed.last().is_some_and(|last| last.node != lane.node) {
            group = packed.len();
        }
        let begins = history.rows()[lane.operations[0]].invoked.0;
        match packed[group..].iter_mut().find(|earlier| earlier.until < begins) {
            Some(earlier) => {
                earlier.processes.extend(lane.processes);
                earlier.operations.extend(lane.operations);
                earlier.until = lane.until;
            }
            None => packed.push(lane),
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use schism_history::{Call, Event, Key, Outcome, Ret, Time, What};

    /// `(process, node, from, to)`
    fn history(operations: &[(u32, &str, u64, u64)]) -> History {
        let call = Call::Read { key: Key::Nil };
        let mut events = Vec::new();
        for &(process, node, from, to) in operations {
            let process = Process(process);
            events.push((from, What::Invoke { process, node: Some(node.into()), call: call.clone() }));
            let outcome = Outcome::Ok(Ret::Value(Key::Nil));
            events.push((to, What::Complete { process, call: call.clone(), outcome }));
        }
        events.sort_by_key(|(time, _)| *time);
        History::from_events(events.into_iter().map(|(time, what)| Event { time: Time(time), what })).unwrap()
    }

    /// Process 7 takes the place of process 1; process 3 overlaps both; n10 stands after n2.
    #[test]
    fn a_retired_process_is_followed_on_its_line() {
        let history = history(&[(1, "n2", 0, 5), (3, "n2", 4, 8), (9, "n10", 0, 1), (7, "n2", 6, 7)]);
        let all: Vec<usize> = (0..history.len()).collect();
        let lanes = lanes(&all, &history);
        let who: Vec<(String, String)> = lanes.iter().map(|lane| (lane.node_label(), lane.label())).collect();
        let expected = [("n2", "process 1, 7"), ("n2", "process 3"), ("n10", "process 9")];
        assert_eq!(who, expected.map(|(node, label)| (node.to_string(), label.to_string())));
    }
}
