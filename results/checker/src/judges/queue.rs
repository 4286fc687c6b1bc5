//! Queues whose every element is put in once: first in first out, and unordered. Linear time.
//!
//! An element is certainly inside from when its put was over until its take began. In a queue an element must not be put
//! in after another one was certainly inside, and taken while that one still is (the rules of Henzinger, Sezgin and
//! Vafeiadis, 2013); a take that found nothing needs a moment at which nothing is certainly inside.
//!
//! A take of unknown fate may have taken anything. In order of their puts' ends, the first of the elements that nobody
//! is known to have taken are those that must be gone first, and whoever is to have taken them must have begun by then;
//! earlier takes can stand in for later ones, so it is enough to count: at each moment as many takes of unknown fate must
//! have begun as elements must be gone. That is exact.
//!
//! So an element is inside until its take began, or the take of unknown fate that comes as many places down the line as it
//! does. One array by position, of how long at least one of the elements whose puts are over stays, then answers all
//! questions. If it says that something is wrong, a sweep over the events says what.
//!
//! Finds every violation and nothing else. Cannot judge a queue into which an element was put twice.

use super::columns::NOTHING;
pub use super::pairs::{EMPTY, PUT, TAKE};
use super::pairs::{Pairs, Stays};
use super::{Answer, Columns, NEVER, NONE, Rule, narrow};

static OVERTAKEN: Rule = Rule {
    name: "reordered elements",
    law: "{0}; only after that, {1}; and yet {2}, before this began: {3}",
};
static SKIPPED: Rule = Rule {
    name: "lost element",
    law: "{0}; only after that, {1}; and yet {2}, while nobody had taken the first",
};
static NOT_EMPTY: Rule =
    Rule { name: "false empty", law: "{0}, but at every moment of it something was inside" };

/// Judges a queue that gives its elements in the order they were put in.
pub fn fifo(columns: &Columns) -> Answer {
    judge::<true>(columns)
}

/// Judges a queue that gives its elements in any order.
pub fn unordered(columns: &Columns) -> Answer {
    judge::<false>(columns)
}

/// Whether there is a legal order, where nothing is wrong with any element by itself.
fn legal<const FIFO: bool>(stays: &Stays, end: usize) -> bool {
    // By position: until when the element stays whose put is over there; what never is over goes to the end.
    let mut until = vec![0; end + 1];
    for [_, put, take, _] in &stays.ends {
        until[(*put as usize).min(end)] = *take;
    }
    until[end] = 0;
    // And now: until when the last one stays of those whose puts were over before.
    let (mut unknown, mut last) = (stays.unknown.iter(), 0);
    for until in &mut until {
        let mut own = std::mem::replace(until, last);
        if own == NEVER {
            own = unknown.next().copied().unwrap_or(NEVER);
        }
        last = last.max(own);
    }
    if FIFO {
        let mut overtakes = false;
        for [put, _, _, taken] in &stays.ends {
            overtakes |= until[(*put as usize).min(end)] > *taken;
        }
        if overtakes {
            return false;
        }
    }
    if stays.empty.is_empty() {
        return true;
    }
    // And now: one more than the last position at which nothing was inside.
    let mut free = 0;
    for (position, until) in (0..).zip(&mut until) {
        if *until <= position {
            free = position + 1;
        }
        *until = free;
    }
    stays.empty.iter().all(|[began, over]| until[*over as usize] > *began)
}

/// What is known at a moment.
struct Sweep<'c> {
    columns: &'c Columns,
    pairs: &'c Pairs,
    /// By element: its take began, or it is not inside for another reason.
    gone: Vec<bool>,
    /// The elements certainly inside, and taken later, in order of their puts' ends; those before `front` are gone.
    opened: Vec<u32>,
    front: usize,
    inside: usize,
    /// The puts that are over of elements nobody is known to take, and how many of them must be gone.
    left: Vec<u32>,
    overtaken: usize,
    /// How many takes of unknown fate began.
    unknown: usize,
    /// The begin of the latest put whose element is known to be out.
    latest: u32,
    /// One more than the last position at which it can have been empty.
    free: u32,
}

