//! Whether every node serves again soon after the faults are over.
//!
//! From each moment at which the last open fault ended, every node that is called has to complete a call with ok within the time
//! that was asked for: a call that began after that moment. Where the next fault begins before that time is over nobody can say,
//! and such a moment is left out. Finds what is slow to come back, or never does: a backoff that is not reset, a connection
//! that nobody gives up, an election that is not called.
//!
//! Cannot tell who is to blame for what a client sees, nor see what no client asks for: a node that is not called is not judged.
//! Linear in the number of operations for each such moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schism_history::{History, Operation, Outcome, Time};

use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement};

/// The judge of how soon nodes serve again.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// How long they may take.
    pub within: Duration,
}

/// A moment after which nothing was wrong for long enough, and how long nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Healed {
    at: Time,
    until: Time,
}

/// What a node did after such a moment.
#[derive(Default)]
struct Seen {
    /// Positions of calls that were not ok although they began in the first half of the time allowed.
    unanswered: Vec<usize>,
    /// The first call with ok that began afterwards: its position, and when it was over.
    first: Option<(usize, Time)>,
}

impl Checker for Recovery {
    fn name(&self) -> &'static str {
        "recovery"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let moments = self.moments(history);
        let mut anomalies = Vec::new();
        let mut slowest = Duration::ZERO;
        for healed in &moments {
            for (node, seen) in after(history, *healed, self.within) {
                match seen.first {
                    Some((_, over)) if since(*healed, over) <= self.within => {
                        slowest = slowest.max(since(*healed, over));
                    }
                    // Somebody must have tried.
                    _ if seen.unanswered.is_empty() => {}
                    first => anomalies.push(self.late(history, &node, *healed, &seen.unanswered, first)),
                }
            }
        }
        let mut doubts = Vec::new();
        if moments.is_empty() {
            doubts.push(Doubt {
                reason: format!(
                    "nothing was well for {:?} after any fault: recovery was not seen",
                    self.within
                ),
                hint: Some(
                    "leave more time between faults, and after the last one: raise --time-limit".into(),
                ),
            });
        }
        let about = format!("every node serves again within {:?} of the end of all faults", self.within);
        let judgement = Judgement::new(self.name(), &about, anomalies, doubts);
        let judgement = judgement.with_fact("times all was healed", moments.len());
        judgement.with_fact("slowest of those in time", format!("{:.3} s", slowest.as_secs_f64()))
    }
}

impl Recovery {
    /// When the last open fault had ended and no other began for long enough.
    fn moments(&self, history: &History) -> Vec<Healed> {
        let entered =
            |phase: &str| history.phases.iter().find(|(_, name)| name == phase).map(|(time, _)| *time);
        // Between the load and the final calls nobody is called.
        let end = entered("recover").unwrap_or(history.end);
        let mut faults: Vec<_> = history.faults.iter().collect();
        faults.sort_by_key(|fault| fault.began);
        let mut moments = Vec::new();
        let mut open_until = None;
        for fault in faults {
            if let Some(at) = open_until.filter(|at| *at < fault.began) {
                moments.push(Healed { at, until: fault.began });
            }
            let ended = fault.ended.unwrap_or(Time::NEVER);
            open_until = Some(open_until.map_or(ended, |before: Time| before.max(ended)));
        }
        moments.extend(open_until.filter(|at| *at < end).map(|at| Healed { at, until: end }));
        moments.retain(|healed| since(*healed, healed.until) >= self.within);
        moments
    }

    fn late(
        &self,
        history: &History,
        node: &str,
        healed: Healed,
        unanswered: &[usize],
        first: Option<(usize, Time)>,
    ) -> Anomaly {
        let seconds = |time: Time| Duration::from_nanos(time.0).as_secs_f64();
        let calls = unanswered.len();
        let mut sentences = vec![format!(
            "all faults were over at {:.3} s, and of {calls} calls to {node} soon after that none was ok within {:?}",
            seconds(healed.at),
            self.within,
        )];
        if let Some(last) = unanswered.last().map(|at| history.operation(*at)) {
            let said = match &last.outcome {
                Outcome::Fail(why) | Outcome::Info(why) if !why.is_empty() => format!(": {why}"),
                _ => String::new(),
            };
            let (process, at) = (last.process.0, seconds(last.invoked));
            sentences.push(format!("the last of them was that of process {process} at {at:.3} s{said}"));
        }
        sentences.push(match first {
            Some((_, over)) => format!(
                "the first that was ok came back at {:.3} s, {:.3} s after the end of the faults",
                seconds(over),
                since(healed, over).as_secs_f64()
            ),
            None => {
                format!("none was until {:.3} s, when the next fault or the end came", seconds(healed.until))
            }
        });
        let last = unanswered.last().copied();
        let witness = unanswered.first().copied().into_iter().chain(last).chain(first.map(|(at, _)| at));
        let mut witness: Vec<usize> = witness.collect();
        witness.sort_unstable();
        witness.dedup();
        Anomaly {
            name: "slow recovery".into(),
            key: None,
            sentences,
            witness,
            culprit: last,
            possible_states: Vec::new(),
            refused: Vec::new(),
            proof: Vec::new(),
        }
    }
}

fn since(healed: Healed, time: Time) -> Duration {
    Duration::from_nanos(time.0.saturating_sub(healed.at.0))
}

