//! What happened before each write, as vector clocks: how far into every session its past reaches.
//!
//! One number a write and session; those of reads are had by walking their session once more, since nothing but their
//! session and what they saw comes before them. Only a read that more edges lead from is kept as well.

use super::index::{Edges, Index, NOTHING};

/// The pasts of all writes, each with itself in it.
#[derive(Debug)]
pub(super) struct Clocks {
    sessions: usize,
    /// Which row is that of a write.
    row: Vec<u32>,
    /// For each session, the number of the first operation that is not in the past.
    rows: Vec<u32>,
}

impl Clocks {
    /// About the bytes it takes.
    pub fn bytes(index: &Index<'_>) -> usize {
        4 * (index.writes.len() * index.sessions() + index.columns.len())
    }

    /// In an order in which all operations stand behind what comes before them.
    pub fn of(index: &Index<'_>, order: &[u32], more: &Edges) -> Self {
        let sessions = index.sessions();
        let mut kept: Vec<bool> = (0..index.columns.len()).map(|at| index.is_write(at)).collect();
        more.pairs().iter().for_each(|(_, earlier)| kept[*earlier as usize] = true);
        let mut clocks = Clocks {
            sessions,
            row: vec![NOTHING; index.columns.len()],
            rows: Vec::with_capacity(index.writes.len() * sessions),
        };
        let none: Vec<u32> = (0..sessions).map(|session| index.columns.start(session)).collect();
        let mut now: Vec<u32> = none.repeat(sessions);
        let mut rows = 0;
        for at in order {
            let session = index.session[*at as usize] as usize;
            let own = &mut now[session * sessions..(session + 1) * sessions];
            for before in index.writer(*at as usize).into_iter().chain(more.before(*at)) {
                join(own, clocks.past(before));
            }
            own[session] = at + 1;
            if kept[*at as usize] {
                clocks.row[*at as usize] = rows;
                rows += 1;
                clocks.rows.extend_from_slice(&now[session * sessions..(session + 1) * sessions]);
            }
        }
        clocks
    }

    /// The past of a write, or of a read that an edge leads from.
    pub fn past(&self, write: u32) -> &[u32] {
        let row = self.row[write as usize] as usize;
        &self.rows[row * self.sessions..(row + 1) * self.sessions]
    }
}

/// Makes a past reach as far as another one, too.
pub(super) fn join(past: &mut [u32], other: &[u32]) {
    for (own, other) in past.iter_mut().zip(other) {
        *own = (*own).max(*other);
    }
}
