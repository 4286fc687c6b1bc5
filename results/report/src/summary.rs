//! What one judged run is: the value behind the terminal's last screen, and, as `verdict.json`, all that a program needs
//! to know of a run without reading its history.
//!
//! The form is versioned by its field `schism`, now 1. Fields are added within a version, never renamed or removed.

use schism_checker::{Anomaly, Concluded, Doubt, Judgement, Verdict};
use schism_history::{History, Key};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::cited::{CitedOperation, CitedStep, RefusedOperation};
use crate::measure::Measured;
use crate::wording::{and, printable};

/// The version of the form that is written, and the only one that is read.
const VERSION: u32 = 1;

/// What the caller knows of a run and its history does not say. A history recorded elsewhere leaves most of it empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What was tested, with its version where known.
    pub target: Option<String>,
    /// The bug that was planted into it.
    pub bug: Option<String>,
    /// What clients did.
    pub workload: Option<String>,
    /// What went wrong.
    pub nemeses: Vec<String>,
    /// The plan's seed.
    pub seed: Option<u64>,
    /// By what faults were done, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mechanisms: Vec<String>,
    /// Where the run's files are.
    pub folder: Option<String>,
    /// What to do next, the most useful first.
    pub next: Vec<Next>,
}

/// A thing to do next, and the command that does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// What it does, in a few words: `run it again`.
    pub what: String,
    /// To be pasted into a shell.
    pub command: String,
}

/// One judged run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The version of this form.
    pub schism: u32,
    /// The worst of all judgements; Unknown if there is none.
    #[serde(deserialize_with = "verdict")]
    pub verdict: Verdict,
    /// One line that names the run.
    pub title: String,
    /// What the caller told.
    #[serde(flatten)]
    pub about: About,
    /// What each judge said, in the order they were asked.
    pub judgements: Vec<Judged>,
    /// What the history holds.
    pub measured: Measured,
}

/// What one judge said, its operations in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The judge.
    pub checker: String,
    /// What it is a judge of.
    pub about: String,
    /// Its answer.
    #[serde(deserialize_with = "verdict")]
    pub verdict: Verdict,
    /// What was proven wrong, the most telling first.
    pub anomalies: Vec<Finding>,
    /// Reasons not to know.
    #[serde(deserialize_with = "doubts")]
    pub doubts: Vec<Doubt>,
    /// Counts and sizes, in the order to show them.
    pub facts: Vec<(String, String)>,
}

/// One thing proven wrong, its operations in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Its published name.
    pub name: String,
    /// The object it is about.
    pub key: Option<Key>,
    /// What happened, in plain sentences.
    pub sentences: Vec<String>,
    /// The smallest set of operations that shows it, in the order of time.
    pub witness: Vec<CitedOperation>,
    /// The operation nobody can explain, by its position in the history; it stands in `witness`.
    pub culprit: Option<usize>,
    /// What the state could have been just before.
    pub possible_states: Vec<String>,
    /// Each operation that could have come next, and why it could not.
    pub refused: Vec<RefusedOperation>,
    /// Where the proof is a chain: its steps, in order.
    #[serde(default)]
    pub proof: Vec<CitedStep>,
}

/// Why a text is no `verdict.json` that can be read here.
#[derive(Debug, Error)]
pub enum NotASummary {
    /// It is of another version.
    #[error("verdict of form {found}; this program reads form {VERSION}")]
    OtherVersion {
        /// What it says it is.
        found: u64,
    },
    /// It is something else, or damaged.
    #[error(transparent)]
    Malformed(#[from] serde_json::Error),
}

impl Summary {
    /// Sums up what the judges said of a history.
    ///
    /// # Panics
    /// If a judgement cites an operation that the history does not have: it was made of another history.
    pub fn new(about: About, judgements: &[Judgement], history: &History) -> Self {
        let cite = |place: usize| CitedOperation::new(place, &history.operation(place));
        let judged = judgements.iter().map(|judgement| judged(judgement, &cite)).collect();
        Summary::of(about, judged, Measured::of(history))
    }

    /// Sums up what the judges said of a history that was judged part by part, and what was counted of all parts.
    pub fn of_parts(about: About, concluded: &[Concluded], measured: Measured) -> Self {
        let of = |Concluded { judgement, cited }: &Concluded| {
            judged(judgement, &|place| CitedOperation::new(place, &cited[&place]))
        };
        Summary::of(about, concluded.iter().map(of).collect(), measured)
    }

