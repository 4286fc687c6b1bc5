//! PRAM (Lipton and Sandberg, 1988; also called FIFO consistency): each session sees its own operations and the writes of
//! all others in some order that keeps every session's own; no two sessions need agree on it.
//!
//! For each session by itself: the writes that must come before each of its operations, as how far they reach into every
//! other session. A read that saw `w` while another write to its key must come before the read puts that one before `w`,
//! and so before whatever `w` must come before: that is repeated until nothing is new. It is broken if a read saw what
//! was there at first though a write to the key must come before it, or if anything must come before itself. That
//! nothing else can go wrong rests on the reads of one session standing in line, as for causal memory in Bouajjani et
//! al. (POPL 2017), and on the comparison with brute force in the tests.
//!
//! Linear in operations times sessions for each repetition, of which there are seldom more than two.

use super::index::{AT_FIRST, Index};
use super::{Answer, Pattern, Spent};

/// Judges every session.
pub(super) fn judge(index: &Index<'_>, bytes: usize, over: &dyn Fn() -> bool) -> Answer {
    let longest = (0..index.sessions()).map(|session| index.columns.of_session(session).len()).max();
    if longest.unwrap_or(0) * index.sessions() * 4 > bytes {
        return Answer::GaveUp(Spent::Memory);
    }
    for session in 0..index.sessions() {
        match View::of(index, session).and_then(|mut view| view.settle(over)) {
            Ok(()) => {}
            Err(answer) => return answer,
        }
    }
    Answer::Kept
}

/// What one session must have seen by each of its operations.
struct View<'a, 'c> {
    index: &'a Index<'c>,
    session: usize,
    start: usize,
    /// For each of its operations and each other session, the number of the first operation there whose write need not
    /// come before.
    reach: Vec<u32>,
}

const BROKEN: Answer = Answer::Broken(Pattern::CyclicHb);

impl<'a, 'c> View<'a, 'c> {
    fn of(index: &'a Index<'c>, session: usize) -> Result<Self, Answer> {
        let own = index.columns.of_session(session);
        let sessions = index.sessions();
        let mut now: Vec<u32> = (0..sessions).map(|session| index.columns.start(session)).collect();
        let mut reach = Vec::with_capacity(own.len() * sessions);
        for at in own.clone() {
            if let Some(writer) = index.writer(at) {
                let of = index.session[writer as usize] as usize;
                if of == session && writer as usize >= at {
                    return Err(BROKEN);
                }
                now[of] = now[of].max(writer + 1);
            }
            reach.extend_from_slice(&now);
        }
        Ok(View { index, session, start: own.start, reach })
    }

    fn settle(&mut self, over: &dyn Fn() -> bool) -> Result<(), Answer> {
        let own = self.index.columns.of_session(self.session);
        let mut more = true;
        while std::mem::take(&mut more) {
            if over() {
                return Err(Answer::GaveUp(Spent::Time));
            }
            // Backwards: what must come earlier than it seemed can only matter to operations that come earlier, too.
            for at in own.clone().rev() {
                more |= self.read(at)?;
            }
        }
        if self.circle() { Err(BROKEN) } else { Ok(()) }
    }

    /// What a read puts before what it saw. Whether that was new.
    fn read(&mut self, at: usize) -> Result<bool, Answer> {
        let index = self.index;
        let (saw, step) = (index.saw[at], at - self.start);
        if index.writer(at).is_none() && saw != AT_FIRST {
            return Ok(false);
        }
        // The first of the session's operations that what it saw must come before, or is.
        let from = index.writer(at).map(|writer| (self.level(writer, step), index.session[writer as usize]));
        let mut more = false;
        for group in &index.groups[index.of_key(index.columns.key[at])] {
            let of = group.session as usize;
            let bound = if of == self.session { at as u32 } else { self.reach[step * index.sessions() + of] };
            let Some(last) = index.last_before(*group, bound).filter(|last| *last != saw) else { continue };
            let Some((level, writers)) = from else { return Err(Answer::Broken(Pattern::WriteHbInitRead)) };
            if writers == group.session {
                // Before it in its session: that is known. Behind it: it was overwritten.
                if last > saw {
                    return Err(BROKEN);
                }
            } else if of == self.session {
                if level <= last as usize - self.start {
                    return Err(BROKEN);
                }
            } else {
                more |= self.pull(of, last, level);
            }
        }
        Ok(more)
    }

    /// Puts a write before one of the session's operations. Whether that was new.
    fn pull(&mut self, of: usize, write: u32, level: usize) -> bool {
        let sessions = self.index.sessions();
        let mut more = false;
        for reach in self.reach[level * sessions + of..].iter_mut().step_by(sessions) {
            if *reach > write {
                break;
            }
            *reach = write + 1;
            more = true;
        }
        more
    }

    /// The first of the session's operations that a write must come before, or is: it must come before this one.
    fn level(&self, write: u32, step: usize) -> usize {
        let of = self.index.session[write as usize] as usize;
        if of == self.session {
            return write as usize - self.start;
        }
        let sessions = self.index.sessions();
        let (mut low, mut high) = (0, step);
        while low < high {
            let middle = (low + high) / 2;
            if self.reach[middle * sessions + of] > write {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// Whether writes of other sessions go round in a circle. All of a circle must come before the same operation of this
    /// session and before none earlier, since nothing here leads from a later one to an earlier one.
    fn circle(&self) -> bool {
        let index = self.index;
        let mut edges: Vec<(u32, u32)> = Vec::new();
        for at in index.columns.of_session(self.session) {
            let Some(writer) = index.writer(at) else { continue };
            let writers = index.session[writer as usize];
            if writers as usize == self.session {
                continue;
            }
            let step = at - self.start;
            let level = self.level(writer, step);
            for group in &index.groups[index.of_key(index.columns.key[at])] {
                let of = group.session as usize;
                if of == self.session || group.session == writers {
                    continue;
                }
                let last = index.last_before(*group, self.reach[step * index.sessions() + of]);
                if let Some(last) = last.filter(|last| self.level(*last, step) == level) {
                    edges.push((last, writer));
                }
            }
        }
        !edges.is_empty() && circular(index, edges)
    }
}

/// Whether these edges and the order of sessions go round in a circle. Only what has an edge is looked at.
fn circular(index: &Index<'_>, mut edges: Vec<(u32, u32)>) -> bool {
    edges.sort_unstable();
    edges.dedup();
    let mut nodes: Vec<u32> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let place = |node: u32| nodes.binary_search(&node).expect("every end of an edge is a node");
    let next = |at: usize| {
        nodes.get(at + 1).filter(|next| index.session[**next as usize] == index.session[nodes[at] as usize])
    };
    let mut before = vec![0u32; nodes.len()];
    edges.iter().for_each(|(_, to)| before[place(*to)] += 1);
    (0..nodes.len()).filter(|at| next(*at).is_some()).for_each(|at| before[at + 1] += 1);
    let mut free: Vec<usize> = (0..nodes.len()).filter(|at| before[*at] == 0).collect();
    let mut left = nodes.len();
    while let Some(at) = free.pop() {
        left -= 1;
        let mut passed = |to: usize| {
            before[to] -= 1;
            if before[to] == 0 {
                free.push(to);
            }
        };
        if next(at).is_some() {
            passed(at + 1);
        }
        let from = edges.partition_point(|(from, _)| *from < nodes[at]);
        edges[from..]
            .iter()
            .take_while(|(from, _)| *from == nodes[at])
            .for_each(|(_, to)| passed(place(*to)));
    }
    left > 0
}
