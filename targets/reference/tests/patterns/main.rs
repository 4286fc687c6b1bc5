//! The families without a consensus log in the simulated world: each mode keeps what it claims under the faults its claim
//! allows, gives up what theory says it gives up, and every planted bug is found.
//!
//! `SCHISM_SEEDS=1000` tries a thousand seeds of each correct mode instead of the usual few.

mod cases;
mod causal;
mod multi;
mod sharded;

use schism_history::{Call, History, Operation, Outcome, Time, Value};
use schism_reference::simulation::{Habit, Simulated};

use cases::Case;

// What is asked.

/// In the end every node answers alike, and no key shows less than was acknowledged.
fn converges(simulated: &Simulated) -> bool {
    let history = simulated.history();
    let of_key = finals(&history);
    simulated.is_answered
        && of_key.iter().all(|finals| finals.windows(2).all(|two| two[0].read() == two[1].read()))
        && is_durable(simulated)
}

/// In the end no node answers with what had been replaced by an acknowledged write.
fn is_durable(simulated: &Simulated) -> bool {
    let history = simulated.history();
    finals(&history).iter().flatten().all(|read| !is_overtaken(&history, read))
}

/// At no time is an old value read once another was acknowledged after it.
fn is_never_stale(simulated: &Simulated) -> bool {
    let history = simulated.history();
    history.operations().filter(|read| read.read().is_some()).all(|read| !is_overtaken(&history, &read))
}

/// No read shows what had been replaced by an acknowledged write more than 300 ms before it began.
fn is_at_most_so_stale(simulated: &Simulated) -> bool {
    const BOUND: u64 = 300_000_000;
    let history = simulated.history();
    let reads = history.operations().filter(|read| read.read().is_some());
    reads.map(|read| Operation { invoked: Time(read.invoked.0.saturating_sub(BOUND)), ..read }).all(|read| {
        let ended_by_then = |write: &Operation| write.completed < read.invoked;
        !is_overtaken_by(&history, &read, ended_by_then)
    })
}

/// The final reads, by key.
fn finals(history: &History) -> Vec<Vec<Operation>> {
    let began =
        history.phases.iter().find(|(_, phase)| phase == "final").map_or(Time(u64::MAX), |(at, _)| *at);
    let mut by_key = std::collections::BTreeMap::<Value, Vec<Operation>>::new();
    for read in history.operations().filter(|read| read.read().is_some() && read.invoked >= began) {
        by_key.entry(read.call.key().clone()).or_default().push(read);
    }
    by_key.into_values().collect()
}

/// Whether what a read saw was written before an acknowledged write began that ended before the read.
fn is_overtaken(history: &History, read: &Operation) -> bool {
    is_overtaken_by(history, read, |write| write.precedes(read))
}

/// The same for acknowledged writes of which `counts` says so.
fn is_overtaken_by(history: &History, read: &Operation, counts: impl Fn(&Operation) -> bool) -> bool {
    let Some(seen) = read.read() else { return false };
    let writes = || {
        history.operations().filter(|write| write.call.key() == read.call.key()).filter_map(|write| {
            match &write.call {
                Call::Write { value, .. } => Some((value.clone(), write)),
                _ => None,
            }
        })
    };
    let source = writes().filter(|(value, _)| value == seen).map(|(_, write)| write);
    let sources: Vec<Operation> = source.filter(|write| !matches!(write.outcome, Outcome::Fail(_))).collect();
    // A nil may be any of several deletes, or the beginning: it is overtaken if all of them are.
    let begins_so = *seen == Value::Nil;
    writes().any(|(value, later)| {
        let is_between = matches!(later.outcome, Outcome::Ok(_)) && counts(&later) && value != *seen;
        is_between
            && (begins_so || !sources.is_empty())
            && sources.iter().all(|source| source.precedes(&later))
    })
}

// primary.

const SYNC: Case = Case::of("primary", &[]);
const ASYNC: Case = Case::of("primary", &[("replication", "async")]);

#[test]
fn a_primary_in_sync_is_linearizable_whatever_happens() {
    SYNC.is_never_broken();
}

#[test]
fn semi_sync_with_a_majority_is_linearizable() {
    Case::of("primary", &[("replication", "semi-sync"), ("acks", "2")]).is_never_broken();
}

#[test]
fn async_replication_loses_acknowledged_writes_on_failover() {
    ASYNC.under("partitions").keeping(is_never_stale).is_broken_in(20);
}

#[test]
fn reads_of_any_node_are_stale() {
    Case::of("primary", &[("reads", "any")]).under("partitions").is_broken_in(50);
}

