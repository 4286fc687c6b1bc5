//! The page's tables: judgements, operations drawn, faults, the run before, during and after them, nodes.

use maud::{Markup, html};
use schism_history::History;

use super::draw::describe;
use super::focus::Focus;
use super::near::in_full;
use super::sentences::badge;
use super::word;
use crate::cited::outcome;
use crate::measure::Period;
use crate::summary::Summary;
use crate::terminal::share;
use crate::wording::{duration, moment, printable, shorten};

/// Fault windows listed one by one.
const WINDOWS_MOST: usize = 200;
/// Rows of a table of nodes or notes.
const NODES_MOST: usize = 200;
/// The longest text in a cell.
const CELL: usize = 400;

fn cell(text: &str) -> String {
    shorten(&printable(text), CELL)
}

/// What each judge said.
pub(super) fn judgements(summary: &Summary) -> Markup {
    html! {
        table {
            thead { tr { th { "checker" } th { "about" } th { "verdict" } th { "facts" } } }
            tbody {
                @for judged in &summary.judgements {
                    tr {
                        td { (cell(&judged.checker)) }
                        td { (cell(&judged.about)) }
                        td { span class=(format!("chip {}", word(judged.verdict))) { (word(judged.verdict)) } }
                        td {
                            @for (name, value) in judged.facts.iter().take(20) { span class="fact" { (cell(name)) " " b { (cell(value)) } } }
                        }
                    }
                }
            }
        }
    }
}

/// The operations of the close picture, for readers and programs that cannot see it.
pub(super) fn operations(focus: &Focus, history: &History) -> Markup {
    html! {
        table class="operations" {
            thead { tr { th { "" } th { "process" } th { "node" } th { "call" } th { "outcome" } th { "from" } th { "to" } } }
            tbody {
                @for &position in &focus.drawn {
                    @let operation = &history.rows()[position];
                    tr class=(format!("op {}", operation.outcome.word())) data-op=(position) title=(in_full(operation)) {
                        td { @if let (Some(number), Some(finding)) = (focus.number(position), focus.finding) { (badge(number, finding)) } }
                        td { (operation.process.0) }
                        td { (cell(operation.node.as_deref().unwrap_or("?"))) }
                        td class="mono" { (shorten(&printable(&operation.call.to_string()), 60)) }
                        td class="mono" { (shorten(&printable(&outcome(&operation.outcome)), 80)) }
                        td class="num" { (moment(operation.invoked.0, true)) }
                        td class="num" {
                            @if operation.completed == schism_history::Time::NEVER { "never known" }
                            @else { (moment(operation.completed.0, true)) }
                        }
                    }
                }
            }
        }
    }
}

/// What was broken, and whether that did anything.
pub(super) fn faults(summary: &Summary, history: &History) -> Markup {
    html! {
        table {
            thead { tr { th { "fault" } th { "windows" } th { "in all" } th { "nodes struck" } th { "bit" } th { "evidence" } } }
            tbody {
                @for fault in &summary.measured.faults {
                    tr {
                        td { (cell(&fault.fault)) }
                        td class="num" { (fault.windows) }
                        td class="num" { (duration(fault.total_ns)) }
                        td { (cell(&fault.nodes.join(" "))) }
                        td {
                            (fault.bit) " of " (fault.windows)
                            @if fault.missed > 0 { ", " (fault.missed) " did not" }
                            @if fault.unmeasured > 0 { ", " (fault.unmeasured) " not measured" }
                        }
                        td { (cell(fault.evidence.as_deref().unwrap_or("none"))) }
                    }
                }
            }
        }
        details {
            summary { "every fault window" }
            ol { @for window in history.faults.iter().take(WINDOWS_MOST) { li { (describe(window)) } } }
            @if let Some(more @ 1..) = history.faults.len().checked_sub(WINDOWS_MOST) { p { "and " (more) " more" } }
        }
    }
}

/// The run before, during and after its faults.
pub(super) fn availability(summary: &Summary) -> Markup {
    let availability = &summary.measured.availability;
    html! {
        table {
            (period_head("operations"))
            tbody {
                @if summary.measured.faults.is_empty() {
                    tr { td { "whole run" } (period(&summary.measured.operations)) }
                } @else {
                    tr { td { "before faults" } (period(&availability.before)) }
                    tr { td { "during" } (period(&availability.during)) }
                    tr { td { "between and after" } (period(&availability.after)) }
                }
            }
        }
    }
}

fn period_head(name: &str) -> Markup {
    html! {
        thead { tr { th { (name) } th { "ok" } th { "fail" } th { "info" } th { "ok share" } th { "ok p50" } th { "ok p99" } @if name == "node" { th { "faults" } th { "by itself" } } } }
    }
}

fn period(period: &Period) -> Markup {
    let latency = |ns: Option<u64>| ns.map_or_else(|| "none".into(), duration);
    let counts = period.counts;
    html! {
        td class="num" { (counts.ok) } td class="num" { (counts.fail) } td class="num" { (counts.info) }
        td class="num" { (share(counts.ok, counts.all())) }
        td class="num" { (latency(period.ok_p50_ns)) } td class="num" { (latency(period.ok_p99_ns)) }
    }
}

/// How each node fared.
pub(super) fn nodes(summary: &Summary) -> Markup {
    let nodes = &summary.measured.nodes;
    html! {
        table {
            (period_head("node"))
            tbody {
                @for node in nodes.iter().take(NODES_MOST) {
                    tr {
                        td { (cell(&node.node)) }
                        (period(&node.operations))
                        td class="num" { (node.faults) }
                        td {
                            @for (time, text) in node.notes.iter().take(8) { div { (cell(text)) " at " (moment(*time, false)) } }
                            @if let Some(more @ 1..) = node.notes.len().checked_sub(8) { div { "and " (more) " more" } }
                        }
                    }
                }
            }
        }
        @if let Some(more @ 1..) = nodes.len().checked_sub(NODES_MOST) { p { "and " (more) " more nodes" } }
    }
}
