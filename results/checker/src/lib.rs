//! Pure judgement: what a history proves about the store that produced it. One file a property.

mod evidence;
mod explain;
pub mod linear;
mod linearizable;
pub mod model;
mod set;
pub mod synthetic;
mod verdict;
pub mod zones;

pub use evidence::{Enough, Evidence};
pub use linearizable::{Judge, Linearizable};
pub use set::SetFull;
pub use verdict::{Anomaly, Budget, Checker, Doubt, Judgement, Refused, Verdict};
