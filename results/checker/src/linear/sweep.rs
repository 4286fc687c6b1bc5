//! Breadth first, from return to return, with all configurations that matter side by side.
//!
//! It finds what the depth-first search finds, and skips what that skips for the same reasons. What it adds is that of all
//! configurations at one event only those are kept that no other stands for:
//! * an observer in line asks for nothing any more, so more observers in line is never worse;
//! * a covered write can return unseen or go in line for its value, so one not in line yet is never worse than the same in
//!   line, and one that is not covered is never better than one that is;
//! * less optional operations used is never worse.
//!
//! On a history without a legal order the depth-first search goes through every configuration of everything before the
//! first thing nobody can explain, and remembers them all. Here they are those of one event at a time, and few.
//!
//! A sweep can be **narrow**: of too many configurations only the most promising are kept. Then reaching the end still
//! proves a legal order, and only getting stuck proves nothing. It can also **begin anywhere**, where all effects are
//! known: with every state, every choice of strict pending operations in line, all pending observers in line, all pending
//! writes covered and no optional operation used, one of these stands for whatever was really the case. If even these get
//! stuck there is no legal order, and nothing before the beginning had to be looked at.

mod event;
mod pool;

use super::allowance::{Allowance, Holding, Spent};
use super::pending::PendingSet;
use super::states::StateId;
use super::timeline::{Asks, ClassId, DEAD, Event, Leaves, OpId, Timeline};
use super::used::UsedSets;
use crate::model::Model;
use pool::{Config, Kinds, Pool};

const NONE: OpId = OpId::MAX;
/// The clock is asked once in so many configurations.
const CLOCK_EVERY: usize = 4096;
/// With more strict operations pending a sweep does not begin there: it would have to begin with every choice of them.
const MOST_STRICT: u32 = 10;
/// Nor with more states than this.
const MOST_STATES: usize = 1 << 10;

/// Where a sweep came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// Everything up to the end is explained.
    Through,
    /// Nothing explains the return at this event. Proves something unless the sweep was narrowed.
    Stuck(u32),
}

/// How much a sweep may keep and look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of more configurations at one event than this, only the most promising are kept.
    pub(super) width: usize,
    /// Configurations to look at in all.
    pub(super) steps: u64,
}

/// A sweep over one timeline.
pub(super) struct Sweep<'a, 'b, 'h, M: Model, P: PendingSet> {
    line: &'a mut Timeline<'h, M>,
    holding: Holding<'a, 'b>,
    limits: Limits,
    used: UsedSets,
    /// By slot: the required operation pending there.
    current: Vec<OpId>,
    /// By slot: pending operations of the same class that return before it.
    before: Vec<P>,
    pending: P,
    kinds: Kinds<P>,
    /// Pending observers that every state accepts.
    idle: P,
    /// Pending observers of which only the model knows where they are accepted.
    blind: P,
    /// By state: pending operations that ask for it, and those that may leave it behind.
    asked_by: Vec<P>,
    given_by: Vec<P>,
    /// By state: required operations called from here on that ask for it, and those that may leave it behind.
    coming_asks: Vec<u32>,
    coming_gives: Vec<u32>,
    /// By state: optional operations that may leave it behind, invoked whenever.
    optional_gives: Vec<u32>,
    /// By class: how many optional operations were invoked so far.
    offered: Vec<u32>,
    /// Optional classes with an operation invoked so far.
    open_offers: Vec<ClassId>,
    frontier: Vec<Config<P>>,
    /// For so many of them there is room.
    room: usize,
    /// Without the operation that is returning, and with it.
    waiting: Pool<P>,
    served: Pool<P>,
    wanted: Vec<StateId>,
    candidates: Vec<ClassId>,
    empty: P,
    /// Configurations passed since the clock was asked.
    passed: usize,
    /// Configurations looked at.
    pub(super) configurations: u64,
    /// Whether configurations were left out only because there were too many.
    pub(super) narrowed: bool,
    /// The largest number of configurations kept at one event.
    pub(super) widest: usize,
}

