//! Numbers for values and texts: each different one is kept once, and the columns of a history hold its number.
//!
//! Most values are integers from a counter: those are looked up in a table, all others by their hash. Numbers are given out
//! in the order of first use, without gaps.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::value::Value;

/// Not a number of anything.
pub(crate) const NONE: u32 = u32::MAX;

/// The table of small integers may have so many places for each value known. More, and hashing is cheaper than the memory.
const PLACES: usize = 4;

/// The table may be so large at the beginning.
const FIRST_PLACES: usize = 1024;

/// Finds the number of a value in a list that only this one appends to.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// The numbers of the integers from 0 on; [`NONE`] where none was given out here.
    table: Vec<u32>,
    integers: FxHashMap<i64, u32>,
    texts: FxHashMap<Arc<str>, u32>,
    others: FxHashMap<Value, u32>,
}

impl Values {
    /// The number of this value.
    pub(crate) fn of(&mut self, list: &mut Vec<Value>, value: &Value) -> u32 {
        match value {
            Value::Int(int) => self.of_integer(list, *int),
            Value::Text(text) => match self.texts.get(text) {
                Some(number) => *number,
                None => {
                    let number = add(list, value.clone());
                    self.texts.insert(text.clone(), number);
                    number
                }
            },
            other => match self.others.get(other) {
                Some(number) => *number,
                None => {
                    let number = add(list, other.clone());
                    self.others.insert(other.clone(), number);
                    number
                }
            },
        }
    }

    /// The number of this text. Allocates only if it was not met before.
    pub(crate) fn of_text(&mut self, list: &mut Vec<Value>, text: &str) -> u32 {
        match self.texts.get(text) {
            Some(number) => *number,
            None => self.of(list, &Value::text(text)),
        }
    }

    /// The number of this integer.
    pub(crate) fn of_integer(&mut self, list: &mut Vec<Value>, int: i64) -> u32 {
        let most = FIRST_PLACES + PLACES * list.len();
        let place = usize::try_from(int).ok().filter(|place| *place < most);
        let known = place.and_then(|place| self.table.get(place).copied()).unwrap_or(NONE);
        if known != NONE {
            return known;
        }
        // It may have been beyond the table when it was first met.
        if let Some(number) = self.integers.get(&int) {
            return *number;
        }
        let number = add(list, Value::Int(int));
        match place {
            Some(place) => {
                if place >= self.table.len() {
                    self.table.resize((place + 1).next_power_of_two().min(most), NONE);
                }
                self.table[place] = number;
            }
            None => {
                self.integers.insert(int, number);
            }
        }
        number
    }
}

/// The same for texts: names of nodes and reasons of failures.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    numbers: FxHashMap<Arc<str>, u32>,
}

impl Texts {
    /// The number of this text.
    pub(crate) fn of(&mut self, list: &mut Vec<Arc<str>>, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let text: Arc<str> = text.into();
        let number = add(list, text.clone());
        self.numbers.insert(text, number);
        number
    }
}

/// Appends to a list, and returns the place. There are fewer events than numbers, and an event has three values at most
/// beside those of a transaction; a history of more than four thousand million different ones does not fit anywhere.
fn add<T>(list: &mut Vec<T>, item: T) -> u32 {
    let number = u32::try_from(list.len()).ok().filter(|number| *number != NONE);
    list.push(item);
    number.expect("fewer than 4294967295 different values")
}

/// Numbers, from 0 on and without gaps, for those of a history's values that the operations on one key are about.
///
/// What is told apart by small numbers can be looked up in tables. One of these serves many keys, one after the other;
/// [`Numbers::start`] takes time in proportion to the values of the key before.
#[derive(Debug, Default)]
pub struct Numbers {
    /// For each value of the history, its number here.
    of: Vec<u32>,
    /// For each number here, the value of the history; [`u32::MAX`] for one that the history does not have.
    values: Vec<u32>,
}

impl Numbers {
    /// Begins another key of a history with so many values. `first` gets the number 0, also if the history does not have it
    /// ([`u32::MAX`]): what the object holds before anything was done to it.
    pub fn start(&mut self, values: usize, first: u32) {
        for value in self.values.drain(..) {
            if let Some(number) = self.of.get_mut(value as usize) {
                *number = NONE;
            }
        }
        self.of.resize(values, NONE);
        self.values.push(first);
        if let Some(number) = self.of.get_mut(first as usize) {
            *number = 0;
        }
    }

    /// The number of a value of the history.
    #[inline]
    pub fn of(&mut self, value: u32) -> u32 {
        let number = &mut self.of[value as usize];
        if *number == NONE {
            *number = self.values.len() as u32;
            self.values.push(value);
        }
        *number
    }

    /// For each number given out, the value of the history it stands for.
    pub fn values(&self) -> &[u32] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_number_whatever_it_is_and_whenever_it_came() {
        let (mut values, mut list) = (Values::default(), Vec::new());
        // Far beyond the table first, then within it once it has grown.
        let mut wanted: Vec<Value> = [5_000, -1, i64::MAX, i64::MIN, 0].map(Value::Int).to_vec();
        wanted.extend([Value::Nil, Value::Bool(false), Value::text("0"), Value::list([Value::Int(0)])]);
        wanted.extend((1..4_000).map(Value::Int));
        wanted.push(5_001.into());
        for (number, value) in wanted.iter().enumerate() {
            assert_eq!(values.of(&mut list, value), number as u32, "{value}");
        }
        for (number, value) in wanted.iter().enumerate() {
            assert_eq!(values.of(&mut list, value), number as u32, "again: {value}");
        }
        assert_eq!(list, wanted);
    }

    #[test]
    fn numbers_of_one_key_begin_anew_for_the_next() {
        let mut numbers = Numbers::default();
        numbers.start(5, 3);
        assert_eq!([4, 3, 1, 4].map(|value| numbers.of(value)), [1, 0, 2, 1]);
        assert_eq!(numbers.values(), [3, 4, 1]);
        numbers.start(5, NONE);
        assert_eq!([1, 4, 3].map(|value| numbers.of(value)), [1, 2, 3]);
        assert_eq!(numbers.values(), [NONE, 1, 4, 3]);
    }
}
