//! Whether a second comparison by the same plan says what a first one said: in every cell the same verdict, and rates that
//! may well be the same.
//!
//! What a cell says is the strongest model kept there, by all its runs together; a rate is in how many runs a model or an
//! invariant was broken. Two rates agree if their intervals overlap: two of 95 % that belong to the same rate do so in all
//! but one of a hundred pairs. Both comparisons are read from their `comparison.json`.

use std::collections::BTreeMap;

use schism_checker::Verdict;
use serde::Deserialize;

use super::lattice::Level;
use super::rows::{GivesUp, Standing, Tally};
use crate::terminal::{Look, Page, table};
use crate::wording::count;

/// What two comparisons say of the same cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// So many verdicts are the same in both.
    pub same: u64,
    /// So many of these are that nobody knows.
    pub unknown: u64,
    /// So many rates agree.
    pub rates: u64,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// What two comparisons say differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The row: a target, or a target and a case, or a workload and a target.
    pub of: String,
    /// What is said of it.
    pub what: String,
    /// What the first one says.
    pub first: String,
    /// What the second one says.
    pub second: String,
}

/// The part of a `comparison.json` that can be confirmed.
#[derive(Deserialize)]
struct Said {
    targets: Vec<Target>,
    cases: Vec<Case>,
    invariants: Vec<Invariant>,
}

#[derive(Deserialize)]
struct Target {
    target: String,
    standing: Standing,
    gives_up: GivesUp,
    levels: BTreeMap<Level, Tally>,
}

#[derive(Deserialize)]
struct Case {
    target: String,
    case: String,
    standing: Standing,
    levels: BTreeMap<Level, Tally>,
}

#[derive(Deserialize)]
struct Invariant {
    workload: String,
    invariant: String,
    targets: Vec<Option<Tally>>,
}

/// Holds a second comparison against the first; each is the text of a `comparison.json`.
///
/// # Errors
/// If one of them is not that.
pub fn confirm(first: &str, second: &str) -> Result<Confirmation, serde_json::Error> {
    let [first, second] = [first, second].map(serde_json::from_str::<Said>);
    let [first, second] = [first?.cells(), second?.cells()];
    let mut confirmation = Confirmation::default();
    for (place, told) in &first {
        confirmation.add(place, Some(told), second.get(place));
    }
    for (place, told) in second.iter().filter(|(place, _)| !first.contains_key(*place)) {
        confirmation.add(place, None, Some(told));
    }
    Ok(confirmation)
}

/// Where something is said: a row, and of what.
type PlaceOf = (String, String);

/// What is said in one place.
enum Told {
    Verdict { words: String, is_known: bool },
    Rate(Tally),
}

impl Told {
    fn words(&self) -> String {
        match self {
            Told::Verdict { words, .. } => words.clone(),
            Told::Rate(tally) => tally.breaks().words(),
        }
    }
}

impl Said {
    /// All that is said, by its place.
    fn cells(self) -> BTreeMap<PlaceOf, Told> {
        let mut cells = BTreeMap::new();
        let kept = |standing: Standing, levels: &BTreeMap<Level, Tally>| Told::Verdict {
            words: standing.words(),
            is_known: standing.perhaps.is_none() && !levels.is_empty(),
        };
        let targets: Vec<String> = self.targets.iter().map(|row| row.target.clone()).collect();
        for Target { target, standing, gives_up, levels } in self.targets {
            cells.insert((target.clone(), "strongest kept".into()), kept(standing, &levels));
            for (what, words) in
                [("gives up if partitioned", gives_up.partition), ("gives up else", gives_up.otherwise)]
            {
                let told = words.map(|words| Told::Verdict { words, is_known: true });
                cells.extend(told.map(|told| ((target.clone(), what.to_string()), told)));
            }
        }
        for Case { target, case, standing, levels } in self.cases {
            let row = format!("{target}, {case}");
            cells.insert((row.clone(), "strongest kept".into()), kept(standing, &levels));
            for (level, tally) in levels {
                cells.insert((row.clone(), format!("not {}", level.name())), Told::Rate(tally));
            }
        }
        for Invariant { workload, invariant, targets: tallies } in self.invariants {
            for (target, tally) in targets.iter().zip(tallies) {
                let Some(tally) = tally else { continue };
                let row = format!("{workload}, {target}");
                let (words, is_known) = match tally.verdict() {
                    Verdict::Valid => ("kept", true),
                    Verdict::Invalid => ("broken", true),
                    Verdict::Unknown => ("unknown", false),
                };
                let told = Told::Verdict { words: words.into(), is_known };
                cells.insert((row.clone(), invariant.clone()), told);
                cells.insert((row, format!("{invariant} broken")), Told::Rate(tally));
            }
        }
        cells
    }
}

impl Confirmation {
    fn add(&mut self, (of, what): &PlaceOf, first: Option<&Told>, second: Option<&Told>) {
        let agree = match (first, second) {
            (Some(Told::Rate(one)), Some(Told::Rate(other))) => {
                let ((low, high), (least, most)) = (one.breaks().interval(), other.breaks().interval());
                low <= most && least <= high
            }
            (Some(one), Some(other)) => one.words() == other.words(),
            _ => false,
        };
        match (agree, first) {
            (true, Some(Told::Rate(_))) => self.rates += 1,
            (true, Some(Told::Verdict { is_known, .. })) => {
                self.same += 1;
                self.unknown += u64::from(!is_known);
            }
            _ => {
                let words = |told: Option<&Told>| told.map_or("–".into(), Told::words);
                let (of, what, first, second) = (of.clone(), what.clone(), words(first), words(second));
                self.differences.push(Difference { of, what, first, second });
            }
        }
    }

    /// In words, ending in a line end.
    pub fn screen(&self, look: Look) -> String {
        let mut page = Page::new(look);
        page.blank();
        page.bold(if self.differences.is_empty() { "confirmed" } else { "not confirmed" });
        let Confirmation { same, unknown, rates, differences } = self;
        let (same, rates) = (count(*same, "verdict", "verdicts"), count(*rates, "rate", "rates"));
        let unknown = if *unknown > 0 { format!(", {unknown} of them unknown") } else { String::new() };
        page.indented(0, &format!("{same} the same in both{unknown}; {rates} within their intervals"));
        if !differences.is_empty() {
            let cells =
                |one: &Difference| [&one.of, &one.what, &one.first, &one.second].map(String::clone).to_vec();
            let rows = differences.iter().map(cells).collect();
            page.raw(&table(look, &["row", "what", "first", "second"], rows, &[]));
        }
        page.finish()
    }
}
