//! Sets element by element: each can be judged for itself. Linear time.
//!
//! An element added once and removed once at most is there from some moment of its add until some later moment of its
//! removal. The add must not come after anyone who found it there was done; the removal not before anyone who did began;
//! so the first is as late and the second as early as that allows, and whoever found it missing needs a moment outside.
//!
//! Finds every violation and nothing else. Cannot judge elements that were both added and removed, either of them more than
//! once.

use super::parts::Parts;
use super::{Answer, Columns, NEVER, NONE, Rule};

/// It was added, or may have been there before.
pub const ADD: u32 = 0;
/// It was added, and had been missing.
pub const ADDED: u32 = 1;
/// It was there.
pub const PRESENT: u32 = 2;
/// It was removed, or may have been missing before.
pub const REMOVE: u32 = 3;
/// It was removed, and had been there.
pub const REMOVED: u32 = 4;
/// It was missing.
pub const ABSENT: u32 = 5;

static MADE_UP: Rule =
    Rule { name: "unexpected element", law: "{0}, but nobody who may have succeeded ever added it" };
static EARLY: Rule = Rule { name: "unexpected element", law: "{0}; only after that began this: {1}" };
static AGAIN: Rule =
    Rule { name: "duplicated element", law: "{0}, and {1}: it cannot have been missing twice" };
static BACK: Rule = Rule { name: "removed element came back", law: "{0}; only after that began this: {1}" };
static MISSED: Rule = Rule { name: "lost element", law: "{0}, while it was certainly there" };
static LATE: Rule = Rule { name: "stale read", law: "{0}; only after that began this: {1}" };

/// What is known of one element. Operations are places in the columns.
#[derive(Clone, Copy)]
struct Element {
    /// Who added it: the only one who can have, or of several the one that began first.
    add: u32,
    adds: u32,
    /// Who found it missing and added it.
    added: u32,
    remove: u32,
    removes: u32,
    /// Of those who prove that it was there at some moment of theirs: who was done first, and who began last.
    shown_first: u32,
    shown_last: u32,
    /// Of all adds, who was done first.
    add_over: u32,
    /// Of those who found it missing, who began last.
    missing_last: u32,
}

impl Element {
    const UNKNOWN: Element = Element {
        add: NONE,
        adds: 0,
        added: NONE,
        remove: NONE,
        removes: 0,
        shown_first: NONE,
        shown_last: NONE,
        add_over: NONE,
        missing_last: NONE,
    };
}

/// What is known of one element, as positions: enough to see that nothing is wrong. None lies on two lines of the
/// processor's cache: elements are met in no order.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Summary {
    /// Where the first add began, and where the first add or proof of its presence was over.
    add: u32,
    shown: u32,
    /// The ends of its removal.
    remove: u32,
    removed: u32,
    /// By whether it was there: where the last who found that began.
    found: [u32; 2],
    /// The kinds that there were, as bits, and [`TWICE`].
    kinds: u32,
}

/// Beside the bits of the six kinds: one that is no question came twice.
const TWICE: u32 = 1 << 6;
const REMOVALS: u32 = 1 << REMOVE | 1 << REMOVED;
const ADDS: u32 = 1 << ADD | 1 << ADDED;

impl Summary {
    const EMPTY: Summary =
        Summary { add: NEVER, shown: NEVER, remove: 0, removed: NEVER, found: [0; 2], kinds: 0 };

    /// Without a branch on the kind.
    fn note(&mut self, kind: u32, invoke: u32, complete: u32) {
        let only = |when: bool, value: u32| if when { value } else { NEVER };
        let bit = 1 << kind;
        let (adds, removes) = (ADDS & bit != 0, REMOVALS & bit != 0);
        self.add = self.add.min(only(adds, invoke));
        self.shown = self.shown.min(only(adds || kind == PRESENT, complete));
        self.remove = if removes { invoke } else { self.remove };
        self.removed = self.removed.min(only(removes, complete));
        self.found[0] = if kind == ABSENT { invoke } else { self.found[0] };
        self.found[1] = if kind == PRESENT { invoke } else { self.found[1] };
        let again = self.kinds & bit & (ADDS | REMOVALS) != 0;
        self.kinds |= bit | if again { TWICE } else { 0 };
    }

