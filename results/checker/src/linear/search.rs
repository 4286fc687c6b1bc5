//! Depth first, with a memo and an explicit stack.
//!
//! What is skipped, and why nothing is missed:
//! * **Eager observers.** An operation that changes no state is put in line as soon as it is pending and accepted:
//!   moving it earlier in a legal order, to a place where it is accepted, leaves the order legal.
//! * **Obligations.** A state that a required operation still asks for is not left when no operation that could bring
//!   it back remains, or none that is called before the asking one returns.
//! * **Optional operations only for a customer.** Where all effects are known, an optional operation that leaves state
//!   `v` is tried only if a pending operation asks for `v`, directly or through other optional ones. In any legal order
//!   one that is not followed by such an operation can be moved later or taken out.
//! * **Overwritten at once.** Where all effects are known, a pending write can go in line unseen just before any later
//!   write that does so while it is pending. So nothing is tried for that: once another write went in line since its call
//!   it is covered, and its return can be passed. It can still be put in line for its value until then.
//! * **Writes only for a purpose.** Where all effects are known, a write is put in line only where a pending operation asks
//!   for its value, or at its own return. In any legal order every other write is followed by a write, so it can go in
//!   line unseen, or by an operation called after its return, so it can wait until then.
//! * **Equal operations** pending at the same time go in line in the order of their returns.
//! * **Dead states.** Where all effects are known, states that nobody will ask for are one and the same.
//! * **Equal optional operations** are used in the order of their invocations.
//! * **Optional operations last.** One is not used while a pending operation that must go in line anyhow does the same:
//!   kept, it can do later whatever the pending one could.
//! * **Dominance.** Of two configurations that differ only in the optional operations used, one that has used fewer can
//!   do all the other can. One that has been tried in vain therefore covers all that used more. Whether an optional
//!   operation was used that nobody can ask for any more makes no difference at all.

mod candidates;
mod memo;
mod obligations;
mod walk;

use rustc_hash::FxHashMap;

use super::Finding;
use super::allowance::{Allowance, Holding, Spent};
use super::pending::PendingSet;
use super::states::{REFUSED, StateId};
use super::timeline::{ClassId, DEAD, Leaves, Op, OpId, Timeline};
use super::used::{UsedId, UsedSets};
use crate::model::Model;
use candidates::Candidate;

const NONE: OpId = OpId::MAX;
/// The clock is asked once in so many configurations.
const CLOCK_EVERY: u64 = 1024;

/// A configuration whose successors are being tried.
struct Frame<P> {
    /// The event it stands before: the first return whose operation is not in line.
    at: u32,
    state: StateId,
    used: UsedId,
    /// Writes called before this event were pending when the last write went in line: they are covered.
    covered: u32,
    /// Which successor is due; see [`Search::next`].
    cursor: u32,
    /// The pending operations still to be looked at before the cursor moves on.
    left: P,
    /// Where its own changes begin on the trail.
    trail: u32,
    /// Where its optional candidates begin on their stack.
    offers: u32,
    done: P,
}

/// What came of a search.
pub(super) struct Ran {
    pub(super) finding: Finding,
    pub(super) configurations: u64,
    /// The event furthest in time that a configuration stood before: all that returned before it is legal.
    pub(super) furthest: u32,
}

/// The operations pending where the search stands, by kind.
struct Pending<P> {
    all: P,
    /// Those that change nothing.
    observers: P,
    /// Of those, the ones that every state accepts, and those of which only the model knows where they are accepted.
    idle: P,
    blind: P,
    /// Those that change the state without looking at it.
    writes: P,
}

/// What there is to know of a state where the search stands.
#[derive(Clone)]
struct OfState<P> {
    /// Pending operations that ask for it, and those that leave it behind.
    asked_by: P,
    given_by: P,
    /// Required operations not in line that ask for it.
    asking: u32,
    /// Operations not in line that could leave it behind, optional ones included.
    giving: u32,
    /// How many that leave it behind were called, and how many that ask for it have returned.
    called: u32,
    returned: u32,
}

