//! Long histories in pieces: cut where nothing is pending, and judged side by side.
//!
//! Where no operation is pending, one of few states must be the case, and mostly the operations just before tell which: what
//! the last write left behind, or what a read saw after it. So each piece is judged for itself, from each state that may be
//! the case where it begins to each that may be where it ends, and the pieces are put together: there is a legal order
//! of all if and only if there are states at the cuts between which all pieces have one.
//!
//! There is no cut after a call of unknown fate: that is pending for ever. What is pending at all times is never cut.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::allowance::Allowance;
use super::{Effort, Entry, Finding, Piece, Way, search_whole};
use crate::model::{Effect, Gives, Model, Needs};
use crate::side_by_side::side_by_side;

/// With fewer operations a piece is not worth a thread.
const SHORTEST: usize = 4096;
/// So many pieces a thread, so that none waits long for the last.
const PIECES: usize = 4;
/// With more states that may be the case there is no cut: each is a search of its own.
const MOST_STATES: usize = 3;
/// So many operations are looked at to see which states may be the case after them.
const FARTHEST: usize = 256;
/// At so many moments where a piece could end only one state is put up with, and at so many any number that is allowed;
/// then the piece goes on for another length.
const PATIENCE: usize = 8;
const TRIES: usize = 32;

/// Where a history is cut.
pub(super) struct Cut<S> {
    /// The first entry after it.
    at: usize,
    /// What may be the case there.
    states: Vec<S>,
}

/// How long pieces should be, if it is worth to cut so many operations on the threads of the current pool.
pub(super) fn worthwhile(operations: usize) -> Option<usize> {
    if operations < 2 * SHORTEST {
        return None;
    }
    let threads = rayon::current_num_threads();
    (threads > 1).then(|| (operations / (threads * PIECES)).max(SHORTEST))
}

