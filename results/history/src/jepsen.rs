//! Histories as Jepsen, Knossos, Elle and elle-cli record them: operations as maps, in EDN or JSON.
//!
//! ```clojure
//! {:index 0, :time 104, :process 3, :type :invoke, :f :cas, :value [1 2]}
//! {:index 1, :time 231, :process 3, :type :ok,     :f :cas, :value [1 2]}
//! ```
//!
//! A file is one vector, one list, or maps one after another, each of them plain or tagged. The order in the file is the
//! order of events: `:index` is not looked at, and a `:time` that is missing or goes back is taken to be that of the event
//! before (or its place in the file, if that is later). What a process that is no number does (`:nemesis`) is left out.
//! A completion completes what its process has open, whatever value it repeats; only what a read returns is taken from
//! it. A process may come back after an `:info`: its earlier call stays open for ever.
//!
//! Understands the words of [`CallKind`], and `:get`, `:put`, `:inc`, `:lock` and `:unlock` for some of them. An `:inc` without
//! a value adds one; an `:acquire` answered by a value got a fencing token; a `:contains` is answered by `true` or `false`. A
//! `:txn` is a vector of `[:r k v]`, `[:w k v]` and `[:append k v]`. Whatever else there is (`:drain`, `:transfer`) is an error
//! that names it: what it means is not said by its word.

mod plain;

use std::io::BufRead;
use std::sync::Arc;

use self::plain::{Held, Kind, Plain};
use crate::builder::Builder;
use crate::call::{Call, CallKind, Outcome, Ret, Step};
use crate::edn::{EdnError, Form, Reader};
use crate::event::{Process, Time};
use crate::history::Contradiction;
use crate::jsonl::{ReadError, Recorded};
use crate::value::{Key, Value};

/// The process of operations that do not name one.
const UNNAMED: Process = Process(u32::MAX);

/// Where an operation names its object. An operation with a `:key` means that key in any case, and one whose value is an
/// `#jepsen.independent/tuple` means the tuple's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// Nowhere: the whole history is about one object, whose key is `nil`.
    #[default]
    One,
    /// In its value: `[key value]`.
    Tuple,
}

/// Reads a history written in EDN. Linear in its size; holds one operation beside the history.
///
/// # Errors
/// At the first operation that is garbled, not understood or contradicts an earlier one. An end within an operation is no
/// error but a [`Recorded::cut`].
pub fn read_edn(input: impl BufRead, keys: Keys) -> Result<Recorded, ReadError> {
    read(Reader::new(input), keys, true)
}

/// Reads a history written in JSON, as elle-cli has it. The words are the same, without their colons.
///
/// # Errors
/// As [`read_edn`].
pub fn read_json(input: impl BufRead, keys: Keys) -> Result<Recorded, ReadError> {
    read(Reader::json(input), keys, false)
}

/// Hands a history written in EDN on, operation by operation. Answers the line of an end within one.
///
/// # Errors
/// As [`read_edn`], and those of the taker.
pub(crate) fn hand_on_edn(
    input: impl BufRead,
    keys: Keys,
    to: &mut impl Taker,
) -> Result<Option<usize>, ReadError> {
    hand_on(Reader::new(input), keys, true, to)
}

/// The same of a history written in JSON.
///
/// # Errors
/// As [`hand_on_edn`].
pub(crate) fn hand_on_json(
    input: impl BufRead,
    keys: Keys,
    to: &mut impl Taker,
) -> Result<Option<usize>, ReadError> {
    hand_on(Reader::json(input), keys, false, to)
}

fn read<R: BufRead>(reader: Reader<R>, keys: Keys, short: bool) -> Result<Recorded, ReadError> {
    let mut builder = Builder::lenient();
    let cut = hand_on(reader, keys, short, &mut builder)?;
    Ok(Recorded { history: builder.finish(), cut })
}

