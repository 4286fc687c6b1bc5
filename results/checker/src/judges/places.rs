//! Whether the changes of a counter, a ticket dispenser or a log have room in line: quickly, and without saying what is wrong.
//!
//! The rule is that of `counter`; here everything is a position, reads that count the same are two numbers, and whoever
//! waits for a place is one bit at the position at which it is over, so that the one that is over first is a look at a
//! word or two.

use super::bits::Bits;
use super::counter::{CHANGE, READ, TICKET};
use super::{Columns, NEVER};

/// What is known of one place in line.
#[derive(Clone, Copy)]
struct Place {
    /// Where its first operation is over; then, of it and all later places.
    over: u32,
    /// One more than where its last operation begins; zero if there is none.
    begun: u32,
}

const EMPTY: Place = Place { over: NEVER, begun: 0 };

impl Place {
    /// The next operation, in the order of invocation.
    fn note(&mut self, invoke: u32, complete: u32) {
        self.over = self.over.min(complete);
        self.begun = invoke + 1;
    }

    /// Whether nothing of this place or a later one is over before an earlier place began.
    fn fits(self, before: u32) -> bool {
        self.over.saturating_add(1) >= before
    }
}

/// The line: reads of 0, the first change, reads of 1, the second change …
struct Line {
    /// One more than the highest count; the last one is for what is no read.
    reads: Vec<Place>,
    /// By count before it; empty if nobody was told one.
    tickets: Vec<Place>,
    /// The ends of each change whose place nobody knows.
    free: Vec<[u32; 2]>,
}

/// Whether there is certainly a legal order. Positions must be close together.
pub(super) fn legal(columns: &Columns) -> bool {
    let Some(mut line) = Line::of(columns) else { return false };
    line.look_back();
    line.has_room(columns.events())
}

impl Line {
    /// None if a ticket was given twice, or more was counted than there are changes.
    fn of(columns: &Columns) -> Option<Self> {
        let (mut changes, mut highest, mut told) = (0, 0, 0);
        for (kind, number, _, _) in columns.iter() {
            changes += u32::from(kind != READ);
            told += u32::from(kind == TICKET);
            highest = highest.max(if kind == CHANGE { 0 } else { number + u32::from(kind == TICKET) });
        }
        if highest > changes {
            return None;
        }
        let highest = highest as usize;
        let mut line = Line {
            reads: vec![EMPTY; highest + 2],
            tickets: vec![EMPTY; if told > 0 { highest } else { 0 }],
            free: vec![[0; 2]; (changes - told) as usize + 1],
        };
        // Kinds come as they like: no branch depends on them.
        let mut free = 0;
        for (kind, number, invoke, complete) in columns.iter() {
            line.free[free] = [invoke, complete];
            free += usize::from(kind == CHANGE);
            line.reads[if kind == READ { number as usize } else { highest + 1 }].note(invoke, complete);
        }
        line.free.truncate(free);
        line.reads.truncate(highest + 1);
        if told > 0 {
            for (_, number, invoke, complete) in columns.iter().filter(|(kind, ..)| *kind == TICKET) {
                let ticket = &mut line.tickets[number as usize];
                if ticket.begun > 0 {
                    return None;
                }
                ticket.note(invoke, complete);
            }
        }
        Some(line)
    }

    /// Makes each place know when the first operation of it and all later ones is over.
    fn look_back(&mut self) {
        let mut over = NEVER;
        for at in (0..self.reads.len()).rev() {
            if let Some(ticket) = self.tickets.get_mut(at) {
                over = over.min(ticket.over);
                ticket.over = over;
            }
            over = over.min(self.reads[at].over);
            self.reads[at].over = over;
        }
    }

    /// Whether time agrees with the places that are known, and all changes have room beside them.
    fn has_room(&self, events: usize) -> bool {
        let mut waiting = Waiting { over: Bits::none(events), first: 0, unknown: 0 };
        let mut free = self.free.iter();
        let mut before = 0;
        for (at, reads) in self.reads.iter().enumerate() {
            if !reads.fits(before) {
                return false;
            }
            before = before.max(reads.begun);
            let Some(after) = self.reads.get(at + 1) else { break };
            if let Some(ticket) = self.tickets.get(at).filter(|ticket| ticket.begun > 0) {
                if !ticket.fits(before) {
                    return false;
                }
                before = before.max(ticket.begun);
                continue;
            }
            while let Some([_, complete]) = free.as_slice().first().filter(|free| free[0] < after.over) {
                waiting.put(*complete);
                free.next();
            }
            if waiting.take().is_none_or(|over| over < before) {
                return false;
            }
        }
        let late = free.map(|[_, complete]| *complete).min().unwrap_or(NEVER);
        late.min(waiting.take().unwrap_or(NEVER)) >= before
    }
}

/// The changes that could have the next place.
struct Waiting {
    /// Where each is over that is.
    over: Bits,
    /// None is over before.
    first: usize,
    /// How many may take effect for ever.
    unknown: u32,
}

impl Waiting {
    fn put(&mut self, over: u32) {
        if over == NEVER {
            self.unknown += 1;
        } else {
            self.over.put(over as usize);
            self.first = self.first.min(over as usize);
        }
    }

    /// Where the one is over that is over first, and takes it out.
    fn take(&mut self) -> Option<u32> {
        if let Some(first) = self.over.next(self.first) {
            self.over.take_one(first);
            self.first = first;
            return Some(first as u32);
        }
        self.unknown = self.unknown.checked_sub(1)?;
        Some(NEVER)
    }
}
