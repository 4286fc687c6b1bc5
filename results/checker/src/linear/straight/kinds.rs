//! What operations ask and leave, by what they say: the model is asked once for each that differs.

use schism_history::{CallKind, Columns, Outcome, Status};

use crate::linear::states::States;
use crate::model::{Effect, Gives, Model, Needs};

/// What asks for no state, among what is asked; what leaves the state as it was, among what is left.
pub(super) const NONE: u8 = 0;
/// Stands for all states that nobody will ask for.
pub(super) const DEAD: u8 = u8::MAX;
/// So many different calls, with their answers, at most.
const KINDS: usize = 1 << 10;
/// Places in the table at first.
const PLACES: usize = 256;

/// What an operation asks for and what it leaves. Those of one kind are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) asks: u8,
    pub(super) leaves: u8,
}

pub(super) const NOTHING: Kind = Kind { asks: NONE, leaves: NONE };

impl Kind {
    /// Whether it changes the state without looking at it.
    #[inline]
    pub(super) fn overwrites(self) -> bool {
        self.asks == NONE && self.leaves != NONE
    }

    /// The state after it; `None` if it is refused.
    #[inline]
    pub(super) fn after(self, state: u8) -> Option<u8> {
        match (self.asks == NONE || self.asks == state, self.leaves) {
            (false, _) => None,
            (true, NONE) => Some(state),
            (true, left) => Some(left),
        }
    }
}

/// What the calls met so far ask and leave, by what they say.
pub(super) struct Kinds<'c, S> {
    said: [&'c [u32]; 3],
    kind: &'c [CallKind],
    status: &'c [Status],
    swaps: &'c [[u32; 2]],
    states: States<S>,
    pub(super) initial: u8,
    /// A table with open addresses, at most half full: what is said, and the kind. Nothing is said by zero.
    table: Vec<(u128, Kind)>,
    count: usize,
}

/// The most bytes that the table takes for so many operations: at most half full, and beside the old one while it grows.
pub(super) fn most_bytes(operations: usize) -> usize {
    let places = (2 * operations.min(KINDS)).next_power_of_two().max(PLACES);
    (places + places / 2) * size_of::<(u128, Kind)>()
}

/// Bits for each of the four numbers that an operation says.
const PART: u32 = 30;

impl<'c, S: Clone + Eq + std::hash::Hash> Kinds<'c, S> {
    pub(super) fn new<M: Model<State = S>>(model: &M, columns: &'c Columns) -> Option<Self> {
        let most = columns.value_count().max(columns.keys().len());
        if most >= (1 << PART) - 1 || !model.deterministic() {
            return None;
        }
        let mut states = States::new();
        let initial = number(states.id(model.initial()))?;
        Some(Kinds {
            said: [columns.argument(), columns.answer(), columns.key()],
            kind: columns.kind(),
            status: columns.status(),
            swaps: columns.swaps(),
            states,
            initial,
            table: vec![(0, NOTHING); PLACES],
            count: 0,
        })
    }

    pub(super) fn of<M: Model<State = S>>(
        &mut self,
        model: &M,
        columns: &Columns,
        at: usize,
    ) -> Option<Kind> {
        let (kind, [argument, answer, key]) = (self.kind[at], self.said.map(|said| said[at]));
        let [first, second] = match kind {
            CallKind::Cas => self.swaps[argument as usize],
            // Its steps are not numbered.
            CallKind::Txn => return None,
            _ => [argument, u32::MAX],
        };
        let answer = if self.status[at] == Status::Answered { answer } else { u32::MAX };
        let parts = [first, second, answer, key];
        let kind = 2 * (kind as u128 + 1) + u128::from(self.status[at].is_info());
        let said = parts.iter().fold(kind, |said, part| said << PART | u128::from(part.wrapping_add(1)));
        let place = place(&self.table, said);
        match self.table[place] {
            (0, _) => self.meet(model, columns, at, said),
            (_, kind) => Some(kind),
        }
    }

    /// Asks the model about a call that was not met before.
    #[cold]
    fn meet<M: Model<State = S>>(
        &mut self,
        model: &M,
        columns: &Columns,
        at: usize,
        said: u128,
    ) -> Option<Kind> {
        let (call, outcome) = (columns.call(at), columns.outcome(at));
        let ret = if let Outcome::Ok(ret) = &outcome { Some(ret) } else { None };
        if !model.understands(&call, ret) || self.count == KINDS {
            return None;
        }
        let Effect { needs, gives } = model.effect(&call, ret);
        let asks = match needs {
            Needs::Unknown => return None,
            Needs::Nothing => NONE,
            Needs::State(state) => number(self.states.id(state))?,
        };
        let leaves = match gives {
            Gives::Unknown => return None,
            Gives::Same => NONE,
            Gives::State(state) => number(self.states.id(state))?,
        };
        let kind = Kind { asks, leaves };
        self.count += 1;
        if self.count * 2 > self.table.len() {
            let larger = vec![(0, kind); self.table.len() * 2];
            for (said, kind) in std::mem::replace(&mut self.table, larger) {
                if said != 0 {
                    let place = place(&self.table, said);
                    self.table[place] = (said, kind);
                }
            }
        }
        let place = place(&self.table, said);
        self.table[place] = (said, kind);
        Some(kind)
    }
}

/// A state's number here: there are [`NONE`] and [`DEAD`], too.
fn number(state: u32) -> Option<u8> {
    u8::try_from(state + 1).ok().filter(|number| *number < DEAD)
}

/// Where it stands in the table, or would.
fn place(table: &[(u128, Kind)], said: u128) -> usize {
    const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];
    let hash = (said as u64).wrapping_mul(MIX[0]) ^ ((said >> 64) as u64).wrapping_mul(MIX[1]);
    let mut place = (hash >> 40) as usize & (table.len() - 1);
    while table[place].0 != said && table[place].0 != 0 {
        place = (place + 1) & (table.len() - 1);
    }
    place
}
