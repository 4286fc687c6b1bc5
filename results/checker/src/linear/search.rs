//! Depth first, with a memo and an explicit stack.
//!
//! What is skipped, and why nothing is missed:
//! * **Eager observers.** An operation that changes no state is put in line as soon as it is pending and accepted:
//!   moving it earlier in a legal order, to a place where it is accepted, leaves the order legal.
//! * **Obligations.** A state that a required operation still asks for is not left when no operation that could bring
//!   it back remains.
//! * **Optional operations only for a customer.** Where all effects are known, an optional operation that leaves state
//!   `v` is tried only if a pending operation asks for `v`, directly or through other optional ones. In any legal order
//!   one that is not followed by such an operation can be moved later or taken out.
//! * **Dead writes.** Where all effects are known, a pending write whose value nobody will ask for goes in line unseen
//!   just before the next write that goes in line; by itself it is tried only when it must be in line. In any legal order
//!   what follows a dead write does not look at the state, so the dead write can be moved there.
//! * **Equal optional operations** are used in the order of their invocations.
//! * **Dominance.** Of two configurations that differ only in the optional operations used, one that has used fewer can
//!   do all the other can. One that has been tried in vain therefore covers all that used more. Whether an optional
//!   operation was used that nobody can ask for any more makes no difference at all.

use rustc_hash::FxHashMap;

use super::allowance::{Allowance, Holding, Spent};
use super::pending::PendingSet;
use super::states::{REFUSED, StateId};
use super::timeline::{Asks, ClassId, Event, Leaves, OpId, Timeline};
use super::used::{UsedId, UsedSets};
use super::{Effort, Finding};
use crate::model::Model;

const NONE: OpId = OpId::MAX;
/// The clock is asked once in so many configurations.
const CLOCK_EVERY: u64 = 1024;

/// What can come next in a line.
#[derive(Clone, Copy)]
enum Candidate {
    Required(OpId),
    Optional(ClassId),
}

/// A configuration whose successors are being tried.
struct Frame<P> {
    /// The event it stands before: the first return whose operation is not in line.
    at: u32,
    state: StateId,
    used: UsedId,
    /// Which successor is due; see [`Search::next`].
    cursor: u32,
    /// Where its own changes begin on the trail.
    trail: u32,
    /// Where its optional candidates begin on their stack.
    offers: u32,
    done: P,
}

/// The search over one timeline.
pub(super) struct Search<'a, 'b, 'h, M: Model, P: PendingSet> {
    line: &'a mut Timeline<'h, M>,
    holding: Holding<'a, 'b>,
    steps: u64,
    /// By slot: the required operation pending there.
    current: Vec<OpId>,
    /// By class: how many optional operations were invoked so far.
    offered: Vec<u32>,
    /// Optional classes with an operation invoked so far, in the order of their first one; only where effects are not
    /// all known.
    open_offers: Vec<ClassId>,
    /// By state: required operations not in line that ask for it.
    asking: Vec<u32>,
    /// By state: operations not in line that could leave it behind, optional ones included.
    giving: Vec<u32>,
    used: UsedSets,
    memo: FxHashMap<(u32, StateId, P), u32>,
    /// Antichains of used sets, for memo entries with more than one.
    chains: Vec<Vec<UsedId>>,
    transitions: FxHashMap<(StateId, ClassId), StateId>,
    stack: Vec<Frame<P>>,
    /// What was put in line, in order; required operations by number, optional classes with the top bit set.
    trail: Vec<u32>,
    offer_stack: Vec<ClassId>,
    wanted: Vec<StateId>,
    configurations: u64,
    furthest: u32,
}

/// Marks an optional class on the trail, and a chain in the memo.
const TOP: u32 = 1 << 31;

impl<'a, 'b, 'h, M: Model, P: PendingSet> Search<'a, 'b, 'h, M, P> {
    pub(super) fn new(line: &'a mut Timeline<'h, M>, allowance: &'a Allowance<'b>, steps: u64) -> Self {
        let classes = line.classes.len();
        let states = line.states.len();
        let mut search = Search {
            holding: Holding::new(allowance),
            steps,
            current: vec![NONE; line.slots],
            offered: vec![0; classes],
            open_offers: Vec::new(),
            asking: vec![0; states],
            giving: vec![0; states],
            used: UsedSets::new(),
            memo: FxHashMap::default(),
            chains: Vec::new(),
            transitions: FxHashMap::default(),
            stack: Vec::new(),
            trail: Vec::new(),
            offer_stack: Vec::new(),
            wanted: Vec::new(),
            configurations: 0,
            furthest: 0,
            line,
        };
        search.count_obligations();
        search
    }

