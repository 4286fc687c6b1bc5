//! The judge of histories by the weak models: from the versions of registers to columns, and back to sentences.

use schism_history::{Call, History, Operation, Outcome, Value};

use super::columns::{Columns, NONE};
use super::index::Index;
use super::reasons::{Step, Why, proof};
use super::smallest::{self, Left};
use super::{Answer, Model, Pattern, Spent, judge};
use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement, ProofStep};
use crate::versions::{Register, registers, who};

/// Where no steps prove it, the operations are told one by one if they are not more than that; a witness shows them all.
const TOLD: usize = 12;

/// The judge by one of the weak models.
#[derive(Clone, Debug)]
pub struct Weak {
    /// The model.
    pub model: Model,
    /// What each register holds at first.
    pub initial: Value,
}

/// Columns, and which operation of the history each of theirs is.
struct Recorded {
    columns: Columns,
    operations: Vec<usize>,
}

impl Checker for Weak {
    fn name(&self) -> &'static str {
        self.model.word()
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        let found = registers(history, &self.initial);
        let (mut anomalies, mut doubts) = (found.anomalies, found.doubts);
        let recorded = Recorded::of(history, &found.registers);
        match judge(&recorded.columns, self.model, budget.bytes, budget.over) {
            Answer::Kept => {}
            Answer::Broken(pattern) => anomalies.push(self.anomaly(history, &recorded, pattern, budget)),
            Answer::GaveUp(spent) => doubts.push(gave_up(spent, &recorded, budget)),
        }
        let reads = recorded.columns.saw.iter().filter(|saw| **saw != NONE).count();
        Judgement::new(self.name(), self.model.name(), anomalies, doubts)
            .with_fact("operations judged", recorded.columns.len())
            .with_fact("keys", found.registers.len())
            .with_fact("sessions", recorded.columns.sessions())
            .with_fact("reads", reads)
    }
}

fn gave_up(spent: Spent, recorded: &Recorded, budget: Budget<'_>) -> Doubt {
    let size = format!(
        "{} operations of {} sessions were judged together",
        recorded.columns.len(),
        recorded.columns.sessions()
    );
    match spent {
        Spent::Time => Doubt {
            reason: format!("the time ({} s) was over while {size}", budget.time.as_secs_f64()),
            hint: Some(
                "raise check.time (--time of `schism check`), or use fewer clients or a shorter run".into(),
            ),
        },
        Spent::Memory => Doubt {
            reason: format!("the memory ({} MiB) was not enough while {size}", budget.bytes >> 20),
            hint: Some(
                "raise check.memory (--memory of `schism check`), or use fewer clients or a shorter run"
                    .into(),
            ),
        },
    }
}

