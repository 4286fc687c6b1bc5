//! Settings that mean something only beside another: whoever sets one alone expects what will not happen, and is told.

/// A setting that means something only beside another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The nemesis.
    pub nemesis: &'static str,
    /// Its setting.
    pub setting: &'static str,
    /// The other one.
    pub other: &'static str,
    /// What that has to be, one of these; the first is named in hints.
    pub values: &'static [&'static str],
    /// Whether one of these is what the other is by default.
    pub by_default: bool,
}

const fn on(
    nemesis: &'static str,
    setting: &'static str,
    other: &'static str,
    values: &'static [&'static str],
    by_default: bool,
) -> Beside {
    Beside { nemesis, setting, other, values, by_default }
}

/// What calls a `reboot` can strike in.
const AT: &[&str] = &["fsync", "rename"];
/// The faults of disks that refuse calls.
const REFUSES: &[&str] = &["fails", "full", "readonly"];

/// All of them.
pub const BESIDE: &[Beside] = &[
    on("reboot", "nth", "at", AT, false),
    on("reboot", "when", "at", AT, false),
    on("reboot", "files", "at", AT, false),
    on("reboot", "fsync", "at", AT, false),
    on("partition", "flap", "by", &["flapping"], false),
    on("partition", "port", "by", &["drop"], true),
    on("partition", "byte", "by", &["behind"], false),
    on("disk", "lacks", "fault", &["full"], false),
    on("disk", "delay", "fault", &["slow"], false),
    on("disk", "call", "fault", &["fails"], true),
    on("disk", "times", "fault", REFUSES, true),
    on("disk", "files", "fault", REFUSES, true),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    /// The names are those of settings, the words among what they take, and what is left out is what each is by default.
    #[test]
    fn each_is_what_its_nemesis_takes() {
        for Beside { nemesis, setting, other, values, by_default } in BESIDE {
            let entry = crate::named(nemesis).expect("there is one");
            let takes = |name: &str| entry.settings.iter().find(|one| one.name == name).map(|one| one.takes);
            assert!(takes(setting).is_some(), "{nemesis}:{setting}");
            let Some(crate::Takes::Words(words)) = takes(other) else {
                panic!("{nemesis}:{other} is a word")
            };
            assert!(values.iter().all(|value| words.contains(value)), "{nemesis}:{other}");
            let done =
                |settings: Settings| (entry.make)(&settings).choose(&VIEW, &mut random()).expect("a node");
            let default = done(Settings::new()).changes;
            let named = done([((*other).into(), values[0].into())].into()).changes;
            assert_eq!(default == named, *by_default, "{nemesis}:{other}");
        }
    }

    const VIEW: schism_engine::nemesis::View = schism_engine::nemesis::View { nodes: 1, leader: None };

    fn random() -> schism_engine::random::Random {
        schism_engine::random::Random::of(1, "beside")
    }
}
