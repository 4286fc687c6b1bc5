//! A judge against brute force: on random histories of a few operations, half of them made blindly and half by a right
//! object and then garbled.
//!
//! In a normal run a few seconds for all judges together; `SCHISM_HISTORIES=1000000` judges so many with each.

use schism_checker::judges::{Answer, Columns, NEVER};
use schism_checker::synthetic::objects::{self, Effect, Layout};

use crate::dice::Dice;

/// How many histories a judge gets.
pub fn histories() -> usize {
    std::env::var("SCHISM_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000)
}

/// Asked for the next operation, in the order of effects: answers its kind and number.
pub type Object = Box<dyn FnMut(Effect, &mut dyn FnMut() -> u64) -> (u32, u32)>;

/// What is needed to put one judge to the test.
pub struct Ground<'a> {
    /// For the line that is printed.
    pub name: &'a str,
    /// Operations, at most.
    pub most: usize,
    /// A right object: asked for its next operation in the order of effects.
    pub object: &'a dyn Fn() -> Object,
    /// Any operation, given its place and whether its fate is known.
    pub blind: &'a dyn Fn(&mut Dice, usize, bool) -> (u32, u32),
    /// The definition.
    pub legal: &'a dyn Fn(&Columns) -> bool,
    /// The judge.
    pub judge: &'a dyn Fn(&Columns) -> Answer,
    /// How many of a hundred histories it may find unfit.
    pub unfit: usize,
    /// Names of all the rules it knows how to find broken.
    pub rules: &'a [&'a str],
    /// Whether a violation must still be one when nothing but its operations is left.
    pub stands_alone: bool,
}

impl Ground<'_> {
    /// Judges, compares, and counts.
    pub fn stand(&self, seed: u64) {
        let mut dice = Dice::new(seed);
        let count = histories();
        let (mut legal, mut unfit, mut most) = (0, 0, 0);
        let mut rules = std::collections::BTreeMap::<&str, usize>::new();
        for number in 0..count {
            let columns = self.history(&mut dice, number);
            let expected = (self.legal)(&columns);
            match (self.judge)(&columns) {
                Answer::Legal => assert!(expected, "{}: missed in {columns:#?}", self.name),
                Answer::Unfit(_) => unfit += 1,
                Answer::Illegal(violation) => {
                    assert!(!expected, "{}: {violation:?} made up of {columns:#?}", self.name);
                    let mut operations = violation.operations.clone();
                    operations.sort_unstable();
                    operations.dedup();
                    assert_eq!(operations.len(), violation.operations.len(), "{violation:?}");
                    let alone = columns.pick(&operations);
                    assert!(
                        !self.stands_alone || !(self.legal)(&alone),
                        "{}: {violation:?} proves nothing in {columns:#?}",
                        self.name
                    );
                    most = most.max(operations.len());
                    *rules.entry(violation.rule.name).or_default() += 1;
                }
            }
            legal += usize::from(expected);
        }
        println!(
            "{}: {count} histories, {legal} legal, {unfit} unfit, largest witness {most}, {rules:?}",
            self.name
        );
        assert!(
            legal * 6 > count && (count - legal) * 6 > count,
            "{legal} of {count} legal: not much of a test"
        );
        assert!(unfit * 100 <= self.unfit * count, "{unfit} of {count} unfit");
        for rule in self.rules {
            assert!(rules.get(rule).is_some_and(|seen| *seen * 2_000 > count), "{rule} hardly ever broken");
        }
    }

    fn history(&self, dice: &mut Dice, number: usize) -> Columns {
        let operations = 2 + dice.below(self.most - 1);
        let layout = Layout { operations, clients: 1 + dice.below(4), info: [0, 150, 400][dice.below(3)] };
        let mut object = (self.object)();
        let made = objects::columns(&layout, &mut || dice.raw(), |effect, next| object(effect, next));
        if number.is_multiple_of(8) {
            return made;
        }
        // Garbled: two of a kind changed places, or some are any others, or all are.
        let unknown = |operation: u32| made.complete(operation) == NEVER;
        let mut whats: Vec<(u32, u32)> =
            (0..operations as u32).map(|operation| (made.kind(operation), made.number(operation))).collect();
        if number % 8 < 4 {
            for _ in 0..=dice.below(2) {
                let (one, other) = (dice.below(operations), dice.below(operations));
                let known = !unknown(one as u32) && !unknown(other as u32);
                if known && whats[one].0 == whats[other].0 {
                    whats.swap(one, other);
                }
            }
        } else {
            let share = if number % 8 == 4 { 100 } else { 20 };
            for (operation, what) in whats.iter_mut().enumerate() {
                if dice.percent(share) {
                    *what = (self.blind)(dice, operation, !unknown(operation as u32));
                }
            }
        }
        let mut columns = Columns::with_capacity(operations);
        for (operation, (kind, what)) in (0..).zip(whats) {
            let complete = Some(made.complete(operation)).filter(|complete| *complete != NEVER);
            columns.push(kind, what, made.invoke(operation), complete);
        }
        columns
    }
}
