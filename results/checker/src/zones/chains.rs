//! Chains of cas. A cas from `a` to `b` that happened stands right after the cluster of `a`, since `a` is there only
//! once: the clusters of `a` and `b` are welded into one, and stand in that order.
//!
//! A cas or write nobody knows the fate of happened if its value was seen, or left by a cas that happened; if not, it
//! can be left out of every legal order, and it is.

use super::columns::WRITES;
use super::{Broken, Cluster, Columns, NEVER, Rule};

/// No value.
const NONE: u32 = u32::MAX;

/// For each value, the value it came from by a cas, and the one it went to.
pub(super) struct Links {
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
}

impl Links {
    /// The value that a value came from by a cas, if it did.
    pub(super) fn before(&self, value: u32) -> Option<u32> {
        Some(self.before[value as usize]).filter(|value| *value != NONE)
    }

    /// The value that a value went to by a cas that happened, if it did.
    pub(super) fn after(&self, value: u32) -> Option<u32> {
        Some(self.after[value as usize]).filter(|value| *value != NONE)
    }

    /// From a value that a cas led to, down to one that some returned operation saw or wrote. There is one: why else
    /// would the cas have happened?
    pub(super) fn proof(&self, value: u32, clusters: &[Cluster]) -> u32 {
        let mut at = value;
        while clusters[at as usize].first_return == NEVER
            && let Some(next) = self.after(at)
        {
            at = next;
        }
        at
    }
}

impl Columns {
    /// The clusters with those welded together as one: of each chain, the cluster that invokes last stands for all, and
    /// the others are as if nobody had invoked anything.
    pub(super) fn welded(&self, count: usize, clusters: &[Cluster]) -> Result<Vec<Cluster>, Broken> {
        let (mut links, broken) = self.links(count, clusters);
        if let Some(broken) = broken {
            return Err(broken);
        }
        let mut welded = clusters.to_vec();
        for (to, from) in self.changes_before(count) {
            if links.after(from) == Some(to) && links.before(from).is_none() {
                weld(from, &mut links, clusters, &mut welded)?;
            }
        }
        // What has a beginning was welded, and its links taken away.
        for (to, from) in self.changes_before(count) {
            if links.after(from) == Some(to) {
                let proof = links.proof(to, clusters);
                return Err((Rule::NoCycle, vec![clusters[proof as usize].first_return]));
            }
        }
        Ok(welded)
    }

    /// The values each cas led to and from, in the order of invocation.
    fn changes_before(&self, count: usize) -> impl Iterator<Item = (u32, u32)> {
        let begun = self.changes.partition_point(|change| (change.operation as usize) < count);
        self.changes[..begun]
            .iter()
            .map(|change| (self.value[change.operation as usize] & !WRITES, change.from))
    }

    /// All links of which it is known that they came about, and the first rule that this breaks.
    pub(super) fn links(&self, count: usize, clusters: &[Cluster]) -> (Links, Option<Broken>) {
        let nothing = vec![NONE; self.values as usize];
        let mut links = Links { before: nothing.clone(), after: nothing };
        for (to, from) in self.changes_before(count) {
            links.before[to as usize] = from;
        }
        let mut broken = None;
        for (to, _) in self.changes_before(count) {
            let seen = clusters[to as usize].first_return;
            if seen == NEVER {
                continue;
            }
            let mut at = to;
            while let Some(from) = links.before(at) {
                if clusters[from as usize].written == NEVER {
                    broken.get_or_insert((Rule::WrittenBefore, vec![seen]));
                }
                match links.after(from) {
                    Some(known) if known == at => break,
                    Some(other) => {
                        let other = clusters[links.proof(other, clusters) as usize].first_return;
                        broken.get_or_insert((Rule::ChangedOnce, vec![seen, other]));
                        break;
                    }
                    None => links.after[from as usize] = at,
                }
                at = from;
            }
        }
        (links, broken)
    }
}

/// Welds the chain that begins with this value, and takes its links away.
fn weld(first: u32, links: &mut Links, clusters: &[Cluster], welded: &mut [Cluster]) -> Result<(), Broken> {
    let mut whole = clusters[first as usize];
    let (mut at, mut last) = (first, first);
    while let Some(next) = links.after(at) {
        links.after[at as usize] = NONE;
        welded[at as usize].last_invoke = 0;
        let cluster = clusters[next as usize];
        if cluster.first_return < whole.last_invoke {
            return Err((Rule::ChainOrder, vec![cluster.first_return, whole.last_invoke]));
        }
        whole.first_return = whole.first_return.min(cluster.first_return);
        if cluster.last_invoke > whole.last_invoke {
            whole.last_invoke = cluster.last_invoke;
            last = next;
        }
        at = next;
    }
    welded[at as usize].last_invoke = 0;
    welded[last as usize] = whole;
    Ok(())
}
