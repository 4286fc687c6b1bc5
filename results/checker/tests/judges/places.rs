//! Counters, tickets, identifiers and logs: what gives each change the next place.

use schism_checker::judges::counter::{self, CHANGE, READ, TICKET};
use schism_checker::judges::log::{self, Lists};
use schism_checker::judges::{Columns, NEVER, ids};
use schism_checker::synthetic::objects::Effect;

use crate::brute_force::linearizable;
use crate::dice::Dice;
use crate::ground::{Ground, Object};

fn counter_object() -> Object {
    let mut count = 0;
    Box::new(move |effect, random| {
        let draw = random() % 5;
        if draw < 2 && effect == Effect::Answered {
            return (READ, count);
        }
        let before = count;
        count += u32::from(effect != Effect::Never);
        if draw == 2 && effect == Effect::Answered { (TICKET, before) } else { (CHANGE, 0) }
    })
}

fn counter_blind(dice: &mut Dice, _: usize, known: bool) -> (u32, u32) {
    match dice.below(3) {
        0 if known => (READ, dice.below(4) as u32),
        1 if known => (TICKET, dice.below(4) as u32),
        _ => (CHANGE, 0),
    }
}

fn counts(columns: &Columns) -> bool {
    linearizable(columns, 0, |count: &u32, (kind, number, _)| match kind {
        READ => (*count == number).then_some(*count),
        TICKET => (*count == number).then_some(count + 1),
        _ => Some(count + 1),
    })
}

#[test]
fn counter() {
    Ground {
        name: "unit counter and tickets",
        most: 8,
        object: &counter_object,
        blind: &counter_blind,
        legal: &counts,
        judge: &counter::judge,
        unfit: 0,
        rules: &["duplicated ticket", "unexpected increment", "lost increment", "stale read"],
        // A counter's witness is one read of what many did.
        stands_alone: false,
    }
    .stand(11);
}

/// A log's list as one number: an octal digit an element, none of which is 0.
fn packed(list: &[u32]) -> u32 {
    list.iter().fold(0, |packed, element| packed * 8 + element)
}

pub fn unpacked(mut packed: u32) -> Vec<u32> {
    let mut list = Vec::new();
    while packed > 0 {
        list.insert(0, packed % 8);
        packed /= 8;
    }
    list
}

/// An append's element and offset as one number.
const OFFSET: u32 = 64;

fn log_object() -> Object {
    let (mut log, mut fresh) = (Vec::new(), 0);
    Box::new(move |effect, random| {
        let draw = random() % 3;
        if effect == Effect::Answered && (fresh >= 7 || draw == 0) {
            return (log::READ, packed(&log));
        }
        fresh += 1;
        let offset = log.len() as u32 + 1;
        // No more than seven fit into a list.
        if effect != Effect::Never && fresh < 8 {
            log.push(fresh);
        }
        let told = draw == 1 && effect == Effect::Answered;
        (log::APPEND, fresh + if fresh > 7 { 8 } else { 0 } + if told { OFFSET * offset } else { 0 })
    })
}

fn log_blind(dice: &mut Dice, place: usize, known: bool) -> (u32, u32) {
    match dice.below(3) {
        0 if known => {
            let length = dice.below(4);
            (log::READ, packed(&(0..length).map(|_| 1 + dice.below(5) as u32).collect::<Vec<_>>()))
        }
        1 if known => (log::APPEND, 8 + place as u32 % 8 + OFFSET * (1 + dice.below(4) as u32)),
        _ => (log::APPEND, 8 + place as u32 % 8),
    }
}

/// The log as the judge wants it.
fn as_log(columns: &Columns) -> (Columns, Lists, Vec<u32>) {
    let (mut all, mut lists, mut offsets) = (Columns::default(), Lists::default(), Vec::new());
    for operation in 0..columns.len() as u32 {
        let complete = Some(columns.complete(operation)).filter(|complete| *complete != NEVER);
        let (kind, number) = (columns.kind(operation), columns.number(operation));
        let (number, offset) = match kind {
            log::READ => (lists.push(unpacked(number)), NEVER),
            _ => (number % OFFSET, (number / OFFSET).wrapping_sub(1)),
        };
        all.push(kind, number, columns.invoke(operation), complete);
        offsets.push(offset);
    }
    (all, lists, offsets)
}

fn is_log(columns: &Columns) -> bool {
    linearizable(columns, Vec::new(), |log: &Vec<u32>, (kind, number, _)| match kind {
        log::READ => (*log == unpacked(number)).then(|| log.clone()),
        _ => {
            let offset = number / OFFSET;
            let mut after = log.clone();
            after.push(number % OFFSET);
            (offset == 0 || offset == after.len() as u32).then_some(after)
        }
    })
}

#[test]
fn append_log() {
    Ground {
        name: "append log with reads and offsets",
        most: 8,
        object: &log_object,
        blind: &log_blind,
        legal: &is_log,
        judge: &|columns| {
            let (columns, lists, offsets) = as_log(columns);
            log::judge(&columns, &lists, &offsets)
        },
        unfit: 0,
        rules: &[
            "incompatible order",
            "duplicated element",
            "unexpected element",
            "wrong offset",
            "duplicated offset",
            "lost element",
            "reordered elements",
        ],
        stands_alone: false,
    }
    .stand(12);
}

#[test]
fn identifiers() {
    let object = || -> Object {
        let mut fresh = 0;
        Box::new(move |_, _| {
            fresh += 1;
            (ids::GENERATE, fresh)
        })
    };
    Ground {
        name: "unique identifiers",
        most: 8,
        object: &object,
        blind: &|dice, _, _| (ids::GENERATE, dice.below(6) as u32),
        legal: &|columns| {
            linearizable(columns, Vec::new(), |given: &Vec<u32>, (_, id, known)| {
                let mut after = given.clone();
                if known {
                    after.push(id);
                }
                (!known || !given.contains(&id)).then_some(after)
            })
        },
        judge: &ids::judge,
        unfit: 0,
        rules: &["duplicated identifier"],
        stands_alone: true,
    }
    .stand(13);
}
