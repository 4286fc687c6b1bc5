//! The part that acts: from a plan to a recorded history. Knows no system, workload or fault by name.

pub mod backend;
pub mod client;
pub mod cluster;
pub mod generator;
pub mod nemesis;
pub mod plan;
pub mod random;
pub mod target;
pub mod workload;
