//! The table of values, keys or texts of a binary history: a tag and a word for each, and a heap for what does not fit a word.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, OnceLock};

use crate::column::{Column, List};
use crate::intern::{Texts, Values};
use crate::value::Value;

const NIL: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const TEXT: u8 = 3;
/// A list, as JSON.
const LIST: u8 = 4;

/// So many bits for each value may it take to see that no two are equal. More, and hashing is cheaper than the memory.
const BITS: u64 = 64;

/// A table as it stands in the file.
pub(super) struct Table<'a> {
    pub(super) tags: Cow<'a, [u8]>,
    /// The integer, the truth value, or where in the heap it ends: it begins where the one before ends.
    pub(super) words: Column<u64>,
    pub(super) heap: Cow<'a, [u8]>,
}

impl Table<'_> {
    /// # Errors
    /// Never, but for what JSON cannot say.
    pub(super) fn of(values: &[Value]) -> io::Result<Table<'static>> {
        let (mut tags, mut words, mut heap) = (Vec::new(), Vec::new(), Vec::new());
        for value in values {
            let (tag, word) = match value {
                Value::Nil => (NIL, 0),
                Value::Bool(bool) => (BOOL, u64::from(*bool)),
                Value::Int(int) => (INT, int.cast_unsigned()),
                Value::Text(text) => {
                    heap.extend_from_slice(text.as_bytes());
                    (TEXT, heap.len() as u64)
                }
                Value::List(_) => {
                    serde_json::to_writer(&mut heap, value)?;
                    (LIST, heap.len() as u64)
                }
            };
            tags.push(tag);
            words.push(word);
        }
        Ok(Table { tags: tags.into(), words: Column::Own(words), heap: heap.into() })
    }

    pub(super) fn of_texts(texts: &[Arc<str>]) -> Table<'static> {
        let (mut words, mut heap) = (Vec::new(), Vec::new());
        for text in texts {
            heap.extend_from_slice(text.as_bytes());
            words.push(heap.len() as u64);
        }
        Table { tags: vec![TEXT; texts.len()].into(), words: Column::Own(words), heap: heap.into() }
    }

    /// The values, each of which must stand there once. Integers are left where they lie.
    pub(super) fn list(self) -> Result<List, String> {
        match self.integers() {
            Some(nil) => Ok(List::Integers { nil, words: self.words, made: OnceLock::new() }),
            None => Ok(List::Made(self.values()?)),
        }
    }

    fn values(&self) -> Result<Vec<Value>, String> {
        let (mut list, mut numbers) = (Vec::with_capacity(self.tags.len()), Values::default());
        for (place, value) in self.each().enumerate() {
            let value = match value? {
                (LIST, _, inside) => match serde_json::from_slice(inside) {
                    Ok(Value::List(items)) => Value::List(items),
                    _ => return Err(format!("value {place} is no list")),
                },
                (TEXT, _, inside) => Value::text(text(inside)?),
                (INT, word, _) => Value::Int(word.cast_signed()),
                (NIL, 0, _) => Value::Nil,
                (BOOL, word @ (0 | 1), _) => Value::Bool(word == 1),
                (tag, ..) => return Err(format!("value {place} has the tag {tag}, which there is not")),
            };
            if numbers.of(&mut list, &value) as usize != place {
                return Err(format!("the value {value} stands there twice"));
            }
        }
        Ok(list)
    }

    /// Whether the first value is nil, if all others are integers and no two of them equal. Most histories write what a
    /// counter gives out, and nothing else. None also if they are too far apart to be told apart quickly.
    fn integers(&self) -> Option<bool> {
        let words: &[u64] = &self.words;
        let nil = self.tags.first() == Some(&NIL) && words.first() == Some(&0);
        let (tags, words) = (self.tags.get(usize::from(nil)..)?, words.get(usize::from(nil)..)?);
        if tags.len() != words.len() || tags.iter().any(|tag| *tag != INT) {
            return None;
        }
        let ascending = || words.windows(2).all(|pair| pair[0].cast_signed() < pair[1].cast_signed());
        (ascending() || are_unique(words)).then_some(nil)
    }

    /// The texts, each of which must stand there once.
    pub(super) fn texts(&self) -> Result<Vec<Arc<str>>, String> {
        let (mut list, mut numbers) = (Vec::new(), Texts::default());
        for (place, value) in self.each().enumerate() {
            let (TEXT, _, inside) = value? else { return Err(format!("text {place} is no text")) };
            let text = text(inside)?;
            if numbers.of(&mut list, text) as usize != place {
                return Err(format!("the text {text:?} stands there twice"));
            }
        }
        Ok(list)
    }

    /// Each tag and word, and what belongs to it of the heap.
    fn each(&self) -> impl Iterator<Item = Result<(u8, u64, &[u8]), String>> {
        let lengths = (self.tags.len() != self.words.len())
            .then(|| Err(format!("{} tags for {} words", self.tags.len(), self.words.len())));
        let mut used = 0;
        lengths.into_iter().chain(self.tags.iter().zip(self.words.iter()).map(move |(tag, word)| {
            if *tag < TEXT {
                return Ok((*tag, *word, &[][..]));
            }
            let end = usize::try_from(*word).ok().filter(|end| (used..=self.heap.len()).contains(end));
            let end = end.ok_or_else(|| format!("a text that ends at {word} of {}", self.heap.len()))?;
            let inside = &self.heap[used..end];
            used = end;
            Ok((*tag, *word, inside))
        }))
    }
}

/// Whether no two of these integers are equal, as far as one bit for each that there might be can tell.
fn are_unique(words: &[u64]) -> bool {
    let integers = || words.iter().map(|word| word.cast_signed());
    let (Some(least), Some(most)) = (integers().min(), integers().max()) else { return true };
    let places = most.abs_diff(least);
    if places >= BITS * words.len() as u64 {
        return false;
    }
    let mut met = vec![0u64; places as usize / 64 + 1];
    integers().all(|integer| {
        let place = integer.abs_diff(least);
        let (bits, bit) = (&mut met[place as usize / 64], 1 << (place % 64));
        let is_new = *bits & bit == 0;
        *bits |= bit;
        is_new
    })
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("a text is not UTF-8: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_any_order_are_told_apart() {
        let words =
            |integers: &[i64]| integers.iter().map(|integer| integer.cast_unsigned()).collect::<Vec<_>>();
        assert!(are_unique(&words(&[5, -3, 4, 100, 0])) && are_unique(&[]));
        assert!(!are_unique(&words(&[5, -3, 4, 5])));
        // Nobody looks: whoever is asked then hashes.
        assert!(!are_unique(&words(&[i64::MIN, 0, i64::MAX])));
    }
}
