//! What every client can rely on by itself: the four session guarantees (Terry et al.: Session guarantees for weakly
//! consistent replicated data, PDIS 1994), on each register whose values are written once.
//!
//! * *read your writes*: a read sees what its session wrote before, or something newer
//! * *monotonic reads*: a read sees what its session read before, or something newer
//! * *monotonic writes*: what a session writes is newer than what it wrote before
//! * *writes follow reads*: what a session writes is newer than what it read before
//!
//! What is newer is for the store to say, and a history does not tell all of it. So a guarantee counts as broken only if
//! there is no order of versions at all in which every session of a register has it: the initial value first, a cas
//! after what it changed and, if told that the store is such, a write after those that were over before it began. Broken
//! guarantees bear the names of Bailis et al. (Highly available transactions, VLDB 2014). The fifth result is whether
//! one order can give all four together: what Brzezinski et al. (2004) showed to be causal consistency, here a key at a
//! time; it is told only where each alone could be had.
//!
//! It cannot find what takes two keys to see: who saw a session's second write may miss its first one on another key.
//! O(n log n) a guarantee.

mod graph;
mod tell;

use rustc_hash::FxHashMap;
use schism_history::{Call, History, Operation, Outcome, Position, Value};

use self::graph::{Graph, Why};
use crate::verdict::{Budget, Checker, Doubt, Judgement};
use crate::versions::{Register, registers};

/// The judge of session guarantees.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// What each register holds at first.
    pub initial: Value,
    /// Whose calls are a session.
    pub session: Session,
    /// Whether a write that began when another was over is the newer one. True of a store with one leader. Not of one
    /// that is causal, or where the last write wins by clocks that differ: there it would be a false alarm.
    pub real_time: bool,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { initial: Value::Nil, session: Session::Process, real_time: false }
    }
}

/// Whose calls are a session. In both a call follows another if it began when that was over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Those of a process.
    #[default]
    Process,
    /// Those to a node, whoever made them: the processes that come after a retired one go on with its session. For
    /// clients that stay with a node and share what they know of it. Calls to unknown nodes are of no session.
    Node,
}

/// A session guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guarantee {
    /// Reads see earlier writes of their session.
    ReadYourWrites,
    /// Reads see what earlier reads of their session saw.
    MonotonicReads,
    /// Writes are newer than earlier writes of their session.
    MonotonicWrites,
    /// Writes are newer than what their session read before.
    WritesFollowReads,
    /// All four by one order of versions.
    Together,
}

impl Guarantee {
    /// All, the four of Terry et al. first.
    pub const ALL: [Guarantee; 5] = [
        Guarantee::ReadYourWrites,
        Guarantee::MonotonicReads,
        Guarantee::MonotonicWrites,
        Guarantee::WritesFollowReads,
        Guarantee::Together,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Guarantee::ReadYourWrites => "read your writes",
            Guarantee::MonotonicReads => "monotonic reads",
            Guarantee::MonotonicWrites => "monotonic writes",
            Guarantee::WritesFollowReads => "writes follow reads",
            Guarantee::Together => "session causality",
        }
    }

    /// What it is called when it is broken.
    pub fn anomaly(self) -> &'static str {
        match self {
            Guarantee::ReadYourWrites => "missing your writes",
            Guarantee::MonotonicReads => "non-monotonic reads",
            Guarantee::MonotonicWrites => "non-monotonic writes",
            Guarantee::WritesFollowReads => "missing read-write dependency",
            Guarantee::Together => "session causality violation",
        }
    }

    /// Whether it is about what follows (a write, else a read) something (a write, else a read) of the same session.
    fn joins(self, earlier_writes: bool, later_writes: bool) -> bool {
        match self {
            Guarantee::ReadYourWrites => earlier_writes && !later_writes,
            Guarantee::MonotonicReads => !earlier_writes && !later_writes,
            Guarantee::MonotonicWrites => earlier_writes && later_writes,
            Guarantee::WritesFollowReads => !earlier_writes && later_writes,
            Guarantee::Together => true,
        }
    }
}

/// A version an operation wrote or saw.
#[derive(Clone, Copy, Debug)]
struct Touch {
    operation: usize,
    version: usize,
    writes: bool,
    began: Position,
    over: Position,
}

