//! Pure judgement: what a history proves about the store that produced it. One file a property.

mod evidence;
mod set;
mod verdict;

pub use evidence::{Enough, Evidence};
pub use set::SetFull;
pub use verdict::{Anomaly, Budget, Checker, Doubt, Judgement, Refused, Verdict};
