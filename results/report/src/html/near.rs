//! The picture of what went wrong: the operations on the failing key around the witness, each on the line of its
//! process, the witness numbered as in the sentences above it.

use maud::{Markup, html};
use schism_history::{History, Operation, Outcome};

use super::draw::{AXIS, Bands, LEFT, RIGHT, WIDTH, axis, n};
use super::focus::{Focus, end};
use super::lanes::{Lane, lanes};
use super::scale::Scale;
use super::sentences::badge;
use crate::cited::outcome;
use crate::wording::{duration, moment, printable, shorten};

/// The height of a bar.
const BAR: f64 = 17.0;
/// The height of one row of witness labels above the bars.
const LABEL_ROW: f64 = 24.0;
/// Free room above and below a line's bars.
const GAP: f64 = 6.0;
/// The width of a character of a label.
const LETTER: f64 = 7.4;
/// Lines drawn; those of the witness always.
const LANES_MOST: usize = 40;

/// The picture, and what was left out of it in words.
pub(super) fn picture(focus: &Focus, history: &History) -> Markup {
    let scale = Scale::broken(&focus.spans, LEFT, RIGHT);
    let mut lanes = lanes(&focus.drawn, history);
    let lanes_hidden = drop_lanes(&mut lanes, focus);
    let bands = Bands::of(history, &scale);
    let mut rows = Vec::new();
    let mut y = bands.height();
    for lane in &lanes {
        let labels = labels(lane, focus, history, &scale);
        let levels = labels.iter().map(|label| label.level + 1).max().unwrap_or(0);
        let height = 2.0 * GAP + BAR + levels as f64 * LABEL_ROW;
        rows.push(Row { lane, labels, top: y, height });
        y += height;
    }
    let class = if focus.finding.is_some() { "picture near" } else { "picture near calm" };
    let name = format!("operations of key {} on the lines of their processes", focus.keys);
    html! {
        figure {
            div class="scroll" {
                svg class=(class) viewBox=(format!("0 0 {} {}", n(WIDTH), n(y + AXIS))) role="img" {
                    title { (printable(&name)) }
                    (bands.draw(y))
                    (axis(&scale, bands.height() - 4.0, y))
                    @for (at, row) in rows.iter().enumerate() {
                        (head(row, at > 0 && rows[at - 1].lane.node == row.lane.node))
                        (bands.strike(row.lane.node, row.top, row.height))
                    }
                    (beginning(focus, &scale, bands.height() - 2.0, y))
                    @for row in &rows { (bars(row, focus, history, &scale)) }
                    @for row in &rows { (tags(row)) }
                }
            }
            figcaption { (legend(focus)) (left_out(focus, lanes_hidden, bands.left_out)) }
        }
    }
}

struct Row<'a, 'h> {
    lane: &'a Lane<'h>,
    labels: Vec<Label>,
    top: f64,
    height: f64,
}

impl Row<'_, '_> {
    fn bar_top(&self) -> f64 {
        self.top + self.height - GAP - BAR
    }
}

/// What stands above a bar of the witness.
struct Label {
    position: usize,
    number: usize,
    culprit: bool,
    text: String,
    /// Where it begins.
    x: f64,
    /// Where its bar begins.
    bar: f64,
    /// Its row, counted upwards from the bar.
    level: usize,
}

/// Keeps at most so many lines; those with numbered operations always.
fn drop_lanes(lanes: &mut Vec<Lane>, focus: &Focus) -> usize {
    let before = lanes.len();
    let mut room = LANES_MOST;
    lanes.retain(|lane| {
        let marked = lane.operations.iter().any(|at| focus.number(*at).is_some());
        let keep = marked || room > 0;
        room = room.saturating_sub(usize::from(keep));
        keep
    });
    before - lanes.len()
}

