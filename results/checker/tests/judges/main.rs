//! The linear and near-linear judges against the definition, and against planted wrongs of known effect.

mod brute_force;
mod collections;
#[path = "../linearizable/dice.rs"]
mod dice;
mod ground;
mod histories;
mod locks;
mod places;
mod planted;
mod sets;
