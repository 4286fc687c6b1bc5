//! Operations that the model cannot tell apart: those with the same call and the same answer.

use std::hash::{Hash, Hasher};

use schism_history::{Call, Ret, Value};

/// A call and its answer, to be looked up. Hashed by little more than the numbers in them: this is done once an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Told<'h> {
    pub(super) call: &'h Call,
    pub(super) ret: Option<&'h Ret>,
}

impl Hash for Told<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let kind = self.call.kind() as u64;
        let key = digest(self.call.key(), hasher);
        let (first, second) = match self.call {
            Call::Write { value, .. }
            | Call::Add { value, .. }
            | Call::Remove { value, .. }
            | Call::Contains { value, .. }
            | Call::Append { value, .. }
            | Call::Enqueue { value, .. }
            | Call::Push { value, .. }
            | Call::Use { token: value, .. } => (digest(value, hasher), 0),
            Call::Cas { from, to, .. } => (digest(from, hasher), digest(to, hasher)),
            Call::Increment { by: number, .. } | Call::Watch { from: number, .. } => (*number as u64, 0),
            Call::Txn { steps } => {
                steps.hash(hasher);
                (0, 0)
            }
            _ => (0, 0),
        };
        let answer = match self.ret {
            Some(Ret::Value(value)) => digest(value, hasher).wrapping_add(1),
            Some(Ret::Done) => 1 << 62,
            None => 1 << 63,
        };
        // Small numbers in places of their own, so that one step of the hasher does for all of them.
        let one = kind ^ answer << 5 ^ first.rotate_left(24) ^ second.rotate_left(43);
        hasher.write_u64(one ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}

/// A number for a value; what is no number goes into the hasher.
fn digest<H: Hasher>(value: &Value, hasher: &mut H) -> u64 {
    match value {
        Value::Int(number) => *number as u64,
        Value::Nil => 0x1357,
        Value::Bool(truth) => 0x1358 + u64::from(*truth),
        other => {
            other.hash(hasher);
            0
        }
    }
}
