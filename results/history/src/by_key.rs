//! The operations of a history apart by key, and those of one key as columns of their own.

use crate::call::CallKind;
use crate::columns::{Columns, Status};
use crate::history::Position;
use crate::intern::{NONE, Numbers};
use crate::value::{Key, Value};

/// The operations of each key, keys in the order of first use.
#[derive(Debug)]
pub struct ByKey<'h> {
    columns: &'h Columns,
    /// The operations of the first key, then of the second …, each in the order of invocation.
    order: Vec<u32>,
    /// Where those of each key begin, and where the last one's end.
    bounds: Vec<u32>,
}

impl<'h> ByKey<'h> {
    pub(crate) fn new(columns: &'h Columns) -> Self {
        let mut bounds = vec![0u32; columns.keys.len() + 1];
        let keys: &[u32] = &columns.key;
        for key in keys {
            bounds[*key as usize + 1] += 1;
        }
        for key in 1..bounds.len() {
            bounds[key] += bounds[key - 1];
        }
        let mut next = bounds.clone();
        let mut order = vec![0u32; columns.len()];
        for (at, key) in keys.iter().enumerate() {
            let place = &mut next[*key as usize];
            order[*place as usize] = at as u32;
            *place += 1;
        }
        ByKey { columns, order, bounds }
    }

    /// How many keys there are. Some may be those of steps of transactions alone, and have no operations.
    pub fn len(&self) -> usize {
        self.columns.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.columns.keys.len() == 0
    }

    /// The keys with operations of their own.
    pub fn iter(&self) -> impl Iterator<Item = OfKey<'_>> {
        let operations = |key: usize| &self.order[self.bounds[key] as usize..self.bounds[key + 1] as usize];
        let all = (0..self.len()).map(move |key| (key, operations(key)));
        all.filter(|(_, operations)| !operations.is_empty()).map(|(key, operations)| OfKey {
            key: &self.columns.keys[key],
            operations,
            columns: self.columns,
        })
    }
}

/// The operations of one key.
#[derive(Clone, Copy, Debug)]
pub struct OfKey<'a> {
    /// The key.
    pub key: &'a Key,
    /// Their places in the history, ascending.
    pub operations: &'a [u32],
    columns: &'a Columns,
}

impl<'a> OfKey<'a> {
    /// The operations as columns of their own, with values numbered from 0 on without gaps; 0 is [`Value::Nil`], also if none
    /// of them is about it. 26 bytes an operation.
    pub fn columns(&self, numbers: &mut Numbers) -> KeyColumns<'a> {
        let all = self.columns;
        numbers.start(all.values.len(), Columns::NIL);
        let room = self.operations.len();
        let mut columns = KeyColumns {
            key: self.key,
            operation: self.operations,
            kind: Vec::with_capacity(room),
            status: Vec::with_capacity(room),
            argument: Vec::with_capacity(room),
            answer: Vec::with_capacity(room),
            invoke: Vec::with_capacity(room),
            complete: Vec::with_capacity(room),
            from: Vec::new(),
            values: Vec::new(),
            all,
        };
        // Columns may lie in a file: where, is looked up once.
        let (arguments, answers): (&[u32], &[u32]) = (&all.argument, &all.answer);
        let (invoke, complete): (&[Position], &[Position]) = (&all.invoke, &all.complete);
        for at in self.operations.iter().map(|at| *at as usize) {
            let kind = all.kind[at];
            let argument = match (kind, arguments[at]) {
                (CallKind::Txn, _) | (_, NONE) => NONE,
                (CallKind::Cas, swap) => {
                    let [from, to] = all.swaps[swap as usize].map(|value| numbers.of(value));
                    columns.from.push((columns.kind.len() as u32, from));
                    to
                }
                (_, value) => numbers.of(value),
            };
            let answer = match all.status[at] {
                Status::Answered => numbers.of(answers[at]),
                _ => NONE,
            };
            columns.kind.push(kind);
            columns.status.push(all.status[at]);
            columns.argument.push(argument);
            columns.answer.push(answer);
            columns.invoke.push(invoke[at]);
            columns.complete.push(complete[at]);
        }
        columns.values = numbers.values().to_vec();
        columns
    }
}

