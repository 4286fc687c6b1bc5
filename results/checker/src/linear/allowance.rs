//! What a search may spend, shared by all searches that run side by side.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::verdict::Budget;

/// What ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The time.
    Time,
    /// The memory.
    Memory,
    /// The number of configurations a caller allowed.
    Steps,
}

/// Memory left, and the caller's clock.
pub struct Allowance<'a> {
    left: Left<'a>,
    budget: Budget<'a>,
    /// Whether somebody else has found what is looked for.
    late: Option<&'a (dyn Fn() -> bool + Sync)>,
}

/// Bytes left.
enum Left<'a> {
    Own(AtomicUsize),
    Shared(&'a AtomicUsize),
}

impl<'a> Allowance<'a> {
    /// The whole budget.
    pub fn new(budget: Budget<'a>) -> Self {
        Allowance { left: Left::Own(AtomicUsize::new(budget.bytes)), budget, late: None }
    }

    /// The same memory and the same time for one of several that look for the same thing, until it is `late`.
    pub(super) fn until<'s>(&'s self, late: &'s (dyn Fn() -> bool + Sync)) -> Allowance<'s> {
        Allowance { left: Left::Shared(self.left()), budget: self.budget, late: Some(late) }
    }

    /// Whether the time is over.
    pub fn over(&self) -> bool {
        self.late.is_some_and(|late| late()) || (self.budget.over)()
    }

    fn left(&self) -> &AtomicUsize {
        match &self.left {
            Left::Own(left) => left,
            Left::Shared(left) => left,
        }
    }

    /// The budget it stands for.
    pub fn budget(&self) -> Budget<'a> {
        self.budget
    }

    /// Takes `bytes`, if there are as many.
    fn take(&self, bytes: usize) -> bool {
        self.left().fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

/// What one judge holds of the allowance. Gives it back when dropped.
pub(crate) struct Holding<'a, 'b> {
    allowance: &'a Allowance<'b>,
    taken: usize,
    used: usize,
}

/// Taken from the shared counter at once, so that it is touched rarely.
const CHUNK: usize = 64 * 1024;

impl<'a, 'b> Holding<'a, 'b> {
    pub(crate) fn new(allowance: &'a Allowance<'b>) -> Self {
        Holding { allowance, taken: 0, used: 0 }
    }

    /// Accounts for `bytes` more; `Err` if they are not to be had.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Spent> {
        let used = self.used + bytes;
        if used > self.taken {
            let more = (used - self.taken).next_multiple_of(CHUNK);
            if !self.allowance.take(more) {
                return Err(Spent::Memory);
            }
            self.taken += more;
        }
        self.used = used;
        Ok(())
    }

    /// Accounts for `bytes` less.
    pub(super) fn shrink(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    pub(super) fn time_over(&self) -> bool {
        self.allowance.over()
    }
}

impl Drop for Holding<'_, '_> {
    fn drop(&mut self) {
        self.allowance.left().fetch_add(self.taken, Ordering::Relaxed);
    }
}
