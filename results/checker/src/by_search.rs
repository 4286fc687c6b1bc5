//! One object judged by search, and what is said of it when the budget is over first or the model has no rule for it.

use schism_history::{History, Key, Operation};

use crate::linear::{Allowance, Effort, Entry, Finding, Spent, search};
use crate::model::Model;
use crate::verdict::{Budget, Doubt};

/// What a search found of one object.
pub(crate) struct Searched {
    pub(crate) finding: Finding,
    pub(crate) effort: Effort,
    /// Why nothing is known, if so.
    pub(crate) doubt: Option<Doubt>,
}

/// Judges one object by search. Its calls must be ones that the model has a rule for.
pub(crate) fn by_search<M: Model>(
    model: &M,
    history: &History,
    key: &Key,
    entries: &[Entry<'_>],
    allowance: &Allowance<'_>,
) -> Searched {
    let (finding, effort) = search(model, entries, allowance, u64::MAX);
    let doubt = match finding {
        Finding::GaveUp(spent) => Some(gave_up(history, key, entries, &effort, spent, allowance.budget())),
        _ => None,
    };
    Searched { finding, effort, doubt }
}

/// The first call that the model has no rule for.
pub(crate) fn strange<'e, 'h, M: Model>(model: &M, entries: &'e [Entry<'h>]) -> Option<&'e Entry<'h>> {
    entries.iter().find(|entry| !model.understands(entry.call, entry.ret))
}

/// These operations as rows, with their places in the history.
pub(crate) fn rows(history: &History, operations: &[u32]) -> Vec<(usize, Operation)> {
    operations.iter().map(|at| (*at as usize, history.operation(*at as usize))).collect()
}

/// Those of them that constrain the object.
pub(crate) fn entries(rows: &[(usize, Operation)]) -> Vec<Entry<'_>> {
    rows.iter().filter_map(|(at, operation)| Entry::of(*at, operation)).collect()
}

fn gave_up(
    history: &History,
    key: &Key,
    entries: &[Entry<'_>],
    effort: &Effort,
    spent: Spent,
    budget: Budget<'_>,
) -> Doubt {
    let what = match spent {
        Spent::Time => format!("the time ({} s)", budget.time.as_secs_f64()),
        Spent::Memory => format!("the memory ({} MiB)", budget.bytes >> 20),
        Spent::Steps => "the number of steps".to_string(),
    };
    let far = match effort.reached {
        Some(position) => {
            let operation = history.operation(position);
            let over = |entry: &&Entry<'_>| entry.ret.is_some() && entry.complete < operation.complete;
            let before = entries.iter().filter(over).count();
            format!("legal up to {} ({before} operations)", operation.completed)
        }
        None => "nothing proven yet".into(),
    };
    let reason = format!(
        "{what} was over while key {key} was searched: {far}; {} operations, up to {} pending at once, {} of unknown fate \
         that matter, {} configurations explored, up to {} side by side",
        entries.len(),
        effort.concurrency,
        effort.optional,
        effort.configurations,
        effort.widest,
    );
    let hint = match spent {
        Spent::Memory => {
            "raise check.memory (--memory of `schism check`), or use more keys, fewer clients a key, or unique values"
        }
        _ => {
            "raise check.time (--time of `schism check`), or use more keys, fewer clients a key, or unique values"
        }
    };
    Doubt { reason, hint: Some(hint.into()) }
}
