//! The screen's tables: the operations of a witness, the checkers, the faults and what they did, the run before, during
//! and after them. Cells wrap so that a table never exceeds the width asked for.

use schism_checker::Verdict;
use tabled::builder::Builder;
use tabled::settings::peaker::Priority;
use tabled::settings::style::HorizontalLine;
use tabled::settings::{Color, Padding, Style, Width};

use super::look::Look;
use crate::measure::Period;
use crate::summary::{Finding, Summary};
use crate::wording::{duration, moment, needs_fine, wrap};

/// The longest outcome shown in a cell: error texts of stores can be pages long.
const OUTCOME_LONGEST: usize = 60;

/// A verdict as a word that cannot be overlooked.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "VALID",
        Verdict::Unknown => "UNKNOWN",
        Verdict::Invalid => "INVALID",
    }
}

/// Rows under a head; `tones` colours single cells.
pub(crate) fn table(
    look: Look,
    head: &[&str],
    rows: Vec<Vec<String>>,
    tones: &[(usize, usize, Verdict)],
) -> String {
    let mut cells: Vec<Vec<String>> = vec![head.iter().map(|cell| (*cell).to_string()).collect()];
    cells.extend(rows.iter().map(|row| row.iter().map(|cell| look.text(cell)).collect()));
    wrap_widest(&mut cells, look.width);
    let mut table = Builder::from_iter(cells).build();
    let line = if look.ascii { '-' } else { '─' };
    table
        .with(Style::empty().horizontals([(1, HorizontalLine::new(line))]))
        .with(Padding::new(0, 2, 0, 0))
        .with(Width::wrap(look.width).keep_words(true).priority(Priority::max(true)));
    for &(row, column, verdict) in tones {
        let (on, off) = look.tone(verdict);
        if !on.is_empty() {
            table.modify((row + 1, column), Color::new(on, off));
        }
    }
    table.to_string()
}

/// Wraps the widest column to what the others leave. What is still too wide is left to `tabled`, which narrows all
/// columns but begins wrapped lines with blanks.
fn wrap_widest(cells: &mut [Vec<String>], width: usize) {
    let columns = cells[0].len();
    let widths: Vec<usize> =
        (0..columns).map(|at| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let Some(widest) = (0..columns).max_by_key(|at| widths[*at]) else { return };
    let others: usize = widths.iter().sum::<usize>() - widths[widest];
    let room = width.saturating_sub(others + 2 * columns);
    if widths[widest] > room && room >= 10 {
        for row in cells {
            row[widest] = wrap(&row[widest], room).join("\n");
        }
    }
}

/// The operations that show an anomaly, numbered in the order of their invocations.
pub(super) fn witness(finding: &Finding, most: usize, look: Look) -> String {
    let shown = &finding.witness[..finding.witness.len().min(most)];
    let fine = needs_fine(shown.iter().flat_map(|op| [Some(op.invoked_ns), op.completed_ns]).flatten());
    let arrow = if look.ascii { "->" } else { "→" };
    let mut tones = Vec::new();
    let rows = shown
        .iter()
        .enumerate()
        .map(|(at, operation)| {
            let culprit = finding.culprit == Some(operation.operation);
            if culprit {
                tones.push((at, 3, Verdict::Invalid));
            }
            vec![
                format!("{}{}", if culprit { "* " } else { "  " }, at + 1),
                operation.process.to_string(),
                operation.node.clone().unwrap_or_else(|| "?".into()),
                format!("{} {arrow} {}", operation.call, look.shorten(&operation.outcome, OUTCOME_LONGEST)),
                moment(operation.invoked_ns, fine),
                operation.completed_ns.map_or_else(|| "never known".into(), |ns| moment(ns, fine)),
            ]
        })
        .collect();
    table(look, &["", "process", "node", "operation", "from", "to"], rows, &tones)
}

/// What each judge said.
pub(super) fn checkers(summary: &Summary, look: Look) -> String {
    let mut tones = Vec::new();
    let rows = summary
        .judgements
        .iter()
        .enumerate()
        .map(|(at, judged)| {
            tones.push((at, 2, judged.verdict));
            let facts: Vec<String> =
                judged.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
            vec![judged.checker.clone(), judged.about.clone(), word(judged.verdict).into(), facts.join(", ")]
        })
        .collect();
    table(look, &["checker", "about", "verdict", "facts"], rows, &tones)
}

/// What was broken, and whether that did anything.
pub(super) fn faults(summary: &Summary, look: Look) -> String {
    let rows = summary
        .measured
        .faults
        .iter()
        .map(|fault| {
            let mut bit = format!("{} of {}", fault.bit, fault.windows);
            if fault.unmeasured > 0 {
                bit.push_str(&format!(", {} unmeasured", fault.unmeasured));
            }
            vec![
                fault.fault.clone(),
                fault.windows.to_string(),
                duration(fault.total_ns),
                fault.nodes.join(" "),
                bit,
                fault.evidence.clone().unwrap_or_else(|| "none".into()),
            ]
        })
        .collect();
    table(look, &["fault", "windows", "in all", "nodes struck", "bit", "evidence"], rows, &[])
}

/// The run before, during and after its faults.
pub(super) fn availability(summary: &Summary, look: Look) -> String {
    let availability = &summary.measured.availability;
    let periods: Vec<(&str, &Period)> = match summary.measured.faults.is_empty() {
        true => vec![("whole run", &summary.measured.operations)],
        false => vec![
            ("before faults", &availability.before),
            ("during", &availability.during),
            ("between and after", &availability.after),
        ],
    };
    let rows = periods.into_iter().map(|(name, period)| row(name, period)).collect();
    table(look, &["operations", "ok", "fail", "info", "ok share", "ok p50", "ok p99"], rows, &[])
}

fn row(name: &str, period: &Period) -> Vec<String> {
    let counts = period.counts;
    let latency = |ns: Option<u64>| ns.map_or_else(|| "none".into(), duration);
    vec![
        name.into(),
        counts.ok.to_string(),
        counts.fail.to_string(),
        counts.info.to_string(),
        share(counts.ok, counts.all()),
        latency(period.ok_p50_ns),
        latency(period.ok_p99_ns),
    ]
}

/// A share in percent, rounded down so that only all of them are 100 %.
pub(crate) fn share(part: u64, all: u64) -> String {
    match (u128::from(part) * 1000).checked_div(u128::from(all)) {
        None => "none".into(),
        Some(1000) => "100 %".into(),
        Some(permille) => format!("{}.{} %", permille / 10, permille % 10),
    }
}