impl Checker for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        let found = registers(history, &self.initial);
        let (mut anomalies, mut doubts) = (found.anomalies, found.doubts);
        let mut tallies = [Tally::default(); Guarantee::ALL.len()];
        let mut against_time = 0;
        for register in &found.registers {
            if (budget.over)() {
                doubts.push(Doubt {
                    reason: format!("the time allowed was used up before key {} was judged", register.key),
                    hint: Some("raise the time allowed for checking".into()),
                });
                break;
            }
            let judged = self.judge(history, register);
            against_time += usize::from(judged.against_time);
            if let Some(circle) = judged.impossible {
                anomalies.push(tell::misordered(history, register, &circle));
            }
            for ((tally, finding), guarantee) in tallies.iter_mut().zip(judged.findings).zip(Guarantee::ALL) {
                tally.put_to_the_test += finding.put_to_the_test;
                if let Some(circle) = finding.circle {
                    tally.broken += 1;
                    anomalies.push(tell::anomaly(history, register, guarantee, &circle));
                }
            }
        }
        let about = match self.session {
            Session::Process => "session guarantees of processes",
            Session::Node => "session guarantees of the clients of a node",
        };
        let mut judgement =
            Judgement::new(self.name(), about, anomalies, doubts).with_fact("keys", found.registers.len());
        let alone = tallies.iter().all(|tally| tally.broken == 0);
        for (guarantee, tally) in Guarantee::ALL.into_iter().zip(tallies) {
            // On a key where one is broken by itself, all four together are not asked for.
            let with_it = guarantee == Guarantee::Together && !alone && tally.broken == 0;
            let line = if with_it { "broken with one of the four".into() } else { tally.line() };
            judgement = judgement.with_fact(guarantee.name(), line);
        }
        if against_time > 0 {
            judgement = judgement.with_fact("keys whose cas contradict the order of time", against_time);
        }
        judgement
    }
}

/// What became of a guarantee over all keys.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    broken: usize,
    put_to_the_test: usize,
}

impl Tally {
    fn line(self) -> String {
        match self {
            Tally { broken: 0, put_to_the_test: 0 } => "never put to the test".into(),
            Tally { broken: 0, put_to_the_test } => format!("kept by {put_to_the_test} calls"),
            Tally { broken, put_to_the_test } => {
                format!("broken on {broken} keys; {put_to_the_test} calls put it to the test")
            }
        }
    }
}

/// What became of the guarantees of one key.
struct Judged {
    findings: [Finding; Guarantee::ALL.len()],
    /// Cas that were made from each other in a circle: then there is no order of versions to promise anything about.
    impossible: Option<Vec<(usize, Why)>>,
    /// Time is no evidence here: the cas contradict it.
    against_time: bool,
}

/// What became of one guarantee of one key.
#[derive(Debug, Default)]
struct Finding {
    /// Calls that followed something of their session that they had to follow.
    put_to_the_test: usize,
    /// Why no order of versions gives it: each is older than the next, and the last older than the first.
    circle: Option<Vec<(usize, Why)>>,
}

impl Sessions {
    /// The guarantees that are broken on some key, each with its key; keys in the order of first use.
    pub fn broken(&self, history: &History) -> Vec<(Value, Guarantee)> {
        let mut broken = Vec::new();
        for register in &registers(history, &self.initial).registers {
            let findings = self.judge(history, register).findings;
            let bad =
                Guarantee::ALL.into_iter().zip(findings).filter(|(_, finding)| finding.circle.is_some());
            broken.extend(bad.map(|(guarantee, _)| (register.key.clone(), guarantee)));
        }
        broken
    }

    fn judge(&self, history: &History, register: &Register<'_>) -> Judged {
        let (base, against_time) = match self.base(register) {
            Ok(base) => base,
            Err(circle) => {
                return Judged { findings: Default::default(), impossible: Some(circle), against_time: true };
            }
        };
        let sessions = self.sessions(history, register);
        let mut alone = true;
        let findings = Guarantee::ALL.map(|guarantee| {
            let mut finding = Finding::default();
            if guarantee == Guarantee::Together && !alone {
                return finding;
            }
            let mut graph = base.clone();
            for session in &sessions {
                finding.put_to_the_test += join(&mut graph, session, guarantee);
            }
            finding.circle = graph.circle();
            alone &= finding.circle.is_none();
            finding
        });
        Judged { findings, impossible: None, against_time }
    }