/// Cuts the operations into pieces of at least `length`, as far as they can be.
pub(super) fn find<M: Model>(model: &M, entries: &[Entry<'_>], length: usize) -> Vec<Cut<M::State>> {
    let mut cuts: Vec<Cut<M::State>> = Vec::new();
    // Nothing is pending before the entry at `since`; what was called so far is `over` at this position.
    let (mut since, mut over, mut last) = (0, 0, 0);
    // Where the next cut is wanted, and how often it was tried there.
    let (mut wanted, mut tries) = (length, 0);
    for (at, entry) in entries.iter().enumerate() {
        if entry.invoke < last {
            // Not in the order of time.
            return Vec::new();
        }
        last = entry.invoke;
        if at > 0 && entry.invoke > over {
            let most = if tries < length / SHORTEST * PATIENCE { 1 } else { MOST_STATES };
            if at < wanted || at - since > FARTHEST {
                since = at;
            } else if let Some(states) = states_after(model, &entries[since..at], most) {
                cuts.push(Cut { at, states });
                (since, wanted, tries) = (at, at + length, 0);
            } else if tries < TRIES {
                tries += 1;
            } else {
                (since, wanted, tries) = (at, at + length, 0);
            }
        }
        over = over.max(if entry.ret.is_some() { entry.complete } else { u32::MAX });
    }
    cuts
}

/// What may be the case after these operations, if nothing was pending before or is after them. `None` if they do not tell,
/// or if it may be more than so many states.
fn states_after<M: Model>(model: &M, entries: &[Entry<'_>], most: usize) -> Option<Vec<M::State>> {
    let effects: Vec<(&Entry<'_>, Effect<M::State>)> =
        entries.iter().map(|entry| (entry, model.effect(entry.call, entry.ret))).collect();
    let changes = || effects.iter().filter(|(_, effect)| effect.gives != Gives::Same);
    let over = changes().map(|(entry, _)| entry.complete).max();
    let seen = effects
        .iter()
        .filter(|(entry, effect)| effect.gives == Gives::Same && over.is_none_or(|over| entry.invoke > over));
    for (_, effect) in seen {
        if let Needs::State(state) = &effect.needs {
            return Some(vec![state.clone()]);
        }
    }
    // What returned before another began did not happen last.
    let last = changes().map(|(entry, _)| entry.invoke).max()?;
    let mut states = Vec::new();
    for (_, effect) in changes().filter(|(entry, _)| entry.complete >= last) {
        let Gives::State(state) = &effect.gives else { return None };
        if !states.contains(state) {
            states.push(state.clone());
        }
    }
    (states.len() <= most).then_some(states)
}

/// A piece to be judged: which, from which of the states at its beginning to which of those at its end.
struct Task {
    piece: usize,
    from: usize,
    to: usize,
}

/// Judges the pieces between the cuts, and puts them together.
pub(super) fn search<M: Model>(
    model: &M,
    entries: &[Entry<'_>],
    cuts: &[Cut<M::State>],
    allowance: &Allowance<'_>,
    steps: u64,
) -> (Finding, Effort) {
    let initial = [Cut { at: 0, states: vec![model.initial()] }];
    let starts: Vec<&Cut<M::State>> = initial.iter().chain(cuts).collect();
    let mut tasks = Vec::new();
    for (piece, start) in starts.iter().enumerate() {
        let ends = starts.get(piece + 1).map_or(1, |end| end.states.len());
        tasks.extend(
            (0..start.states.len()).flat_map(|from| (0..ends).map(move |to| Task { piece, from, to })),
        );
    }
    // By piece: how many of its tasks may still find an order. Pieces after one without need not be judged.
    let of_piece = |piece| tasks.iter().filter(|task: &&Task| task.piece == piece).count();
    let open: Vec<AtomicUsize> = (0..starts.len()).map(of_piece).map(AtomicUsize::new).collect();
    let refuted = AtomicUsize::new(usize::MAX);
    let range = |piece: usize| starts[piece].at..starts.get(piece + 1).map_or(entries.len(), |end| end.at);
    let judged = side_by_side(
        tasks,
        |task| range(task.piece).len(),
        |task, _: &mut ()| {
            let end = starts.get(task.piece + 1);
            let piece = Piece {
                model,
                entries: &entries[range(task.piece)],
                initial: starts[task.piece].states[task.from].clone(),
                // Where only one state may be the case, nothing else can be left behind.
                last: end.filter(|end| end.states.len() > 1).map(|end| end.states[task.to].clone()),
            };
            let late = || refuted.load(Ordering::Relaxed) < task.piece;
            let (finding, effort) = search_whole(Way::Turns, &piece, &allowance.until(&late), steps);
            if finding == Finding::NotLinearizable && open[task.piece].fetch_sub(1, Ordering::Relaxed) == 1 {
                refuted.fetch_min(task.piece, Ordering::Relaxed);
            }
            (task, finding, effort)
        },
    );
    put_together(&judged, &starts)
}

/// What the findings of all pieces mean for the whole.
fn put_together<S>(judged: &[(Task, Finding, Effort)], starts: &[&Cut<S>]) -> (Finding, Effort) {
    let mut effort = Effort::default();
    for (_, _, part) in judged {
        effort.configurations += part.configurations;
        effort.concurrency = effort.concurrency.max(part.concurrency);
        effort.widest = effort.widest.max(part.widest);
    }
    // Which states certainly can be the case, and which maybe.
    let (mut certain, mut maybe) = (vec![true], vec![true]);
    let mut spent = None;
    for piece in 0..starts.len() {
        let ends = starts.get(piece + 1).map_or(1, |end| end.states.len());
        let (mut certain_after, mut maybe_after) = (vec![false; ends], vec![false; ends]);
        let mut reached = None;
        for (task, finding, part) in
            judged.iter().filter(|(task, ..)| task.piece == piece && maybe[task.from])
        {
            reached = reached.max(part.reached);
            certain_after[task.to] |= certain[task.from] && *finding == Finding::Linearizable;
            maybe_after[task.to] |= *finding != Finding::NotLinearizable;
            if let (None, Finding::GaveUp(what)) = (spent, finding) {
                spent = Some(*what);
                effort.reached = part.reached;
            }
        }
        if !maybe_after.contains(&true) {
            effort.reached = reached;
            return (Finding::NotLinearizable, effort);
        }
        (certain, maybe) = (certain_after, maybe_after);
    }
    match spent {
        Some(spent) if !certain.contains(&true) => (Finding::GaveUp(spent), effort),
        _ => {
            effort.reached = None;
            (Finding::Linearizable, effort)
        }
    }
}