    /// As [`Element::fate`], where nothing is impossible: from when to when nobody may miss it, if ever.
    fn must_stay(&self) -> Option<(u32, u32)> {
        let has = |kinds: u32| self.kinds & kinds != 0;
        let all = |kinds: u32| self.kinds & kinds == kinds;
        // More than one way to read it: not here, except plain adds alone.
        if all(ADDS) || all(REMOVALS) || (has(TWICE) && self.kinds & (1 << ADDED | REMOVALS) != 0) {
            return None;
        }
        let never = Some((NEVER, 0));
        let removed = has(1 << REMOVED);
        if self.shown == NEVER && !removed {
            return never;
        }
        if !has(ADDS) || self.shown < self.add {
            return None;
        }
        let idle = !has(REMOVALS) || self.removed == NEVER || self.remove <= self.shown;
        if self.found[0] <= self.shown && idle && !removed {
            return never;
        }
        let from = self.remove.max(self.found[1]);
        (has(REMOVALS) && self.removed >= self.add.max(from)).then_some((self.shown, from))
    }
}

/// Whether there is certainly a legal order. Looks at each operation once or twice, and at nothing but its element.
fn legal(columns: &Columns) -> bool {
    let numbers = columns.numbers();
    if numbers <= 2 * Parts::NUMBERS {
        return part_is_legal(&mut vec![Summary::EMPTY; numbers], columns.iter());
    }
    let mut elements = vec![Summary::EMPTY; Parts::NUMBERS];
    Parts::of(columns).each().all(|part| {
        elements.fill(Summary::EMPTY);
        part_is_legal(&mut elements, part)
    })
}

/// The same for a few elements, of which nothing is noted yet.
fn part_is_legal(elements: &mut [Summary], rows: impl Iterator<Item = (u32, u32, u32, u32)> + Clone) -> bool {
    for (kind, number, invoke, complete) in rows.clone() {
        elements[number as usize].note(kind, invoke, complete);
    }
    for element in &mut *elements {
        let Some((until, from)) = element.must_stay() else { return false };
        (element.shown, element.remove) = (until, from);
    }
    let mut missed = false;
    for (kind, number, invoke, complete) in rows {
        let element = &elements[number as usize];
        missed |= kind == ABSENT && invoke > element.shown && complete < element.remove;
    }
    !missed
}

/// Judges every element of a set; at first there is none.
pub fn judge(columns: &Columns) -> Answer {
    if legal(columns) {
        return Answer::Legal;
    }
    let mut elements = vec![Element::UNKNOWN; columns.numbers()];
    let over = |operation: u32| if operation == NONE { NEVER } else { columns.complete(operation) };
    let mut again = None;
    for operation in 0..columns.len() as u32 {
        let element = &mut elements[columns.number(operation) as usize];
        let sooner = |than: u32| if over(operation) < over(than) { operation } else { than };
        match columns.kind(operation) {
            kind @ (ADD | ADDED) => {
                if kind == ADDED {
                    again = again.or((element.added != NONE).then_some((element.added, operation)));
                    element.added = operation;
                }
                element.add = if element.add == NONE { operation } else { element.add };
                element.add_over = sooner(element.add_over);
                element.adds += 1;
            }
            kind @ (REMOVE | REMOVED) => {
                element.remove = operation;
                element.removes += 1;
                if kind == REMOVED {
                    continue;
                }
            }
            PRESENT => {
                element.shown_first = sooner(element.shown_first);
                element.shown_last = operation;
            }
            _ => element.missing_last = operation,
        }
    }
    if elements.iter().any(|element| element.removes > 1 || (element.removes == 1 && element.adds > 1)) {
        return Answer::Unfit("an element was added and removed more than once");
    }
    if let Some((first, second)) = again {
        return AGAIN.broken_by([first, second]);
    }
    let mut doubtful = vec![None; elements.len()];
    for (number, element) in elements.iter().enumerate() {
        match element.fate(columns) {
            Fate::Possible => {}
            Fate::IfRemoved(until, from) => doubtful[number] = Some((until, from)),
            Fate::Impossible(violation) => return violation,
        }
    }
    for absent in (0..columns.len() as u32).filter(|operation| columns.kind(*operation) == ABSENT) {
        let number = columns.number(absent) as usize;
        if let Some((until, from)) = doubtful[number]
            && columns.invoke(absent) > until
            && columns.complete(absent) < from
        {
            return elements[number].missed(columns, absent);
        }
    }
    Answer::Legal
}

