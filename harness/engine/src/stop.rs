//! The wish to stop, and sleeping that hears it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Set once, by Ctrl-C or by an end in sight; heard by all that sleep on it.
#[derive(Debug, Default)]
pub struct Stop {
    wanted: Mutex<bool>,
    heard: Condvar,
}

impl Stop {
    /// Asks everybody to stop.
    pub fn request(&self) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    /// Whether that was asked.
    pub fn requested(&self) -> bool {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until that moment, or less if asked to stop. Returns whether to go on.
    pub fn sleep_until(&self, moment: Instant) -> bool {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        while !*wanted {
            let Some(left) = moment.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            wanted = self.heard.wait_timeout(wanted, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        !*wanted
    }
}
