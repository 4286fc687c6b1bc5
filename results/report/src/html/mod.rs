//! `report.html`: what went wrong as sentences and a picture, the whole run around it, and every table, in one file that
//! needs nothing else: no network, no other file, no script to be legible.
//!
//! Everything a store or a plan says is escaped. However long the history, the file stays below 2 MB: close up, only the
//! operations nearest to the witness are drawn, and from afar those that touch become one stroke; what is left out is
//! said.

mod draw;
mod far;
mod focus;
mod lanes;
mod near;
mod proof;
mod scale;
mod sentences;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use schism_checker::Verdict;
use schism_history::History;

use crate::summary::{Finding, Summary};
use crate::wording::{count, duration, printable, shorten};
use focus::Focus;

/// The longest plan shown, in characters.
const PLAN_LONGEST: usize = 100_000;
/// Anomalies beside the first, and doubts, that are shown.
const FINDINGS_MOST: usize = 30;
/// Sentences above the picture; it must stay in sight.
const SENTENCES_ABOVE: usize = 6;

pub(crate) const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page of one judged run. The history must be the one the summary was made of; the plan is shown as it is.
///
/// n log n in the number of operations; the text is below 2 MB.
pub fn page(summary: &Summary, history: &History, plan: Option<&str>) -> String {
    let focus = Focus::of(summary, history);
    let body = html! {
        (draw::definitions())
        main {
            (top(summary))
            (what(summary, &focus, history))
            (whole(&focus, history))
            (details(summary, history, plan))
        }
    };
    document(summary, body).into_string()
}

/// A verdict as a word; the style sheet and the reader use the same.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "valid",
        Verdict::Unknown => "unknown",
        Verdict::Invalid => "invalid",
    }
}

