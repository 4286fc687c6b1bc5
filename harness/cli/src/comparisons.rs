//! The comparisons that are ready: a plan each, by name.

/// A comparison that is ready.
pub struct Ready {
    /// Its name.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
    /// The plan's file, and its text.
    pub file: &'static str,
    /// The plan.
    pub plan: &'static str,
}

macro_rules! ready {
    ($name:literal, $about:literal) => {
        Ready {
            name: $name,
            about: $about,
            file: concat!("targets/plans/compare/", $name, ".toml"),
            plan: include_str!(concat!("../../../targets/plans/compare/", $name, ".toml")),
        }
    };
}

/// Every one.
pub const ALL: &[Ready] = &[
    ready!(
        "quorums",
        "five homes, W and R from 3/3 to 1/1, write-back on and off: where W + R > N is not enough"
    ),
    ready!("pacelc", "what each bundled pattern gives up when links are cut, and else"),
    ready!("models", "everyday cases on stores from strict to loose: which invariant survives where"),
    ready!("stores", "the bundled store beside etcd, which has to be on PATH"),
];

/// The comparison of that name.
pub fn named(name: &str) -> Option<&'static Ready> {
    ALL.iter().find(|ready| ready.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ready_comparison_makes_sense() {
        for ready in ALL {
            let plan = crate::commands::compare::parse(ready.file, ready.plan).expect(ready.name);
            assert!(!plan.about.is_empty() && plan.cells().len() > 1, "{}", ready.name);
        }
    }
}
