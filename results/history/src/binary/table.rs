//! The table of values, keys or texts of a binary history: a tag and a word for each, and a heap for what does not fit a word.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use crate::intern::{Texts, Values};
use crate::value::Value;

const NIL: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const TEXT: u8 = 3;
/// A list, as JSON.
const LIST: u8 = 4;

/// A table as it stands in the file.
pub(super) struct Table<'a> {
    pub(super) tags: Cow<'a, [u8]>,
    /// The integer, the truth value, or where in the heap it ends: it begins where the one before ends.
    pub(super) words: Cow<'a, [u64]>,
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
        Ok(Table { tags: tags.into(), words: words.into(), heap: heap.into() })
    }

    pub(super) fn of_texts(texts: &[Arc<str>]) -> Table<'static> {
        let (mut words, mut heap) = (Vec::new(), Vec::new());
        for text in texts {
            heap.extend_from_slice(text.as_bytes());
            words.push(heap.len() as u64);
        }
        Table { tags: vec![TEXT; texts.len()].into(), words: words.into(), heap: heap.into() }
    }

    /// The values, each of which must stand there once.
    pub(super) fn values(&self) -> Result<Vec<Value>, String> {
        let mut list = self.counted();
        if list.len() == self.tags.len() && list.len() == self.words.len() {
            return Ok(list);
        }
        let (counted, mut numbers) = (list.len(), Values::default());
        // What comes in no such order, or after it, is held against all that stands there.
        let mut known: Vec<Value> = Vec::new();
        for (place, value) in self.each().enumerate() {
            if place < counted {
                if counted < self.tags.len() {
                    numbers.of(&mut known, &list[place]);
                }
                continue;
            }
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
            if numbers.of(&mut known, &value) as usize != place {
                return Err(format!("the value {value} stands there twice"));
            }
            list.push(value);
        }
        Ok(list)
    }

    /// The values up to the first that is neither the nil before all nor a larger integer than the one before: no two of them
    /// are equal. Most histories write what a counter gives out, and nothing else.
    fn counted(&self) -> Vec<Value> {
        let mut list = Vec::with_capacity(self.tags.len());
        if self.tags.len() != self.words.len() {
            return list;
        }
        let mut last = None;
        for (tag, word) in self.tags.iter().zip(self.words.iter()) {
            match (*tag, *word, word.cast_signed()) {
                (NIL, 0, _) if list.is_empty() => list.push(Value::Nil),
                (INT, _, int) if last.is_none_or(|last| last < int) => {
                    last = Some(int);
                    list.push(Value::Int(int));
                }
                _ => break,
            }
        }
        list
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

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("a text is not UTF-8: {error}"))
}
