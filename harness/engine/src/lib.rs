//! The part that acts: from a plan to a recorded history. Knows no system, workload or fault by name.

pub mod backend;
pub mod budget;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod disk;
pub mod disruption;
pub mod effect;
pub mod generator;
pub mod interpreter;
pub mod link;
pub mod live;
pub mod membership;
pub mod nemesis;
pub mod plan;
pub mod random;
pub mod ready;
pub mod recorder;
pub mod rolling;
pub mod run;
pub mod shaper;
pub mod stop;
pub mod strain;
pub mod target;
pub mod workload;
