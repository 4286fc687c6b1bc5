//! The operations of a history as columns: one array a property, values and texts as numbers.
//!
//! 46 bytes an operation, and nothing allocated for it; 8 more for a cas, 12 for a step of a transaction. Judges that care
//! for speed read the arrays; all others ask for rows ([`crate::Operation`]).

use std::sync::Arc;

use crate::call::{Argument, Call, CallKind, Outcome, Ret, Step};
use crate::column::{Column, List};
use crate::event::{Process, Time};
use crate::history::{Operation, Position};
use crate::intern::{NONE, Texts, Values};
use crate::said::{Said, Word};
use crate::value::{Key, Value};

/// What the reason of an operation is whose completion the history does not have.
pub(crate) const OPEN: &str = "the history ends before its completion";

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, bytemuck::CheckedBitPattern, bytemuck::NoUninit)]
#[repr(u8)]
pub enum Status {
    /// [`Outcome::Ok`] with [`Ret::Done`].
    Done,
    /// [`Outcome::Ok`] with [`Ret::Value`].
    Answered,
    /// [`Outcome::Fail`].
    Fail,
    /// [`Outcome::Info`].
    Info,
    /// The history ends before its completion; also [`Outcome::Info`].
    Open,
}

impl Status {
    /// Whether it is an [`Outcome::Ok`].
    pub fn is_ok(self) -> bool {
        matches!(self, Status::Done | Status::Answered)
    }

    /// Whether it is an [`Outcome::Info`].
    pub fn is_info(self) -> bool {
        matches!(self, Status::Info | Status::Open)
    }
}

/// The operations of a history, one array a property: an operation is the same place in all of them, and the operations are
/// in the order of their invocations.
///
/// Values, keys and texts are numbers: places in [`Columns::values`], [`Columns::keys`] and [`Columns::texts`]. Two values
/// are equal if and only if their numbers are; likewise keys.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Who.
    pub(crate) process: Column<u32>,
    /// The text that names the node; [`u32::MAX`] if it is not known.
    pub(crate) node: Column<u32>,
    pub(crate) kind: Vec<CallKind>,
    pub(crate) status: Vec<Status>,
    pub(crate) key: Column<u32>,
    /// The value it was called with; the place in `swaps` of a cas, and in `transactions` of a transaction; else
    /// [`u32::MAX`].
    pub(crate) argument: Column<u32>,
    /// The value it was answered with, or the text of the reason why it failed; else [`u32::MAX`].
    pub(crate) answer: Column<u32>,
    pub(crate) invoke: Column<Position>,
    pub(crate) complete: Column<Position>,
    pub(crate) invoked: Column<u64>,
    /// When it ended, [`u64::MAX`] if it never did.
    pub(crate) ended: Column<u64>,
    /// What each cas asked for, and what it leaves: two values.
    pub(crate) swaps: Column<[u32; 2]>,
    /// Where the steps of each transaction end; they begin where those of the one before end.
    pub(crate) transactions: Column<u32>,
    /// The steps of all transactions: a word, a key and a value.
    pub(crate) steps: Column<[u32; 3]>,
    pub(crate) values: List,
    pub(crate) keys: List,
    pub(crate) texts: Vec<Arc<str>>,
}

/// The words of [`Columns::steps`].
pub(crate) const READ: u32 = 0;
pub(crate) const WRITE: u32 = 1;
pub(crate) const APPEND: u32 = 2;

