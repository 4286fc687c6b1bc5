//! Shapes of trouble that have a name, for registers: what the field calls them, and what happened in a sentence.

use schism_history::{Call, Key, Operation, Outcome, Value};

use super::wording::{asked, did, left, noun, who};

/// A shape that was recognised.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) sentence: String,
    /// Operations the sentence speaks of.
    pub(super) speaks_of: Vec<usize>,
}

/// What a shape is recognised in.
pub(super) struct Scene<'a> {
    /// All operations of the history.
    pub(super) operations: &'a [Operation],
    /// The object.
    pub(super) key: &'a Key,
    /// What the register held at first.
    pub(super) initial: &'a Value,
    /// The operations that show the violation, the culprit among them.
    pub(super) witness: &'a [usize],
    /// The operation nobody can explain.
    pub(super) culprit: usize,
}

impl<'a> Scene<'a> {
    fn culprit(&self) -> &'a Operation {
        &self.operations[self.culprit]
    }

    fn of_key(&self) -> impl Iterator<Item = (usize, &'a Operation)> {
        let key = self.key;
        self.operations.iter().enumerate().filter(move |(_, operation)| operation.call.key() == key)
    }

    fn witnesses(&self) -> impl Iterator<Item = (usize, &'a Operation)> {
        self.witness
            .iter()
            .map(|at| (*at, &self.operations[*at]))
            .filter(|(_, operation)| operation.outcome.is_ok())
    }

    /// `process 7 on n4 read 12 at 8.214 s`
    fn opening(&self) -> String {
        let culprit = self.culprit();
        format!("{} {} at {}", who(culprit), did(culprit), culprit.completed)
    }

    /// `read`, or `change` for a cas.
    fn kind(&self) -> &'static str {
        match self.culprit().call {
            Call::Read { .. } => "read",
            _ => "change",
        }
    }

    fn shape(&self, name: &'static str, sentence: String, speaks_of: &[usize]) -> Option<Shape> {
        Some(Shape { name, sentence, speaks_of: speaks_of.to_vec() })
    }
}

/// The shape of what a register's culprit did, if it has a name.
pub(super) fn recognise(scene: &Scene<'_>) -> Option<Shape> {
    let value = asked(scene.culprit())?;
    let givers: Vec<(usize, &Operation)> =
        scene.of_key().filter(|(_, operation)| left(operation) == Some(value)).collect();
    let real: Vec<(usize, &Operation)> = givers
        .iter()
        .copied()
        .filter(|(_, operation)| !matches!(operation.outcome, Outcome::Fail(_)))
        .collect();
    if value != scene.initial {
        if givers.is_empty() {
            let sentence = format!(
                "{}, but nobody ever tried to write {value}: a value out of thin air",
                scene.opening()
            );
            return scene.shape("value out of thin air", sentence, &[]);
        }
        if real.is_empty() {
            let (at, failed) = givers[0];
            let sentence = format!(
                "{}, but the only attempt to write {value}, by {} at {}, had failed: it must never have been seen",
                scene.opening(),
                who(failed),
                failed.completed
            );
            return scene.shape("read of a failed write", sentence, &[at]);
        }
        if let Some((at, first)) = real.first().filter(|(_, giver)| scene.culprit().precedes(giver)) {
            let sentence = format!(
                "{}, but {value} was first written by {}, who began only at {}: a read from the future",
                scene.opening(),
                who(first),
                first.invoked
            );
            return scene.shape("read from the future", sentence, &[*at]);
        }
    }
    lost_update(scene, value, &real).or_else(|| stale(scene, value, &real))
}

/// Two changes away from one value that was there only once.
fn lost_update(scene: &Scene<'_>, value: &Value, givers: &[(usize, &Operation)]) -> Option<Shape> {
    let times_there = givers.len() + usize::from(value == scene.initial);
    let is_cas =
        |operation: &Operation| matches!(operation.call, Call::Cas { .. }) && asked(operation) == Some(value);
    if times_there != 1 || !is_cas(scene.culprit()) {
        return None;
    }
    let (at, other) = scene.witnesses().find(|(at, operation)| *at != scene.culprit && is_cas(operation))?;
    let sentence = format!(
        "{}, and {} {} at {}: both were told that they succeeded, but {value} was there only once, so one of the two \
         changes is lost",
        scene.opening(),
        who(other),
        did(other),
        other.completed
    );
    scene.shape("lost update", sentence, &[at])
}

/// The value was over before the culprit began.
fn stale(scene: &Scene<'_>, value: &Value, givers: &[(usize, &Operation)]) -> Option<Shape> {
    let culprit = scene.culprit();
    let earlier = |operation: &Operation| operation.precedes(culprit);
    // Something else was written, after every write of the value was over and before the culprit began.
    let newer = scene.witnesses().filter(|(_, newer)| {
        left(newer).is_some_and(|left| left != value)
            && earlier(newer)
            && givers.iter().all(|(_, giver)| giver.precedes(newer) || culprit.precedes(giver))
    });
    if let Some((at, newer)) = newer.max_by_key(|(_, newer)| newer.invoke) {
        let sentence = format!(
            "{}, but {} had been written by {} (finished {}) before that {} began at {}: a stale read",
            scene.opening(),
            left(newer)?,
            who(newer),
            newer.completed,
            scene.kind(),
            culprit.invoked
        );
        let mut speaks_of: Vec<usize> =
            givers.iter().map(|(at, _)| *at).filter(|at| scene.witness.contains(at)).collect();
        speaks_of.push(at);
        return scene.shape("stale read", sentence, &speaks_of);
    }
    // Something else was seen, after the value was seen or written for the last time.
    for (at, seen) in scene.witnesses().filter(|(_, seen)| earlier(seen)) {
        let Some(other) = asked(seen).filter(|other| *other != value) else { continue };
        let before =
            scene.witnesses().find(|(_, before)| asked(before) == Some(value) && before.precedes(seen));
        if let Some((first, before)) =
            before.filter(|_| givers.len() + usize::from(value == scene.initial) == 1)
        {
            let sentence = format!(
                "{}, but after {} was done by {} at {}, {} {} at {}: {value} was written once, and came back after it was \
                 overwritten",
                scene.opening(),
                format_args!("the {}", noun(before)),
                who(before),
                before.completed,
                who(seen),
                did(seen),
                seen.completed
            );
            return scene.shape("value seen again after it was overwritten", sentence, &[first, at]);
        }
        if givers.iter().all(|(_, giver)| giver.precedes(seen) || culprit.precedes(giver)) {
            let sentence = format!(
                "{}, but {} had already found {other} there (finished {}) before that {} began at {}, and nobody wrote \
                 {value} again: a stale read",
                scene.opening(),
                who(seen),
                seen.completed,
                scene.kind(),
                culprit.invoked
            );
            return scene.shape("stale read", sentence, &[at]);
        }
    }
    None
}
