//! How stale reads are: by time and by versions, read by read and in the worst case.
//!
//! *Time staleness* of a history is the least Δ such that it becomes linearizable when every read may begin Δ earlier
//! (Golab, Li, Shah: Analyzing consistency properties for fun and profit, PODC 2011). *Version staleness* of a read is
//! the number of writes that wholly fit between the write of what it saw and the read; k-atomicity, where every read sees
//! one of the last k versions, fails for every k up to the largest of these. The least k itself is found where it is 1 or 2;
//! beyond, it is bounded.
//!
//! It finds both, their distribution over all reads and the share of fresh reads. Without a bound these are facts and
//! nothing else; with one, what is beyond it is an anomaly. It needs values that are written once, and one clock for all
//! clients: the error of that clock is an error of Δ. It cannot find the least k beyond 2, and a failed cas is no read here.
//! A single read can be fresh by what is known of it alone and still be too old beside another read: Δ knows, the
//! distribution does not. O(n log n) for the reads, 64 linear passes over the versions for Δ.

mod atomic;
mod delta;
mod fresh;
mod freshness;
mod reads;
mod tell;

pub use self::atomic::LeastK;
pub use self::freshness::{Freshness, freshness};

use std::fmt::Debug;
use std::time::Duration;

use schism_history::{History, Key, Value};

use self::delta::Delta;
use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement};
use crate::versions::{Register, registers};

/// The judge of how stale the reads of registers are.
#[derive(Clone, Debug, Default)]
pub struct Staleness {
    /// What each register holds at first.
    pub initial: Value,
    /// The largest Δ allowed.
    pub max_time: Option<Duration>,
    /// The largest number of newer versions a read may have missed.
    pub max_versions: Option<u64>,
}

/// What was measured on one register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStaleness {
    /// The register.
    pub key: Key,
    /// The least Δ; none if no Δ is enough, since writes themselves are out of order.
    pub delta: Option<Duration>,
    /// The least k for which it is k-atomic.
    pub k: LeastK,
    /// Every read that can be judged, in the order of invocation.
    pub reads: Vec<ReadStaleness>,
}

/// What is known of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadStaleness {
    /// Its position in [`History::rows`].
    pub operation: usize,
    /// How long before it began something newer than what it saw had certainly been there; zero if it is fresh.
    pub time: Duration,
    /// How many writes wholly fit between the write of what it saw and the read; zero if it is fresh.
    pub versions: u64,
    /// How long before it began a write had last been acknowledged, or was first seen; none if none had been.
    pub since: Option<Duration>,
}

/// How a quantity is spread: the value that half, nine tenths, 99 of a hundred and all stay within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread<T> {
    /// Half are no larger.
    pub p50: T,
    /// Nine of ten are no larger.
    pub p90: T,
    /// 99 of a hundred are no larger.
    pub p99: T,
    /// None is larger.
    pub max: T,
}

impl<T: Copy + Default + Ord> Spread<T> {
    /// By nearest rank; all default for no values at all.
    pub fn of(mut values: Vec<T>) -> Self {
        values.sort_unstable();
        let rank = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100);
            values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Spread { p50: rank(50), p90: rank(90), p99: rank(99), max: rank(100) }
    }
}

impl<T: Debug> Spread<T> {
    fn line(&self) -> String {
        format!("{:?} / {:?} / {:?} / {:?}", self.p50, self.p90, self.p99, self.max)
    }
}

impl Staleness {
    /// What can be measured of every register whose values are written once, keys in the order of first use.
    pub fn measure(&self, history: &History) -> Vec<KeyStaleness> {
        let found = registers(history, &self.initial);
        found.registers.iter().map(|register| measured(history, register).0).collect()
    }

