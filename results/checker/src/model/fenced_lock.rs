//! A lock whose every acquisition has a token larger than all before, and something guarded by it that refuses a token once
//! it has seen a larger one.
//!
//! It finds tokens that do not grow, tokens shown that were never given out, and uses accepted with a token older than one
//! shown before: the writes of a holder that was paused while its lease ran out. Two holders at once are found only where
//! locks do not expire.

use std::sync::Arc;

use schism_history::{Call, Ret, Value};

use super::{Effect, Gives, Model, Needs};

/// A lock with acquire, release and use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FencedLock {
    /// Whether a lock can be lost before it is given back, as one with a lease is.
    pub expires: bool,
}

impl Default for FencedLock {
    fn default() -> Self {
        FencedLock { expires: true }
    }
}

/// What a fenced lock and what it guards know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// Whether it is held; never where locks expire.
    pub held: bool,
    /// The tokens given out in their order, from the last one shown on; `None` for one that nobody knows.
    pub given: Arc<[Option<i64>]>,
    /// The largest token known to be given out or shown.
    pub largest: Option<i64>,
    /// The last token shown, which is the largest of those.
    pub shown: Option<i64>,
}

fn token(value: &Value) -> Option<i64> {
    match value {
        Value::Int(token) => Some(*token),
        _ => None,
    }
}

impl Fence {
    fn acquired(&self, expires: bool, new: Option<i64>) -> Fence {
        Fence {
            held: !expires,
            given: self.given.iter().copied().chain([new]).collect(),
            largest: self.largest.max(new),
            ..self.clone()
        }
    }

    /// After this token was accepted; `None` if it cannot have been given out, or came after a larger one.
    fn accepted(&self, token: i64) -> Option<Fence> {
        if self.shown.is_some_and(|shown| shown > token) {
            return None;
        }
        let known = self.given.iter().position(|given| *given == Some(token));
        // Else it is one that nobody knows, with no larger one before it. Smaller ones are not accepted from now on:
        // that it is the first of these takes nothing from anybody.
        let unknown = || {
            let after = self.given.iter().rposition(|given| given.is_some_and(|given| given < token));
            let first = after.map_or(0, |at| at + 1);
            self.given.get(first).filter(|given| given.is_none()).map(|_| first)
        };
        let at = known.or_else(unknown)?;
        let given = [Some(token)].into_iter().chain(self.given[at + 1..].iter().copied()).collect();
        Some(Fence { given, largest: self.largest.max(Some(token)), shown: Some(token), ..self.clone() })
    }
}

impl Model for FencedLock {
    type State = Fence;

    fn name(&self) -> &'static str {
        "fenced-lock"
    }

    fn noun(&self) -> &'static str {
        "lock"
    }

    fn initial(&self) -> Fence {
        Fence { held: false, given: Arc::default(), largest: None, shown: None }
    }

    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        match call {
            Call::Acquire { .. } => matches!(ret, None | Some(Ret::Value(Value::Int(_)))),
            Call::Release { .. } => true,
            Call::Use { token, .. } => matches!(token, Value::Int(_)),
            _ => false,
        }
    }

    fn step(&self, state: &Fence, call: &Call, ret: Option<&Ret>) -> Option<Fence> {
        match (call, ret) {
            (Call::Acquire { .. }, _) if state.held => None,
            (Call::Acquire { .. }, Some(Ret::Value(answer))) => {
                let new = token(answer)?;
                let grows = state.largest.is_none_or(|largest| largest < new);
                grows.then(|| state.acquired(self.expires, Some(new)))
            }
            (Call::Acquire { .. }, None) => Some(state.acquired(self.expires, None)),
            (Call::Release { .. }, _) => {
                (state.held || self.expires).then(|| Fence { held: false, ..state.clone() })
            }
            (Call::Use { token: used, .. }, _) => state.accepted(token(used)?),
            _ => None,
        }
    }

    fn show(&self, state: &Fence) -> String {
        let held = if state.held { "held, " } else { "" };
        let one = |token: &Option<i64>| token.map_or_else(|| "one unknown".into(), |token| token.to_string());
        let given: Vec<String> = state.given.iter().map(one).collect();
        let shown = state.shown.map_or_else(|| "none".into(), |token| token.to_string());
        format!(
            "{held}tokens given: {}; shown: {shown}",
            if given.is_empty() { "none".into() } else { given.join(", ") }
        )
    }

    fn effect(&self, call: &Call, _: Option<&Ret>) -> Effect<Fence> {
        match call {
            Call::Release { .. } if self.expires => Effect { needs: Needs::Nothing, gives: Gives::Same },
            _ => Effect { needs: Needs::Unknown, gives: Gives::Unknown },
        }
    }

    /// A use can only make later ones harder; a token that nobody knows matters only to who shows one.
    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], _: &[&Call]) -> bool {
        match call {
            Call::Use { .. } => true,
            _ => self.expires && !required.iter().any(|(other, _)| matches!(other, Call::Use { .. })),
        }
    }

    fn bytes(&self, state: &Fence) -> usize {
        size_of::<Fence>() + 16 + size_of_val(&*state.given)
    }
}