/// The search over one timeline.
pub(super) struct Search<'a, 'b, 'h, M: Model, P: PendingSet> {
    line: &'a mut Timeline<'h, M>,
    holding: Holding<'a, 'b>,
    steps: u64,
    /// By slot: the required operation pending there.
    current: Vec<OpId>,
    pending: Pending<P>,
    by_state: Vec<OfState<P>>,
    /// By class: how many optional operations were invoked so far; empty where there are none.
    offered: Vec<u32>,
    /// Optional classes with an operation invoked so far, in the order of their first one; only where effects are not
    /// all known.
    open_offers: Vec<ClassId>,
    used: UsedSets,
    memo: FxHashMap<(u32, StateId, P), Tried>,
    /// For memo entries with more than one.
    chains: Vec<Vec<Tried>>,
    stack: Vec<Frame<P>>,
    /// What was put in line, in order; required operations by number, optional classes with the top bit set.
    trail: Vec<u32>,
    offer_stack: Vec<ClassId>,
    wanted: Vec<StateId>,
    configurations: u64,
    furthest: u32,
}

/// What else tells two configurations at the same event, in the same state and with the same pending operations in line
/// apart: the optional operations used, and the first call of a pending write that is not covered. Less used and more
/// covered is better.
type Tried = (UsedId, u32);

/// Marks an optional class on the trail, and a chain in the memo.
const TOP: u32 = 1 << 31;

impl<'a, 'b, 'h, M: Model, P: PendingSet> Search<'a, 'b, 'h, M, P> {
    pub(super) fn new(line: &'a mut Timeline<'h, M>, allowance: &'a Allowance<'b>, steps: u64) -> Self {
        let classes = if line.optional == 0 { 0 } else { line.classes.len() };
        // Enough for most keys, so that little grows.
        let room = line.ops.len().min(64);
        let none = || P::empty(line.slots);
        let of_state = |(asking, giving): (&u32, &u32)| OfState {
            asked_by: none(),
            given_by: none(),
            asking: *asking,
            giving: *giving,
            called: 0,
            returned: 0,
        };
        Search {
            holding: Holding::new(allowance),
            steps,
            current: vec![NONE; line.slots],
            pending: Pending { all: none(), observers: none(), idle: none(), blind: none(), writes: none() },
            by_state: line.asking.iter().zip(&line.giving).map(of_state).collect(),
            offered: vec![0; classes],
            open_offers: Vec::new(),
            used: UsedSets::new(),
            memo: FxHashMap::default(),
            chains: Vec::new(),
            stack: Vec::with_capacity(room),
            trail: Vec::with_capacity(room),
            offer_stack: Vec::new(),
            wanted: Vec::new(),
            configurations: 0,
            furthest: 0,
            line,
        }
    }

    /// Runs to the end, or until the allowance is spent.
    pub(super) fn run(mut self) -> Ran {
        let finding = match self.explore() {
            Ok(true) => Finding::Linearizable,
            Ok(false) => Finding::NotLinearizable,
            Err(spent) => Finding::GaveUp(spent),
        };
        Ran { finding, configurations: self.configurations, furthest: self.furthest }
    }

