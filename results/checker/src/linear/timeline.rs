//! The operations of one object made ready for the search: equal ones in one class, states as numbers, the events in the
//! order of time, and what can be known beforehand.

mod lay_out;

use rustc_hash::FxHashMap;
use schism_history::{Call, Ret};

use super::Entry;
use super::allowance::{Holding, Spent};
pub(super) use super::classes::ClassId;
use super::classes::ClassIds;
use super::lists::Lists;
use super::states::{REFUSED, StateId, States};
use crate::model::{Gives, Model, Needs};

/// An operation is made ready under this number.
pub(super) type OpId = u32;

/// One end of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A required operation becomes pending.
    Call(OpId),
    /// A required operation must be in line by now.
    Return(OpId),
    /// One more optional operation of this class can be had from now on.
    Offer(ClassId),
}

/// A required operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub(super) class: ClassId,
    /// Free again after its return.
    pub(super) slot: u32,
    /// Its position in the history's operations.
    pub(super) source: usize,
    /// Where its call and its return stand among the events.
    pub(super) called: u32,
    pub(super) returned: u32,
}

/// What an operation asks of the state, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Unknown,
    Nothing,
    State(StateId),
}

/// What an operation leaves behind, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    Unknown,
    Same,
    State(StateId),
}

/// What all operations of a class have in common.
#[derive(Clone, Debug)]
pub(super) struct Class<'h> {
    pub(super) call: &'h Call,
    pub(super) ret: Option<&'h Ret>,
    pub(super) asks: Asks,
    pub(super) leaves: Leaves,
    /// Which of the states someone asks for it may leave behind, if that is not said by `leaves`.
    pub(super) might_leave: Vec<StateId>,
}

/// Everything the search needs to know of one object's operations.
pub(super) struct Timeline<'h, M: Model> {
    pub(super) model: &'h M,
    pub(super) classes: Vec<Class<'h>>,
    pub(super) ops: Vec<Op>,
    pub(super) events: Vec<Event>,
    /// Numbers for all states that some operation asks for or leaves, and the initial one.
    pub(super) states: States<M::State>,
    pub(super) initial: StateId,
    /// The number of slots in use: the largest number of required operations pending at once.
    pub(super) slots: usize,
    /// By entry: whether it is optional and was left out, since no other operation could tell. Empty if none was.
    pub(super) idle: Vec<bool>,
    /// How many optional operations there are, without those.
    pub(super) optional: usize,
    /// Whether every operation's effect is known in full.
    pub(super) known: bool,
    /// Whether it is known which operations may leave which state behind.
    pub(super) obliging: bool,
    /// For each state, the optional classes that leave it behind; only where `known`.
    pub(super) offers: Lists,
    /// For each state, when operations that leave it behind are called; in order.
    pub(super) giver_calls: Lists,
    /// For each state, the required operations that ask for it, in the order of their returns.
    pub(super) askers: Lists,
    /// For each state, how many required operations ask for it, and how many operations may leave it behind.
    pub(super) asking: Vec<u32>,
    pub(super) giving: Vec<u32>,
    /// For each state, how many optional classes ask for it.
    pub(super) optional_asks: Vec<u32>,
    /// What the model said so far, where effects are not known.
    transitions: FxHashMap<(StateId, ClassId), StateId>,
    /// The bytes of that, and of the states it led to: they stay when the turn that met them is over.
    pub(super) learnt: usize,
}

/// Not derived, since a model need not be cloned for it.
impl<M: Model> Clone for Timeline<'_, M> {
    fn clone(&self) -> Self {
        Timeline {
            model: self.model,
            classes: self.classes.clone(),
            ops: self.ops.clone(),
            events: self.events.clone(),
            states: self.states.clone(),
            initial: self.initial,
            slots: self.slots,
            idle: self.idle.clone(),
            optional: self.optional,
            known: self.known,
            obliging: self.obliging,
            offers: self.offers.clone(),
            giver_calls: self.giver_calls.clone(),
            askers: self.askers.clone(),
            asking: self.asking.clone(),
            giving: self.giving.clone(),
            optional_asks: self.optional_asks.clone(),
            transitions: self.transitions.clone(),
            learnt: self.learnt,
        }
    }
}

/// Stands for all states that nobody will ask for.
pub(super) const DEAD: StateId = StateId::MAX - 1;

/// Beyond this many questions to [`Model::could_give`] it is taken that every operation could.
const MOST_QUESTIONS: usize = 4_000_000;

