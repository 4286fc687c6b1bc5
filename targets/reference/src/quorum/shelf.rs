//! What a node holds, and the tree of hashes over it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::tree;
use crate::version::Version;

/// Versions by key.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(BTreeMap<String, Held>);

#[derive(Clone, Debug)]
struct Held {
    version: Version,
    /// By this node's monotonic clock.
    since: Duration,
}

impl Shelf {
    pub(super) fn get(&self, key: &str) -> Option<&Version> {
        self.0.get(key).map(|held| &held.version)
    }

    pub(super) fn put(&mut self, key: String, version: Version, now: Duration) {
        self.0.insert(key, Held { version, since: now });
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Everything, by key.
    pub(super) fn versions(&self) -> Vec<(String, Version)> {
        self.0.iter().map(|(key, held)| (key.clone(), held.version.clone())).collect()
    }

    /// The keys whose tombstones have stood for longer than the time of grace.
    pub(super) fn forgettable(&self, now: Duration, grace: Option<Duration>) -> Vec<String> {
        let Some(grace) = grace else { return Vec::new() };
        let is_over = |held: &Held| held.version.is_tombstone() && now.saturating_sub(held.since) > grace;
        self.0.iter().filter(|(_, held)| is_over(held)).map(|(key, _)| key.clone()).collect()
    }

    /// The hash of each branch, over the keys of which `is_shared` says so. `sees_stamps`: two versions of a key differ.
    pub(super) fn branches(&self, is_shared: impl Fn(&str) -> bool, sees_stamps: bool) -> Vec<u64> {
        let leaves = self.0.iter().filter(|(key, _)| is_shared(key)).map(|(key, Held { version, .. })| {
            let mut bytes = key.clone().into_bytes();
            if sees_stamps {
                let stamp = version.stamp;
                bytes.extend(
                    [stamp.counter, u64::from(stamp.node.0), stamp.number].map(u64::to_le_bytes).concat(),
                );
            }
            (key.as_str(), tree::hash(&bytes))
        });
        tree::branches(leaves)
    }

    /// What is held in some branches.
    pub(super) fn leaves(
        &self,
        branches: &[usize],
        is_shared: impl Fn(&str) -> bool,
    ) -> Vec<(String, Version)> {
        let is_meant = |key: &str| branches.contains(&tree::branch(key)) && is_shared(key);
        let meant = self.0.iter().filter(|(key, _)| is_meant(key));
        meant.map(|(key, held)| (key.clone(), held.version.clone())).collect()
    }
}
