//! The part that acts: from a plan to a recorded history. Knows no system, workload or fault by name.

pub mod backend;
pub mod cluster;