fn document(summary: &Summary, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (word(summary.verdict)) ": " (shorten(&summary.title, 200)) }
                style { (PreEscaped(STYLE)) }
            }
            body class=(word(summary.verdict)) {
                (body)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn top(summary: &Summary) -> Markup {
    let counts = summary.measured.operations.counts;
    html! {
        header {
            span class=(format!("verdict {}", word(summary.verdict))) { (word(summary.verdict).to_uppercase()) }
            div {
                h1 { (shorten(&printable(&summary.title), 300)) }
                p class="facts" {
                    @if let Some(seed) = summary.about.seed { span { "seed " b { (seed) } } }
                    span { b { (duration(summary.measured.duration_ns)) } }
                    span { b { (counts.all()) } " operations: " (counts.ok) " ok, " (counts.fail) " fail, " (counts.info) " info" }
                    span { (count(summary.measured.keys, "key", "keys")) }
                }
            }
        }
    }
}

/// The finding, or why there is none, and the close picture.
fn what(summary: &Summary, focus: &Focus, history: &History) -> Markup {
    html! {
        section class="what" {
            @match focus.finding {
                Some(finding) => {
                    h2 { (shorten(&finding.headline(), 200)) }
                    @let (above, below) = finding.sentences.split_at(finding.sentences.len().min(SENTENCES_ABOVE));
                    @for sentence in above { p class="sentence" { (sentences::numbered(sentence, finding)) } }
                    @if !below.is_empty() {
                        details {
                            summary { (count(below.len() as u64, "more sentence", "more sentences")) }
                            @for sentence in below.iter().take(FINDINGS_MOST) { p { (sentences::numbered(sentence, finding)) } }
                        }
                    }
                }
                None => { (no_finding(summary)) }
            }
            @if focus.spans.is_empty() { p { "the history holds no operation" } }
            @else { (near::picture(focus, history)) }
            @if let Some(finding) = focus.finding { (reasons(finding)) (proof::steps(finding)) }
            @if !focus.drawn.is_empty() {
                details {
                    summary { "the " (focus.drawn.len()) " operations of this picture as a table" }
                    p class="filter" {
                        "show " @for kind in ["ok", "fail", "info"] { label { input type="checkbox" id=(format!("show-{kind}")) checked; (kind) } }
                    }
                    (tables::operations(focus, history))
                }
            }
        }
    }
}

fn no_finding(summary: &Summary) -> Markup {
    html! {
        @if summary.verdict == Verdict::Unknown {
            h2 { "nobody knows whether this run is right" }
            @for (judged, doubt) in summary.doubts().take(FINDINGS_MOST) {
                p class="sentence" {
                    (shorten(&printable(&doubt.reason), 1000)) " " span class="by" { "(" (printable(&judged.checker)) ")" }
                    @if let Some(hint) = &doubt.hint { span class="hint" { "hint: " (shorten(&printable(hint), 1000)) } }
                }
            }
            @if summary.judgements.is_empty() { p class="sentence" { "no checker was asked" } }
        } @else {
            h2 { "nothing wrong found, and enough happened to say so" }
        }
        p class="lead" { "a look at the busiest key" @if !summary.measured.faults.is_empty() { " around the first fault" } }
    }
}

/// What the state could have been, and why nothing could come next.
fn reasons(finding: &Finding) -> Markup {
    html! {
        @if !finding.possible_states.is_empty() || !finding.refused.is_empty() {
            dl class="reasons" {
                @if !finding.possible_states.is_empty() {
                    dt { "possible states just before" }
                    dd { @for state in finding.possible_states.iter().take(FINDINGS_MOST) { code { (shorten(&printable(state), 200)) } " " } }
                }
                @if !finding.refused.is_empty() {
                    dt { "refused as the next step" }
                    @for refused in finding.refused.iter().take(FINDINGS_MOST) {
                        dd data-op=(refused.operation.operation) {
                            "process " (refused.operation.process) " " code { (shorten(&printable(&refused.operation.call), 100)) } ": "
                            (shorten(&printable(&refused.because), 500))
                        }
                    }
                }
            }
        }
    }
}

fn whole(focus: &Focus, history: &History) -> Markup {
    html! {
        section {
            h2 { "the whole run" }
            p class="zoom" { label { "width " input type="range" id="zoom" min="1" max="8" step="0.5" value="1"; } }
            @if !focus.about.is_empty() {
                p class="lead" { (focus.about.len()) " operations of key " (shorten(&printable(&focus.keys), 200)) }
                (far::lines(focus, history))
            }
            p class="lead" { "all keys: how operations ended, and how long the ok ones took" }
            (far::plots(focus, history))
        }
    }
}

fn details(summary: &Summary, history: &History, plan: Option<&str>) -> Markup {
    html! {
        section { h2 { "checkers" } (tables::judgements(summary)) (others(summary)) }
        @if !summary.measured.faults.is_empty() { section { h2 { "faults" } (tables::faults(summary, history)) } }
        section { h2 { "availability" } (tables::availability(summary)) }
        @if !summary.measured.nodes.is_empty() { section { h2 { "nodes" } (tables::nodes(summary)) } }
        @if !summary.about.next.is_empty() || summary.about.folder.is_some() {
            section {
                h2 { "next" }
                dl class="next" {
                    @if let Some(folder) = &summary.about.folder { dt { "files" } dd { code { (printable(folder)) } } }
                    @for next in summary.about.next.iter().take(FINDINGS_MOST) { dt { (printable(&next.what)) } dd { code { (shorten(&printable(&next.command), 2000)) } } }
                }
            }
        }
        @if let Some(plan) = plan {
            section { h2 { "plan" } details { summary { "every choice made" } pre { (shorten(plan, PLAN_LONGEST)) } } }
        }
    }
}

/// The anomalies beside the first one, and the doubts that stand beside them.
fn others(summary: &Summary) -> Markup {
    let all: Vec<&Finding> = summary.judgements.iter().flat_map(|judged| &judged.anomalies).collect();
    html! {
        @if all.len() > 1 {
            h3 { "also found" }
            @for finding in all.iter().skip(1).take(FINDINGS_MOST) {
                details {
                    summary { (shorten(&finding.headline(), 200)) }
                    @for sentence in finding.sentences.iter().take(10) { p { (shorten(&printable(sentence), 1000)) } }
                }
            }
            @if let Some(more @ 1..) = all.len().checked_sub(FINDINGS_MOST + 1) { p { "and " (more) " more, all in verdict.json" } }
        }
        @if summary.verdict != Verdict::Unknown && summary.doubts().next().is_some() {
            h3 { "doubts" }
            @for (judged, doubt) in summary.doubts().take(FINDINGS_MOST) {
                p { (shorten(&printable(&doubt.reason), 1000)) " (" (printable(&judged.checker)) ")" @if let Some(hint) = &doubt.hint { span class="hint" { "hint: " (shorten(&printable(hint), 1000)) } } }
            }
        }
    }
}
