//! Time as a horizontal place: one straight axis, or several pieces of one with the uneventful time between them cut out.
//!
//! Order is always kept; within a piece, lengths are true to each other. Lengths in different pieces are not, so each
//! piece has ticks of its own and each cut says how much time it hides.

use crate::wording::duration;

/// How wide the mark of a cut is.
const CUT: f64 = 54.0;

/// Maps nanoseconds of the run to horizontal places.
#[derive(Debug)]
pub(super) struct Scale {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    from: u64,
    to: u64,
    left: f64,
    right: f64,
}

/// A place on the axis with its text.
pub(super) struct Tick {
    pub(super) x: f64,
    pub(super) text: String,
}

impl Scale {
    /// One straight axis.
    pub(super) fn straight(from: u64, to: u64, left: f64, right: f64) -> Self {
        Scale { pieces: vec![Piece { from, to: to.max(from + 1), left, right }] }
    }

    /// An axis of several spans, in the order of time and disjoint, with shares of the width.
    pub(super) fn broken(spans: &[Span], left: f64, right: f64) -> Self {
        let room = right - left - CUT * (spans.len().saturating_sub(1)) as f64;
        let all: f64 = spans.iter().map(|span| span.share).sum();
        let mut at = left;
        let pieces = spans
            .iter()
            .map(|span| {
                let width = room * span.share / all;
                let piece =
                    Piece { from: span.from, to: span.to.max(span.from + 1), left: at, right: at + width };
                at += width + CUT;
                piece
            })
            .collect();
        Scale { pieces }
    }

    /// Where a moment lies; before the first and after the last piece, at its edge.
    pub(super) fn x(&self, time: u64) -> f64 {
        let mut before: Option<&Piece> = None;
        for piece in &self.pieces {
            if time < piece.from {
                return match before {
                    Some(last) => between(time, last.to, piece.from, last.right, piece.left),
                    None => piece.left,
                };
            }
            if time <= piece.to {
                return between(time, piece.from, piece.to, piece.left, piece.right);
            }
            before = Some(piece);
        }
        self.right()
    }

    /// The left edge.
    pub(super) fn left(&self) -> f64 {
        self.pieces.first().map_or(0.0, |piece| piece.left)
    }

    /// The right edge.
    pub(super) fn right(&self) -> f64 {
        self.pieces.last().map_or(0.0, |piece| piece.right)
    }

    /// Whether an interval touches the axis, be it in a cut.
    pub(super) fn touches(&self, from: u64, to: u64) -> bool {
        match (self.pieces.first(), self.pieces.last()) {
            (Some(first), Some(last)) => from <= last.to && to >= first.from,
            _ => false,
        }
    }

    /// The cuts: left edge, right edge, and what each hides.
    pub(super) fn cuts(&self) -> Vec<(f64, f64, String)> {
        let pairs = self.pieces.windows(2);
        pairs.map(|pair| (pair[0].right, pair[1].left, duration(pair[1].from - pair[0].to))).collect()
    }

    /// Round moments, about one every `every` units of width, at least one a piece.
    pub(super) fn ticks(&self, every: f64) -> Vec<Tick> {
        let mut ticks = Vec::new();
        for piece in &self.pieces {
            let wanted = ((piece.right - piece.left) / every).floor().max(1.0);
            let step = round_step((piece.to - piece.from) as f64 / wanted);
            // Enough decimals of a second that two ticks never read the same.
            let decimals = 9 - step.ilog10().min(9) as usize;
            let mut time = piece.from.next_multiple_of(step);
            while time <= piece.to {
                let text = format!("{:.decimals$} s", time as f64 / 1e9);
                ticks.push(Tick { x: between(time, piece.from, piece.to, piece.left, piece.right), text });
                time += step;
            }
        }
        ticks
    }
}

/// A part of the axis to be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Its share of the width, relative to the others.
    pub(super) share: f64,
}

fn between(time: u64, from: u64, to: u64, left: f64, right: f64) -> f64 {
    left + (right - left) * (time - from) as f64 / (to - from) as f64
}

/// The smallest of 1, 2, 5, 10, 20, 50, … that is not below.
fn round_step(least: f64) -> u64 {
    let mut power = 1u64;
    loop {
        for factor in [1, 2, 5] {
            if (power * factor) as f64 >= least || power > u64::MAX / 100 {
                return power * factor;
            }
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_over_cuts() {
        let spans =
            [Span { from: 10, to: 20, share: 1.0 }, Span { from: 1_000_000, to: 1_000_500, share: 2.0 }];
        let scale = Scale::broken(&spans, 100.0, 1000.0);
        let places: Vec<f64> =
            [0, 10, 15, 20, 500_000, 1_000_000, 1_000_250, 1_000_500, u64::MAX].map(|t| scale.x(t)).into();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!((places[0], places[8]), (100.0, 1000.0));
        assert_eq!(scale.cuts()[0].2, "1.00 ms");
    }

    #[test]
    fn ticks_are_round_and_differ() {
        let scale = Scale::straight(5_977_000_000, 6_011_000_000, 0.0, 1000.0);
        let texts: Vec<String> = scale.ticks(120.0).into_iter().map(|tick| tick.text).collect();
        assert_eq!(texts, ["5.980 s", "5.985 s", "5.990 s", "5.995 s", "6.000 s", "6.005 s", "6.010 s"]);
        assert!(Scale::straight(0, 0, 0.0, 10.0).ticks(120.0).len() < 5);
    }
}
