//! Which operations belong together, and the history without some of them.

use rustc_hash::{FxHashMap, FxHashSet};
use schism_history::{CallKind, Columns, History, Operation, Outcome, Ret, Status, Value};

use super::{Out, Wholes};

/// Not a unit of anything.
const NONE: u32 = u32::MAX;

/// A history taken apart.
pub(super) struct Parts<'h> {
    history: &'h History,
    /// The value or process of an operation's key that it is about; a cas is about two, what it asked for first.
    units_of: Vec<[u32; 2]>,
    /// The key of each unit.
    key_of: Vec<u32>,
    /// The units of the elements of lists, by key and value.
    elements: FxHashMap<(u32, &'h Value), u32>,
    /// The keys that hold elements: a list that is read there is all of them. Elsewhere a list is a value like any other.
    collections: FxHashSet<u32>,
}

impl<'h> Parts<'h> {
    pub(super) fn of(history: &'h History, wholes: Wholes) -> Self {
        let columns = history.columns();
        let mut units: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        let mut key_of = Vec::new();
        let mut unit = |key: u32, word: u32| {
            *units.entry((key, word)).or_insert_with(|| {
                key_of.push(key);
                key_of.len() as u32 - 1
            })
        };
        let mut units_of = Vec::with_capacity(columns.len());
        // An append that says its offset tells how many others there are: then no value can go.
        let fixed: FxHashSet<u32> = (0..columns.len())
            .filter(|at| columns.kind()[*at] == CallKind::Append && columns.status()[*at] == Status::Answered)
            .map(|at| columns.key()[at])
            .collect();
        let collections = collections(columns);
        for at in 0..columns.len() {
            let key = columns.key()[at];
            units_of.push(match wholes {
                Wholes::Values if !fixed.contains(&key) => values(columns, at, collections.contains(&key))
                    .map(|value| if value == NONE { NONE } else { unit(key, value) }),
                Wholes::Processes => [unit(key, columns.process()[at]), NONE],
                _ => [NONE, NONE],
            });
        }
        let elements = units
            .iter()
            .filter(|_| wholes == Wholes::Values)
            .map(|((key, value), unit)| ((*key, &columns.values()[*value as usize]), *unit));
        let elements = elements.collect();
        Parts { history, units_of, key_of, elements, collections }
    }

    /// All keys that are left.
    pub(super) fn keys(&self, out: &Out) -> Vec<usize> {
        let keys: FxHashSet<u32> = self.history.columns().key().iter().copied().collect();
        let mut keys: Vec<usize> =
            keys.into_iter().filter(|key| !out.keys.contains(key)).map(|key| key as usize).collect();
        keys.sort_unstable();
        keys
    }

    /// All units that are left.
    pub(super) fn units(&self, out: &Out) -> Vec<usize> {
        let left =
            |unit: &usize| !out.units.contains(&(*unit as u32)) && !out.keys.contains(&self.key_of[*unit]);
        (0..self.key_of.len()).filter(left).collect()
    }

    pub(super) fn units_of_kept_keys(&self, out: &Out) -> usize {
        out.units.iter().filter(|unit| !out.keys.contains(&self.key_of[**unit as usize])).count()
    }

    /// All observers that are left.
    pub(super) fn observers(&self, out: &Out) -> Vec<usize> {
        let columns = self.history.columns();
        (0..columns.len()).filter(|at| observes(columns, *at) && !self.is_out(*at, out)).collect()
    }

    /// How many operations are out alone.
    pub(super) fn single(&self, out: &Out) -> usize {
        let others = Out { operations: FxHashSet::default(), ..out.clone() };
        out.operations.iter().filter(|at| !self.is_out(**at, &others)).count()
    }

    /// With a unit goes what was made from it by cas.
    pub(super) fn close(&self, out: &mut Out) {
        loop {
            let before = out.units.len();
            for [asked, left] in &self.units_of {
                if *left != NONE && out.units.contains(asked) {
                    out.units.insert(*left);
                }
            }
            if out.units.len() == before {
                return;
            }
        }
    }

