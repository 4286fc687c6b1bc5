//! Values as small numbers, in the order of their first use.
//!
//! Most values are integers from a counter: those are looked up in a table, all others by their hash.

use rustc_hash::FxHashMap;
use schism_history::{Call, Ret, Value};

use super::NEVER;
use crate::linear::Entry;

/// A table may have so many places for each operation. More, and hashing is cheaper than the memory.
const PLACES: usize = 4;

/// Gives each value its number; the initial one has 0.
pub(super) struct Numbers<'h> {
    next: u32,
    /// The numbers of the integers from `lowest` on; [`NEVER`] where none was given out.
    table: Vec<u32>,
    lowest: i64,
    others: FxHashMap<&'h Value, u32>,
}

impl<'h> Numbers<'h> {
    pub(super) fn new(entries: &[Entry<'h>], initial: &'h Value) -> Self {
        let (mut lowest, mut highest) = (i64::MAX, i64::MIN);
        let mut look = |value: &Value| {
            if let Value::Int(int) = value {
                lowest = lowest.min(*int);
                highest = highest.max(*int);
            }
        };
        for entry in entries {
            match (entry.call, entry.ret) {
                (Call::Write { value, .. }, _) | (_, Some(Ret::Value(value))) => look(value),
                (Call::Cas { from, to, .. }, _) => {
                    look(from);
                    look(to);
                }
                _ => {}
            }
        }
        let places = highest.checked_sub(lowest).and_then(|span| usize::try_from(span).ok());
        let places = places.filter(|span| *span < 64 + PLACES * entries.len()).map_or(0, |span| span + 1);
        let mut numbers =
            Numbers { next: 0, table: vec![NEVER; places], lowest, others: FxHashMap::default() };
        numbers.of(initial);
        numbers
    }

    /// The number of this value.
    pub(super) fn of(&mut self, value: &'h Value) -> u32 {
        let place = match value {
            Value::Int(int) => int.checked_sub(self.lowest).and_then(|place| usize::try_from(place).ok()),
            _ => None,
        };
        let number = match place.and_then(|place| self.table.get_mut(place)) {
            Some(number) => number,
            None => self.others.entry(value).or_insert(NEVER),
        };
        if *number == NEVER {
            *number = self.next;
            self.next += 1;
        }
        *number
    }
}
