//! The seam to a store's own protocol: one client speaks to one node over one connection, with no retries, redirects or
//! pools behind our back. What an error means is decided here, error by error, and nowhere else.

use std::time::Duration;

use schism_history::{Call, Outcome};

/// A client of one node.
pub trait Client: Send {
    /// Sends the call and waits for its answer, at most `timeout`.
    ///
    /// The answer is [`Outcome::Fail`] only if the call certainly did not happen and never will: connection refused,
    /// the store's own definite no. Whatever leaves a doubt (no answer in time, connection lost after sending) is
    /// [`Outcome::Info`].
    fn call(&mut self, call: &Call, timeout: Duration) -> Outcome;

    /// What its session has seen, in the store's own words, to be taken along to another node. `None`: a session is no
    /// more than a connection there.
    fn context(&self) -> Option<String> {
        None
    }

    /// Goes on with a session that has seen this much, at whichever nodes.
    fn resume(&mut self, _context: String) {}
}