/// `short` says whether plain operations are read the short way.
fn hand_on<R: BufRead>(
    mut reader: Reader<R>,
    keys: Keys,
    short: bool,
    to: &mut impl Taker,
) -> Result<Option<usize>, ReadError> {
    let mut operations = Operations::new(keys, to);
    let result = reader.enter().and_then(|close| {
        loop {
            reader.skip_space()?;
            let line = reader.line();
            if short && let Some(plain) = plain::operation(reader.rest()) {
                let length = plain.length;
                match operations.take_plain(line, plain) {
                    Ok(true) => {
                        reader.pass(length);
                        continue;
                    }
                    Ok(false) => {}
                    Err(error) => return Ok(Err(error)),
                }
            }
            let form = match close {
                Some(close) => reader.next_element(close)?,
                None => reader.next_form()?,
            };
            match form {
                Some(form) => {
                    if let Err(error) = operations.take(line, form) {
                        return Ok(Err(error));
                    }
                }
                None => break,
            }
        }
        if close.is_some() {
            reader.skip_space()?;
            let line = reader.line();
            if reader.next_form()?.is_some() {
                return Ok(Err(garbled(line, "something follows the end of the history")));
            }
        }
        Ok(Ok(()))
    });
    match result {
        Ok(Ok(())) => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(EdnError::Cut { line }) => Ok(Some(line)),
        Err(error) => Err(error.into()),
    }
}

impl From<EdnError> for ReadError {
    fn from(error: EdnError) -> Self {
        match error {
            EdnError::Io { line, source } => ReadError::Io { line, source },
            EdnError::Syntax { line, column, problem } => {
                ReadError::Line { line, problem: format!("{problem}, at column {column}") }
            }
            EdnError::Cut { line } => ReadError::Line { line, problem: "ends within a form".into() },
        }
    }
}

pub(crate) fn garbled(line: usize, problem: impl Into<String>) -> ReadError {
    ReadError::Line { line, problem: problem.into() }
}

/// An operation's map, taken apart.
#[derive(Default)]
pub(crate) struct Fields {
    pub kind: Option<Arc<str>>,
    pub process: Option<Form>,
    pub f: Option<Arc<str>>,
    pub key: Option<Form>,
    pub value: Option<Form>,
    pub error: Option<Form>,
    pub node: Option<Form>,
    pub time: Option<i64>,
}

impl Fields {
    fn of(form: Form) -> Result<Self, String> {
        let entries = match form {
            Form::Map(entries) => entries,
            Form::Tagged(_, inner) => match *inner {
                Form::Map(entries) => entries,
                other => return Err(format!("{} where the map of an operation was due", shape(&other))),
            },
            other => return Err(format!("{} where the map of an operation was due", shape(&other))),
        };
        let mut fields = Fields::default();
        for (name, form) in entries {
            let (Form::Keyword(name) | Form::Text(name)) = name else { continue };
            let again = match &*name {
                "type" => fields.kind.replace(word("type", form)?).is_some(),
                "f" if form == Form::Nil => false,
                "f" => fields.f.replace(word("f", form)?).is_some(),
                "process" => fields.process.replace(form).is_some(),
                "key" => fields.key.replace(form).is_some(),
                "value" => fields.value.replace(form).is_some(),
                "error" => fields.error.replace(form).is_some(),
                "node" => fields.node.replace(form).is_some(),
                "time" => match form {
                    Form::Int(time) => fields.time.replace(time).is_some(),
                    _ => false,
                },
                _ => false,
            };
            if again {
                return Err(format!("{name} stands twice in one operation"));
            }
        }
        Ok(fields)
    }
}

/// A word of an operation: `:invoke` in EDN, `"invoke"` in JSON.
pub(crate) fn word(name: &str, form: Form) -> Result<Arc<str>, String> {
    match form {
        Form::Keyword(word) | Form::Symbol(word) | Form::Text(word) => Ok(word),
        other => Err(format!("{} where the word of :{name} was due", shape(&other))),
    }
}