#[test]
fn bounded_reads_stay_within_their_bound() {
    Case::of("primary", &[("reads", "bounded"), ("bound-ms", "300")])
        .under("partitions")
        .keeping(is_at_most_so_stale)
        .is_never_broken();
    Case::of("primary", &[("reads", "any")])
        .under("partitions")
        .keeping(is_at_most_so_stale)
        .is_broken_in(30);
}

#[test]
fn every_bug_of_primary_is_found() {
    SYNC.with("ack-unreplicated").under("partitions").is_broken_in(35);
    SYNC.with("no-fencing").under("partitions").is_broken_in(20);
    SYNC.with("lease-unchecked").under("partitions").is_broken_in(4);
    SYNC.with("lease-on-wall-clock").under("clocks-and-pauses").is_broken_in(2);
    SYNC.with("votes-for-anyone").under("partitions").is_broken_in(25);
    SYNC.with("dirty-reads").under("partitions").is_broken_in(12);
    SYNC.with("ack-before-fsync").under("power-cuts").is_broken_in(30);
    Case::of("primary", &[("reads", "bounded"), ("bound-ms", "300")])
        .with("bound-unchecked")
        .under("partitions")
        .keeping(is_at_most_so_stale)
        .is_broken_in(20);
}

// quorum.

const ATOMIC: Case = Case::of("quorum", &[]);
const SLOPPY: Case = Case::of(
    "quorum",
    &[("n", "3"), ("w", "2"), ("r", "1"), ("sloppy", "true"), ("stamps", "wall"), ("write-back", "false")],
);
/// Nothing but anti-entropy brings homes together; with many keys, some are not written again once they differ.
const UNREPAIRED: Case = Case::of(
    "quorum",
    &[("w", "3"), ("r", "1"), ("stamps", "wall"), ("read-repair", "false"), ("write-back", "false")],
)
.on_many_keys()
.under("partitions")
.keeping(converges);

#[test]
fn anti_entropy_alone_makes_homes_converge() {
    UNREPAIRED.is_never_broken();
}

#[test]
fn quorums_that_overlap_and_write_back_are_atomic_registers() {
    ATOMIC.is_never_broken();
    Case::of("quorum", &[("n", "3")]).is_never_broken();
    Case::of("quorum", &[("w", "4"), ("r", "2")]).is_never_broken();
}

#[test]
fn without_write_back_overlapping_quorums_are_not_linearizable() {
    Case::of("quorum", &[("w", "4"), ("r", "2"), ("write-back", "false")])
        .under("partitions")
        .is_broken_in(30);
}

#[test]
fn without_write_back_overlapping_quorums_are_never_behind_what_was_acknowledged() {
    Case::of("quorum", &[("write-back", "false")]).keeping(is_never_stale).is_never_broken();
}

#[test]
fn quorums_that_do_not_overlap_read_the_past() {
    let one = Case::of("quorum", &[("w", "1"), ("r", "1"), ("write-back", "false")]);
    one.under("partitions").keeping(is_never_stale).is_broken_in(50);
}

#[test]
fn sloppy_quorums_converge_to_what_was_acknowledged_once_hints_are_handed_over() {
    SLOPPY.under("partitions").keeping(converges).is_never_broken();
    SLOPPY.on_many_keys().under("partitions").keeping(converges).is_never_broken();
    SLOPPY.under("partitions").keeping(is_never_stale).is_broken_in(20);
}

#[test]
fn every_bug_of_quorum_is_found() {
    ATOMIC.with("writes-one").under("crashing-voters").is_broken_in(40);
    ATOMIC.with("reads-one").under("partitions").is_broken_in(50);
    ATOMIC.with("stamps-by-wall-clock").under("clocks-and-pauses").is_broken_in(45);
    ATOMIC.with("repair-overwrites").under("partitions").is_broken_in(30);
    ATOMIC.with("ack-before-fsync").under("power-cuts").is_broken_in(30);
    SLOPPY.on_many_keys().with("hints-dropped").under("partitions").keeping(is_durable).is_broken_in(4);
    UNREPAIRED.with("blind-anti-entropy").is_broken_in(50);
    ATOMIC
        .doing(Habit::Deletes)
        .with("tombstones-forgotten")
        .under("partitions")
        .keeping(is_never_stale)
        .is_broken_in(50);
}

#[test]
fn deletes_stay_deleted() {
    ATOMIC.doing(Habit::Deletes).keeping(is_never_stale).is_never_broken();
}

#[test]
fn a_grace_shorter_than_an_absence_brings_deleted_keys_back() {
    Case::of("quorum", &[("grace-ms", "200"), ("write-back", "false")])
        .doing(Habit::Deletes)
        .under("partitions")
        .keeping(is_never_stale)
        .is_broken_in(35);
}