fn labels(lane: &Lane, focus: &Focus, history: &History, scale: &Scale) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    for &position in &lane.operations {
        let Some(number) = focus.number(position) else { continue };
        let operation = &history.rows()[position];
        let culprit = focus.is_culprit(position);
        let mut text = in_words(operation, 44);
        if culprit {
            text.push_str(&expectation(focus));
        }
        let bar = scale.x(operation.invoked.0);
        let width = 26.0 + LETTER * text.chars().count() as f64;
        let x = bar.min(RIGHT - width).max(LEFT);
        let mut level = 0;
        while labels.iter().any(|other| {
            other.level == level && other.x + 30.0 + LETTER * other.text.chars().count() as f64 > x
        }) {
            level += 1;
        }
        labels.push(Label { position, number, culprit, text, x, bar, level });
    }
    labels
}

/// What the state could have been instead, if that is short.
fn expectation(focus: &Focus) -> String {
    let states = focus.finding.map(|finding| finding.possible_states.as_slice()).unwrap_or_default();
    let text = printable(&states.join(" or "));
    match text.chars().count() {
        1..=24 => format!(", but the state is {text}"),
        _ => String::new(),
    }
}

/// An operation in a few characters: `read() → 3`.
pub(super) fn in_words(operation: &Operation, most: usize) -> String {
    shorten(&printable(&format!("{} → {}", operation.call, outcome(&operation.outcome))), most)
}

/// An operation with everything known of it.
pub(super) fn in_full(operation: &Operation) -> String {
    let node = operation.node.as_deref().map_or(String::new(), |node| format!(" on {node}"));
    let ended = match operation.ended {
        Some(time) => format!("{} ({})", moment(time.0, true), duration(time.0 - operation.invoked.0)),
        None => "the end of the history".into(),
    };
    let text = format!(
        "{}{node}: {} → {}, {} to {ended}",
        operation.process,
        operation.call,
        outcome(&operation.outcome),
        moment(operation.invoked.0, true)
    );
    shorten(&printable(&text), 300)
}

/// Who a line is.
fn head(row: &Row, same_node: bool) -> Markup {
    let middle = row.bar_top() + BAR / 2.0 + 4.0;
    html! {
        @if !same_node {
            line class="rule" x1="0" x2=(n(RIGHT)) y1=(n(row.top)) y2=(n(row.top)) {}
            text class="node" x="2" y=(n(middle)) { (row.lane.node_label()) }
        }
        text class="who" x=(n(LEFT - 12.0)) y=(n(middle)) text-anchor="end" { (row.lane.label()) }
    }
}

fn bars(row: &Row, focus: &Focus, history: &History, scale: &Scale) -> Markup {
    let (y, operations) = (row.bar_top(), &row.lane.operations);
    html! {
        @for (at, &position) in operations.iter().enumerate() {
            @let operation = &history.rows()[position];
            @let left = scale.x(operation.invoked.0);
            @let right = scale.x(end(operation, history)).max(left + 3.0);
            @let role = match (focus.is_culprit(position), focus.number(position)) {
                (true, _) => "culprit",
                (false, Some(_)) => "witness",
                (false, None) => "context",
            };
            g class=(format!("op {} {role}", operation.outcome.word())) data-op=(position) {
                title { (in_full(operation)) }
                @match operation.outcome {
                    Outcome::Info(_) => {
                        @let next = operations.get(at + 1).map(|next| scale.x(history.rows()[*next].invoked.0) - 3.0);
                        (open_bar(left, right, next.unwrap_or(RIGHT).max(right), y))
                    }
                    _ => rect class="bar" x=(n(left)) y=(n(y)) width=(n(right - left)) height=(n(BAR)) rx="2.5" {},
                }
                @if matches!(operation.outcome, Outcome::Fail(_)) {
                    path class="strike" d=(format!("M{} {}H{}", n(left), n(y + BAR / 2.0), n(right))) {}
                }
                @let inside = in_words(operation, 26);
                @if role == "context" && right - left > 6.6 * inside.chars().count() as f64 + 8.0 {
                    text class="inside" x=(n(left + 5.0)) y=(n(y + 12.5)) { (inside) }
                }
            }
        }
    }
}

