//! Pure judgement: what a history proves about the store that produced it. One file a property.

mod evidence;
mod explain;
pub mod linear;
mod linearizable;
pub mod model;
mod session;
mod set;
mod staleness;
pub mod synthetic;
mod verdict;
mod versions;
pub mod weak;
pub mod zones;

pub use evidence::{Enough, Evidence};
pub use linearizable::{Judge, Linearizable};
pub use session::{Guarantee, Session, Sessions};
pub use set::SetFull;
pub use staleness::{KeyStaleness, ReadStaleness, Spread, Staleness};
pub use verdict::{Anomaly, Budget, Checker, Doubt, Judgement, Refused, Verdict};
pub use weak::Weak;
