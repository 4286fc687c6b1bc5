//! What must hold over all nodes at all times (§5, Figure 3), watched from outside. See [`Invariants`].

/// Watches nodes.
#[derive(Debug, Default)]
pub struct Invariants {}
