//! The lattice of consistency models, as far as histories of single calls can place a store on it, and the judges that
//! place a history.
//!
//! strict serializable → linearizable → sequential → causal → PRAM → session guarantees → convergent. Histories whose calls
//! are each about one key say nothing of the first: it is drawn, and never claimed. Registers are judged by all others;
//! sets by linearizability and convergence; other objects by convergence alone.
//!
//! Convergence stands at the end of the line because it is the least that a store can promise, but nothing in between
//! implies it: a store may keep causality for ever and never agree.

use std::collections::BTreeMap;
use std::time::Duration;

use schism_checker::model::CasRegister;
use schism_checker::{
    Anomaly, Checker, Convergence, Judgement, Linearizable, Sessions, SetFull, Verdict, Weak, weak,
};
use schism_history::{CallKind, History, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A model, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// All transactions in one order that agrees with real time.
    StrictSerializable,
    /// Each object's operations in one order that agrees with real time.
    Linearizable,
    /// All operations in one order that keeps each client's own.
    Sequential,
    /// Nobody sees an operation without all that comes before it.
    Causal,
    /// Everybody sees each client's writes in the order in which they were made.
    Pram,
    /// The four guarantees of Terry et al.
    Sessions,
    /// In the end all nodes say the same.
    Convergent,
}

impl Level {
    /// All, the strongest first.
    pub const ALL: [Level; 7] = [
        Level::StrictSerializable,
        Level::Linearizable,
        Level::Sequential,
        Level::Causal,
        Level::Pram,
        Level::Sessions,
        Level::Convergent,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::StrictSerializable => "strict serializable",
            Level::Linearizable => "linearizable",
            Level::Sequential => "sequential",
            Level::Causal => "causal",
            Level::Pram => "PRAM",
            Level::Sessions => "session guarantees",
            Level::Convergent => "convergent",
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let level = Level::ALL.into_iter().find(|level| level.name() == name);
        level.ok_or_else(|| serde::de::Error::custom(format!("there is no model {name:?}")))
    }
}

/// What was found of one history and one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Held {
    /// Whether the history keeps it.
    pub verdict: Verdict,
    /// What breaks it: the anomaly's name, and what happened in sentences. Or, if nobody knows, why.
    pub because: Option<(String, String)>,
}

/// What was found of one history; a model by which it cannot be judged is not there.
pub type Levels = BTreeMap<Level, Held>;

/// Judges a history by every model that applies, asking as few judges as possible: what keeps a model keeps those it
/// implies. Beside it how many anomalies the judge of convergence calls lost.
pub fn judged(history: &History, ask: &mut dyn FnMut(&dyn Checker) -> Judgement) -> (Levels, u64) {
    let mut levels = Levels::new();
    let rows = history.columns();
    let only = |kinds: &[CallKind]| rows.kind().iter().all(|kind| kinds.contains(kind));
    if history.is_empty() {
        return (levels, 0);
    }
    if only(&[CallKind::Read, CallKind::Write, CallKind::Cas]) {
        registers(&mut levels, ask);
    } else if only(&[CallKind::Read, CallKind::Add]) {
        levels.insert(Level::Linearizable, held(ask(&SetFull::default()), |_| true));
    }
    let convergence = ask(&Convergence { initial: Value::Nil });
    let lost = convergence.anomalies.iter().filter(|anomaly| anomaly.name == "lost write").count();
    levels.insert(Level::Convergent, convergent(convergence, history));
    (levels, lost as u64)
}

/// Nodes that still differ so soon after the last write or fault may only be late.
pub(super) const SETTLED: Duration = Duration::from_millis(500);

fn convergent(judgement: Judgement, history: &History) -> Held {
    let changed =
        history.rows().iter().filter(|operation| operation.call.changes() && operation.outcome.is_ok());
    let quiet = changed
        .map(|operation| operation.completed)
        .chain(history.faults.iter().filter_map(|fault| fault.ended))
        .max();
    let early = |anomaly: &Anomaly| {
        let asked = anomaly.witness.iter().map(|at| history.rows()[*at].invoked).min();
        asked.zip(quiet).is_some_and(|(asked, quiet)| asked.since(quiet) < SETTLED)
    };
    let diverged: Vec<&Anomaly> =
        judgement.anomalies.iter().filter(|anomaly| anomaly.name == "diverged").collect();
    if !diverged.is_empty() && diverged.iter().all(|anomaly| early(anomaly)) {
        let why = format!(
            "nodes differed within {SETTLED:?} after the last write or fault, and were not asked later"
        );
        return Held { verdict: Verdict::Unknown, because: Some(("unknown".into(), why)) };
    }
    held(judgement, |name| name == "diverged")
}

fn registers(levels: &mut Levels, ask: &mut dyn FnMut(&dyn Checker) -> Judgement) {
    let weakly = |model| Box::new(Weak { model, initial: Value::Nil }) as Box<dyn Checker>;
    // By definite evidence alone, and not by real time: that is what linearizability adds.
    let sessions = Sessions::default();
    let judges: [(Level, Box<dyn Checker>); 5] = [
        (Level::Linearizable, Box::new(Linearizable { model: CasRegister::default() })),
        (Level::Sequential, weakly(weak::Model::Sequential)),
        (Level::Causal, weakly(weak::Model::Causal)),
        (Level::Pram, weakly(weak::Model::Pram)),
        (Level::Sessions, Box::new(sessions)),
    ];
    let mut implied = false;
    for (level, judge) in judges {
        if implied {
            levels.insert(level, Held { verdict: Verdict::Valid, because: None });
            continue;
        }
        let found = held(ask(&*judge), |_| true);
        // Of the weaker ones none implies all that follow.
        implied = found.verdict == Verdict::Valid && level <= Level::Sequential;
        levels.insert(level, found);
    }
    // What breaks a weaker model breaks those that imply it, whatever their judges had time for.
    let broken = [Level::Causal, Level::Pram, Level::Sessions]
        .into_iter()
        .find_map(|level| levels.get(&level).filter(|held| held.verdict == Verdict::Invalid).cloned());
    if let Some(broken) = broken {
        for level in [Level::Linearizable, Level::Sequential] {
            let stronger = levels.get_mut(&level).filter(|held| held.verdict != Verdict::Invalid);
            if let Some(stronger) = stronger {
                *stronger = broken.clone();
            }
        }
    }
}

/// A judgement as far as it is about the model: other anomalies of its judge are shown elsewhere.
fn held(judgement: Judgement, about_it: impl Fn(&str) -> bool) -> Held {
    if let Some(anomaly) = judgement.anomalies.iter().find(|anomaly| about_it(&anomaly.name)) {
        let sentences = anomaly.sentences.join(" ");
        return Held { verdict: Verdict::Invalid, because: Some((anomaly.name.clone(), sentences)) };
    }
    match judgement.doubts.first() {
        Some(doubt) => {
            Held { verdict: Verdict::Unknown, because: Some(("unknown".into(), doubt.reason.clone())) }
        }
        None => Held { verdict: Verdict::Valid, because: None },
    }
}