    fn count_obligations(&mut self) {
        for event in &self.line.events {
            let (class, required) = match event {
                Event::Call(op) => (self.line.ops[*op as usize].class, true),
                Event::Offer(class) => (*class, false),
                Event::Return(_) => continue,
            };
            let class = &self.line.classes[class as usize];
            if let (true, Asks::State(state)) = (required, class.asks) {
                self.asking[state as usize] += 1;
            }
            if let Leaves::State(state) = class.leaves {
                self.giving[state as usize] += 1;
            }
            for state in &class.might_leave {
                self.giving[*state as usize] += 1;
            }
        }
    }

    /// Runs to the end, or until the allowance is spent.
    pub(super) fn run(mut self) -> (Finding, Effort) {
        let finding = match self.explore() {
            Ok(true) => Finding::Linearizable,
            Ok(false) => Finding::NotLinearizable,
            Err(spent) => Finding::GaveUp(spent),
        };
        let reached = match self.line.events.get(self.furthest as usize) {
            Some(Event::Return(op)) if finding != Finding::Linearizable => {
                Some(self.line.ops[*op as usize].source)
            }
            _ => None,
        };
        let effort = Effort {
            configurations: self.configurations,
            reached,
            concurrency: self.line.slots,
            optional: self.line.optional,
        };
        (finding, effort)
    }

