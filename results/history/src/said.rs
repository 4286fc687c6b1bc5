//! Values as they stand in a text, before anything is made of them: what most lines have fits into a few words.

use crate::value::Value;

/// A value that is no list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Word<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Text(&'a str),
}

/// A value. The two of a list stand apart, so that none has to be made where they are what a cas asks for and leaves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said<'a> {
    One(Word<'a>),
    Two(Word<'a>, Word<'a>),
    Many(Vec<Value>),
}

impl Word<'_> {
    pub(crate) fn to_value(self) -> Value {
        match self {
            Word::Nil => Value::Nil,
            Word::Bool(bool) => Value::Bool(bool),
            Word::Int(int) => Value::Int(int),
            Word::Text(text) => Value::text(text),
        }
    }

    /// Whether it is this value.
    #[inline]
    pub(crate) fn is(self, value: &Value) -> bool {
        match (self, value) {
            (Word::Int(int), Value::Int(other)) => int == *other,
            (Word::Text(text), Value::Text(other)) => *text == **other,
            (Word::Nil, Value::Nil) => true,
            (Word::Bool(bool), Value::Bool(other)) => bool == *other,
            _ => false,
        }
    }
}

impl Said<'_> {
    pub(crate) fn into_value(self) -> Value {
        match self {
            Said::One(word) => word.to_value(),
            Said::Two(one, two) => Value::list([one.to_value(), two.to_value()]),
            Said::Many(values) => Value::List(values.into()),
        }
    }

    /// Whether it is this value.
    #[inline]
    pub(crate) fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Said::One(word), value) => word.is(value),
            (Said::Two(one, two), Value::List(items)) => {
                matches!(&**items, [first, second] if one.is(first) && two.is(second))
            }
            (Said::Many(items), Value::List(others)) => items[..] == others[..],
            _ => false,
        }
    }
}