impl<'a, 'b, 'h, M: Model, P: PendingSet> Sweep<'a, 'b, 'h, M, P> {
    pub(super) fn new(line: &'a mut Timeline<'h, M>, allowance: &'a Allowance<'b>, limits: Limits) -> Self {
        let (classes, states, slots) = (line.classes.len(), line.states.len(), line.slots);
        let empty = P::empty(slots);
        let mut sweep = Sweep {
            holding: Holding::new(allowance),
            limits,
            used: UsedSets::new(),
            current: vec![NONE; slots],
            before: vec![empty.clone(); slots],
            pending: empty.clone(),
            kinds: Kinds { observers: empty.clone(), writes: empty.clone() },
            idle: empty.clone(),
            blind: empty.clone(),
            asked_by: vec![empty.clone(); states],
            given_by: vec![empty.clone(); states],
            coming_asks: vec![0; states],
            coming_gives: vec![0; states],
            optional_gives: vec![0; states],
            offered: vec![0; classes],
            open_offers: Vec::new(),
            frontier: Vec::new(),
            room: 0,
            waiting: Pool::new(),
            served: Pool::new(),
            wanted: Vec::new(),
            candidates: Vec::new(),
            empty,
            passed: 0,
            configurations: 0,
            narrowed: false,
            widest: 0,
            line,
        };
        sweep.count_ahead();
        sweep
    }

    /// Counts everything that is still to come: all of it.
    fn count_ahead(&mut self) {
        for at in 0..self.line.events.len() {
            let (class, gives) = match self.line.events[at] {
                Event::Call(op) => (self.line.ops[op as usize].class, &mut self.coming_gives),
                Event::Offer(class) => (class, &mut self.optional_gives),
                Event::Return(_) => continue,
            };
            let what = &self.line.classes[class as usize];
            if let Leaves::State(state) = what.leaves {
                gives[state as usize] += 1;
            }
            for state in &what.might_leave {
                gives[*state as usize] += 1;
            }
            if let (Event::Call(_), Asks::State(state)) = (self.line.events[at], what.asks) {
                self.coming_asks[state as usize] += 1;
            }
        }
    }

    /// Everything, from the initial state.
    pub(super) fn whole(mut self) -> (Result<Swept, Spent>, Self) {
        let start = Config {
            state: self.line.initial,
            used: UsedSets::EMPTY,
            done: self.empty.clone(),
            open: self.empty.clone(),
        };
        self.frontier.push(start);
        let end = self.line.events.len();
        (self.account().and_then(|()| self.run(0, end)), self)
    }

    /// The events from `from` to `to`, from whatever may have been the case before. `None` if that is too much.
    pub(super) fn part(mut self, from: usize, to: usize) -> (Option<Result<Swept, Spent>>, Self) {
        for at in 0..from {
            self.begin_or_end(at);
        }
        if !self.anything(from, to) {
            return (None, self);
        }
        (Some(self.account().and_then(|()| self.run(from, to))), self)
    }

    fn account(&mut self) -> Result<(), Spent> {
        let word = size_of::<P>() + self.empty.heap();
        let states = self.line.states.len();
        self.holding.grow(self.line.learnt + states * (2 * word + 12) + self.line.slots * (word + 4))?;
        self.reserve(self.frontier.len())
    }

    /// Makes room for so many configurations.
    fn reserve(&mut self, count: usize) -> Result<(), Spent> {
        if count > self.room {
            self.holding.grow((count - self.room) * (size_of::<Config<P>>() + 2 * self.empty.heap()))?;
            self.room = count;
        }
        self.frontier.reserve_exact(count.saturating_sub(self.frontier.len()));
        Ok(())
    }

    /// Begins with configurations of which one stands for whatever may be the case at `from`. `to` is where the sweep will end.
    fn anything(&mut self, from: usize, to: usize) -> bool {
        let strict = self.pending.without(&self.kinds.observers).without(&self.kinds.writes);
        let states = self.asked_between(from, to);
        if !self.line.known || strict.count() > MOST_STRICT || states.len() > MOST_STATES {
            return false;
        }
        let mut choices = vec![self.kinds.observers.clone()];
        let mut rest = strict;
        while let Some(slot) = rest.first() {
            rest.take(slot);
            let with = choices.iter().cloned().map(|mut choice| {
                choice.put(slot);
                choice
            });
            let with: Vec<P> = with.collect();
            choices.extend(with);
        }
        for state in states {
            self.frontier.extend(choices.iter().map(|done| Config {
                state,
                used: UsedSets::EMPTY,
                done: done.clone(),
                open: self.empty.clone(),
            }));
        }
        true
    }