/// Whether there are an add and a removal that agree with all else that is known of the element.
enum Fate {
    /// There are.
    Possible,
    /// Only with a removal, and if whoever missed it began before the first position or was done after the second.
    IfRemoved(u32, u32),
    /// There are not.
    Impossible(Answer),
}

impl Element {
    fn fate(&self, columns: &Columns) -> Fate {
        let over = |operation: u32| if operation == NONE { NEVER } else { columns.complete(operation) };
        let begins = |operation: u32| if operation == NONE { 0 } else { columns.invoke(operation) };
        let removed = self.remove != NONE && columns.kind(self.remove) == REMOVED;
        if over(self.add_over) == NEVER && self.shown_first == NONE && !removed {
            return Fate::Possible;
        }
        let add = if self.added == NONE { self.add } else { self.added };
        if add == NONE {
            let shown = if self.shown_first == NONE { self.remove } else { self.shown_first };
            return Fate::Impossible(MADE_UP.broken_by([shown]));
        }
        // It came as late as those who found it allow ...
        let shown =
            if over(self.shown_first) < over(self.add_over) { self.shown_first } else { self.add_over };
        let until = over(shown);
        if until < begins(add) {
            return Fate::Impossible(EARLY.broken_by([shown, add]));
        }
        // ... and stayed, if whoever missed it can have come before; a removal with nothing to remove, too;
        let missing = begins(self.missing_last) <= until;
        let idle = self.remove == NONE || over(self.remove) == NEVER || begins(self.remove) <= until;
        if missing && idle && !removed {
            return Fate::Possible;
        }
        if self.remove == NONE {
            return Fate::Impossible(LATE.broken_by(self.with_add(vec![shown, self.missing_last])));
        }
        // ... or it left as early as those who found it allow.
        let from = begins(self.remove).max(begins(self.shown_last));
        let gone = over(self.remove);
        if gone < begins(add).max(from) && idle && !removed {
            // It may well have come first, with nothing to remove: what is wrong is that somebody missed it.
            return Fate::Impossible(LATE.broken_by(self.with_add(vec![shown, self.missing_last])));
        }
        if gone < begins(add) {
            return Fate::Impossible(EARLY.broken_by([self.remove, add]));
        }
        if gone < from {
            return Fate::Impossible(BACK.broken_by(self.with_add(vec![self.remove, self.shown_last])));
        }
        Fate::IfRemoved(until, from)
    }

    /// With whoever added it, and what else shows that it was there.
    fn with_add(&self, mut operations: Vec<u32>) -> Vec<u32> {
        for add in [self.add, self.added, self.add_over, self.shown_first] {
            if add != NONE && !operations.contains(&add) {
                operations.push(add);
            }
        }
        operations
    }

    fn missed(&self, columns: &Columns, absent: u32) -> Answer {
        let mut operations = self.with_add(vec![absent]);
        for other in [self.shown_last, self.remove, self.missing_last] {
            let matters = other != NONE && (other == self.remove || columns.kind(other) != ABSENT);
            if matters && !operations.contains(&other) {
                operations.push(other);
            }
        }
        MISSED.broken_by(operations)
    }
}