/// Who takes operations, their ends in the order of the file. Times do not go back. The line is that of the file, one-based,
/// for errors.
pub(crate) trait Taker {
    /// What a process has open: the kind of call, and its key.
    fn open(&mut self, process: Process) -> Option<(CallKind, &Key)>;

    /// The same, whole.
    fn open_call(&mut self, process: Process) -> Option<Call>;

    /// Takes an invocation.
    ///
    /// # Errors
    /// When it contradicts what came before, or the taker cannot keep it.
    fn invoke(
        &mut self,
        line: usize,
        time: Time,
        process: Process,
        node: Option<&str>,
        call: Call,
    ) -> Result<(), ReadError>;

    /// Takes the end of what a process has open.
    ///
    /// # Errors
    /// As [`Taker::invoke`].
    fn complete(
        &mut self,
        line: usize,
        time: Time,
        process: Process,
        outcome: Outcome,
    ) -> Result<(), ReadError>;
}

impl Taker for Builder {
    fn open(&mut self, process: Process) -> Option<(CallKind, &Key)> {
        let at = Builder::open(self, process)?;
        let columns = self.columns();
        Some((columns.kind[at], &columns.keys[columns.key[at] as usize]))
    }

    fn open_call(&mut self, process: Process) -> Option<Call> {
        let at = Builder::open(self, process)?;
        Some(self.columns().call(at))
    }

    fn invoke(
        &mut self,
        line: usize,
        time: Time,
        process: Process,
        node: Option<&str>,
        call: Call,
    ) -> Result<(), ReadError> {
        let taken = Builder::invoke(self, time, process, node, &call);
        taken.map_err(|source| ReadError::Contradiction { line, source })
    }

    fn complete(
        &mut self,
        line: usize,
        time: Time,
        process: Process,
        outcome: Outcome,
    ) -> Result<(), ReadError> {
        let taken = Builder::complete(self, time, process, None, &outcome);
        taken.map_err(|source| ReadError::Contradiction { line, source })
    }
}

/// Hands operations on in the order of the file.
pub(crate) struct Operations<'t, T> {
    to: &'t mut T,
    keys: Keys,
    before: Time,
    events: u64,
}

impl<'t, T: Taker> Operations<'t, T> {
    pub(crate) fn new(keys: Keys, to: &'t mut T) -> Self {
        Operations { to, keys, before: Time(0), events: 0 }
    }

    /// Whether there was any operation of a client.
    pub(crate) fn is_empty(&self) -> bool {
        self.events == 0
    }

    fn take(&mut self, line: usize, form: Form) -> Result<(), ReadError> {
        let fields = Fields::of(form).map_err(|problem| garbled(line, problem))?;
        self.take_fields(line, fields)
    }

    pub(crate) fn take_fields(&mut self, line: usize, fields: Fields) -> Result<(), ReadError> {
        let process = match fields.process {
            None | Some(Form::Nil) => UNNAMED,
            Some(Form::Int(int)) => match u32::try_from(int) {
                Ok(process) => Process(process),
                Err(_) => {
                    return Err(garbled(line, format!("process {int} is not between 0 and {}", u32::MAX)));
                }
            },
            Some(_) => return Ok(()),
        };
        let time = self.time(fields.time);
        self.event(line, time, process, fields)
    }

    /// When the next event is, whatever time it says.
    fn time(&mut self, said: Option<i64>) -> Time {
        let place = self.events;
        self.events += 1;
        let time = said.map_or(place, |time| u64::try_from(time).unwrap_or(0));
        self.before = self.before.max(Time(time));
        self.before
    }

