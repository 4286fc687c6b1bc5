//! What all pictures share: their width and margins, the patterns that tell outcomes apart without colour, fault bands,
//! the axis.

use maud::{Markup, html};
use schism_history::{FaultWindow, History};

use super::scale::Scale;
use crate::wording::{printable, shorten};

/// The width of every picture, in its own units.
pub(super) const WIDTH: f64 = 1180.0;
/// Where time begins: left of it stands who.
pub(super) const LEFT: f64 = 168.0;
/// Where time ends.
pub(super) const RIGHT: f64 = WIDTH - 12.0;
/// The height of one row of fault names.
pub(super) const BAND_ROW: f64 = 19.0;
/// The room for the axis below a picture.
pub(super) const AXIS: f64 = 24.0;
/// Fault windows drawn one by one in a picture.
const BANDS_MOST: usize = 300;
/// The width of a character of the small labels.
const LETTER: f64 = 6.7;

/// A number as SVG wants it: one decimal is enough for the eye.
pub(super) fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), Into::into)
}

/// Patterns and marks that the pictures refer to; drawn nowhere itself.
pub(super) fn definitions() -> Markup {
    html! {
        svg width="0" height="0" class="definitions" aria-hidden="true" focusable="false" {
            defs {
                pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect width="6" height="6" class="hatch-ground" {}
                    rect width="2.4" height="6" class="hatch-line" {}
                }
                pattern id="struck" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)" {
                    rect width="1.2" height="7" class="struck-line" {}
                }
            }
        }
    }
}

/// A fault window with its place.
pub(super) struct Band<'h> {
    window: &'h FaultWindow,
    left: f64,
    right: f64,
    row: usize,
}

/// The fault windows a picture shows, in rows so that their names do not cover each other.
pub(super) struct Bands<'h> {
    bands: Vec<Band<'h>>,
    rows: usize,
    /// Windows for which there was no room.
    pub(super) left_out: usize,
}

impl<'h> Bands<'h> {
    pub(super) fn of(history: &'h History, scale: &Scale) -> Self {
        let mut bands: Vec<Band> = Vec::new();
        let mut ends: Vec<f64> = Vec::new();
        let mut left_out = 0;
        for window in &history.faults {
            let to = window.ended.unwrap_or(history.end).0;
            if !scale.touches(window.began.0, to) {
                continue;
            }
            if bands.len() == BANDS_MOST {
                left_out += 1;
                continue;
            }
            let (left, right) = (scale.x(window.began.0), scale.x(to));
            let right = right.max(left + 1.5);
            let free = ends.iter().position(|end| *end <= left);
            // Many faults at once share the last row: names may touch there, bands stay.
            let row = free.unwrap_or_else(|| ends.len().min(3));
            if row == ends.len() {
                ends.push(right);
            } else {
                ends[row] = ends[row].max(right);
            }
            bands.push(Band { window, left, right, row });
        }
        Bands { bands, rows: ends.len(), left_out }
    }

    /// The height of the names' rows.
    pub(super) fn height(&self) -> f64 {
        if self.rows == 0 { 6.0 } else { self.rows as f64 * BAND_ROW + 4.0 }
    }

    /// The names on top, and the bands down to `bottom`.
    pub(super) fn draw(&self, bottom: f64) -> Markup {
        html! {
            @for (at, band) in self.bands.iter().enumerate() {
                @let y = band.row as f64 * BAND_ROW;
                @let width = band.right - band.left;
                g class="fault" {
                    title { (describe(band.window)) }
                    rect class="band" x=(n(band.left)) y=(n(y)) width=(n(width)) height=(n(bottom - y)) {}
                    rect class="band-head" x=(n(band.left)) y=(n(y)) width=(n(width)) height=(n(BAND_ROW - 3.0)) {}
                    @if let Some(name) = name(band.window, width).or_else(|| name(band.window, self.room(at))) {
                        text class="band-name" x=(n(band.left + 5.0)) y=(n(y + 12.0)) { (name) }
                    }
                }
            }
        }
    }

    /// How far a name may run: to the next band of its row.
    fn room(&self, at: usize) -> f64 {
        let band = &self.bands[at];
        let next = self.bands[at + 1..].iter().find(|other| other.row == band.row);
        next.map_or(RIGHT, |next| next.left - 4.0) - band.left
    }

    /// Hatches the part of a line that a fault struck.
    pub(super) fn strike(&self, node: Option<&str>, top: f64, height: f64) -> Markup {
        let struck = |band: &&Band| node.is_some_and(|node| band.window.nodes.iter().any(|n| n == node));
        html! {
            @for band in self.bands.iter().filter(struck) {
                rect class="struck" x=(n(band.left)) y=(n(top)) width=(n(band.right - band.left)) height=(n(height)) {}
            }
        }
    }
}

/// As much of a fault's name as there is room for.
fn name(window: &FaultWindow, width: f64) -> Option<String> {
    let room = ((width - 8.0) / LETTER).max(0.0) as usize;
    let short = printable(&window.fault);
    let long = format!("{short}: {}", printable(&window.detail));
    let fits = |text: &str| text.chars().count() <= room;
    match (fits(&long), fits(&short)) {
        (true, _) => Some(long),
        (_, true) if room > short.chars().count() + 12 => Some(shorten(&long, room)),
        (_, true) => Some(short),
        // Cut only where nothing else is possible: a long name, and no room to its right either.
        _ if room >= 20 => Some(shorten(&short, room)),
        _ => None,
    }
}

/// A fault window in words.
pub(super) fn describe(window: &FaultWindow) -> String {
    let ended = window.ended.map_or("the end of the history".into(), |time| time.to_string());
    let effect = match &window.effect {
        Some(effect) if effect.bit => format!("bit: {}", effect.evidence),
        Some(effect) => format!("did not bite: {}", effect.evidence),
        None => "its effect was not measured".into(),
    };
    let text = format!("{} {}, {} to {ended}; {effect}", window.fault, window.detail, window.began);
    shorten(&printable(&text), 300)
}

/// The ticks, their grid lines from `top`, and the marks of cuts.
pub(super) fn axis(scale: &Scale, top: f64, bottom: f64) -> Markup {
    html! {
        g class="axis" aria-hidden="true" {
            @for tick in scale.ticks(118.0) {
                line x1=(n(tick.x)) x2=(n(tick.x)) y1=(n(top)) y2=(n(bottom + 4.0)) {}
                @let anchor = if tick.x > RIGHT - 30.0 { "end" } else { "middle" };
                text x=(n(tick.x)) y=(n(bottom + 17.0)) text-anchor=(anchor) { (tick.text) }
            }
            @for (left, right, hidden) in scale.cuts() {
                @let middle = (left + right) / 2.0;
                rect class="cut" x=(n(left)) y=(n(top)) width=(n(right - left)) height=(n(bottom - top)) {}
                path class="cut-line" d=(format!("M{} {}V{}M{} {}V{}", n(left), n(top), n(bottom), n(right), n(top), n(bottom))) {}
                text class="cut-text" x=(n(middle)) y=(n(bottom + 17.0)) text-anchor="middle" { "cut " (hidden) }
            }
        }
    }
}
