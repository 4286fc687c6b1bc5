//! The sentences of a finding with the picture's numbers set beside the processes they name.
//!
//! A sentence names `process 4`; the number follows if the witness holds an operation of that process. Of several, those
//! whose times the sentence names are meant, or else all of them.

use maud::{Markup, html};
use schism_history::Time;

use super::focus::NUMBERED_MOST;
use crate::summary::Finding;
use crate::wording::{printable, shorten};

/// The longest sentence shown: a judge may quote a value of any length.
const LONGEST: usize = 2_000;

/// One sentence, numbered.
pub(super) fn numbered(sentence: &str, finding: &Finding) -> Markup {
    let sentence = shorten(&printable(sentence), LONGEST);
    let lower = sentence.to_ascii_lowercase();
    let mut parts: Vec<(&str, Vec<usize>)> = Vec::new();
    let mut from = 0;
    for (at, word) in lower.match_indices("process ") {
        let digits = lower[at + word.len()..].len()
            - lower[at + word.len()..].trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let to = at + word.len() + digits;
        if let Ok(process) = lower[at + word.len()..to].parse() {
            parts.push((&sentence[from..to], meant(process, &sentence, finding)));
            from = to;
        }
    }
    html! {
        @for (text, numbers) in &parts {
            (text)
            @for number in numbers { (badge(*number, finding)) }
        }
        (sentence[from..])
    }
}

/// The number of a witness' operation, as a mark.
pub(super) fn badge(number: usize, finding: &Finding) -> Markup {
    let operation = finding.witness[number - 1].operation;
    let class = if finding.culprit == Some(operation) { "badge culprit" } else { "badge" };
    html! { span class=(class) data-op=(operation) { (number) } }
}

/// The numbers of the operations that a mention of a process means.
fn meant(process: u32, sentence: &str, finding: &Finding) -> Vec<usize> {
    let of_process: Vec<usize> = (1..=finding.witness.len().min(NUMBERED_MOST))
        .filter(|number| finding.witness[number - 1].process == process)
        .collect();
    let named = |number: &&usize| {
        let cited = &finding.witness[**number - 1];
        let times = [Some(cited.invoked_ns), cited.completed_ns, cited.ended_ns];
        times.into_iter().flatten().any(|ns| sentence.contains(&Time(ns).to_string()))
    };
    let narrowed: Vec<usize> = of_process.iter().filter(named).copied().collect();
    if of_process.len() > 1 && !narrowed.is_empty() { narrowed } else { of_process }
}
