//! A plan from its text: walks the parsed file by hand, so that every mistake is found at once and keeps its place.
//!
//! The reader knows the keys and the types of values; whether a value makes sense is asked of [`check`] afterwards. It does
//! not complain twice: where a value could not be read, nothing that depends on it is judged.
//!
//! [`check`]: super::check

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::catalogue::Catalogue;
use super::check::{Finding, findings};
use super::mistake::{Complaint, Mistake, Mistakes, listed, unknown};
use super::overrides::nemesis;
use super::place::{Origin, Place};
use super::scalars::{
    concurrency, count, deed, described, expected, memory, most, nodes, number, plain, schedule, switch,
    text, time, whole,
};
use super::{CheckPlan, EvidencePlan, NemesisPlan, Plan, StepPlan, TargetPlan};

/// The keys of a plan that a comparison has not, or has lists of.
const OWN: [&str; 6] = ["seed", "expect", "target", "workload", "nemesis", "script"];

/// The keys that say how a run goes, whatever is tested, done and broken.
pub(super) const RUNNING: [&str; 13] = [
    "nodes",
    "backend",
    "time-limit",
    "rate",
    "stagger",
    "concurrency",
    "roam",
    "timeout",
    "start-limit",
    "recovery-limit",
    "broken-max",
    "check",
    "evidence",
];

/// Reads a plan and checks that it makes sense.
pub(super) fn read(source_name: &str, text: &str, catalogue: &Catalogue) -> Result<Plan, Mistakes> {
    let mut plan = Plan::of("", "");
    walk(source_name, text, |reader, root| {
        reader.plan(root, catalogue, &mut plan);
        reader.put(findings(&plan, catalogue, Origin::File));
    })?;
    Ok(plan)
}

/// Parses a text and lets `visit` read it, unless it is no TOML. All mistakes come out in the order of the text.
pub(super) fn walk(
    source_name: &str,
    text: &str,
    visit: impl FnOnce(&mut Reader<'_>, &DeTable<'_>),
) -> Result<(), Mistakes> {
    let mut reader = Reader { text, ..Reader::default() };
    let (root, errors) = DeTable::parse_recoverable(text);
    // A key given twice leaves the rest readable; any other error makes what follows guesswork, so the first one is told.
    let twice = |error: &&toml::de::Error| error.message() == "duplicate key";
    if let Some(error) = errors.iter().find(|error| !twice(error)) {
        reader.mistakes.push(syntax(text, error));
    } else {
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            let key = text.get(span.clone()).unwrap_or_default();
            let complaint = Complaint::new(format!("`{key}` is given twice")).hint("strike one of them out");
            reader.mistakes.push(Mistake::at(text, span, complaint));
        }
        visit(&mut reader, root.get_ref());
    }
    if reader.mistakes.is_empty() {
        return Ok(());
    }
    reader.mistakes.sort_by_key(|mistake| mistake.span.start);
    let (source_name, text) = (source_name.into(), text.into());
    Err(Mistakes { source_name, text, mistakes: reader.mistakes })
}

fn syntax(text: &str, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or(0..0);
    let complaint = Complaint::new(format!("this is not TOML: {}", error.message()));
    // By far the most frequent slip, and not said well by the parser.
    let bare = text.get(span.clone()).filter(|_| error.message().starts_with("string values must be quoted"));
    let complaint = match bare {
        Some(bare) => Complaint::new(format!("`{bare}` needs quotes"))
            .hint(format!("texts, durations and sizes are written like `\"{bare}\"`")),
        None => complaint,
    };
    Mistake::at(text, span, complaint)
}