impl Recorded {
    fn of(history: &History, registers: &[Register<'_>]) -> Self {
        let mut rows: Vec<(u32, usize, u32, u32, u32)> = Vec::new();
        let mut values = 0;
        for (key, register) in registers.iter().enumerate() {
            // The initial version is 0 on every key, the others are counted on.
            let number = |version: usize| if version == 0 { 0 } else { values + version as u32 };
            for (at, version) in register.versions.iter().enumerate().filter(|(_, version)| version.happened)
            {
                let mut row = |operation: usize, saw, wrote| {
                    let process = history.rows()[operation].process.0;
                    rows.push((process, operation, key as u32, saw, wrote));
                };
                if let Some(writer) = version.writer {
                    row(writer, version.from.map_or(NONE, number), number(at));
                }
                version.reads.iter().for_each(|read| row(*read, number(at), NONE));
            }
            values += register.versions.len() as u32 - 1;
        }
        rows.sort_unstable();
        let mut recorded =
            Recorded { columns: Columns::default(), operations: Vec::with_capacity(rows.len()) };
        let ends = |at: usize| {
            // What nobody knows the end of may have come later than what its process did then, if it went on at all.
            let info = matches!(history.rows()[rows[at].1].outcome, Outcome::Info(_));
            info || rows[at].0 != rows[at + 1].0
        };
        for (at, (_, operation, key, saw, wrote)) in rows.iter().enumerate() {
            if at == 0 || ends(at - 1) {
                recorded.columns.session();
            }
            match (*saw, *wrote) {
                (saw, NONE) => recorded.columns.read(*key, saw),
                (NONE, wrote) => recorded.columns.write(*key, wrote),
                (saw, wrote) => recorded.columns.change(*key, saw, wrote),
            }
            recorded.operations.push(*operation);
        }
        recorded
    }
}

impl Weak {
    fn anomaly(
        &self,
        history: &History,
        recorded: &Recorded,
        pattern: Pattern,
        budget: Budget<'_>,
    ) -> Anomaly {
        let unsure = |at: &usize| matches!(history.rows()[*at].outcome, Outcome::Info(_));
        let unsure: Vec<bool> = recorded.operations.iter().map(unsure).collect();
        let all = &recorded.columns;
        let left = smallest::part(all, &unsure, (self.model, pattern), budget.bytes, budget.over);
        let Left { operations: kept, pattern, spent } = left;
        let mut keep = vec![false; all.len()];
        kept.iter().for_each(|at| keep[*at] = true);
        let (columns, _) = all.only(&keep);
        let operations: Vec<usize> = kept.iter().map(|at| recorded.operations[*at]).collect();
        // Of more than are needed no steps are worth the search.
        let steps = match spent {
            None => proof(&Index::of(&columns), self.model, budget.bytes, budget.over),
            Some(_) => None,
        };
        let at = |operation: usize| &history.rows()[operations[operation]];
        let proof: Vec<ProofStep> = match &steps {
            Some(steps) => steps.iter().map(|step| proof_step(step, &operations, &at)).collect(),
            None if operations.len() <= TOLD => (0..operations.len())
                .map(|operation| ProofStep {
                    what: "operation".into(),
                    operations: vec![operations[operation]],
                    values: Vec::new(),
                    because: format!(
                        "{} {} ({}).",
                        who(at(operation)),
                        did(at(operation)),
                        when(at(operation))
                    ),
                })
                .collect(),
            None => Vec::new(),
        };
        let mut sentences: Vec<String> = proof.iter().map(|step| step.because.clone()).collect();
        sentences.push(match (&steps, pattern.published()) {
            (Some(_), Some(published)) => {
                format!(
                    "So one of them comes before itself: {published}, which {} forbids.",
                    self.model.name()
                )
            }
            (Some(_), None) => {
                format!("So one of them comes before itself, which {} forbids.", self.model.name())
            }
            (None, _) => {
                format!("No order of these {} operations is one of {}.", operations.len(), self.model.name())
            }
        });
        let spent = match spent {
            Some(Spent::Time) => Some("the time was over"),
            Some(Spent::Memory) => Some("the memory was not enough"),
            None => None,
        };
        sentences.extend(spent.map(|spent| format!("Fewer may show it: {spent} before each was tried.")));
        let key = &at(0).call;
        let same = (0..operations.len()).all(|operation| at(operation).call.key() == key.key());
        let key = same.then(|| key.key().clone());
        let mut witness = operations;
        witness.sort_unstable();
        let culprit = witness.iter().copied().rev().find(|at| history.rows()[*at].read().is_some());
        Anomaly {
            name: pattern.name().into(),
            key,
            sentences,
            witness,
            culprit,
            possible_states: Vec::new(),
            refused: Vec::new(),
            proof,
        }
    }
}

/// A step of a proof: what it is, who shows it, and which value it makes older than which.
fn proof_step<'h>(step: &Step, operations: &[usize], at: &dyn Fn(usize) -> &'h Operation) -> ProofStep {
    let (what, third) = match step.why {
        Why::Session => ("session order", None),
        Why::Saw => ("reads from", None),
        Why::First => ("saw the initial value", None),
        Why::Missed { reader } => ("older than what was seen", Some(reader)),
        Why::Overwritten { writer } => ("seen before it was overwritten", Some(writer)),
    };
    let value = |operation: usize| wrote(at(operation)).or_else(|| at(operation).read());
    ProofStep {
        what: what.into(),
        operations: [step.from, step.to].into_iter().chain(third).map(|at| operations[at]).collect(),
        values: [step.from, step.to].into_iter().filter_map(value).map(ToString::to_string).collect(),
        because: told(step, at),
    }
}

/// A step of a proof, as a sentence.
fn told<'h>(step: &Step, at: &dyn Fn(usize) -> &'h Operation) -> String {
    let (from, to) = (at(step.from), at(step.to));
    let one = |operation: &Operation| format!("{} {}", who(operation), did(operation));
    let value = |operation: &Operation| wrote(operation).map_or("nothing".into(), ToString::to_string);
    match step.why {
        Why::Session => format!(
            "{} ({}), and after that {} ({}): the same session.",
            one(from),
            when(from),
            did(to),
            when(to)
        ),
        Why::Saw => format!("{} ({}), which {} had written.", one(to), when(to), who(from)),
        Why::First => format!(
            "{} ({}), which was there at first: before {} was written to {}.",
            one(from),
            when(from),
            value(to),
            to.call.key()
        ),
        Why::Missed { reader } => format!(
            "{} ({}), though {} of {} comes before that: {} is older than {}.",
            one(at(reader)),
            when(at(reader)),
            value(from),
            from.call.key(),
            value(from),
            value(to)
        ),
        Why::Overwritten { writer } => format!(
            "{} ({}): before {}, which is newer than {}, was written.",
            one(from),
            when(from),
            value(to),
            value(at(writer))
        ),
    }
}

/// What it did, as a thing of the past: `read 3 of x`.
fn did(operation: &Operation) -> String {
    let key = operation.call.key();
    match (&operation.call, operation.read()) {
        (Call::Read { .. }, Some(value)) => format!("read {value} of {key}"),
        (Call::Write { value, .. }, _) => format!("wrote {value} to {key}"),
        (Call::Cas { from, to, .. }, _) => format!("changed {key} from {from} to {to}"),
        (call, _) => format!("called {call}"),
    }
}

fn wrote(operation: &Operation) -> Option<&Value> {
    match &operation.call {
        Call::Write { value, .. } | Call::Cas { to: value, .. } => Some(value),
        _ => None,
    }
}

fn when(operation: &Operation) -> String {
    match operation.outcome {
        Outcome::Info(_) => format!("from {} on, without an answer", operation.invoked),
        _ => format!("{} to {}", operation.invoked, operation.completed),
    }
}
