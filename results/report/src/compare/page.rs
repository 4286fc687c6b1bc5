//! `comparison.html`: one self-contained page in the look of a run's own.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use schism_checker::Verdict;

use super::comparison::Comparison;
use super::picture;
use super::rows::{CellRow, TargetRow};
use super::tables::all;
use crate::html::STYLE;
use crate::wording::{printable, shorten};

/// Runs listed one by one.
const CELLS_MOST: usize = 2_000;
/// The longest text of others.
const LONGEST: usize = 1_500;

const OWN_STYLE: &str = "\
.lattice .mark text { font-size: 13px; font-weight: 700; } .lattice .back { fill: var(--paper); } \
.lattice .here { fill: var(--paper); stroke: var(--ink); stroke-width: 1.6; } .mark.kept text { fill: var(--ok); } \
.mark.broken text { fill: var(--bad); } .mark.unsure text { fill: var(--info); } .mark.none text { fill: var(--soft); } \
.bars .whole { fill: var(--rule); } .bars .answered { fill: var(--ok); } .wide { overflow-x: auto; }";

/// The page. Whatever a plan or a store says is escaped.
pub fn page(comparison: &Comparison) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (text(&comparison.title)) }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            }
            body { main {
                header { div { h1 { (text(&comparison.title)) } p class="facts" { span { (text(&comparison.about)) } } } }
                section {
                    h2 { "the strongest model that each kept" }
                    (picture::lattice(comparison))
                    @for row in &comparison.targets { (why(row)) }
                }
                section { h2 { "availability" } (picture::availability(comparison)) }
                @for table in all(comparison) {
                    section { h2 { (table.title) } div class="wide" { table {
                        thead { tr { @for cell in &table.head { th { (text(cell)) } } } }
                        tbody { @for row in &table.rows { tr { @for cell in row { td { (text(cell)) } } } } }
                    } } }
                }
                section { h2 { "broken invariants" } (broken(comparison)) }
                section { h2 { "runs" } (cells(&comparison.cells)) }
            } }
        }
    };
    markup.into_string()
}

fn text(text: &str) -> String {
    shorten(&printable(text), LONGEST)
}

fn why(row: &TargetRow) -> Markup {
    html! {
        @if let Some(out) = &row.ruled_out {
            details {
                summary { (text(&row.target)) ": not " (out.level.name()) ", broken in " (out.runs.words()) }
                p { (text(&out.anomaly)) " (" (text(&out.case)) "): " (text(&out.sentences)) }
                p { code { (text(&out.folder)) } }
            }
        }
    }
}

fn broken(comparison: &Comparison) -> Markup {
    let any = comparison.invariants.iter().any(|row| !row.broke.is_empty());
    html! {
        @if !any { p { "none" } }
        @for row in &comparison.invariants {
            @for (target, broke) in &row.broke {
                details { summary { (text(&row.workload)) ", " (text(target)) ": " (text(&row.invariant)) } p { (text(broke)) } }
            }
        }
    }
}

fn cells(cells: &[CellRow]) -> Markup {
    html! {
        details {
            summary { "every run, and where it is" }
            table {
                thead { tr { th { "target" } th { "case" } th { "workload" } th { "seed" } th { "verdict" } th { "because" } th { "folder" } } }
                tbody { @for cell in cells.iter().take(CELLS_MOST) { tr {
                    td { (text(&cell.target)) } td { (text(&cell.case)) } td { (text(&cell.workload)) } td class="num" { (cell.seed) }
                    @let word = match cell.verdict {
                        Some(Verdict::Valid) => "valid",
                        Some(Verdict::Unknown) => "unknown",
                        Some(Verdict::Invalid) => "invalid",
                        None => "none",
                    };
                    td { span class=(format!("chip {word}")) { (word) } }
                    td { (text(cell.because.as_deref().unwrap_or(""))) } td { code { (text(&cell.folder)) } }
                } } }
            }
            @if let Some(more @ 1..) = cells.len().checked_sub(CELLS_MOST) { p { "and " (more) " more in comparison.json" } }
        }
    }
}
