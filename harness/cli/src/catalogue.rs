//! Everything there is, by name: what a plan may speak of, and the living parts a plan is made into.

use schism_engine::backend::Backend;
use schism_engine::plan::{
    BesideEntry, Catalogue, NemesisEntry, Plan, SettingEntry, TargetEntry, Values, WorkloadEntry,
};
use schism_engine::run::Parts;
use schism_nemeses::Takes;

use crate::backends;

/// What a plan may speak of.
pub fn catalogue() -> Catalogue {
    Catalogue {
        backends: backends::ALL.iter().map(backends::entry).collect(),
        targets: schism_targets::all().iter().map(|target| TargetEntry::of(&**target)).collect(),
        workloads: schism_workloads::ALL
            .iter()
            .map(|entry| WorkloadEntry {
                name: entry.name.into(),
                calls: entry.calls.to_vec(),
                settings: entry
                    .settings
                    .iter()
                    .map(|setting| SettingEntry::new(setting.name, Values::Whole(1, 1_000_000)))
                    .collect(),
            })
            .collect(),
        nemeses: schism_nemeses::ALL.iter().map(nemesis).collect(),
    }
}

fn nemesis(entry: &schism_nemeses::Entry) -> NemesisEntry {
    let usual = (entry.nodes_min)(&schism_nemeses::Settings::new());
    let settings = entry.settings.iter().map(|setting| {
        let values = match setting.takes {
            Takes::Words(words) => {
                let nodes_min = |word: &str| {
                    (entry.nodes_min)(&schism_nemeses::Settings::from([(setting.name.into(), word.into())]))
                };
                // Where no word matters to how many nodes are needed, another setting may.
                let matters = words.iter().any(|word| nodes_min(word) != usual);
                if matters { Values::sized_words(words, nodes_min) } else { Values::words(words) }
            }
            Takes::Duration => Values::Duration,
            Takes::Share => Values::Share,
            Takes::Rate => Values::Rate,
            Takes::Text => Values::Any,
            Takes::Size => Values::Size(0),
            Takes::Files => Values::Files,
            Takes::Whole(least, most) => Values::Whole(least, most),
        };
        SettingEntry::new(setting.name, values)
    });
    NemesisEntry {
        name: entry.name.into(),
        settings: settings.collect(),
        nodes_min: usual,
        membership: schism_nemeses::needs_membership(entry.name),
        beside: schism_nemeses::BESIDE.iter().filter(|one| one.nemesis == entry.name).map(beside).collect(),
    }
}

fn beside(one: &schism_nemeses::Beside) -> BesideEntry {
    BesideEntry {
        setting: one.setting.into(),
        other: one.other.into(),
        values: one.values.iter().map(|value| (*value).into()).collect(),
        by_default: one.by_default,
    }
}

/// The living parts of a plan that has been checked against [`catalogue`].
///
/// # Panics
/// If it has not.
pub fn parts(plan: &Plan, backend: Box<dyn Backend>) -> Parts {
    const CHECKED: &str = "the plan was checked against the catalogue";
    let workload = schism_workloads::named(&plan.workload.name).expect(CHECKED);
    Parts {
        target: schism_targets::named(&plan.target.name).expect(CHECKED),
        workload: (workload.make)(&plan.workload.settings),
        nemeses: plan
            .strikes()
            .map(|nemesis| (schism_nemeses::named(&nemesis.name).expect(CHECKED).make)(&nemesis.settings))
            .collect(),
        backend,
    }
}