    fn event(&mut self, line: usize, time: Time, process: Process, fields: Fields) -> Result<(), ReadError> {
        let wrong = |problem: String| garbled(line, problem);
        let contradiction = |source| ReadError::Contradiction { line, source };
        let Some(kind) = &fields.kind else { return Err(garbled(line, "an operation without :type")) };
        if &**kind == "invoke" {
            let node = match &fields.node {
                Some(Form::Text(node) | Form::Keyword(node)) => Some(node.clone()),
                _ => None,
            };
            let call = invoked(fields, self.keys).map_err(wrong)?;
            return self.to.invoke(line, time, process, node.as_deref(), call);
        }
        let outcome = match &**kind {
            "ok" => None,
            "fail" => Some(Outcome::Fail(reason(fields.error.as_ref()))),
            "info" => Some(Outcome::Info(reason(fields.error.as_ref()))),
            other => return Err(wrong(format!(":type :{other} is not one of invoke, ok, fail, info"))),
        };
        let f = fields.f.as_deref().unwrap_or("a call").to_string();
        let Some(call) = self.to.open_call(process) else {
            return Err(contradiction(Contradiction::NeverInvoked { process, call: f }));
        };
        if fields.f.as_deref().is_some_and(|f| kind_of(f) != Some(call.kind())) {
            return Err(contradiction(Contradiction::OtherCall { process, call: f, open: call.to_string() }));
        }
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => Outcome::Ok(answer(fields, self.keys, &call).map_err(wrong)?),
        };
        self.to.complete(line, time, process, outcome)
    }

    /// Takes an operation, unless there is something about it that wants a closer look.
    fn take_plain(&mut self, line: usize, plain: Plain<'_>) -> Result<bool, ReadError> {
        let Plain { kind, f, process, value, error, node, time, .. } = plain;
        if kind == Kind::Invoke {
            let Some(call) = invoked_plainly(f, value, self.keys) else { return Ok(false) };
            let time = self.time(time);
            self.to.invoke(line, time, process, node, call)?;
            return Ok(true);
        }
        let Some((open, key)) = self.to.open(process) else { return Ok(false) };
        if open != f {
            return Ok(false);
        }
        let why = || error.unwrap_or_default().to_string();
        let outcome = match kind {
            Kind::Fail => Outcome::Fail(why()),
            Kind::Info => Outcome::Info(why()),
            _ => match answered_plainly(f, value, self.keys, key) {
                Some(ret) => Outcome::Ok(ret),
                None => return Ok(false),
            },
        };
        let time = self.time(time);
        self.to.complete(line, time, process, outcome)?;
        Ok(true)
    }
}

/// What [`keyed`] says of a plain value.
fn keyed_plainly(value: Option<Held>, keys: Keys) -> Option<(Key, Option<Value>)> {
    match (keys, value) {
        (Keys::One, value) => Some((Value::Nil, value.map(Held::into_value))),
        (Keys::Tuple, Some(Held::Two(key, value))) => Some((key, Some(value))),
        (Keys::Tuple, _) => None,
    }
}

/// What [`invoked`] says of a plain value.
fn invoked_plainly(kind: CallKind, value: Option<Held>, keys: Keys) -> Option<Call> {
    if let (Keys::One, CallKind::Cas, Some(Held::Two(from, to))) = (keys, kind, &value) {
        return Some(Call::Cas { key: Value::Nil, from: from.clone(), to: to.clone() });
    }
    let (key, value) = keyed_plainly(value, keys)?;
    let value = match (kind, value) {
        (CallKind::Increment, None | Some(Value::Nil)) => Some(Value::Int(1)),
        (_, value) => value,
    };
    Call::of(kind, key, value).ok()
}

/// What [`answer`] says of a plain value.
fn answered_plainly(kind: CallKind, value: Option<Held>, keys: Keys, asked: &Key) -> Option<Ret> {
    if !kind.is_bare() && kind != CallKind::Contains || kind == CallKind::Release {
        return Some(Ret::Done);
    }
    let (key, value) = keyed_plainly(value, keys)?;
    match (kind, value) {
        _ if key != *asked => None,
        (CallKind::Acquire, None | Some(Value::Nil)) => Some(Ret::Done),
        (CallKind::Contains, Some(Value::Bool(is))) => Some(Ret::Value(Value::Bool(is))),
        (CallKind::Contains, _) => None,
        (_, value) => value.map(Ret::Value),
    }
}

