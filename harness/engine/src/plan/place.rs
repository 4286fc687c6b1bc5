//! Which choice of a plan something is about: the path to it, `time-limit` or `nemesis.0.every`, and what it is called
//! where the plan came from.

use super::Plan;

/// A path to a choice: keys joined by dots, and positions in lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(String);

/// Where a plan came from, which decides what its parts are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A file has keys.
    File,
    /// A command line has flags.
    Flags,
}

impl Place {
    /// The place of that path; the empty one is the whole plan.
    pub fn of(path: impl Into<String>) -> Self {
        Place(path.into())
    }

    /// A choice within this one.
    pub fn then(&self, key: impl std::fmt::Display) -> Self {
        Place(if self.0.is_empty() { key.to_string() } else { format!("{}.{key}", self.0) })
    }

    /// The section or list it stands in.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(Place(self.0.rsplit_once('.').map_or(String::new(), |(parent, _)| parent.into())))
    }

    /// Whether this is that choice or within it.
    pub fn within(&self, outer: &Place) -> bool {
        self.0.strip_prefix(&outer.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The same choice where that section stands elsewhere, if it is in that section.
    pub fn moved(&self, from: &str, to: &str) -> Option<Self> {
        let rest = self.0.strip_prefix(from)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| Place(format!("{to}{rest}")))
    }

    /// The last key of the path.
    pub fn key(&self) -> &str {
        self.0.rsplit_once('.').map_or(&self.0, |(_, key)| key)
    }

    /// What it is called where the plan came from, in backquotes.
    pub fn name(&self, origin: Origin, plan: &Plan) -> String {
        if origin == Origin::File {
            return format!("`{}`", self.key());
        }
        match self.0.split_once('.') {
            None => format!("`--{}`", self.0),
            Some(("backend" | "target" | "workload", "name")) => format!("`--{}`", self.parent_key()),
            Some(("target", bug)) if bug.starts_with("bugs") => "`--bug`".into(),
            Some(("nemesis", rest)) => {
                let (position, key) = rest.split_once('.').unwrap_or((rest, "name"));
                let nemesis = position.parse().ok().and_then(|position: usize| plan.nemeses.get(position));
                let flag = format!("--nemesis {}", nemesis.map_or("", |nemesis| &nemesis.name));
                if key == "name" { format!("`{flag}`") } else { format!("`{key}` of `{flag}`") }
            }
            Some(("script", rest)) => {
                let (position, key) = rest.split_once('.').unwrap_or((rest, "do"));
                let number = position.parse().map_or(0, |position: usize| position + 1);
                format!("`{key}` of step {number} of the script")
            }
            Some(_) => format!("`--set {}`", self.0),
        }
    }

    fn parent_key(&self) -> &str {
        self.0.split_once('.').map_or(&self.0, |(parent, _)| parent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::NemesisPlan;

    #[test]
    fn a_choice_is_called_as_where_it_came_from() {
        let mut plan = Plan::of("raft", "register");
        plan.nemeses.push(NemesisPlan::of("kill"));
        let names = |path| {
            let place = Place::of(path);
            (place.name(Origin::File, &plan), place.name(Origin::Flags, &plan))
        };
        assert_eq!(names("time-limit"), ("`time-limit`".into(), "`--time-limit`".into()));
        assert_eq!(names("target.name"), ("`name`".into(), "`--target`".into()));
        assert_eq!(names("target.bugs.0"), ("`0`".into(), "`--bug`".into()));
        assert_eq!(names("nemesis.0.lasts"), ("`lasts`".into(), "`lasts` of `--nemesis kill`".into()));
        assert_eq!(names("check.time"), ("`time`".into(), "`--set check.time`".into()));
    }

    #[test]
    fn a_choice_is_within_its_section_and_not_within_a_namesake() {
        let place = Place::of("nemesis.1.every");
        assert!(place.within(&Place::of("nemesis.1")) && place.within(&place));
        assert!(!Place::of("nemesis.11").within(&Place::of("nemesis.1")));
        assert_eq!(place.parent(), Some(Place::of("nemesis.1")));
        assert_eq!(Place::of("nodes").parent(), Some(Place::of("")));
        assert_eq!(Place::of("").parent(), None);
    }
}
