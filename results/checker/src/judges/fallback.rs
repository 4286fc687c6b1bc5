//! The search for objects: what judges a key whose operations do not satisfy the condition of its linear judge.
//!
//! The models say the same as the judges do, for equal elements, too. A set that is only asked for one element at a time
//! is searched element by element: no answer says anything of two.

use std::collections::BTreeMap;

use schism_history::{CallKind, History, Key};

use super::Object;
use crate::by_search::{Searched, by_search, entries, rows, strange};
use crate::explain::{self, Case};
use crate::linear::{Allowance, Finding};
use crate::model::{Collection, Counter, Element, FencedLock, Log, Model, Mutex, Set};
use crate::verdict::{Anomaly, Doubt};

/// Evaluates an expression with the model of an object; `None` if it has none.
macro_rules! with_model {
    ($object:expr, $by_element:expr, |$model:ident| $said:expr) => {
        match $object {
            Object::Elements if $by_element => Some(with_model!(@ Element, $model, $said)),
            Object::Elements | Object::GrowingSet => Some(with_model!(@ Set, $model, $said)),
            Object::Log => Some(with_model!(@ Log, $model, $said)),
            Object::Queue => Some(with_model!(@ Collection::Queue, $model, $said)),
            Object::Bag | Object::TotalQueue => Some(with_model!(@ Collection::Bag, $model, $said)),
            Object::PriorityQueue => Some(with_model!(@ Collection::PriorityQueue, $model, $said)),
            Object::Stack => Some(with_model!(@ Collection::Stack, $model, $said)),
            Object::Counter => Some(with_model!(@ Counter, $model, $said)),
            Object::Semaphore => Some(with_model!(@ Mutex, $model, $said)),
            Object::Fencing => Some(with_model!(@ FencedLock { expires: true }, $model, $said)),
            // Calls do not say who calls, identifiers need no order, and a model knows no time.
            Object::Mutex | Object::Ids | Object::Lease { .. } => None,
        }
    };
    (@ $of:expr, $model:ident, $said:expr) => {{
        let $model = &$of;
        $said
    }};
}

/// What the search says of one key.
#[derive(Default)]
pub(super) struct Found {
    /// The operations that have no legal order.
    pub(super) illegal: Option<Vec<u32>>,
    /// Why it is not known whether there is one.
    pub(super) doubt: Option<Doubt>,
    pub(super) configurations: u64,
}

/// Whether there is a search for this kind of object.
pub(super) fn searchable(object: Object) -> bool {
    with_model!(object, true, |_model| ()).is_some()
}

/// Searches for a legal order of the operations on one key.
///
/// # Errors
/// The first call that the model has no rule for; or that there is no model.
pub(super) fn search(
    object: Object,
    history: &History,
    key: &Key,
    operations: &[u32],
    allowance: &Allowance<'_>,
) -> Result<Found, String> {
    let mut found = Found::default();
    let parts = parts(object, history, operations);
    for part in parts {
        let of_part = with_model!(object, by_element(history, &part), |model| {
            searched(model, history, key, &part, allowance)
        });
        let Searched { finding, effort, doubt } =
            of_part.ok_or_else(|| format!("nobody can search for the order of a {}", object.name()))??;
        found.configurations += effort.configurations;
        match finding {
            Finding::Linearizable => {}
            Finding::NotLinearizable => {
                found.illegal = Some(part);
                return Ok(found);
            }
            Finding::GaveUp(_) => found.doubt = found.doubt.or(doubt),
        }
    }
    Ok(found)
}

/// Why operations on one key that have no legal order have none.
///
/// # Errors
/// When a second judge disagrees.
pub(super) fn explain(
    object: Object,
    history: &History,
    key: &Key,
    illegal: &[u32],
    allowance: &Allowance<'_>,
) -> Result<Anomaly, Doubt> {
    let rows = rows(history, illegal);
    let case = Case { history, key, entries: &entries(&rows) };
    let told = with_model!(object, by_element(history, illegal), |model| {
        explain::explain(model, &case, allowance)
    });
    told.expect("only called with what was searched")
}

/// Adds to what a linear judge found what the state could have been before it, and who could not come next: by following
/// its few operations alone, through all that is possible.
pub(super) fn add_states(object: Object, history: &History, key: &Key, anomaly: &mut Anomaly) {
    let witness: Vec<u32> = anomaly.witness.iter().map(|at| *at as u32).collect();
    let rows = rows(history, &witness);
    let entries = entries(&rows);
    let case = Case { history, key, entries: &entries };
    // Whoever holds a lock that only its holder gives back: that it is held is all there is to know.
    let object = if object == Object::Mutex { Object::Semaphore } else { object };
    with_model!(object, by_element(history, &witness), |model| {
        if strange(model, &entries).is_none() {
            explain::add_states(model, &case, anomaly);
        }
    });
}

fn searched<M: Model>(
    model: &M,
    history: &History,
    key: &Key,
    operations: &[u32],
    allowance: &Allowance<'_>,
) -> Result<Searched, String> {
    let rows = rows(history, operations);
    let entries = entries(&rows);
    match strange(model, &entries) {
        Some(entry) => Err(format!("a {} has no rule for {}", model.name(), entry.call)),
        None => Ok(by_search(model, history, key, &entries, allowance)),
    }
}

/// Whether each of the calls is about one element.
fn by_element(history: &History, operations: &[u32]) -> bool {
    let about_one = |kind| matches!(kind, CallKind::Add | CallKind::Remove | CallKind::Contains);
    operations.iter().all(|at| about_one(history.columns().kind()[*at as usize]))
}

/// What can be judged by itself.
fn parts(object: Object, history: &History, operations: &[u32]) -> Vec<Vec<u32>> {
    if object != Object::Elements || !by_element(history, operations) {
        return vec![operations.to_vec()];
    }
    let mut of: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for at in operations {
        of.entry(history.columns().argument()[*at as usize]).or_default().push(*at);
    }
    of.into_values().collect()
}