impl Columns {
    /// The number of [`Value::Nil`] in every history.
    pub const NIL: u32 = 0;

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.invoke.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.invoke.is_empty()
    }

    /// Who called it.
    pub fn process(&self) -> &[u32] {
        &self.process
    }

    /// The text that names the node it spoke to; [`u32::MAX`] where that is not known.
    pub fn node(&self) -> &[u32] {
        &self.node
    }

    /// What was asked.
    pub fn kind(&self) -> &[CallKind] {
        &self.kind
    }

    /// What became of it.
    pub fn status(&self) -> &[Status] {
        &self.status
    }

    /// Of which object.
    pub fn key(&self) -> &[u32] {
        &self.key
    }

    /// The value it was called with: the element, the token, how much to add. For a cas, the place of both its values
    /// ([`Columns::swaps`]); for a transaction, that of its steps ([`Columns::steps`]); [`u32::MAX`] for a bare call.
    pub fn argument(&self) -> &[u32] {
        &self.argument
    }

    /// The value it was answered with where it is [`Status::Answered`]; the text of the reason where it is [`Status::Fail`]
    /// or [`Status::Info`]; else [`u32::MAX`].
    pub fn answer(&self) -> &[u32] {
        &self.answer
    }

    /// Where its invocation stands among all events; ascending.
    pub fn invoke(&self) -> &[Position] {
        &self.invoke
    }

    /// Where its completion stands among all events; [`Position::MAX`] if it is info.
    pub fn complete(&self) -> &[Position] {
        &self.complete
    }

    /// When it was invoked, in nanoseconds.
    pub fn invoked(&self) -> &[u64] {
        &self.invoked
    }

    /// When it was answered or given up, in nanoseconds, also where it is info; [`u64::MAX`] if never.
    pub fn ended(&self) -> &[u64] {
        &self.ended
    }

    /// The values each cas asks for and leaves.
    pub fn swaps(&self) -> &[[u32; 2]] {
        &self.swaps
    }

    /// The steps of the transaction with this argument: each a word (0 reads, 1 writes, 2 appends), a key and a value
    /// ([`u32::MAX`] for a read).
    pub fn steps(&self, argument: u32) -> &[[u32; 3]] {
        let place = argument as usize;
        let begin = if place == 0 { 0 } else { self.transactions[place - 1] };
        &self.steps[begin as usize..self.transactions[place] as usize]
    }

    /// Every different value of calls and answers, at its number: [`Value::Nil`] first ([`Columns::NIL`]), the others in the
    /// order of first use. Where they lie in a file they are made at the first call: [`Columns::value_count`] makes none.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// How many different values there are: every number of one is less.
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// Every different key, at its number: in the order of first use.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Every different name of a node and reason of a failure, at its number.
    pub fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }

    /// The number of a value, if the history has it. Looks at each value: ask once.
    pub fn number_of(&self, value: &Value) -> Option<u32> {
        self.values.place_of(value).map(|place| place as u32)
    }

    /// What an operation asked.
    pub fn call(&self, at: usize) -> Call {
        let key = self.keys[self.key[at] as usize].clone();
        let argument = self.argument[at];
        let value = || self.values[argument as usize].clone();
        let number = || match self.values[argument as usize] {
            Value::Int(number) => number,
            _ => unreachable!("only a number is taken into the column"),
        };
        match self.kind[at] {
            CallKind::Read => Call::Read { key },
            CallKind::Write => Call::Write { key, value: value() },
            CallKind::Cas => {
                let [from, to] =
                    self.swaps[argument as usize].map(|value| self.values[value as usize].clone());
                Call::Cas { key, from, to }
            }
            CallKind::Add => Call::Add { key, value: value() },
            CallKind::Remove => Call::Remove { key, value: value() },
            CallKind::Contains => Call::Contains { key, value: value() },
            CallKind::Append => Call::Append { key, value: value() },
            CallKind::Enqueue => Call::Enqueue { key, value: value() },
            CallKind::Dequeue => Call::Dequeue { key },
            CallKind::Push => Call::Push { key, value: value() },
            CallKind::Pop => Call::Pop { key },
            CallKind::Increment => Call::Increment { key, by: number() },
            CallKind::Generate => Call::Generate { key },
            CallKind::Acquire => Call::Acquire { key },
            CallKind::Release => Call::Release { key },
            CallKind::Use => Call::Use { key, token: value() },
            CallKind::Watch => Call::Watch { key, from: number() },
            CallKind::Txn => {
                Call::Txn { steps: self.steps(argument).iter().map(|step| self.step(*step)).collect() }
            }
        }
    }

    fn step(&self, [word, key, value]: [u32; 3]) -> Step {
        let key = self.keys[key as usize].clone();
        match word {
            READ => Step::Read { key },
            WRITE => Step::Write { key, value: self.values[value as usize].clone() },
            _ => Step::Append { key, value: self.values[value as usize].clone() },
        }
    }

    /// What became of an operation.
    pub fn outcome(&self, at: usize) -> Outcome {
        let answer = self.answer[at] as usize;
        match self.status[at] {
            Status::Done => Outcome::Ok(Ret::Done),
            Status::Answered => Outcome::Ok(Ret::Value(self.values[answer].clone())),
            Status::Fail => Outcome::Fail(self.texts[answer].to_string()),
            Status::Info => Outcome::Info(self.texts[answer].to_string()),
            Status::Open => Outcome::Info(OPEN.into()),
        }
    }

    /// An operation as a row.
    pub fn operation(&self, at: usize) -> Operation {
        let complete = self.complete[at];
        let ended = self.ended[at];
        Operation {
            process: Process(self.process[at]),
            node: self.texts.get(self.node[at] as usize).cloned(),
            call: self.call(at),
            outcome: self.outcome(at),
            invoked: Time(self.invoked[at]),
            completed: if complete == Position::MAX { Time::NEVER } else { Time(ended) },
            invoke: self.invoke[at],
            complete,
            ended: (ended != u64::MAX).then_some(Time(ended)),
        }
    }

    /// Whether an operation asked just this.
    pub(crate) fn asked(&self, at: usize, call: &Call) -> bool {
        if self.kind[at] != call.kind() || self.keys[self.key[at] as usize] != *call.key() {
            return false;
        }
        let argument = self.argument[at] as usize;
        match call.argument() {
            Argument::Nothing => true,
            Argument::Value(value) => self.values[argument] == *value,
            Argument::Number(number) => self.values[argument] == Value::Int(number),
            Argument::Two(from, to) => {
                let [known_from, known_to] = self.swaps[argument];
                self.values[known_from as usize] == *from && self.values[known_to as usize] == *to
            }
            Argument::Steps(_) => self.call(at) == *call,
        }
    }
}

