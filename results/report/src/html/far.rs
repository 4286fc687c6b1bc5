//! The whole run on one axis: the operations of the key in question on the lines of their processes, and below, of all
//! keys, how many ended which way and how long the ok ones took.
//!
//! Operations that touch at this scale are drawn as one stroke, so the pictures stay small however long the history is.

use maud::{Markup, html};
use schism_history::{History, Outcome};

use super::draw::{AXIS, Bands, LEFT, RIGHT, WIDTH, axis, n};
use super::focus::{Focus, end};
use super::lanes::{Lane, lanes};
use super::scale::Scale;
use crate::measure::{Period, Sample};
use crate::wording::{duration, moment, printable};

/// Lines drawn; more would be a texture.
const LANES_MOST: usize = 48;
/// The height of a line, with its gap.
const LINE: f64 = 11.0;
/// Strokes nearer than this become one.
const TOUCHING: f64 = 1.0;
/// Columns of the plots: at most so many, and so few that a column holds about a dozen operations.
const COLUMNS: (usize, usize) = (16, 140);
/// The height of a plot.
const PLOT: f64 = 110.0;

fn scale(history: &History) -> Scale {
    Scale::straight(0, history.end.0, LEFT, RIGHT)
}

/// The lines of the key in question over the whole run.
pub(super) fn lines(focus: &Focus, history: &History) -> Markup {
    let scale = scale(history);
    let bands = Bands::of(history, &scale);
    let mut lanes = lanes(&focus.about, history);
    let hidden = lanes.len().saturating_sub(LANES_MOST);
    lanes.truncate(LANES_MOST);
    let top = bands.height() + 3.0;
    let bottom = top + lanes.len() as f64 * LINE + 3.0;
    let name = format!("every operation of key {} over the whole run", focus.keys);
    html! {
        figure {
            div class="scroll" {
                svg class="picture far" viewBox=(format!("0 0 {} {}", n(WIDTH), n(bottom + AXIS))) role="img" {
                    title { (printable(&name)) }
                    (bands.draw(bottom))
                    (axis(&scale, bands.height(), bottom))
                    @for (at, lane) in lanes.iter().enumerate() {
                        @let y = top + at as f64 * LINE;
                        @if at == 0 || lanes[at - 1].node != lane.node {
                            text class="node" x="2" y=(n(y + 9.0)) { (lane.node_label()) }
                        }
                        text class="who" x=(n(LEFT - 12.0)) y=(n(y + 9.0)) text-anchor="end" { (lane.label()) }
                        (strokes(lane, history, &scale, y + 1.0))
                    }
                    (here(focus, &scale, bands.height(), bottom))
                }
            }
            @if hidden > 0 { figcaption { p { "not drawn: " (hidden) " more lines of processes" } } }
        }
    }
}

/// One stroke for each run of operations of one outcome that touch.
fn strokes(lane: &Lane, history: &History, scale: &Scale, y: f64) -> Markup {
    let mut paths = [String::new(), String::new(), String::new()];
    let mut open: [Option<(f64, f64)>; 3] = [None; 3];
    for &at in &lane.operations {
        let operation = &history.rows()[at];
        let kind = match operation.outcome {
            Outcome::Ok(_) => 0,
            Outcome::Fail(_) => 1,
            Outcome::Info(_) => 2,
        };
        let left = scale.x(operation.invoked.0);
        let right = scale.x(end(operation, history)).max(left + 1.0);
        match &mut open[kind] {
            Some(stroke) if left <= stroke.1 + TOUCHING => stroke.1 = stroke.1.max(right),
            stroke => {
                if let Some(done) = stroke.replace((left, right)) {
                    paths[kind].push_str(&stroke_path(done, y));
                }
            }
        }
    }
    for (path, stroke) in paths.iter_mut().zip(open) {
        path.extend(stroke.map(|stroke| stroke_path(stroke, y)));
    }
    html! {
        @for (word, path) in ["ok", "fail", "info"].iter().zip(&paths) {
            @if !path.is_empty() { g class=(format!("op {word}")) { path class="bar" d=(path) {} } }
        }
    }
}

