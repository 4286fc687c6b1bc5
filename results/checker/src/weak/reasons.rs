//! Why a few operations break a model: which comes before which, for which reason, until something comes before itself.
//!
//! The same rules as the judges', but slow and with all evidence kept; for the smallest part of a history only. Should
//! it find nothing, the judge found it by trying all orders.

use std::collections::VecDeque;

use super::Model;
use super::index::{AT_FIRST, Index};

/// Why one operation comes before another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It came first in their session.
    Session,
    /// The other saw what it wrote.
    Saw,
    /// It saw what was there at first, and the other is a write to that key.
    First,
    /// `reader` saw the other, though this one comes before it.
    Missed { reader: usize },
    /// It saw what `writer` wrote, and the other overwrote that.
    Overwritten { writer: usize },
}

/// One step of the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub from: usize,
    pub to: usize,
    pub why: Why,
    /// The earlier steps it rests on.
    rests_on: Vec<usize>,
}

/// The steps of a proof that something comes before itself, each behind those it rests on. Those of the circle are
/// last, one after another. None if these rules do not prove it, or not with so many bytes before the time is `over`.
/// In the worst case the time is the fifth power of the number of operations.
pub(super) fn proof(
    index: &Index<'_>,
    model: Model,
    bytes: usize,
    over: &dyn Fn() -> bool,
) -> Option<Vec<Step>> {
    // Hardly more than one step from each operation to each other one.
    if index.columns.len().pow(2) * (size_of::<Step>() + size_of::<usize>()) > bytes {
        return None;
    }
    match model {
        Model::Pram => {
            (0..index.sessions()).find_map(|session| Proof::of(index, model, Some(session), over).run())
        }
        _ => Proof::of(index, model, None, over).run(),
    }
}

struct Proof<'a, 'c> {
    index: &'a Index<'c>,
    model: Model,
    /// The only session whose reads count, if not all do.
    only: Option<usize>,
    steps: Vec<Step>,
    /// Which of them lead from each operation, in their order.
    from: Vec<Vec<usize>>,
    /// How many of them are causal order.
    causal: usize,
    over: &'a dyn Fn() -> bool,
}

impl<'a, 'c> Proof<'a, 'c> {
    fn of(index: &'a Index<'c>, model: Model, only: Option<usize>, over: &'a dyn Fn() -> bool) -> Self {
        let from = vec![Vec::new(); index.columns.len()];
        let mut proof = Proof { index, model, only, steps: Vec::new(), from, causal: 0, over };
        for session in 0..index.sessions() {
            let counts = |at: &usize| index.is_write(*at) || only.is_none_or(|only| only == session);
            let own: Vec<usize> = index.columns.of_session(session).filter(counts).collect();
            for (at, from) in own.iter().enumerate() {
                // Every pair, so that a proof need not name what stands between.
                own[at + 1..].iter().for_each(|to| proof.add(*from, *to, Why::Session, Vec::new()));
            }
        }
        for at in proof.readers() {
            if let Some(writer) = index.writer(at) {
                proof.add(writer as usize, at, Why::Saw, Vec::new());
            }
        }
        proof.causal = proof.steps.len();
        proof
    }

    fn readers(&self) -> Vec<usize> {
        let counts = |at: &usize| self.only.is_none_or(|only| only == self.index.session[*at] as usize);
        (0..self.index.columns.len()).filter(counts).collect()
    }

    fn add(&mut self, from: usize, to: usize, why: Why, rests_on: Vec<usize>) {
        self.from[from].push(self.steps.len());
        self.steps.push(Step { from, to, why, rests_on });
    }

    fn known(&self, from: usize, to: usize) -> bool {
        self.from[from].iter().any(|step| self.steps[*step].to == to)
    }

    fn run(mut self) -> Option<Vec<Step>> {
        loop {
            if let Some(circle) = self.circle() {
                return Some(self.told(&circle));
            }
            let before = self.steps.len();
            self.derive(before);
            if self.steps.len() == before || (self.over)() {
                return None;
            }
        }
    }

    /// All that follows from the first so many steps.
    fn derive(&mut self, known: usize) {
        let columns = self.index.columns;
        let by =
            if self.model == Model::Pram || self.model == Model::Sequential { known } else { self.causal };
        let writes: Vec<usize> = (0..columns.len()).filter(|at| self.index.is_write(*at)).collect();
        for reader in self.readers() {
            if (self.over)() {
                return;
            }
            let saw = self.index.saw[reader];
            let others = writes.iter().copied().filter(|write| {
                columns.key[*write] == columns.key[reader] && *write != reader && *write != saw as usize
            });
            for write in others {
                if saw == AT_FIRST {
                    if !self.known(reader, write) {
                        self.add(reader, write, Why::First, Vec::new());
                    }
                    continue;
                }
                let Some(writer) = self.index.writer(reader).map(|writer| writer as usize) else { continue };
                if !self.known(write, writer)
                    && let Some(path) = self.path(write, reader, by)
                {
                    self.add(write, writer, Why::Missed { reader }, path);
                }
                if self.model == Model::Sequential
                    && !self.known(reader, write)
                    && let Some(path) = self.path(writer, write, by)
                {
                    self.add(reader, write, Why::Overwritten { writer }, path);
                }
            }
        }
    }

    /// The fewest of the first so many steps that lead from one operation to another.
    fn path(&self, from: usize, to: usize, known: usize) -> Option<Vec<usize>> {
        let mut came: Vec<Option<usize>> = vec![None; self.index.columns.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            for number in self.from[at].iter().copied().take_while(|number| *number < known) {
                let step = &self.steps[number];
                if came[step.to].is_some() {
                    continue;
                }
                came[step.to] = Some(number);
                if step.to != to {
                    queue.push_back(step.to);
                    continue;
                }
                let mut path = vec![number];
                while self.steps[path[path.len() - 1]].from != from {
                    let at = self.steps[path[path.len() - 1]].from;
                    path.push(came[at].expect("it was reached"));
                }
                path.reverse();
                return Some(path);
            }
        }
        None
    }

    /// The shortest circle, beginning with a step that is no plain order.
    fn circle(&self) -> Option<Vec<usize>> {
        let all = self.steps.len();
        // Without the reads settling the order of writes for all, a circle has one such step only.
        let back = if self.model == Model::Causal { self.causal } else { all };
        let steps = self.steps.iter().enumerate().rev().take_while(|_| !(self.over)());
        let circles = steps.filter_map(|(number, step)| {
            let known = if number < self.causal { self.causal } else { back };
            let mut circle = vec![number];
            circle.extend(self.path(step.to, step.from, known)?);
            Some(circle)
        });
        circles.min_by_key(|circle| (self.told(circle).len(), circle.len()))
    }

    /// The steps of a circle behind all they rest on.
    fn told(&self, circle: &[usize]) -> Vec<Step> {
        let mut told = Vec::new();
        circle.iter().for_each(|number| self.behind(*number, &mut told));
        told.retain(|number| !circle.contains(number));
        told.into_iter().chain(circle.iter().copied()).map(|number| self.steps[number].clone()).collect()
    }

    fn behind(&self, number: usize, told: &mut Vec<usize>) {
        for before in &self.steps[number].rests_on {
            if !told.contains(before) {
                self.behind(*before, told);
                told.push(*before);
            }
        }
    }
}
