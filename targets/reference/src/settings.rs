//! What a family can be told: settings by name, each with what it may be. What several settings mean together is the
//! family's to judge: [`crate::protocol::Protocol::contradiction`].

use std::collections::BTreeMap;

/// A setting a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line, with its default.
    pub about: &'static str,
    /// What it may be.
    pub allowed: Allowed,
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// One of these words.
    Words(&'static [&'static str]),
    /// A whole number, from the first to the second.
    Whole(u64, u64),
    /// `true` or `false`.
    Switch,
}

/// Settings with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Settings of these names and values; the last of a name counts.
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Settings(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    /// Sets what is not set yet.
    ///
    /// # Errors
    /// With a sentence if it is set already.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match self.0.insert(name.into(), value.into()) {
            None => Ok(()),
            Some(_) => Err(format!("the setting {name} is given twice")),
        }
    }

    /// All that are set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a setting; `default` if it is not set.
    pub fn word<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    /// The value of a setting that is a whole number.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.0.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// The value of a setting that is a switch.
    pub fn is_on(&self, name: &str, default: bool) -> bool {
        self.0.get(name).map_or(default, |value| value == "true")
    }

    /// Whether each is known and allowed by itself.
    ///
    /// # Errors
    /// With a sentence about the first that is not.
    pub fn check(&self, known: &[Setting]) -> Result<(), String> {
        for (name, value) in self.iter() {
            let Some(setting) = known.iter().find(|setting| setting.name == name) else {
                let names: Vec<&str> = known.iter().map(|setting| setting.name).collect();
                let there_are = if names.is_empty() {
                    "there are none".into()
                } else {
                    format!("there are {}", names.join(", "))
                };
                return Err(format!("unknown setting {name:?}; {there_are}"));
            };
            let (is_allowed, what) = match setting.allowed {
                Allowed::Words(words) => (words.contains(&value), format!("one of {}", words.join(", "))),
                Allowed::Whole(low, high) => (
                    value.parse().is_ok_and(|number: u64| (low..=high).contains(&number)),
                    format!("a whole number from {low} to {high}"),
                ),
                Allowed::Switch => (["true", "false"].contains(&value), "true or false".into()),
            };
            if !is_allowed {
                return Err(format!("the setting {name} cannot be {value:?}: it is {what}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Setting] = &[
        Setting { name: "mode", about: "", allowed: Allowed::Words(&["sync", "async"]) },
        Setting { name: "w", about: "", allowed: Allowed::Whole(1, 9) },
        Setting { name: "repair", about: "", allowed: Allowed::Switch },
    ];

    #[test]
    fn what_is_allowed_passes_and_is_read_back() {
        let settings = Settings::of(&[("mode", "async"), ("w", "3"), ("repair", "true")]);
        assert_eq!(settings.check(KNOWN), Ok(()));
        assert_eq!((settings.word("mode", "sync"), settings.number("w", 1)), ("async", 3));
        assert!(settings.is_on("repair", false) && !settings.is_on("other", false));
    }

    #[test]
    fn mistakes_are_named() {
        for (name, value, part) in [
            ("mode", "best", "one of sync, async"),
            ("w", "0", "from 1 to 9"),
            ("w", "many", "from 1 to 9"),
            ("repair", "yes", "true or false"),
            ("r", "1", "there are mode, w, repair"),
        ] {
            let error = Settings::of(&[(name, value)]).check(KNOWN).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
