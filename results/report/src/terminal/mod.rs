//! The end of a run on one screen: the verdict in a word, why, what was judged, what was broken and whether that bit,
//! and what to do next.
//!
//! Legible without colour: colour repeats what a word says. The three tones (blue, orange, pink) stay apart for every
//! common kind of colour blindness. Text of others (errors, names, values) is printed with its control characters made
//! visible.

mod look;
mod tables;

pub use look::Look;
pub(crate) use tables::{share, table};

use schism_checker::Verdict;

use crate::summary::{Finding, Summary};
use crate::wording::{count, duration, wrap};
pub(crate) use look::Page;

/// Operations of a witness shown; the rest is in the page.
const WITNESS_SHOWN: usize = 12;
/// Refused candidates, doubts and notes shown.
const LINES_SHOWN: usize = 6;

/// The last screen of a run, ending in a line end.
pub fn screen(summary: &Summary, look: Look) -> String {
    let mut page = Page::new(look);
    headline(&mut page, summary);
    if let Some((judged, finding)) = summary.first_finding() {
        page.blank();
        page.bold(&format!("{} ({}: {})", finding.headline(), judged.checker, judged.about));
        explanation(&mut page, finding);
        others(&mut page, summary);
    }
    page.blank();
    page.raw(&tables::checkers(summary, look));
    doubts(&mut page, summary);
    notes(&mut page, summary);
    if !summary.measured.faults.is_empty() {
        page.blank();
        page.raw(&tables::faults(summary, look));
    }
    page.blank();
    page.raw(&tables::availability(summary, look));
    next(&mut page, summary);
    page.finish()
}

