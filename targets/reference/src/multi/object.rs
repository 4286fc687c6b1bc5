//! What is under a key. Whatever it is, two replicas of it join to the same in whichever order, however often: that is
//! all that convergence needs (Shapiro et al., *Conflict-free Replicated Data Types*, 2011).

use schism_history::Value;
use serde::{Deserialize, Serialize};

use super::bugs::Bugs;
use super::counter::Counter;
use super::dotted::Dotted;
use super::text::Text;
use crate::version::Version;

/// What is under a key, or a change of it, which is joined just the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Object {
    /// A register where the latest stamp wins.
    Latest(Version),
    /// A register with all its siblings.
    Siblings(Dotted),
    /// A counter.
    Counter(Counter),
    /// A set where an add wins over a remove that had not seen it (OR-set): its elements by the dots of their adds.
    Set(Dotted),
    /// A text.
    Text(Text),
}

impl Object {
    /// Takes over another replica of it. True if anything changes.
    pub(super) fn join(&mut self, other: &Object, bugs: &Bugs) -> bool {
        match (&mut *self, other) {
            (Object::Latest(own), Object::Latest(other)) => {
                let is_later = own.stamp < other.stamp;
                if is_later {
                    *own = other.clone();
                }
                is_later
            }
            (Object::Siblings(own), Object::Siblings(other)) => {
                let changed = own.join(other);
                if bugs.siblings_dropped {
                    own.keep_one();
                }
                changed
            }
            (Object::Counter(own), Object::Counter(other)) => own.join(other, bugs.counts_twice),
            (Object::Set(own), Object::Set(other)) => own.join(other),
            (Object::Text(own), Object::Text(other)) => own.join(other, bugs.one_successor),
            // One key used in two ways at once: the kind that stands later above counts, at every node.
            (own, other) => {
                let wins = own.kind() < other.kind();
                if wins {
                    *own = other.clone();
                }
                wins
            }
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Object::Latest(_) => 0,
            Object::Siblings(_) => 1,
            Object::Counter(_) => 2,
            Object::Set(_) => 3,
            Object::Text(_) => 4,
        }
    }

    /// Whether nothing is left but the memory of what was there.
    pub(super) fn is_deleted(&self) -> bool {
        match self {
            Object::Latest(version) => version.is_tombstone(),
            Object::Siblings(dotted) | Object::Set(dotted) => dotted.is_empty(),
            Object::Text(text) => text.is_empty(),
            Object::Counter(_) => false,
        }
    }

    /// What a client sees, where that is one value.
    pub(super) fn value(&self) -> Value {
        match self {
            Object::Latest(version) => version.value.clone(),
            Object::Siblings(dotted) | Object::Set(dotted) => Value::list(dotted.values()),
            Object::Counter(counter) => counter.value().into(),
            Object::Text(text) => Value::list(text.values()),
        }
    }
}
