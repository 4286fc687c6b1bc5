//! Causal consistency and causal convergence, by their bad patterns (Bouajjani, Enea, Guerraoui, Hamza: On verifying
//! causal consistency, POPL 2017). Causal order is session order and reads-from, taken together and transitively.
//!
//! * **Cyclic CO**: something comes before itself.
//! * **WriteCOInitRead**: a read saw what was there at first, though a write to its key comes before it.
//! * **WriteCORead**: a read saw a write that another write to the key, which comes before the read, comes after.
//! * **Cyclic CF**: where a read had two concurrent writes in its past, it settles which of them is the older one; all
//!   that is so settled, together with causal order, goes round in a circle.
//!
//! A history is causally consistent (CC) without the first three, causally convergent (CCv) without all four. Linear in
//! operations times sessions. Causal memory (CM) is not judged.

use super::clocks::{Clocks, join};
use super::index::{AT_FIRST, Edges, Index};
use super::{Answer, Model, Pattern, Spent};

/// Judges one of the two causal models.
pub(super) fn judge(index: &Index<'_>, model: Model, bytes: usize, over: &dyn Fn() -> bool) -> Answer {
    if Clocks::bytes(index) > bytes {
        return Answer::GaveUp(Spent::Memory);
    }
    let Some(order) = index.order(&Edges::default()) else { return Answer::Broken(Pattern::CyclicCo) };
    let clocks = Clocks::of(index, &order, &Edges::default());
    drop(order);
    match settled(index, &clocks, model == Model::Convergent, over) {
        Err(answer) => answer,
        Ok(pairs) if pairs.is_empty() => Answer::Kept,
        Ok(pairs) => match index.order(&Edges::of(index.columns.len(), pairs)) {
            Some(_) => Answer::Kept,
            None => Answer::Broken(Pattern::CyclicCf),
        },
    }
}

/// Which write each read settles to be the older one: pairs of the one it saw, and another one to the same key that comes
/// before the read and is concurrent with the former by these clocks. Only the last such write of a session: the others
/// come before that. If `all` is not asked for, no pairs, only whether they can be had.
///
/// # Errors
/// With the answer, if a read cannot have seen what it saw, or the time is over.
pub(super) fn settled(
    index: &Index<'_>,
    clocks: &Clocks,
    all: bool,
    over: &dyn Fn() -> bool,
) -> Result<Vec<(u32, u32)>, Answer> {
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    let mut cursors: Vec<u32> = vec![0; index.groups.len()];
    let mut said: Vec<(u32, u32)> = if all { vec![(0, 0); index.groups.len()] } else { Vec::new() };
    let none: Vec<u32> = (0..index.sessions()).map(|session| index.columns.start(session)).collect();
    let mut past = none.clone();
    for session in 0..index.sessions() {
        if over() {
            return Err(Answer::GaveUp(Spent::Time));
        }
        past.copy_from_slice(&none);
        cursors.iter_mut().zip(&index.groups).for_each(|(cursor, group)| *cursor = group.start);
        for at in index.columns.of_session(session) {
            let saw = index.saw[at];
            let writer = index.writer(at);
            if let Some(writer) = writer
                && past[index.session[writer as usize] as usize] <= writer
            {
                join(&mut past, clocks.past(writer));
            }
            if writer.is_some() || saw == AT_FIRST {
                for group in index.of_key(index.columns.key[at]) {
                    let Some(last) = last_in(index, group, &past, &mut cursors[group]) else { continue };
                    match writer {
                        _ if last == saw => {}
                        None => return Err(Answer::Broken(Pattern::WriteCoInitRead)),
                        Some(writer) => {
                            let of = index.session[writer as usize] as usize;
                            if writer < clocks.past(last)[of] {
                                return Err(Answer::Broken(Pattern::WriteCoRead));
                            }
                            let known = last < clocks.past(writer)[index.groups[group].session as usize];
                            if all && !known && said[group] != (writer, last) {
                                said[group] = (writer, last);
                                pairs.push((writer, last));
                            }
                        }
                    }
                }
            }
            if index.is_write(at) {
                // With edges beyond causal order a write has more before it than its session and what it saw.
                join(&mut past, clocks.past(at as u32));
            }
            past[session] = at as u32 + 1;
        }
    }
    Ok(pairs)
}

/// The last write of a group in a past that grows from call to call.
pub(super) fn last_in(index: &Index<'_>, group: usize, past: &[u32], cursor: &mut u32) -> Option<u32> {
    let of = index.groups[group];
    let bound = past[of.session as usize];
    while *cursor < of.end && index.writes[*cursor as usize] < bound {
        *cursor += 1;
    }
    (*cursor > of.start).then(|| index.writes[*cursor as usize - 1])
}
