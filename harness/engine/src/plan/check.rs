//! Whether a plan makes sense: its numbers are in range, its names are known, and its parts fit together.
//!
//! One implementation for files and flags: every complaint names the choices it is about, and whoever asked says what
//! those are called and where they stand. What only the machine can tell (memory, permissions) is not looked at.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::catalogue::{BesideEntry, Catalogue, SettingEntry, Values};
use super::mistake::{Complaint, instead, listed, meant, unknown};
use super::mix::quarter_length;
use super::place::{Origin, Place};
use super::schedule::quiet;
use super::units::{duration, duration_text, rate, share, size, size_text};
use super::{NemesisPlan, Plan, Schedule};
use crate::disk::Pattern;
use crate::ready::Ready;

/// A cluster's size: addresses and namespaces are given out for so many.
pub(super) const NODES: RangeInclusive<u64> = 1..=99;

/// A client is a thread.
pub(super) const CONCURRENCY: RangeInclusive<u64> = 1..=1_000;

/// Nobody waits longer than a week, so a longer time is a slip.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A fault shorter than this is over before anything can be measured of it.
const LASTS_MIN: Duration = Duration::from_millis(100);

/// More calls a second than the recorder can write down.
const RATE_MAX: f64 = 1_000_000.0;

/// Less memory than any judge needs for its first step.
const MEMORY_MIN: u64 = 1 << 20;

/// A complaint and the choices it is about, the one to change first.
pub(super) struct Finding {
    pub places: Vec<Place>,
    pub complaint: Complaint,
    /// Whether it is about the key itself rather than the value.
    pub unknown_key: bool,
}

/// Everything that makes no sense in a plan.
pub(super) fn findings(plan: &Plan, catalogue: &Catalogue, origin: Origin) -> Vec<Finding> {
    let mut check = Check { plan, catalogue, origin, findings: Vec::new() };
    check.counts();
    check.times();
    check.backend();
    check.target();
    check.workload();
    for position in 0..plan.nemeses.len() {
        check.nemesis(position);
    }
    for position in 0..plan.script.len() {
        check.step(position);
    }
    check.findings
}

/// What to say of a number that is out of its range.
pub(super) fn out_of_range(name: &str, number: &str, range: &RangeInclusive<u64>) -> Complaint {
    let most = if *range.end() == u64::MAX { String::new() } else { format!(" to {}", range.end()) };
    Complaint::new(format!("{name} cannot be {number}"))
        .hint(format!("it is a whole number from {}{most}", range.start()))
}

