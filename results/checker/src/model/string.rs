//! A text that is set, appended to and read whole; unset, it reads as empty.

use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// A string with put, append and get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextRegister;

/// The text of a value; `nil` is what a store without the key returns, and reads as the empty text.
fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Nil => Some(""),
        Value::Text(text) => Some(text),
        _ => None,
    }
}

impl Model for TextRegister {
    type State = Arc<str>;

    fn name(&self) -> &'static str {
        "string"
    }

    fn noun(&self) -> &'static str {
        "string"
    }

    fn initial(&self) -> Arc<str> {
        "".into()
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => text(seen).is_some(),
            (Call::Read { .. }, None) => true,
            (Call::Write { value, .. } | Call::Append { value, .. }, _) => text(value).is_some(),
            _ => false,
        }
    }

    fn step(&self, state: &Arc<str>, call: &Call, ret: Option<&Ret>) -> Option<Arc<str>> {
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => {
                (text(seen)? == state.as_ref()).then(|| state.clone())
            }
            (Call::Read { .. }, None) => Some(state.clone()),
            (Call::Write { value, .. }, _) => Some(text(value)?.into()),
            (Call::Append { value, .. }, _) => {
                let more = text(value)?;
                Some(if more.is_empty() { state.clone() } else { [state.as_ref(), more].concat().into() })
            }
            _ => None,
        }
    }

    fn show(&self, state: &Arc<str>) -> String {
        format!("{state:?}")
    }

    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<Arc<str>> {
        let unknown = Effect { needs: Needs::Unknown, gives: Gives::Unknown };
        match (call, ret) {
            (Call::Read { .. }, Some(Ret::Value(seen))) => text(seen)
                .map_or(unknown, |seen| Effect { needs: Needs::State(seen.into()), gives: Gives::Same }),
            (Call::Read { .. }, None) => Effect { needs: Needs::Nothing, gives: Gives::Same },
            (Call::Write { value, .. }, _) => text(value)
                .map_or(unknown, |value| Effect { needs: Needs::Nothing, gives: Gives::State(value.into()) }),
            (Call::Append { value, .. }, _) => text(value).map_or(unknown, |more| Effect {
                needs: Needs::Nothing,
                gives: if more.is_empty() { Gives::Same } else { Gives::Unknown },
            }),
            _ => unknown,
        }
    }

    fn could_give(&self, call: &Call, _: Option<&Ret>, state: &Arc<str>) -> bool {
        match call {
            Call::Append { value, .. } => text(value).is_none_or(|more| state.ends_with(more)),
            _ => true,
        }
    }

    /// A put shows at the start of every text until the next put, an append somewhere in it: if no read has it there,
    /// no read stands between it and the next put, and it can be left out.
    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], _: &[&Call]) -> bool {
        let seen = |in_text: &dyn Fn(&str) -> bool| {
            required.iter().any(|(_, ret)| match ret {
                Ret::Value(value) => text(value).is_none_or(in_text),
                Ret::Done => false,
            })
        };
        match call {
            Call::Write { value, .. } => {
                text(value).is_some_and(|start| !seen(&|whole| whole.starts_with(start)))
            }
            Call::Append { value, .. } => {
                text(value).is_some_and(|more| !seen(&|whole| whole.contains(more)))
            }
            _ => false,
        }
    }

    fn bytes(&self, state: &Arc<str>) -> usize {
        size_of::<Arc<str>>() + state.len()
    }
}