impl<'h, M: Model> Timeline<'h, M> {
    /// Makes the entries ready: what happens from `initial` on, and, if so, leaves `last` behind. O(n log n) and what the
    /// model's own hooks take.
    pub(super) fn new(
        model: &'h M,
        entries: &[Entry<'h>],
        initial: M::State,
        last: Option<M::State>,
    ) -> Self {
        let mut line = Timeline {
            model,
            classes: Vec::new(),
            ops: Vec::new(),
            events: Vec::new(),
            states: States::new(),
            initial: 0,
            slots: 0,
            idle: Vec::new(),
            optional: 0,
            known: true,
            obliging: true,
            offers: Lists::default(),
            giver_calls: Lists::default(),
            askers: Lists::default(),
            asking: Vec::new(),
            giving: Vec::new(),
            optional_asks: Vec::new(),
            transitions: FxHashMap::default(),
            learnt: 0,
        };
        line.initial = line.states.id(initial);
        let class_of = line.classify(entries);
        let last = last.zip(entries.last()).map(|(state, entry)| line.seen_last(state, entry));
        line.known =
            line.classes.iter().all(|class| class.asks != Asks::Unknown && class.leaves != Leaves::Unknown);
        let idle = line.idle(entries, &class_of);
        if idle.contains(&true) {
            line.idle = class_of.iter().map(|class| idle[*class as usize]).collect();
        }
        line.foresee(&idle);
        line.lay_out(entries, &class_of, &idle, last);
        line
    }

    /// At least the bytes it takes, and the most it takes while it is made.
    pub(super) fn bytes_for(entries: usize) -> usize {
        entries * (2 * size_of::<Event>() * 3 + size_of::<Op>() + size_of::<Class<'_>>() + 64)
    }

    /// A class for whoever sees this state after all others. It has the call of one of them, which nobody looks at, since
    /// what it asks and leaves is known.
    fn seen_last(&mut self, state: M::State, like: &Entry<'h>) -> ClassId {
        let asks = Asks::State(self.states.id(state));
        let ret = Some(like.ret.unwrap_or(&Ret::Done));
        self.classes.push(Class {
            call: like.call,
            ret,
            asks,
            leaves: Leaves::Same,
            might_leave: Vec::new(),
        });
        (self.classes.len() - 1) as ClassId
    }

    /// About the bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.events.capacity() * size_of::<Event>()
            + self.ops.capacity() * size_of::<Op>()
            + self.classes.capacity() * size_of::<Class<'_>>()
            + self.classes.iter().map(|class| class.might_leave.len() * size_of::<StateId>()).sum::<usize>()
            + self.states.bytes(self.model, 0)
            + self.idle.len()
            + self.offers.bytes()
            + self.giver_calls.bytes()
            + self.askers.bytes()
            + self.states.len() * 12
    }

    /// Whether operations of this class change the state without looking at it.
    pub(super) fn overwrites(&self, class: ClassId) -> bool {
        let class = &self.classes[class as usize];
        class.asks == Asks::Nothing && matches!(class.leaves, Leaves::State(_))
    }

    /// The state after an operation of `class` in `state`.
    pub(super) fn step(
        &mut self,
        state: StateId,
        class: ClassId,
        holding: &mut Holding<'_, '_>,
    ) -> Result<StateId, Spent> {
        let what = &self.classes[class as usize];
        match (what.asks, what.leaves) {
            (Asks::State(asked), _) if asked != state => return Ok(REFUSED),
            (Asks::Nothing | Asks::State(_), Leaves::Same) => return Ok(state),
            (Asks::Nothing | Asks::State(_), Leaves::State(after)) => return Ok(after),
            _ => {}
        }
        if let Some(after) = self.transitions.get(&(state, class)) {
            return Ok(*after);
        }
        let after = self.model.step(self.states.get(state), what.call, what.ret);
        let before = self.states.len();
        let after = after.map_or(REFUSED, |after| self.states.id(after));
        self.learn(self.states.bytes(self.model, before) + 32, holding)?;
        self.transitions.insert((state, class), after);
        Ok(after)
    }

    /// The states after an operation of `class` in `state` beside the one [`Timeline::step`] gives.
    pub(super) fn others(
        &mut self,
        state: StateId,
        class: ClassId,
        holding: &mut Holding<'_, '_>,
    ) -> Result<Vec<StateId>, Spent> {
        let first = self.step(state, class, holding)?;
        if self.model.deterministic() || first == REFUSED {
            return Ok(Vec::new());
        }
        let what = &self.classes[class as usize];
        let all = self.model.outcomes(self.states.get(state), what.call, what.ret);
        let before = self.states.len();
        let mut others: Vec<StateId> = all.into_iter().map(|state| self.states.id(state)).collect();
        others.retain(|other| *other != first);
        self.learn(self.states.bytes(self.model, before), holding)?;
        Ok(others)
    }

    /// Accounts for what the model said, with whoever asked and for all who come after.
    fn learn(&mut self, bytes: usize, holding: &mut Holding<'_, '_>) -> Result<(), Spent> {
        self.learnt += bytes;
        holding.grow(bytes)
    }

    /// Marks the optional classes that leave behind what nobody asks for; where all effects are known.
    fn unasked(&self, idle: &mut [bool]) {
        let none = ClassId::MAX;
        // By state, and then by class: a list through the optional classes that leave it behind.
        let (mut first, mut next) = (vec![none; self.states.len()], vec![none; self.classes.len()]);
        let (mut asked, mut due) = (vec![false; self.states.len()], Vec::new());
        let mut ask = |asks: Asks, due: &mut Vec<StateId>| {
            if let Asks::State(state) = asks
                && !std::mem::replace(&mut asked[state as usize], true)
            {
                due.push(state);
            }
        };
        for (id, class) in self.classes.iter().enumerate() {
            if class.ret.is_some() {
                ask(class.asks, &mut due);
                continue;
            }
            idle[id] = true;
            if let Leaves::State(state) = class.leaves {
                next[id] = std::mem::replace(&mut first[state as usize], id as ClassId);
            }
        }
        while let Some(state) = due.pop() {
            let mut giver = first[state as usize];
            while giver != none {
                idle[giver as usize] = false;
                ask(self.classes[giver as usize].asks, &mut due);
                giver = next[giver as usize];
            }
        }
    }

    fn classify(&mut self, entries: &[Entry<'h>]) -> Vec<ClassId> {
        let mut ids = ClassIds::with_capacity(entries.len() / 2);
        self.classes.reserve(entries.len() / 2);
        let Timeline { model, classes, states, .. } = self;
        let new = |entry: &Entry<'h>, classes: &mut Vec<Class<'h>>, states: &mut States<M::State>| {
            let effect = model.effect(entry.call, entry.ret);
            let asks = match effect.needs {
                Needs::Unknown => Asks::Unknown,
                Needs::Nothing => Asks::Nothing,
                Needs::State(state) => Asks::State(states.id(state)),
            };
            let leaves = match effect.gives {
                Gives::Unknown => Leaves::Unknown,
                Gives::Same => Leaves::Same,
                Gives::State(state) => Leaves::State(states.id(state)),
            };
            let might_leave = Vec::new();
            classes.push(Class { call: entry.call, ret: entry.ret, asks, leaves, might_leave });
            (classes.len() - 1) as ClassId
        };
        let class_of = |entry: &Entry<'h>| ids.of(entry.call, entry.ret, || new(entry, classes, states));
        entries.iter().map(class_of).collect()
    }

    /// Which classes are optional and can be left out because nobody could tell: what they leave behind, no required
    /// operation asks for, nor any optional one that is not itself left out.
    fn idle(&self, entries: &[Entry<'h>], class_of: &[ClassId]) -> Vec<bool> {
        let mut idle = vec![false; self.classes.len()];
        if self.known {
            self.unasked(&mut idle);
            return idle;
        }
        if entries.iter().all(|entry| entry.ret.is_some()) {
            return idle;
        }
        let mut seen = vec![false; self.classes.len()];
        let required: Vec<(&Call, &Ret)> = entries
            .iter()
            .zip(class_of)
            .filter(|(_, class)| !std::mem::replace(&mut seen[**class as usize], true))
            .filter_map(|(entry, _)| Some((entry.call, entry.ret?)))
            .collect();
        let optional: Vec<&Call> =
            self.classes.iter().filter(|class| class.ret.is_none()).map(|class| class.call).collect();
        for (id, class) in self.classes.iter().enumerate() {
            if class.ret.is_none() {
                idle[id] = self.model.idle(class.call, &required, &optional);
            }
        }
        idle
    }

    /// Which operations may leave behind a state that someone asks for.
    fn foresee(&mut self, idle: &[bool]) {
        let count = self.states.len();
        self.optional_asks = vec![0; count];
        let mut asked = vec![false; count];
        let mut offers = vec![0; count];
        for (id, class) in self.classes.iter().enumerate() {
            let optional = class.ret.is_none();
            if let Asks::State(state) = class.asks {
                if optional && !idle[id] {
                    self.optional_asks[state as usize] += 1;
                }
                asked[state as usize] |= !optional;
            }
            if let (true, false, Leaves::State(state)) = (optional, idle[id], class.leaves) {
                offers[state as usize] += 1;
            }
        }
        self.offers = Lists::with_lengths(offers);
        for (id, class) in self.classes.iter().enumerate() {
            if let (None, false, Leaves::State(state)) = (class.ret, idle[id], class.leaves) {
                self.offers.push(state, id as ClassId);
            }
        }
        let open = self.classes.iter().filter(|class| class.leaves == Leaves::Unknown).count();
        if open == 0 {
            return;
        }
        let asked: Vec<StateId> = (0..count as StateId).filter(|state| asked[*state as usize]).collect();
        self.obliging = open.saturating_mul(asked.len()) <= MOST_QUESTIONS;
        if !self.obliging {
            return;
        }
        for class in &mut self.classes {
            if class.leaves == Leaves::Unknown {
                class.might_leave = asked
                    .iter()
                    .copied()
                    .filter(|state| self.model.could_give(class.call, class.ret, self.states.get(*state)))
                    .collect();
            }
        }
    }
}
