//! k-atomicity: the least k for which every read sees one of the last k values in some order of all operations.
//!
//! 1 is linearizability, and known from Δ. Whether 2 is enough is told by building the order from its end (LBT: Golab, Hurwitz,
//! Li: On the k-atomicity-verification problem, ICDCS 2013): of the writes that may be the last, one is tried; the reads that
//! begin when it is over and saw another value saw that of the write just before it, which settles that one, and so on until
//! nothing is forced: what was placed by then stays. Linear for each write tried, of which there are as many as are
//! concurrent. Beyond 2 there are bounds: from below by the reads one by one, from above by one order that is possible.

use schism_history::History;

use super::ReadStaleness;
use crate::versions::{Moment, Register};

/// The least k, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeastK {
    /// It is no less than this.
    pub at_least: u64,
    /// And no more than this; none where no k is known to be enough. Where both are equal, that is it.
    pub at_most: Option<u64>,
}

/// The least k of a register, given its reads and whether it is linearizable.
pub(super) fn least(
    history: &History,
    register: &Register<'_>,
    reads: &[ReadStaleness],
    linearizable: bool,
) -> LeastK {
    if linearizable {
        return LeastK { at_least: 1, at_most: Some(1) };
    }
    if Backwards::new(history, register).is_some_and(|mut order| order.exists()) {
        return LeastK { at_least: 2, at_most: Some(2) };
    }
    let by_reads = 1 + reads.iter().map(|read| read.versions).max().unwrap_or(0);
    LeastK { at_least: by_reads.max(3), at_most: in_order_of_ends(history, register) }
}

/// The k for which writes in the order of their ends are enough. A cas stands right behind what it found: with one, that
/// order may not be possible.
fn in_order_of_ends(history: &History, register: &Register<'_>) -> Option<u64> {
    let versions: Vec<_> = register.versions.iter().filter(|version| version.happened).collect();
    if versions.iter().any(|version| version.from.is_some()) {
        return None;
    }
    let mut ends: Vec<Moment> = versions.iter().map(|version| version.done).collect();
    ends.sort_unstable();
    let missed = versions.iter().map(|version| {
        let own = ends.partition_point(|end| *end < version.done);
        let last = version.reads.iter().map(|read| Moment::invoked(&history.rows()[*read])).max();
        let before = last.map_or(0, |last| ends.partition_point(|end| *end < last));
        before.saturating_sub(own + 1)
    });
    Some(1 + missed.max().unwrap_or(0) as u64)
}

/// An order of writes under construction, from its end.
struct Backwards {
    call: Vec<Moment>,
    done: Vec<Moment>,
    /// What a cas found: it stands right before it.
    from: Vec<Option<usize>>,
    /// What was made from it.
    next: Vec<Option<usize>>,
    /// When each read began, and what it saw; in that order.
    reads: Vec<(Moment, usize)>,
    /// The reads of each version.
    reads_of: Vec<Vec<usize>>,
    /// Versions in the order in which their writes began, and in that in which they ended.
    by_call: Vec<usize>,
    by_done: Vec<usize>,
    placed: Vec<bool>,
    read_placed: Vec<bool>,
    /// What lies behind these is placed: versions by call, versions by end, reads.
    tops: [usize; 3],
    /// What was placed since the last time nothing was forced.
    epoch: Vec<usize>,
}

impl Backwards {
    /// None if two cas made something of one version: then no k is enough.
    fn new(history: &History, register: &Register<'_>) -> Option<Self> {
        let versions = &register.versions;
        let happened: Vec<usize> = (0..versions.len()).filter(|at| versions[*at].happened).collect();
        let mut next = vec![None; versions.len()];
        for at in &happened {
            if let Some(from) = versions[*at].from
                && next[from].replace(*at).is_some()
            {
                return None;
            }
        }
        let mut reads: Vec<(Moment, usize)> = Vec::new();
        for at in &happened {
            let began = versions[*at].reads.iter().map(|read| Moment::invoked(&history.rows()[*read]));
            reads.extend(began.map(|began| (began, *at)));
        }
        reads.sort_unstable();
        let mut reads_of = vec![Vec::new(); versions.len()];
        for (place, (_, version)) in reads.iter().enumerate() {
            reads_of[*version].push(place);
        }
        let call: Vec<Moment> = versions.iter().map(|version| version.call).collect();
        let done: Vec<Moment> = versions.iter().map(|version| version.done).collect();
        let (mut by_call, mut by_done) = (happened.clone(), happened);
        by_call.sort_unstable_by_key(|at| call[*at]);
        by_done.sort_unstable_by_key(|at| done[*at]);
        Some(Backwards {
            from: versions.iter().map(|version| version.from).collect(),
            next,
            reads_of,
            placed: vec![false; versions.len()],
            read_placed: vec![false; reads.len()],
            tops: [by_call.len(), by_done.len(), reads.len()],
            call,
            done,
            reads,
            by_call,
            by_done,
            epoch: Vec::new(),
        })
    }

    /// Whether there is an order in which every read sees one of the last two values.
    fn exists(&mut self) -> bool {
        loop {
            self.lower_tops();
            let Some(latest) = self.by_call[..self.tops[0]].last().copied() else { return true };
            let candidates = self.by_done[..self.tops[1]].iter().rev();
            let candidates: Vec<usize> = candidates
                .take_while(|at| self.done[**at] >= self.call[latest])
                .copied()
                .filter(|at| !self.placed[*at])
                .collect();
            if !candidates.into_iter().any(|last| self.epoch(last)) {
                return false;
            }
            self.epoch.clear();
        }
    }

    /// Places a write and all that follows from it. If that cannot be, nothing is placed.
    fn epoch(&mut self, last: usize) -> bool {
        let tops = self.tops;
        let mut forced = Some(last);
        while let Some(write) = forced {
            match self.place(write) {
                Ok(before) => forced = before,
                Err(()) => {
                    for write in std::mem::take(&mut self.epoch) {
                        self.placed[write] = false;
                        self.reads_of[write].iter().for_each(|read| self.read_placed[*read] = false);
                    }
                    self.tops = tops;
                    return false;
                }
            }
        }
        true
    }

    /// Places a write before all that are placed; gives the one that must stand before it.
    fn place(&mut self, write: usize) -> Result<Option<usize>, ()> {
        if self.placed[write] || self.next[write].is_some_and(|next| !self.placed[next]) {
            return Err(());
        }
        self.placed[write] = true;
        self.epoch.push(write);
        self.reads_of[write].iter().for_each(|read| self.read_placed[*read] = true);
        self.lower_tops();
        // Nothing that is left may begin when it is over.
        if self.by_call[..self.tops[0]].last().is_some_and(|latest| self.done[write] < self.call[*latest]) {
            return Err(());
        }
        let mut before = self.from[write];
        for place in (0..self.tops[2]).rev() {
            let (began, seen) = self.reads[place];
            if began <= self.done[write] {
                break;
            }
            if !self.read_placed[place] && *before.get_or_insert(seen) != seen {
                return Err(());
            }
        }
        Ok(before)
    }

    fn lower_tops(&mut self) {
        let [by_call, by_done, reads] = &mut self.tops;
        while *by_call > 0 && self.placed[self.by_call[*by_call - 1]] {
            *by_call -= 1;
        }
        while *by_done > 0 && self.placed[self.by_done[*by_done - 1]] {
            *by_done -= 1;
        }
        while *reads > 0 && self.read_placed[*reads - 1] {
            *reads -= 1;
        }
    }
}
