//! Linearizability of a register whose every value is written once, in linear time (Gibbons and Korach, 1997).
//!
//! Who wrote what each read saw is known then. The writer of a value and its readers are a *cluster*: in every legal
//! order they stand together, the writer first. A cluster must reach from its first return to its last invocation, if
//! that comes later, and can stand anywhere between the two, if not: its *zone*. Two clusters exclude each other if each
//! has an operation that was over before one of the other began, and there is a legal order if and only if no two do.
//! A successful cas welds the cluster it left to the one it made, see `chains`.
//!
//! It finds every violation, and nothing else, however many clients there are. It cannot judge a register to which a
//! value was written twice (or its initial value at all), nor other calls: those are for the search. A cas that failed
//! constrains nothing here, as everywhere.

mod chains;
mod columns;
mod numbers;
mod witness;

use std::hint::select_unpredictable;

use schism_history::{Numbers, Position, Value};

use crate::linear::{Allowance, Effort, Entry, Finding, Holding};

pub use columns::Columns;

/// Later than any position: an operation that may take effect for ever returns then.
const NEVER: u32 = u32::MAX;

/// What a register's operations prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zones {
    /// There is a legal order.
    Linearizable,
    /// There is none.
    NotLinearizable(Conflict),
    /// A value was written twice: who wrote what a read saw is not known.
    NotApplicable,
}

/// Why there is no legal order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The rule that is broken.
    pub rule: Rule,
    /// Ends of the operations that break it, as the columns count: one more than their positions in the history.
    ends: Vec<u32>,
    /// Up to where the columns were looked at.
    until: u32,
}

/// What holds in every legal order of a register's operations, each value written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A value that is seen was written, by a write that began before it was seen.
    WrittenBefore,
    /// A value is left by one cas at most.
    ChangedOnce,
    /// No value comes about by a change of itself, by however many steps.
    NoCycle,
    /// Along a chain of cas, what comes later is not over before what comes earlier began.
    ChainOrder,
    /// Of two clusters one can come first.
    ZonesApart,
}

/// The zone of a cluster, or of several welded together; and when its writer began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cluster {
    /// The first return in it.
    first_return: u32,
    /// The last invocation in it.
    last_invoke: u32,
    /// The invocation of its writer.
    written: u32,
}

impl Cluster {
    const EMPTY: Cluster = Cluster { first_return: NEVER, last_invoke: 0, written: NEVER };
    /// The initial value was written before everything, by nobody.
    const INITIAL: Cluster = Cluster { first_return: 0, last_invoke: 0, written: 0 };
}

impl Columns {
    /// Judges the register. Takes time and memory in proportion to the operations, whatever the number of clients: two
    /// passes over the columns.
    pub fn judge(&self) -> Zones {
        self.judge_before::<false>(NEVER)
    }

    /// Judges what had happened when the operation returned whose end this is: what was invoked later is left out, and
    /// of what was pending nobody knows whether it happened.
    fn judge_until(&self, end: u32) -> Zones {
        self.judge_before::<true>(end)
    }

    fn judge_before<const CUT: bool>(&self, end: u32) -> Zones {
        let Some(clusters) = self.clusters::<CUT>(end) else { return Zones::NotApplicable };
        let count = self.begun_before(end);
        let conflict = if self.changes.is_empty() {
            self.apart(count, &clusters)
        } else {
            written_before(&clusters)
                .and_then(|()| self.welded(count, &clusters))
                .and_then(|welded| self.apart(count, &welded))
        };
        match conflict {
            Ok(()) => Zones::Linearizable,
            Err((rule, ends)) => Zones::NotLinearizable(Conflict { rule, ends, until: end }),
        }
    }

    fn begun_before(&self, end: u32) -> usize {
        if end == NEVER { self.invoke.len() } else { self.invoke.partition_point(|invoke| *invoke < end) }
    }

    /// The cluster of each value; `None` if one was written twice.
    ///
    /// Not inlined: its caller's other variables would push the loop's out of the registers.
    #[inline(never)]
    fn clusters<const CUT: bool>(&self, end: u32) -> Option<Vec<Cluster>> {
        let mut clusters = vec![Cluster::EMPTY; self.values as usize];
        clusters[0] = Cluster::INITIAL;
        let count = self.begun_before(end);
        let mut twice = false;
        let ends = self.invoke[..count].iter().zip(&self.complete[..count]);
        for ((&invoke, &complete), &value) in ends.zip(&self.value[..count]) {
            let writes = value & columns::WRITES != 0;
            let complete = match complete {
                later if CUT && later > end && writes => NEVER,
                later if CUT && later > end => continue,
                complete => complete,
            };
            let cluster = &mut clusters[(value & !columns::WRITES) as usize];
            cluster.first_return = cluster.first_return.min(complete);
            // Invocations come in order: this is the last so far.
            cluster.last_invoke = invoke;
            twice |= writes & (cluster.written != NEVER);
            cluster.written = select_unpredictable(writes, invoke, cluster.written);
        }
        (!twice).then_some(clusters)
    }

