//! The judge of linearizability: against the definition, against another judge, and what it says when something is wrong.

mod brute_force;
mod dice;
mod explanations;
mod judge;
mod laws;
mod models;
mod objects;
#[path = "../../benches/shared/peer.rs"]
mod peer;
mod planted;
mod script;
mod search;
mod second_opinion;
mod tiny;

use std::time::Duration;

use schism_checker::Budget;
use schism_checker::linear::Entry;
use schism_history::History;

/// More than any test needs: none may depend on the clock.
const BUDGET: Budget<'static> = Budget { bytes: 1 << 30, time: Duration::from_secs(3600), over: &|| false };

fn entries(history: &History) -> Vec<Entry<'_>> {
    history.rows().iter().enumerate().filter_map(|(at, operation)| Entry::of(at, operation)).collect()
}
