//! The search beside porcupine-rs, wherever both can answer: it knows no calls of unknown fate.

use schism_checker::linear::{Allowance, Finding, search, straight};
use schism_checker::model::CasRegister;
use schism_checker::synthetic::{self, Mix};

use crate::dice::Dice;
use crate::{BUDGET, entries, peer};

/// Histories too long for brute force, half of them with a garbled answer.
#[test]
fn agrees_with_porcupine() {
    let mut dice = Dice::new(31);
    let (mut count, mut legal) = (0, 0);
    for number in 0..6_000 {
        let clients = 2 + number % 5;
        let mix = match number % 3 {
            0 => Mix::unique(40, clients),
            1 => Mix::cas(40, clients),
            _ => Mix { values: 3, ..Mix::unique(40, clients) },
        };
        let mut history = synthetic::history(&mix, &mut || dice.raw());
        if number % 2 == 0 {
            let reads: Vec<usize> = (0..40).filter(|at| history.rows()[*at].read().is_some()).collect();
            let Some(at) = reads.get(dice.below(reads.len().max(1))) else { continue };
            let other = reads[dice.below(reads.len())];
            let mut rows = history.rows().to_vec();
            rows[*at].outcome = rows[other].outcome.clone();
            history = history.with(rows);
        }
        let entries = entries(&history);
        let (finding, _) = search(&CasRegister::default(), &entries, &Allowance::new(BUDGET), u64::MAX);
        let peer = porcupine_rs::check_operations(&peer::for_the_peer(&entries));
        assert_eq!(finding == Finding::Linearizable, peer, "{:#?}", history.rows());
        let (model, allowance) = (CasRegister::default(), Allowance::new(BUDGET));
        let straight = straight(&model, history.columns(), 0..history.len(), &allowance);
        assert_eq!(straight.map(|(finding, _)| finding), Some(finding), "{:#?}", history.rows());
        count += 1;
        legal += usize::from(peer);
    }
    println!("porcupine-rs: {count} histories, {legal} legal");
    assert!(legal > count / 2 && count - legal > count / 8);
}
