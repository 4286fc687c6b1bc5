//! Depth first and all else at the same time.
//!
//! Both draw on the same memory and the same time, and the first to decide stops the other. Whoever runs out of memory gives
//! back what it holds and leaves the rest to the other; what both left is tried again alone. Until a thread is free the
//! first one takes all turns itself, so nothing waits for a thread that never comes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Decision, Turns};
use crate::linear::allowance::{Allowance, Spent};
use crate::linear::pending::PendingSet;
use crate::linear::timeline::Timeline;
use crate::linear::{Finding, Holding};
use crate::model::Model;

/// With fewer events, turns are over before a thread has begun.
const FROM: usize = 512;

/// What the two know of each other.
#[derive(Default)]
struct Course {
    /// Whether the other one has begun.
    begun: AtomicBool,
    /// Whether it is decided.
    over: AtomicBool,
    /// What the other one came to.
    other: Mutex<Option<Came>>,
}

impl Course {
    /// Lets one of the two run until it or the other one has decided.
    fn run<M: Model>(
        &self,
        line: &mut Timeline<'_, M>,
        allowance: &Allowance<'_>,
        furthest: u32,
        search: impl FnOnce(&mut Decision<'_, '_, '_, M>) -> Finding,
    ) -> Came {
        let late = || self.over.load(Ordering::Relaxed);
        let allowance = allowance.until(&late);
        let mut one = Decision::new(line, &allowance, u64::MAX);
        one.furthest = furthest;
        let finding = if late() { Finding::GaveUp(Spent::Time) } else { search(&mut one) };
        if !matches!(finding, Finding::GaveUp(_)) {
            self.over.store(true, Ordering::Relaxed);
        }
        let Decision { configurations, furthest, widest, .. } = one;
        Came { finding, configurations, furthest, widest }
    }
}

/// What one of the two came to.
struct Came {
    finding: Finding,
    configurations: u64,
    furthest: u32,
    widest: usize,
}

impl<M: Model> Decision<'_, '_, '_, M> {
    /// Whether to go on side by side. A caller that counts configurations wants the same ones each time.
    pub(super) fn worth_a_race(&self, turns: &Turns) -> bool {
        turns.depth == Spent::Steps
            && turns.breadth == Spent::Steps
            && self.steps == u64::MAX
            && self.line.events.len() >= FROM
            && rayon::current_num_threads() > 1
    }

    /// Side by side from these turns on.
    pub(super) fn race<P: PendingSet>(&mut self, mut turns: Turns) -> Finding {
        let mut holding = Holding::new(self.allowance);
        if turns.depth != Spent::Steps || holding.grow(self.line.bytes()).is_err() {
            return self.take_turns::<P>(turns, false);
        }
        self.agreed = Some(self.furthest);
        let course = Course::default();
        let (allowance, furthest, width) = (self.allowance, self.furthest, turns.width);
        let mut line = self.line.clone();
        let this = rayon::scope(|scope| {
            let (course, turns) = (&course, &mut turns);
            scope.spawn(move |_| {
                course.begun.store(true, Ordering::Relaxed);
                let came = course.run(&mut line, allowance, furthest, |other| other.widen::<P>(width));
                *course.other.lock().expect("whoever holds it does not panic") = Some(came);
            });
            course.run(self.line, allowance, furthest, |this| this.deepen::<P>(turns, course))
        });
        drop(holding);
        let other = course.other.into_inner().expect("whoever held it did not panic");
        let mut finding = this.finding;
        for came in [Some(this), other].into_iter().flatten() {
            self.configurations += came.configurations;
            self.furthest = self.furthest.max(came.furthest);
            self.widest = self.widest.max(came.widest);
            if !matches!(came.finding, Finding::GaveUp(_)) {
                finding = came.finding;
            }
        }
        if !matches!(finding, Finding::GaveUp(_)) {
            return finding;
        }
        if self.allowance.over() {
            return Finding::GaveUp(Spent::Time);
        }
        // Both were short of memory, and perhaps only because of each other.
        (turns.depth, turns.breadth) = (Spent::Memory, Spent::Steps);
        self.take_turns::<P>(turns, false)
    }

    /// Depth first, in longer and longer turns, and everything else, too, as long as nobody else does it.
    fn deepen<P: PendingSet>(&mut self, turns: &mut Turns, course: &Course) -> Finding {
        loop {
            if let Some(found) = self.depth_turn::<P>(turns) {
                return found;
            }
            if turns.depth != Spent::Steps {
                // The other one is about to begin if it has not yet: this thread is free for it now.
                return Finding::GaveUp(turns.depth);
            }
            if !course.begun.load(Ordering::Relaxed)
                && let Some(found) = self.other_turns::<P>(turns)
            {
                return found;
            }
            turns.lengthen();
        }
    }

    /// Everything but depth first, wider and wider.
    fn widen<P: PendingSet>(&mut self, width: usize) -> Finding {
        let mut turns = self.first_turns();
        turns.width = width;
        loop {
            if let Some(found) = self.other_turns::<P>(&mut turns) {
                return found;
            }
            if turns.breadth != Spent::Steps {
                return Finding::GaveUp(turns.breadth);
            }
            turns.lengthen();
        }
    }
}
