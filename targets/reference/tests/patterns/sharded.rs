//! Partitioning in the simulated world: each key is linearizable and each scan whole while members leave and come back,
//! ranges split and nodes fail; no key leaves its region; and every planted bug is found.

use schism_checker::SetFull;
use schism_reference::sharded::Sharded;
use schism_reference::simulation::{Habit, Simulated, run_observed};

use crate::cases::{Case, count, is_valid};

/// Members leave and come back all the time.
const RING: Case = Case::of("sharded", &[("churn-ms", "600"), ("failover-ms", "500")]).on_fewer_seeds();
const RANGES: Case = Case::of(
    "sharded",
    &[("placement", "ranges"), ("split-at", "6"), ("churn-ms", "900"), ("failover-ms", "500")],
)
.on_fewer_seeds();
const REGIONS: Case =
    Case::of("sharded", &[("placement", "regions"), ("churn-ms", "600"), ("failover-ms", "500")])
        .of_nodes(6)
        .on_fewer_seeds();

#[test]
fn sharded_keys_are_linearizable_while_they_move() {
    RING.is_never_broken();
    RING.under("partitions").is_never_broken();
    RING.on_many_keys().under("partitions").is_never_broken();
    RANGES.on_many_keys().is_never_broken();
    REGIONS.is_never_broken();
}

#[test]
fn scans_of_ranges_that_split_miss_nothing() {
    RANGES.doing(Habit::Sets).keeping(a_set).is_never_broken();
    RANGES.doing(Habit::Sets).keeping(a_set).under("partitions").is_never_broken();
}

/// Nothing that was added is missed by a read that began after it was acknowledged.
fn a_set(simulated: &Simulated) -> bool {
    is_valid(&SetFull::default(), simulated)
}

/// How many epochs a run sees, and whether a name ever stands at a node that must not hold it.
fn observed(case: Case, seed: u64) -> (u64, bool) {
    let (mut epochs, mut is_astray) = (0, false);
    run_observed::<Sharded>(&case.options(seed), |_, node| {
        epochs = epochs.max(node.epoch());
        is_astray |= node.astray() > 0;
    });
    (epochs, is_astray)
}

#[test]
fn keys_move_often_and_never_out_of_their_region() {
    for case in [RING, RANGES.on_many_keys(), REGIONS] {
        let epochs: Vec<u64> = (0..20).map(|seed| observed(case, seed).0).collect();
        println!("sharded {:?}: {epochs:?} epochs", case.options(0).settings);
        assert!(epochs.iter().filter(|epochs| **epochs >= 6).count() >= 10, "{epochs:?}");
    }
    assert_eq!(count(30, |seed| observed(REGIONS, seed).1), 0);
    let strayed = count(20, |seed| observed(REGIONS.with("failover-leaves-region"), seed).1);
    println!("sharded, failover-leaves-region: keys out of their region in {strayed} of 20 seeds");
    assert!(strayed >= 10, "{strayed}");
}

#[test]
fn every_bug_of_sharded_is_found() {
    RING.with("moved-from-one").under("partitions").is_broken_in(10);
    RING.with("epoch-unchecked").under("partitions").is_broken_in(4);
    RANGES.doing(Habit::Sets).with("scan-ends-at-split").keeping(a_set).is_broken_in(30);
    // Rare: as many seeds as elsewhere.
    Case { tries: 100, ..RING }.with("configuration-overwritten").is_broken_in(1);
    RING.with("retry-takes-new-stamp").is_broken_in(6);
    RING.with("ack-before-fsync").under("power-cuts").is_broken_in(15);
}