    fn explore(&mut self) -> Result<bool, Spent> {
        self.holding.grow(self.line.bytes())?;
        if self.hopeless() {
            return Ok(false);
        }
        let mut done = P::empty(self.line.slots);
        let state = self.line.initial;
        let at = self.advance(0, &mut done, state);
        if at as usize == self.line.events.len() {
            return Ok(true);
        }
        self.push(at, done, state, UsedSets::EMPTY, 0)?;
        while let Some(candidate) = self.next() {
            let Some(candidate) = candidate else {
                self.pop();
                continue;
            };
            if self.follow(candidate)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether some required operation asks for a state that nothing ever leaves behind.
    fn hopeless(&self) -> bool {
        self.line.obliging
            && (0..self.asking.len()).any(|state| {
                state as StateId != self.line.initial && self.asking[state] > 0 && self.giving[state] == 0
            })
    }

    /// The next candidate of the configuration on top: first the operation that must be in line next; then, if it asks
    /// for another state, the pending ones that leave it behind; then all other pending ones; then optional ones.
    /// `None` when the stack is empty, `Some(None)` when the top has no more.
    fn next(&mut self) -> Option<Option<Candidate>> {
        let slots = self.line.slots as u32;
        let top = self.stack.last_mut()?;
        let Event::Return(must) = self.line.events[top.at as usize] else {
            unreachable!("a configuration stands before a return")
        };
        let asks = self.line.classes[self.line.ops[must as usize].class as usize].asks;
        let first = match asks {
            Asks::State(state) if state != top.state => Leaves::State(state),
            _ => Leaves::Unknown,
        };
        if top.cursor == 0 {
            top.cursor = if first == Leaves::Unknown { slots + 1 } else { 1 };
            return Some(Some(Candidate::Required(must)));
        }
        while self.top().cursor <= 2 * slots {
            let top = self.top();
            let slot = (top.cursor - 1) % slots;
            let early = top.cursor <= slots;
            top.cursor += 1;
            let in_line = top.done.has(slot);
            let op = self.current[slot as usize];
            if op == NONE || op == must || in_line {
                continue;
            }
            let leaves = self.line.classes[self.line.ops[op as usize].class as usize].leaves;
            let is_first = first != Leaves::Unknown && leaves == first;
            if leaves == Leaves::Same || early != is_first || self.dead(op) {
                continue;
            }
            return Some(Some(Candidate::Required(op)));
        }
        if self.top().cursor == 2 * slots + 1 {
            self.collect_offers();
        }
        let top = self.top();
        let at = (top.offers + top.cursor - 2 * slots - 1) as usize;
        top.cursor += 1;
        Some(self.offer_stack.get(at).map(|class| Candidate::Optional(*class)))
    }

    fn top(&mut self) -> &mut Frame<P> {
        self.stack.last_mut().expect("only called with a configuration on top")
    }

    /// Puts the optional classes worth trying from the configuration on top onto their stack.
    fn collect_offers(&mut self) {
        if self.line.optional == 0 {
            return;
        }
        let top = self.stack.last().expect("only called with a configuration on top");
        let (state, used) = (top.state, top.used);
        if !self.line.known {
            for class in &self.open_offers {
                if self.used.count(used, *class) < self.offered[*class as usize] as usize {
                    self.offer_stack.push(*class);
                }
            }
            return;
        }
        // Where the state is as wanted already, writing it again can still hide dead writes.
        let hides = self.current.iter().any(|op| *op != NONE && !self.in_line(*op) && self.dead(*op));
        let top = self.stack.last().expect("only called with a configuration on top");
        self.wanted.clear();
        for op in self.current.iter().filter(|op| **op != NONE) {
            let op = self.line.ops[*op as usize];
            if let (false, Asks::State(asked)) =
                (top.done.has(op.slot), self.line.classes[op.class as usize].asks)
                && (asked != state || hides)
                && !self.wanted.contains(&asked)
            {
                self.wanted.push(asked);
            }
        }
        let mut at = 0;
        while let Some(wanted) = self.wanted.get(at).copied() {
            at += 1;
            for class in &self.line.offers[wanted as usize] {
                if self.used.count(used, *class) >= self.offered[*class as usize] as usize {
                    continue;
                }
                match self.line.classes[*class as usize].asks {
                    Asks::State(before) if before != state || hides => {
                        if !self.wanted.contains(&before) {
                            self.wanted.push(before);
                        }
                        if before == state {
                            self.offer_stack.push(*class);
                        }
                    }
                    _ => self.offer_stack.push(*class),
                }
            }
        }
    }

    /// Whether a pending operation is in line in the configuration on top.
    fn in_line(&self, op: OpId) -> bool {
        let slot = self.line.ops[op as usize].slot;
        self.stack.last().is_some_and(|top| top.done.has(slot))
    }

    /// Puts the candidate in line. `true` if that explains everything.
    fn follow(&mut self, candidate: Candidate) -> Result<bool, Spent> {
        let top = self.stack.last().expect("candidates come from the configuration on top");
        let (from_at, from_state, from_used, mut done) = (top.at, top.state, top.used, top.done.clone());
        let class = match candidate {
            Candidate::Required(op) => self.line.ops[op as usize].class,
            Candidate::Optional(class) => class,
        };
        let state = self.step(from_state, class)?;
        if state == REFUSED {
            return Ok(false);
        }
        let trail = self.trail.len();
        let mut used = from_used;
        match candidate {
            Candidate::Required(op) => {
                done.put(self.line.ops[op as usize].slot);
                self.enter(op);
            }
            Candidate::Optional(class) => {
                self.trail.push(class | TOP);
                self.settle(class, false);
                used = self.use_one(used, class)?;
            }
        }
        if state != from_state && self.owed(from_state) {
            self.rewind(trail);
            return Ok(false);
        }
        if self.overwrites(class) {
            self.absorb(&mut done);
        }
        if state == from_state && self.trail.len() == trail + 1 && matches!(candidate, Candidate::Optional(_))
        {
            // It would change nothing.
            self.rewind(trail);
            return Ok(false);
        }
        if state != from_state {
            self.observe(&mut done, state);
        }
        let at = self.advance(from_at, &mut done, state);
        if at as usize == self.line.events.len() {
            return Ok(true);
        }
        used = self.forget_spent(used);
        if !self.remember(at, state, &done, used)? {
            self.rewind(trail);
            self.retreat(at, from_at);
            return Ok(false);
        }
        self.push(at, done, state, used, trail)?;
        Ok(false)
    }

    /// Whether operations of this class change the state without looking at it.
    fn overwrites(&self, class: ClassId) -> bool {
        let class = &self.line.classes[class as usize];
        class.asks == Asks::Nothing && matches!(class.leaves, Leaves::State(_))
    }

    /// Whether this is a write whose value nobody will ask for.
    fn dead(&self, op: OpId) -> bool {
        let class = &self.line.classes[self.line.ops[op as usize].class as usize];
        match (self.line.known, class.asks, class.leaves) {
            (true, Asks::Nothing, Leaves::State(state)) => {
                self.asking[state as usize] == 0 && self.line.optional_asks[state as usize] == 0
            }
            _ => false,
        }
    }

    /// Puts every pending dead write in line.
    fn absorb(&mut self, done: &mut P) {
        for slot in 0..self.current.len() {
            let op = self.current[slot];
            if op != NONE && !done.has(slot as u32) && self.dead(op) {
                done.put(slot as u32);
                self.enter(op);
            }
        }
    }

    fn use_one(&mut self, used: UsedId, class: ClassId) -> Result<UsedId, Spent> {
        let before = self.used.len();
        let used = self.used.with(used, class);
        if self.used.len() > before {
            self.holding.grow(self.used.bytes(used))?;
        }
        Ok(used)
    }

    /// The same set without optional operations that nobody can ask for any more.
    fn forget_spent(&mut self, used: UsedId) -> UsedId {
        if !self.line.known || used == UsedSets::EMPTY {
            return used;
        }
        let (line, asking) = (&*self.line, &self.asking);
        self.used.without(used, |class| match line.classes[class as usize].leaves {
            Leaves::State(state) => asking[state as usize] == 0 && line.optional_asks[state as usize] == 0,
            _ => false,
        })
    }

    /// The state after an operation of `class` in `state`.
    fn step(&mut self, state: StateId, class: ClassId) -> Result<StateId, Spent> {
        let what = &self.line.classes[class as usize];
        match (what.asks, what.leaves) {
            (Asks::State(asked), _) if asked != state => return Ok(REFUSED),
            (Asks::Nothing | Asks::State(_), Leaves::Same) => return Ok(state),
            (Asks::Nothing | Asks::State(_), Leaves::State(after)) => return Ok(after),
            _ => {}
        }
        if let Some(after) = self.transitions.get(&(state, class)) {
            return Ok(*after);
        }
        let after = self.line.model.step(self.line.states.get(state), what.call, what.ret);
        let before = self.line.states.len();
        let after = after.map_or(REFUSED, |after| self.line.states.id(after));
        self.holding.grow(self.line.states.bytes(self.line.model, before) + 32)?;
        self.transitions.insert((state, class), after);
        Ok(after)
    }

    /// Whether leaving `state` now leaves a required operation without what it asks for.
    fn owed(&self, state: StateId) -> bool {
        let state = state as usize;
        self.line.obliging && state < self.asking.len() && self.asking[state] > 0 && self.giving[state] == 0
    }

    /// Notes that a required operation is in line.
    fn enter(&mut self, op: OpId) {
        self.trail.push(op);
        self.settle(self.line.ops[op as usize].class, true);
    }

    fn settle(&mut self, class: ClassId, required: bool) {
        let class = &self.line.classes[class as usize];
        if let (true, Asks::State(state)) = (required, class.asks) {
            self.asking[state as usize] -= 1;
        }
        if let Leaves::State(state) = class.leaves {
            self.giving[state as usize] -= 1;
        }
        for state in &class.might_leave {
            self.giving[*state as usize] -= 1;
        }
    }

    /// Takes everything from `length` on back out of the line.
    fn rewind(&mut self, length: usize) {
        while self.trail.len() > length {
            let Some(entry) = self.trail.pop() else { return };
            let required = entry & TOP == 0;
            let class = if required { self.line.ops[entry as usize].class } else { entry & !TOP };
            let class = &self.line.classes[class as usize];
            if let (true, Asks::State(state)) = (required, class.asks) {
                self.asking[state as usize] += 1;
            }
            if let Leaves::State(state) = class.leaves {
                self.giving[state as usize] += 1;
            }
            for state in &class.might_leave {
                self.giving[*state as usize] += 1;
            }
        }
    }

    /// Puts every pending observer that `state` accepts in line.
    fn observe(&mut self, done: &mut P, state: StateId) {
        for slot in 0..self.current.len() {
            let op = self.current[slot];
            if op != NONE && !done.has(slot as u32) && self.observes(op, state) {
                done.put(slot as u32);
                self.enter(op);
            }
        }
    }

    fn observes(&mut self, op: OpId, state: StateId) -> bool {
        let id = self.line.ops[op as usize].class;
        let class = &self.line.classes[id as usize];
        if class.leaves != Leaves::Same {
            return false;
        }
        match class.asks {
            Asks::State(asked) => asked == state,
            Asks::Nothing => true,
            Asks::Unknown => {
                self.line.model.step(self.line.states.get(state), class.call, class.ret).is_some()
            }
        }
    }

    /// Walks on to the first return whose operation is not in line.
    fn advance(&mut self, from: u32, done: &mut P, state: StateId) -> u32 {
        let mut at = from;
        while let Some(event) = self.line.events.get(at as usize).copied() {
            match event {
                Event::Call(op) => {
                    let slot = self.line.ops[op as usize].slot;
                    self.current[slot as usize] = op;
                    if self.observes(op, state) {
                        done.put(slot);
                        self.enter(op);
                    }
                }
                Event::Return(op) => {
                    let slot = self.line.ops[op as usize].slot;
                    if !done.has(slot) {
                        break;
                    }
                    done.take(slot);
                    self.current[slot as usize] = NONE;
                }
                Event::Offer(class) => {
                    self.offered[class as usize] += 1;
                    if self.offered[class as usize] == 1 {
                        self.open_offers.push(class);
                    }
                }
            }
            at += 1;
        }
        self.furthest = self.furthest.max(at);
        at
    }

    /// Walks back from `from` to `to`.
    fn retreat(&mut self, from: u32, to: u32) {
        for at in (to..from).rev() {
            match self.line.events[at as usize] {
                Event::Call(op) => self.current[self.line.ops[op as usize].slot as usize] = NONE,
                Event::Return(op) => self.current[self.line.ops[op as usize].slot as usize] = op,
                Event::Offer(class) => {
                    self.offered[class as usize] -= 1;
                    if self.offered[class as usize] == 0 {
                        self.open_offers.pop();
                    }
                }
            }
        }
    }

    /// Whether the configuration is new: neither it nor one that covers it has been tried.
    fn remember(&mut self, at: u32, state: StateId, done: &P, used: UsedId) -> Result<bool, Spent> {
        if self.memo.len() == self.memo.capacity() {
            self.make_room()?;
        }
        let heap = done.heap();
        let Some(entry) = self.memo.get_mut(&(at, state, done.clone())) else {
            self.memo.insert((at, state, done.clone()), used);
            if heap > 0 {
                self.holding.grow(heap)?;
            }
            return Ok(true);
        };
        if *entry & TOP == 0 {
            let known = *entry;
            if self.used.within(known, used) {
                return Ok(false);
            }
            if self.used.within(used, known) {
                *entry = used;
                return Ok(true);
            }
            *entry = self.chains.len() as u32 | TOP;
            self.chains.push(vec![known, used]);
            self.holding.grow(64)?;
            return Ok(true);
        }
        let chain = &mut self.chains[(*entry & !TOP) as usize];
        if chain.iter().any(|known| self.used.within(*known, used)) {
            return Ok(false);
        }
        chain.retain(|known| !self.used.within(used, *known));
        chain.push(used);
        self.holding.grow(4)?;
        Ok(true)
    }

    /// Doubles the memo, if there is memory for the old and the new one side by side.
    fn make_room(&mut self) -> Result<(), Spent> {
        let entry = size_of::<((u32, StateId, P), u32)>() + 1;
        // The table is at most 7/8 full.
        let old = self.memo.capacity() / 7 * 8 * entry;
        let new = (2 * old).max(1024 * entry);
        self.holding.grow(new)?;
        self.memo.reserve(self.memo.capacity().max(512));
        self.holding.shrink(old);
        Ok(())
    }

    fn push(&mut self, at: u32, done: P, state: StateId, used: UsedId, trail: usize) -> Result<(), Spent> {
        self.configurations += 1;
        if self.configurations > self.steps {
            return Err(Spent::Steps);
        }
        if self.configurations.is_multiple_of(CLOCK_EVERY) && self.holding.time_over() {
            return Err(Spent::Time);
        }
        if self.stack.len() == self.stack.capacity() {
            self.holding.grow((self.stack.capacity() * 2).max(64) * size_of::<Frame<P>>())?;
            self.holding.shrink(self.stack.capacity() * size_of::<Frame<P>>());
        }
        let offers = self.offer_stack.len() as u32;
        self.stack.push(Frame { at, state, used, cursor: 0, trail: trail as u32, offers, done });
        Ok(())
    }

    /// Gives the configuration on top up and goes back to the one before.
    fn pop(&mut self) {
        let Some(frame) = self.stack.pop() else { return };
        self.offer_stack.truncate(frame.offers as usize);
        self.rewind(frame.trail as usize);
        let back = self.stack.last().map_or(0, |before| before.at);
        self.retreat(frame.at, back);
    }
}
