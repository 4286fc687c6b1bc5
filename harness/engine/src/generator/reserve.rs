//! Threads set apart for generators of their own.

use schism_history::{Call, Outcome};

use super::{Context, Generator, Next};

/// The first threads run one generator, the next ones another, the rest the last. Each generator sees only its own
/// threads, counted from 0.
pub struct Reserve {
    parts: Vec<(usize, Box<dyn Generator>)>,
    rest: Box<dyn Generator>,
}

impl Reserve {
    /// Numbers of threads with their generators, and a generator for the threads left over.
    pub fn new(parts: Vec<(usize, Box<dyn Generator>)>, rest: Box<dyn Generator>) -> Self {
        Reserve { parts, rest }
    }

    fn with<T>(
        &mut self,
        context: &mut Context<'_>,
        use_it: impl FnOnce(&mut dyn Generator, &mut Context<'_>) -> T,
    ) -> T {
        let (mut first, threads, thread) = (0, context.threads, context.thread);
        for (count, part) in &mut self.parts {
            if thread < first + *count {
                let thread = thread - first;
                let mut own = Context { now: context.now, thread, threads: *count, random: context.random };
                return use_it(part.as_mut(), &mut own);
            }
            first += *count;
        }
        let (thread, threads) = (thread - first, threads - first);
        let mut own = Context { now: context.now, thread, threads, random: context.random };
        use_it(self.rest.as_mut(), &mut own)
    }
}

impl Generator for Reserve {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        self.with(context, |part, own| part.next(own))
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        self.with(context, |part, own| part.update(own, call, outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limit;
    use super::super::rehearsal::{Rehearsal, reads, writes};
    use super::*;

    #[test]
    fn each_range_runs_its_own() {
        let reserve =
            Reserve::new(vec![(2, Box::new(Limit::new(20, writes())))], Box::new(Limit::new(30, reads())));
        let made = Rehearsal::new(5).run(reserve);
        assert_eq!(made.len(), 50);
        assert!(made.iter().all(|call| call.call.changes() == (call.thread < 2)));
    }
}
