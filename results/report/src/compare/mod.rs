//! Many runs beside one another: what each target kept, what it gave up, and what that cost.
//!
//! Pure, as all of this crate: what is known of each run comes in as an [`Observed`], made of its history and of what the
//! judges said; a [`Comparison`] comes out, and tables, a page, Markdown and JSON of it. A number over several runs comes
//! with the interval that so few of them leave open ([`rate`]). It says only what the runs showed: a model that no run
//! broke may still be one that the target does not keep.

mod comparison;
mod confirm;
mod lattice;
mod markdown;
mod observed;
mod page;
mod picture;
pub mod rate;
mod rows;
mod tables;
mod terminal;

pub use comparison::Comparison;
pub use confirm::{Confirmation, Difference, confirm};
pub use lattice::{Held, Level, Levels, judged};
pub use markdown::markdown;
pub use observed::{Observed, Staleness};
pub use page::page;
pub use rows::{
    CaseRow, CellRow, GivesUp, Invariant, Losses, Measures, RuledOut, Standing, Tally, TargetRow,
};
pub use terminal::screen;

/// What is compared, and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// What it is called.
    pub title: String,
    /// What it is about.
    pub about: String,
    /// The targets in the order to show them: what each is called, and what the books say of it.
    pub targets: Vec<(String, String)>,
    /// The cases of faults.
    pub cases: Vec<String>,
    /// What clients did.
    pub workloads: Vec<String>,
    /// Every run that there should be.
    pub cells: Vec<Run>,
}

/// One run of a comparison.
#[derive(Clone, Debug)]
pub struct Run {
    /// Which of the targets.
    pub target: usize,
    /// Which of the cases.
    pub case: usize,
    /// Which of the workloads.
    pub workload: usize,
    /// The seed.
    pub seed: u64,
    /// Where its files are.
    pub folder: String,
    /// What came of it.
    pub ended: Ended,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub enum Ended {
    /// It was carried out.
    Observed(Box<Observed>),
    /// The harness could not carry it out: why. No finding about anybody.
    Failed(String),
    /// It was not begun.
    Missing,
}
