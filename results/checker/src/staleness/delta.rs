//! The least Δ: by how much the beginnings of reads must be moved back until there is a legal order.
//!
//! For a given Δ that is a question of zones (Gibbons and Korach, 1997): a version with its reads stands together in a
//! legal order, welded to the next where a cas led from one to the other, and two such blocks exclude each other if each
//! has an operation that was over before one of the other began. The answer never turns back from yes to no as Δ grows,
//! so it is searched for by halving. Where even reads that begin at the start do not help, writes are out of order.

use schism_history::History;

use crate::versions::{Moment, Register};

/// The least Δ, and what forces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delta {
    /// In nanoseconds; none if no Δ is enough.
    pub nanos: Option<u64>,
    /// What excludes each other while Δ is any smaller; none if it is zero.
    pub conflict: Option<Conflict>,
}

/// Two sets of operations neither of which can come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// In the first pair, the one was over before the other began, so the block of the other cannot come first; in the
    /// second pair the other way about.
    Blocks([(usize, usize); 2]),
    /// The one was over before the other began, but along a chain of cas it comes later.
    Chain(usize, usize),
    /// Two cas that both changed the same version.
    ChangedTwice(usize, usize),
    /// Versions that were made from each other in a circle: the call that wrote one of them.
    Circle(usize),
}

/// What of a version matters here: each moment with the operation it belongs to, none for the initial value.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// The earliest end.
    first_end: (Moment, Option<usize>),
    /// The latest beginning of a write: it stays where it is.
    write: (Moment, Option<usize>),
    /// The latest beginning of a read: it moves.
    read: (Moment, Option<usize>),
}

impl Bounds {
    /// The latest beginning; with no Δ as if all reads began at the start.
    fn last_begin(&self, delta: Option<u64>) -> (Moment, Option<usize>) {
        match delta {
            Some(nanos) => self.write.max((self.read.0.earlier(nanos), self.read.1)),
            None => self.write,
        }
    }

    fn with(self, other: Bounds) -> Bounds {
        Bounds {
            first_end: self.first_end.min(other.first_end),
            write: self.write.max(other.write),
            read: self.read.max(other.read),
        }
    }
}

/// The blocks of a register: chains of versions, most of one alone.
struct Blocks {
    chains: Vec<Vec<Bounds>>,
    /// One a chain, in the order of the first end.
    whole: Vec<Bounds>,
}

/// The least Δ of a register.
pub(super) fn least(history: &History, register: &Register<'_>) -> Delta {
    let blocks = match Blocks::of(history, register) {
        Ok(blocks) => blocks,
        Err(conflict) => return Delta { nanos: None, conflict: Some(conflict) },
    };
    if let Some(conflict) = blocks.conflict(None) {
        return Delta { nanos: None, conflict: Some(conflict) };
    }
    let Some(mut conflict) = blocks.conflict(Some(0)) else {
        return Delta { nanos: Some(0), conflict: None };
    };
    // There is a conflict at `low` and none at `high`: moved by the whole history, every read begins before all else.
    let (mut low, mut high) = (0, history.end.0.max(1));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match blocks.conflict(Some(middle)) {
            Some(found) => (low, conflict) = (middle, found),
            None => high = middle,
        }
    }
    Delta { nanos: Some(high), conflict: Some(conflict) }
}

fn bounds(history: &History, register: &Register<'_>, version: usize) -> Bounds {
    let version = &register.versions[version];
    let mut bounds = Bounds {
        first_end: (Moment::START, None),
        write: (version.call, version.writer),
        read: (Moment::START, None),
    };
    if let Some(writer) = version.writer {
        bounds.first_end = (Moment::completed(&history.rows()[writer]), Some(writer));
    }
    for read in &version.reads {
        let operation = &history.rows()[*read];
        bounds.first_end = bounds.first_end.min((Moment::completed(operation), Some(*read)));
        bounds.read = bounds.read.max((Moment::invoked(operation), Some(*read)));
    }
    bounds
}

