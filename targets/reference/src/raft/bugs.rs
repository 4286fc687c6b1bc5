//! The planted bugs: each is one `if` at the place where the rule it breaks is written. A planted bug never stops a
//! node; it goes on, wrongly.

use std::collections::BTreeSet;

use crate::protocol::{ACK_BEFORE_FSYNC, Bug};

/// Each with what it does wrong.
pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "follower-reads",
        about: "every node answers reads from its own state, however far behind it is",
    },
    Bug {
        name: "unconfirmed-leader-reads",
        about: "a leader answers reads without asking a majority whether it still leads, and never steps down by itself",
    },
    Bug {
        name: "lease-trusts-clock",
        about: "a leader answers reads under a lease which it checks against a time of day it looked up a while ago: \
                after a pause or a jump of the clock it takes itself for the leader and is not",
    },
    Bug {
        name: "vote-not-persisted",
        about: "term and vote are kept in memory only: a node that restarts may vote twice in one term",
    },
    ACK_BEFORE_FSYNC,
    Bug {
        name: "ack-before-majority",
        about: "a leader commits and answers after its own append: a failover loses acknowledged writes",
    },
    Bug {
        name: "commit-old-term",
        about: "a new leader does without an entry of its own term: it commits older ones by counting replicas, which \
                can still be replaced (Figure 8 of the paper), and answers reads before it knows what is decided",
    },
    Bug {
        name: "suffix-not-truncated",
        about: "a follower whose log conflicts with its leader's keeps its own entries and says that they match",
    },
    Bug { name: "vote-ignores-log", about: "votes for candidates whose log lacks committed entries" },
    Bug {
        name: "retry-applied-twice",
        about: "sessions are not looked at: a retried write is applied once more, on top of later ones",
    },
    Bug {
        name: "snapshot-drops-sessions",
        about: "snapshots leave the sessions out: who starts from one applies a retried write once more, and no longer \
                agrees with the others",
    },
];

/// Which bugs are planted.
#[derive(Clone, Debug, Default)]
pub(super) struct Bugs {
    pub follower_reads: bool,
    pub unconfirmed_leader_reads: bool,
    pub lease_trusts_clock: bool,
    pub vote_not_persisted: bool,
    pub ack_before_majority: bool,
    pub commit_old_term: bool,
    pub suffix_not_truncated: bool,
    pub vote_ignores_log: bool,
    pub retry_applied_twice: bool,
    pub snapshot_drops_sessions: bool,
    /// Any at all, a driver's included: what must never be may be then.
    any: bool,
}

impl Bugs {
    pub(super) fn new(names: &BTreeSet<String>) -> Self {
        let on = |name: &str| names.contains(name);
        Bugs {
            follower_reads: on("follower-reads"),
            unconfirmed_leader_reads: on("unconfirmed-leader-reads"),
            lease_trusts_clock: on("lease-trusts-clock"),
            vote_not_persisted: on("vote-not-persisted"),
            ack_before_majority: on("ack-before-majority"),
            commit_old_term: on("commit-old-term"),
            suffix_not_truncated: on("suffix-not-truncated"),
            vote_ignores_log: on("vote-ignores-log"),
            retry_applied_twice: on("retry-applied-twice"),
            snapshot_drops_sessions: on("snapshot-drops-sessions"),
            any: !names.is_empty(),
        }
    }

    /// Stops a correct node that finds what must never be: going on would spread it. A node with a planted bug goes on.
    #[track_caller]
    pub(super) fn always(&self, holds: bool, what: &str) {
        assert!(holds || self.any, "this must never be: {what}");
    }
}