/// A bar without an end: it may take effect at any later time.
fn open_bar(left: f64, right: f64, tail: f64, y: f64) -> Markup {
    let (top, bottom, middle) = (n(y), n(y + BAR), n(y + BAR / 2.0));
    html! {
        path class="bar" d=(format!("M{0} {top}H{1}V{bottom}H{0}Z", n(left), n(right))) {}
        path class="edge" d=(format!("M{0} {top}H{1}V{bottom}H{0}", n(right), n(left))) {}
        @if tail > right + 6.0 {
            path class="tail" d=(format!("M{} {middle}H{}", n(right), n(tail))) {}
            path class="tip" d=(format!("M{} {}l6 4l-6 4", n(tail - 6.0), n(y + BAR / 2.0 - 4.0))) {}
        }
    }
}

/// The numbers and words of the witness, drawn last so that nothing covers them.
fn tags(row: &Row) -> Markup {
    html! {
        @for label in &row.labels {
            @let y = row.bar_top() - 13.0 - label.level as f64 * LABEL_ROW;
            @let class = if label.culprit { "tag culprit" } else { "tag" };
            g class=(class) data-op=(label.position) {
                path class="leader" d=(format!("M{} {}V{}", n(label.bar + 1.0), n(y), n(row.bar_top()))) {}
                rect class="paper" x=(n(label.x - 2.0)) y=(n(y - 10.0)) width=(n(26.0 + LETTER * label.text.chars().count() as f64)) height="20" rx="10" {}
                circle cx=(n(label.x + 8.0)) cy=(n(y)) r="9" {}
                text class="number" x=(n(label.x + 8.0)) y=(n(y + 4.0)) text-anchor="middle" { (label.number) }
                text class="words" x=(n(label.x + 22.0)) y=(n(y + 4.5)) { (label.text) }
            }
        }
    }
}

/// When the operation nobody can explain began: what ended left of this line was over by then.
fn beginning(focus: &Focus, scale: &Scale, top: f64, bottom: f64) -> Markup {
    html! {
        @if let Some(culprit) = focus.culprit() {
            @let x = n(scale.x(culprit.invoked_ns));
            path class="beginning" d=(format!("M{x} {}V{}", n(top), n(bottom))) {}
        }
    }
}

/// What the bars mean.
fn legend(focus: &Focus) -> Markup {
    html! {
        span class="legend" {
            @for (kind, words) in [("ok", "ok: it happened"), ("fail", "fail: it did not happen"), ("info", "info: nobody knows, it may happen any time later")] {
                span {
                    svg width="26" height="14" aria-hidden="true" {
                        g class=(format!("op {kind} context")) {
                            rect class="bar" x="1" y="1" width="24" height="12" rx="2.5" {}
                            @if kind == "info" { path class="edge" d="M25 1H1V13H25" {} }
                            @if kind == "fail" { path class="strike" d="M1 7H25" {} }
                        }
                    }
                    (words)
                }
            }
            @if let Some(culprit) = focus.culprit() {
                span {
                    svg width="10" height="14" aria-hidden="true" { path class="beginning" d="M5 0V14" {} }
                    @if let (Some(number), Some(finding)) = (focus.number(culprit.operation), focus.finding) {
                        span { (badge(number, finding)) " begins: what ends left of here was over by then" }
                    }
                }
            }
            span { svg width="26" height="14" aria-hidden="true" { rect class="band" width="26" height="14" {} rect class="struck" width="26" height="14" {} } "fault, hatched on the nodes it strikes" }
        }
    }
}

fn left_out(focus: &Focus, lanes: usize, bands: usize) -> Markup {
    html! {
        @if focus.left_out > 0 {
            p { "not drawn: " (focus.left_out) " more operations in this time, further from those that are numbered" }
        }
        @if lanes > 0 { p { "not drawn: " (lanes) " more lines of processes" } }
        @if bands > 0 { p { "not drawn: " (bands) " more fault windows" } }
    }
}