/// What each node did after a moment, until the next fault.
fn after(history: &History, healed: Healed, within: Duration) -> BTreeMap<Arc<str>, Seen> {
    let mut nodes: BTreeMap<Arc<str>, Seen> = BTreeMap::new();
    let counts = |operation: &&(usize, Operation)| {
        operation.1.invoked >= healed.at && operation.1.invoked < healed.until
    };
    for (at, operation) in history.operations().enumerate().filter(|operation| counts(&operation)) {
        let Some(node) = &operation.node else { continue };
        let seen = nodes.entry(node.clone()).or_default();
        if operation.outcome.is_ok() {
            let earlier = seen.first.filter(|(_, over)| *over <= operation.completed);
            seen.first = Some(earlier.unwrap_or((at, operation.completed)));
        } else if since(healed, operation.invoked) <= within / 2 {
            seen.unanswered.push(at);
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use schism_history::{Call, Edge, Effect, Event, FaultEvent, Process, Ret, Value, What};

    use super::*;
    use crate::verdict::Verdict;

    /// Times in tenths of a second.
    enum At {
        /// A call by a client of this node, from then till then, and whether it was ok; never over without an end.
        Call(u64, u32, Option<u64>, bool),
        Fault(u64, u64),
        Recover(u64),
    }

    fn judge(parts: &[At]) -> Judgement {
        let mut events: Vec<(u64, What)> = vec![(0, What::Phase("load".into()))];
        for (part, id) in parts.iter().zip(0..) {
            match *part {
                At::Call(from, node, to, ok) => {
                    let call = Call::Write { key: Value::Int(1), value: i64::from(id).into() };
                    let process = Process(id);
                    let name = Some(format!("n{node}"));
                    events.push((from, What::Invoke { process, node: name, call: call.clone() }));
                    let outcome = if ok { Outcome::Ok(Ret::Done) } else { Outcome::Fail("no leader".into()) };
                    events.extend(to.map(|to| (to, What::Complete { process, call, outcome })));
                }
                At::Fault(from, to) => {
                    let event = |edge, effect| {
                        let (fault, detail, nodes) = ("partition".into(), String::new(), vec![]);
                        What::Fault(FaultEvent { id, fault, edge, detail, nodes, effect })
                    };
                    let effect = Effect { bit: true, evidence: String::new() };
                    events.extend([(from, event(Edge::Begin, None)), (to, event(Edge::End, Some(effect)))]);
                }
                At::Recover(at) => events.push((at, What::Phase("recover".into()))),
            }
        }
        events.sort_by_key(|(at, _)| *at);
        let event = |(at, what)| Event { time: Time(at * 100_000_000), what };
        let history = History::from_events(events.into_iter().map(event)).expect("well formed");
        let over = || false;
        let budget = Budget { bytes: usize::MAX, time: Duration::MAX, over: &over };
        Recovery { within: Duration::from_secs(2) }.check(&history, budget)
    }

    #[test]
    fn who_serves_in_time_is_well_and_who_does_not_is_named() {
        use At::{Call, Fault, Recover};
        let quick =
            || vec![Fault(10, 20), Call(21, 1, Some(25), false), Call(30, 1, Some(39), true), Recover(60)];
        assert_eq!(judge(&quick()).verdict, Verdict::Valid);
        let mut slow = quick();
        slow.extend([Call(22, 2, Some(26), false), Call(23, 2, None, false), Call(38, 2, Some(41), true)]);
        let judgement = judge(&slow);
        assert_eq!(judgement.verdict, Verdict::Invalid);
        let [anomaly] = &judgement.anomalies[..] else { panic!("{judgement:?}") };
        assert!(anomaly.sentences[0].contains("2 calls to n2"), "{anomaly:?}");
        assert!(
            anomaly.sentences[1].contains("process 5 at 2.300 s")
                && anomaly.sentences[2].contains("2.100 s after"),
            "{anomaly:?}"
        );
        slow.pop();
        assert!(judge(&slow).anomalies[0].sentences[2].contains("none was until 6.000 s"));
    }

    /// Two that overlap are over together; whom nobody called while there was time is not judged, nor where the next fault comes
    /// too soon.
    #[test]
    fn only_what_could_be_seen_is_judged() {
        use At::{Call, Fault, Recover};
        let late = Call(21, 1, Some(22), false);
        assert_eq!(judge(&[Fault(10, 20), Fault(15, 30), late, Recover(60)]).verdict, Verdict::Valid);
        let late = Call(21, 1, Some(22), false);
        assert_eq!(judge(&[Fault(10, 20), Fault(39, 50), late, Recover(90)]).verdict, Verdict::Valid);
        let late = Call(21, 1, Some(22), false);
        assert_eq!(judge(&[Fault(10, 20), Fault(41, 50), late, Recover(90)]).verdict, Verdict::Invalid);
        assert_eq!(
            judge(&[Fault(10, 20), Call(31, 1, Some(32), false), Recover(60)]).verdict,
            Verdict::Valid
        );
        assert_eq!(judge(&[Fault(10, 20), Recover(39)]).verdict, Verdict::Unknown, "too soon over");
        assert_eq!(judge(&[Recover(39)]).verdict, Verdict::Unknown, "nothing to recover from");
    }
}
