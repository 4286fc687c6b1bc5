//! Elements that are put in and taken out: who did which, and what is wrong whatever the order they come out in.

use super::{Answer, Columns, NEVER, NONE, Rule};

/// An element was put in.
pub const PUT: u32 = 0;
/// An element was taken out, if the operation is known to have happened; else nobody knows which, and the number means
/// nothing.
pub const TAKE: u32 = 1;
/// There was nothing to take.
pub const EMPTY: u32 = 2;
/// It did not happen, or does not matter.
pub(super) const IDLE: u32 = 3;

static MADE_UP: Rule =
    Rule { name: "unexpected element", law: "{0}, but nobody who may have succeeded ever put that in" };
static EARLY: Rule =
    Rule { name: "unexpected element", law: "{0}, but nobody began to put that in before {1}" };
static DOUBLED: Rule = Rule { name: "duplicated element", law: "{0}, and {1}, but it was put in only once" };

/// When each element came and went: all that is needed to see that nothing is wrong. Built without a branch that depends
/// on the kinds, which come as they like.
pub(super) struct Stays {
    /// By element: where its put began and was over, and its take; [`NEVER`] where that is not known.
    pub(super) ends: Vec<[u32; 4]>,
    /// Where the takes of unknown fate began, ascending.
    pub(super) unknown: Vec<u32>,
    /// Where those that found nothing began and were over.
    pub(super) empty: Vec<[u32; 2]>,
}

impl Stays {
    /// `None` if an element was put in or taken twice, or taken before anybody began to put it in: [`Pairs::of`] says
    /// which.
    pub(super) fn of(columns: &Columns) -> Option<Stays> {
        let mut stays =
            Stays { ends: vec![[NEVER; 4]; columns.numbers()], unknown: Vec::new(), empty: Vec::new() };
        let mut again = false;
        for (kind, number, invoke, complete) in columns.iter() {
            if kind >= EMPTY {
                if kind == EMPTY && complete != NEVER {
                    stays.empty.push([invoke, complete]);
                }
                continue;
            }
            if complete == NEVER && kind == TAKE {
                stays.unknown.push(invoke);
                continue;
            }
            let ends = &mut stays.ends[number as usize];
            let at = 2 * (kind & 1) as usize;
            again |= ends[at] != NEVER;
            ends[at] = invoke;
            ends[at + 1] = complete;
        }
        let early = stays.ends.iter().fold(false, |early, [put, _, _, taken]| early | (taken < put));
        (!again && !early).then_some(stays)
    }
}

/// The operations on each element, as places in the columns; [`NONE`] where there is none.
pub(super) struct Pairs {
    pub(super) put: Vec<u32>,
    /// Who took it for certain.
    pub(super) take: Vec<u32>,
    /// Who took something, but nobody knows what, or whether.
    pub(super) unknown: Vec<u32>,
}

impl Pairs {
    /// Who put each element in and who took it.
    ///
    /// # Errors
    /// When an element was put in twice, or what is wrong can be seen without looking at the order.
    pub(super) fn of(columns: &Columns) -> Result<Pairs, Answer> {
        let numbers = columns.numbers();
        let (mut put, mut take) = (vec![NONE; numbers], vec![NONE; numbers]);
        let (mut unknown, mut twice, mut doubled) = (Vec::new(), false, None);
        for operation in 0..columns.len() as u32 {
            let number = columns.number(operation) as usize;
            match columns.kind(operation) {
                PUT => {
                    twice |= put[number] != NONE;
                    put[number] = operation;
                }
                TAKE if columns.complete(operation) == NEVER => unknown.push(operation),
                TAKE => {
                    if take[number] != NONE {
                        doubled = doubled.or(Some((take[number], operation)));
                    }
                    take[number] = operation;
                }
                _ => {}
            }
        }
        if twice {
            return Err(Answer::Unfit("an element was put in twice"));
        }
        let pairs = Pairs { put, take, unknown };
        if let Some((first, second)) = doubled {
            let put = pairs.put[columns.number(second) as usize];
            let put = Some(put).filter(|put| *put != NONE);
            return Err(DOUBLED.broken_by([first, second].into_iter().chain(put).collect::<Vec<_>>()));
        }
        match pairs.wrong_by_itself(columns) {
            Some(violation) => Err(violation),
            None => Ok(pairs),
        }
    }

    /// The same, where nothing is wrong by itself and every take says what it took.
    pub(super) fn known(columns: &Columns) -> Pairs {
        let numbers = columns.numbers();
        let mut pairs = Pairs { put: vec![NONE; numbers], take: vec![NONE; numbers], unknown: Vec::new() };
        for operation in 0..columns.len() as u32 {
            match columns.kind(operation) {
                PUT => pairs.put[columns.number(operation) as usize] = operation,
                TAKE => pairs.take[columns.number(operation) as usize] = operation,
                _ => {}
            }
        }
        pairs
    }

    /// An element taken that was never put in, or not before the end of the take.
    fn wrong_by_itself(&self, columns: &Columns) -> Option<Answer> {
        for (put, take) in self.put.iter().zip(&self.take).filter(|(_, take)| **take != NONE) {
            if *put == NONE {
                return Some(MADE_UP.broken_by([*take]));
            }
            if columns.complete(*take) < columns.invoke(*put) {
                return Some(EARLY.broken_by([*take, *put]));
            }
        }
        None
    }

    /// The operations on one element.
    pub(super) fn both(&self, element: u32) -> Vec<u32> {
        let both = [self.put[element as usize], self.take[element as usize]];
        both.into_iter().filter(|operation| *operation != NONE).collect()
    }

    /// The operations on each element that was certainly inside at some moment between two positions. Those that were
    /// not can be left out of what explains something that happened between the two.
    pub(super) fn inside(&self, columns: &Columns, from: u32, until: u32) -> Vec<Vec<u32>> {
        let elements = (0..self.put.len() as u32).filter(|element| {
            let (put, take) = (self.put[*element as usize], self.take[*element as usize]);
            put != NONE
                && columns.complete(put) < until
                && (take == NONE
                    || (columns.invoke(take) > from && columns.complete(put) < columns.invoke(take)))
        });
        elements.map(|element| self.both(element)).collect()
    }
}
