//! What clients do, as a value of parts: generators and checkers.

use schism_checker::Checker;
use schism_history::CallKind;

use crate::generator::Generator;

/// A workload, ready to run once.
pub struct Workload {
    /// The calls it makes.
    pub calls: &'static [CallKind],
    /// What clients do while faults come and go. Limited in rate and time from outside.
    pub load: Box<dyn Generator>,
    /// What clients do at the end, when all faults are healed: the reads that show what was kept.
    pub finale: Box<dyn Generator>,
    /// Who judges.
    pub checkers: Vec<Box<dyn Checker>>,
    /// Whether each key is written each value at most once, as its judges rely on.
    pub unique_values: bool,
}
