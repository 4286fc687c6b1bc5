//! The judges of models without real time: against their definitions, on stores that keep a promise by how they are made,
//! by laws, and what they say of each thing that is wrong.
//!
//! `SCHISM_LONG=1000000 cargo test --release -p schism-checker --test weak -- --nocapture` compares that many random
//! histories a judge with brute force; without it, a second's worth.

mod by_definition;
#[path = "../linearizable/dice.rs"]
mod dice;
mod histories;
mod random;
#[path = "../linearizable/script.rs"]
mod script;
mod situations;
#[path = "../staleness/weak.rs"]
mod weak;

use std::time::Duration;

use schism_checker::Budget;
use schism_checker::weak::{Answer, Columns, Model, judge};

use self::by_definition::{Op, Tiny};
use self::dice::Dice;
use self::random::{Store, of_store};

const BUDGET: Budget<'static> = Budget { bytes: 1 << 30, time: Duration::from_secs(3600), over: &|| false };

/// How many random histories are compared with brute force.
fn rounds(short: usize) -> usize {
    std::env::var("SCHISM_LONG").map_or(short, |many| many.parse().expect("SCHISM_LONG is a number"))
}

fn kept(columns: &Columns, model: Model) -> bool {
    match judge(columns, model, 1 << 30, &|| false) {
        Answer::Kept => true,
        Answer::Broken(_) => false,
        Answer::GaveUp(spent) => panic!("{spent:?} is over for {columns:?}"),
    }
}

fn by_definition(ops: &[Op], model: Model) -> bool {
    let tiny = Tiny(ops);
    !tiny.thin_air()
        && match model {
            Model::Pram => tiny.pram(),
            Model::Causal => tiny.causal(),
            Model::Convergent => tiny.convergent(),
            Model::Sequential => tiny.sequential(),
        }
}

#[test]
fn each_judge_says_what_the_definition_says() {
    let mut dice = Dice::new(41);
    let rounds = rounds(4_000);
    let mut counts = [[0; 2]; Model::ALL.len()];
    for round in 0..rounds {
        let ops = random::tiny(&mut dice, if round % 2 == 0 { 7 } else { 9 });
        let columns = random::columns(&ops);
        for (model, count) in Model::ALL.into_iter().zip(&mut counts) {
            let expected = by_definition(&ops, model);
            assert_eq!(kept(&columns, model), expected, "{model:?} of {ops:#?}");
            count[usize::from(expected)] += 1;
        }
    }
    println!("{rounds} histories a judge, 0 disagreements; broken and kept {counts:?} of {:?}", Model::ALL);
    assert!(counts.iter().all(|[broken, kept]| broken * 20 > rounds && kept * 20 > rounds));
}

#[test]
fn the_smallest_causal_order_is_as_good_as_any() {
    let mut dice = Dice::new(42);
    let rounds = rounds(10_000) / 100;
    let mut counts = [0; 4];
    for _ in 0..rounds {
        let ops = random::tiny(&mut dice, 5);
        if Tiny(&ops).thin_air() {
            continue;
        }
        let (causal, convergent) = Tiny(&ops).by_any_causal_order();
        assert_eq!(Tiny(&ops).causal(), causal, "{ops:#?}");
        assert_eq!(Tiny(&ops).convergent(), convergent, "{ops:#?}");
        counts[usize::from(causal) * 2 + usize::from(convergent)] += 1;
    }
    println!("{rounds} compared: {counts:?} neither, impossible, causal only, both");
    assert!(counts[0] > 0 && counts[3] > 0);
}

/// Which models imply which others (Perrin et al., PPoPP 2016).
const IMPLIED: [(Model, Model); 4] = [
    (Model::Sequential, Model::Convergent),
    (Model::Convergent, Model::Causal),
    (Model::Sequential, Model::Pram),
    (Model::Sequential, Model::Causal),
];

#[test]
fn the_models_imply_what_they_should_and_nothing_else() {
    let mut dice = Dice::new(43);
    let mut apart = [[0; Model::ALL.len()]; Model::ALL.len()];
    for _ in 0..rounds(8_000) {
        let columns = random::columns(&random::tiny(&mut dice, 12));
        let keeps = Model::ALL.map(|model| kept(&columns, model));
        for (one, counts) in apart.iter_mut().enumerate() {
            for (other, count) in counts.iter_mut().enumerate() {
                *count += usize::from(keeps[one] && !keeps[other]);
            }
        }
        for (strong, weak) in IMPLIED {
            let place = |model| Model::ALL.iter().position(|other| *other == model).expect("one of all");
            assert!(!keeps[place(strong)] || keeps[place(weak)], "{strong:?} without {weak:?}: {columns:?}");
        }
    }
    println!("kept by the one and broken by the other: {apart:?} of {:?}", Model::ALL);
    for (one, counts) in apart.iter().enumerate() {
        for (other, count) in counts.iter().enumerate() {
            let implied = one == other || IMPLIED.contains(&(Model::ALL[one], Model::ALL[other]));
            // A history that converges and is not PRAM takes luck to draw: that one is written down below.
            let rare = (Model::ALL[one], Model::ALL[other]) == (Model::Convergent, Model::Pram);
            assert!((*count == 0) == implied || rare, "{:?} and {:?}", Model::ALL[one], Model::ALL[other]);
        }
    }
}

#[test]
fn convergence_does_not_imply_pram() {
    // The last session has to put 2 before 4, since it has seen 3, and so 1, too; but of key 1 it saw nothing.
    let (x, y, z) = (0, 1, 2);
    let mut columns = Columns::default();
    columns.session();
    columns.write(y, 1);
    columns.write(x, 2);
    columns.write(z, 3);
    columns.session();
    columns.write(x, 4);
    columns.session();
    columns.read(x, 4);
    columns.read(y, 0);
    columns.read(z, 3);
    columns.read(x, 4);
    assert_eq!(Model::ALL.map(|model| kept(&columns, model)), [false, true, true, false]);
}

#[test]
fn a_store_that_keeps_a_promise_is_found_to_keep_it() {
    let mut dice = Dice::new(44);
    use Model::{Causal, Convergent, Pram, Sequential};
    // What each promises, and what it breaks as a rule.
    let promises: [(Store, &[Model], &[Model]); 4] = [
        (Store::Sequential, &Model::ALL, &[]),
        (Store::Convergent, &[Causal, Convergent], &[Sequential]),
        (Store::Causal, &[Pram, Causal], &[Convergent, Sequential]),
        (Store::Fifo, &[Pram], &[Causal, Convergent, Sequential]),
    ];
    for (store, models, breaks) in promises {
        let mut broken = [0; Model::ALL.len()];
        for round in 0..42 {
            let (operations, sessions) = if round < 40 { (300, 6) } else { (3_000, 12) };
            let keys = 1 + dice.below(4);
            let ops = of_store(&mut dice, store, operations, sessions, keys);
            let columns = random::columns(&ops);
            for (model, broken) in Model::ALL.into_iter().zip(&mut broken) {
                let keeps = kept(&columns, model);
                assert!(keeps || !models.contains(&model), "{store:?} does not keep {model:?}: {ops:#?}");
                *broken += usize::from(!keeps);
            }
        }
        println!("{store:?} broke {broken:?} of {:?}, of 42 runs each", Model::ALL);
        for (model, broken) in Model::ALL.into_iter().zip(broken) {
            assert!(broken >= 10 || !breaks.contains(&model), "{store:?}, {model:?}");
        }
    }
}
