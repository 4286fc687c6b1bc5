//! What a node holds, and the hashes over it.

use std::collections::BTreeMap;

use super::bugs::Bugs;
use super::object::Object;
use crate::tree;

/// Objects by key.
#[derive(Debug, Default)]
pub(super) struct Shelf(BTreeMap<String, Held>);

#[derive(Debug)]
struct Held {
    object: Object,
    /// Not known since the last change: large objects are hashed when they are compared, not whenever they change.
    hash: Option<u64>,
}

impl Shelf {
    pub(super) fn get(&self, key: &str) -> Option<&Object> {
        self.0.get(key).map(|held| &held.object)
    }

    /// Joins an object to what is under a key. True if anything changes.
    pub(super) fn join(&mut self, key: &str, delta: &Object, bugs: &Bugs) -> bool {
        let Some(held) = self.0.get_mut(key) else {
            self.0.insert(key.into(), Held { object: delta.clone(), hash: None });
            return true;
        };
        let changed = held.object.join(delta, bugs);
        if changed {
            held.hash = None;
        }
        changed
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Everything, by key.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&String, &Object)> {
        self.0.iter().map(|(key, held)| (key, &held.object))
    }

    /// What is under keys that begin with this one and a dot, by what follows the dot.
    pub(super) fn below(&self, key: &str) -> impl Iterator<Item = (&str, &Object)> {
        let prefix = format!("{key}.");
        let from = self.0.range(prefix.clone()..);
        from.map_while(move |(name, held)| Some((name.strip_prefix(&prefix)?, &held.object)))
    }

    /// The hash of each branch.
    pub(super) fn branches(&mut self) -> Vec<u64> {
        tree::branches(self.0.iter_mut().map(|(key, Held { object, hash })| {
            let leaf = hash.get_or_insert_with(|| {
                // Equal objects have equal texts: all in them is kept in order.
                tree::hash(&serde_json::to_vec(&(key, object)).unwrap_or_default())
            });
            (key.as_str(), *leaf)
        }))
    }

    /// What is held in some branches.
    pub(super) fn leaves(&self, branches: &[usize]) -> Vec<(String, Object)> {
        let meant = self.objects().filter(|(key, _)| branches.contains(&tree::branch(key)));
        meant.map(|(key, object)| (key.clone(), object.clone())).collect()
    }
}
