//! Runs made up for these tests: five nodes, clients that read and write a few registers, a partition and a crash. Every
//! answer is the one of a correct store, except where a situation plants another.

use schism_checker::{Anomaly, Doubt, Judgement, Refused};
use schism_history::{
    Call, Edge, Effect, Event, FaultEvent, History, Key, Note, Outcome, Process, Ret, Time, Value, What,
};
use schism_report::{About, Next, Summary};

/// One millisecond on the run's clock.
pub const MS: u64 = 1_000_000;
const NODES: u64 = 5;
const KEYS: u64 = 3;
/// How long a client waits for an answer.
const TIMEOUT: u64 = 1_000 * MS;

/// A judged run.
pub struct Situation {
    pub history: History,
    pub summary: Summary,
}

/// How a made-up run is to look.
pub struct Shape {
    /// Its length in milliseconds.
    pub length_ms: u64,
    /// The longest pause between two calls of a process, in microseconds.
    pub pause_us: u64,
    /// `(kind, from, to)` in milliseconds; all strike node 1.
    pub faults: Vec<(&'static str, u64, u64)>,
    /// Whether node 1 answers reads from its own memory while it is cut off.
    pub stale: bool,
}

/// An operation before it is put in the order of time.
struct Draft {
    process: u32,
    node: u64,
    call: Call,
    invoked: u64,
    ended: u64,
    outcome: Option<Outcome>,
}

/// A linear congruential stream: the same run in every test.
struct Stream(u64);

impl Stream {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A run of the shape asked for.
pub fn history(shape: &Shape) -> History {
    let mut drafts = drafts(shape);
    answer(&mut drafts, shape);
    let mut events: Vec<(u64, u8, Event)> = Vec::new();
    let mut put =
        |time: u64, rank: u8, what: What| events.push((time, rank, Event { time: Time(time), what }));
    put(0, 0, What::Phase("load".into()));
    for (id, (kind, from, to)) in shape.faults.iter().enumerate() {
        let effect = match *kind {
            "partition" => Effect { bit: true, evidence: format!("{} packets dropped", 1200 + 17 * id) },
            _ => Effect { bit: true, evidence: "n1: pid 217 → 342".into() },
        };
        for (time, edge, effect) in [(*from, Edge::Begin, None), (*to, Edge::End, Some(effect))] {
            let detail = if *kind == "partition" { "n1 | n2 n3 n4 n5" } else { "n1" };
            let (fault, nodes) = ((*kind).to_string(), vec!["n1".into()]);
            let event = FaultEvent { id: id as u32, fault, edge, detail: detail.into(), nodes, effect };
            put(time * MS, 0, What::Fault(event));
        }
    }
    for draft in drafts {
        let (process, node) = (Process(draft.process), Some(format!("n{}", draft.node + 1)));
        put(draft.invoked, 1, What::Invoke { process, node, call: draft.call.clone() });
        let outcome = draft.outcome.expect("every draft is answered");
        put(draft.ended, 2, What::Complete { process, call: draft.call, outcome });
    }
    events.sort_by_key(|(time, rank, _)| (*time, *rank));
    History::from_events(events.into_iter().map(|(_, _, event)| event))
        .expect("made up without contradiction")
}

fn cut_off(shape: &Shape, node: u64, time: u64) -> bool {
    node == 0 && shape.faults.iter().any(|(_, from, to)| (from * MS..to * MS).contains(&time))
}

/// What each client asks, and when; node 1 does not answer writes while a fault strikes it.
fn drafts(shape: &Shape) -> Vec<Draft> {
    let mut stream = Stream(7);
    let mut drafts = Vec::new();
    let (mut next_process, mut next_value) = (NODES as u32, 1);
    for node in 0..NODES {
        let (mut process, mut now) = (node as u32, stream.below(4_000) * 1_000);
        while now < shape.length_ms * MS {
            let key = Key::Int(stream.below(KEYS) as i64);
            let call = match stream.below(2) {
                0 => Call::Read { key },
                _ => {
                    next_value += 1;
                    Call::Write { key, value: Value::Int(next_value) }
                }
            };
            let took = (700 + stream.below(2_500) + stream.below(2_500)) * 1_000;
            let silent = cut_off(shape, node, now + took) && (call.changes() || !shape.stale);
            let ended = now + if silent { TIMEOUT } else { took };
            let outcome = silent.then(|| Outcome::Info("no answer within 1 s".into()));
            drafts.push(Draft { process, node, call, invoked: now, ended, outcome });
            if silent {
                process = next_process;
                next_process += 1;
            }
            now = ended + (500 + stream.below(shape.pause_us)) * 1_000;
        }
    }
    drafts
}

/// Answers as one correct register a key would, each call taking effect in the middle of its interval. Cut off, node 1
/// reads what it knew when the fault began.
fn answer(drafts: &mut [Draft], shape: &Shape) {
    let mut state = vec![Value::Nil; KEYS as usize];
    let mut memory = state.clone();
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    order.sort_by_key(|at| drafts[*at].invoked.midpoint(drafts[*at].ended));
    for at in order {
        let draft = &mut drafts[at];
        let Key::Int(key) = draft.call.key() else { unreachable!("keys are integers here") };
        let key = *key as usize;
        if draft.outcome.is_some() {
            continue;
        }
        let effect = draft.invoked.midpoint(draft.ended);
        let cut = cut_off(shape, draft.node, effect);
        if !shape.faults.iter().any(|(_, from, to)| (from * MS..to * MS).contains(&effect)) {
            memory.clone_from(&state);
        }
        draft.outcome = Some(match &draft.call {
            Call::Write { value, .. } if !effect.is_multiple_of(41) => {
                state[key] = value.clone();
                Outcome::Ok(Ret::Done)
            }
            Call::Write { .. } => Outcome::Fail("not the leader".into()),
            _ if cut => Outcome::Ok(Ret::Value(memory[key].clone())),
            _ => Outcome::Ok(Ret::Value(state[key].clone())),
        });
    }
}

/// What the caller tells of a run against the bundled store.
pub fn about(bug: Option<&str>) -> About {
    let next = |what: &str, command: &str| Next { what: what.into(), command: command.into() };
    About {
        target: Some("raft (5 nodes, sandbox)".into()),
        bug: bug.map(Into::into),
        workload: Some("register".into()),
        nemeses: vec!["partition".into(), "kill".into()],
        seed: Some(42),
        mechanisms: Vec::new(),
        folder: Some("schism-runs/20261122-174501-raft-register".into()),
        next: vec![
            next("look at it", "xdg-open schism-runs/20261122-174501-raft-register/report.html"),
            next("judge it again", "schism check schism-runs/20261122-174501-raft-register/history.jsonl"),
            next("run it again", "schism run schism-runs/20261122-174501-raft-register/plan.toml"),
        ],
    }
}

/// Enough happened, nothing went wrong.
pub fn valid() -> Situation {
    let shape = Shape {
        length_ms: 20_000,
        pause_us: 30_000,
        faults: vec![("partition", 4_000, 7_000), ("kill", 10_000, 12_000), ("partition", 15_000, 16_500)],
        stale: false,
    };
    let history = history(&shape);
    let judgements = [
        Judgement::new("linearizable", "linearizable register", vec![], vec![])
            .with_fact("operations", history.len())
            .with_fact("keys", 3)
            .with_fact("states", 9_120),
        Judgement::new("evidence", "did enough happen", vec![], vec![])
            .with_fact("ok during faults", "read 320, write 297"),
    ];
    Situation { summary: Summary::new(about(None), &judgements, &history), history }
}

/// A leader that was cut off answers a read from its own memory.
pub fn stale_read() -> Situation {
    let shape = Shape {
        length_ms: 20_000,
        pause_us: 60_000,
        faults: vec![("partition", 6_000, 9_000), ("kill", 13_000, 15_000)],
        stale: true,
    };
    let history = history(&shape);
    let anomaly = explain(&history);
    let judgements = [
        Judgement::new("linearizable", "linearizable register", vec![anomaly], vec![])
            .with_fact("operations", history.len())
            .with_fact("keys", 3),
        Judgement::new("evidence", "did enough happen", vec![], vec![])
            .with_fact("ok during faults", "read 203, write 143"),
    ];
    Situation { summary: Summary::new(about(Some("stale-lease")), &judgements, &history), history }
}

/// The first read whose value was overwritten by a write that was over before it began, as a judge would explain it.
fn explain(history: &History) -> Anomaly {
    let operations = history.rows();
    for (at, read) in operations.iter().enumerate() {
        let Some(seen) = read.read() else { continue };
        let key = read.call.key();
        let writes_it = |op: &schism_history::Operation, wanted: &Value| matches!(&op.call, Call::Write { key: k, value } if k == key && value == wanted);
        let Some(old) = operations.iter().position(|op| writes_it(op, seen)) else { continue };
        let newer = operations.iter().enumerate().rev().find(|(_, op)| {
            let about_it = op.call.key() == key && op.call.changes() && op.outcome.is_ok();
            about_it && operations[old].precedes(op) && op.precedes(read)
        });
        let Some((new, write)) = newer else { continue };
        let Call::Write { value, .. } = &write.call else {
            unreachable!("only writes change registers here")
        };
        let gap = read.invoked.since(write.completed).as_micros() as f64 / 1e3;
        return Anomaly {
            name: "stale read".into(),
            key: Some(key.clone()),
            sentences: vec![
                format!(
                    "{} read {seen} at {}, but {value} had replaced it: the write of {value} by {} was over at {}, {gap:.1} ms \
                     before the read began.",
                    read.process, read.invoked, write.process, write.completed
                ),
                "No order of the operations that respects their times explains this read.".into(),
            ],
            witness: vec![old, new, at],
            culprit: Some(at),
            possible_states: vec![value.to_string()],
            refused: vec![Refused {
                operation: at,
                because: format!("it read {seen}, but the register holds {value}"),
            }],
            proof: Vec::new(),
        };
    }
    unreachable!("the stale shape has a stale read");
}

/// Nothing wrong was found, but too little happened to say so.
pub fn unknown() -> Situation {
    let shape =
        Shape { length_ms: 2_000, pause_us: 300_000, faults: vec![("partition", 900, 1_500)], stale: false };
    let mut history = history(&shape);
    history.faults[0].effect = Some(Effect { bit: false, evidence: "0 packets dropped".into() });
    let note = Note { node: "n3".into(), text: "killed by signal 9".into(), doubt: true };
    history.notes.push((Time(1_234 * MS), note));
    let doubt =
        |reason: &str, hint: Option<&str>| Doubt { reason: reason.into(), hint: hint.map(Into::into) };
    let judgements = [
        Judgement::new("linearizable", "linearizable register", vec![], vec![])
            .with_fact("operations", history.len()),
        Judgement::new(
            "evidence",
            "did enough happen",
            vec![],
            vec![
                doubt("no write was ok while n1 was cut off", Some("raise --time-limit, or --rate")),
                doubt("the partition of 0.900 s dropped no packet: it broke nothing", None),
                doubt(
                    "n3 was killed by signal 9, and not by us",
                    Some("does the machine have memory enough? see nodes/n3/node.log"),
                ),
            ],
        ),
    ];
    Situation { summary: Summary::new(about(None), &judgements, &history), history }
}
