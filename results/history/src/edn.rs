//! A reader of the part of EDN that recorded histories use, one form at a time.
//!
//! Reads: `nil`, booleans, integers of 64 bits (`1`, `-1`, `1N`), fractions (`1.5`, `1.5M`, `##Inf`), strings, characters,
//! keywords, symbols, lists, vectors, maps, sets, tagged forms, comments and `#_` discards. Refuses, with line and column:
//! anything else (ratios, regular expressions, reader macros), integers that do not fit, and forms nested deeper than
//! [`MAX_DEPTH`]. The same reader takes JSON ([`Reader::json`]): there colons are nothing but space. It is a reader of
//! histories, not a judge of syntax: it does not notice a missing comma.
//!
//! Linear in the size of the input; holds one form at a time.

use std::io::{self, BufRead};
use std::sync::Arc;

use rustc_hash::FxHashSet;
use thiserror::Error;

/// How deep forms may be nested: enough for any history, too little to overflow a stack.
pub const MAX_DEPTH: usize = 64;

/// How many bytes a reader takes at once.
const BUFFER: usize = 1 << 16;

/// How many different words a reader remembers, so as not to allocate each of them again and again.
const REMEMBERED: usize = 1024;

/// One form.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// `nil`, in JSON `null`.
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// `1`, `-1`, `1N`
    Int(i64),
    /// `1.5`, `1e9`, `1.5M`
    Fraction(f64),
    /// `"text"`
    Text(Arc<str>),
    /// `\a`, `\newline`
    Char(char),
    /// `:word`, without its colon.
    Keyword(Arc<str>),
    /// `word`
    Symbol(Arc<str>),
    /// `(1 2)`
    List(Vec<Form>),
    /// `[1 2]`
    Vector(Vec<Form>),
    /// `#{1 2}`
    Set(Vec<Form>),
    /// `{:a 1}`: its keys and values in the order of the text.
    Map(Vec<(Form, Form)>),
    /// `#tag form`
    Tagged(Arc<str>, Box<Form>),
}

/// Why there is no next form.
#[derive(Debug, Error)]
pub enum EdnError {
    /// The input could not be read on.
    #[error("line {line}: {source}")]
    Io {
        /// One-based.
        line: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The text is not what it must be.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        /// One-based.
        line: usize,
        /// One-based, in bytes.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// The input ends within a form.
    #[error("line {line}: the text ends within a form")]
    Cut {
        /// One-based: the last line.
        line: usize,
    },
}

type Result<T> = std::result::Result<T, EdnError>;

/// Reads forms one after another.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// The bytes taken out of the input last, and how many of them are done with.
    buffer: Vec<u8>,
    at: usize,
    json: bool,
    line: usize,
    column: usize,
    token: Vec<u8>,
    words: FxHashSet<Arc<str>>,
}

impl<R: BufRead> Reader<R> {
    /// A reader of EDN.
    pub fn new(input: R) -> Self {
        Reader {
            input,
            buffer: Vec::new(),
            at: 0,
            json: false,
            line: 1,
            column: 1,
            token: Vec::new(),
            words: FxHashSet::default(),
        }
    }

    /// A reader of JSON: objects are maps whose keys are texts.
    pub fn json(input: R) -> Self {
        Reader { json: true, ..Reader::new(input) }
    }

    /// The same reader, for a text that begins on that line of its file.
    #[must_use]
    pub fn at_line(self, line: usize) -> Self {
        Reader { line, ..self }
    }

    /// The line the reader stands on, one-based.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The next form, or `None` at the end of the input.
    ///
    /// # Errors
    /// Where the text is not what it must be. There is no way to go on after that.
    pub fn next_form(&mut self) -> Result<Option<Form>> {
        self.element(None, 0)
    }

