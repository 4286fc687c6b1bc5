//! What the pictures are about: the key that went wrong and the moments around it, or, where nothing went wrong, the
//! busiest key around the first fault; and which operations there is room for.

use std::collections::{HashMap, HashSet};

use schism_history::{History, Key, Operation};

use super::scale::Span;
use crate::cited::CitedOperation;
use crate::summary::{Finding, Summary};

/// Operations drawn one by one; the nearest to the witness are kept.
const DRAWN_MOST: usize = 260;
/// Operations of a witness that are numbered, and refused ones that are drawn in any case.
pub(super) const NUMBERED_MOST: usize = 40;
/// Operations drawn where there is no witness.
const GLIMPSE: (usize, usize) = (10, 25);

/// The choice.
pub(super) struct Focus<'a> {
    /// The keys the pictures are about, as text; empty if the history holds no operation.
    pub(super) keys: String,
    /// Every operation on those keys, by position in the history.
    pub(super) about: Vec<usize>,
    /// The moments looked at closely.
    pub(super) spans: Vec<Span>,
    /// The operations drawn one by one there, by position, in the order of invocation.
    pub(super) drawn: Vec<usize>,
    /// Operations in those moments for which there was no room.
    pub(super) left_out: usize,
    /// The finding explained, if any.
    pub(super) finding: Option<&'a Finding>,
}

impl<'a> Focus<'a> {
    /// Chooses. Linear in the number of operations, but for a sort of those on the chosen keys.
    pub(super) fn of(summary: &'a Summary, history: &History) -> Self {
        let finding = summary.first_finding().map(|(_, finding)| finding);
        let keys = match finding {
            Some(finding) => finding_keys(finding, history),
            None => Vec::new(),
        };
        let keys = if keys.is_empty() { busiest(history).into_iter().collect() } else { keys };
        let chosen: HashSet<&Key> = keys.iter().copied().collect();
        let about: Vec<usize> =
            (0..history.len()).filter(|at| chosen.contains(history.rows()[*at].call.key())).collect();
        let spans = match finding {
            Some(finding) if !finding.witness.is_empty() => witness_spans(finding),
            _ => glimpse(&about, history),
        };
        let cited = finding.map(cited).unwrap_or_default();
        let (drawn, left_out) = drawn(&about, &spans, &cited, history);
        let keys: Vec<String> = keys.iter().take(4).map(|key| key.to_string()).collect();
        Focus { keys: keys.join(", "), about, spans, drawn, left_out, finding }
    }

    /// The number by which the page refers to an operation, from 1, if it is part of the witness.
    pub(super) fn number(&self, position: usize) -> Option<usize> {
        let witness = &self.finding?.witness;
        witness.iter().take(NUMBERED_MOST).position(|cited| cited.operation == position).map(|at| at + 1)
    }

    /// The operation nobody can explain, if one stands out.
    pub(super) fn culprit(&self) -> Option<&CitedOperation> {
        let finding = self.finding?;
        finding.witness.iter().find(|cited| Some(cited.operation) == finding.culprit)
    }

    /// Whether this is the operation nobody can explain.
    pub(super) fn is_culprit(&self, position: usize) -> bool {
        self.finding.is_some_and(|finding| finding.culprit == Some(position))
    }
}

/// When an operation ends in a picture.
pub(super) fn end(operation: &Operation, history: &History) -> u64 {
    operation.ended.unwrap_or(history.end).0
}

fn cited(finding: &Finding) -> HashSet<usize> {
    let witness = finding.witness.iter().take(NUMBERED_MOST).map(|cited| cited.operation);
    let refused = finding.refused.iter().take(NUMBERED_MOST).map(|refused| refused.operation.operation);
    witness.chain(refused).chain(finding.culprit).collect()
}

