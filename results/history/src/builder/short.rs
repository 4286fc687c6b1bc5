//! The short way from a plain line into a history: by its parts, without a [`Call`](crate::Call) or an
//! [`Outcome`](crate::Outcome) made of them.
//!
//! It takes what the long way ([`Builder::push`]) would take and says the same of it; whatever it does not take leaves no trace,
//! and the long way says what is wrong.

use super::{Builder, Open};
use crate::call::CallKind;
use crate::columns::Status;
use crate::event::{Process, Time};
use crate::history::Position;
use crate::intern::NONE;
use crate::said::{Said, Word};

/// How a call ended.
pub(crate) enum Ending<'a> {
    /// With or without an answer.
    Ok(Option<Said<'a>>),
    /// For this reason.
    Fail(&'a str),
    /// For this reason.
    Info(&'a str),
}

impl Builder {
    /// Takes an invocation, if there is nothing about it that wants a closer look.
    #[inline]
    pub(crate) fn invoke_shortly(
        &mut self,
        (time, process, node): (Time, Process, Option<&str>),
        f: CallKind,
        key: Word<'_>,
        value: Option<Said<'_>>,
    ) -> bool {
        let Ok(position) = self.due(time) else { return false };
        if *self.processes.get(process) != Open::Idle {
            return false;
        }
        let operations = &mut self.operations;
        let argument = match (f, value) {
            (bare, None) if bare.is_bare() => NONE,
            (bare, Some(_)) if bare.is_bare() => return false,
            (CallKind::Cas, Some(Said::Two(from, to))) => operations.swap(from, to),
            (CallKind::Increment | CallKind::Watch, Some(Said::One(Word::Int(number)))) => {
                operations.number_of_word(Word::Int(number))
            }
            (CallKind::Cas | CallKind::Txn | CallKind::Increment | CallKind::Watch, _) | (_, None) => {
                return false;
            }
            (_, Some(value)) => operations.number_of(value),
        };
        let key = operations.number_of_key(key);
        *self.processes.get(process) = Open::Call(operations.columns.len() as u32);
        operations.row(process, node, (f, key, argument), time, position);
        self.took(time);
        true
    }

    /// Takes the completion of a call, if there is nothing about it that wants a closer look.
    #[inline]
    pub(crate) fn complete_shortly(
        &mut self,
        (time, process): (Time, Process),
        f: CallKind,
        key: Word<'_>,
        value: Option<Said<'_>>,
        ending: Ending<'_>,
    ) -> bool {
        let Ok(position) = self.due(time) else { return false };
        let Open::Call(at) = *self.processes.get(process) else { return false };
        let at = at as usize;
        let columns = &self.operations.columns;
        if columns.kind[at] != f || !key.is(&columns.keys[columns.key[at] as usize]) {
            return false;
        }
        let argument = columns.argument[at] as usize;
        let asked = match (f, value) {
            (bare, value) if bare.is_bare() => value.is_none(),
            (CallKind::Cas, Some(Said::Two(from, to))) => {
                let [known_from, known_to] = columns.swaps[argument];
                from.is(&columns.values[known_from as usize]) && to.is(&columns.values[known_to as usize])
            }
            (CallKind::Cas | CallKind::Txn, _) | (_, None) => false,
            (_, Some(value)) => value.is(&columns.values[argument]),
        };
        if !asked {
            return false;
        }
        let operations = &mut self.operations;
        let (status, answer, now, complete) = match ending {
            Ending::Ok(None) => (Status::Done, NONE, Open::Idle, position),
            Ending::Ok(Some(value)) => (Status::Answered, operations.number_of(value), Open::Idle, position),
            Ending::Fail(why) => (Status::Fail, operations.number_of_text(why), Open::Idle, position),
            Ending::Info(why) => (Status::Info, operations.number_of_text(why), Open::Retired, Position::MAX),
        };
        operations.end(at, (status, answer), time.0, complete);
        *self.processes.get(process) = now;
        self.took(time);
        true
    }
}