/// Columns that grow, with what it takes to find the number of a value again.
#[derive(Debug)]
pub(crate) struct Growing {
    pub(crate) columns: Columns,
    values: Values,
    keys: Values,
    texts: Texts,
}

impl Default for Growing {
    fn default() -> Self {
        let mut growing = Growing {
            columns: Columns::default(),
            values: Values::default(),
            keys: Values::default(),
            texts: Texts::default(),
        };
        let nil = growing.values.of(growing.columns.values.own(), &Value::Nil);
        debug_assert_eq!(nil, Columns::NIL);
        growing
    }
}

impl Growing {
    /// Makes room for so many operations more.
    pub(crate) fn reserve(&mut self, operations: usize) {
        let columns = &mut self.columns;
        let Columns { process, node, key, argument, answer, invoke, complete, .. } = columns;
        for column in [process, node, key, argument, answer, invoke, complete] {
            column.own().reserve_exact(operations);
        }
        columns.kind.reserve_exact(operations);
        columns.status.reserve_exact(operations);
        columns.invoked.own().reserve_exact(operations);
        columns.ended.own().reserve_exact(operations);
    }

    /// Appends an operation that has not ended.
    pub(crate) fn invoke(
        &mut self,
        process: Process,
        node: Option<&str>,
        call: &Call,
        invoked: Time,
        invoke: Position,
    ) {
        let key = self.keys.of(self.columns.keys.own(), call.key());
        let argument = self.argument(call);
        self.row(process, node, (call.kind(), key, argument), invoked, invoke);
    }

    /// Appends an operation that has not ended: of this kind, with these numbers of a key and an argument.
    #[inline]
    pub(crate) fn row(
        &mut self,
        process: Process,
        node: Option<&str>,
        (kind, key, argument): (CallKind, u32, u32),
        invoked: Time,
        invoke: Position,
    ) {
        let node = node.map_or(NONE, |node| self.texts.of(&mut self.columns.texts, node));
        let columns = &mut self.columns;
        columns.process.push(process.0);
        columns.node.push(node);
        columns.kind.push(kind);
        columns.status.push(Status::Open);
        columns.key.push(key);
        columns.argument.push(argument);
        columns.answer.push(NONE);
        columns.invoke.push(invoke);
        columns.complete.push(Position::MAX);
        columns.invoked.push(invoked.0);
        columns.ended.push(u64::MAX);
    }

