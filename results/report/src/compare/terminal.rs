//! A comparison on a terminal: its tables, and below them in sentences why no target stands higher.

use super::comparison::Comparison;
use super::tables::all;
use crate::terminal::{Look, Page, table};
use crate::wording::{count, shorten};

/// The longest explanation of one target.
const LONGEST: usize = 600;
/// Runs that could not be carried out, told one by one.
const TOLD: usize = 8;

/// The tables and the sentences below them, ending in a line end.
pub fn screen(comparison: &Comparison, look: Look) -> String {
    let mut page = Page::new(look);
    page.bold(&comparison.title);
    page.indented(0, &comparison.about);
    for part in all(comparison) {
        page.blank();
        page.bold(part.title);
        let head: Vec<&str> = part.head.iter().map(String::as_str).collect();
        page.raw(&table(look, &head, part.rows, &[]));
    }
    let ruled_out: Vec<_> =
        comparison.targets.iter().filter_map(|row| Some((row, row.ruled_out.as_ref()?))).collect();
    if !ruled_out.is_empty() {
        page.blank();
        page.bold("why not stronger");
    }
    for (row, out) in ruled_out {
        let text = format!(
            "{}: not {}: {} ({}): {}",
            row.target,
            out.level.name(),
            out.anomaly,
            out.case,
            out.sentences
        );
        page.indented(2, &shorten(&text, LONGEST));
        page.whole(&format!("    {}", out.folder));
    }
    let failed: Vec<_> = comparison.failed().collect();
    if !failed.is_empty() {
        page.blank();
        page.bold(&format!("{} without a verdict", count(failed.len() as u64, "run", "runs")));
    }
    for cell in failed.iter().take(TOLD) {
        let why = cell.because.as_deref().unwrap_or_default();
        let text = format!("{}, {}, {}, seed {}: {why}", cell.target, cell.case, cell.workload, cell.seed);
        page.indented(2, &shorten(&text, LONGEST));
    }
    if let Some(more @ 1..) = failed.len().checked_sub(TOLD) {
        page.indented(2, &format!("{more} more in comparison.json"));
    }
    page.finish()
}