    fn judge(
        &self,
        history: &History,
        register: &Register<'_>,
        measured: &KeyStaleness,
        delta: &Delta,
    ) -> Vec<Anomaly> {
        let mut anomalies = Vec::new();
        if let Some(allowed) = self.max_time {
            match measured.delta {
                None => anomalies.push(tell::misordered(history, register, delta)),
                Some(least) if least > allowed => {
                    anomalies.push(tell::too_late(history, register, delta, least, allowed));
                }
                Some(_) => {}
            }
        }
        let worst = measured.reads.iter().rev().max_by_key(|read| read.versions);
        if let (Some(allowed), Some(worst)) = (self.max_versions, worst)
            && worst.versions > allowed
        {
            anomalies.push(tell::too_many(history, register, *worst, allowed));
        }
        anomalies
    }
}

fn measured(history: &History, register: &Register<'_>) -> (KeyStaleness, Delta) {
    let delta = delta::least(history, register);
    let reads = reads::staleness(history, register);
    let measured = KeyStaleness {
        key: register.key.clone(),
        delta: delta.nanos.map(Duration::from_nanos),
        k: atomic::least(history, register, &reads, delta.nanos == Some(0)),
        reads,
    };
    (measured, delta)
}

impl Checker for Staleness {
    fn name(&self) -> &'static str {
        "staleness"
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        let found = registers(history, &self.initial);
        let (mut anomalies, mut doubts) = (found.anomalies, found.doubts);
        let mut all: Vec<KeyStaleness> = Vec::new();
        for register in &found.registers {
            if (budget.over)() {
                doubts.push(Doubt {
                    reason: format!("the time allowed was used up before key {} was judged", register.key),
                    hint: Some("raise the time allowed for checking".into()),
                });
                break;
            }
            let (measured, delta) = measured(history, register);
            anomalies.extend(self.judge(history, register, &measured, &delta));
            all.push(measured);
        }
        facts(Judgement::new(self.name(), &self.about(), anomalies, doubts), &all)
    }
}

impl Staleness {
    fn about(&self) -> String {
        match (self.max_time, self.max_versions) {
            (None, None) => "measured staleness".into(),
            (Some(time), None) => format!("reads stale by {time:?} at most"),
            (None, Some(versions)) => format!("reads stale by {versions} versions at most"),
            (Some(time), Some(versions)) => {
                format!("reads stale by {time:?} and {versions} versions at most")
            }
        }
    }
}

fn facts(judgement: Judgement, all: &[KeyStaleness]) -> Judgement {
    let reads: Vec<ReadStaleness> = all.iter().flat_map(|key| key.reads.iter().copied()).collect();
    let misordered = all.iter().filter(|key| key.delta.is_none()).count();
    let least = all.iter().filter_map(|key| key.delta).max().unwrap_or_default();
    let delta = match misordered {
        0 => format!("{least:?}"),
        keys => format!("none is enough: writes are out of order on {keys} keys; {least:?} on the others"),
    };
    let fresh = reads.iter().filter(|read| read.versions == 0).count();
    let share = match reads.len() {
        0 => "no reads".into(),
        reads => format!("{:.2} %", 100.0 * fresh as f64 / reads as f64),
    };
    let at_least = all.iter().map(|key| key.k.at_least).max().unwrap_or(1);
    let at_most = all.iter().map(|key| key.k.at_most.unwrap_or(u64::MAX)).max().unwrap_or(1);
    let k = match at_most {
        u64::MAX => format!("{at_least} or more"),
        at_most if at_most == at_least => at_least.to_string(),
        at_most => format!("between {at_least} and {at_most}"),
    };
    let times = Spread::of(reads.iter().map(|read| read.time).collect());
    let versions = Spread::of(reads.iter().map(|read| read.versions).collect());
    judgement
        .with_fact("keys", all.len())
        .with_fact("reads", reads.len())
        .with_fact("fresh reads", share)
        .with_fact("least Δ", delta)
        .with_fact("least k", k)
        .with_fact("time staleness p50 / p90 / p99 / max", times.line())
        .with_fact("version staleness p50 / p90 / p99 / max", versions.line())
        .with_fact("fresh by time since an acknowledgement", freshness::line(&freshness(&reads)))
}