fn kind_of(f: &str) -> Option<CallKind> {
    Some(match f {
        "get" => CallKind::Read,
        "put" => CallKind::Write,
        "inc" => CallKind::Increment,
        "lock" => CallKind::Acquire,
        "unlock" => CallKind::Release,
        // What it asks for has no place in an operation of theirs.
        "watch" => return None,
        word => CallKind::ALL.into_iter().find(|kind| kind.word() == word)?,
    })
}

/// The key an operation is about and what is left of its value then.
fn keyed(key: Option<Form>, value: Option<Form>, keys: Keys) -> Result<(Key, Option<Form>), String> {
    if let Some(key) = key {
        return Ok((to_value(key)?, value));
    }
    let tuple = match value {
        Some(Form::Tagged(tag, inner)) if &*tag == "jepsen.independent/tuple" => *inner,
        Some(value) if keys == Keys::Tuple => value,
        None if keys == Keys::Tuple => return Err("no :value, where [key value] was due".into()),
        value => return Ok((Value::Nil, value)),
    };
    match tuple {
        Form::Vector(items) | Form::List(items) => match <[Form; 2]>::try_from(items) {
            Ok([key, value]) => Ok((to_value(key)?, Some(value))),
            Err(items) => Err(format!("a :value of {} elements, where [key value] was due", items.len())),
        },
        other => Err(format!("{} as :value, where [key value] was due", shape(&other))),
    }
}

fn invoked(fields: Fields, keys: Keys) -> Result<Call, String> {
    let f = fields.f.ok_or("an invocation without :f")?;
    let kind = kind_of(&f).ok_or_else(|| {
        let words: Vec<_> =
            CallKind::ALL.iter().map(|kind| kind.word()).filter(|word| *word != "watch").collect();
        format!(":f :{f} is not understood: {} are", words.join(", "))
    })?;
    if kind == CallKind::Txn {
        let steps = steps(fields.value)?.into_iter().map(|(step, _)| step).collect();
        return Ok(Call::Txn { steps });
    }
    let (key, value) = keyed(fields.key, fields.value, keys)?;
    if kind.is_bare() {
        return Call::of(kind, key, None).map_err(String::from);
    }
    let value = match (kind, value) {
        (CallKind::Increment, None | Some(Form::Nil)) => Value::Int(1),
        (_, value) => to_value(value.ok_or_else(|| format!("an invocation of {f} without :value"))?)?,
    };
    if kind == CallKind::Cas && value.elements().is_none_or(|ends| ends.len() != 2) {
        return Err(format!("the :value of a cas must be [from to], not {value}"));
    }
    Call::of(kind, key, Some(value)).map_err(|problem| format!("{f}: {problem}"))
}

/// The steps of a transaction, each with the value it shows.
fn steps(value: Option<Form>) -> Result<Vec<(Step, Value)>, String> {
    const SHAPE: &str = "the :value of a txn must be a vector of [:r k v], [:w k v] or [:append k v]";
    let (Form::Vector(steps) | Form::List(steps)) = value.ok_or(SHAPE)? else { return Err(SHAPE.into()) };
    let step = |step: Form| {
        let (Form::Vector(parts) | Form::List(parts)) = step else { return Err(SHAPE.to_string()) };
        let [word, key, value] = <[Form; 3]>::try_from(parts).map_err(|_| SHAPE)?;
        let (Form::Keyword(word) | Form::Text(word)) = word else { return Err(SHAPE.into()) };
        let (key, value) = (to_value(key)?, to_value(value)?);
        Ok(match &*word {
            "r" => (Step::Read { key }, value),
            "w" => (Step::Write { key, value }, Value::Nil),
            "append" => (Step::Append { key, value }, Value::Nil),
            _ => return Err(SHAPE.into()),
        })
    };
    steps.into_iter().map(step).collect()
}