struct Check<'a> {
    plan: &'a Plan,
    catalogue: &'a Catalogue,
    origin: Origin,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn find(&mut self, paths: &[&str], complaint: Complaint) {
        let places = paths.iter().map(|path| Place::of(*path)).collect();
        self.findings.push(Finding { places, complaint, unknown_key: false });
    }

    fn name(&self, path: &str) -> String {
        Place::of(path).name(self.origin, self.plan)
    }

    fn counts(&mut self) {
        let (nodes, clients) = (self.plan.nodes, self.plan.concurrency);
        let mut in_range = true;
        for (path, count, range) in [("nodes", nodes, NODES), ("concurrency", clients, CONCURRENCY)] {
            if !range.contains(&(count as u64)) {
                in_range = false;
                self.find(&[path], out_of_range(&self.name(path), &count.to_string(), &range));
            }
        }
        if in_range && clients < nodes {
            let idle: Vec<String> = (clients..nodes).map(|node| format!("n{}", node + 1)).collect();
            let verb = if idle.len() == 1 { "has" } else { "have" };
            let (clients, nodes) = (counted(clients, "client"), counted(nodes, "node"));
            let complaint = Complaint::new(format!("{clients} for {nodes}: {} {verb} none", idle.join(", ")));
            let help = format!("set {} to {} or more", self.name("concurrency"), self.plan.nodes);
            self.find(&["concurrency", "nodes"], complaint.hint(help));
        }
        let rate = self.plan.rate;
        if !(0.0..=RATE_MAX).contains(&rate) {
            let complaint = Complaint::new(format!("{} cannot be {rate}", self.name("rate")));
            let help = format!("it is calls a second, up to {RATE_MAX}, and 0 is as fast as possible");
            self.find(&["rate"], complaint.hint(help));
        }
        if self.plan.check.memory_bytes < MEMORY_MIN {
            let memory = size_text(self.plan.check.memory_bytes);
            let complaint = Complaint::new(format!("{} cannot be {memory}", self.name("check.memory")));
            self.find(
                &["check.memory"],
                complaint.hint(format!("judging takes {} at least", size_text(MEMORY_MIN))),
            );
        }
    }

    fn times(&mut self) {
        let plan = self.plan;
        for (path, time) in [
            ("time-limit", plan.time_limit),
            ("timeout", plan.timeout),
            ("start-limit", plan.start_limit),
            ("recovery-limit", plan.recovery_limit),
            ("check.time", plan.check.time),
        ] {
            self.time(path, time);
        }
        if let Some(within) = plan.check.recover_within {
            self.time("check.recover-within", within);
        }
    }

    /// Whether a time is longer than nothing and shorter than anybody waits.
    fn time(&mut self, path: &str, time: Duration) -> bool {
        let name = self.name(path);
        if time.is_zero() {
            self.find(&[path], Complaint::new(format!("{name} is zero")).hint("write a time such as `5s`"));
        } else if time > WEEK {
            let complaint = Complaint::new(format!("{name} is {}", duration_text(time)));
            self.find(&[path], complaint.hint("a week (168h) is the longest"));
        }
        !time.is_zero() && time <= WEEK
    }

    fn backend(&mut self) {
        let (plan, catalogue) = (&self.plan.backend, self.catalogue);
        let Some(entry) = catalogue.backend(&plan.name) else {
            let known = catalogue.backends.iter().map(|entry| entry.name.as_str());
            return self.find(&["backend.name"], unknown("backend", &plan.name, known));
        };
        let whose = format!("backend `{}`", plan.name);
        self.settings("backend", &whose, &plan.settings, &entry.settings, &["name"]);
    }

    fn target(&mut self) {
        let (plan, catalogue) = (&self.plan.target, self.catalogue);
        let Some(entry) = catalogue.target(&plan.name) else {
            let known = catalogue.targets.iter().map(|entry| entry.name.as_str());
            return self.find(&["target.name"], unknown("target", &plan.name, known));
        };
        let whose = format!("target `{}`", plan.name);
        for (position, bug) in plan.bugs.iter().enumerate() {
            let path = format!("target.bugs.{position}");
            if plan.bugs[..position].contains(bug) {
                self.find(&[&path], Complaint::new(format!("bug `{bug}` is planted twice")));
            }
            if !entry.bugs.contains(bug) {
                let known = entry.bugs.iter().map(String::as_str);
                self.find(&[&path], of_whom(unknown("bug", bug, known), &whose));
            }
        }
        self.settings("target", &whose, &plan.settings, &entry.settings, &["name", "bugs"]);
    }

    fn workload(&mut self) {
        let (plan, catalogue) = (&self.plan.workload, self.catalogue);
        let Some(entry) = catalogue.workload(&plan.name) else {
            let known = catalogue.workloads.iter().map(|entry| entry.name.as_str());
            return self.find(&["workload.name"], unknown("workload", &plan.name, known));
        };
        let whose = format!("workload `{}`", plan.name);
        self.settings("workload", &whose, &plan.settings, &entry.settings, &["name"]);
        let Some(target) = catalogue.target(&self.plan.target.name) else { return };
        let missing = entry.calls.iter().filter(|call| !target.speaks.contains(call));
        if let Some(missing) = listed(missing.map(|call| call.word())) {
            let fitting = catalogue
                .workloads
                .iter()
                .filter(|workload| workload.calls.iter().all(|call| target.speaks.contains(call)));
            let complaint = Complaint::new(format!(
                "target `{}` does not speak {missing}, which {whose} needs",
                target.name
            ));
            let help = match listed(fitting.map(|workload| workload.name.as_str())) {
                Some(fitting) => format!("workloads for this target: {fitting}"),
                None => "no workload fits this target".into(),
            };
            self.find(&["workload.name", "target.name"], complaint.hint(help));
        }
    }

    fn nemesis(&mut self, position: usize) {
        let plan = &self.plan.nemeses[position];
        let path = format!("nemesis.{position}");
        let name_path = format!("{path}.name");
        self.windows(plan, &path);
        let earlier = &self.plan.nemeses[..position];
        if earlier.iter().any(|other| other.name == plan.name && other.settings == plan.settings) {
            let complaint = Complaint::new(format!("nemesis `{}` is there twice", plan.name));
            self.find(&[&name_path], complaint.hint("give it other settings, or strike one of them out"));
        }
        self.struck(plan, &path, &name_path);
    }

    /// Whether a step of the script happens, and means something.
    fn step(&mut self, position: usize) {
        let step = &self.plan.script[position];
        let path = format!("script.{position}");
        let [at, lasts] = ["at", "for"].map(|key| format!("{path}.{key}"));
        let end = step.at.saturating_add(step.does.lasts);
        if !self.time(&lasts, step.does.lasts) {
        } else if step.does.lasts < LASTS_MIN {
            let long = duration_text(step.does.lasts);
            let complaint =
                Complaint::new(format!("{} is {long}, too short for a fault to show", self.name(&lasts)));
            self.find(&[&lasts], complaint.hint(format!("{} is the shortest", duration_text(LASTS_MIN))));
        } else if end > self.plan.time_limit {
            let complaint = Complaint::new(format!(
                "this step of the script ends {} after the beginning, and the run is over after {}",
                duration_text(end),
                duration_text(self.plan.time_limit)
            ));
            let help = format!(
                "make {} longer, or let the step begin earlier or be shorter",
                self.name("time-limit")
            );
            self.find(&[&at, &lasts, "time-limit"], complaint.hint(help));
        }
        self.struck(&step.does, &path, &format!("{path}.do"));
    }

    /// Whether a nemesis, its settings and the cluster it strikes fit together.
    fn struck(&mut self, plan: &NemesisPlan, path: &str, name_path: &str) {
        let catalogue = self.catalogue;
        let Some(entry) = catalogue.nemesis(&plan.name) else {
            let known = catalogue.nemeses.iter().map(|entry| entry.name.as_str());
            return self.find(&[name_path], unknown("nemesis", &plan.name, known));
        };
        let whose = format!("nemesis `{}`", plan.name);
        let reserved = ["name", "schedule", "every", "lasts"];
        self.settings(path, &whose, &plan.settings, &entry.settings, &reserved);
        let sized = entry.settings.iter().any(|setting| {
            plan.settings.get(&setting.name).is_some_and(|value| setting.values.nodes_min(value).is_some())
        });
        if !sized {
            self.size(name_path, &whose, entry.nodes_min);
        }
        for one in entry.beside.iter().filter(|one| plan.settings.contains_key(&one.setting)) {
            self.beside(one, plan, path, &whose);
        }
        let target = catalogue.target(&self.plan.target.name);
        if let Some(target) = target.filter(|target| entry.membership && !target.membership) {
            let complaint = Complaint::new(format!(
                "target `{}` cannot change its members while it runs, which {whose} needs",
                target.name
            ));
            let fitting = catalogue.targets.iter().filter(|target| target.membership);
            let help = match listed(fitting.map(|target| target.name.as_str())) {
                Some(fitting) => format!("targets for it: {fitting}"),
                None => "no target can".into(),
            };
            self.find(&[name_path, "target.name"], complaint.hint(help));
        }
    }

    /// Whether a setting stands beside the one without which it means nothing. What that cannot be is told elsewhere.
    fn beside(&mut self, one: &BesideEntry, plan: &NemesisPlan, path: &str, whose: &str) {
        let BesideEntry { setting, other, values, by_default } = one;
        let value = plan.settings.get(other);
        if value.map_or(*by_default, |value| values.contains(value)) {
            return;
        }
        let [place, other_place] = [setting, other].map(|name| format!("{path}.{name}"));
        let what = value.map_or(format!("without `{other}`"), |value| format!("beside `{other} = {value}`"));
        let complaint = Complaint::new(format!("`{setting}` of {whose} means nothing {what}"));
        let fitting: Vec<String> = values.iter().map(|value| format!("`{other} = {value}`")).collect();
        let help = format!("it goes with {}", fitting.join(" or "));
        let places: &[&str] = if value.is_some() { &[&place, &other_place] } else { &[&place] };
        self.find(places, complaint.hint(help));
    }

    /// Whether the cluster is large enough for something.
    fn size(&mut self, path: &str, what: &str, nodes_min: usize) {
        let nodes = self.plan.nodes;
        if NODES.contains(&(nodes as u64)) && nodes < nodes_min {
            let complaint =
                Complaint::new(format!("{what} means nothing in a cluster of {}", counted(nodes, "node")));
            let help = format!("set {} to {nodes_min} or more", self.name("nodes"));
            self.find(&[path, "nodes"], complaint.hint(help));
        }
    }

    /// Whether the windows of a nemesis fit between each other and into the run.
    fn windows(&mut self, plan: &NemesisPlan, path: &str) {
        let (lasts, every) = (format!("{path}.lasts"), format!("{path}.every"));
        let sane = self.time(&lasts, plan.lasts) & self.time(&every, plan.every);
        let limit = self.plan.time_limit;
        if !sane || limit.is_zero() || limit > WEEK {
            return;
        }
        let (lasts_name, every_name) = (self.name(&lasts), self.name(&every));
        let long = duration_text(plan.lasts);
        if plan.lasts < LASTS_MIN {
            let complaint = Complaint::new(format!("{lasts_name} is {long}, too short for a fault to show"));
            self.find(&[&lasts], complaint.hint(format!("{} is the shortest", duration_text(LASTS_MIN))));
        }
        if plan.every <= plan.lasts {
            let complaint = Complaint::new(format!(
                "a fault that lasts {long} every {} never ends",
                duration_text(plan.every)
            ));
            let help = format!(
                "{every_name} counts from one beginning to the next: make it longer than {lasts_name}"
            );
            self.find(&[&every, &lasts], complaint.hint(help));
        }
        let room = limit.saturating_sub(2 * quiet(limit));
        let quarter = quarter_length(self.plan);
        if plan.schedule == Schedule::Mix && plan.lasts > quarter && plan.lasts <= room {
            let complaint = Complaint::new(format!(
                "a fault that lasts {long} does not fit into a quarter of the mix, which is {}",
                duration_text(quarter)
            ));
            let help = format!("make {lasts_name} shorter, or {} longer", self.name("time-limit"));
            self.find(&[&lasts, "time-limit"], complaint.hint(help));
        }
        if plan.lasts > room {
            let complaint = Complaint::new(format!(
                "a fault that lasts {long} does not fit into {}, whose first and last {} stay quiet",
                duration_text(limit),
                duration_text(quiet(limit))
            ));
            let longer = format!("make {} longer", self.name("time-limit"));
            let help = if room < LASTS_MIN {
                longer
            } else {
                format!("make {lasts_name} {} at most, or {longer}", duration_text(room))
            };
            self.find(&[&lasts, "time-limit"], complaint.hint(help));
        }
    }

    fn settings(
        &mut self,
        section: &str,
        whose: &str,
        settings: &BTreeMap<String, String>,
        entries: &[SettingEntry],
        reserved: &[&str],
    ) {
        for (key, value) in settings {
            let path = format!("{section}.{key}");
            let Some(entry) = entries.iter().find(|entry| entry.name == *key) else {
                let complaint = self.unknown_setting(key, entries, reserved);
                let (places, complaint) = (vec![Place::of(path)], of_whom(complaint, whose));
                self.findings.push(Finding { places, complaint, unknown_key: true });
                continue;
            };
            if let Some(expected) = refused(value, &entry.values) {
                let complaint = Complaint::new(format!("`{key}` of {whose} cannot be `{value}`"));
                self.find(&[&path], complaint.hint(expected));
            }
            if let Some(nodes_min) = entry.values.nodes_min(value) {
                self.size(&path, &format!("`{key} = {value}` of {whose}"), nodes_min);
            }
        }
    }

    /// What to say of a setting that is not known. A file's reader takes every key that is not its own for a setting, so
    /// its own are among what may have been meant.
    fn unknown_setting(&self, key: &str, entries: &[SettingEntry], reserved: &[&str]) -> Complaint {
        let known = entries.iter().map(|entry| entry.name.as_str());
        let own = meant(key, reserved.iter().copied()).filter(|_| self.origin == Origin::File);
        match own.filter(|_| meant(key, known.clone()).is_none()) {
            Some(own) => unknown("setting", key, [own]),
            None => unknown("setting", key, known),
        }
    }
}