fn finding_keys<'h>(finding: &'h Finding, history: &'h History) -> Vec<&'h Key> {
    let of_witness = finding.witness.iter().map(|cited| history.rows()[cited.operation].call.key());
    let mut keys: Vec<&Key> = Vec::new();
    for key in finding.key.iter().chain(of_witness) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The key with the most operations; of equals, the one used first.
fn busiest(history: &History) -> Option<&Key> {
    let mut counts: HashMap<&Key, (usize, usize)> = HashMap::new();
    for (at, operation) in history.rows().iter().enumerate() {
        counts.entry(operation.call.key()).or_insert((0, usize::MAX - at)).0 += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(key, _)| key)
}

/// The moments of the witness. Where they lie so far apart that the operations would shrink to strokes, the time
/// between them is cut out.
fn witness_spans(finding: &Finding) -> Vec<Span> {
    let mut intervals: Vec<(u64, u64)> = finding
        .witness
        .iter()
        .map(|op| (op.invoked_ns, op.completed_ns.or(op.ended_ns).unwrap_or(op.invoked_ns)))
        .collect();
    intervals.sort_unstable();
    let shortest = intervals.iter().map(|(from, to)| to - from).min().unwrap_or(0);
    let last = intervals.iter().map(|interval| interval.1).max().unwrap_or(0);
    let straight = shortest.saturating_mul(24) >= last - intervals[0].0;
    let mut clusters: Vec<(u64, u64, f64)> = Vec::new();
    for (from, to) in intervals {
        match clusters.last_mut() {
            Some(cluster)
                if straight
                    || from <= cluster.1.saturating_add(6 * (cluster.1 - cluster.0).max(to - from)) =>
            {
                cluster.1 = cluster.1.max(to);
                cluster.2 += 0.6;
            }
            _ => clusters.push((from, to, 1.0)),
        }
    }
    let ends: Vec<(u64, u64)> = clusters.iter().map(|cluster| (cluster.0, cluster.1)).collect();
    clusters
        .iter()
        .enumerate()
        .map(|(at, (from, to, share))| {
            let pad = ((to - from) / if clusters.len() == 1 { 6 } else { 2 }).max(50_000);
            let before = if at == 0 { pad } else { pad.min((from - ends[at - 1].1) / 3) };
            let after = ends.get(at + 1).map_or(pad, |next| pad.min((next.0 - to) / 3));
            Span { from: from.saturating_sub(before), to: to + after, share: *share }
        })
        .collect()
}

/// A few dozen operations around the first fault, or from the beginning.
fn glimpse(about: &[usize], history: &History) -> Vec<Span> {
    let operations = history.rows();
    let moment = history.faults.first().map_or(0, |fault| fault.began.0);
    let middle = about.partition_point(|at| operations[*at].invoked.0 < moment);
    let first = middle.saturating_sub(GLIMPSE.0);
    let shown = &about[first..about.len().min(middle + GLIMPSE.1)];
    let (Some(first), Some(last)) = (shown.first(), shown.last()) else { return Vec::new() };
    let (from, last) = (operations[*first].invoked.0, operations[*last].invoked.0);
    // A margin, so that the last operation is more than the edge.
    vec![Span { from, to: last + (last - from) / 30 + 1, share: 1.0 }]
}

/// The operations that touch the spans and, of too many, those nearest to what is cited.
fn drawn(about: &[usize], spans: &[Span], cited: &HashSet<usize>, history: &History) -> (Vec<usize>, usize) {
    let operations = history.rows();
    let touches = |at: usize| {
        let (from, to) = (operations[at].invoked.0, end(&operations[at], history));
        cited.contains(&at) || spans.iter().any(|span| from <= span.to && to >= span.from)
    };
    let mut drawn: Vec<usize> = about.iter().copied().filter(|at| touches(*at)).collect();
    let left_out = drawn.len().saturating_sub(DRAWN_MOST);
    if left_out > 0 {
        let anchors: Vec<u64> = match cited.is_empty() {
            true => spans.iter().map(|span| span.from.midpoint(span.to)).collect(),
            false => cited.iter().map(|at| operations[*at].invoked.0).collect(),
        };
        let distance = |at: usize| {
            anchors.iter().map(|anchor| anchor.abs_diff(operations[at].invoked.0)).min().unwrap_or(0)
        };
        drawn.sort_by_cached_key(|at| (!cited.contains(at), distance(*at)));
        drawn.truncate(DRAWN_MOST.max(cited.len()));
        drawn.sort_unstable();
    }
    (drawn, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schism_history::CallKind;

    fn witness(intervals: &[(u64, u64)]) -> Vec<Span> {
        let cite = |(at, (from, to)): (usize, &(u64, u64))| CitedOperation {
            operation: at,
            process: 0,
            node: None,
            f: CallKind::Read,
            key: Key::Nil,
            value: None,
            kind: "ok".into(),
            error: None,
            call: String::new(),
            outcome: String::new(),
            invoked_ns: *from,
            completed_ns: Some(*to),
            ended_ns: Some(*to),
        };
        witness_spans(&Finding {
            name: String::new(),
            key: None,
            sentences: Vec::new(),
            witness: intervals.iter().enumerate().map(cite).collect(),
            culprit: None,
            possible_states: Vec::new(),
            refused: Vec::new(),
            proof: Vec::new(),
        })
    }

    /// Time is cut out only where the operations would shrink to strokes otherwise, and never through one of them.
    #[test]
    fn only_long_idle_time_is_cut_out() {
        let ms = 1_000_000;
        assert_eq!(witness(&[(5 * ms, 8 * ms), (10 * ms, 14 * ms)]).len(), 1);
        let far = [(1_000 * ms, 1_003 * ms), (9_000 * ms, 9_003 * ms), (9_005 * ms, 9_007 * ms)];
        let spans = witness(&far);
        assert_eq!(spans.len(), 2);
        assert!(spans[0].to < spans[1].from);
        for (from, to) in far {
            assert!(spans.iter().any(|span| span.from <= from && to <= span.to));
        }
        // A call without answer for a second reaches over both others: there is nothing to cut out.
        assert_eq!(witness(&[(0, 1_000 * ms), (ms, 3 * ms), (900 * ms, 902 * ms)]).len(), 1);
    }
}
