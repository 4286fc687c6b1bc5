//! Texts that everyone types into: in the end all nodes show the same text, with every acknowledged character in it once and
//! each author's characters in the order in which they were typed.
//!
//! A text is a list of characters, each typed once ([`Call::Append`]). It finds, in the last answered read of each text at
//! each node in the phase `final`: **lost character**, **doubled character**, **made-up character**, **words torn**: two of one
//! author's characters the wrong way round; and **texts differ**. It does not judge how the words of several authors stand to
//! one another. Linear, but for the looking up of characters.

use rustc_hash::FxHashMap;
use schism_history::{Call, History, Key, Outcome, Process, Value};

use super::{anomaly, final_reads, unread};
use crate::explain::wording::{did, when, who};
use crate::verdict::{Anomaly, Budget, Checker, Judgement};

/// The judge of texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts;

impl Checker for Texts {
    fn name(&self) -> &'static str {
        "text"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let reads = final_reads(history);
        let typed = typed(history);
        let (mut anomalies, mut all, mut lost) = (Vec::new(), 0, 0);
        for (text, typed) in typed {
            let rows = history.rows();
            let last = reads.get(text).map_or(&[][..], Vec::as_slice);
            let judge = OfText { history, text, typed };
            all += judge.typed.iter().filter(|at| rows[**at].outcome.is_ok()).count();
            let missing: Vec<_> = last.iter().map(|read| judge.lost(*read)).collect();
            lost += missing.iter().map(Vec::len).max().unwrap_or(0);
            let told = last.iter().zip(missing).find_map(|(read, lost)| judge.tell_lost(*read, &lost));
            let told = told.or_else(|| last.iter().find_map(|read| judge.wrong(*read)));
            anomalies.extend(told.or_else(|| judge.differ(last)));
        }
        let about = "all see the same text, with every acknowledged character, and each author's in order";
        Judgement::new(self.name(), about, anomalies, unread(&reads))
            .with_fact("characters acknowledged", all)
            .with_fact("characters lost", lost)
    }
}

/// One text before the judge.
struct OfText<'h> {
    history: &'h History,
    text: &'h Key,
    /// What was typed and did not certainly fail, in the order in which it was begun.
    typed: Vec<usize>,
}

impl<'h> OfText<'h> {
    fn value(&self, at: usize) -> &'h Value {
        match &self.history.rows()[at].call {
            Call::Append { value, .. } => value,
            other => unreachable!("{other} types nothing"),
        }
    }

    fn seen(&self, read: usize) -> &'h [Value] {
        self.history.rows()[read].read().and_then(Value::elements).unwrap_or_default()
    }

    /// What was acknowledged before a final read and is not in it.
    fn lost(&self, read: usize) -> Vec<usize> {
        let rows = self.history.rows();
        let seen: rustc_hash::FxHashSet<&Value> = self.seen(read).iter().collect();
        let is_due = |at: &&usize| rows[**at].outcome.is_ok() && rows[**at].precedes(&rows[read]);
        self.typed.iter().filter(is_due).filter(|at| !seen.contains(self.value(**at))).copied().collect()
    }

    fn tell_lost(&self, read: usize, lost: &[usize]) -> Option<Anomaly> {
        let first = *lost.first()?;
        let (typed, looked) = (&self.history.rows()[first], &self.history.rows()[read]);
        let others = match lost.len() - 1 {
            0 => String::new(),
            more => format!("; so are {more} more"),
        };
        let sentence = format!(
            "text {}: {} {} ({}), and in the end {} does not see it: it is lost{others}",
            self.text,
            who(typed),
            did(typed),
            when(typed),
            who(looked)
        );
        Some(anomaly("lost character", self.text, sentence, vec![first], read))
    }

    /// A character that is there twice, or that nobody typed, or that stands before one that its author typed earlier.
    fn wrong(&self, read: usize) -> Option<Anomaly> {
        let rows = self.history.rows();
        let by_value: FxHashMap<&Value, usize> = self.typed.iter().map(|at| (self.value(*at), *at)).collect();
        let mut places: FxHashMap<&Value, usize> = FxHashMap::default();
        let mut last: FxHashMap<Process, usize> = FxHashMap::default();
        let looked = who(&rows[read]);
        for (place, value) in self.seen(read).iter().enumerate() {
            let tell = |name: &str, what: String, witness: Vec<usize>| {
                let sentence = format!("text {}: in the end {looked} sees {what}", self.text);
                Some(anomaly(name, self.text, sentence, witness, read))
            };
            let Some(&at) = by_value.get(value) else {
                return tell("made-up character", format!("{value}, which nobody typed"), Vec::new());
            };
            if let Some(before) = places.insert(value, place) {
                let what = format!("{value} twice, in places {} and {}", before + 1, place + 1);
                return tell("doubled character", what, vec![at]);
            }
            let author = rows[at].process;
            if let Some(&earlier) = last.get(&author)
                && rows[at].precedes(&rows[earlier])
            {
                let later = self.value(earlier);
                let what = format!("{later} before {value}, and {author} typed {value} first");
                return tell("words torn", what, vec![at, earlier]);
            }
            last.insert(author, at);
        }
        None
    }

    fn differ(&self, last: &[usize]) -> Option<Anomaly> {
        let (&one, others) = last.split_first()?;
        let other = *others.iter().find(|other| self.seen(**other) != self.seen(one))?;
        let rows = self.history.rows();
        let differ = self.seen(one).iter().zip(self.seen(other)).take_while(|(a, b)| a == b).count();
        let sentence = format!(
            "text {}: in the end {} and {} see texts that differ from character {} on",
            self.text,
            who(&rows[one]),
            who(&rows[other]),
            differ + 1
        );
        Some(anomaly("texts differ", self.text, sentence, vec![one], other))
    }
}

/// What was typed into each text.
fn typed(history: &History) -> std::collections::BTreeMap<&Key, Vec<usize>> {
    let mut typed = std::collections::BTreeMap::<&Key, Vec<usize>>::new();
    for (at, operation) in history.rows().iter().enumerate() {
        if let Call::Append { key, .. } = &operation.call
            && !matches!(operation.outcome, Outcome::Fail(_))
        {
            typed.entry(key).or_default().push(at);
        }
    }
    typed
}
