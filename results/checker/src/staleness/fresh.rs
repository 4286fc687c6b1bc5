//! What a read could have seen and still be fresh, and since when what it saw was not: for people, about one read.

use schism_history::History;

use super::tell::over;
use crate::verdict::{Anomaly, ProofStep};
use crate::versions::{Moment, Register, Version};

/// So many versions are named.
const NAMED: usize = 8;

/// Adds to an anomaly which versions were fresh when its culprit began, and since when the one that it saw was outdated.
/// Adds nothing if it saw a fresh one.
pub(super) fn add(history: &History, register: &Register<'_>, anomaly: &mut Anomaly) {
    let Some(read) = anomaly.culprit else { return };
    let operation = &history.rows()[read];
    let (began, ended) = (Moment::invoked(operation), Moment::completed(operation));
    let happened = || register.versions.iter().filter(|version| version.happened);
    let Some(seen) = happened().find(|version| version.reads.contains(&read)) else { return };
    let newer = happened().filter(|version| version.call > seen.done);
    let Some(first) = newer.min_by_key(|version| version.done).filter(|first| first.done < began) else {
        return;
    };
    let shown = first.shown_by.expect("somebody showed it before the read began");
    let row = &history.rows()[shown];
    anomaly.proof.push(ProofStep {
        what: "outdated since".into(),
        operations: vec![shown, read],
        values: vec![seen.value.to_string(), first.value.to_string()],
        because: format!(
            "{} was outdated from {} on, {:?} before it was read: {}.",
            seen.value,
            row.completed,
            operation.invoked.since(row.completed),
            over(row)
        ),
    });
    let latest = happened().filter(|version| version.done < began).map(|version| version.call).max();
    let fresh: Vec<&Version<'_>> = happened()
        .filter(|version| version.call < ended && latest.is_none_or(|latest| version.done >= latest))
        .collect();
    for version in fresh.iter().take(NAMED) {
        anomaly.possible_states.push(version.value.to_string());
        anomaly.proof.push(ProofStep {
            what: "fresh".into(),
            operations: version.writer.into_iter().collect(),
            values: vec![version.value.to_string()],
            because: since(history, version),
        });
    }
    let named: Vec<String> = fresh.iter().take(NAMED).map(|version| version.value.to_string()).collect();
    let others = if fresh.len() > NAMED { ", …" } else { "" };
    let last = &anomaly.proof[anomaly.proof.len() - named.len() - 1].because;
    let sentence =
        format!("Fresh when it began, at {}: {}{others}. {last}", operation.invoked, named.join(", "));
    anomaly.sentences.push(sentence);
}

/// Since when a version could be read.
fn since(history: &History, version: &Version<'_>) -> String {
    let Some(writer) = version.writer.map(|writer| &history.rows()[writer]) else {
        return format!("{} was there at first.", version.value);
    };
    match version.shown_by.map(|shown| &history.rows()[shown]) {
        Some(shown) => format!(
            "{} could be read from {} on, when its write began, and was there at {}, when {} was over.",
            version.value, writer.invoked, shown.completed, shown.call
        ),
        None => format!(
            "{} could be read from {} on, when its write began; nobody knows since when it was there.",
            version.value, writer.invoked
        ),
    }
}