    /// Enters a list or a vector if that comes next, and returns what will close it; else stays where it is.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn enter(&mut self) -> Result<Option<u8>> {
        self.skip_space()?;
        let close = match self.peek()? {
            Some(b'[') => b']',
            Some(b'(') => b')',
            _ => return Ok(None),
        };
        self.bump();
        Ok(Some(close))
    }

    /// The next form of what was entered, or `None` after its end.
    ///
    /// # Errors
    /// As [`Reader::next_form`]; also when the input ends first.
    pub fn next_element(&mut self, close: u8) -> Result<Option<Form>> {
        self.element(Some(close), 0)
    }

    /// Goes to the first byte of the next form, so that [`Reader::line`] is its line.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn skip_space(&mut self) -> Result<()> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | 0x0c) => self.bump(),
                Some(b':') if self.json => self.bump(),
                Some(b';') if !self.json => {
                    while !matches!(self.peek()?, None | Some(b'\n')) {
                        self.bump();
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// What is left of the bytes taken out of the input last; after [`Reader::skip_space`], empty only at the end.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Passes over so many bytes of [`Reader::rest`], none of which ends a line.
    pub(crate) fn pass(&mut self, length: usize) {
        self.at += length;
        self.column += length;
    }

    #[inline]
    fn peek(&mut self) -> Result<Option<u8>> {
        match self.buffer.get(self.at) {
            Some(byte) => Ok(Some(*byte)),
            None => self.refill(),
        }
    }

    /// Takes the next bytes of the input into the buffer, all of whose bytes were taken.
    #[cold]
    fn refill(&mut self) -> Result<Option<u8>> {
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => {
                    let length = bytes.len().min(BUFFER);
                    self.buffer.clear();
                    self.buffer.extend_from_slice(&bytes[..length]);
                    self.input.consume(length);
                    self.at = 0;
                    return Ok(self.buffer.first().copied());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(EdnError::Io { line: self.line, source }),
            }
        }
    }

    /// Takes the byte just peeked at.
    #[inline]
    fn bump(&mut self) {
        if self.buffer.get(self.at) == Some(&b'\n') {
            self.line += 1;
            self.column = 0;
        }
        self.column += 1;
        self.at += 1;
    }

    fn wrong<T>(&self, problem: impl Into<String>) -> Result<T> {
        Err(EdnError::Syntax { line: self.line, column: self.column, problem: problem.into() })
    }

    /// What is wrong with a token; where the input ends with it, it may merely be cut.
    fn wrong_token<T>(&mut self, problem: impl Into<String>) -> Result<T> {
        if self.peek()?.is_none() { self.cut() } else { self.wrong(problem) }
    }

    fn cut<T>(&self) -> Result<T> {
        Err(EdnError::Cut { line: self.line })
    }

    /// The next form, or `None` where `close` stands, or at the end of the input where nothing has to be closed.
    fn element(&mut self, close: Option<u8>, depth: usize) -> Result<Option<Form>> {
        if depth > MAX_DEPTH {
            return self.wrong(format!("nested deeper than {MAX_DEPTH}"));
        }
        loop {
            self.skip_space()?;
            let Some(byte) = self.peek()? else {
                return if close.is_some() { self.cut() } else { Ok(None) };
            };
            let form = match byte {
                _ if Some(byte) == close => {
                    self.bump();
                    return Ok(None);
                }
                b')' | b']' | b'}' => return self.wrong(format!("{} closes nothing", char::from(byte))),
                b'(' => Form::List(self.elements(b')', depth)?),
                b'[' => Form::Vector(self.elements(b']', depth)?),
                b'{' => self.map(depth)?,
                b'"' => {
                    self.bump();
                    Form::Text(self.string()?.into())
                }
                b'\\' => self.character()?,
                b':' => {
                    self.bump();
                    self.read_token()?;
                    Form::Keyword(self.word()?)
                }
                b'#' => match self.dispatch(depth)? {
                    Some(form) => form,
                    None => continue,
                },
                _ => self.atom()?,
            };
            return Ok(Some(form));
        }
    }

    /// A form that has to be there.
    fn required(&mut self, depth: usize) -> Result<Form> {
        match self.element(None, depth)? {
            Some(form) => Ok(form),
            None => self.cut(),
        }
    }

    fn elements(&mut self, close: u8, depth: usize) -> Result<Vec<Form>> {
        self.bump();
        let mut forms = Vec::new();
        while let Some(form) = self.element(Some(close), depth + 1)? {
            forms.push(form);
        }
        Ok(forms)
    }

    fn map(&mut self, depth: usize) -> Result<Form> {
        self.bump();
        // The map of an operation has about so many entries.
        let mut entries = Vec::with_capacity(8);
        while let Some(key) = self.element(Some(b'}'), depth + 1)? {
            match self.element(Some(b'}'), depth + 1)? {
                Some(value) => entries.push((key, value)),
                None => return self.wrong("a map with a key but no value for it"),
            }
        }
        Ok(Form::Map(entries))
    }

    /// What follows a `#`; nothing if it was a discard.
    fn dispatch(&mut self, depth: usize) -> Result<Option<Form>> {
        self.bump();
        match self.peek()? {
            None => self.cut(),
            Some(b'{') => Ok(Some(Form::Set(self.elements(b'}', depth)?))),
            Some(b'_') => {
                self.bump();
                self.required(depth + 1)?;
                Ok(None)
            }
            Some(b'#') => {
                self.bump();
                self.read_token()?;
                match self.token.as_slice() {
                    b"Inf" => Ok(Some(Form::Fraction(f64::INFINITY))),
                    b"-Inf" => Ok(Some(Form::Fraction(f64::NEG_INFINITY))),
                    b"NaN" => Ok(Some(Form::Fraction(f64::NAN))),
                    _ => self.wrong_token("after ## only Inf, -Inf and NaN are understood"),
                }
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                self.read_token()?;
                let tag = self.word()?;
                Ok(Some(Form::Tagged(tag, Box::new(self.required(depth + 1)?))))
            }
            Some(byte) => self.wrong(format!("#{} is not understood", byte.escape_ascii())),
        }
    }

    /// Takes bytes up to the next delimiter into `self.token`.
    fn read_token(&mut self) -> Result<()> {
        self.token.clear();
        loop {
            self.peek()?;
            let buffer = &self.buffer[self.at..];
            let json = self.json;
            let length = buffer.iter().position(|byte| ends_token(*byte, json)).unwrap_or(buffer.len());
            self.token.extend_from_slice(&buffer[..length]);
            let more = length > 0 && length == buffer.len();
            self.at += length;
            self.column += length;
            if !more {
                return Ok(());
            }
        }
    }

    /// The token as text, remembered: a history says the same few words all over.
    fn word(&mut self) -> Result<Arc<str>> {
        let text = match std::str::from_utf8(&self.token) {
            Ok("") => return self.wrong_token("a word was due here"),
            Ok(text) => text,
            Err(_) => return self.wrong_token("a word that is not UTF-8"),
        };
        if let Some(word) = self.words.get(text) {
            return Ok(word.clone());
        }
        let word: Arc<str> = text.into();
        if self.words.len() < REMEMBERED {
            self.words.insert(word.clone());
        }
        Ok(word)
    }

    /// `nil`, a boolean, a number or a symbol.
    fn atom(&mut self) -> Result<Form> {
        let first = self.peek()?;
        self.read_token()?;
        let token = self.token.as_slice();
        let digits = token.strip_prefix(b"-").or(token.strip_prefix(b"+")).unwrap_or(token);
        if digits.first().is_some_and(u8::is_ascii_digit) {
            return match number(token) {
                Ok(form) => Ok(form),
                Err(problem) => self.wrong_token(problem),
            };
        }
        match token {
            b"nil" => Ok(Form::Nil),
            b"null" if self.json => Ok(Form::Nil),
            b"true" => Ok(Form::Bool(true)),
            b"false" => Ok(Form::Bool(false)),
            [] => {
                let byte = first.unwrap_or_default();
                self.wrong(format!("{} is not understood", byte.escape_ascii()))
            }
            _ => Ok(Form::Symbol(self.word()?)),
        }
    }

    fn character(&mut self) -> Result<Form> {
        self.bump();
        // The character itself may be a delimiter: `\(`.
        let Some(first) = self.peek()? else { return self.cut() };
        self.bump();
        self.read_token()?;
        self.token.insert(0, first);
        let Ok(text) = std::str::from_utf8(&self.token) else {
            return self.wrong_token("a character that is not UTF-8");
        };
        let mut chars = text.chars();
        let character = match (chars.next(), chars.as_str()) {
            (Some(only), "") => Some(only),
            (Some('u'), code) => u32::from_str_radix(code, 16).ok().and_then(char::from_u32),
            _ => match text {
                "newline" => Some('\n'),
                "return" => Some('\r'),
                "space" => Some(' '),
                "tab" => Some('\t'),
                "formfeed" => Some('\u{c}'),
                "backspace" => Some('\u{8}'),
                _ => None,
            },
        };
        match character {
            Some(character) => Ok(Form::Char(character)),
            None => {
                let problem = format!("no character is called {text:?}");
                self.wrong_token(problem)
            }
        }
    }

    /// The rest of a string, after its opening quote.
    fn string(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        loop {
            self.plain_text(&mut bytes)?;
            let Some(byte) = self.peek()? else { return self.cut() };
            self.bump();
            match byte {
                b'"' => break,
                b'\\' => {
                    let character = self.escape()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => bytes.push(byte),
            }
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => self.wrong("a string that is not UTF-8"),
        }
    }

    /// What stands in a string up to its end, an escape, a line's end or the end of the buffer.
    fn plain_text(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        self.peek()?;
        let buffer = &self.buffer[self.at..];
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\n');
        let length = buffer.iter().position(special).unwrap_or(buffer.len());
        bytes.extend_from_slice(&buffer[..length]);
        self.at += length;
        self.column += length;
        Ok(())
    }

    fn escape(&mut self) -> Result<char> {
        let Some(byte) = self.peek()? else { return self.cut() };
        self.bump();
        Ok(match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' | b'/' | b'\'' => char::from(byte),
            b'u' => {
                let unit = self.hex()?;
                if !(0xd800..0xdc00).contains(&unit) {
                    return self.unicode(unit);
                }
                for due in *b"\\u" {
                    match self.peek()? {
                        None => return self.cut(),
                        Some(byte) if byte == due => self.bump(),
                        Some(_) => return self.wrong("half a character: a second \\u was due here"),
                    }
                }
                let low = self.hex()?;
                if !(0xdc00..0xe000).contains(&low) {
                    return self.wrong("half a character: its second half does not fit");
                }
                return self.unicode(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
            }
            _ => return self.wrong(format!("\\{} in a string is not understood", byte.escape_ascii())),
        })
    }

    fn unicode(&self, code: u32) -> Result<char> {
        match char::from_u32(code) {
            Some(character) => Ok(character),
            None => self.wrong("half a character"),
        }
    }

    fn hex(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(byte) = self.peek()? else { return self.cut() };
            let Some(digit) = char::from(byte).to_digit(16) else {
                return self.wrong("four hexadecimal digits are due after \\u");
            };
            self.bump();
            code = code * 16 + digit;
        }
        Ok(code)
    }
}