impl Blocks {
    fn of(history: &History, register: &Register<'_>) -> Result<Self, Conflict> {
        let versions = &register.versions;
        let writer =
            |version: usize| versions[version].writer.expect("the initial version is made from no other");
        let mut next: Vec<Option<usize>> = vec![None; versions.len()];
        for (at, version) in versions.iter().enumerate().filter(|(_, version)| version.happened) {
            if let Some(from) = version.from
                && let Some(other) = next[from].replace(at)
            {
                return Err(Conflict::ChangedTwice(writer(other), writer(at)));
            }
        }
        let mut in_chain = vec![false; versions.len()];
        let mut chains: Vec<Vec<Bounds>> = Vec::new();
        for head in (0..versions.len()).filter(|at| versions[*at].happened && versions[*at].from.is_none()) {
            let links = std::iter::successors(Some(head), |at| next[*at]);
            chains.push(
                links
                    .map(|at| {
                        in_chain[at] = true;
                        bounds(history, register, at)
                    })
                    .collect(),
            );
        }
        if let Some(left) = (0..versions.len()).find(|at| versions[*at].happened && !in_chain[*at]) {
            return Err(Conflict::Circle(writer(left)));
        }
        let whole =
            |chain: &Vec<Bounds>| chain.iter().copied().reduce(Bounds::with).expect("a chain has a head");
        let mut whole: Vec<Bounds> = chains.iter().map(whole).collect();
        whole.sort_unstable_by_key(|block| block.first_end.0);
        chains.retain(|chain| chain.len() > 1);
        Ok(Blocks { chains, whole })
    }

    /// What excludes each other when reads may begin `delta` nanoseconds earlier.
    fn conflict(&self, delta: Option<u64>) -> Option<Conflict> {
        self.chains.iter().find_map(|chain| in_chain(chain, delta)).or_else(|| self.between(delta))
    }

    fn between(&self, delta: Option<u64>) -> Option<Conflict> {
        // Blocks that must reach over some time, in the order in which they begin: none may overlap.
        let mut forward: Vec<(Bounds, (Moment, Option<usize>))> = Vec::new();
        for block in &self.whole {
            let last = block.last_begin(delta);
            if block.first_end.0 < last.0 {
                if let Some((before, until)) = forward.last()
                    && block.first_end.0 < until.0
                {
                    return Some(conflict(*before, *until, *block, last));
                }
                forward.push((*block, last));
            }
        }
        // The others can stand anywhere between their last beginning and their first end: that must not lie inside.
        for block in &self.whole {
            let last = block.last_begin(delta);
            if block.first_end.0 < last.0 {
                continue;
            }
            let after = forward.partition_point(|(other, _)| other.first_end.0 < last.0);
            if let Some((other, until)) = after.checked_sub(1).map(|at| forward[at])
                && block.first_end.0 < until.0
            {
                return Some(conflict(other, until, *block, last));
            }
        }
        None
    }
}

fn conflict(
    a: Bounds,
    a_last: (Moment, Option<usize>),
    b: Bounds,
    b_last: (Moment, Option<usize>),
) -> Conflict {
    // The initial value has no operation that wrote it: then what was read of it stands for both.
    let pair = |end: Option<usize>, begin: Option<usize>| {
        let begin = begin.expect("nothing is before the initial value");
        (end.unwrap_or(begin), begin)
    };
    Conflict::Blocks([pair(a.first_end.1, b_last.1), pair(b.first_end.1, a_last.1)])
}

fn in_chain(chain: &[Bounds], delta: Option<u64>) -> Option<Conflict> {
    let mut before: Option<Bounds> = None;
    for version in chain {
        if let Some(before) = before {
            let last = before.last_begin(delta);
            if let ((first, Some(end)), Some(begin)) = (version.first_end, last.1)
                && first < last.0
            {
                return Some(Conflict::Chain(end, begin));
            }
        }
        before = Some(before.map_or(*version, |all| all.with(*version)));
    }
    None
}
