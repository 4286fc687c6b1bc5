//! Single values of a plan's text, read or complained about. Each is given the name that it has there.

use std::time::Duration;

use schism_checker::Verdict;
use toml::de::DeValue;

use super::check::{CONCURRENCY, NODES, out_of_range};
use super::mistake::Complaint;
use super::overrides::{broken_max, nemesis, verdict};
use super::units::{duration, size};
use super::{NemesisPlan, Schedule};
use crate::budget::BrokenMax;

pub(super) fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text `{text}`"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a section".into(),
    }
}

fn wrong(name: &str, expected: &str, value: &DeValue<'_>) -> Complaint {
    Complaint::new(format!("{name} must be {expected}, not {}", described(value)))
}

pub(super) fn text(name: &str, value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = value.as_str().map(String::from);
    text.ok_or_else(|| wrong(name, "a text in quotes", value))
}

pub(super) fn whole(name: &str, value: &DeValue<'_>) -> Result<u64, Complaint> {
    ranged(name, value, 0..=u64::MAX)
}

pub(super) fn count(name: &str, value: &DeValue<'_>) -> Result<usize, Complaint> {
    ranged(name, value, 0..=u64::MAX).map(|number| number as usize)
}

pub(super) fn nodes(name: &str, value: &DeValue<'_>) -> Result<usize, Complaint> {
    ranged(name, value, NODES).map(|number| number as usize)
}

pub(super) fn concurrency(name: &str, value: &DeValue<'_>) -> Result<usize, Complaint> {
    ranged(name, value, CONCURRENCY).map(|number| number as usize)
}

fn ranged(name: &str, value: &DeValue<'_>, range: std::ops::RangeInclusive<u64>) -> Result<u64, Complaint> {
    if let Some(text) = value.as_str() {
        let complaint = wrong(name, "a whole number", value);
        let bare = text.parse::<u64>().is_ok();
        return Err(if bare { complaint.hint("write it without quotes") } else { complaint });
    }
    let number = value.as_integer().ok_or_else(|| wrong(name, "a whole number", value))?;
    let read = u64::from_str_radix(number.as_str(), number.radix()).ok();
    read.filter(|read| range.contains(read)).ok_or_else(|| out_of_range(name, &number.to_string(), &range))
}

pub(super) fn number(name: &str, value: &DeValue<'_>) -> Result<f64, Complaint> {
    let read = match value {
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n as f64)
        }
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    };
    read.ok_or_else(|| wrong(name, "a number", value))
}

pub(super) fn switch(name: &str, value: &DeValue<'_>) -> Result<bool, Complaint> {
    value.as_bool().ok_or_else(|| wrong(name, "`true` or `false`, without quotes", value))
}

pub(super) fn time(name: &str, value: &DeValue<'_>) -> Result<Duration, Complaint> {
    match value {
        DeValue::String(text) => duration(text),
        DeValue::Integer(number) => {
            Err(wrong(name, "a duration", value).hint(format!("did you mean `\"{number}s\"`?")))
        }
        _ => Err(wrong(name, "a duration", value).hint("write it as `\"20s\"`")),
    }
}

pub(super) fn memory(name: &str, value: &DeValue<'_>) -> Result<u64, Complaint> {
    match value.as_str() {
        Some(text) => size(text),
        None => Err(wrong(name, "a size", value).hint("write it as `\"2GiB\"`")),
    }
}

pub(super) fn schedule(name: &str, value: &DeValue<'_>) -> Result<Schedule, Complaint> {
    super::overrides::schedule(&text(name, value)?)
}

/// What a step of a script does: a nemesis in words, without a schedule.
pub(super) fn deed(name: &str, value: &DeValue<'_>) -> Result<NemesisPlan, Complaint> {
    let words = text(name, value)?;
    let scheduled =
        |part: &str| ["every", "lasts", "schedule"].contains(&part.split('=').next().unwrap_or("").trim());
    if let Some(part) = words.split(':').skip(1).find(|part| scheduled(part)) {
        let complaint = Complaint::new(format!("`{}` means nothing in a script", part.trim()));
        return Err(complaint.hint("a step happens once: say when by `at`, and for how long by `for`"));
    }
    nemesis(&words)
}

/// How many nodes may be broken at once.
pub(super) fn most(name: &str, value: &DeValue<'_>) -> Result<BrokenMax, Complaint> {
    let read = match value {
        DeValue::Integer(_) => {
            return ranged(name, value, 0..=99).map(|number| BrokenMax::Nodes(number as usize));
        }
        DeValue::String(text) => broken_max(text).ok(),
        _ => None,
    };
    read.ok_or_else(|| wrong(name, "a number, `\"minority\"` or `\"any\"`", value))
}

pub(super) fn expected(name: &str, value: &DeValue<'_>) -> Result<Option<Verdict>, Complaint> {
    verdict(&text(name, value)?).map(Some)
}

/// A setting's value: whatever has a plain text.
pub(super) fn plain(name: &str, value: &DeValue<'_>) -> Result<String, Complaint> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Float(number) => Ok(number.as_str().into()),
        DeValue::Integer(number) => {
            let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
            read.map(|number| number.to_string()).ok_or_else(|| wrong(name, "a smaller number", value))
        }
        _ => Err(wrong(name, "a text, a number, `true` or `false`", value)),
    }
}
