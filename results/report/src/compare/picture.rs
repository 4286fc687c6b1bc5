//! The pictures of a comparison: the lattice with every target where it stands, and bars for availability.

use maud::{Markup, html};

use super::comparison::Comparison;
use super::lattice::Level;
use super::rows::{CaseRow, TargetRow};
use crate::measure::Period;
use crate::terminal::share;
use crate::wording::{printable, shorten};

/// The width of both pictures.
const WIDTH: u32 = 1180;
/// The height of a target's row.
const ROW: u32 = 26;
/// Where the lattice begins, right of the labels.
const LEFT: u32 = 250;
/// The longest label.
const LABEL: usize = 34;

/// Every target's models on the line from strong to weak: kept, broken, unknown, not judged.
pub(super) fn lattice(comparison: &Comparison) -> Markup {
    let height = 40 + ROW * comparison.targets.len() as u32;
    let step = (WIDTH - LEFT) / Level::ALL.len() as u32;
    let x = |at: usize| LEFT + step * at as u32 + step / 2;
    html! {
        figure { div class="scroll" {
            svg class="picture lattice" viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="the consistency models that each target kept" {
                @for (at, level) in Level::ALL.into_iter().enumerate() {
                    text class="who" x=(x(at)) y="18" text-anchor="middle" { (level.name()) }
                }
                @for (at, row) in comparison.targets.iter().enumerate() {
                    (line(row, 40 + ROW * at as u32, &x))
                }
            }
        } figcaption {
            p { "● kept in every run that says · ✕ broken in at least one · ? nobody knows · – not judged: calls are about one key each" }
        } }
    }
}

fn line(row: &TargetRow, y: u32, x: &dyn Fn(usize) -> u32) -> Markup {
    let last = Level::ALL.len() - 1;
    html! {
        text class="node" x=(LEFT - 12) y=(y + 4) text-anchor="end" { (shorten(&printable(&row.target), LABEL)) }
        line class="rule" x1=(x(0)) x2=(x(last)) y1=(y) y2=(y) {}
        @for (at, level) in Level::ALL.into_iter().enumerate() {
            @let tally = row.measures.levels.get(&level);
            @let (class, mark) = match tally {
                None => ("none", "–"),
                Some(tally) if tally.broken > 0 => ("broken", "✕"),
                Some(tally) if tally.kept > 0 => ("kept", "●"),
                Some(_) => ("unsure", "?"),
            };
            @let stands = row.standing.keeps == Some(level);
            g class=(format!("mark {class}")) {
                title { (level.name()) ": " (tally.map_or("not judged".into(), |tally| super::tables::tally(*tally))) }
                circle class=(if stands { "here stands" } else { "back" }) cx=(x(at)) cy=(y) r="11" {}
                text x=(x(at)) y=(y + 5) text-anchor="middle" { (mark) }
            }
        }
    }
}

/// How many calls were answered, case by case, at the nodes struck and at the others.
pub(super) fn availability(comparison: &Comparison) -> Markup {
    let height = 30 + ROW * comparison.cases.len() as u32;
    html! {
        figure { div class="scroll" {
            svg class="picture bars" viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="how many calls were answered in each case" {
                text class="who" x=(COLUMNS[0]) y="16" { "before" } text class="who" x=(COLUMNS[1]) y="16" { "during, struck nodes" }
                text class="who" x=(COLUMNS[2]) y="16" { "during, other nodes" } text class="who" x=(COLUMNS[3]) y="16" { "after" }
                @for (at, row) in comparison.cases.iter().enumerate() { (bars(row, 30 + ROW * at as u32)) }
            }
        } figcaption { p { "the share of calls answered; a cas that found another value is left out" } } }
    }
}

/// Where each bar begins.
const COLUMNS: [u32; 4] = [390, 590, 790, 990];
/// The length of a whole bar.
const BAR: u32 = 120;

fn bars(row: &CaseRow, y: u32) -> Markup {
    let measures = &row.measures;
    let periods = [&measures.before, &measures.struck, &measures.spared, &measures.after];
    html! {
        text class="who" x="376" y=(y + 12) text-anchor="end" { (shorten(&printable(&format!("{} · {}", row.target, row.case)), 64)) }
        @for (x, period) in COLUMNS.into_iter().zip(periods) { (bar(period, x, y)) }
    }
}

fn bar(period: &Period, x: u32, y: u32) -> Markup {
    let counts = period.counts;
    let length = (u64::from(BAR) * counts.ok).checked_div(counts.all()).unwrap_or(0);
    html! {
        @if counts.all() > 0 {
            rect class="whole" x=(x) y=(y) width=(BAR) height="15" {}
            rect class="answered" x=(x) y=(y) width=(length) height="15" {}
            text class="who" x=(x + BAR + 6) y=(y + 12) { (share(counts.ok, counts.all())) }
        }
    }
}
