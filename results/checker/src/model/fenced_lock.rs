//! A lock whose every acquisition has a token larger than all before, and something guarded by it that refuses a token once
//! it has seen a larger one.
//!
//! It finds tokens that do not grow, tokens shown that were never given out, and uses accepted with a token older than one
//! shown before: the writes of a holder that was paused while its lease ran out. Two holders at once are found only where
//! locks do not expire.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// Whether it is held; never where locks expire.
    pub held: bool,
    /// The last token known to be given out.
    pub given: Option<i64>,
    /// Whether one that nobody knows was given out since.
    pub unknown: bool,
    /// The largest token shown.
    pub shown: Option<i64>,
}

fn token(value: &Value) -> Option<i64> {
    match value {
        Value::Int(token) => Some(*token),
        _ => None,
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
        Fence { held: false, given: None, unknown: false, shown: None }
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
                let grows = state.given.is_none_or(|last| last < new);
                grows.then_some(Fence { held: !self.expires, given: Some(new), unknown: false, ..*state })
            }
            // It got some token; whether that was one shown later is not ruled out.
            (Call::Acquire { .. }, None) => Some(Fence { held: !self.expires, unknown: true, ..*state }),
            (Call::Release { .. }, _) => {
                (state.held || self.expires).then_some(Fence { held: false, ..*state })
            }
            (Call::Use { token: used, .. }, _) => {
                let used = token(used)?;
                let given = state.given.is_some_and(|last| used <= last);
                let fits = (given || state.unknown) && state.shown.is_none_or(|largest| largest <= used);
                fits.then_some(Fence { given: state.given.max(Some(used)), shown: Some(used), ..*state })
            }
            _ => None,
        }
    }

    fn show(&self, state: &Fence) -> String {
        let shown = |token: Option<i64>| token.map_or_else(|| "none".into(), |token| token.to_string());
        let held = if state.held { "held, " } else { "" };
        let unknown = if state.unknown { " or a later one" } else { "" };
        format!("{held}token {}{unknown} given, {} shown", shown(state.given), shown(state.shown))
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
}