/// The operations of one key, one array a property, in the order of their invocations.
#[derive(Clone, Debug)]
pub struct KeyColumns<'a> {
    /// The key.
    pub key: &'a Key,
    /// Their places in the history, ascending.
    pub operation: &'a [u32],
    /// What was asked.
    pub kind: Vec<CallKind>,
    /// What became of it.
    pub status: Vec<Status>,
    /// The number of the value it was called with (of a cas, what it leaves); [`u32::MAX`] for a bare call.
    pub argument: Vec<u32>,
    /// The number of the value it was answered with; [`u32::MAX`] if there is none.
    pub answer: Vec<u32>,
    /// Where its invocation stands among all events; ascending.
    pub invoke: Vec<Position>,
    /// Where its completion stands among all events; [`Position::MAX`] if it is info.
    pub complete: Vec<Position>,
    /// Of each cas, its place in these columns and the number of the value it asks for; ascending.
    pub from: Vec<(u32, u32)>,
    values: Vec<u32>,
    all: &'a Columns,
}

impl<'a> KeyColumns<'a> {
    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.kind.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kind.is_empty()
    }

    /// How many values are numbered: every number is less.
    pub fn values(&self) -> usize {
        self.values.len()
    }

    /// The value with this number.
    pub fn value(&self, number: u32) -> &'a Value {
        &self.all.values[self.values[number as usize] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Argument, History, Operation, Outcome, Ret};

    /// What an operation says, read out of the columns of its key.
    fn said(of: &KeyColumns<'_>, at: usize) -> (Option<Value>, Option<Value>, Option<Value>) {
        let value = |number: u32| (number != NONE).then(|| of.value(number).clone());
        let from = of.from.iter().find(|(place, _)| *place as usize == at).map(|(_, number)| *number);
        (from.and_then(value), value(of.argument[at]), value(of.answer[at]))
    }

    /// The same, out of a row.
    fn meant(operation: &Operation) -> (Option<Value>, Option<Value>, Option<Value>) {
        let answer = match &operation.outcome {
            Outcome::Ok(Ret::Value(value)) => Some(value.clone()),
            _ => None,
        };
        match operation.call.argument() {
            Argument::Two(from, to) => (Some(from.clone()), Some(to.clone()), answer),
            Argument::Number(number) => (None, Some(Value::Int(number)), answer),
            Argument::Value(value) => (None, Some(value.clone()), answer),
            Argument::Nothing | Argument::Steps(_) => (None, None, answer),
        }
    }

    #[test]
    fn the_columns_of_each_key_say_what_its_rows_say() {
        let calls = crate::jsonl::tests::one_of_each();
        let mut events = crate::jsonl::tests::sample();
        for (number, (call, ret)) in (0..).zip(calls.iter().cycle().take(4 * calls.len())) {
            let (process, time) = (crate::Process(100 + number), crate::Time(1_000 + u64::from(number)));
            let node = None;
            events
                .push(crate::Event { time, what: crate::What::Invoke { process, node, call: call.clone() } });
            let outcome = match number % 4 {
                0 => Outcome::Fail("no".into()),
                1 => Outcome::Info("?".into()),
                _ => Outcome::Ok(ret.clone()),
            };
            let call = call.clone();
            events.push(crate::Event { time, what: crate::What::Complete { process, call, outcome } });
        }
        let history = History::from_events(events).unwrap();
        let (mut numbers, mut operations) = (Numbers::default(), 0);
        for key in history.by_key().iter() {
            let of = key.columns(&mut numbers);
            assert_eq!((of.key, of.operation, of.value(0)), (key.key, key.operations, &Value::Nil));
            assert_eq!(of.len(), key.operations.len());
            for (at, place) in key.operations.iter().enumerate() {
                let row = &history.rows()[*place as usize];
                assert_eq!((row.call.key(), row.call.kind()), (of.key, of.kind[at]));
                assert_eq!((row.invoke, row.complete), (of.invoke[at], of.complete[at]));
                assert_eq!(history.columns().status()[*place as usize], of.status[at]);
                assert_eq!(said(&of, at), meant(row), "{row:?}");
                operations += 1;
            }
            let numbered: std::collections::HashSet<&Value> =
                (0..of.values() as u32).map(|number| of.value(number)).collect();
            assert_eq!(numbered.len(), of.values(), "each value has one number");
        }
        assert_eq!(operations, history.len());
    }
}