fn stroke_path((left, right): (f64, f64), y: f64) -> String {
    format!("M{} {}h{}v8h-{}z", n(left), n(y), n(right - left), n(right - left))
}

/// Where the close view looks, and the numbered operations.
fn here(focus: &Focus, scale: &Scale, top: f64, bottom: f64) -> Markup {
    html! {
        @if let (Some(first), Some(last)) = (focus.spans.first(), focus.spans.last()) {
            @let left = scale.x(first.from) - 2.0;
            @let width = (scale.x(last.to) + 2.0 - left).max(4.0);
            rect class="here" x=(n(left)) y=(n(top - 2.0)) width=(n(width)) height=(n(bottom - top + 4.0)) {
                title { "the moments looked at closely above" }
            }
        }
        @if let Some(culprit) = focus.culprit() {
            @let x = scale.x(culprit.invoked_ns);
            path class="wrong" d=(format!("M{} {}V{}", n(x), n(top), n(bottom))) {}
        }
    }
}

/// How many operations of all keys ended which way, and how long the ok ones took, over the whole run.
pub(super) fn plots(focus: &Focus, history: &History) -> Markup {
    let scale = scale(history);
    let bands = Bands::of(history, &scale);
    let columns = columns(history);
    let top = bands.height() + 16.0;
    let (rate_bottom, latency_top) = (top + PLOT, top + PLOT + 34.0);
    let bottom = latency_top + PLOT;
    html! {
        figure {
            div class="scroll" {
                svg class="picture plots" viewBox=(format!("0 0 {} {}", n(WIDTH), n(bottom + AXIS))) role="img" {
                    title { "operations a second and latency over the whole run" }
                    (bands.draw(bottom))
                    (axis(&scale, bands.height(), bottom))
                    (rate(&columns, history, &scale, top, rate_bottom))
                    (latency(&columns, &scale, latency_top, bottom))
                    (here(focus, &scale, top, bottom))
                    (readings(&columns, history, &scale, top, bottom))
                }
            }
        }
    }
}

/// The operations by the time they ended (those that never did: began), in equal spans of time.
fn columns(history: &History) -> Vec<Period> {
    let number = (history.len() / 12).clamp(COLUMNS.0, COLUMNS.1);
    let mut samples = vec![Sample::default(); number];
    let length = history.end.0.max(1);
    for operation in history.rows() {
        let time = operation.ended.unwrap_or(operation.invoked).0.min(length - 1);
        let at = u128::from(time) * number as u128 / u128::from(length);
        samples[at as usize].add(operation);
    }
    samples.into_iter().map(Sample::period).collect()
}

/// Where a column begins.
fn edge(at: usize, columns: &[Period], history: &History) -> u64 {
    (u128::from(history.end.0) * at as u128 / columns.len() as u128) as u64
}

fn rate(columns: &[Period], history: &History, scale: &Scale, top: f64, bottom: f64) -> Markup {
    let most = columns.iter().map(|column| column.counts.all()).max().unwrap_or(0).max(1);
    let seconds = (edge(1, columns, history).max(1)) as f64 / 1e9;
    let height = |count: u64| (bottom - top) * count as f64 / most as f64;
    let width = (scale.right() - scale.left()) / columns.len() as f64;
    html! {
        text class="plot-name" x="2" y=(n(top + 9.0)) { "operations/s" }
        text class="plot-tick" x=(n(LEFT - 6.0)) y=(n(top + 9.0)) text-anchor="end" { (format!("{:.0}", most as f64 / seconds)) }
        text class="plot-tick" x=(n(LEFT - 6.0)) y=(n(bottom)) text-anchor="end" { "0" }
        path class="base" d=(format!("M{} {}H{}", n(LEFT), n(bottom), n(RIGHT))) {}
        @for (at, column) in columns.iter().enumerate() {
            @let x = LEFT + at as f64 * width;
            @for (word, y, tall) in stack(column, bottom, height) {
                g class=(format!("op {word}")) { rect class="bar" x=(n(x + 0.5)) y=(n(y)) width=(n(width - 1.0)) height=(n(tall)) {} }
            }
        }
    }
}