/// What a setting expects, if this value is not it.
fn refused(value: &str, values: &Values) -> Option<String> {
    match values {
        Values::Any => None,
        Values::Words(words) if words.iter().any(|word| word == value) => None,
        Values::Words(words) => Some(instead(value, words.iter().map(String::as_str))),
        Values::SizedWords(words) if words.iter().any(|(word, _)| word == value) => None,
        Values::SizedWords(words) => Some(instead(value, words.iter().map(|(word, _)| word.as_str()))),
        Values::Whole(least, most) => {
            let fits = value.parse().is_ok_and(|number: u64| (*least..=*most).contains(&number));
            (!fits).then(|| format!("it is a whole number from {least} to {most}"))
        }
        Values::Switch => (!["true", "false"].contains(&value)).then(|| "it is `true` or `false`".into()),
        Values::Duration => duration(value).err().map(|_| "it is a time such as `150ms`".into()),
        Values::Share => share(value).err().map(|_| "it is a part of all, such as `10%` or `0.5%`".into()),
        Values::Rate => rate(value).err().map(|_| "it is bits a second, such as `10mbit` or `64kbit`".into()),
        Values::Size(least) => {
            let fits = size(value).is_ok_and(|bytes| bytes >= *least);
            (!fits).then(|| format!("it is a size such as `512MiB`, {} at least", size_text(*least)))
        }
        Values::Ready => Ready::parse(value).err().and_then(|complaint| complaint.help),
        Values::Files => {
            let fits = !value.is_empty() && Pattern::of(value).is_some();
            (!fits).then(|| {
                format!("it is a name or a path with `*` for anything, of {} bytes at most", Pattern::LONGEST)
            })
        }
        Values::Number(most) => {
            let fits = value.parse().is_ok_and(|number: f64| (0.01..=f64::from(*most)).contains(&number));
            (!fits).then(|| format!("it is a number such as `1.5`, from 0.01 to {most}"))
        }
    }
}

/// The same complaint, saying whose the unknown thing should be.
fn of_whom(complaint: Complaint, whose: &str) -> Complaint {
    Complaint { message: format!("{} of {whose}", complaint.message), ..complaint }
}

fn counted(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