    /// What each session wrote and saw of a register.
    fn sessions(&self, history: &History, register: &Register<'_>) -> Vec<Vec<Touch>> {
        let mut sessions: FxHashMap<(u32, Option<&str>), Vec<Touch>> = FxHashMap::default();
        for touch in touches(history, register) {
            let operation = &history.rows()[touch.operation];
            if let Some(session) = self.session_of(operation) {
                sessions.entry(session).or_default().push(touch);
            }
        }
        let mut sessions: Vec<Vec<Touch>> = sessions.into_values().collect();
        sessions.sort_unstable_by_key(|session| session[0].operation);
        sessions
    }

    fn session_of<'h>(&self, operation: &'h Operation) -> Option<(u32, Option<&'h str>)> {
        match self.session {
            Session::Process => Some((operation.process.0, None)),
            Session::Node => operation.node.as_deref().map(|node| (0, Some(node))),
        }
    }

    /// What is known of the order of versions whatever sessions are promised, and whether time had to be left out: where
    /// cas contradict it, it is no evidence. Otherwise it orders the writes of a session as they are promised to be, so
    /// that monotonic writes are refuted by cas only.
    ///
    /// # Errors
    /// With a circle of cas.
    fn base(&self, register: &Register<'_>) -> Result<(Graph, bool), Vec<(usize, Why)>> {
        let mut certain = Graph::new(register.versions.len());
        for (at, version) in register.versions.iter().enumerate().filter(|(_, version)| version.happened) {
            if at > 0 {
                certain.edge(0, at, Why::Initial);
            }
            if let Some(from) = version.from {
                certain.edge(from, at, Why::Changed);
            }
        }
        if let Some(circle) = certain.circle() {
            return Err(circle);
        }
        if !self.real_time {
            return Ok((certain, false));
        }
        let mut timed = certain.clone();
        let written = || register.versions.iter().enumerate().skip(1).filter(|(_, version)| version.happened);
        let earlier = written()
            .filter_map(|(at, version)| version.shown_by.map(|shown| (version.done, at, shown)))
            .collect();
        let later = written()
            .filter_map(|(at, version)| version.writer.map(|writer| (version.call, at, writer)))
            .collect();
        timed.chain(earlier, later, Why::Time);
        Ok(if timed.circle().is_some() { (certain, true) } else { (timed, false) })
    }
}

/// Makes a graph know what a guarantee promises a session, and counts the calls it is put to the test by.
fn join(graph: &mut Graph, session: &[Touch], guarantee: Guarantee) -> usize {
    let mut tested = 0;
    for earlier_writes in [true, false] {
        for later_writes in [true, false] {
            if guarantee.joins(earlier_writes, later_writes) {
                let earlier = session.iter().filter(|touch| touch.writes == earlier_writes);
                let earlier: Vec<_> =
                    earlier.map(|touch| (touch.over, touch.version, touch.operation)).collect();
                let later = session.iter().filter(|touch| touch.writes == later_writes);
                let later = later.map(|touch| (touch.began, touch.version, touch.operation)).collect();
                tested += graph.chain(earlier, later, Why::Session);
            }
        }
    }
    tested
}

/// Everything that wrote or saw a version, in the order of invocation.
fn touches(history: &History, register: &Register<'_>) -> Vec<Touch> {
    let mut touches = Vec::new();
    for (version, of) in register.versions.iter().enumerate().filter(|(_, of)| of.happened) {
        let mut touch = |operation: usize, version: usize, writes: bool| {
            let Operation { invoke, complete, .. } = history.rows()[operation];
            touches.push(Touch { operation, version, writes, began: invoke, over: complete });
        };
        if let Some(writer) = of.writer {
            touch(writer, version, true);
            // A cas sees what it changes. Of unknown fate, it may have been made long after its client went on.
            if let (Call::Cas { .. }, Outcome::Ok(_), Some(from)) =
                (&history.rows()[writer].call, &history.rows()[writer].outcome, of.from)
            {
                touch(writer, from, false);
            }
        }
        for read in &of.reads {
            touch(*read, version, false);
        }
    }
    touches.sort_unstable_by_key(|touch| (touch.operation, touch.writes));
    touches
}
