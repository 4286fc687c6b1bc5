//! The steps of a proof that is a chain: a list to be read from top to bottom, each step with the operations that show it.

use maud::{Markup, html};

use super::focus::NUMBERED_MOST;
use super::sentences::badge;
use crate::cited::{CitedOperation, CitedStep};
use crate::summary::Finding;
use crate::wording::{moment, printable, shorten};

/// Steps that are shown; a chain through a long history may have thousands.
const STEPS_MOST: usize = 100;
/// Operations and values of a step that are shown: a set that was read may be long.
const PER_STEP: usize = 12;

/// All steps, if there are any.
pub(super) fn steps(finding: &Finding) -> Markup {
    html! {
        @if !finding.proof.is_empty() {
            h3 { "the proof, step by step" }
            ol class="proof" { @for step in finding.proof.iter().take(STEPS_MOST) { li { (one(step, finding)) } } }
            @if let Some(more @ 1..) = finding.proof.len().checked_sub(STEPS_MOST) { p { "and " (more) " more, all in verdict.json" } }
        }
    }
}

fn one(step: &CitedStep, finding: &Finding) -> Markup {
    html! {
        span class="by" { (shorten(&printable(&step.what), 100)) } " "
        (shorten(&printable(&step.because), 1000))
        @for value in step.values.iter().take(PER_STEP) { " " code { (shorten(&printable(value), 200)) } }
        @for operation in step.operations.iter().take(PER_STEP) { " " (shown(operation, finding)) }
        @if let Some(more @ 1..) = step.operations.len().checked_sub(PER_STEP) { " and " (more) " more" }
    }
}

/// The operation's number in the picture, or else what it is.
fn shown(operation: &CitedOperation, finding: &Finding) -> Markup {
    let mut numbered = finding.witness.iter().take(NUMBERED_MOST);
    html! {
        @if let Some(place) = numbered.position(|cited| cited.operation == operation.operation) { (badge(place + 1, finding)) }
        @else {
            span class="cited" data-op=(operation.operation) {
                "process " (operation.process) " " code { (shorten(&printable(&operation.call), 100)) } " at " (moment(operation.invoked_ns, true))
            }
        }
    }
}