    /// All that these operations do not speak of, nor what theirs was made from.
    pub(super) fn all_but(&self, witness: &[usize]) -> Out {
        let columns = self.history.columns();
        let keys: FxHashSet<u32> = witness.iter().map(|at| columns.key()[*at]).collect();
        let mut units: FxHashSet<u32> = witness.iter().flat_map(|at| self.units_of[*at]).collect();
        for at in witness {
            let key = columns.key()[*at];
            if let Some(items) = self.list(&self.history.operation(*at), key) {
                units.extend(items.iter().filter_map(|item| self.elements.get(&(key, item))));
            }
        }
        loop {
            let before = units.len();
            for [asked, left] in self.units_of.iter().rev() {
                if *left != NONE && units.contains(left) {
                    units.insert(*asked);
                }
            }
            if units.len() == before {
                break;
            }
        }
        let mut out = Out {
            keys: self.keys(&Out::default()).into_iter().map(|key| key as u32).collect(),
            ..Out::default()
        };
        out.keys.retain(|key| !keys.contains(key));
        out.units = self.units(&out).into_iter().map(|unit| unit as u32).collect();
        out.units.retain(|unit| !units.contains(unit));
        self.close(&mut out);
        out
    }

    fn list<'o>(&self, operation: &'o Operation, key: u32) -> Option<&'o [Value]> {
        operation.read().filter(|_| self.collections.contains(&key)).and_then(Value::elements)
    }

    fn is_out(&self, at: usize, out: &Out) -> bool {
        out.keys.contains(&self.history.columns().key()[at])
            || self.units_of[at].iter().any(|unit| out.units.contains(unit))
            || out.operations.contains(&at)
    }

    /// The history without all that, and where each operation that is left stood.
    pub(super) fn without(&self, out: &Out) -> (History, Vec<usize>) {
        let kept: Vec<usize> = (0..self.history.len()).filter(|at| !self.is_out(*at, out)).collect();
        let operations = kept.iter().map(|at| self.cleaned(*at, out));
        (self.history.with(operations), kept)
    }

    /// An operation whose answer has lost what is out.
    fn cleaned(&self, at: usize, out: &Out) -> Operation {
        let mut operation = self.history.operation(at);
        let key = self.history.columns().key()[at];
        let gone =
            |item: &&Value| self.elements.get(&(key, *item)).is_some_and(|unit| out.units.contains(unit));
        if let Some(items) = self.list(&operation, key)
            && items.iter().any(|item| gone(&item))
        {
            let left: Vec<Value> = items.iter().filter(|item| !gone(item)).cloned().collect();
            operation.outcome = Outcome::Ok(Ret::Value(Value::list(left)));
        }
        operation
    }
}

/// The keys to which elements are added.
pub(super) fn collections(columns: &Columns) -> FxHashSet<u32> {
    use CallKind::{Add, Append, Contains, Remove};
    let adds = |kind: &CallKind| matches!(kind, Add | Append | Contains | Remove);
    let keys = columns.kind().iter().zip(columns.key()).filter(|(kind, _)| adds(kind));
    keys.map(|(_, key)| *key).collect()
}

/// The values an operation is about, by number: of a cas what it asked for and what it left, of all others one at most.
fn values(columns: &Columns, at: usize, in_collection: bool) -> [u32; 2] {
    let (argument, answered) = (columns.argument()[at], columns.status()[at] == Status::Answered);
    match columns.kind()[at] {
        CallKind::Cas => columns.swaps()[argument as usize],
        CallKind::Write
        | CallKind::Add
        | CallKind::Remove
        | CallKind::Contains
        | CallKind::Append
        | CallKind::Enqueue
        | CallKind::Push
        | CallKind::Use => [argument, NONE],
        CallKind::Read | CallKind::Dequeue | CallKind::Pop | CallKind::Generate | CallKind::Acquire
            if answered =>
        {
            let answer = columns.answer()[at];
            let is_list = in_collection && columns.values()[answer as usize].elements().is_some();
            // Nothing at all is no element: a take that found none is an observer.
            let nothing = columns.kind()[at] != CallKind::Read && answer == Columns::NIL;
            [if is_list || nothing { NONE } else { answer }, NONE]
        }
        _ => [NONE, NONE],
    }
}

/// Whether leaving it out alone takes nothing from what others can rest on.
fn observes(columns: &Columns, at: usize) -> bool {
    let found_nothing = columns.status()[at] == Status::Answered && columns.answer()[at] == Columns::NIL;
    match columns.kind()[at] {
        CallKind::Read | CallKind::Contains | CallKind::Watch => true,
        CallKind::Txn => !columns.call(at).changes(),
        CallKind::Dequeue | CallKind::Pop if found_nothing => true,
        // What failed left nothing, but what it would have left may have been seen: that goes as a whole.
        kind => columns.status()[at] == Status::Fail && (kind.is_bare() || kind == CallKind::Increment),
    }
}
