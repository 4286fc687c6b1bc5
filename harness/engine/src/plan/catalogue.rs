//! What there is to choose from. The engine knows no name, so whoever knows them all passes them in.

use schism_history::CallKind;

use crate::target;

/// Everything that a plan may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Where clusters can run.
    pub backends: Vec<BackendEntry>,
    /// What can be tested.
    pub targets: Vec<TargetEntry>,
    /// What clients can do.
    pub workloads: Vec<WorkloadEntry>,
    /// What can go wrong.
    pub nemeses: Vec<NemesisEntry>,
}

/// A backend that a plan may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendEntry {
    /// Its name.
    pub name: String,
    /// What a plan may set. None is called `name`.
    pub settings: Vec<SettingEntry>,
}

/// A target that a plan may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetEntry {
    /// Its name.
    pub name: String,
    /// The calls it understands.
    pub speaks: Vec<CallKind>,
    /// The bugs that can be planted in it.
    pub bugs: Vec<String>,
    /// What a plan may set. None is called `name` or `bugs`.
    pub settings: Vec<SettingEntry>,
    /// Whether its members can be changed while it runs.
    pub membership: bool,
}

/// A workload that a plan may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadEntry {
    /// Its name.
    pub name: String,
    /// The calls it makes.
    pub calls: Vec<CallKind>,
    /// What a plan may set. None is called `name`.
    pub settings: Vec<SettingEntry>,
}

/// A nemesis that a plan may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NemesisEntry {
    /// Its name.
    pub name: String,
    /// What a plan may set. None is called `name`, `schedule`, `every` or `lasts`.
    pub settings: Vec<SettingEntry>,
    /// With fewer nodes than this it has nothing to break. A setting of [`Values::SizedWords`] overrules it.
    pub nodes_min: usize,
    /// Whether it needs a target whose members can be changed.
    pub membership: bool,
    /// Its settings that mean something only beside another.
    pub beside: Vec<BesideEntry>,
}

/// A setting that means something only beside another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BesideEntry {
    /// Its name.
    pub setting: String,
    /// The other one.
    pub other: String,
    /// What that has to be: one of these, the most telling first.
    pub values: Vec<String>,
    /// Whether it is one of them where the plan does not say.
    pub by_default: bool,
}

/// Something that a plan may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingEntry {
    /// Its name.
    pub name: String,
    /// What it may be set to.
    pub values: Values,
}

/// What a setting may be set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// Anything: whoever reads the setting judges it.
    Any,
    /// One of these words.
    Words(Vec<String>),
    /// One of these words, each with the fewest nodes for which it means something.
    SizedWords(Vec<(String, usize)>),
    /// A whole number, from the first to the second.
    Whole(u64, u64),
    /// `true` or `false`.
    Switch,
    /// A duration.
    Duration,
    /// A part of all: `10%`.
    Share,
    /// Bits a second: `10mbit`.
    Rate,
    /// Bytes: `2GiB`; so many at least.
    Size(u64),
    /// A number such as `1.5`, from one hundredth to this many.
    Number(u32),
    /// How a node is found to be ready.
    Ready,
    /// Which files: `log-*`.
    Files,
}

impl Catalogue {
    /// The backend of that name.
    pub fn backend(&self, name: &str) -> Option<&BackendEntry> {
        self.backends.iter().find(|entry| entry.name == name)
    }

    /// The target of that name.
    pub fn target(&self, name: &str) -> Option<&TargetEntry> {
        self.targets.iter().find(|entry| entry.name == name)
    }

    /// The workload of that name.
    pub fn workload(&self, name: &str) -> Option<&WorkloadEntry> {
        self.workloads.iter().find(|entry| entry.name == name)
    }

    /// The nemesis of that name.
    pub fn nemesis(&self, name: &str) -> Option<&NemesisEntry> {
        self.nemeses.iter().find(|entry| entry.name == name)
    }
}

impl TargetEntry {
    /// What a target says of itself.
    pub fn of(target: &dyn target::Target) -> Self {
        TargetEntry {
            name: target.name().into(),
            speaks: target.speaks().to_vec(),
            bugs: target.bugs().iter().map(|bug| bug.name.into()).collect(),
            settings: target
                .settings()
                .iter()
                .map(|setting| SettingEntry::new(setting.name, target.values(setting.name)))
                .collect(),
            membership: target.membership().is_some(),
        }
    }
}

impl SettingEntry {
    /// A setting of that name.
    pub fn new(name: &str, values: Values) -> Self {
        SettingEntry { name: name.into(), values }
    }
}

impl Values {
    /// One of these words.
    pub fn words(words: &[&str]) -> Self {
        Values::Words(words.iter().map(|word| (*word).into()).collect())
    }

    /// One of these words, which need so many nodes.
    pub fn sized_words(words: &[&str], nodes_min: impl Fn(&str) -> usize) -> Self {
        Values::SizedWords(words.iter().map(|word| ((*word).into(), nodes_min(word))).collect())
    }

    /// The fewest nodes for which a value means something, where that depends on the value.
    pub(super) fn nodes_min(&self, value: &str) -> Option<usize> {
        let Values::SizedWords(words) = self else { return None };
        words.iter().find(|(word, _)| word == value).map(|(_, nodes_min)| *nodes_min)
    }
}
