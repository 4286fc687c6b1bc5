//! Which way of looking for a legal order is tried when, and for how long.
//!
//! Depth first finds a legal order fast where there is one and it does not hide; breadth first proves that there is none
//! without going through everything before; beginning anywhere proves it without looking at what was before at all. None
//! is best always, so they take turns, each turn longer than the last: what one would do in no time never waits for
//! what another cannot do. When the first turns were in vain and a thread is free, depth first goes on on one thread and
//! all else on another (`race`). All are exact, so the verdict does not depend on the turn or the thread it is found in.

mod race;

use super::allowance::{Allowance, Spent};
use super::pending::PendingSet;
use super::search::Search;
use super::sweep::{Limits, Sweep, Swept};
use super::timeline::{Event, Timeline};
use super::{Effort, Finding, Way};
use crate::model::Model;

/// How many returns before the first one nobody could explain a sweep of a part begins.
const PARTS: [usize; 4] = [12, 50, 200, 800];
/// A turn is so many times as long as the last.
const LONGER: usize = 16;
/// With more configurations at one event a part is given up.
const PART_WIDTH: usize = 1 << 14;

struct Decision<'a, 'b, 'h, M: Model> {
    line: &'a mut Timeline<'h, M>,
    allowance: &'a Allowance<'b>,
    steps: u64,
    configurations: u64,
    /// All that returned before this event is legal.
    furthest: u32,
    /// The same for a history without a legal order, if it must not depend on which thread was faster.
    agreed: Option<u32>,
    /// The largest number of configurations kept at one event.
    widest: usize,
    /// Where parts were already looked at in vain.
    looked_at: Option<u32>,
}

/// Decides whether there is a legal order.
pub(super) fn decide<M: Model, P: PendingSet>(
    way: Way,
    line: &mut Timeline<'_, M>,
    allowance: &Allowance<'_>,
    steps: u64,
) -> (Finding, Effort) {
    let mut decision = Decision::new(line, allowance, steps);
    let turns = decision.first_turns();
    let finding = match way {
        Way::Turns | Way::Pieces(_) => decision.take_turns::<P>(turns, true),
        Way::Race => decision.race::<P>(turns),
        Way::Depth if !decision.line.model.deterministic() => Finding::GaveUp(Spent::Steps),
        Way::Depth => decision.depth_first::<P>(steps),
        Way::Breadth(width) => decision.breadth_first::<P>(width),
        Way::Parts(returns) => decision.all_parts::<P>(returns),
    };
    let furthest = match finding {
        Finding::NotLinearizable => decision.agreed.unwrap_or(decision.furthest),
        _ => decision.furthest,
    };
    let reached = match decision.line.events.get(furthest as usize) {
        Some(Event::Return(op)) if finding != Finding::Linearizable => {
            Some(decision.line.ops[*op as usize].source)
        }
        _ => None,
    };
    let effort = Effort {
        configurations: decision.configurations,
        reached,
        concurrency: decision.line.slots,
        optional: decision.line.optional,
        widest: decision.widest,
    };
    (finding, effort)
}

/// Where the turns of a search stand.
struct Turns {
    /// Configurations the next one depth first may visit, and those the next one breadth first may keep at one event.
    turn: u64,
    width: usize,
    /// What stopped the longest turn of each.
    depth: Spent,
    breadth: Spent,
}

impl Turns {
    fn lengthen(&mut self) {
        self.turn = self.turn.saturating_mul(LONGER as u64);
        self.width = self.width.saturating_mul(LONGER);
    }
}

impl<'a, 'b, 'h, M: Model> Decision<'a, 'b, 'h, M> {
    fn new(line: &'a mut Timeline<'h, M>, allowance: &'a Allowance<'b>, steps: u64) -> Self {
        Decision {
            line,
            allowance,
            steps,
            configurations: 0,
            furthest: 0,
            agreed: None,
            widest: 0,
            looked_at: None,
        }
    }

    fn first_turns(&self) -> Turns {
        // Depth first follows one state after a step.
        let depth = if self.line.model.deterministic() { Spent::Steps } else { Spent::Memory };
        Turns { turn: self.line.events.len() as u64 + 2048, width: 64, depth, breadth: Spent::Steps }
    }

    /// The turns from these on, one after the other; side by side, if that is wanted and worth it.
    fn take_turns<P: PendingSet>(&mut self, mut turns: Turns, race: bool) -> Finding {
        loop {
            if let Some(found) = self.depth_turn::<P>(&mut turns) {
                return found;
            }
            if let Some(found) = self.other_turns::<P>(&mut turns) {
                return found;
            }
            if turns.depth != Spent::Steps && turns.breadth != Spent::Steps {
                return Finding::GaveUp(turns.depth);
            }
            if self.configurations >= self.steps {
                return Finding::GaveUp(Spent::Steps);
            }
            turns.lengthen();
            if race && self.worth_a_race(&turns) {
                return self.race::<P>(turns);
            }
        }
    }

