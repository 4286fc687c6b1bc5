//! What the tests of the search share: random tiny histories, and a judge too simple to be wrong.

pub mod brute_force;
pub mod dice;
pub mod tiny;
