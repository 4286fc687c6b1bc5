//! Pure judgement: what a history proves about the store that produced it. One file a property.

mod by_search;
mod convergence;
pub mod everyday;
mod evidence;
mod explain;
mod judge;
pub mod judges;
pub mod linear;
mod linearizable;
pub mod model;
mod parts;
mod recovery;
mod session;
mod set;
pub mod shrink;
mod side_by_side;
mod staleness;
pub mod synthetic;
mod verdict;
mod versions;
mod watch;
pub mod weak;
pub mod zones;

pub use convergence::Convergence;
pub use evidence::{Enough, Evidence};
pub use judge::{By, Chooses, Judge};
pub use linearizable::Linearizable;
pub use parts::{ByParts, Concluded, Part};
pub use recovery::Recovery;
pub use session::{Guarantee, Session, Sessions};
pub use set::SetFull;
pub use staleness::{Freshness, KeyStaleness, LeastK, ReadStaleness, Spread, Staleness, freshness};
pub use verdict::{Anomaly, Budget, Checker, Doubt, Judgement, ProofStep, Refused, Verdict};
pub use watch::Watches;
pub use weak::Weak;