fn judge<const FIFO: bool>(columns: &Columns) -> Answer {
    let dense = columns.dense();
    let columns = &*dense;
    if Stays::of(columns).is_some_and(|stays| legal::<FIFO>(&stays, columns.events())) {
        return Answer::Legal;
    }
    let pairs = match Pairs::of(columns) {
        Ok(pairs) => pairs,
        Err(answer) => return answer,
    };
    let mut sweep = Sweep {
        columns,
        pairs: &pairs,
        gone: vec![false; pairs.put.len()],
        opened: Vec::new(),
        front: 0,
        inside: 0,
        left: Vec::new(),
        overtaken: 0,
        unknown: 0,
        latest: 0,
        free: 0,
    };
    for (position, end) in columns.timeline().into_iter().enumerate().filter(|(_, end)| *end != NOTHING) {
        if let Some(violation) = sweep.step::<FIFO>(position as u32, end / 2, end % 2 == 1) {
            return violation;
        }
    }
    Answer::Legal
}

impl Sweep<'_> {
    fn step<const FIFO: bool>(&mut self, position: u32, operation: u32, returns: bool) -> Option<Answer> {
        let element = self.columns.number(operation) as usize;
        match (self.columns.kind(operation), returns) {
            (PUT, true) => {
                self.note_free(position);
                if self.pairs.take[element] == NONE {
                    self.left.push(operation);
                } else if !self.gone[element] {
                    self.inside += 1;
                    if FIFO {
                        self.opened.push(element as u32);
                    }
                }
                return None;
            }
            (TAKE, false) if self.columns.complete(operation) == NEVER => self.unknown += 1,
            (TAKE, false) => {
                let put = self.pairs.put[element];
                self.inside -= usize::from(self.columns.complete(put) < position);
                self.gone[element] = true;
            }
            (TAKE, true) if FIFO => {
                let put = self.columns.invoke(self.pairs.put[element]);
                if let Some(violation) = self.order(put, operation) {
                    return Some(violation);
                }
            }
            _ => {}
        }
        self.note_free(position);
        if returns && self.columns.kind(operation) == EMPTY && self.free <= self.columns.invoke(operation) {
            return Some(self.not_empty(operation));
        }
        None
    }

    fn note_free(&mut self, position: u32) {
        if self.inside == 0 && self.left.len() <= self.unknown {
            self.free = position + 1;
        }
    }

    /// Whether the element just taken, whose put began at `put`, left one behind that was put in before.
    fn order(&mut self, put: u32, take: u32) -> Option<Answer> {
        while self.opened.get(self.front).is_some_and(|element| self.gone[*element as usize]) {
            self.front += 1;
        }
        let own = self.pairs.put[self.columns.number(take) as usize];
        if let Some(first) = self.opened.get(self.front).map(|element| *element as usize)
            && self.columns.complete(self.pairs.put[first]) < put
        {
            return Some(OVERTAKEN.broken_by([self.pairs.put[first], own, take, self.pairs.take[first]]));
        }
        self.latest = self.latest.max(put);
        while self.left.get(self.overtaken).is_some_and(|left| self.columns.complete(*left) < self.latest) {
            self.overtaken += 1;
        }
        if self.overtaken <= self.unknown {
            return None;
        }
        // Those of unknown fate that began by now took as many; one element is left, and more were put in before.
        let mut operations = vec![self.left[0], own, take];
        operations.extend(&self.left[1..self.overtaken]);
        operations.extend(self.begun_unknown(self.columns.complete(take)));
        Some(SKIPPED.broken_by(operations))
    }

    fn begun_unknown(&self, before: u32) -> impl Iterator<Item = u32> {
        self.pairs.unknown.iter().copied().filter(move |unknown| self.columns.invoke(*unknown) < before)
    }

    fn not_empty(&self, empty: u32) -> Answer {
        let (from, until) = (self.columns.invoke(empty), self.columns.complete(empty));
        let mut always = vec![empty];
        always.extend(self.begun_unknown(until));
        let groups = self.pairs.inside(self.columns, from, until);
        let mut operations = narrow(self.columns, &always, groups, unordered);
        operations.retain(|operation| *operation != empty);
        operations.insert(0, empty);
        NOT_EMPTY.broken_by(operations)
    }
}