    /// Whether every value was written before it was seen, and no two clusters exclude each other: each with an operation
    /// that was over before one of the other began.
    ///
    /// From the last invocation back, a cluster is met first at its own last one. Of those met before, it is enough to
    /// hold it against the one, `far`, whose first return is the earliest. Say the cluster excludes another one, `other`,
    /// met before, but not `far`. Then `far` was over before the cluster, and so before `other`, could be; but `other`
    /// returned first before `far` invoked last. So those two exclude each other, which was seen when `far` was met.
    ///
    /// Half of all operations are the last of their cluster, in no order a processor could guess: what is true of those
    /// alone is computed for all, without a branch.
    fn apart(&self, count: usize, clusters: &[Cluster]) -> Result<(), Broken> {
        let mut far = Cluster::EMPTY;
        for (&invoke, &value) in self.invoke[..count].iter().zip(&self.value[..count]).rev() {
            let cluster = clusters[(value & !columns::WRITES) as usize];
            // A cluster that never returns breaks no rule.
            let last = cluster.last_invoke == invoke;
            let first_return = select_unpredictable(last, cluster.first_return, NEVER);
            let excludes = (far.first_return < cluster.last_invoke) & (first_return < far.last_invoke);
            if excludes | (first_return < cluster.written) {
                return Err(cluster.against(&far));
            }
            let farther = first_return < far.first_return;
            far.last_invoke = select_unpredictable(farther, cluster.last_invoke, far.last_invoke);
            far.first_return = far.first_return.min(first_return);
        }
        Ok(())
    }
}

/// A rule, and the ends of the operations that break it.
type Broken = (Rule, Vec<u32>);

impl Cluster {
    /// Which rule it breaks, if not by itself then together with another one.
    fn against(&self, other: &Cluster) -> Broken {
        if self.first_return < self.written {
            return (Rule::WrittenBefore, vec![self.first_return]);
        }
        let ends = [other.first_return, other.last_invoke, self.first_return, self.last_invoke];
        (Rule::ZonesApart, ends.to_vec())
    }
}

/// Whether every value that was seen was written by then. A cluster nobody saw has its writer's own return at most.
fn written_before(clusters: &[Cluster]) -> Result<(), Broken> {
    match clusters.iter().find(|cluster| cluster.first_return < cluster.written) {
        Some(cluster) => Err(cluster.against(&Cluster::EMPTY)),
        None => Ok(()),
    }
}

/// Whether these operations on a register are proven linearizable, straight from the columns of the history. `initial` is
/// the number of what it holds at first. If not, nothing is said: [`judge`] says more.
pub(crate) fn linearizable(
    history: &schism_history::Columns,
    operations: &[u32],
    initial: u32,
    numbers: &mut Numbers,
    allowance: &Allowance<'_>,
) -> bool {
    let mut holding = Holding::new(allowance);
    if holding.grow(columns::bytes(operations.len())).is_err() {
        return false;
    }
    let columns = Columns::of_operations(history, operations, initial, numbers);
    columns.is_some_and(|columns| columns.judge() == Zones::Linearizable)
}

/// A register that was judged: what was found, and where there is no legal order, the few operations that show it, in
/// the order of invocation.
pub(crate) struct Judged<'h> {
    pub(crate) finding: Finding,
    pub(crate) effort: Effort,
    pub(crate) part: Vec<Entry<'h>>,
}

/// Judges the operations on a register that holds `initial` at first. `None` if it cannot, or has not the memory.
///
/// What is shown of a violation is the first one: bisected to the return that could not be explained.
pub(crate) fn judge<'h>(
    entries: &[Entry<'h>],
    initial: &Value,
    allowance: &Allowance<'_>,
) -> Option<Judged<'h>> {
    let mut holding = Holding::new(allowance);
    holding.grow(columns::bytes(entries.len())).ok()?;
    let columns = Columns::of(entries, initial)?;
    let mut judged = Judged { finding: Finding::Linearizable, effort: Effort::default(), part: Vec::new() };
    match columns.judge() {
        Zones::NotApplicable => return None,
        Zones::Linearizable => {}
        Zones::NotLinearizable(conflict) => {
            let conflict = columns.first_conflict(conflict, &|| allowance.over());
            judged.finding = Finding::NotLinearizable;
            judged.part = columns
                .witness(&conflict)
                .into_iter()
                .map(|invoke| entries[entries.partition_point(|entry| entry.invoke < invoke)])
                .collect();
            judged.effort.reached = judged
                .part
                .iter()
                .filter(|entry| entry.ret.is_some() && after(entry.complete) <= conflict.until)
                .max_by_key(|entry| entry.complete)
                .map(|entry| entry.operation);
        }
    }
    Some(judged)
}

/// A position as the columns count: zero is before all of them.
fn after(position: Position) -> u32 {
    position.saturating_add(1)
}
