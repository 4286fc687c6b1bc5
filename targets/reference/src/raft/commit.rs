//! When an entry is decided, and what follows: it is applied, and who waits for it is answered.

use super::election::Role;
use super::message::Index;
use super::{Entry, Raft};

impl Raft {
    /// Commits what stands on a majority of disks, if it ends with an entry of this leader's own term: an older entry may
    /// stand on a majority and still be replaced (§5.4.2, Figure 8).
    pub(super) fn advance_commit(&mut self) {
        let majority = self.majority();
        let own = self.log.last().index;
        let Role::Leader(leader) = &self.role else { return };
        let mut matched: Vec<Index> = leader.peers.values().map(|peer| peer.matched).collect();
        matched.push(own);
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let on_majority = if self.bugs.ack_before_majority { own } else { matched[majority - 1] };
        let is_own_term = self.log.term_at(on_majority) == Some(self.hard.term);
        if on_majority > self.commit && (is_own_term || self.bugs.commit_old_term) {
            self.tell_who_waits(on_majority);
            self.commit_to(on_majority);
        }
    }

    /// Followers whose clients wait for one of the newly decided entries are told at once, the others with the next
    /// message.
    fn tell_who_waits(&mut self, decided: Index) {
        let Role::Leader(leader) = &mut self.role else { return };
        for index in self.commit + 1..=decided {
            if let Some(Entry { proposal: Some(proposal), .. }) = self.log.get(index)
                && let Some(progress) = leader.peers.get_mut(&proposal.origin.node)
            {
                progress.is_curious = true;
            }
        }
    }

    /// Everything up to here is decided, as far as this log reaches.
    pub(super) fn commit_to(&mut self, index: Index) {
        if index > self.commit {
            self.commit = index;
            self.apply();
        }
    }

    fn apply(&mut self) {
        while self.applied < self.commit {
            let index = self.applied + 1;
            let Some(entry) = self.log.get(index) else {
                self.bugs.always(false, "a decided entry is not in the log");
                break;
            };
            self.applied = index;
            if let Some(proposal) = &entry.proposal {
                let origin = proposal.origin;
                let answer = self.store.apply(index, proposal, &self.bugs);
                self.answer_proposal(origin, answer);
            }
        }
        self.answer_reads();
        self.snapshot_if_due();
    }
}
