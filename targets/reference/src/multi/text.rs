//! A text that several type into at once (RGA; Roh et al., *Replicated abstract data types: Building blocks for
//! collaborative applications*, 2011).
//!
//! Each character has a mark that is greater than all that its author's node had seen in this text, and knows the mark of
//! the one that it was typed behind. That makes a tree; a text is the tree read from its root on, of characters behind the
//! same one the greatest mark first. So what one author types in a row stays in a row, whatever others type meanwhile.
//! What is taken out stays in the tree, unseen, since others may have typed behind it. Two replicas join by taking in
//! all that either holds: that is the same in whichever order, however often.

use std::collections::{BTreeMap, BTreeSet};

use schism_history::Value;
use serde::{Deserialize, Serialize};

use crate::protocol::NodeId;

/// Which character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    count: u64,
    node: NodeId,
}

/// A character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Typed {
    /// The one it was typed behind; none: at the beginning.
    behind: Option<Mark>,
    /// What was typed.
    value: Value,
}

/// A text, or a change of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    #[serde(with = "super::pairs")]
    typed: BTreeMap<Mark, Typed>,
    taken_out: BTreeSet<Mark>,
}

impl Text {
    /// Its characters in their order. `O(n log n)`.
    pub(super) fn values(&self) -> Vec<Value> {
        let seen = self.in_order().into_iter().filter(|mark| !self.taken_out.contains(mark));
        seen.map(|mark| self.typed[&mark].value.clone()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.typed.keys().all(|mark| self.taken_out.contains(mark))
    }

    /// The change that types something at the end of all that is seen here.
    pub(super) fn typing(&self, node: NodeId, value: Value) -> Text {
        let seen = self.in_order().into_iter().rfind(|mark| !self.taken_out.contains(mark));
        let count = self.typed.keys().next_back().map_or(0, |mark| mark.count) + 1;
        let typed = BTreeMap::from([(Mark { count, node }, Typed { behind: seen, value })]);
        Text { typed, taken_out: BTreeSet::new() }
    }

    /// The change that takes a character out, wherever it is seen here.
    pub(super) fn taking_out(&self, value: &Value) -> Text {
        let meant = self.typed.iter().filter(|(_, typed)| typed.value == *value);
        Text { typed: BTreeMap::new(), taken_out: meant.map(|(mark, _)| *mark).collect() }
    }

    /// Takes over what another replica holds. True if anything changes. `one_successor`: the planted bug.
    pub(super) fn join(&mut self, other: &Text, one_successor: bool) -> bool {
        let before = (self.typed.len(), self.taken_out.len());
        for (mark, typed) in &other.typed {
            self.typed.entry(*mark).or_insert_with(|| typed.clone());
        }
        self.taken_out.extend(&other.taken_out);
        let changed = before != (self.typed.len(), self.taken_out.len());
        if one_successor {
            self.keep_one_successor();
        }
        changed
    }

    /// The planted bug: of what was typed behind the same character the latest alone stays.
    fn keep_one_successor(&mut self) {
        let latest: BTreeMap<Option<Mark>, Mark> =
            self.typed.iter().map(|(mark, typed)| (typed.behind, *mark)).collect();
        self.typed.retain(|mark, typed| latest[&typed.behind] == *mark);
    }

    /// The marks from the beginning of the text to its end. One that was typed behind a character that is not known here
    /// yet waits for it.
    fn in_order(&self) -> Vec<Mark> {
        let mut behind: BTreeMap<Option<Mark>, Vec<Mark>> = BTreeMap::new();
        for (mark, typed) in &self.typed {
            behind.entry(typed.behind).or_default().push(*mark);
        }
        let mut order = Vec::with_capacity(self.typed.len());
        // The greatest mark comes first, so it is put on last.
        let mut next = behind.remove(&None).unwrap_or_default();
        while let Some(mark) = next.pop() {
            order.push(mark);
            next.extend(behind.remove(&Some(mark)).unwrap_or_default());
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);

    fn type_in(text: &mut Text, node: NodeId, word: &str) -> Vec<Text> {
        let typed = word.chars().map(|letter| {
            let delta = text.typing(node, Value::text(&letter.to_string()));
            assert!(text.join(&delta, false));
            delta
        });
        typed.collect()
    }

    fn read(text: &Text) -> String {
        text.values().iter().map(|value| value.to_string().replace('"', "")).collect()
    }

    #[test]
    fn what_one_author_types_in_a_row_stays_in_a_row() {
        let (mut a, mut b) = (Text::default(), Text::default());
        let begun = type_in(&mut a, A, "x");
        begun.iter().for_each(|delta| assert!(b.join(delta, false)));
        let (one, other) = (type_in(&mut a, A, "abc"), type_in(&mut b, B, "12"));
        one.iter().for_each(|delta| assert!(b.join(delta, false) && !b.join(delta, false)));
        other.iter().for_each(|delta| assert!(a.join(delta, false)));
        assert_eq!((read(&a), &a), ("x12abc".into(), &b));
        type_in(&mut b, B, "!");
        assert_eq!(read(&b), "x12abc!");
        let gone = b.taking_out(&Value::text("c"));
        assert!(b.join(&gone, false) && !b.join(&gone, false));
        assert_eq!(read(&b), "x12ab!");
    }

    #[test]
    fn in_whichever_order_changes_come_the_text_is_the_same() {
        let mut random = Random::new(1, 1);
        let (mut a, mut b) = (Text::default(), Text::default());
        let mut deltas = type_in(&mut a, A, "begin");
        assert!(deltas.iter().all(|delta| b.join(delta, false)));
        deltas.extend(type_in(&mut a, A, "alpha"));
        deltas.extend(type_in(&mut b, B, "beta"));
        deltas.push(a.taking_out(&Value::text("g")));
        let whole = deltas.iter().fold(Text::default(), |mut text, delta| {
            text.join(delta, false);
            text
        });
        for _ in 0..100 {
            random.shuffle(&mut deltas);
            let mut text = Text::default();
            assert!(deltas.iter().all(|delta| text.join(delta, false)));
            assert_eq!(text, whole);
        }
        assert_eq!(read(&whole).len(), 5 + 5 + 4 - 1);
    }
}
