//! Clocks where there is no payload for the processor: they cannot be skewed, and whoever asks is told so.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::clock::{Clock, Reading};

/// Always right.
#[derive(Default)]
pub struct Clocks;

impl Clocks {
    /// As any other.
    pub fn finding_programs() -> Self {
        Clocks
    }

    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn by_library(_path: &Path) -> io::Result<Self> {
        attempt(0).map(|()| Clocks)
    }

    /// Nothing.
    pub fn library(&self) -> Option<&Path> {
        None
    }

    /// Nobody does.
    pub fn has_to_follow(&self) -> bool {
        false
    }

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
    pub fn read(&self, _pid: i32, _not: &[i32]) -> Option<Reading> {
        None
    }
}

/// Holds nobody.
///
/// # Errors
/// Always.
pub fn keep(_pid: i32, _id: i32) -> io::Result<Option<i32>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "threads can be held on x86-64 and aarch64 only"))
}

/// There is nobody to let go.
pub fn let_go(_id: i32, _signal: i32) {}

/// Says why not.
///
/// # Errors
/// Always.
pub fn attempt(_pid: i32) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "clocks can be skewed on x86-64 and aarch64 only"))
}

/// Says why not.
///
/// # Errors
/// Always.
pub fn attempt_library(_words: [&str; 2]) -> io::Result<()> {
    attempt(0)
}

/// There is nobody to tell.
pub fn tell() {}
