//! What backends ask of the kernel inside namespaces that are their own: faults of links, signals to a whole
//! node, clocks of processes, netlink.

mod annotation;
pub mod boot;
pub mod capture;
pub mod chain;
pub mod children;
mod chooser;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub mod clock;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "clock/elsewhere.rs"]
pub mod clock;
pub mod connections;
pub mod cuts;
mod datagram;
mod disciplines;
pub mod disk;
pub mod execs;
pub mod filter;
pub mod matrix;
pub mod netlink;
pub mod processes;
pub mod programs;
mod queue;
mod shaping;
pub mod six;
pub mod starving;
pub mod straining;
pub mod switch;
pub mod system;
mod tc;
pub mod treatment;
