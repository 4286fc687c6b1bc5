//! Planted mistakes. First in models: whoever tells the search something wrong about what it may skip must be caught by
//! the definition, or the comparison with it would prove nothing. Then in long histories: every way of looking finds the
//! one operation that is wrong.

use std::sync::Arc;

use schism_checker::linear::{Allowance, Entry, Finding, Spent, Way, search_by, straight};
use schism_checker::model::{CasRegister, Collection, Effect, Gives, Model, Needs, Set};
use schism_checker::synthetic::{self, Mix};
use schism_history::{Call, History, Ret, Value};

use crate::dice::Dice;
use crate::models::{collection, given};
use crate::search::reads;
use crate::tiny::{self, Shape};
use crate::{BUDGET, brute_force, entries};

/// What a model says wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// Every call of unknown fate can be left out.
    Idle,
    /// No operation could bring a state about.
    GivesNothing,
    /// Operations ask for nothing.
    AsksNothing,
    /// Operations change nothing.
    Observes,
}

/// A model that is right about what is legal, and wrong about one thing that the search may skip.
struct Lying<M> {
    model: M,
    lie: Lie,
}

impl<M: Model> Model for Lying<M> {
    type State = M::State;

    fn name(&self) -> &'static str {
        self.model.name()
    }
    fn initial(&self) -> M::State {
        self.model.initial()
    }
    fn understands(&self, call: &Call, ret: Option<&Ret>) -> bool {
        self.model.understands(call, ret)
    }
    fn step(&self, state: &M::State, call: &Call, ret: Option<&Ret>) -> Option<M::State> {
        self.model.step(state, call, ret)
    }
    fn show(&self, state: &M::State) -> String {
        self.model.show(state)
    }
    fn effect(&self, call: &Call, ret: Option<&Ret>) -> Effect<M::State> {
        let Effect { needs, gives } = self.model.effect(call, ret);
        Effect {
            needs: if self.lie == Lie::AsksNothing { Needs::Nothing } else { needs },
            gives: if self.lie == Lie::Observes { Gives::Same } else { gives },
        }
    }
    fn could_give(&self, call: &Call, ret: Option<&Ret>, state: &M::State) -> bool {
        self.lie != Lie::GivesNothing && self.model.could_give(call, ret, state)
    }
    fn idle(&self, call: &Call, required: &[(&Call, &Ret)], optional: &[&Call]) -> bool {
        self.lie == Lie::Idle || self.model.idle(call, required, optional)
    }
}

/// How many of these histories a way of looking judges wrongly when the model lies; without a way, straight from the
/// columns.
fn caught<M: Model + Clone>(
    way: Option<Way>,
    model: &M,
    lie: Option<Lie>,
    call: &dyn Fn(&mut Dice) -> Call,
    wrong: &dyn Fn(&mut Dice, &Call) -> Ret,
    answer: &dyn Fn(&M::State, &Call, &mut Dice) -> Ret,
) -> usize {
    let mut dice = Dice::new(61);
    let wrongly = (0..2_000).filter(|number| {
        let shape = Shape {
            call,
            lie: wrong,
            operations: 8,
            clients: 4,
            info: [0, 45][number % 2],
            lies: [5, 30][number / 2 % 2],
        };
        let history = tiny::history(model, &mut dice, &shape, answer);
        let legal = brute_force::linearizable(model, &history);
        let finding = match lie {
            Some(lie) => look(way, &Lying { model: model.clone(), lie }, &history),
            None => look(way, model, &history),
        };
        match finding {
            Finding::Linearizable => !legal,
            Finding::NotLinearizable => legal,
            Finding::GaveUp(_) => false,
        }
    });
    wrongly.count()
}

fn look<M: Model>(way: Option<Way>, model: &M, history: &History) -> Finding {
    let allowance = Allowance::new(BUDGET);
    match way {
        Some(way) => search_by(way, model, &entries(history), &allowance, u64::MAX).0,
        None => straight(model, history.columns(), 0..history.len(), &allowance)
            .map_or(Finding::GaveUp(Spent::Steps), |(finding, _)| finding),
    }
}

const WAYS: [Way; 3] = [Way::Turns, Way::Depth, Way::Breadth(usize::MAX)];