    /// The states that can be told apart from `from` to `to`, and one for all others.
    fn asked_between(&self, from: usize, to: usize) -> Vec<StateId> {
        let mut asked: Vec<bool> = self.asked_by.iter().map(|askers| !askers.is_empty()).collect();
        for (asked, optional) in asked.iter_mut().zip(&self.line.optional_asks) {
            *asked |= *optional > 0;
        }
        for event in &self.line.events[from..to] {
            if let Event::Call(op) = event
                && let Asks::State(state) = self.line.classes[self.line.ops[*op as usize].class as usize].asks
            {
                asked[state as usize] = true;
            }
        }
        let states = (0..asked.len() as StateId).filter(|state| asked[*state as usize]);
        states.chain([DEAD]).collect()
    }

    fn run(&mut self, from: usize, to: usize) -> Result<Swept, Spent> {
        for at in from..to {
            if let Event::Return(must) = self.line.events[at] {
                self.serve(at as u32, must)?;
                if self.frontier.is_empty() {
                    return Ok(Swept::Stuck(at as u32));
                }
            }
            self.begin_or_end(at);
        }
        Ok(Swept::Through)
    }

    /// Asks the clock, if that many more configurations make it due.
    fn tick(&mut self, passed: usize) -> Result<(), Spent> {
        self.passed += passed;
        if self.passed < CLOCK_EVERY {
            return Ok(());
        }
        self.passed = 0;
        if self.holding.time_over() { Err(Spent::Time) } else { Ok(()) }
    }

    /// Notes the event for what is pending, not for the configurations.
    fn begin_or_end(&mut self, at: usize) {
        match self.line.events[at] {
            Event::Call(op) => self.begin(op),
            Event::Return(op) => self.end(op),
            Event::Offer(class) => {
                self.offered[class as usize] += 1;
                if self.offered[class as usize] == 1 {
                    self.open_offers.push(class);
                }
            }
        }
    }

    fn begin(&mut self, op: OpId) {
        let this = self.line.ops[op as usize];
        let class = &self.line.classes[this.class as usize];
        self.before[this.slot as usize] = self.empty.clone();
        let mut others = self.pending.clone();
        while let Some(slot) = others.first() {
            others.take(slot);
            let other = self.line.ops[self.current[slot as usize] as usize];
            if other.class == this.class {
                let (first, last) =
                    if other.returned < this.returned { (slot, this.slot) } else { (this.slot, slot) };
                self.before[last as usize].put(first);
            }
        }
        self.current[this.slot as usize] = op;
        self.pending.put(this.slot);
        if let Asks::State(state) = class.asks {
            self.asked_by[state as usize].put(this.slot);
            self.coming_asks[state as usize] -= 1;
        }
        if let Leaves::State(state) = class.leaves {
            self.given_by[state as usize].put(this.slot);
            self.coming_gives[state as usize] -= 1;
        }
        for state in &class.might_leave {
            self.given_by[*state as usize].put(this.slot);
            self.coming_gives[*state as usize] -= 1;
        }
        if class.leaves == Leaves::Same {
            self.kinds.observers.put(this.slot);
            match class.asks {
                Asks::Nothing => self.idle.put(this.slot),
                Asks::Unknown => self.blind.put(this.slot),
                Asks::State(_) => {}
            }
        } else if self.line.known && self.line.overwrites(this.class) {
            self.kinds.writes.put(this.slot);
            for config in &mut self.frontier {
                config.open.put(this.slot);
            }
        }
    }

    fn end(&mut self, op: OpId) {
        let this = self.line.ops[op as usize];
        let class = &self.line.classes[this.class as usize];
        let slot = this.slot;
        self.current[slot as usize] = NONE;
        for set in [
            &mut self.pending,
            &mut self.kinds.observers,
            &mut self.kinds.writes,
            &mut self.idle,
            &mut self.blind,
        ] {
            set.take(slot);
        }
        self.before.iter_mut().for_each(|set| set.take(slot));
        if let Asks::State(state) = class.asks {
            self.asked_by[state as usize].take(slot);
        }
        if let Leaves::State(state) = class.leaves {
            self.given_by[state as usize].take(slot);
        }
        for state in &class.might_leave {
            self.given_by[*state as usize].take(slot);
        }
        for config in &mut self.frontier {
            config.done.take(slot);
            config.open.take(slot);
        }
    }
}
