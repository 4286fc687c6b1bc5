//! Judges a text that is larger than memory: it is taken apart by key into temporary files, and then judged part by part.
//!
//! The files have no names: whatever becomes of us, the kernel takes them back.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use schism_checker::{Budget, ByParts, Checker, Concluded, Part};
use schism_history::apart::{PartHistory, Ways, apart};
use schism_history::{Format, Keys, ReadError};
use schism_report::Measured;

use crate::failure::Failure;
use crate::judge::{Allowance, panicked};

/// What was concluded from a text.
pub struct Judged {
    /// What each judge said.
    pub concluded: Vec<Concluded>,
    /// What was counted of all parts.
    pub measured: Measured,
    /// The one-based number of a last line that is cut off.
    pub cut: Option<usize>,
}

/// So many bytes of a text are looked at to know its form.
const SNIFFED: u64 = 4096;

/// Whether this is a text that is larger than what judges may use, and they can all be asked part by part. The binary form is
/// none: it is mapped.
pub fn wanted(path: &Path, format: Format, judges: &[Box<dyn Checker>], memory: u64) -> bool {
    let is_large = || path.metadata().is_ok_and(|about| about.is_file() && about.len() > memory);
    let is_text = || match format {
        Format::Binary => false,
        Format::Auto => {
            let mut start = Vec::new();
            let read = File::open(path).and_then(|file| file.take(SNIFFED).read_to_end(&mut start));
            read.is_ok() && Format::sniff(&start) != Some(Format::Binary)
        }
        _ => true,
    };
    is_large() && is_text() && judges.iter().all(|judge| judge.by_parts().is_some())
}

/// Judges a text in parts, within the memory that each judge may use: a quarter for a part's history, as much for what is
/// made of it, and half for its judge.
///
/// # Errors
/// When the text is no history, or there is no room for the temporary files.
pub fn judge(
    path: &Path,
    form: (Format, Keys),
    judges: &[Box<dyn Checker>],
    allowance: Allowance,
) -> Result<Judged, Failure> {
    let wrong = |error: ReadError| {
        let hint = "nothing was judged; --format names the form, TMPDIR a folder with room for the text";
        Failure::harness(format!("{}: {error}", path.display()), hint)
    };
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    let length = file.metadata().map_err(|error| Failure::file(path, &error))?.len();
    let most = allowance.memory_bytes / 4;
    let parts = usize::try_from(2 * length / most.max(1)).unwrap_or(usize::MAX).clamp(2, 128);
    let buffer = usize::try_from(most).unwrap_or(usize::MAX) / parts;
    let ways = Ways { parts, buffer: buffer.clamp(512, 1 << 16), salt: 0 };
    let mut asked: Vec<Asked<'_>> = judges.iter().map(|judge| Asked::new(&**judge)).collect();
    let input = BufReader::with_capacity(1 << 16, file);
    let taken = apart(input, form, ways, &mut unnamed).map_err(wrong)?;
    let cut = taken.cut;
    let mut measured: Option<Measured> = None;
    let count = taken.each(most, ways, &mut unnamed, &mut |part: PartHistory| {
        let of_part = Measured::of(&part.history);
        match &mut measured {
            Some(measured) => measured.join(of_part),
            None => measured = Some(of_part),
        }
        asked.iter_mut().for_each(|judge| judge.take(&part, allowance));
    });
    let count = count.map_err(wrong)?;
    let said = format!("{count}, by key, since the file is larger than --memory");
    let concluded = asked.into_iter().map(|judge| judge.conclude(&said)).collect();
    Ok(Judged { concluded, measured: measured.unwrap_or_default(), cut })
}

/// A judge that is asked part by part. One that panics is not asked again.
struct Asked<'c> {
    name: &'static str,
    judge: Option<Box<dyn ByParts + 'c>>,
    spent: Duration,
}

impl<'c> Asked<'c> {
    fn new(judge: &'c dyn Checker) -> Self {
        Asked { name: judge.name(), judge: judge.by_parts(), spent: Duration::ZERO }
    }

    fn take(&mut self, of: &PartHistory, allowance: Allowance) {
        let Some(mut judge) = self.judge.take() else { return };
        let start = Instant::now();
        let spent = self.spent;
        let over = || spent + start.elapsed() >= allowance.time;
        let bytes = usize::try_from(allowance.memory_bytes / 2).unwrap_or(usize::MAX);
        let budget = Budget { bytes, time: allowance.time, over: &over };
        let cut = (!of.whole).then_some((of.key.as_ref(), of.operations));
        let part = Part { history: &of.history, places: Some(&of.places), cut };
        let taken = catch_unwind(AssertUnwindSafe(|| judge.take(&part, budget)));
        self.judge = taken.is_ok().then_some(judge);
        self.spent += start.elapsed();
    }

    fn conclude(self, parts: &str) -> Concluded {
        let concluded = self.judge.map(|judge| judge.conclude());
        let mut concluded = concluded
            .unwrap_or_else(|| Concluded { judgement: panicked(self.name), cited: Default::default() });
        concluded.judgement = concluded.judgement.with_fact("judged in parts", parts);
        concluded
    }
}

/// A file without a name, where there is room for large ones.
fn unnamed() -> io::Result<File> {
    match std::env::var_os("TMPDIR") {
        Some(folder) => tempfile::tempfile_in(folder),
        // What is in /tmp may be in memory.
        None => tempfile::tempfile_in("/var/tmp").or_else(|_| tempfile::tempfile()),
    }
}