    /// A turn depth first, if there is one; `None` if it did not decide and there is time.
    fn depth_turn<P: PendingSet>(&mut self, turns: &mut Turns) -> Option<Finding> {
        if turns.depth == Spent::Steps {
            match self.depth_first::<P>(turns.turn) {
                Finding::GaveUp(Spent::Time) => return Some(Finding::GaveUp(Spent::Time)),
                Finding::GaveUp(spent) => turns.depth = spent,
                found => return Some(found),
            }
        }
        None
    }

    /// Parts, breadth first, and parts again.
    fn other_turns<P: PendingSet>(&mut self, turns: &mut Turns) -> Option<Finding> {
        if self.parts::<P>() {
            return Some(Finding::NotLinearizable);
        }
        if turns.breadth == Spent::Steps {
            match self.breadth_first::<P>(turns.width) {
                Finding::GaveUp(Spent::Time) => return Some(Finding::GaveUp(Spent::Time)),
                Finding::GaveUp(spent) => turns.breadth = spent,
                found => return Some(found),
            }
        }
        self.parts::<P>().then_some(Finding::NotLinearizable)
    }

    fn left(&self) -> u64 {
        self.steps.saturating_sub(self.configurations)
    }

    fn depth_first<P: PendingSet>(&mut self, turn: u64) -> Finding {
        let turn = turn.min(self.left());
        let ran = Search::<M, P>::new(self.line, self.allowance, turn).run();
        self.configurations += ran.configurations;
        self.furthest = self.furthest.max(ran.furthest);
        ran.finding
    }

    fn breadth_first<P: PendingSet>(&mut self, width: usize) -> Finding {
        let limits = Limits { width, steps: self.left() };
        let (swept, sweep) = Sweep::<M, P>::new(self.line, self.allowance, limits).whole();
        let (configurations, narrowed) = (sweep.configurations, sweep.narrowed);
        self.configurations += configurations;
        self.widest = self.widest.max(sweep.widest);
        match swept {
            Ok(Swept::Through) => Finding::Linearizable,
            Ok(Swept::Stuck(at)) => {
                self.furthest = self.furthest.max(at);
                if narrowed { Finding::GaveUp(Spent::Steps) } else { Finding::NotLinearizable }
            }
            Err(spent) => Finding::GaveUp(spent),
        }
    }

    /// Whether a part of what happened around the first return nobody could explain has no legal order, whatever was
    /// the case before.
    fn parts<P: PendingSet>(&mut self) -> bool {
        if !self.line.known || self.looked_at == Some(self.furthest) {
            return false;
        }
        self.looked_at = Some(self.furthest);
        for returns in PARTS {
            let (from, to) = (self.before(self.furthest, returns), self.after(self.furthest, returns));
            if from == 0 {
                return false;
            }
            match self.part::<P>(from, to) {
                Some(true) => return true,
                Some(false) => {}
                None => return false,
            }
        }
        false
    }

    /// Whether the events from `from` to `to` have no legal order, whatever was the case before; `None` if that is too
    /// much to look at.
    fn part<P: PendingSet>(&mut self, from: usize, to: usize) -> Option<bool> {
        let limits = Limits { width: PART_WIDTH, steps: self.left() };
        let (swept, sweep) = Sweep::<M, P>::new(self.line, self.allowance, limits).part(from, to);
        let (configurations, narrowed) = (sweep.configurations, sweep.narrowed);
        self.configurations += configurations;
        match swept? {
            Ok(Swept::Stuck(_)) if !narrowed => Some(true),
            Ok(_) => Some(false),
            Err(_) => None,
        }
    }

    fn all_parts<P: PendingSet>(&mut self, returns: usize) -> Finding {
        let refuted = self.line.known
            && (0..self.line.events.len() as u32).any(|at| {
                let (from, to) = (self.before(at, returns), self.after(at, returns));
                self.part::<P>(from, to) == Some(true)
            });
        if refuted { Finding::NotLinearizable } else { Finding::GaveUp(Spent::Steps) }
    }

    /// The event so many returns before another event.
    fn before(&self, event: u32, returns: usize) -> usize {
        let events = self.line.events[..event as usize].iter().enumerate().rev();
        let mut ends = events.filter(|(_, event)| matches!(event, Event::Return(_)));
        ends.nth(returns).map_or(0, |(at, _)| at)
    }

    /// The event after so many returns from another one on.
    fn after(&self, event: u32, returns: usize) -> usize {
        let events = self.line.events.iter().enumerate().skip(event as usize);
        let mut ends = events.filter(|(_, event)| matches!(event, Event::Return(_)));
        ends.nth(returns).map_or(self.line.events.len(), |(at, _)| at + 1)
    }
}
