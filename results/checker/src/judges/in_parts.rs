//! Objects judged part by part: the counts and doubts over all keys, and the conclusion.

use std::collections::BTreeMap;

use schism_history::{Key, Numbers};

use super::Object;
use super::accounting::Accounts;
use super::checker::{EXPLAINED, Judged, Known, Objects, Of};
use crate::judge::Judge;
use crate::linear::Allowance;
use crate::parts::{self, ByParts, Concluded, Found, Part};
use crate::side_by_side::side_by_side;
use crate::verdict::{Budget, Doubt, Judgement};

/// What is known after some parts.
pub(super) struct InParts {
    checker: Objects,
    judge: Judge,
    operations: usize,
    keys: usize,
    searched: usize,
    cannot_tell: usize,
    why: Option<String>,
    configurations: u64,
    accounts: Option<Accounts>,
    /// Why nothing is known of some keys: how many, and one of them.
    unknown: BTreeMap<String, (usize, Key)>,
    doubts: Vec<Doubt>,
    /// By where the culprit's call was over.
    found: Found<u32>,
}

impl InParts {
    pub(super) fn new(checker: Objects, judge: Judge) -> Self {
        InParts {
            checker,
            judge,
            operations: 0,
            keys: 0,
            searched: 0,
            cannot_tell: 0,
            why: None,
            configurations: 0,
            accounts: None,
            unknown: BTreeMap::new(),
            doubts: Vec::new(),
            found: Found::with_most(EXPLAINED),
        }
    }

    fn count(&mut self, key: &Judged<'_>) {
        self.keys += 1;
        self.configurations += key.configurations;
        self.searched += usize::from(key.searched.is_some());
        self.why = self.why.take().or_else(|| key.searched.clone());
        if let Some(accounts) = &key.accounts {
            self.accounts.get_or_insert_default().add(accounts);
        }
        match &key.known {
            Known::Nothing(reason) => {
                self.cannot_tell += 1;
                self.unknown.entry(reason.clone()).or_insert_with(|| (0, key.of.key.clone())).0 += 1;
            }
            Known::GaveUp(doubt) => self.doubts.push(doubt.clone()),
            _ => {}
        }
    }

    /// Why nothing is known of some keys: each reason once.
    fn doubts(&mut self) -> Vec<Doubt> {
        let hint = match self.judge {
            Judge::Linear => "--judge auto lets the search decide",
            _ => "let the workload use every element once, or judge by another model",
        };
        let unknown = std::mem::take(&mut self.unknown).into_iter();
        let mut doubts: Vec<Doubt> = unknown
            .map(|(reason, (count, key))| {
                let keys = match count {
                    1 => format!("key {key} was"),
                    more => format!("key {key} and {} others were", more - 1),
                };
                Doubt { reason: format!("{keys} not judged: {reason}"), hint: Some(hint.into()) }
            })
            .collect();
        doubts.append(&mut self.doubts);
        let forgotten = self.accounts.map_or(0, |accounts| accounts.forgotten);
        if self.checker.object == Object::TotalQueue && forgotten > 0 {
            doubts.push(Doubt {
                reason: format!(
                    "{forgotten} acknowledged elements were never taken, and nobody found it empty"
                ),
                hint: Some("take everything out at the end, until nothing is left".into()),
            });
        }
        doubts
    }
}

impl ByParts for InParts {
    fn take(&mut self, part: &Part<'_>, budget: Budget<'_>) {
        let (history, checker) = (part.history, self.checker);
        let allowance = Allowance::new(budget);
        let by_key = history.by_key();
        let keys: Vec<Of<'_>> =
            by_key.iter().map(|of| Of { key: of.key, operations: of.operations }).collect();
        let judged = side_by_side(
            keys,
            |of| of.operations.len(),
            |of, numbers: &mut Numbers| checker.judge(self.judge, history, of, numbers, &allowance),
        );
        self.operations += history.len();
        judged.iter().for_each(|key| self.count(key));
        self.doubts.extend(part.doubt());
        let (anomalies, others) = checker.explain(history, judged, &allowance, &mut self.doubts);
        self.found.take(part, anomalies, others);
    }

    fn conclude(mut self: Box<Self>) -> Concluded {
        let doubts = self.doubts();
        let (mut anomalies, others, cited) = self.found.conclude();
        parts::tell_others(&mut anomalies, others);
        let name = self.checker.object.name();
        let linear = self.keys - self.searched - self.cannot_tell;
        let mut judgement = Judgement::new(name, &format!("linearizable {name}"), anomalies, doubts)
            .with_fact("operations", self.operations)
            .with_fact("keys", self.keys)
            .with_fact(
                "judge",
                format!("linear {linear} keys, search {}, cannot tell {}", self.searched, self.cannot_tell),
            );
        if let Some(why) = self.why.filter(|_| self.searched > 0) {
            judgement = judgement
                .with_fact("searched because", why)
                .with_fact("configurations explored", self.configurations);
        }
        let judgement = match self.accounts {
            Some(accounts) => accounts.facts(judgement),
            None => judgement,
        };
        Concluded { judgement, cited }
    }
}
