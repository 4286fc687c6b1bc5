//! How soon after an acknowledgement reads return what was acknowledged: the share of fresh reads by the time since then
//! (Bailis and others: Probabilistically bounded staleness, PVLDB 2012).

use std::time::Duration;

use super::ReadStaleness;

/// What was seen of the reads that began within a span of time after the newest acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// They began no later than this after it, and later than the span before.
    pub within: Duration,
    /// How many they are.
    pub reads: u64,
    /// How many of them saw nothing that was certainly outdated.
    pub fresh: u64,
}

/// The ends of the spans in microseconds; one more has all that is later.
const SPANS: [u64; 19] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

/// The curve, from the first span with reads to the last. Reads before which nothing was acknowledged are not in it.
pub fn freshness(reads: &[ReadStaleness]) -> Vec<Freshness> {
    let ends = SPANS.iter().map(|span| Duration::from_micros(*span)).chain([Duration::MAX]);
    let mut curve: Vec<Freshness> = ends.map(|within| Freshness { within, reads: 0, fresh: 0 }).collect();
    for read in reads {
        let Some(since) = read.since else { continue };
        let place = curve.partition_point(|span| span.within < since);
        curve[place].reads += 1;
        curve[place].fresh += u64::from(read.versions == 0);
    }
    let used = |span: &Freshness| span.reads > 0;
    let first = curve.iter().position(used).unwrap_or(curve.len());
    let last = curve.iter().rposition(used).map_or(first, |last| last + 1);
    curve[first..last].to_vec()
}

/// `≤ 1ms: 90.2 % of 812, later: 100.0 % of 4`
pub(super) fn line(curve: &[Freshness]) -> String {
    let spans = curve.iter().filter(|span| span.reads > 0).map(|span| {
        let share = 100.0 * span.fresh as f64 / span.reads as f64;
        let within = match span.within {
            Duration::MAX => "later".into(),
            within => format!("≤ {within:?}"),
        };
        format!("{within}: {share:.1} % of {}", span.reads)
    });
    let spans: Vec<String> = spans.collect();
    if spans.is_empty() { "no read after an acknowledgement".into() } else { spans.join(", ") }
}
