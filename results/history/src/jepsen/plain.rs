//! Operations written as most are, read without taking them apart form by form: one map on one line, of the usual names
//! with plain values. Whatever else there is, it does not read: the reader of forms does then, and says what is wrong.

use crate::call::CallKind;
use crate::event::Process;
use crate::value::Value;

/// What Jepsen writes before the map of an operation, if anything.
const TAG: &[u8] = b"#jepsen.history.Op";

/// Vectors may be nested so deep within the value.
const DEPTH: usize = 4;

/// An operation.
pub(super) struct Plain<'a> {
    /// How many bytes it takes.
    pub length: usize,
    pub kind: Kind,
    pub f: CallKind,
    pub process: Process,
    pub value: Option<Held>,
    pub error: Option<&'a str>,
    pub node: Option<&'a str>,
    pub time: Option<i64>,
}

/// The words of `:type`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

/// A value. The two of a vector stand apart, so that none has to be made where they are a key and its value.
pub(super) enum Held {
    One(Value),
    Two(Value, Value),
}

impl Held {
    pub(super) fn into_value(self) -> Value {
        match self {
            Held::One(value) => value,
            Held::Two(first, second) => Value::list([first, second]),
        }
    }
}

/// The operation that a text begins with.
pub(super) fn operation(text: &[u8]) -> Option<Plain<'_>> {
    let mut scan = Scan { text, at: 0 };
    if text.starts_with(TAG) {
        scan.at = TAG.len();
    }
    (scan.next()? == b'{').then_some(())?;
    let (mut kind, mut f, mut process, mut value) = (None, None, None, None);
    let (mut error, mut node, mut time) = (None, None, None);
    loop {
        scan.space();
        match scan.next()? {
            b':' => {}
            b'}' => break,
            _ => return None,
        }
        let name = scan.token()?;
        scan.space();
        match name {
            b"type" => once(&mut kind, kind_of(scan.keyword()?)?)?,
            b"f" => once(&mut f, super::kind_of(utf8(scan.keyword()?)?)?)?,
            b"process" => once(&mut process, Process(u32::try_from(scan.integer()?).ok()?))?,
            b"value" => once(&mut value, scan.held()?)?,
            b"error" => once(&mut error, scan.word()?)?,
            b"node" => once(&mut node, scan.word()?)?,
            b"time" => once(&mut time, scan.integer()?)?,
            b"index" => drop(scan.integer()?),
            _ => return None,
        }
    }
    Some(Plain {
        length: scan.at,
        kind: kind?,
        f: f.filter(|f| *f != CallKind::Txn)?,
        process: process?,
        value,
        error,
        node,
        time,
    })
}

/// Fills what must be empty.
fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

fn kind_of(word: &[u8]) -> Option<Kind> {
    Some(match word {
        b"invoke" => Kind::Invoke,
        b"ok" => Kind::Ok,
        b"fail" => Kind::Fail,
        b"info" => Kind::Info,
        _ => return None,
    })
}

fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Goes through a text; every answer is `None` where the text is not plain or ends.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Not a line's end: lines are counted elsewhere.
    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b',' | b'\t')) {
            self.at += 1;
        }
    }

    /// What stands up to the next delimiter.
    #[inline]
    fn token(&mut self) -> Option<&'a [u8]> {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| ENDS[usize::from(*byte)])?;
        self.at += length;
        (length > 0).then(|| &rest[..length])
    }

    fn keyword(&mut self) -> Option<&'a [u8]> {
        (self.next()? == b':').then_some(())?;
        self.token()
    }

    /// A number of at most 18 digits.
    fn integer(&mut self) -> Option<i64> {
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let digits = self.token()?;
        let plain = digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
        let number = digits.iter().fold(0i64, |sum, digit| sum.wrapping_mul(10) + i64::from(digit & 0xf));
        plain.then_some(if negative { -number } else { number })
    }

    /// A text without escapes on one line.
    fn text(&mut self) -> Option<&'a str> {
        (self.next()? == b'"').then_some(())?;
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'))?;
        self.at += length + 1;
        if rest[length] == b'"' { utf8(&rest[..length]) } else { None }
    }

    fn word(&mut self) -> Option<&'a str> {
        if self.peek()? == b':' { utf8(self.keyword()?) } else { self.text() }
    }

    fn held(&mut self) -> Option<Held> {
        if self.peek()? != b'[' {
            return Some(Held::One(self.value(0)?));
        }
        self.at += 1;
        let mut first = [Value::Nil, Value::Nil];
        for slot in 0..2 {
            match self.element(1)? {
                Some(value) => first[slot] = value,
                None => return Some(Held::One(Value::list(first.into_iter().take(slot)))),
            }
        }
        let [one, two] = first;
        let Some(third) = self.element(1)? else { return Some(Held::Two(one, two)) };
        let mut values = vec![one, two, third];
        while let Some(value) = self.element(1)? {
            values.push(value);
        }
        Some(Held::One(Value::List(values.into())))
    }

    /// The next value of a vector, or nothing after its end.
    fn element(&mut self, depth: usize) -> Option<Option<Value>> {
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(None);
        }
        self.value(depth).map(Some)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.peek()? {
            b'0'..=b'9' | b'-' => self.integer().map(Value::Int),
            b'"' => self.text().map(Value::text),
            b'[' if depth < DEPTH => {
                self.at += 1;
                let mut values = Vec::new();
                while let Some(value) = self.element(depth + 1)? {
                    values.push(value);
                }
                Some(Value::List(values.into()))
            }
            _ => Some(match self.token()? {
                b"nil" => Value::Nil,
                b"true" => Value::Bool(true),
                b"false" => Value::Bool(false),
                _ => return None,
            }),
        }
    }
}

/// The bytes that end a token.
const ENDS: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        ends[byte] = crate::edn::ends_token(byte as u8, false);
        byte += 1;
    }
    ends
};

#[cfg(test)]
mod tests;