/// What an ok call was answered.
fn answer(fields: Fields, keys: Keys, call: &Call) -> Result<Ret, String> {
    let kind = call.kind();
    if let Call::Txn { steps: asked } = call {
        let (done, seen): (Vec<Step>, Vec<Value>) = steps(fields.value)?.into_iter().unzip();
        return match done[..] == asked[..] {
            true => Ok(Ret::Value(Value::list(seen))),
            false => Err("a txn that is ok with other steps than were asked for".into()),
        };
    }
    if !kind.is_bare() && kind != CallKind::Contains || kind == CallKind::Release {
        // What stands there repeats what was asked.
        return Ok(Ret::Done);
    }
    let (key, value) = keyed(fields.key, fields.value, keys)?;
    if key != *call.key() {
        return Err(format!("a {kind} of key {} returned key {key}", call.key()));
    }
    match (kind, value) {
        (CallKind::Acquire, None | Some(Form::Nil)) => Ok(Ret::Done),
        (CallKind::Contains, Some(Form::Bool(is))) => Ok(Ret::Value(Value::Bool(is))),
        (CallKind::Contains, _) => Err("a contains that is ok, without true or false as :value".into()),
        (_, Some(value)) => Ok(Ret::Value(to_value(value)?)),
        (_, None) => Err(format!("a {kind} that is ok, without :value")),
    }
}

fn reason(error: Option<&Form>) -> String {
    match error {
        None | Some(Form::Nil) => String::new(),
        Some(Form::Text(text) | Form::Keyword(text) | Form::Symbol(text)) => text.to_string(),
        Some(Form::Vector(forms) | Form::List(forms)) => {
            let parts: Vec<String> =
                forms.iter().map(|form| reason(Some(form))).filter(|part| !part.is_empty()).collect();
            parts.join(" ")
        }
        Some(Form::Int(int)) => int.to_string(),
        Some(other) => format!("({})", shape(other)),
    }
}

/// A form as a value. Keywords keep their colon, so that `:x` and `"x"` stay two values.
pub(crate) fn to_value(form: Form) -> Result<Value, String> {
    Ok(match form {
        Form::Nil => Value::Nil,
        Form::Bool(bool) => Value::Bool(bool),
        Form::Int(int) => Value::Int(int),
        Form::Text(text) | Form::Symbol(text) => Value::Text(text),
        Form::Keyword(word) => Value::Text(format!(":{word}").into()),
        Form::Char(character) => Value::Text(character.to_string().into()),
        Form::Vector(forms) | Form::List(forms) | Form::Set(forms) => {
            Value::List(forms.into_iter().map(to_value).collect::<Result<Vec<_>, _>>()?.into())
        }
        Form::Tagged(_, inner) => to_value(*inner)?,
        other @ (Form::Fraction(_) | Form::Map(_)) => {
            return Err(format!("{} as a value is not understood", shape(&other)));
        }
    })
}

fn shape(form: &Form) -> String {
    match form {
        Form::Nil => "nil".into(),
        Form::Bool(bool) => bool.to_string(),
        Form::Int(int) => int.to_string(),
        Form::Fraction(fraction) => fraction.to_string(),
        Form::Text(text) => format!("{text:?}"),
        Form::Char(character) => format!("{character:?}"),
        Form::Keyword(word) => format!(":{word}"),
        Form::Symbol(word) => word.to_string(),
        Form::List(_) => "a list".into(),
        Form::Vector(_) => "a vector".into(),
        Form::Set(_) => "a set".into(),
        Form::Map(_) => "a map".into(),
        Form::Tagged(tag, _) => format!("a #{tag}"),
    }
}

#[cfg(test)]
mod tests;