/// Whether a byte ends a word or number.
pub(crate) const fn ends_token(byte: u8, json: bool) -> bool {
    match byte {
        b' ' | b'\t' | b'\r' | b'\n' | b',' | 0x0c => true,
        b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"' | b';' | b'\\' | b'^' | b'`' | b'~' | b'@' => true,
        b':' => json,
        _ => false,
    }
}

fn number(token: &[u8]) -> std::result::Result<Form, String> {
    if token.len() <= 18 && token.iter().all(u8::is_ascii_digit) {
        return Ok(Form::Int(token.iter().fold(0, |int, digit| int * 10 + i64::from(digit - b'0'))));
    }
    let text = std::str::from_utf8(token).map_err(|_| "a number that is not UTF-8".to_string())?;
    let whole = text.strip_suffix('N').unwrap_or(text);
    if let Ok(int) = whole.parse() {
        return Ok(Form::Int(int));
    }
    if whole.trim_start_matches(['+', '-']).bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text} does not fit in 64 bits"));
    }
    let fraction = text.strip_suffix('M').unwrap_or(text);
    let plain = fraction.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    match fraction.parse() {
        Ok(fraction) if plain => Ok(Form::Fraction(fraction)),
        _ => Err(format!("{text} is no number that is understood here")),
    }
}

#[cfg(test)]
mod tests;
