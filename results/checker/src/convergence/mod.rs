//! Convergence: once all faults are healed and nobody writes any more, all replicas say the same, and what they say holds all
//! that was acknowledged.
//!
//! Final reads are those that begin in the phase `final`, the last one if there are several: a workload's finale reads every key
//! at every node there, as often as it likes. Of each key the last of them at each node counts; the earlier ones tell when nodes
//! began to agree. A client whose node is not known is a replica by itself.
//!
//! It finds:
//! * **diverged**: last final reads of two nodes that differ; of keys to which elements are added, as sets;
//! * **lost element**: added with an acknowledgement, not there in the end, and every remove of it was over before that add
//!   began, so that none can have seen it;
//! * **returned element**: added once, removed with an acknowledgement by a client that had read it, and there in the end;
//! * **lost increment**, **made-up increment**: a counter beyond the bounds of what was acknowledged and what may have happened;
//! * **lost write**: a register ends with a value though an acknowledged write came after all writes of it: after them in the
//!   order of causes, that is by a client that had written or read that value; or anything at all after the initial one.
//!   Concurrent writes are nobody's loss: which of them wins is not judged here;
//! * **made-up value**: an end that nobody can have written.
//!
//! It says how long after the last fault ended the nodes still differed. It cannot find what only reads before the end saw, and
//! does not judge logs, queues and locks. Linear, but for the looking up of elements.

mod lost;

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use schism_history::{Call, History, Key, Operation, Outcome, Process, Time, Value};

use crate::explain::wording::{did, when, who};
use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement, ProofStep};

/// The judge of convergence.
#[derive(Clone, Debug, Default)]
pub struct Convergence {
    /// What each register holds at first.
    pub initial: Value,
}

impl Replica {
    fn name(&self) -> String {
        match self {
            Replica::Node(node) => node.clone(),
            Replica::Client(process) => format!("the replica of {process}"),
        }
    }
}

/// A value in a sentence: the first so many characters of a long one.
fn brief(value: &Value) -> String {
    const MOST: usize = 200;
    let whole = value.to_string();
    match whole.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", &whole[..end]),
        None => whole,
    }
}

/// What was done to one key.
#[derive(Default)]
struct Object {
    /// All that was not certainly without effect, but reads.
    changes: Vec<usize>,
    reads: Vec<usize>,
    /// The final reads that were answered, in the order of invocation.
    last: Vec<usize>,
}

/// Who answered a read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Replica {
    Node(String),
    Client(Process),
}

impl Checker for Convergence {
    fn name(&self) -> &'static str {
        "convergence"
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        let about = "convergence after the last fault";
        let begin = history.phases.iter().rev().find(|(_, phase)| phase == "final").map(|(time, _)| *time);
        let Some(begin) = begin else {
            let doubt = Doubt {
                reason: "there is no phase `final`: it is not known which reads are the last".into(),
                hint: Some("record a phase named final, and read every key at every node in it".into()),
            };
            return Judgement::new(self.name(), about, Vec::new(), vec![doubt]);
        };
        let (mut anomalies, mut doubts) = (Vec::new(), Vec::new());
        let replicas: FxHashSet<Replica> = history.rows().iter().map(replica).collect();
        let nodes: Vec<&Replica> = replicas.iter().filter(|of| matches!(of, Replica::Node(_))).collect();
        let (mut final_reads, mut agreed): (usize, Option<Time>) = (0, None);
        let objects = objects(history, begin);
        for (key, object) in &objects {
            if (budget.over)() {
                doubts.push(Doubt {
                    reason: format!("the time allowed was used up before key {key} was judged"),
                    hint: Some("raise the time allowed for checking".into()),
                });
                break;
            }
            final_reads += object.last.len();
            let of_key = OfKey { judge: self, history, key, object };
            let ends = of_key.ends();
            doubts.extend(of_key.silent(&nodes, &ends));
            let late = of_key.still_written(begin);
            match of_key.diverged(&ends) {
                Some(_) if late.is_some() => {}
                Some(_) if of_key.unsettled(&ends) => doubts.push(Doubt {
                    reason: format!(
                        "nodes end differently on key {key}, but calls of unknown fate may have taken effect meanwhile"
                    ),
                    hint: Some("wait longer between the last fault and the phase final".into()),
                }),
                diverged => anomalies.extend(diverged),
            }
            doubts.extend(late);
            anomalies.extend(of_key.lost());
            agreed = agreed.max(of_key.last_to_differ(&ends));
        }
        let healed = history.faults.iter().filter_map(|fault| fault.ended).max().unwrap_or(begin);
        let took = match agreed {
            _ if anomalies.iter().any(|anomaly| anomaly.name == "diverged") => "never seen to agree".into(),
            Some(time) => {
                format!(
                    "still apart {:?} after the last fault",
                    Duration::from_nanos(time.0.saturating_sub(healed.0))
                )
            }
            None => "agreed from the first final read on".into(),
        };
        Judgement::new(self.name(), about, anomalies, doubts)
            .with_fact("keys", objects.len())
            .with_fact("replicas", replicas.len())
            .with_fact("final reads", final_reads)
            .with_fact("convergence", took)
    }
}

