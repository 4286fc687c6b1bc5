//! What backends ask of the kernel inside namespaces that are their own: cuts, signals to a whole node, netlink.

pub mod cuts;
pub mod netlink;
pub mod processes;
pub mod system;
