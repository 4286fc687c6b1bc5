//! A random mixture of generators.

use schism_history::{Call, Outcome};

use super::{Context, Generator, Next};

/// Each call comes from one of several generators, picked by weight. One that is done is picked no more.
pub struct Mix {
    parts: Vec<(u32, Box<dyn Generator>)>,
}

impl Mix {
    /// A mixture of generators with their weights.
    pub fn new(parts: Vec<(u32, Box<dyn Generator>)>) -> Self {
        Mix { parts }
    }
}

impl Generator for Mix {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        loop {
            let total: u64 = self.parts.iter().map(|(weight, _)| u64::from(*weight)).sum();
            if total == 0 {
                return Next::Done;
            }
            let mut drawn = context.random.below(total);
            let picked = self.parts.iter().position(|(weight, _)| {
                let weight = u64::from(*weight);
                let hit = drawn < weight;
                drawn = drawn.saturating_sub(weight);
                hit
            });
            let at = picked.expect("the draw is below the sum of the weights");
            match self.parts[at].1.next(context) {
                Next::Done => drop(self.parts.remove(at)),
                next => return next,
            }
        }
    }

    /// Every part learns of every call: whose it was is not known, and parts of one mixture often share an object.
    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        for (_, part) in &mut self.parts {
            part.update(context, call, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limit;
    use super::super::rehearsal::{Rehearsal, reads, writes};
    use super::*;

    #[test]
    fn by_weight_and_until_all_are_done() {
        let parts: Vec<(u32, Box<dyn Generator>)> =
            vec![(3, Box::new(Limit::new(3_000, reads()))), (1, Box::new(Limit::new(2_000, writes())))];
        let made = Rehearsal::new(1).run(Mix::new(parts));
        assert_eq!(made.len(), 5_000);
        let early = made[..2_000].iter().filter(|call| call.call.changes()).count();
        assert!((430..570).contains(&early), "{early}");
    }
}