/// The keys in the order of first use, and what was done to each.
fn objects(history: &History, begin: Time) -> Vec<(&Key, Object)> {
    let mut objects: Vec<(&Key, Object)> = Vec::new();
    let mut places: FxHashMap<&Key, usize> = FxHashMap::default();
    for (at, operation) in history.rows().iter().enumerate() {
        if matches!(operation.call, Call::Txn { .. }) {
            continue;
        }
        let key = operation.call.key();
        let place = *places.entry(key).or_insert_with(|| {
            objects.push((key, Object::default()));
            objects.len() - 1
        });
        let object = &mut objects[place].1;
        if operation.call.changes() {
            if !matches!(operation.outcome, Outcome::Fail(_)) {
                object.changes.push(at);
            }
        } else if operation.read().is_some() {
            object.reads.push(at);
            if operation.invoked >= begin {
                object.last.push(at);
            }
        }
    }
    objects
}

fn replica(operation: &Operation) -> Replica {
    match &operation.node {
        Some(node) => Replica::Node(node.to_string()),
        None => Replica::Client(operation.process),
    }
}

/// One key before the judge.
struct OfKey<'a, 'h> {
    judge: &'a Convergence,
    history: &'h History,
    key: &'h Key,
    object: &'a Object,
}

impl<'h> OfKey<'_, 'h> {
    fn row(&self, at: usize) -> &'h Operation {
        &self.history.rows()[at]
    }

    fn seen(&self, at: usize) -> &'h Value {
        self.row(at).read().expect("only answered reads are kept")
    }

    fn holds_elements(&self) -> bool {
        let adds = |at: &usize| matches!(self.row(*at).call, Call::Add { .. } | Call::Remove { .. });
        self.object.changes.iter().any(adds)
    }

    /// The last final read of each replica.
    fn ends(&self) -> Vec<usize> {
        let mut last: FxHashMap<Replica, usize> = FxHashMap::default();
        for at in &self.object.last {
            last.insert(replica(self.row(*at)), *at);
        }
        let mut ends: Vec<usize> = last.into_values().collect();
        ends.sort_unstable();
        ends
    }

    fn same(&self, one: &Value, other: &Value) -> bool {
        match (one.elements(), other.elements()) {
            (Some(one), Some(other)) if self.holds_elements() => {
                one.iter().collect::<FxHashSet<_>>() == other.iter().collect::<FxHashSet<_>>()
            }
            _ => one == other,
        }
    }

    /// Nodes of whom it is not known how they end.
    fn silent(&self, nodes: &[&Replica], ends: &[usize]) -> Option<Doubt> {
        let answered: FxHashSet<Replica> = ends.iter().map(|at| replica(self.row(*at))).collect();
        let mut silent: Vec<&str> = nodes
            .iter()
            .filter(|node| !answered.contains(**node))
            .filter_map(|node| match node {
                Replica::Node(name) => Some(name.as_str()),
                Replica::Client(_) => None,
            })
            .collect();
        silent.sort_unstable();
        let reason = match (ends.is_empty(), silent.is_empty()) {
            (true, _) => format!("no final read of key {} was answered", self.key),
            (_, false) => format!("{} answered no final read of key {}", silent.join(" "), self.key),
            _ => return None,
        };
        Some(Doubt { reason, hint: Some("read every key at every node in the phase final".into()) })
    }

    /// Replicas may still differ while somebody writes.
    fn still_written(&self, begin: Time) -> Option<Doubt> {
        let late = self
            .object
            .changes
            .iter()
            .find(|at| self.row(**at).completed > begin && self.row(**at).outcome.is_ok())?;
        let call = &self.row(*late).call;
        Some(Doubt {
            reason: format!("key {} was still changed in the phase final, by {call}", self.key),
            hint: Some("let all writes end before the phase final begins".into()),
        })
    }

    fn diverged(&self, ends: &[usize]) -> Option<Anomaly> {
        let (first, rest) = ends.split_first()?;
        let other = rest.iter().find(|at| !self.same(self.seen(**at), self.seen(*first)))?;
        let (one, two) = (self.row(*first), self.row(*other));
        let sentence = format!(
            "{} in the end {} ({}), but {} {} ({})",
            who(one),
            did(one),
            when(one),
            who(two),
            did(two),
            when(two)
        );
        let mut anomaly = self.anomaly("diverged", sentence, vec![*first, *other], *other);
        for (held, nodes) in self.camps(ends) {
            anomaly.sentences.push(format!("in the end {} held {}", nodes.join(" "), brief(held)));
            anomaly.possible_states.push(brief(held));
        }
        Some(anomaly)
    }

    /// What each replica held in the end.
    fn held(&self, ends: &[usize]) -> Vec<ProofStep> {
        let held = |at: &usize| {
            let (row, held) = (self.row(*at), self.seen(*at));
            ProofStep {
                what: "holds".into(),
                operations: vec![*at],
                values: vec![replica(row).name(), brief(held)],
                because: format!(
                    "{} held {} in the end: read by {} ({})",
                    replica(row).name(),
                    brief(held),
                    row.process,
                    when(row)
                ),
            }
        };
        ends.iter().map(held).collect()
    }

    /// The replicas that held the same, in the order of their reads.
    fn camps(&self, ends: &[usize]) -> Vec<(&'h Value, Vec<String>)> {
        let mut camps: Vec<(&Value, Vec<String>)> = Vec::new();
        for at in ends {
            let (held, name) = (self.seen(*at), replica(self.row(*at)).name());
            match camps.iter_mut().find(|(other, _)| self.same(other, held)) {
                Some((_, names)) => names.push(name),
                None => camps.push((held, vec![name])),
            }
        }
        camps
    }

    /// Whether the ends may differ because a call of unknown fate took effect between the reads.
    fn unsettled(&self, ends: &[usize]) -> bool {
        let unknown: Vec<&Call> = self
            .object
            .changes
            .iter()
            .filter(|at| !self.row(**at).outcome.is_ok())
            .map(|at| &self.row(*at).call)
            .collect();
        let may = |value: &Value| {
            unknown.iter().any(|call| match call {
                Call::Write { value: to, .. } | Call::Cas { to, .. } => to == value,
                Call::Add { value: element, .. } | Call::Remove { value: element, .. } => element == value,
                _ => true,
            })
        };
        let seen: FxHashSet<&Value> = ends.iter().map(|at| self.seen(*at)).collect();
        if !self.holds_elements() {
            return seen.into_iter().any(may);
        }
        let sets: Vec<FxHashSet<&Value>> =
            seen.into_iter().filter_map(Value::elements).map(|items| items.iter().collect()).collect();
        let all: FxHashSet<&Value> = sets.iter().flatten().copied().collect();
        all.into_iter().filter(|value| sets.iter().any(|set| !set.contains(value))).all(may)
    }

    /// Whether it was over before the last final read began: only then must that read show it.
    fn over_before(&self, at: usize, last: usize) -> bool {
        self.row(at).precedes(self.row(last))
    }

    /// When a final read that ended otherwise began, the last of all.
    fn last_to_differ(&self, ends: &[usize]) -> Option<Time> {
        let end = self.seen(*ends.last()?);
        let differ = self.object.last.iter().rev().find(|at| !self.same(self.seen(**at), end))?;
        Some(self.row(*differ).invoked)
    }

    fn anomaly(&self, name: &str, sentence: String, mut witness: Vec<usize>, culprit: usize) -> Anomaly {
        witness.sort_unstable();
        witness.dedup();
        Anomaly {
            name: name.into(),
            key: Some(self.key.clone()),
            sentences: vec![sentence],
            witness,
            culprit: Some(culprit),
            possible_states: Vec::new(),
            refused: Vec::new(),
            proof: self.held(&self.ends()),
        }
    }
}
