//! Multi-leader replication in the simulated world: each resolution keeps what it claims under every fault, gives up what
//! theory says it gives up, and every planted bug is found.

use std::time::Duration;

use schism_checker::everyday::{Texts, Updates};
use schism_checker::{Checker, Convergence, Session, Sessions, Verdict};
use schism_reference::simulation::{Habit, Simulated};

use crate::cases::{BUDGET, Case, linearizable};

// What is asked.

fn passes(judge: &dyn Checker, simulated: &Simulated) -> bool {
    let judgement = judge.check(&simulated.history(), BUDGET);
    if std::env::var_os("SCHISM_TELL").is_some() {
        for anomaly in &judgement.anomalies {
            eprintln!("{}: {}", anomaly.name, anomaly.sentences.join("; "));
        }
    }
    judgement.verdict != Verdict::Invalid
}

/// In the end every node answers, and alike; nothing is lost to what had not come after it, nothing is back.
fn converges(simulated: &Simulated) -> bool {
    simulated.is_answered && passes(&Convergence::default(), simulated)
}

/// In the end every node answers with the same texts, and every character is where its author typed it.
fn keeps_texts(simulated: &Simulated) -> bool {
    simulated.is_answered && passes(&Texts, simulated)
}

/// The same, and no write is replaced by one that had not seen it.
fn keeps_updates(simulated: &Simulated) -> bool {
    converges(simulated) && passes(&Updates, simulated)
}

/// Who stays with a node has all four session guarantees there, on each key.
fn keeps_sessions(simulated: &Simulated) -> bool {
    let judge = Sessions { session: Session::Node, real_time: false, ..Sessions::default() };
    passes(&judge, simulated)
}

/// Every call is answered at once by a node that runs, whoever else can be reached.
fn answers(simulated: &Simulated) -> bool {
    simulated.history().rows().iter().all(|operation| match &operation.outcome {
        schism_history::Outcome::Fail(why) => why == "nobody listens",
        _ => true,
    })
}

// What is run.

const fn of(settings: &'static [(&'static str, &'static str)]) -> Case {
    // Before the final reads nobody calls anything for a while: the last changes have to be shipped.
    Case { quiet: Duration::from_millis(1_500), ..Case::of("multi", settings) }
}

const LWW: Case = of(&[]).keeping(converges);
const LAMPORT: Case = of(&[("stamps", "lamport")]).keeping(converges);
const WALL: Case = of(&[("stamps", "wall")]).keeping(converges);
const SIBLINGS: Case = of(&[("resolution", "siblings")]).doing(Habit::Updates).keeping(keeps_updates);
const MERGE: Case = of(&[("resolution", "merge")]).keeping(converges);
const COUNTERS: Case = MERGE.doing(Habit::Counters);
const ELEMENTS: Case = MERGE.doing(Habit::Elements);
const TEXTS: Case = MERGE.doing(Habit::Texts).keeping(keeps_texts);
const REGIONS: Case = of(&[("regions", "2"), ("region-delay-ms", "150")]).keeping(converges);

#[test]
fn where_the_last_write_wins_all_nodes_converge_and_no_later_write_is_lost() {
    LWW.is_never_broken();
    LWW.on_many_keys().is_never_broken();
    LAMPORT.is_never_broken();
    LWW.doing(Habit::Deletes).is_never_broken();
    REGIONS.is_never_broken();
}

#[test]
fn sessions_are_kept_at_each_node() {
    LWW.keeping(keeps_sessions).is_never_broken();
    LAMPORT.keeping(keeps_sessions).is_never_broken();
}

#[test]
fn every_node_answers_whoever_else_can_be_reached() {
    LWW.keeping(answers).is_never_broken();
    SIBLINGS.keeping(answers).is_never_broken();
}

#[test]
fn siblings_keep_every_write_that_nobody_replaced() {
    SIBLINGS.is_never_broken();
    SIBLINGS.on_many_keys().is_never_broken();
}

#[test]
fn what_merges_keeps_every_increment_every_add_and_every_character() {
    COUNTERS.is_never_broken();
    ELEMENTS.is_never_broken();
    ELEMENTS.on_many_keys().is_never_broken();
    MERGE.doing(Habit::Sets).is_never_broken();
    MERGE.doing(Habit::Deletes).is_never_broken();
    TEXTS.is_never_broken();
    TEXTS.on_many_keys().is_never_broken();
    COUNTERS.keeping(answers).is_never_broken();
}

#[test]
fn where_the_last_write_wins_increments_adds_and_characters_are_lost() {
    LWW.doing(Habit::Counters).under("partitions").is_broken_in(90);
    LWW.doing(Habit::Elements).under("partitions").is_broken_in(90);
    LWW.doing(Habit::Texts).under("partitions").keeping(keeps_texts).is_broken_in(90);
}

#[test]
fn anti_entropy_heals_what_crashes_kept_from_being_shipped() {
    const NONE: Case = of(&[("anti-entropy", "false")]).on_many_keys().keeping(converges);
    NONE.is_broken_in(25);
}

#[test]
fn where_the_last_write_wins_concurrent_updates_are_lost() {
    let case = LWW.doing(Habit::Updates).under("partitions").keeping(keeps_updates);
    case.is_broken_in(90);
    let (mut acknowledged, mut lost) = (0, 0);
    for seed in 0..20 {
        let facts = Updates.check(&case.simulated(seed).history(), BUDGET).facts;
        let fact = |name: &str| {
            let found = facts.iter().find(|(fact, _)| fact == name);
            found.and_then(|(_, value)| value.parse::<u64>().ok()).expect("the fact is a number")
        };
        acknowledged += fact("updates acknowledged");
        lost += fact("updates lost");
    }
    println!("of {acknowledged} acknowledged updates {lost} were lost to ones that had not seen them");
    assert!(20 * lost > acknowledged, "fewer than one in twenty");
}

#[test]
fn nothing_is_linearizable() {
    LWW.under("partitions").keeping(linearizable).is_broken_in(90);
}

#[test]
fn clocks_that_differ_lose_writes_that_came_after() {
    WALL.under("clocks-and-pauses").is_broken_in(15);
    WALL.under("clocks-and-pauses").keeping(keeps_sessions).is_broken_in(30);
}

#[test]
fn every_bug_of_multi_is_found() {
    LWW.with("skewed-stamps").under("clocks-and-pauses").is_broken_in(16);
    LWW.doing(Habit::Deletes).on_many_keys().with("deletes-forgotten").under("partitions").is_broken_in(20);
    LWW.on_many_keys().with("blind-branches").is_broken_in(20);
    SIBLINGS.with("siblings-dropped").under("partitions").is_broken_in(50);
    COUNTERS.with("counts-twice").under("calm").is_broken_in(50);
    ELEMENTS.on_many_keys().with("remove-wins").under("partitions").is_broken_in(30);
    TEXTS.with("one-successor").under("partitions").is_broken_in(50);
    COUNTERS.with("ack-before-fsync").under("power-cuts").is_broken_in(10);
}
