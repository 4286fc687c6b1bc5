//! What backends ask of the kernel inside namespaces that are their own: faults of links, signals to a whole
//! node, netlink.

pub mod chain;
pub mod children;
mod chooser;
pub mod cuts;
mod datagram;
pub mod matrix;
pub mod netlink;
pub mod processes;
pub mod programs;
mod queue;
mod shaping;
pub mod six;
pub mod system;
pub mod treatment;
