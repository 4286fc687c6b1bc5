//! How many writes of each node somebody has seen: a version vector (Parker et al., 1983). Whoever has seen a node's fifth
//! write has seen the four before it.

use serde::{Deserialize, Serialize};

use crate::protocol::NodeId;

/// Counts by node. What is not there is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vector(Vec<u64>);

impl Vector {
    /// How many writes of a node.
    pub fn of(&self, node: NodeId) -> u64 {
        self.0.get(usize::from(node.0)).copied().unwrap_or(0)
    }

    /// A node's write of that number is seen too, and all before it.
    pub fn see(&mut self, node: NodeId, number: u64) {
        let at = usize::from(node.0);
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] = self.0[at].max(number);
    }

    /// Whether all is seen here that the other has seen.
    pub fn covers(&self, other: &Vector) -> bool {
        other.0.iter().enumerate().all(|(at, count)| *count <= self.0.get(at).copied().unwrap_or(0))
    }

    /// How many writes in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Reads what [`Vector`] is shown as: `3.0.5`, the counts of n1, n2, n3. Nothing is nothing seen.
    pub fn parse(text: &str) -> Option<Vector> {
        let counts = text.split('.').filter(|count| !count.is_empty()).map(str::parse);
        let counts: Vec<u64> = counts.collect::<Result<_, _>>().ok()?;
        (counts.len() <= usize::from(u8::MAX) + 1).then_some(Vector(counts))
    }
}

impl std::fmt::Display for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&counts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_cover_is_to_have_seen_all_that_the_other_has() {
        let vector = |text| Vector::parse(text).unwrap();
        assert!(vector("3.0.5").covers(&vector("3")) && vector("3.0.5").covers(&vector("")));
        assert!(!vector("3.0.5").covers(&vector("0.1")) && !vector("").covers(&vector("0.0.0.1")));
        assert!(vector("").covers(&vector("0.0")));
        let mut seen = vector("3");
        seen.see(NodeId(2), 5);
        seen.see(NodeId(0), 1);
        assert_eq!((seen.to_string().as_str(), seen.total(), seen.of(NodeId(9))), ("3.0.5", 8, 0));
    }

    #[test]
    fn nonsense_is_no_vector() {
        for text in ["x", "1.-2", "n1=3", "18446744073709551616", &"1.".repeat(257)] {
            assert_eq!(Vector::parse(text), None, "{text}");
        }
    }
}