#[test]
fn lies_about_registers_are_caught() {
    let call = |dice: &mut Dice| {
        let key = Value::Int(0);
        let mut small = || Value::Int(dice.below(3) as i64);
        match small() {
            Value::Int(0) => Call::Read { key },
            Value::Int(1) => Call::Write { key, value: small() },
            _ => Call::Cas { key, from: small(), to: small() },
        }
    };
    let wrong = |dice: &mut Dice, call: &Call| {
        if call.changes() { Ret::Done } else { Ret::Value(Value::Int(dice.below(3) as i64)) }
    };
    let model = CasRegister { initial: Value::Int(0) };
    let count = |way, lie| caught(way, &model, lie, &call, &wrong, &reads(&Value::clone));
    for way in WAYS.map(Some).into_iter().chain([Some(Way::Parts(2)), None]) {
        assert_eq!(count(way, None), 0, "{way:?}");
        assert!(count(way, Some(Lie::Observes)) > 20, "{way:?}");
        if way != Some(Way::Parts(2)) {
            assert!(count(way, Some(Lie::AsksNothing)) > 20, "{way:?}");
        }
    }
}

#[test]
fn lies_about_sets_and_queues_are_caught() {
    let element = |dice: &mut Dice| Value::Int(dice.below(3) as i64);
    let call = |dice: &mut Dice| match dice.below(2) {
        0 => Call::Read { key: 0.into() },
        _ => Call::Add { key: 0.into(), value: element(dice) },
    };
    let wrong = |dice: &mut Dice, call: &Call| {
        let seen: Vec<Value> = (0..3).filter(|_| dice.percent(50)).map(Value::Int).collect();
        if call.changes() { Ret::Done } else { Ret::Value(Value::list(seen)) }
    };
    let answer = |state: &<Set as Model>::State, call: &Call, _: &mut Dice| {
        if call.changes() { Ret::Done } else { Ret::Value(Value::list(state.iter().cloned())) }
    };
    let of_set = |way, lie| caught(way, &Set, lie, &call, &wrong, &answer);
    let of = Collection::Queue;
    let any = |dice: &mut Dice, call: &Call| {
        if matches!(call, Call::Enqueue { .. }) { Ret::Done } else { Ret::Value(element(dice)) }
    };
    let next = |state: &Arc<[Value]>, call: &Call, dice: &mut Dice| given(of, state, call, dice);
    let of_queue = |way, lie| caught(way, &of, lie, &|dice| collection(of, dice), &any, &next);
    for way in WAYS.map(Some) {
        assert_eq!((of_set(way, None), of_queue(way, None)), (0, 0), "{way:?}");
        for lie in [Lie::Idle, Lie::GivesNothing] {
            let caught = (of_set(way, Some(lie)), of_queue(way, Some(lie)));
            // Breadth first asks nobody who could bring about the state of a set.
            assert!(caught.0 + caught.1 > 20, "{way:?}, {lie:?}: {caught:?}");
        }
    }
}

#[test]
fn one_stale_read_among_hundreds_is_found_every_way() {
    let mut dice = Dice::new(62);
    for clients in [4, 10] {
        let history = synthetic::history(&Mix::unique(600, clients), &mut || dice.raw());
        let (stale, at) = synthetic::with_stale_read(&history, &mut || dice.raw()).expect("many reads");
        for way in [Way::Turns, Way::Depth, Way::Breadth(usize::MAX), Way::Parts(20)] {
            let judge = |entries: &[Entry<'_>]| {
                search_by(way, &CasRegister::default(), entries, &Allowance::new(BUDGET), u64::MAX)
            };
            let (right, _) = judge(&entries(&history));
            assert_ne!(right, Finding::NotLinearizable, "{way:?}, {clients} clients");
            let (finding, effort) = judge(&entries(&stale));
            assert_eq!(finding, Finding::NotLinearizable, "{way:?}, {clients} clients");
            // Nothing that returned before it is to blame.
            let reached = effort.reached.map(|reached| stale.rows()[reached].complete);
            let own = stale.rows()[at].complete;
            assert!(matches!(way, Way::Parts(_)) || reached.is_some_and(|reached| reached <= own), "{way:?}");
        }
    }
}
