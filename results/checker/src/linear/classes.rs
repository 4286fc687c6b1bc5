//! Operations that the model cannot tell apart: those with the same call and the same answer.

use rustc_hash::FxHashMap;
use schism_history::{Argument, Call, Ret, Value};

/// Operations with the same call and answer are of one class: the model cannot tell them apart.
pub(super) type ClassId = u32;

/// The classes met so far.
pub(super) struct ClassIds<'h> {
    /// Those that a number says all of: most, and no part of one has to be looked at to find it.
    packed: FxHashMap<u128, ClassId>,
    others: FxHashMap<(&'h Call, Option<&'h Ret>), ClassId>,
}

impl<'h> ClassIds<'h> {
    /// Room for so many.
    pub(super) fn with_capacity(count: usize) -> Self {
        let mut packed = FxHashMap::default();
        packed.reserve(count);
        ClassIds { packed, others: FxHashMap::default() }
    }

    /// The class of this call and answer; `new` makes it at the first time.
    pub(super) fn of(
        &mut self,
        call: &'h Call,
        ret: Option<&'h Ret>,
        new: impl FnOnce() -> ClassId,
    ) -> ClassId {
        match packed(call, ret) {
            Some(number) => *self.packed.entry(number).or_insert_with(new),
            None => *self.others.entry((call, ret)).or_insert_with(new),
        }
    }
}

/// What differs for every two different calls with their answers; `None` if that takes more than a number.
fn packed(call: &Call, ret: Option<&Ret>) -> Option<u128> {
    let (first, second) = match call.argument() {
        Argument::Nothing => (0, 0),
        Argument::Value(value) => (small(value)?, 0),
        Argument::Number(number) => (small(&Value::Int(number))?, 0),
        Argument::Two(from, to) => (small(from)?, small(to)?),
        Argument::Steps(_) => return None,
    };
    let answer = match ret {
        None => 0,
        Some(Ret::Done) => 1,
        Some(Ret::Value(value)) => small(value)? + 2,
    };
    let parts = [first, second, answer, small(call.key())?];
    Some(parts.into_iter().fold(call.kind() as u128, |packed, part| packed << PART | u128::from(part)))
}

/// Bits for each of four parts, and enough left for the kind.
const PART: u32 = 30;

/// A number of its own for a value, with room for two more, if there is one.
fn small(value: &Value) -> Option<u32> {
    match value {
        Value::Nil => Some(0),
        Value::Bool(truth) => Some(1 + u32::from(*truth)),
        Value::Int(number) => {
            u32::try_from(*number).ok().filter(|number| *number < (1 << PART) - 8).map(|number| number + 3)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equal ones have one number, all others different ones, packed or not.
    #[test]
    fn as_equal_as_their_numbers() {
        let values =
            [Value::Nil, Value::Bool(false), Value::Bool(true), 0.into(), 1.into(), (1 << 29).into()];
        let others = [(1 << 30).into(), (-1).into(), i64::MAX.into(), "a".into(), Value::list([1.into()])];
        let values: Vec<Value> = values.into_iter().chain(others).collect();
        let mut calls: Vec<Call> = Vec::new();
        for key in &values {
            calls.extend([Call::Read { key: key.clone() }, Call::Pop { key: key.clone() }]);
            for value in &values {
                let (key, value) = (key.clone(), value.clone());
                calls.push(Call::Write { key: key.clone(), value: value.clone() });
                calls.push(Call::Cas { key: key.clone(), from: value.clone(), to: key.clone() });
                calls.push(Call::Cas { key: value, from: key.clone(), to: key });
            }
        }
        calls.dedup();
        let answers = values.iter().cloned().map(Ret::Value).chain([Ret::Done]);
        let answers: Vec<Option<Ret>> = answers.map(Some).chain([None]).collect();
        let mut ids = ClassIds::with_capacity(4);
        let mut told: Vec<(&Call, Option<&Ret>)> = Vec::new();
        for _ in 0..2 {
            for (call, ret) in
                calls.iter().flat_map(|call| answers.iter().map(move |ret| (call, ret.as_ref())))
            {
                let next = told.len() as ClassId;
                let id = ids.of(call, ret, || next);
                if id == next {
                    told.push((call, ret));
                }
                assert_eq!(told[id as usize], (call, ret));
            }
        }
        assert!(!ids.packed.is_empty() && !ids.others.is_empty());
    }
}
