//! What a person or a program is told of a judged run: `verdict.json`, one screen of a terminal, and `report.html`.
//!
//! Pure: data in, text out. Width, colour and alphabet are parameters; there is no clock, no file and no environment
//! here. It repeats what the judges said and counts what the history holds; it concludes nothing of its own, so it can
//! make a finding easy or hard to read, but neither find nor lose one.
//!
//! ```text
//! History + Judgements + About ─→ Summary ─→ to_json          verdict.json
//!                                         ─→ terminal::screen  the end of a run
//!                                         ─→ terminal::compact one line a file
//!                                History ─→ html::page        report.html
//! many runs ─→ compare::Observed ─→ compare::Comparison ─→ tables, a page, Markdown, JSON
//! ```

mod cited;
pub mod compare;
pub mod html;
mod measure;
mod summary;
pub mod terminal;
mod wording;

pub use cited::{CitedOperation, CitedStep, RefusedOperation};
pub use measure::{Availability, Counts, FaultTotals, Measured, NodeTotals, Period};
pub use summary::{About, Finding, Judged, Next, NotASummary, Summary};
