//! One thing after the other.

use schism_history::{Call, Outcome};

use super::{Context, Generator, Next};

/// Generators one after the other: a phase begins only when every thread is through with the one before, all its calls
/// completed.
pub struct Phases {
    parts: Vec<Box<dyn Generator>>,
    current: usize,
    through: Vec<bool>,
}

impl Phases {
    /// These, in this order.
    pub fn new(parts: Vec<Box<dyn Generator>>) -> Self {
        Phases { parts, current: 0, through: Vec::new() }
    }
}

impl Generator for Phases {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        self.through.resize(context.threads, false);
        while self.current < self.parts.len() {
            if self.through[context.thread] {
                return Next::Wait;
            }
            match self.parts[self.current].next(context) {
                Next::Done => self.through[context.thread] = true,
                next => return next,
            }
            if self.through.iter().all(|through| *through) {
                self.current += 1;
                self.through.fill(false);
            }
        }
        Next::Done
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        if let Some(part) = self.parts.get_mut(self.current) {
            part.update(context, call, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Limit;
    use super::super::rehearsal::{Rehearsal, reads, writes};
    use super::*;

    #[test]
    fn the_second_waits_for_the_last_call_of_the_first() {
        let phases = Phases::new(vec![Box::new(Limit::new(5, writes())), Box::new(Limit::new(6, reads()))]);
        let made = Rehearsal::new(3).latency(Duration::from_millis(10)).run(phases);
        let last_write = made.iter().filter(|call| call.call.changes()).map(|call| call.ended).max().unwrap();
        let first_read = made.iter().filter(|call| !call.call.changes()).map(|call| call.at).min().unwrap();
        assert_eq!(made.len(), 11);
        assert!(first_read >= last_write, "{first_read} before {last_write}");
    }
}
