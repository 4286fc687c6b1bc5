//! A plan as a file: complete, so that nothing depends on what a later version takes for granted.
//!
//! Reading it back gives the same plan, whatever plan that makes sense it was.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::overrides::verdict_word;
use super::units::{duration_text, size_text};
use super::{EvidencePlan, Plan};

/// The plan's text; every choice on a line of its own, in an order that never changes.
pub(super) fn write(plan: &Plan) -> String {
    let mut text = String::from(
        "# A plan of Schism: every choice of a run. `schism run` with this file repeats it.\n\n",
    );
    let mut line = |key: &str, value: String| line(&mut text, key, &value);
    line("seed", plan.seed.to_string());
    line("nodes", plan.nodes.to_string());
    if plan.backend.settings.is_empty() {
        line("backend", quoted(&plan.backend.name));
    }
    line("time-limit", quoted(&duration_text(plan.time_limit)));
    line("rate", rate(plan.rate));
    line("stagger", plan.stagger.to_string());
    line("concurrency", plan.concurrency.to_string());
    line("roam", plan.roam.to_string());
    line("timeout", quoted(&duration_text(plan.timeout)));
    line("start-limit", quoted(&duration_text(plan.start_limit)));
    line("recovery-limit", quoted(&duration_text(plan.recovery_limit)));
    if let Some(verdict) = plan.expect {
        line("expect", quoted(verdict_word(verdict)));
    }
    line("broken-max", setting(&plan.broken_max.word()));
    if plan.nemeses.is_empty() {
        line("nemesis", "[]".into());
    }
    sections(plan, &mut text);
    text
}

fn sections(plan: &Plan, text: &mut String) {
    if !plan.backend.settings.is_empty() {
        text.push_str("\n[backend]\n");
        line(text, "name", &quoted(&plan.backend.name));
        settings(text, &plan.backend.settings);
    }

    text.push_str("\n[target]\n");
    line(text, "name", &quoted(&plan.target.name));
    let bugs: Vec<String> = plan.target.bugs.iter().map(|bug| quoted(bug)).collect();
    line(text, "bugs", &format!("[{}]", bugs.join(", ")));
    settings(text, &plan.target.settings);

    text.push_str("\n[workload]\n");
    line(text, "name", &quoted(&plan.workload.name));
    settings(text, &plan.workload.settings);

    for nemesis in &plan.nemeses {
        text.push_str("\n[[nemesis]]\n");
        line(text, "name", &quoted(&nemesis.name));
        line(text, "schedule", &quoted(nemesis.schedule.word()));
        line(text, "every", &quoted(&duration_text(nemesis.every)));
        line(text, "lasts", &quoted(&duration_text(nemesis.lasts)));
        settings(text, &nemesis.settings);
    }

    for step in &plan.script {
        text.push_str("\n[[script]]\n");
        line(text, "at", &quoted(&duration_text(step.at)));
        let settings = step.does.settings.iter().map(|(key, value)| format!(":{key}={value}"));
        line(text, "do", &quoted(&format!("{}{}", step.does.name, settings.collect::<String>())));
        line(text, "for", &quoted(&duration_text(step.does.lasts)));
    }

    text.push_str("\n[check]\n");
    line(text, "time", &quoted(&duration_text(plan.check.time)));
    line(text, "memory", &quoted(&size_text(plan.check.memory_bytes)));
    if let Some(within) = plan.check.recover_within {
        line(text, "recover-within", &quoted(&duration_text(within)));
    }

    text.push_str("\n[evidence]\n");
    let mut evidence = plan.evidence;
    for key in EvidencePlan::KEYS {
        if let Some(count) = evidence.field(key) {
            line(text, key, &count.to_string());
        }
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let key = if bare { key.into() } else { quoted(key) };
    let _ = writeln!(text, "{key} = {value}");
}

fn settings(text: &mut String, settings: &BTreeMap<String, String>) {
    for (key, value) in settings {
        line(text, key, &setting(value));
    }
}

/// A setting's value, without quotes where it reads as a number or a switch and comes back the same.
fn setting(value: &str) -> String {
    let whole = value.parse::<i64>().is_ok_and(|number| number.to_string() == value);
    if whole || value == "true" || value == "false" { value.into() } else { quoted(value) }
}

fn rate(rate: f64) -> String {
    // Rust writes the shortest text that reads back the same, with `.0` or an exponent where TOML wants one.
    let text = format!("{rate:?}");
    text.strip_suffix(".0").map_or(text.clone(), String::from)
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