    fn explore(&mut self) -> Result<bool, Spent> {
        let states = self.by_state.len() * (size_of::<OfState<P>>() + 2 * self.pending.all.heap());
        self.holding.grow(self.line.learnt + states)?;
        if self.hopeless() {
            return Ok(false);
        }
        let mut done = P::empty(self.line.slots);
        let state = self.line.initial;
        let at = self.advance(0, &mut done, state, 0);
        if at as usize == self.line.events.len() {
            return Ok(true);
        }
        self.push(Frame {
            at,
            state,
            used: UsedSets::EMPTY,
            covered: 0,
            cursor: 0,
            left: P::empty(self.line.slots),
            trail: 0,
            offers: 0,
            done,
        })?;
        while let Some(candidate) = self.next() {
            let Some(candidate) = candidate else {
                self.pop()?;
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
            && self
                .by_state
                .iter()
                .enumerate()
                .any(|(state, of)| state as StateId != self.line.initial && of.asking > 0 && of.giving == 0)
    }

    fn top(&mut self) -> &mut Frame<P> {
        self.stack.last_mut().expect("only called with a configuration on top")
    }

    /// Puts the candidate in line. `true` if that explains everything.
    fn follow(&mut self, candidate: Candidate) -> Result<bool, Spent> {
        let top = self.stack.last().expect("candidates come from the configuration on top");
        let (from_at, from_state, mut used, mut done) = (top.at, top.state, top.used, top.done.clone());
        let mut covered = top.covered;
        let class = match candidate {
            Candidate::Pass(op) => return self.pass(op),
            Candidate::Required(op) => self.line.ops[op as usize].class,
            Candidate::Optional(class) => class,
        };
        let state = self.line.step(from_state, class, &mut self.holding)?;
        if state == REFUSED {
            return Ok(false);
        }
        let trail = self.trail.len();
        match candidate {
            Candidate::Pass(_) => {}
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
        if state != from_state && self.owed(from_at, from_state, &done, used) {
            self.rewind(trail);
            return Ok(false);
        }
        let covers = self.line.overwrites(class);
        let optional = matches!(candidate, Candidate::Optional(_));
        if optional && state == from_state && !(covers && self.first_uncovered(covered, &done) < u32::MAX) {
            // It would change nothing.
            self.rewind(trail);
            return Ok(false);
        }
        if covers && self.line.known {
            covered = from_at;
        }
        if state != from_state {
            self.observe(&mut done, state);
        }
        self.arrive(done, state, used, covered, trail)
    }

    /// Lets a covered write return unseen.
    fn pass(&mut self, write: OpId) -> Result<bool, Spent> {
        let Op { slot, class, .. } = self.line.ops[write as usize];
        let top = self.top();
        let (at, state, used, covered, mut done) =
            (top.at, top.state, top.used, top.covered, top.done.clone());
        let trail = self.trail.len();
        done.put(slot);
        self.enter(write);
        if let Leaves::State(left) = self.line.classes[class as usize].leaves
            && left != state
            && self.owed(at, left, &done, used)
        {
            self.rewind(trail);
            return Ok(false);
        }
        self.arrive(done, state, used, covered, trail)
    }

    /// Walks on from the configuration on top with what was put in line, and keeps the configuration found there if it
    /// is new. `true` if everything is explained.
    fn arrive(
        &mut self,
        mut done: P,
        state: StateId,
        used: UsedId,
        covered: u32,
        trail: usize,
    ) -> Result<bool, Spent> {
        let from = self.top().at;
        let at = self.advance(from, &mut done, state, covered);
        if at as usize == self.line.events.len() {
            return Ok(true);
        }
        let used = self.forget_spent(used);
        let state = if self.line.known && self.unasked(state) { DEAD } else { state };
        if !self.is_new(at, state, &done, used, covered)? {
            self.rewind(trail);
            self.retreat(at, from);
            return Ok(false);
        }
        let offers = self.offer_stack.len() as u32;
        let left = P::empty(self.line.slots);
        self.push(Frame { at, state, used, covered, cursor: 0, left, trail: trail as u32, offers, done })?;
        Ok(false)
    }

    fn use_one(&mut self, used: UsedId, class: ClassId) -> Result<UsedId, Spent> {
        let before = self.used.len();
        let used = self.used.with(used, class);
        if self.used.len() > before {
            self.holding.grow(self.used.bytes(used))?;
        }
        Ok(used)
    }

    fn push(&mut self, frame: Frame<P>) -> Result<(), Spent> {
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
        self.stack.push(frame);
        Ok(())
    }

    /// Gives the configuration on top up and goes back to the one before.
    fn pop(&mut self) -> Result<(), Spent> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        self.give_up(&frame)?;
        self.offer_stack.truncate(frame.offers as usize);
        self.rewind(frame.trail as usize);
        let back = self.stack.last().map_or(0, |before| before.at);
        self.retreat(frame.at, back);
        Ok(())
    }
}
