//! Locks with and without an owner, leases, and fencing tokens.

use schism_checker::judges::lock::{ACQUIRE, RELEASE};
use schism_checker::judges::{Columns, fencing, lock, semaphore};
use schism_checker::synthetic::objects::Effect;

use crate::brute_force::linearizable;
use crate::dice::Dice;
use crate::ground::{Ground, Object};

/// A lock that is taken and given back in turn, each time as a block of its own.
fn lock_object() -> Object {
    let (mut block, mut held) = (0, false);
    Box::new(move |effect, _| {
        if effect == Effect::Never {
            // An acquisition that was never granted.
            block += 1;
            return (ACQUIRE, block + 100);
        }
        block += u32::from(!held);
        held = !held;
        (if held { ACQUIRE } else { RELEASE }, block)
    })
}

fn lock_blind(dice: &mut Dice, place: usize, _: bool) -> (u32, u32) {
    // Of its own block, or the one before: nothing may happen twice in a block.
    (ACQUIRE, 200 + place as u32 + dice.below(1) as u32)
}

fn holds(columns: &Columns) -> bool {
    linearizable(columns, None, |holder: &Option<u32>, (kind, block, _)| match (kind, holder) {
        (ACQUIRE, None) => Some(Some(block)),
        (RELEASE, Some(by)) if *by == block => Some(None),
        _ => None,
    })
}

#[test]
fn owned() {
    Ground {
        name: "lock with an owner",
        most: 8,
        object: &lock_object,
        blind: &lock_blind,
        legal: &holds,
        judge: &|columns| lock::judge(columns, &[]),
        unfit: 0,
        rules: &["mutual exclusion broken"],
        stands_alone: true,
    }
    .stand(31);
}

#[test]
fn of_anybody() {
    Ground {
        name: "semaphore of one",
        most: 8,
        object: &lock_object,
        blind: &|dice, _, _| ([ACQUIRE, RELEASE][dice.below(2)], 0),
        legal: &|columns| {
            linearizable(columns, false, |taken: &bool, (kind, _, _)| {
                (*taken == (kind == RELEASE)).then_some(kind == ACQUIRE)
            })
        },
        judge: &semaphore::judge,
        unfit: 0,
        rules: &["mutual exclusion broken", "release without holding"],
        stands_alone: true,
    }
    .stand(32);
}

fn fencing_object() -> Object {
    let (mut token, mut used) = (0, 0);
    Box::new(move |effect, random| {
        if random() % 2 == 0 || effect != Effect::Answered || token == 0 {
            token += if effect == Effect::Never { 0 } else { 1 + (random() % 2) as u32 };
            return (fencing::ACQUIRE, if effect == Effect::Answered { token } else { 0 });
        }
        // A holder of old may come late, if nobody newer did.
        used = token.saturating_sub((random() % 2) as u32).max(used).max(1);
        (fencing::USE, used)
    })
}

fn fencing_blind(dice: &mut Dice, _: usize, known: bool) -> (u32, u32) {
    match (known, dice.below(2)) {
        (true, 0) => (fencing::USE, 1 + dice.below(6) as u32),
        (true, _) => (fencing::ACQUIRE, 1 + dice.below(8) as u32),
        _ => (fencing::ACQUIRE, 0),
    }
}

/// All tokens given, as bits, and the largest accepted. Whoever never learnt its token may have been given any.
fn fences(columns: &Columns) -> bool {
    linearizable(columns, vec![(0u32, 0u32)], |states: &Vec<(u32, u32)>, (kind, token, known)| {
        let mut after = Vec::new();
        for (given, used) in states {
            let larger = (1..16).filter(|token| given >> token == 0);
            match kind {
                fencing::ACQUIRE if known => {
                    after.extend(larger.filter(|new| *new == token).map(|new| (given | 1 << new, *used)));
                }
                fencing::ACQUIRE => after.extend(larger.map(|new| (given | 1 << new, *used))),
                _ if given >> token & 1 == 1 && token >= *used => after.push((*given, token)),
                _ => {}
            }
        }
        (!after.is_empty()).then_some(after)
    })
}

#[test]
fn tokens() {
    Ground {
        name: "fencing tokens",
        most: 7,
        object: &fencing_object,
        blind: &fencing_blind,
        legal: &fences,
        judge: &fencing::judge,
        unfit: 0,
        rules: &["duplicated token", "token out of order", "stale token accepted", "unexpected token"],
        stands_alone: true,
    }
    .stand(33);
}