/// A value read from the file, or what is wrong with it. Given the name that it has there.
pub(super) type Read<T> = fn(&str, &DeValue<'_>) -> Result<T, Complaint>;

/// A file on its way to a plan.
#[derive(Default)]
pub(super) struct Reader<'a> {
    text: &'a str,
    /// Where each choice stands that the file makes.
    spans: BTreeMap<Place, Range<usize>>,
    /// Where the key of each setting stands.
    keys: BTreeMap<Place, Range<usize>>,
    /// Settings whose value could not be read. Told only of settings that there are.
    unread_settings: BTreeMap<Place, Complaint>,
    /// Choices that could not be read.
    unread: BTreeSet<Place>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    pub(super) fn mistake(&mut self, span: Range<usize>, complaint: Complaint) {
        self.mistakes.push(Mistake::at(self.text, span, complaint));
    }

    /// Reads one value into its place.
    pub(super) fn value<T>(
        &mut self,
        place: Place,
        value: &Spanned<DeValue<'_>>,
        read: Read<T>,
        into: &mut T,
    ) {
        match read(&Place::name(&place, Origin::File, &Plan::of("", "")), value.get_ref()) {
            Ok(read) => *into = read,
            Err(complaint) => {
                self.mistake(value.span(), complaint);
                self.unread.insert(place.clone());
            }
        }
        self.spans.insert(place, value.span());
    }

    /// The table that a section must be.
    pub(super) fn section<'t, 'i>(
        &mut self,
        place: &Place,
        value: &'t Spanned<DeValue<'i>>,
        expected: &str,
        example: &str,
    ) -> Option<&'t DeTable<'i>> {
        self.spans.insert(place.clone(), value.span());
        let table = value.get_ref().as_table();
        if table.is_none() {
            let found = described(value.get_ref());
            let complaint = Complaint::new(format!("{expected}, not {found}"));
            self.mistake(value.span(), complaint.hint(example));
            self.unread.insert(place.clone());
        }
        table
    }

    fn plan(&mut self, root: &DeTable<'_>, catalogue: &Catalogue, plan: &mut Plan) {
        for (key, value) in root {
            let place = Place::of(key.get_ref().as_ref());
            if self.running(&place, value, plan) {
                continue;
            }
            match key.get_ref().as_ref() {
                "seed" => self.value(place, value, whole, &mut plan.seed),
                "expect" => self.value(place, value, expected, &mut plan.expect),
                "target" => self.target(&place, value, &mut plan.target),
                "workload" => self.named(
                    "workload",
                    &place,
                    value,
                    &mut plan.workload.name,
                    &mut plan.workload.settings,
                ),
                "nemesis" => self.nemeses(&place, value, &mut plan.nemeses),
                "script" => self.script(&place, value, &mut plan.script),
                other => self.mistake(key.span(), unknown("key", other, OWN.into_iter().chain(RUNNING))),
            }
        }
        let targets = listed(catalogue.targets.iter().map(|entry| entry.name.as_str()));
        self.required(root, "target", "what is tested", targets);
        let workloads = listed(catalogue.workloads.iter().map(|entry| entry.name.as_str()));
        self.required(root, "workload", "what clients do", workloads);
    }

    /// Reads what says how a run goes, whatever is tested, done and broken: the choices of [`RUNNING`]. Whether it is one
    /// of those.
    pub(super) fn running(&mut self, place: &Place, value: &Spanned<DeValue<'_>>, plan: &mut Plan) -> bool {
        let at = place.clone();
        match place.key() {
            "nodes" => self.value(at, value, nodes, &mut plan.nodes),
            "backend" => {
                self.named("backend", place, value, &mut plan.backend.name, &mut plan.backend.settings)
            }
            "time-limit" => self.value(at, value, time, &mut plan.time_limit),
            "rate" => self.value(at, value, number, &mut plan.rate),
            "stagger" => self.value(at, value, switch, &mut plan.stagger),
            "concurrency" => self.value(at, value, concurrency, &mut plan.concurrency),
            "roam" => self.value(at, value, whole, &mut plan.roam),
            "timeout" => self.value(at, value, time, &mut plan.timeout),
            "start-limit" => self.value(at, value, time, &mut plan.start_limit),
            "recovery-limit" => self.value(at, value, time, &mut plan.recovery_limit),
            "broken-max" => self.value(at, value, most, &mut plan.broken_max),
            "check" => self.judging(place, value, &mut plan.check),
            "evidence" => self.evidence(place, value, &mut plan.evidence),
            _ => return false,
        }
        true
    }

    fn required(&mut self, root: &DeTable<'_>, key: &str, what: &str, known: Option<String>) {
        if !root.contains_key(key) {
            let known = known.unwrap_or_else(|| "nothing".into());
            let complaint = Complaint::new(format!("the plan does not say {what}"));
            self.mistake(0..0, complaint.hint(format!("add `{key} = \"…\"`: there is {known}")));
            self.unread.insert(Place::of(key));
        }
    }

    pub(super) fn target(&mut self, place: &Place, value: &Spanned<DeValue<'_>>, plan: &mut TargetPlan) {
        if value.get_ref().is_str() {
            return self.value(place.then("name"), value, text, &mut plan.name);
        }
        let example = "write `target = \"…\"`, or a section `[target]` with a `name`";
        let Some(table) = self.section(place, value, "`target` must be a name or a section", example) else {
            return;
        };
        self.has_name(place, table, value.span());
        for (key, value) in table {
            let at = place.then(key.get_ref());
            match key.get_ref().as_ref() {
                "name" => self.value(at, value, text, &mut plan.name),
                "bugs" => self.bugs(&at, value, &mut plan.bugs),
                _ => self.setting(at, key, value, &mut plan.settings),
            }
        }
    }

    fn bugs(&mut self, place: &Place, value: &Spanned<DeValue<'_>>, bugs: &mut Vec<String>) {
        let Some(array) = value.get_ref().as_array() else {
            let found = described(value.get_ref());
            let complaint = Complaint::new(format!("`bugs` must be a list, not {found}"));
            self.unread.insert(place.clone());
            return self.mistake(value.span(), complaint.hint("write `bugs = [\"…\"]`"));
        };
        for (position, value) in array.iter().enumerate() {
            let mut bug = String::new();
            self.value(place.then(position), value, |_, value| text("a bug", value), &mut bug);
            bugs.push(bug);
        }
    }

    /// A part of the plan that is a name, or a section with a name and settings.
    pub(super) fn named(
        &mut self,
        what: &str,
        place: &Place,
        value: &Spanned<DeValue<'_>>,
        name: &mut String,
        settings: &mut BTreeMap<String, String>,
    ) {
        if value.get_ref().is_str() {
            return self.value(place.then("name"), value, text, name);
        }
        let expected = format!("`{what}` must be a name or a section");
        let example = format!("write `{what} = \"…\"`, or a section `[{what}]` with a `name`");
        let Some(table) = self.section(place, value, &expected, &example) else {
            return;
        };
        self.has_name(place, table, value.span());
        for (key, value) in table {
            let at = place.then(key.get_ref());
            match key.get_ref().as_ref() {
                "name" => self.value(at, value, text, name),
                _ => self.setting(at, key, value, settings),
            }
        }
    }

    fn has_name(&mut self, place: &Place, table: &DeTable<'_>, span: Range<usize>) {
        if !table.contains_key("name") {
            // One of a list is called as the list is.
            let list = place.parent().filter(|_| place.key().bytes().all(|byte| byte.is_ascii_digit()));
            let key = list.as_ref().unwrap_or(place).key();
            self.mistake(
                span,
                Complaint::new(format!("this `{key}` has no name")).hint("add `name = \"…\"`"),
            );
            self.unread.insert(place.clone());
        }
    }

    fn setting(
        &mut self,
        place: Place,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        settings: &mut BTreeMap<String, String>,
    ) {
        let name = format!("`{}`", key.get_ref());
        let read = plain(&name, value.get_ref()).unwrap_or_else(|complaint| {
            self.unread_settings.insert(place.clone(), complaint);
            String::new()
        });
        settings.insert(key.get_ref().to_string(), read);
        self.keys.insert(place.clone(), key.span());
        self.spans.insert(place, value.span());
    }

    pub(super) fn nemeses(
        &mut self,
        place: &Place,
        value: &Spanned<DeValue<'_>>,
        nemeses: &mut Vec<NemesisPlan>,
    ) {
        self.spans.insert(place.clone(), value.span());
        let Some(array) = value.get_ref().as_array() else {
            let complaint =
                Complaint::new(format!("`nemesis` must be a list, not {}", described(value.get_ref())));
            self.unread.insert(place.clone());
            let help = "write `nemesis = [\"…\"]`, or a section `[[nemesis]]` for each, in double brackets";
            return self.mistake(value.span(), complaint.hint(help));
        };
        for (position, value) in array.iter().enumerate() {
            let mut plan = NemesisPlan::of("");
            self.nemesis(&place.then(position), value, &mut plan);
            nemeses.push(plan);
        }
    }

    fn nemesis(&mut self, place: &Place, value: &Spanned<DeValue<'_>>, plan: &mut NemesisPlan) {
        if let Some(words) = value.get_ref().as_str() {
            // All the choices made within the words stand where the words stand.
            let choices = words.split(':').filter_map(|part| part.split_once('='));
            let places = choices.map(|(key, _)| place.then(key.trim()));
            self.spans.extend(places.chain([place.clone()]).map(|place| (place, value.span())));
            let read = |name: &str, value: &DeValue<'_>| nemesis(&text(name, value)?);
            return self.value(place.then("name"), value, read, plan);
        }
        let example = "write its name, as `nemesis = [\"…\"]`, or a section `[[nemesis]]`";
        let Some(table) = self.section(place, value, "a nemesis must be a name or a section", example) else {
            return;
        };
        self.has_name(place, table, value.span());
        for (key, value) in table {
            let at = place.then(key.get_ref());
            match key.get_ref().as_ref() {
                "name" => self.value(at, value, text, &mut plan.name),
                "schedule" => self.value(at, value, schedule, &mut plan.schedule),
                "every" => self.value(at, value, time, &mut plan.every),
                "lasts" => self.value(at, value, time, &mut plan.lasts),
                _ => self.setting(at, key, value, &mut plan.settings),
            }
        }
    }

    fn script(&mut self, place: &Place, value: &Spanned<DeValue<'_>>, script: &mut Vec<StepPlan>) {
        self.spans.insert(place.clone(), value.span());
        let example =
            "write a section `[[script]]` for each step, in double brackets, with `at`, `do` and `for`";
        let Some(array) = value.get_ref().as_array() else {
            let found = described(value.get_ref());
            self.unread.insert(place.clone());
            let complaint = Complaint::new(format!("`script` must be a list of sections, not {found}"));
            return self.mistake(value.span(), complaint.hint(example));
        };
        for (position, value) in array.iter().enumerate() {
            let place = place.then(position);
            let mut step = StepPlan { at: Duration::ZERO, does: NemesisPlan::of("") };
            if let Some(table) = self.section(&place, value, "a step of a script must be a section", example)
            {
                self.step(&place, table, value.span(), &mut step);
            }
            script.push(step);
        }
    }

    fn step(&mut self, place: &Place, table: &DeTable<'_>, span: Range<usize>, step: &mut StepPlan) {
        for key in ["at", "do", "for"].into_iter().filter(|key| !table.contains_key(*key)) {
            let complaint = Complaint::new(format!("this step of the script has no `{key}`"));
            let example = "add it, as in `at = \"5s\"`, `do = \"partition:shape=leader\"`, `for = \"3s\"`";
            self.mistake(span.clone(), complaint.hint(example));
            self.unread.insert(place.clone());
        }
        let mut lasts = step.does.lasts;
        for (key, value) in table {
            let at = place.then(key.get_ref());
            match key.get_ref().as_ref() {
                "at" => self.value(at, value, time, &mut step.at),
                "for" => self.value(at, value, time, &mut lasts),
                "do" => {
                    let words = value.get_ref().as_str().unwrap_or_default();
                    let choices = words.split(':').filter_map(|part| part.split_once('='));
                    self.spans.extend(choices.map(|(key, _)| (place.then(key.trim()), value.span())));
                    self.value(at, value, deed, &mut step.does);
                }
                other => self.mistake(key.span(), unknown("key", other, ["at", "do", "for"])),
            }
        }
        step.does.lasts = lasts;
    }

    fn judging(&mut self, place: &Place, value: &Spanned<DeValue<'_>>, plan: &mut CheckPlan) {
        let Some(table) =
            self.section(place, value, "`check` must be a section", "write `[check]`, and its keys below")
        else {
            return;
        };
        for (key, value) in table {
            let at = place.then(key.get_ref());
            match key.get_ref().as_ref() {
                "time" => self.value(at, value, time, &mut plan.time),
                "memory" => self.value(at, value, memory, &mut plan.memory_bytes),
                "recover-within" => {
                    let mut within = Duration::ZERO;
                    self.value(at, value, time, &mut within);
                    plan.recover_within = Some(within);
                }
                other => {
                    self.mistake(key.span(), unknown("key", other, ["time", "memory", "recover-within"]));
                }
            }
        }
    }

    fn evidence(&mut self, place: &Place, value: &Spanned<DeValue<'_>>, plan: &mut EvidencePlan) {
        let Some(table) = self.section(
            place,
            value,
            "`evidence` must be a section",
            "write `[evidence]`, and its keys below",
        ) else {
            return;
        };
        for (key, value) in table {
            match plan.field(key.get_ref()) {
                Some(field) => self.value(place.then(key.get_ref()), value, count, field),
                None => self.mistake(key.span(), unknown("key", key.get_ref(), EvidencePlan::KEYS)),
            }
        }
    }

    /// Puts what makes no sense where it stands, unless it follows from what could not be read.
    pub(super) fn put(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let unread = |place: &Place| self.unread.iter().any(|unread| place.within(unread));
            if finding.places.iter().any(unread) {
                continue;
            }
            let first = &finding.places[0];
            if finding.unknown_key {
                self.unread_settings.remove(first);
            } else if self.unread_settings.contains_key(first) {
                continue;
            }
            let key = self.keys.get(first).filter(|_| finding.unknown_key).cloned();
            let span = key.unwrap_or_else(|| self.nearest(&finding.places));
            self.mistake(span, finding.complaint);
        }
        for (place, complaint) in std::mem::take(&mut self.unread_settings) {
            let span = self.nearest(&[place]);
            self.mistake(span, complaint);
        }
    }

    /// Where the first of these choices stands that the file makes itself; else the section that leaves it out.
    fn nearest(&self, places: &[Place]) -> Range<usize> {
        let exact = places.iter().find_map(|place| self.spans.get(place));
        let around = || {
            let sections = std::iter::successors(places[0].parent(), Place::parent);
            sections.into_iter().find_map(|section| self.spans.get(&section))
        };
        exact.or_else(around).cloned().unwrap_or(0..0)
    }
}
