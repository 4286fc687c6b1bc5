//! Logs: every element is appended once, reads return all of it, and an append may be answered its offset. Near-linear in
//! the operations and the sizes of all reads.
//!
//! Every read must be a beginning of the longest one, which says at which offset an element stands. Then it is a matter of
//! places, see `counter`.
//!
//! Finds every violation and nothing else. Cannot judge a log to which an element was appended twice.

use super::counter::{self, CHANGE, TICKET};
use super::{Answer, Columns, NEVER, Rule};

/// An element was appended.
pub const APPEND: u32 = 0;
/// A read; the number says which of the lists it saw.
pub const READ: u32 = 1;

static INCOMPATIBLE: Rule =
    Rule { name: "incompatible order", law: "{0}, and {1}: neither is a beginning of the other" };
static DOUBLED: Rule = Rule { name: "duplicated element", law: "{0}: an element stands there twice" };
static MADE_UP: Rule =
    Rule { name: "unexpected element", law: "{0}, but nobody who may have succeeded appended all of it" };
static ELSEWHERE: Rule = Rule { name: "wrong offset", law: "{0}, but it stands elsewhere: {1}" };

/// What reads saw: one list of elements after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    ends: Vec<usize>,
    elements: Vec<u32>,
}

impl Lists {
    /// The next list. Answers which it is.
    pub fn push(&mut self, elements: impl IntoIterator<Item = u32>) -> u32 {
        self.elements.extend(elements);
        self.ends.push(self.elements.len());
        self.ends.len() as u32 - 1
    }

    /// A list.
    pub fn list(&self, which: u32) -> &[u32] {
        let which = which as usize;
        let start = if which == 0 { 0 } else { self.ends[which - 1] };
        &self.elements[start..self.ends[which]]
    }

    /// One more than the largest element.
    pub(super) fn bound(&self) -> usize {
        self.elements.iter().max().map_or(0, |most| *most as usize + 1)
    }

    /// One plain pass over all elements.
    pub fn sum(&self) -> u64 {
        self.elements.iter().map(|element| u64::from(*element)).sum()
    }
}

/// Judges a log. `offsets` says of each operation what offset it was answered, [`NEVER`] for none; it may be empty.
pub fn judge(columns: &Columns, lists: &Lists, offsets: &[u32]) -> Answer {
    match with_places(columns, lists, offsets) {
        Ok(places) => counter::judge_as(&places, &counter::LOG),
        Err(answer) => answer,
    }
}

/// The same operations as those of a counter.
fn with_places(columns: &Columns, lists: &Lists, offsets: &[u32]) -> Result<Columns, Answer> {
    let reads = || (0..columns.len() as u32).filter(|operation| columns.kind(*operation) == READ);
    let list = |read: u32| lists.list(columns.number(read));
    let longest = reads().max_by_key(|read| list(*read).len());
    let whole = longest.map_or(&[][..], list);
    for read in reads() {
        if !whole.starts_with(list(read)) {
            let longest = longest.expect("there is a read");
            return Err(INCOMPATIBLE.broken_by([read, longest]));
        }
    }
    let bound = lists.bound().max(appended_bound(columns));
    let mut appended = vec![false; bound];
    for append in (0..columns.len() as u32).filter(|operation| columns.kind(*operation) == APPEND) {
        if std::mem::replace(&mut appended[columns.number(append) as usize], true) {
            return Err(Answer::Unfit("an element was appended twice"));
        }
    }
    let mut offset = vec![NEVER; bound];
    for (place, element) in whole.iter().enumerate() {
        let at = &mut offset[*element as usize];
        if *at != NEVER {
            return Err(DOUBLED.broken_by([longest.expect("it saw something")]));
        }
        *at = place as u32;
    }
    let mut missing = whole.len();
    let mut places = Columns::with_capacity(columns.len());
    let mut elsewhere = None;
    for operation in 0..columns.len() as u32 {
        let ends = (columns.invoke(operation), columns.complete(operation));
        let ends = (ends.0, (ends.1 != NEVER).then_some(ends.1));
        if columns.kind(operation) == READ {
            places.push(counter::READ, list(operation).len() as u32, ends.0, ends.1);
            continue;
        }
        let element = columns.number(operation) as usize;
        let told = offsets.get(operation as usize).copied().unwrap_or(NEVER);
        let seen = offset[element];
        missing -= usize::from(seen != NEVER);
        if told != NEVER && told != seen && (seen != NEVER || (told as usize) < whole.len()) {
            elsewhere = elsewhere.or(Some(operation));
        }
        // An offset beyond all appends is no place; it is found out as too high.
        match (seen, told) {
            (NEVER, NEVER) => places.push(CHANGE, 0, ends.0, ends.1),
            (NEVER, told) => places.push(TICKET, told.min(columns.len() as u32), ends.0, ends.1),
            (seen, _) => places.push(TICKET, seen, ends.0, ends.1),
        }
    }
    match (longest, elsewhere) {
        (Some(longest), _) if missing > 0 => Err(MADE_UP.broken_by([longest])),
        (Some(longest), Some(append)) => Err(ELSEWHERE.broken_by([append, longest])),
        _ => Ok(places),
    }
}

fn appended_bound(columns: &Columns) -> usize {
    let appends = (0..columns.len() as u32).filter(|operation| columns.kind(*operation) == APPEND);
    appends.map(|append| columns.number(append) as usize + 1).max().unwrap_or(0)
}
