//! What happens to the configurations at one return.

use super::super::allowance::Spent;
use super::super::pending::PendingSet;
use super::super::states::{REFUSED, StateId};
use super::super::timeline::{Asks, ClassId, DEAD, Leaves, OpId};
use super::super::used::{UsedId, UsedSets};
use super::pool::Config;
use super::{Kinds, Sweep};
use crate::model::Model;

impl<M: Model, P: PendingSet> Sweep<'_, '_, '_, M, P> {
    /// Keeps, of the configurations and whatever they can become, those in which the returning operation is in line or
    /// returns unseen.
    pub(super) fn serve(&mut self, at: u32, must: OpId) -> Result<(), Spent> {
        let slot = self.line.ops[must as usize].slot;
        let mut frontier = std::mem::take(&mut self.frontier);
        self.tick(frontier.len())?;
        let mut all = true;
        for config in &mut frontier {
            self.observe(config)?;
            all &= config.done.has(slot);
        }
        if all {
            self.frontier = frontier;
            return Ok(());
        }
        // Once it has returned, it does not tell configurations apart.
        let mut kinds = self.kinds.clone();
        kinds.observers.take(slot);
        kinds.writes.take(slot);
        for config in frontier.drain(..) {
            if config.done.has(slot) {
                self.deliver(config, slot, &kinds)?;
            } else {
                let kinds = &self.kinds;
                self.waiting.add(config, kinds, &self.used, &mut self.holding)?;
            }
        }
        let most = self.limits.width.saturating_mul(16);
        let mut next = 0;
        while next < self.waiting.taken() {
            if let Some(config) = self.waiting.get(next).cloned() {
                self.expand(at, must, &config, &kinds)?;
            }
            next += 1;
            if self.waiting.len() > most {
                self.narrowed = true;
                break;
            }
        }
        self.frontier = frontier;
        self.reserve(self.served.len())?;
        let Sweep { served, waiting, frontier, holding, .. } = self;
        served.drain_into(frontier, holding);
        waiting.clear(holding);
        self.narrow();
        self.widest = self.widest.max(self.frontier.len());
        Ok(())
    }

    /// Of too many configurations, keeps those that used few optional operations, and then those with few reads waiting
    /// and few writes in line.
    fn narrow(&mut self) {
        if self.frontier.len() <= self.limits.width {
            return;
        }
        self.narrowed = true;
        let (kinds, used, width) = (&self.kinds, &self.used, self.limits.width);
        self.frontier.select_nth_unstable_by_key(width, |config| {
            let waiting = kinds.observers.without(&config.done).count();
            (used.size(config.used), waiting + config.done.both(&kinds.writes).count())
        });
        self.frontier.truncate(width);
    }

    /// Everything the configuration can become by one more operation in line.
    fn expand(&mut self, at: u32, must: OpId, config: &Config<P>, kinds: &Kinds<P>) -> Result<(), Spent> {
        let this = self.line.ops[must as usize];
        if self.kinds.writes.has(this.slot) && !config.open.has(this.slot) {
            let Leaves::State(left) = self.line.classes[this.class as usize].leaves else {
                unreachable!("a write leaves a state behind")
            };
            let mut passed = config.clone();
            passed.done.put(this.slot);
            if left == config.state || !self.owed(at, left, &passed.done, config.used) {
                self.deliver(passed, this.slot, kinds)?;
            }
            if self.unasked(left, &config.done) {
                return Ok(());
            }
        }
        let mut slots = self.pending.without(&self.kinds.observers).without(&config.done);
        if self.kinds.observers.has(this.slot) {
            slots.put(this.slot);
        }
        while let Some(slot) = slots.first() {
            slots.take(slot);
            let class = self.line.ops[self.current[slot as usize] as usize].class;
            if slot != this.slot && !self.purposeful(slot, class, config) {
                continue;
            }
            let state = self.line.step(config.state, class, &mut self.holding)?;
            if state == REFUSED {
                continue;
            }
            let mut next = config.clone();
            next.done.put(slot);
            for other in self.line.others(config.state, class, &mut self.holding)? {
                self.arrive(at, this.slot, config, next.clone(), other, class, kinds)?;
            }
            self.arrive(at, this.slot, config, next, state, class, kinds)?;
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        self.collect_offers(config, &mut candidates);
        for class in candidates.drain(..) {
            let state = self.line.step(config.state, class, &mut self.holding)?;
            let hides = self.line.overwrites(class) && !config.open.is_empty();
            let others = self.line.others(config.state, class, &mut self.holding)?;
            if state == REFUSED || state == config.state && !hides && others.is_empty() {
                continue;
            }
            let mut next = config.clone();
            let sets = self.used.len();
            next.used = self.used.with(config.used, class);
            if self.used.len() > sets {
                self.holding.grow(self.used.bytes(next.used))?;
            }
            for other in others {
                self.arrive(at, this.slot, config, next.clone(), other, class, kinds)?;
            }
            self.arrive(at, this.slot, config, next, state, class, kinds)?;
        }
        self.candidates = candidates;
        Ok(())
    }

    /// Keeps what a configuration became by an operation of `class`, unless it is hopeless.
    #[expect(clippy::too_many_arguments, reason = "they are what a step is made of")]
    fn arrive(
        &mut self,
        at: u32,
        must: u32,
        from: &Config<P>,
        mut next: Config<P>,
        state: StateId,
        class: ClassId,
        kinds: &Kinds<P>,
    ) -> Result<(), Spent> {
        self.configurations += 1;
        if self.configurations > self.limits.steps {
            return Err(Spent::Steps);
        }
        self.tick(1)?;
        if state != from.state && self.owed(at, from.state, &next.done, next.used) {
            return Ok(());
        }
        if self.line.known && self.line.overwrites(class) {
            next.open = self.empty.clone();
        }
        next.state = state;
        if state != from.state {
            self.observe(&mut next)?;
        }
        if self.line.known && self.unasked(next.state, &next.done) {
            next.state = DEAD;
        }
        next.used = self.forget_spent(&next);
        if next.done.has(must) {
            return self.deliver(next, must, kinds);
        }
        let kinds = &self.kinds;
        self.waiting.add(next, kinds, &self.used, &mut self.holding)?;
        Ok(())
    }

    /// Keeps a configuration with the returning operation in line.
    fn deliver(&mut self, mut config: Config<P>, must: u32, kinds: &Kinds<P>) -> Result<(), Spent> {
        config.done.take(must);
        config.open.take(must);
        self.served.add(config, kinds, &self.used, &mut self.holding)?;
        Ok(())
    }

    /// Puts every pending observer that the state accepts in line.
    fn observe(&mut self, config: &mut Config<P>) -> Result<(), Spent> {
        config.done.join(&self.idle);
        if let Some(askers) = self.asked_by.get(config.state as usize) {
            config.done.join(&askers.both(&self.kinds.observers));
        }
        let mut blind = self.blind.without(&config.done);
        while let Some(slot) = blind.first() {
            blind.take(slot);
            let class = self.line.ops[self.current[slot as usize] as usize].class;
            if self.line.step(config.state, class, &mut self.holding)? != REFUSED {
                config.done.put(slot);
            }
        }
        Ok(())
    }

    /// Whether nobody will ask for the state any more.
    fn unasked(&self, state: StateId, done: &P) -> bool {
        let index = state as usize;
        index >= self.asked_by.len()
            || self.coming_asks[index] == 0
                && self.line.optional_asks[index] == 0
                && self.asked_by[index].within(done)
    }

    /// Whether a required operation that asks for `state` cannot get it in time any more, now that it is another one.
    fn owed(&self, at: u32, state: StateId, done: &P, used: UsedId) -> bool {
        let index = state as usize;
        if !self.line.obliging || index >= self.asked_by.len() {
            return false;
        }
        let asked = !self.asked_by[index].within(done);
        if !asked && self.coming_asks[index] == 0 || !self.given_by[index].within(done) {
            return false;
        }
        let gives = |class: u32| {
            let class = &self.line.classes[class as usize];
            class.leaves == Leaves::State(state) || class.might_leave.contains(&state)
        };
        let optional = self.optional_gives[index] as usize;
        if self.coming_gives[index] == 0 && (optional == 0 || optional == self.used.count_of(used, gives)) {
            return true;
        }
        if !self.line.known
            || self
                .line
                .offers
                .of(state)
                .iter()
                .any(|class| self.used.count(used, *class) < self.offered[*class as usize] as usize)
        {
            return false;
        }
        let calls = self.line.giver_calls.of(state);
        let next = calls.get(calls.partition_point(|call| *call < at)).copied().unwrap_or(u32::MAX);
        let askers = self.line.askers.of(state);
        let due = askers.partition_point(|op| self.line.ops[*op as usize].returned < at);
        askers[due..]
            .iter()
            .map(|op| self.line.ops[*op as usize])
            .take_while(|op| op.returned < next)
            .any(|op| op.called >= at || !done.has(op.slot))
    }

    /// The used optional operations, without those that nobody can ask for any more.
    fn forget_spent(&mut self, config: &Config<P>) -> UsedId {
        if !self.line.known || config.used == UsedSets::EMPTY {
            return config.used;
        }
        let Sweep { line, used, coming_asks, asked_by, .. } = self;
        used.without(config.used, |class| match line.classes[class as usize].leaves {
            Leaves::State(state) => {
                let index = state as usize;
                coming_asks[index] == 0
                    && line.optional_asks[index] == 0
                    && asked_by[index].within(&config.done)
            }
            _ => false,
        })
    }

    /// Whether a pending operation may be worth putting in line before its return.
    fn purposeful(&self, slot: u32, class: ClassId, config: &Config<P>) -> bool {
        if !self.before[slot as usize].within(&config.done) {
            return false;
        }
        let Leaves::State(state) = self.line.classes[class as usize].leaves else { return true };
        !self.line.known
            || !self.line.overwrites(class)
            || self.line.optional_asks[state as usize] > 0
            || !self.asked_by[state as usize].within(&config.done)
    }

    /// The optional classes worth trying: those that leave behind what a pending operation asks for, directly or through
    /// others.
    fn collect_offers(&mut self, config: &Config<P>, candidates: &mut Vec<ClassId>) {
        if self.open_offers.is_empty() {
            return;
        }
        let unused =
            |class: &ClassId| self.used.count(config.used, *class) < self.offered[*class as usize] as usize;
        if !self.line.known {
            candidates.extend(self.open_offers.iter().copied().filter(unused));
            return;
        }
        // Where the state is as wanted already, writing it again can still cover writes.
        let hides = !config.open.is_empty();
        let wanted = &mut self.wanted;
        wanted.clear();
        let mut rest = self.pending.without(&config.done);
        while let Some(slot) = rest.first() {
            rest.take(slot);
            let class = self.line.ops[self.current[slot as usize] as usize].class;
            if let Asks::State(asked) = self.line.classes[class as usize].asks
                && (asked != config.state || hides)
                && !wanted.contains(&asked)
            {
                wanted.push(asked);
            }
        }
        let mut at = 0;
        while let Some(state) = wanted.get(at).copied() {
            at += 1;
            for class in self.line.offers.of(state) {
                if !unused(class)
                    || has_equal(self.line, &self.given_by[state as usize], &self.current, config, *class)
                {
                    continue;
                }
                match self.line.classes[*class as usize].asks {
                    Asks::State(before) if before != config.state || hides => {
                        if !wanted.contains(&before) {
                            wanted.push(before);
                        }
                        if before == config.state {
                            candidates.push(*class);
                        }
                    }
                    _ => candidates.push(*class),
                }
            }
        }
    }
}

/// Whether a pending operation that must go in line anyhow does the same as an optional one. Then that one is kept: it
/// can do later whatever the pending one could.
fn has_equal<M: Model, P: PendingSet>(
    line: &super::Timeline<'_, M>,
    givers: &P,
    current: &[OpId],
    config: &Config<P>,
    optional: ClassId,
) -> bool {
    let mut rest = givers.without(&config.done);
    while let Some(slot) = rest.first() {
        rest.take(slot);
        let class = &line.classes[line.ops[current[slot as usize] as usize].class as usize];
        let optional = &line.classes[optional as usize];
        if class.asks == optional.asks && class.leaves == optional.leaves {
            return true;
        }
    }
    false
}
