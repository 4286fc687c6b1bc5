//! What lies nested in plain sight among elements of a stack, left out before anybody searches. O(n).
//!
//! What matters of an operation are the moments within it at which few elements are certainly inside. The begin of an
//! operation makes a moment better for all that are pending at it (there is one operation more, or one element less is
//! certainly inside), an end makes it worse: so of the moments between any two only those just before an end that follows a
//! begin count. They are numbered. An element is certainly inside from the moment after the one its push ended behind until
//! the one its pop began ahead of.
//!
//! If at no moment in between another element comes to be certainly inside or ceases to be (to come after the same moment,
//! and to cease ahead of the same one, is not in between), then an operation that has a moment of those in between has the
//! one before them or the one after them, too: to have neither, a push would have to end in between, and a pop to begin
//! there. At these two no more is inside than in between. So nobody needs the moments that the element takes away, and it
//! can be left out of the question; which makes others lie next to each other, and, when all operations of those left out
//! are gone, fewer moments count.

use super::NEVER;
use super::ranks::Ranks;

/// A number that no moment has; with a moment's number beside it, one of those at which pops began that are not matched.
const BARRIER: u32 = 1 << 31;

/// The parts of an element's time, in this order. Even ones are begins of operations.
const PUSHED: u32 = 1;
const POPPING: u32 = 2;

/// Elements that are certainly inside at some moment, and in which order their operations begin and end. All others may be
/// put in and taken out side by side.
pub(super) struct Line {
    /// Their numbers.
    pub(super) elements: Vec<u32>,
    /// The begins and ends of operations, each four times an element's place in that list and which part of its time it is.
    events: Vec<u32>,
}

impl Line {
    /// Given where each element's push began and was over, and its pop; [`NEVER`] where it did not.
    pub(super) fn of(ends: &[[u32; 4]], events: usize) -> Line {
        // Whether an element is ever inside is for time to say: no branch depends on it.
        let mut elements = vec![0; ends.len() + 1];
        let mut count = 0;
        for (element, ends) in ends.iter().enumerate() {
            elements[count] = element as u32;
            count += usize::from(ends[1] < ends[2]);
        }
        elements.truncate(count);
        // What never was falls off the end.
        let at = |position: u32| position.min(events as u32);
        let ranks = Ranks::of(events + 1, |put| {
            elements.iter().for_each(|element| ends[*element as usize].iter().for_each(|end| put(at(*end))));
        });
        let mut line = vec![0; ranks.len() + 1];
        for (place, element) in elements.iter().enumerate() {
            for (part, end) in ends[*element as usize].iter().enumerate() {
                line[ranks.before(at(*end))] = 4 * place as u32 + part as u32;
            }
        }
        line.truncate(ranks.before(events as u32));
        Line { elements, events: line }
    }

    /// From where until where nothing is certainly inside.
    pub(super) fn open(&self, ends: &[[u32; 4]], events: usize) -> Vec<(u32, u32)> {
        let (mut open, mut from, mut inside) = (Vec::new(), 0, 0u32);
        for event in &self.events {
            let (came, went) = (event % 4 == PUSHED, event % 4 == POPPING);
            inside = inside + u32::from(came) - u32::from(went);
            // The first that comes, or the last that goes: seldom.
            if (came && inside == 1) || (went && inside == 0) {
                let at = ends[self.elements[(event / 4) as usize] as usize][(event % 4) as usize];
                if came {
                    open.push((from, at));
                }
                from = at;
            }
        }
        if inside == 0 {
            open.push((from, events as u32));
        }
        open
    }

    /// Leaves out what can be left out, as long as that takes much away.
    pub(super) fn narrow(&mut self) {
        let mut desk = Desk::for_line(self);
        loop {
            let before = self.events.len();
            desk.look(&self.events);
            self.retain(&mut desk);
            if self.events.len() >= before - before / 8 {
                return;
            }
        }
    }

    /// By element of the list: where its push began and was over, and its pop, as places among the events here; and how
    /// many events there are.
    pub(super) fn ends(&self) -> (Vec<[u32; 4]>, usize) {
        let mut ends = vec![[NEVER; 4]; self.elements.len()];
        for (at, event) in self.events.iter().enumerate() {
            ends[(event / 4) as usize][(event % 4) as usize] = at as u32;
        }
        (ends, self.events.len())
    }

    /// Takes out those that are gone, and numbers the others anew.
    fn retain(&mut self, desk: &mut Desk) {
        let mut count = 0;
        for element in 0..self.elements.len() {
            desk.inside[element] = 4 * count as u32;
            self.elements[count] = self.elements[element];
            count += usize::from(!desk.gone[element]);
        }
        self.elements.truncate(count);
        let mut count = 0;
        for at in 0..self.events.len() {
            let (element, part) = ((self.events[at] / 4) as usize, self.events[at] % 4);
            self.events[count] = desk.inside[element] + part;
            count += usize::from(!desk.gone[element]);
        }
        self.events.truncate(count);
    }
}

/// What one look along the line needs, made once for all of them.
struct Desk {
    /// The events at which an element comes to be certainly inside, or ceases to, each with the moment it stands behind, or
    /// ahead of.
    tokens: Vec<(u32, u32)>,
    /// By element: the moment its push was over behind; later its number among those that stay.
    inside: Vec<u32>,
    /// By element: whether it lies nested in plain sight.
    gone: Vec<bool>,
    /// The moments behind which pushes were over whose pops have not begun; and barriers.
    open: Vec<u32>,
}

impl Desk {
    fn for_line(line: &Line) -> Desk {
        let (elements, tokens) = (line.elements.len(), 2 * line.elements.len());
        Desk {
            tokens: vec![(0, 0); tokens + 1],
            inside: vec![0; elements],
            gone: vec![false; elements],
            open: vec![0; tokens + 2],
        }
    }

    /// Finds out which elements lie nested in plain sight. No branch depends on which event comes when.
    fn look(&mut self, line: &[u32]) {
        let (mut count, mut moment, mut ended) = (0, 0, 0);
        for event in line {
            let end = event & 1;
            moment += ended & (end ^ 1);
            ended = end;
            self.tokens[count] = (*event, moment);
            count += usize::from(matches!(event % 4, PUSHED | POPPING));
        }
        self.gone.fill(false);
        self.open[0] = BARRIER;
        let (open, mut top) = (&mut self.open, 0);
        for (event, moment) in &self.tokens[..count] {
            let (element, pop) = ((event / 4) as usize, event % 4 == POPPING);
            // Pops that begin ahead of the same moment may begin in any order.
            let barred = pop & (open[top] == BARRIER | moment);
            let under = top - usize::from(barred);
            let hit = pop & (open[under] == self.inside[element]);
            open[top + 1] = moment | u32::from(pop) << 31;
            self.gone[element] = hit;
            self.inside[element] = if pop { self.inside[element] } else { *moment };
            open[under] = if hit { open[top] } else { open[under] };
            top = if hit { top - 1 } else { top + usize::from(!barred) };
        }
    }
}
