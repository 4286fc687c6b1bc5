//! What a judge says: a verdict, and what it rests on.
//!
//! Verdicts form a ladder, Valid < Unknown < Invalid: over several judges or keys the worst one stands, and an Unknown
//! never hides an Invalid.

use std::time::Duration;

use schism_history::{History, Key};
use serde::Serialize;

use crate::parts::ByParts;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything the judge looks at was kept, and enough happened to say so.
    Valid,
    /// Nobody knows; the doubts say why.
    Unknown,
    /// Something was proven broken; the anomalies say what.
    Invalid,
}

/// What one judge says of one history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The judge.
    pub checker: String,
    /// What it is a judge of, in a few words: `linearizable cas-register`.
    pub about: String,
    /// Its answer.
    pub verdict: Verdict,
    /// What was proven wrong, the most telling first. Empty unless Invalid.
    pub anomalies: Vec<Anomaly>,
    /// Reasons not to know. May stand beside anomalies, and never hides them.
    pub doubts: Vec<Doubt>,
    /// Counts and sizes for the table, in the order to show them: `("operations", "4120")`.
    pub facts: Vec<(String, String)>,
}

impl Judgement {
    /// A judgement whose verdict follows from what was found: any anomaly makes it Invalid, else any doubt Unknown.
    pub fn new(checker: &str, about: &str, anomalies: Vec<Anomaly>, doubts: Vec<Doubt>) -> Self {
        let verdict = match (anomalies.is_empty(), doubts.is_empty()) {
            (false, _) => Verdict::Invalid,
            (true, false) => Verdict::Unknown,
            (true, true) => Verdict::Valid,
        };
        Judgement {
            checker: checker.into(),
            about: about.into(),
            verdict,
            anomalies,
            doubts,
            facts: Vec::new(),
        }
    }

    /// The same with one more line for the table.
    #[must_use]
    pub fn with_fact(mut self, name: &str, value: impl ToString) -> Self {
        self.facts.push((name.into(), value.to_string()));
        self
    }
}

/// One thing proven wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anomaly {
    /// Its published name: `stale read`, `lost element`, `not linearizable`.
    pub name: String,
    /// The object it is about.
    pub key: Option<Key>,
    /// What happened, in plain sentences with real times, processes and values.
    pub sentences: Vec<String>,
    /// The smallest set of operations that shows it, as positions in [`History::rows`], in the order of time.
    pub witness: Vec<usize>,
    /// The operation nobody can explain, if one stands out.
    pub culprit: Option<usize>,
    /// What the state could have been just before, for people: `3`, `5`.
    pub possible_states: Vec<String>,
    /// Each operation that could have come next, and why it could not.
    pub refused: Vec<Refused>,
    /// Where the proof is a chain: its steps, in order.
    pub proof: Vec<ProofStep>,
}

/// One step of a proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProofStep {
    /// What it is, in a word or two: `session order`, `reads from`, `real time`, `fresh`, `holds`.
    pub what: String,
    /// The operations that show it, as positions in [`History::rows`], the earlier one first.
    pub operations: Vec<usize>,
    /// What it is about: the older and the newer value of a step between versions; what a node held.
    pub values: Vec<String>,
    /// The step as a sentence.
    pub because: String,
}

/// A candidate for the next step, and why it was refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Its position in [`History::rows`].
    pub operation: usize,
    /// Why it cannot come next, as a sentence.
    pub because: String,
}

/// One reason not to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// The reason, as a sentence fragment: `no read was ok while n1 was cut off`.
    pub reason: String,
    /// What would remove it: `raise --time-limit`.
    pub hint: Option<String>,
}

/// How much a judge may spend before it has to say Unknown. The clock is the caller's: judges have none.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Bytes of memory beyond the history itself.
    pub bytes: usize,
    /// The time allowed, to be named in a doubt.
    pub time: Duration,
    /// Whether that time is over. Cheap; asked every few thousand steps.
    pub over: &'a (dyn Fn() -> bool + Sync),
}

/// A judge: a pure function of a history.
pub trait Checker: Send + Sync {
    /// Its name, as in `schism list checkers`.
    fn name(&self) -> &'static str;

    /// Judges. Never panics on a consistent history, however strange.
    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement;

    /// The same part by part; `None` if it has to see the whole at once.
    fn by_parts(&self) -> Option<Box<dyn ByParts + '_>> {
        None
    }
}