    fn of(about: About, judgements: Vec<Judged>, measured: Measured) -> Self {
        Summary {
            schism: VERSION,
            // Nobody asked is nobody knows: an empty list must not pass for a pass.
            verdict: judgements.iter().map(|judged| judged.verdict).max().unwrap_or(Verdict::Unknown),
            title: title(&about),
            about,
            judgements,
            measured,
        }
    }

    /// The text of `verdict.json`, with a final line end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("keys are text and numbers are finite");
        text.push('\n');
        text
    }

    /// Reads `verdict.json` back.
    ///
    /// # Errors
    /// When it is of another version, or no `verdict.json` at all.
    pub fn from_json(text: &str) -> Result<Self, NotASummary> {
        #[derive(Deserialize)]
        struct Form {
            schism: u64,
        }
        match serde_json::from_str::<Form>(text)?.schism {
            found if found != u64::from(VERSION) => Err(NotASummary::OtherVersion { found }),
            _ => Ok(serde_json::from_str(text)?),
        }
    }

    /// The anomaly to explain first: the first one of the first judge that found any.
    pub fn first_finding(&self) -> Option<(&Judged, &Finding)> {
        self.judgements.iter().find_map(|judged| Some((judged, judged.anomalies.first()?)))
    }

    /// All doubts, with the judge that has them.
    pub fn doubts(&self) -> impl Iterator<Item = (&Judged, &Doubt)> {
        self.judgements.iter().flat_map(|judged| judged.doubts.iter().map(move |doubt| (judged, doubt)))
    }
}

impl Finding {
    /// Its name with its key: `stale read on key 3`.
    pub fn headline(&self) -> String {
        match &self.key {
            Some(key) => format!("{} on key {key}", printable(&self.name)),
            None => printable(&self.name),
        }
    }
}

fn title(about: &About) -> String {
    let mut parts = vec![about.target.clone().unwrap_or_else(|| "recorded history".into())];
    if let Some(bug) = &about.bug {
        parts[0] = format!("{} with bug {bug}", parts[0]);
    }
    if let Some(workload) = &about.workload {
        parts.push(format!("workload {workload}"));
    }
    match about.nemeses.as_slice() {
        [] => {}
        [one] => parts.push(format!("nemesis {one}")),
        many => parts.push(format!("nemeses {}", and(many))),
    }
    printable(&parts.join(", "))
}

fn judged(judgement: &Judgement, cite: &dyn Fn(usize) -> CitedOperation) -> Judged {
    Judged {
        checker: judgement.checker.clone(),
        about: judgement.about.clone(),
        verdict: judgement.verdict,
        anomalies: judgement.anomalies.iter().map(|anomaly| finding(anomaly, cite)).collect(),
        doubts: judgement.doubts.clone(),
        facts: judgement.facts.clone(),
    }
}

fn finding(anomaly: &Anomaly, cite: &dyn Fn(usize) -> CitedOperation) -> Finding {
    // A judge may name a culprit without repeating it in the witness; readers find it there in any case.
    let mut witness = anomaly.witness.clone();
    witness.extend(anomaly.culprit);
    witness.sort_unstable();
    witness.dedup();
    Finding {
        name: anomaly.name.clone(),
        key: anomaly.key.clone(),
        sentences: anomaly.sentences.clone(),
        witness: witness.into_iter().map(cite).collect(),
        culprit: anomaly.culprit,
        possible_states: anomaly.possible_states.clone(),
        refused: anomaly
            .refused
            .iter()
            .map(|refused| RefusedOperation {
                operation: cite(refused.operation),
                because: refused.because.clone(),
            })
            .collect(),
        proof: anomaly
            .proof
            .iter()
            .map(|step| CitedStep {
                what: step.what.clone(),
                operations: step.operations.iter().copied().map(cite).collect(),
                values: step.values.clone(),
                because: step.because.clone(),
            })
            .collect(),
    }
}

fn verdict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verdict, D::Error> {
    let word = String::deserialize(deserializer)?;
    match word.as_str() {
        "valid" => Ok(Verdict::Valid),
        "unknown" => Ok(Verdict::Unknown),
        "invalid" => Ok(Verdict::Invalid),
        other => Err(serde::de::Error::custom(format!("{other:?} is no verdict: valid, unknown or invalid"))),
    }
}

fn doubts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Doubt>, D::Error> {
    #[derive(Deserialize)]
    struct Read {
        reason: String,
        hint: Option<String>,
    }
    let read = Vec::<Read>::deserialize(deserializer)?;
    Ok(read.into_iter().map(|doubt| Doubt { reason: doubt.reason, hint: doubt.hint }).collect())
}
