//! Clocks where there is no payload for the processor: they cannot be skewed, and whoever asks is told so.

use std::io;
use std::time::Duration;

use crate::clock::{Clock, Reading};

/// Always right.
#[derive(Default)]
pub struct Clocks;

impl Clocks {
    /// Refuses whatever is not right.
    ///
    /// # Errors
    /// When a clock is to be wrong.
    pub fn set(&mut self, wanted: Clock) -> io::Result<()> {
        if wanted == Clock::default() { Ok(()) } else { attempt(0) }
    }

    /// Always.
    pub fn is_right(&self) -> bool {
        true
    }

    /// Never.
    pub fn until_due(&self) -> Option<Duration> {
        None
    }

    /// There is nothing to renew.
    pub fn renew(&mut self) {}

    /// There is nothing to follow.
    ///
    /// # Errors
    /// Never.
    pub fn follow(&self, _pid: i32) -> io::Result<()> {
        Ok(())
    }

    /// There is nothing to read.
    pub fn read(&self, _pid: i32) -> Option<Reading> {
        None
    }
}

/// Says why not.
///
/// # Errors
/// Always.
pub fn attempt(_pid: i32) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "clocks can be skewed on x86-64 only"))
}