    /// Ends an operation.
    pub(crate) fn complete(&mut self, at: usize, outcome: &Outcome, ended: u64, complete: Position) {
        let (status, answer) = match outcome {
            Outcome::Ok(Ret::Done) => (Status::Done, NONE),
            Outcome::Ok(Ret::Value(value)) => {
                (Status::Answered, self.values.of(self.columns.values.own(), value))
            }
            Outcome::Fail(why) => (Status::Fail, self.texts.of(&mut self.columns.texts, why)),
            Outcome::Info(why) => (Status::Info, self.texts.of(&mut self.columns.texts, why)),
        };
        self.end(at, (status, answer), ended, complete);
    }

    /// Ends an operation, with the number of its answer or reason.
    #[inline]
    pub(crate) fn end(&mut self, at: usize, (status, answer): (Status, u32), ended: u64, complete: Position) {
        let columns = &mut self.columns;
        columns.status[at] = status;
        columns.answer[at] = answer;
        columns.ended[at] = ended;
        columns.complete[at] = complete;
    }

    /// The number of a value that is no list.
    #[inline]
    pub(crate) fn number_of_word(&mut self, word: Word<'_>) -> u32 {
        of_word(&mut self.values, self.columns.values.own(), word)
    }

    /// The number of a value.
    #[inline]
    pub(crate) fn number_of(&mut self, value: Said<'_>) -> u32 {
        match value {
            Said::One(word) => self.number_of_word(word),
            list => self.values.of(self.columns.values.own(), &list.into_value()),
        }
    }

    /// The number of a key.
    #[inline]
    pub(crate) fn number_of_key(&mut self, key: Word<'_>) -> u32 {
        of_word(&mut self.keys, self.columns.keys.own(), key)
    }

    /// The number of a reason.
    pub(crate) fn number_of_text(&mut self, text: &str) -> u32 {
        self.texts.of(&mut self.columns.texts, text)
    }

    /// The argument of a cas.
    pub(crate) fn swap(&mut self, from: Word<'_>, to: Word<'_>) -> u32 {
        let swap = [self.number_of_word(from), self.number_of_word(to)];
        self.columns.swaps.push(swap);
        self.columns.swaps.len() as u32 - 1
    }

    fn argument(&mut self, call: &Call) -> u32 {
        match call.argument() {
            Argument::Nothing => NONE,
            Argument::Value(value) => self.values.of(self.columns.values.own(), value),
            Argument::Number(number) => self.values.of_integer(self.columns.values.own(), number),
            Argument::Two(from, to) => {
                let swap = [from, to].map(|value| self.values.of(self.columns.values.own(), value));
                self.columns.swaps.push(swap);
                self.columns.swaps.len() as u32 - 1
            }
            Argument::Steps(steps) => {
                for step in steps {
                    let key = self.keys.of(self.columns.keys.own(), step.key());
                    self.columns.steps.push(match step {
                        Step::Read { .. } => [READ, key, NONE],
                        Step::Write { value, .. } => {
                            [WRITE, key, self.values.of(self.columns.values.own(), value)]
                        }
                        Step::Append { value, .. } => {
                            [APPEND, key, self.values.of(self.columns.values.own(), value)]
                        }
                    });
                }
                let end = u32::try_from(self.columns.steps.len()).expect("fewer than 4294967295 steps");
                self.columns.transactions.push(end);
                self.columns.transactions.len() as u32 - 1
            }
        }
    }
}

#[inline]
fn of_word(numbers: &mut Values, list: &mut Vec<Value>, word: Word<'_>) -> u32 {
    match word {
        Word::Int(int) => numbers.of_integer(list, int),
        Word::Text(text) => numbers.of_text(list, text),
        Word::Nil => numbers.of(list, &Value::Nil),
        Word::Bool(bool) => numbers.of(list, &Value::Bool(bool)),
    }
}
