//! A lock: taken where it is free, given back where it is held. Who holds it is not looked at: calls do not say who
//! calls.

use schism_history::{Call, Ret};

use super::{Effect, Gives, Model, Needs};

/// A lock with acquire and release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mutex;

impl Model for Mutex {
    /// Whether it is held.
    type State = bool;

    fn name(&self) -> &'static str {
        "mutex"
    }

    fn noun(&self) -> &'static str {
        "lock"
    }

    fn initial(&self) -> bool {
        false
    }

    fn understands(&self, call: &Call, _: Option<&Ret>) -> bool {
        matches!(call, Call::Acquire { .. } | Call::Release { .. })
    }

    fn step(&self, held: &bool, call: &Call, _: Option<&Ret>) -> Option<bool> {
        match call {
            Call::Acquire { .. } => (!held).then_some(true),
            Call::Release { .. } => held.then_some(false),
            _ => None,
        }
    }

    fn show(&self, held: &bool) -> String {
        if *held { "held" } else { "free" }.into()
    }

    fn effect(&self, call: &Call, _: Option<&Ret>) -> Effect<bool> {
        let held = !matches!(call, Call::Acquire { .. });
        Effect { needs: Needs::State(held), gives: Gives::State(!held) }
    }
}
