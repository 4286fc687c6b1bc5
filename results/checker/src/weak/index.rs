//! What every judge of the weak models looks up in columns: who wrote what an operation saw, and what each session wrote
//! to each key; and an order in which every operation stands behind all it depends on.
//!
//! Operations are numbered session by session, so that "the operations of a session before this one" is a range.

use super::columns::{Columns, INITIAL, NONE};

/// What an operation saw, if not what an operation wrote.
pub(super) const NOTHING: u32 = u32::MAX;
pub(super) const AT_FIRST: u32 = u32::MAX - 1;
/// It saw what nobody wrote.
pub(super) const THIN_AIR: u32 = u32::MAX - 2;

/// The writes of one session to one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub session: u32,
    /// Where they stand in [`Index::writes`].
    pub start: u32,
    pub end: u32,
}

/// Columns with all that is looked up in them.
#[derive(Debug)]
pub(super) struct Index<'c> {
    pub columns: &'c Columns,
    /// The session of each operation.
    pub session: Vec<u32>,
    /// The operation that wrote what each operation saw, or [`NOTHING`], [`AT_FIRST`] or [`THIN_AIR`].
    pub saw: Vec<u32>,
    /// All writes by key, then by session, then in its order.
    pub writes: Vec<u32>,
    pub groups: Vec<Group>,
    /// Where the groups of each key begin; one more at the end.
    keys: Vec<u32>,
}

impl<'c> Index<'c> {
    pub fn of(columns: &'c Columns) -> Self {
        let operations = columns.len();
        let mut session = vec![0; operations];
        for at in 0..columns.sessions() {
            session[columns.of_session(at)].fill(at as u32);
        }
        let values = columns.wrote.iter().filter(|value| **value != NONE).max().map_or(1, |most| most + 1);
        let mut writer = vec![THIN_AIR; values as usize];
        writer[INITIAL as usize] = AT_FIRST;
        for (at, value) in columns.wrote.iter().enumerate().filter(|(_, value)| **value != NONE) {
            debug_assert_eq!(writer[*value as usize], THIN_AIR, "written twice");
            writer[*value as usize] = at as u32;
        }
        let writer = |value: &u32| match *value {
            NONE => NOTHING,
            value => writer.get(value as usize).copied().unwrap_or(THIN_AIR),
        };
        let saw = columns.saw.iter().map(writer).collect();
        let mut index =
            Index { columns, session, saw, writes: Vec::new(), groups: Vec::new(), keys: Vec::new() };
        index.group();
        index
    }

    /// Sorts the writes by key, by counting; they stay in the order of operations, and so by session.
    fn group(&mut self) {
        let columns = self.columns;
        let keys = columns.key.iter().max().map_or(0, |most| *most as usize + 1);
        let writes = || (0..columns.len()).filter(|at| columns.wrote[*at] != NONE);
        let mut places = vec![0u32; keys + 1];
        for at in writes() {
            places[columns.key[at] as usize + 1] += 1;
        }
        for key in 0..keys {
            places[key + 1] += places[key];
        }
        let bounds = places.clone();
        self.writes = vec![0; *bounds.last().expect("one more than keys") as usize];
        for at in writes() {
            let place = &mut places[columns.key[at] as usize];
            self.writes[*place as usize] = at as u32;
            *place += 1;
        }
        self.keys.push(0);
        for key in 0..keys {
            let mut start = bounds[key];
            while start < bounds[key + 1] {
                let session = self.session[self.writes[start as usize] as usize];
                let end = columns.start(session as usize + 1);
                let range = &self.writes[start as usize..bounds[key + 1] as usize];
                let next = start + range.partition_point(|write| *write < end) as u32;
                self.groups.push(Group { session, start, end: next });
                start = next;
            }
            self.keys.push(self.groups.len() as u32);
        }
    }

    pub fn sessions(&self) -> usize {
        self.columns.sessions()
    }

    pub fn is_write(&self, at: usize) -> bool {
        self.columns.wrote[at] != NONE
    }

    /// The operation that wrote what this one saw, if one did.
    pub fn writer(&self, at: usize) -> Option<u32> {
        Some(self.saw[at]).filter(|saw| *saw < THIN_AIR)
    }

    /// Which groups are those of a key.
    pub fn of_key(&self, key: u32) -> std::ops::Range<usize> {
        self.keys[key as usize] as usize..self.keys[key as usize + 1] as usize
    }

    /// The writes of a group, in the order of its session.
    pub fn in_group(&self, group: Group) -> &[u32] {
        &self.writes[group.start as usize..group.end as usize]
    }

    /// The last write of a group before an operation's number.
    pub fn last_before(&self, group: Group, bound: u32) -> Option<u32> {
        let writes = self.in_group(group);
        let before = writes.partition_point(|write| *write < bound);
        before.checked_sub(1).map(|at| writes[at])
    }

    /// All operations, each behind those of its session before it, behind the one that wrote what it saw, and behind
    /// those that `more` puts before it. None if there is no such order. Linear in operations and edges.
    pub fn order(&self, more: &Edges) -> Option<Vec<u32>> {
        let mut order = Vec::with_capacity(self.columns.len());
        let mut next: Vec<u32> = (0..self.sessions()).map(|session| self.columns.start(session)).collect();
        let mut ready: Vec<u32> = (0..self.sessions() as u32).rev().collect();
        // The sessions that wait for an operation, as lists: a session waits for one at a time.
        let mut waiting = vec![NOTHING; self.columns.len()];
        let mut behind = vec![NOTHING; self.sessions()];
        while let Some(session) = ready.pop() {
            let end = self.columns.start(session as usize + 1);
            while next[session as usize] < end {
                let at = next[session as usize];
                let missing = |before: &u32| *before >= next[self.session[*before as usize] as usize];
                let mut before = self.writer(at as usize).into_iter().chain(more.before(at));
                if let Some(before) = before.find(missing) {
                    behind[session as usize] = std::mem::replace(&mut waiting[before as usize], session);
                    break;
                }
                order.push(at);
                next[session as usize] += 1;
                let mut woken = std::mem::replace(&mut waiting[at as usize], NOTHING);
                while woken != NOTHING {
                    ready.push(woken);
                    woken = std::mem::replace(&mut behind[woken as usize], NOTHING);
                }
            }
        }
        (order.len() == self.columns.len()).then_some(order)
    }
}

/// Which operations come before which, beyond session order and reads-from.
#[derive(Debug, Default)]
pub(super) struct Edges {
    /// By the later one.
    sorted: Vec<(u32, u32)>,
    /// Where those of each later one begin; empty if there are none at all.
    starts: Vec<u32>,
}

impl Edges {
    /// From pairs of a later and an earlier operation.
    pub fn of(operations: usize, mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0; operations + 1];
        for (later, _) in &pairs {
            starts[*later as usize + 1] += 1;
        }
        for at in 0..operations {
            starts[at + 1] += starts[at];
        }
        Edges { sorted: pairs, starts }
    }

    /// What comes before an operation.
    pub fn before(&self, at: u32) -> impl Iterator<Item = u32> {
        let range = match self.starts.get(at as usize..at as usize + 2) {
            Some(bounds) => bounds[0] as usize..bounds[1] as usize,
            None => 0..0,
        };
        self.sorted[range].iter().map(|(_, earlier)| *earlier)
    }

    /// All of them, the later one first.
    pub fn pairs(&self) -> &[(u32, u32)] {
        &self.sorted
    }
}
