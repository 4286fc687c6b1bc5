//! Who judges, where two could: a linear judge, which needs a history that satisfies its condition (mostly: every value is
//! put once), and the search, which needs nothing and may not come to an end.

use schism_history::History;

use crate::parts::ByParts;
use crate::verdict::{Budget, Checker, Judgement};

/// Who judges an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Judge {
    /// The linear judge, where the history satisfies its condition; else the search.
    #[default]
    Auto,
    /// The linear judge. Where the history does not satisfy its condition nothing is said.
    Linear,
    /// The search, whatever the history.
    Search,
}

/// A checker that leaves the choice of the judge to its caller.
pub trait Chooses: Checker {
    /// Judges by a judge of the caller's choice: where two can judge, their answers are the same.
    fn check_by(&self, judge: Judge, history: &History, budget: Budget<'_>) -> Judgement;

    /// The same part by part; `None` if it has to see the whole at once.
    fn parts_by(&self, judge: Judge) -> Option<Box<dyn ByParts + '_>>;
}

/// A checker with the choice made.
#[derive(Clone, Copy, Debug)]
pub struct By<C> {
    /// Who judges.
    pub judge: Judge,
    /// What is judged.
    pub checker: C,
}

impl<C: Chooses> Checker for By<C> {
    fn name(&self) -> &'static str {
        self.checker.name()
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        self.checker.check_by(self.judge, history, budget)
    }

    fn by_parts(&self) -> Option<Box<dyn ByParts + '_>> {
        self.checker.parts_by(self.judge)
    }
}