/// One line a history, for several at once: verdict, name, and the reason in a few words. Ends in a line end unless
/// there is none.
pub fn compact(several: &[(&str, &Summary)], look: Look) -> String {
    let mut page = Page::new(look);
    let names: Vec<String> = several.iter().map(|(name, _)| look.text(name)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(look.width / 2);
    for (name, (_, summary)) in names.iter().zip(several) {
        let reason = format!("{name:longest$}  {}", reason(summary));
        let word = format!("{:7}", tables::word(summary.verdict));
        let room = look.width.saturating_sub(word.len() + 2);
        page.verdict_line(summary.verdict, &word, &look.shorten(&reason, room));
    }
    page.finish()
}

fn headline(page: &mut Page, summary: &Summary) {
    let word = tables::word(summary.verdict);
    let indent = word.len() + 2;
    let lines = wrap(&page.look.text(&summary.title), page.look.width.saturating_sub(indent));
    for (at, line) in lines.iter().enumerate() {
        match at {
            0 => page.verdict_line(summary.verdict, word, line),
            _ => page.indented(indent, line),
        }
    }
    page.indented(indent, &reason(summary));
    let counts = summary.measured.operations.counts;
    let mut facts = Vec::new();
    facts.extend(summary.about.seed.map(|seed| format!("seed {seed}")));
    facts.push(duration(summary.measured.duration_ns));
    facts.push(format!(
        "{}: {} ok, {} fail, {} info",
        count(counts.all(), "operation", "operations"),
        counts.ok,
        counts.fail,
        counts.info
    ));
    facts.push(count(summary.measured.keys, "key", "keys"));
    page.indented(indent, &facts.join(", "));
}

/// The verdict's reason in a few words.
fn reason(summary: &Summary) -> String {
    match (summary.verdict, summary.first_finding()) {
        (Verdict::Invalid, Some((_, finding))) => {
            let all: usize = summary.judgements.iter().map(|judged| judged.anomalies.len()).sum();
            match all - 1 {
                0 => format!("proven wrong: {}", finding.headline()),
                more => format!("proven wrong: {}, and {more} more", finding.headline()),
            }
        }
        (Verdict::Invalid, None) => "proven wrong".into(),
        (Verdict::Unknown, _) => match summary.doubts().next() {
            Some((_, doubt)) => format!("nobody knows: {}", doubt.reason),
            None => "nobody knows: no checker was asked".into(),
        },
        (Verdict::Valid, _) => "nothing wrong found, and enough happened to say so".into(),
    }
}

fn explanation(page: &mut Page, finding: &Finding) {
    for sentence in &finding.sentences {
        page.indented(2, sentence);
    }
    if !finding.witness.is_empty() {
        page.blank();
        page.raw(&tables::witness(finding, WITNESS_SHOWN, page.look));
        if let Some(more @ 1..) = finding.witness.len().checked_sub(WITNESS_SHOWN) {
            page.indented(2, &format!("{more} more in the report"));
        }
    }
    if !finding.possible_states.is_empty() {
        page.blank();
        page.indented(2, &format!("possible states just before: {}", finding.possible_states.join(", ")));
    }
    for refused in finding.refused.iter().take(LINES_SHOWN) {
        let operation = &refused.operation;
        let who = format!("process {} {}", operation.process, operation.call);
        page.indented(2, &format!("refused: {who}: {}", refused.because));
    }
    if let Some(more @ 1..) = finding.refused.len().checked_sub(LINES_SHOWN) {
        page.indented(2, &format!("refused: {more} more in the report"));
    }
}

/// The other anomalies, by name.
fn others(page: &mut Page, summary: &Summary) {
    let mut names: Vec<(String, u64)> = Vec::new();
    for finding in summary.judgements.iter().flat_map(|judged| &judged.anomalies).skip(1) {
        match names.iter_mut().find(|(name, _)| *name == finding.name) {
            Some((_, number)) => *number += 1,
            None => names.push((finding.name.clone(), 1)),
        }
    }
    if !names.is_empty() {
        let listed: Vec<String> = names.iter().map(|(name, number)| format!("{number} {name}")).collect();
        page.blank();
        page.indented(2, &format!("also found: {}", listed.join(", ")));
    }
}

fn doubts(page: &mut Page, summary: &Summary) {
    let all: Vec<_> = summary.doubts().collect();
    if !all.is_empty() {
        page.blank();
    }
    for (judged, doubt) in all.iter().take(LINES_SHOWN) {
        page.labelled("doubt:", Verdict::Unknown, &format!("{} ({})", doubt.reason, judged.checker));
        if let Some(hint) = &doubt.hint {
            page.indented(2, &format!("hint: {hint}"));
        }
    }
    if let Some(more @ 1..) = all.len().checked_sub(LINES_SHOWN) {
        page.indented(2, &format!("{} in the report", count(more as u64, "more doubt", "more doubts")));
    }
}

fn notes(page: &mut Page, summary: &Summary) {
    let notes: Vec<_> = summary
        .measured
        .nodes
        .iter()
        .flat_map(|node| node.notes.iter().map(move |(time, text)| (*time, &node.node, text)))
        .collect();
    if !notes.is_empty() {
        page.blank();
    }
    for (time, node, text) in notes.iter().take(LINES_SHOWN) {
        page.indented(0, &format!("note: {node} {text} at {}", crate::wording::moment(*time, false)));
    }
    if let Some(more @ 1..) = notes.len().checked_sub(LINES_SHOWN) {
        page.indented(2, &format!("{} in the report", count(more as u64, "more note", "more notes")));
    }
}

fn next(page: &mut Page, summary: &Summary) {
    let about = &summary.about;
    if about.next.is_empty() && about.folder.is_none() {
        return;
    }
    page.blank();
    let label = about.next.iter().map(|next| next.what.chars().count()).chain([5]).max().unwrap_or(5);
    if let Some(folder) = &about.folder {
        // Never wrapped: what is to be copied must be whole.
        page.whole(&format!("{:label$}  {folder}", "files"));
    }
    for next in &about.next {
        page.whole(&format!("{:label$}  {}", next.what, next.command));
    }
}
