//! Sets: element by element, and growing ones that are read whole.

use schism_checker::judges::element::{self, ABSENT, ADD, ADDED, PRESENT, REMOVE, REMOVED};
use schism_checker::judges::growing;
use schism_checker::judges::log::Lists;
use schism_checker::judges::{Answer, Columns, NEVER};
use schism_checker::synthetic::objects::Effect;

use crate::brute_force::linearizable;
use crate::dice::Dice;
use crate::ground::{Ground, Object};
use crate::places::unpacked;

fn element_object() -> Object {
    // Elements as bits: there, added before, removed before.
    let (mut there, mut added, mut removed) = (0u32, 0u32, 0u32);
    Box::new(move |effect, random| {
        let element = (random() % 3) as u32;
        let bit = 1 << element;
        let (told, was) = (random() % 2 == 0 && effect == Effect::Answered, there & bit != 0);
        let happens = effect != Effect::Never;
        match random() % 3 {
            0 if added & bit == 0 => {
                added |= bit;
                there |= if happens { bit } else { 0 };
                (if told { ADDED } else { ADD }, element)
            }
            1 if removed & bit == 0 && (!told || was) => {
                removed |= bit;
                there &= if happens { !bit } else { u32::MAX };
                (if told { REMOVED } else { REMOVE }, element)
            }
            // Nobody was told what it found: it means nothing.
            _ if effect != Effect::Answered => (ADD, 3),
            _ => (if was { PRESENT } else { ABSENT }, element),
        }
    })
}

fn element_blind(dice: &mut Dice, _: usize, known: bool) -> (u32, u32) {
    let element = dice.below(3) as u32;
    let kinds: &[u32] =
        if known { &[ADD, ADDED, PRESENT, REMOVE, REMOVED, ABSENT, ABSENT, PRESENT] } else { &[ADD, REMOVE] };
    (kinds[dice.below(kinds.len())], element)
}

fn is_set(columns: &Columns) -> bool {
    linearizable(columns, 0u32, |there: &u32, (kind, element, _)| {
        let bit = 1 << element;
        let is = there & bit != 0;
        match kind {
            ADD => Some(there | bit),
            ADDED => (!is).then_some(there | bit),
            PRESENT => is.then_some(*there),
            REMOVE => Some(there & !bit),
            REMOVED => is.then_some(there & !bit),
            _ => (!is).then_some(*there),
        }
    })
}

#[test]
fn by_element() {
    Ground {
        name: "set by element",
        most: 8,
        object: &element_object,
        blind: &element_blind,
        legal: &is_set,
        judge: &element::judge,
        unfit: 30,
        rules: &[
            "unexpected element",
            "duplicated element",
            "removed element came back",
            "lost element",
            "stale read",
        ],
        stands_alone: true,
    }
    .stand(21);
}

fn growing_object() -> Object {
    let (mut set, mut fresh) = (Vec::<u32>::new(), 0);
    Box::new(move |effect, random| {
        if effect == Effect::Answered && (fresh >= 7 || random() % 2 == 0) {
            // In an order of its own each time.
            let turn = (random() % 8) as usize % set.len().max(1);
            set.rotate_left(turn);
            return (growing::READ, set.iter().fold(0, |packed, element| packed * 8 + element));
        }
        fresh += 1;
        // No more than seven fit into a list.
        if effect != Effect::Never && fresh < 8 {
            set.push(fresh);
        }
        (growing::ADD, if fresh < 8 { fresh } else { fresh + 8 })
    })
}

fn growing_blind(dice: &mut Dice, place: usize, known: bool) -> (u32, u32) {
    if known && dice.percent(60) {
        let length = dice.below(4);
        return (growing::READ, (0..length).fold(0, |packed, _| packed * 8 + 1 + dice.below(5) as u32));
    }
    (growing::ADD, 8 + place as u32)
}

fn judge_growing(columns: &Columns) -> Answer {
    let (mut all, mut lists) = (Columns::default(), Lists::default());
    for operation in 0..columns.len() as u32 {
        let complete = Some(columns.complete(operation)).filter(|complete| *complete != NEVER);
        let (kind, number) = (columns.kind(operation), columns.number(operation));
        let number = if kind == growing::READ { lists.push(unpacked(number)) } else { number };
        all.push(kind, number, columns.invoke(operation), complete);
    }
    growing::judge(&all, &lists)
}

fn grows(columns: &Columns) -> bool {
    linearizable(columns, Vec::new(), |set: &Vec<u32>, (kind, number, _)| {
        let mut after = set.clone();
        if kind == growing::READ {
            let mut seen = unpacked(number);
            seen.sort_unstable();
            after.sort_unstable();
            return (seen == after).then(|| set.clone());
        }
        after.push(number);
        Some(after)
    })
}

#[test]
fn growing_set() {
    Ground {
        name: "growing set with whole reads",
        most: 8,
        object: &growing_object,
        blind: &growing_blind,
        legal: &grows,
        judge: &judge_growing,
        unfit: 0,
        rules: &[
            "incompatible order",
            "duplicated element",
            "unexpected element",
            "stale read",
            "reordered elements",
        ],
        stands_alone: true,
    }
    .stand(22);
}
