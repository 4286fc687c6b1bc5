//! Queues, stacks and priority queues.

use std::collections::VecDeque;

use schism_checker::judges::queue::{self, EMPTY, PUT, TAKE};
use schism_checker::judges::{Answer, Columns, priority, stack};
use schism_checker::synthetic::objects::Effect;

use crate::brute_force::{What, linearizable};
use crate::dice::Dice;
use crate::ground::{Ground, Object};

/// How elements come out: `take` gives the places of those that may be next.
type Next = fn(&VecDeque<u32>) -> Vec<usize>;

fn first(inside: &VecDeque<u32>) -> Vec<usize> {
    (0..inside.len().min(1)).collect()
}

fn any(inside: &VecDeque<u32>) -> Vec<usize> {
    (0..inside.len()).collect()
}

fn last(inside: &VecDeque<u32>) -> Vec<usize> {
    inside.len().checked_sub(1).into_iter().collect()
}

fn smallest(inside: &VecDeque<u32>) -> Vec<usize> {
    (0..inside.len()).min_by_key(|place| inside[*place]).into_iter().collect()
}

fn legal(columns: &Columns, next: Next) -> bool {
    // A take of unknown fate may take any one of those that may be next: one state for each choice.
    let step = |states: &Vec<VecDeque<u32>>, (kind, element, known): What| {
        let mut after: Vec<VecDeque<u32>> = Vec::new();
        for inside in states {
            match kind {
                PUT => {
                    let mut inside = inside.clone();
                    inside.push_back(element);
                    after.push(inside);
                }
                EMPTY if inside.is_empty() => after.push(inside.clone()),
                TAKE => {
                    for place in next(inside) {
                        let mut inside = inside.clone();
                        let taken = inside.remove(place);
                        if !known || taken == Some(element) {
                            after.push(inside);
                        }
                    }
                }
                _ => {}
            }
        }
        (!after.is_empty()).then_some(after)
    };
    linearizable(columns, vec![VecDeque::new()], step)
}

/// An object that works, with twice as many puts as takes for a start.
fn object(next: Next) -> Object {
    let mut inside: VecDeque<u32> = VecDeque::new();
    let mut fresh = 0;
    Box::new(move |effect, random| {
        if random() % 2 == 0 {
            fresh += 1;
            // In no order, for the priority queue.
            let element = fresh * 5 % 31;
            if effect != Effect::Never {
                inside.push_back(element);
            }
            return (PUT, element);
        }
        let may = next(&inside);
        if effect == Effect::Never {
            return (TAKE, 0);
        }
        if may.is_empty() {
            // Who gets no answer does not know that there was none.
            return (if effect == Effect::Answered { EMPTY } else { TAKE }, 0);
        }
        let element = inside.remove(may[(random() % may.len() as u64) as usize]).unwrap_or_default();
        (TAKE, if effect == Effect::Answered { element } else { 0 })
    })
}

fn blind(dice: &mut Dice, place: usize, known: bool) -> (u32, u32) {
    match dice.below(5) {
        // Elements of their own: each must be put in once.
        0 | 1 => (PUT, 31 + place as u32),
        2 if known => (EMPTY, 0),
        _ if !known => (TAKE, 0),
        3 => (TAKE, (1 + dice.below(6) as u32) * 5 % 31),
        _ => (TAKE, 31 + dice.below(8) as u32),
    }
}

fn stand(name: &str, next: Next, judge: fn(&Columns) -> Answer, unfit: usize, rules: &[&str], seed: u64) {
    Ground {
        name,
        most: 8,
        object: &|| object(next),
        blind: &blind,
        legal: &|columns| legal(columns, next),
        judge: &judge,
        unfit,
        rules,
        stands_alone: true,
    }
    .stand(seed);
}

const ALWAYS: [&str; 3] = ["unexpected element", "duplicated element", "false empty"];

#[test]
fn fifo() {
    let rules = [&ALWAYS[..], &["reordered elements", "lost element"]].concat();
    stand("fifo queue", first, queue::fifo, 0, &rules, 1);
}

#[test]
fn unordered() {
    stand("unordered queue", any, queue::unordered, 0, &ALWAYS, 2);
}

#[test]
fn stack() {
    let rules = [&ALWAYS[..], &["reordered elements", "lost element"]].concat();
    stand("stack", last, stack::judge, 1, &rules, 3);
}

#[test]
fn priority() {
    let rules = [&ALWAYS[..], &["reordered elements", "lost element"]].concat();
    stand("priority queue", smallest, priority::judge, 1, &rules, 4);
}
