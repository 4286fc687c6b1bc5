//! A line as a run writes it, read without taking it apart field by field: the usual names in the usual order, with plain
//! values. Whatever else there is, it does not read: the long way does then, and says what is wrong.
//!
//! Nothing is allocated for a line, but for what the history has not met before and for lists.

use super::Kind;
use crate::builder::{Builder, Ending};
use crate::call::CallKind;
use crate::event::{Process, Time};
use crate::said::{Said, Word};

/// A line with a call.
pub(crate) struct Plain<'a> {
    pub index: u32,
    pub time: Time,
    pub kind: Kind,
    pub process: Process,
    pub node: Option<&'a str>,
    pub f: CallKind,
    pub key: Word<'a>,
    pub value: Option<Said<'a>>,
    pub ret: Option<Said<'a>>,
    pub error: Option<&'a str>,
}

/// The line that a text begins with, and how many bytes it takes, its end included.
#[inline]
pub(super) fn line(text: &[u8]) -> Option<(Plain<'_>, usize)> {
    let mut scan = Scan { rest: text };
    scan.word(b"{\"index\":")?;
    let index = u32::try_from(scan.natural()?).ok()?;
    scan.word(b",\"time\":")?;
    let time = Time(scan.natural()?);
    scan.word(b",\"type\":\"")?;
    let kind = scan.kind()?;
    scan.word(b"\",\"process\":")?;
    let process = Process(u32::try_from(scan.natural()?).ok()?);
    let node = if scan.word(b",\"node\":\"").is_some() { Some(scan.text()?) } else { None };
    scan.word(b",\"f\":\"")?;
    let f = scan.f()?;
    scan.word(b",\"key\":")?;
    let key = scan.value()?;
    let value = if scan.word(b",\"value\":").is_some() { Some(scan.said()?) } else { None };
    let ret = if scan.word(b",\"ret\":").is_some() { Some(scan.said()?) } else { None };
    let error = if scan.word(b",\"error\":\"").is_some() { Some(scan.text()?) } else { None };
    scan.word(b"}\n")?;
    let length = text.len() - scan.rest.len();
    Some((Plain { index, time, kind, process, node, f, key, value, ret, error }, length))
}

impl Plain<'_> {
    /// Puts it into a history, if there is nothing about it that wants a closer look.
    #[inline]
    pub(super) fn into(self, builder: &mut Builder) -> bool {
        let Plain { time, kind, process, node, f, key, value, ret, error, .. } = self;
        match kind {
            Kind::Invoke if ret.is_none() && error.is_none() => {
                builder.invoke_shortly((time, process, node), f, key, value)
            }
            Kind::Ok if error.is_none() => {
                let (value, answer) = match f.is_bare() {
                    true if ret.is_some() => return false,
                    true => (None, value),
                    false => (value, ret),
                };
                use CallKind::{Contains, Dequeue, Generate, Pop, Read, Watch};
                if answer.is_none() && matches!(f, Read | Dequeue | Pop | Generate | Contains | Watch) {
                    return false;
                }
                builder.complete_shortly((time, process), f, key, value, Ending::Ok(answer))
            }
            Kind::Fail | Kind::Info if ret.is_none() => {
                let why = error.unwrap_or_default();
                let ending = if let Kind::Fail = kind { Ending::Fail(why) } else { Ending::Info(why) };
                builder.complete_shortly((time, process), f, key, value, ending)
            }
            _ => false,
        }
    }
}

/// Goes through a text; every answer is `None` where the text is not plain or ends.
struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// A number of at most 18 digits, without zeros before it.
    #[inline]
    fn natural(&mut self) -> Option<u64> {
        let (mut number, mut length) = (0, 0);
        while let Some(digit) =
            self.rest.get(length).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10)
        {
            number = number * 10 + u64::from(digit);
            length += 1;
            if length > 18 {
                return None;
            }
        }
        if length == 0 || length > 1 && self.rest[0] == b'0' {
            return None;
        }
        self.rest = &self.rest[length..];
        Some(number)
    }

    /// A text without escapes, up to the quote that ends it.
    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        let length = self.rest.iter().position(|byte| ENDS[usize::from(*byte)])?;
        let (text, end) = self.rest.split_at(length);
        self.rest = end.strip_prefix(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    #[inline]
    fn kind(&mut self) -> Option<Kind> {
        for (word, kind) in
            [(&b"invoke"[..], Kind::Invoke), (b"ok", Kind::Ok), (b"info", Kind::Info), (b"fail", Kind::Fail)]
        {
            if self.word(word).is_some() {
                return Some(kind);
            }
        }
        None
    }

    /// The word of a call, and the quote that ends it.
    #[inline]
    fn f(&mut self) -> Option<CallKind> {
        let word = self.text()?;
        CallKind::ALL.into_iter().find(|kind| kind.word() == word && *kind != CallKind::Txn)
    }

    #[inline]
    fn value(&mut self) -> Option<Word<'a>> {
        match self.rest.first()? {
            b'0'..=b'9' => self.natural().map(|number| Word::Int(number as i64)),
            b'-' => {
                self.word(b"-")?;
                self.natural().filter(|number| *number > 0).map(|number| Word::Int(-(number as i64)))
            }
            b'"' => {
                self.word(b"\"")?;
                self.text().map(Word::Text)
            }
            b'n' => self.word(b"null").map(|()| Word::Nil),
            b't' => self.word(b"true").map(|()| Word::Bool(true)),
            b'f' => self.word(b"false").map(|()| Word::Bool(false)),
            _ => None,
        }
    }

    #[inline]
    fn said(&mut self) -> Option<Said<'a>> {
        if self.word(b"[").is_none() {
            return self.value().map(Said::One);
        }
        if self.word(b"]").is_some() {
            return Some(Said::Many(Vec::new()));
        }
        let first = self.value()?;
        if self.word(b"]").is_some() {
            return Some(Said::Many(vec![first.to_value()]));
        }
        self.word(b",")?;
        let second = self.value()?;
        if self.word(b"]").is_some() {
            return Some(Said::Two(first, second));
        }
        let mut many = vec![first.to_value(), second.to_value()];
        while self.word(b"]").is_none() {
            self.word(b",")?;
            many.push(self.value()?.to_value());
        }
        Some(Said::Many(many))
    }
}

/// The bytes that end a text or make it one that is not plain.
const ENDS: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        ends[byte] = true;
        byte += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};
