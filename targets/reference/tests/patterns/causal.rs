//! Causal consistency in the simulated world: nobody sees an effect without its cause, wherever sessions go and whatever
//! happens to nodes and links; what is given up without dependencies, or without waiting; and every planted bug is found.

use schism_checker::{Convergence, Sessions, Weak, weak};
use schism_history::Value;
use schism_reference::simulation::{Habit, Simulated};

use crate::cases::{Case, is_valid};

// What is asked.

/// No effect is seen without its cause.
fn causal(simulated: &Simulated) -> bool {
    is_valid(&Weak { model: weak::Model::Causal, initial: Value::Nil }, simulated)
}

/// The same, with one order of what is concurrent, and all session guarantees.
fn causal_convergent(simulated: &Simulated) -> bool {
    causal(simulated)
        && is_valid(&Weak { model: weak::Model::Convergent, initial: Value::Nil }, simulated)
        && is_valid(&Sessions { real_time: false, ..Sessions::default() }, simulated)
}

/// The same, and in the end all nodes agree.
fn causal_plus(simulated: &Simulated) -> bool {
    causal_convergent(simulated) && agrees(simulated)
}

/// In the end all nodes answer, and agree on what no write that came after it in causal order replaces.
fn agrees(simulated: &Simulated) -> bool {
    simulated.is_answered && is_valid(&Convergence::default(), simulated)
}

const CAUSAL: Case =
    Case::of("causal", &[]).doing(Habit::Moves).lasting(6).settled().under("partitions").keeping(causal_plus);
/// What depends on something overtakes it most easily where nodes are far from one another.
const FAR: Case = CAUSAL.under("far").keeping(causal_convergent);

#[test]
fn causal_is_causally_convergent_wherever_sessions_go() {
    CAUSAL.under("everything").is_never_broken();
    CAUSAL.is_never_broken();
    CAUSAL.on_many_keys().is_never_broken();
    FAR.is_never_broken();
}

#[test]
fn sessions_that_stay_need_no_waiting() {
    let sticky = CAUSAL.told(&[("sessions", "sticky")]);
    sticky.doing(Habit::Registers).is_never_broken();
    sticky.is_broken_in(50);
}

#[test]
fn without_dependencies_nodes_agree_in_the_end_and_no_more() {
    let none = CAUSAL.told(&[("dependencies", "none")]);
    none.keeping(agrees).is_never_broken();
    none.under("far").keeping(causal).is_broken_in(3);
}

#[test]
fn every_bug_of_causal_is_found() {
    FAR.with("dependencies-unchecked").is_broken_in(5);
    FAR.with("reads-not-recorded").is_broken_in(50);
    FAR.with("last-dependency-only").is_broken_in(45);
    CAUSAL.with("context-dropped-on-move").is_broken_in(50);
    FAR.with("gaps-skipped").is_broken_in(50);
    CAUSAL.with("stamps-not-advanced").is_broken_in(50);
    CAUSAL.with("ack-before-fsync").under("power-cuts").is_broken_in(35);
}
