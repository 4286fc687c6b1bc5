//! What must hold over all nodes at all times (§5, Figure 3), watched from outside while a simulation runs:
//!
//! * election safety: at most one leader a term;
//! * log matching: entries of equal index and term hold the same, and follow entries of equal term;
//! * leader completeness: a new leader's log holds every entry that was decided in an earlier term;
//! * state machine safety: no two nodes ever take different entries for decided at one index, and stores that applied
//!   equally much are equal.
//!
//! It finds a broken rule at the step that breaks it, long before a client could notice. It cannot find what no node's
//! memory shows: answers given too early, or read from the wrong place. Histories show those.

use std::collections::{BTreeMap, HashMap};

use super::election::Role;
use super::message::{Index, Origin, Position, Term};
use super::{Raft, Store};
use crate::protocol::NodeId;

/// Stores are compared whenever the applied index is a multiple of this.
const COMPARED_EVERY: Index = 16;

/// Watches all nodes of one simulation.
#[derive(Debug, Default)]
pub struct Invariants {
    leaders: BTreeMap<Term, NodeId>,
    /// What follows what: by index and term, the term before and the proposal.
    entries: HashMap<(Index, Term), (Term, Option<Origin>)>,
    /// What was ever decided, from index 1 on. Where a node decides much at once and takes a snapshot in the same step,
    /// it is known as soon as another node decides it.
    decided: Vec<Option<Decided>>,
    stores: BTreeMap<Index, Store>,
    watched: BTreeMap<NodeId, Watched>,
    /// What was broken, one sentence each, the first ones only.
    pub violations: Vec<String>,
}

/// A decided entry.
#[derive(Clone, Copy, Debug)]
struct Decided {
    term: Term,
    proposal: Option<Origin>,
    /// The term in which it was decided, which may be later than its own. Leaders of earlier terms may lack it, even one
    /// that learns of its election only now.
    in_term: Term,
}

/// How far a node has been looked at.
#[derive(Debug, Default)]
struct Watched {
    last: Position,
    commit: Index,
}

impl Invariants {
    /// Looks at a node after something happened to it. Takes time linear in its undecided entries when those changed.
    ///
    /// A node that is alone is not judged: it takes for decided what is still on its way to its disk, and only its
    /// driver holds the answers back until it is there. With more nodes, what others have acknowledged is on its disk.
    pub fn observe(&mut self, node: &Raft) {
        if node.peers.is_empty() {
            return;
        }
        let seen = self.watched.entry(node.id).or_default();
        let before = Watched { last: seen.last, commit: seen.commit.min(node.commit) };
        (seen.last, seen.commit) = (node.log.last(), node.commit);
        if before.last != node.log.last() {
            self.log_matching(node, before.commit + 1);
        }
        self.state_machine_safety(node, before.commit + 1);
        if let Role::Leader(_) = node.role {
            self.election_safety(node);
        }
    }

    fn violated(&mut self, what: String) {
        if self.violations.len() < 20 {
            self.violations.push(what);
        }
    }

    fn election_safety(&mut self, node: &Raft) {
        let term = node.hard.term;
        match self.leaders.get(&term) {
            Some(leader) if *leader == node.id => {}
            Some(leader) => self.violated(format!("{leader} and {} both lead in term {term}", node.id)),
            None => {
                self.leaders.insert(term, node.id);
                self.leader_completeness(node);
            }
        }
    }

    fn leader_completeness(&mut self, node: &Raft) {
        let from = node.log.base().index;
        for (index, known) in (1..).zip(&self.decided).skip(from as usize) {
            if let Some(Decided { term, in_term, .. }) = known
                && *in_term < node.hard.term
                && node.log.term_at(index) != Some(*term)
            {
                let what = format!(
                    "{} leads in term {} without the decided entry {index} of term {term}",
                    node.id, node.hard.term
                );
                return self.violated(what);
            }
        }
    }

    fn log_matching(&mut self, node: &Raft, from: Index) {
        for index in from.max(node.log.base().index + 1)..=node.log.last().index {
            let (Some(entry), Some(before)) = (node.log.get(index), node.log.term_at(index - 1)) else {
                return;
            };
            let what = (before, entry.proposal.as_ref().map(|proposal| proposal.origin));
            let known = *self.entries.entry((index, entry.term)).or_insert(what);
            if known != what {
                let position = format!("entry {index} of term {}", entry.term);
                return self.violated(format!("{position} is not on {} what it is elsewhere", node.id));
            }
        }
    }

    fn state_machine_safety(&mut self, node: &Raft, from: Index) {
        for index in from..=node.commit {
            let Some(entry) = node.log.get(index) else { continue };
            let proposal = entry.proposal.as_ref().map(|proposal| proposal.origin);
            let what = Decided { term: entry.term, proposal, in_term: node.hard.term };
            let at = index as usize - 1;
            if self.decided.len() <= at {
                self.decided.resize(at + 1, None);
            }
            let known = self.decided[at].get_or_insert(what);
            if (known.term, known.proposal) != (what.term, what.proposal) {
                return self.violated(format!("{} takes another entry {index} for decided", node.id));
            }
        }
        let applied = node.applied;
        if applied >= from && applied > 0 && applied.is_multiple_of(COMPARED_EVERY) {
            let known = self.stores.entry(applied).or_insert_with(|| node.store.clone());
            if *known != node.store {
                self.violated(format!("{}'s store differs at {applied}", node.id));
            }
        }
    }
}