/// The parts of one column from the bottom up: whose, upper edge, height.
fn stack(column: &Period, bottom: f64, height: impl Fn(u64) -> f64) -> Vec<(&'static str, f64, f64)> {
    let counts = column.counts;
    let mut y = bottom;
    let mut parts = Vec::new();
    for (word, count) in [("ok", counts.ok), ("info", counts.info), ("fail", counts.fail)] {
        if count > 0 {
            // A lone info among thousands must still be seen.
            let tall = if word == "ok" { height(count) } else { height(count).max(2.5) };
            y -= tall;
            parts.push((word, y, tall));
        }
    }
    parts
}

fn latency(columns: &[Period], scale: &Scale, top: f64, bottom: f64) -> Markup {
    let all = columns.iter().flat_map(|column| [column.ok_p50_ns, column.ok_p99_ns]).flatten();
    let (least, most) = all.fold((u64::MAX, 0), |(least, most), ns| (least.min(ns), most.max(ns)));
    // Whole powers of ten around what was measured; without any, an empty plot of one decade.
    let low = if most == 0 { 6 } else { least.max(1).ilog10() };
    let high = if most == 0 { 7 } else { (most.max(1).ilog10() + 1).max(low + 1) };
    let place = |ns: u64| {
        let share = ((ns.max(1) as f64).log10() - f64::from(low)) / f64::from(high - low);
        bottom - (bottom - top) * share
    };
    let width = (scale.right() - scale.left()) / columns.len() as f64;
    let curve = |value: fn(&Period) -> Option<u64>| {
        let mut path = String::new();
        let mut pen = 'M';
        for (at, column) in columns.iter().enumerate() {
            let Some(ns) = value(column) else {
                pen = 'M';
                continue;
            };
            let x = LEFT + (at as f64 + 0.5) * width;
            path.push_str(&format!("{pen}{} {}h0.1", n(x), n(place(ns))));
            pen = 'L';
        }
        path
    };
    html! {
        text class="plot-name" x="2" y=(n(top + 9.0)) { "ok latency" }
        text class="plot-name" x="2" y=(n(top + 25.0)) { "p50 " tspan class="key-p50" { "━" } "  p99 " tspan class="key-p99" { "╍" } }
        @for power in low..=high {
            @let y = place(10u64.saturating_pow(power));
            path class="grid" d=(format!("M{} {}H{}", n(LEFT), n(y), n(RIGHT))) {}
            text class="plot-tick" x=(n(LEFT - 6.0)) y=(n(y + 4.0)) text-anchor="end" { (round_duration(power)) }
        }
        path class="p50" d=(curve(|period| period.ok_p50_ns)) {}
        path class="p99" d=(curve(|period| period.ok_p99_ns)) {}
    }
}

/// A power of ten of nanoseconds: `10 ms`.
fn round_duration(power: u32) -> String {
    let unit = ["ns", "µs", "ms", "s"][(power / 3).min(3) as usize];
    format!("{} {unit}", 10u64.pow(power - 3 * (power / 3).min(3)))
}

/// What each column holds, for whoever points at it.
fn readings(columns: &[Period], history: &History, scale: &Scale, top: f64, bottom: f64) -> Markup {
    let width = (scale.right() - scale.left()) / columns.len() as f64;
    html! {
        @for (at, column) in columns.iter().enumerate() {
            rect class="reading" x=(n(LEFT + at as f64 * width)) y=(n(top)) width=(n(width)) height=(n(bottom - top)) {
                title {
                    (moment(edge(at, columns, history), false)) " to " (moment(edge(at + 1, columns, history), false)) ": "
                    (column.counts.ok) " ok, " (column.counts.fail) " fail, " (column.counts.info) " info"
                    @if let (Some(p50), Some(p99)) = (column.ok_p50_ns, column.ok_p99_ns) {
                        "; ok took " (duration(p50)) " (p50), " (duration(p99)) " (p99)"
                    }
                }
            }
        }
    }
}
