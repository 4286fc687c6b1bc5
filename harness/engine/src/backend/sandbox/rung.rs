//! By what clocks are skewed here: by a patch of each process, or by a library that programs load; tried, the first that works.
//!
//! A time namespace is no rung of this ladder: it shifts only clocks that count from the last boot, and only of what is started in
//! it, which is what a reboot does.

use std::io;

use super::clock;
use super::probe::{TRACING, on_another};
use super::{AGENT_COMMAND, TELL};
use crate::backend::{BackendError, SkewedBy};

/// What a clock is skewed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    Vdso,
    Library,
}

impl Rung {
    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Rung::Vdso => "clocks are skewed by a patch of each process's vDSO",
            Rung::Library => "clocks are skewed by a library that dynamic programs load (LD_PRELOAD)",
        }
    }
}

/// Whether a process can be patched.
pub(super) fn vdso() -> Result<io::Result<()>, BackendError> {
    on_another(clock::attempt)
}

/// Whether a program loads a library.
pub(super) fn library() -> io::Result<()> {
    clock::attempt_library([AGENT_COMMAND, TELL])
}

/// The rung that is asked for, or the best there is, and why that is not a better one.
///
/// # Errors
/// When it does not work here: what was tried, and the next step.
pub(super) fn choose(asked: SkewedBy) -> Result<(Rung, Option<String>), BackendError> {
    let refused = |problem| Err(BackendError::Unsupported { problem, remedy: TRACING.into() });
    let patched = if asked == SkewedBy::Library { None } else { Some(vdso()?) };
    match (asked, patched) {
        (_, Some(Ok(()))) => Ok((Rung::Vdso, None)),
        (SkewedBy::Vdso, Some(Err(error))) => {
            refused(format!("clocks cannot be skewed by a patch of a process's vDSO: {error}"))
        }
        (_, patched) => {
            let why = patched.and_then(Result::err);
            let why = why.map(|error| {
                format!("no process's vDSO can be patched here ({error}), so static programs keep the time")
            });
            match (library(), why) {
                (Ok(()), why) => Ok((Rung::Library, why)),
                (Err(error), None) => refused(format!("clocks cannot be skewed by a library: {error}")),
                (Err(error), Some(why)) => {
                    refused(format!("clocks cannot be skewed: {why}; and by a library: {error}"))
                }
            }
        }
    }
}
