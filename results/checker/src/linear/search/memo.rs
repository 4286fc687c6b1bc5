//! The configurations tried so far.
//!
//! Without optional operations none is met again below itself: either a return was passed, or more is in line. Then a
//! configuration is remembered when it is given up, and a search that never gives one up remembers nothing.

use super::super::allowance::Spent;
use super::super::pending::PendingSet;
use super::super::states::StateId;
use super::super::used::UsedId;
use super::{Frame, Search, TOP, Tried};
use crate::model::Model;

impl<M: Model, P: PendingSet> Search<'_, '_, '_, M, P> {
    /// Whether the configuration is new: neither it nor one that covers it has been tried.
    pub(super) fn is_new(
        &mut self,
        at: u32,
        state: StateId,
        done: &P,
        used: UsedId,
        covered: u32,
    ) -> Result<bool, Spent> {
        if self.line.optional > 0 {
            return self.remember(at, state, done, used, covered);
        }
        if self.memo.is_empty() {
            return Ok(true);
        }
        let Some(entry) = self.memo.get(&(at, state, done.clone())) else { return Ok(true) };
        let first = self.first_uncovered(covered, done);
        Ok(if entry.0 & TOP == 0 {
            entry.1 < first
        } else {
            self.chains[(entry.0 & !TOP) as usize].iter().all(|known| known.1 < first)
        })
    }

    /// Notes that a configuration was tried in vain. The search still stands where it does.
    pub(super) fn give_up(&mut self, frame: &Frame<P>) -> Result<(), Spent> {
        if self.line.optional == 0 {
            self.remember(frame.at, frame.state, &frame.done, frame.used, frame.covered)?;
        }
        Ok(())
    }

    fn remember(
        &mut self,
        at: u32,
        state: StateId,
        done: &P,
        used: UsedId,
        covered: u32,
    ) -> Result<bool, Spent> {
        if self.memo.len() == self.memo.capacity() {
            self.make_room()?;
        }
        let tried = (used, self.first_uncovered(covered, done));
        let sets = &self.used;
        let better = |one: Tried, other: Tried| one.1 >= other.1 && sets.within(one.0, other.0);
        let Some(entry) = self.memo.get_mut(&(at, state, done.clone())) else {
            self.memo.insert((at, state, done.clone()), tried);
            self.holding.grow(done.heap())?;
            return Ok(true);
        };
        if entry.0 & TOP == 0 {
            let known = *entry;
            if better(known, tried) {
                return Ok(false);
            }
            if better(tried, known) {
                *entry = tried;
                return Ok(true);
            }
            *entry = (self.chains.len() as u32 | TOP, 0);
            self.chains.push(vec![known, tried]);
            self.holding.grow(64)?;
            return Ok(true);
        }
        let chain = &mut self.chains[(entry.0 & !TOP) as usize];
        if chain.iter().any(|known| better(*known, tried)) {
            return Ok(false);
        }
        chain.retain(|known| !better(tried, *known));
        chain.push(tried);
        self.holding.grow(size_of::<Tried>())?;
        Ok(true)
    }

    /// Doubles the memo, if there is memory for the old and the new one side by side.
    fn make_room(&mut self) -> Result<(), Spent> {
        let entry = size_of::<((u32, StateId, P), Tried)>() + 1;
        // The table is at most 7/8 full.
        let old = self.memo.capacity() / 7 * 8 * entry;
        // Most histories are small: their table fits where little else has to make way for it.
        let room = match self.memo.capacity() {
            0 => 28,
            small => small.max(self.line.events.len().min(448)),
        };
        let new = (2 * old).max(2 * room * entry);
        self.holding.grow(new)?;
        self.memo.reserve(room);
        self.holding.shrink(old);
        Ok(())
    }
}
