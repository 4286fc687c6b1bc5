//! A history judged part by part: for judges that look at each key by itself, and histories larger than memory.
//!
//! A part is the operations of some keys. A judge takes one part after the other and concludes at the end; to judge a whole
//! history is to take it as the only part. What was found speaks of operations by their places in the whole.

use std::collections::{BTreeMap, BTreeSet};

use schism_history::{History, Key, Operation};

use crate::verdict::{Anomaly, Budget, Doubt, Judgement};

/// The operations of some keys, as a history.
#[derive(Clone, Copy, Debug)]
pub struct Part<'h> {
    /// Positions and times are those of the whole.
    pub history: &'h History,
    /// By place in it: the place in the whole; `None` if it is the whole.
    pub places: Option<&'h [u32]>,
    /// If there is more of it than could be read: its key, where it is one, and how many operations it has in all.
    pub cut: Option<(Option<&'h Key>, u32)>,
}

impl<'h> Part<'h> {
    /// The whole history.
    pub fn whole(history: &'h History) -> Self {
        Part { history, places: None, cut: None }
    }

    /// The place in the whole.
    pub(crate) fn place(&self, at: usize) -> usize {
        self.places.map_or(at, |places| places[at] as usize)
    }

    /// Why what is left of a key is not known, if it was cut off.
    pub(crate) fn doubt(&self) -> Option<Doubt> {
        self.cut.map(|(key, all)| {
            let of = key.map_or("some keys".into(), |key| format!("key {key}"));
            let judged = self.history.len();
            let reason = format!(
                "{of}: of {all} operations only the first {judged} were judged, more does not fit into the memory allowed"
            );
            Doubt { reason, hint: Some("raise --memory".into()) }
        })
    }
}

/// A judge that is asked part by part.
pub trait ByParts {
    /// Judges one part.
    fn take(&mut self, part: &Part<'_>, budget: Budget<'_>);

    /// What all parts say together.
    fn conclude(self: Box<Self>) -> Concluded;
}

/// What a judge says of a history that it saw in parts.
#[derive(Clone, Debug)]
pub struct Concluded {
    /// Its places are those of the whole.
    pub judgement: Judgement,
    /// The operations it speaks of.
    pub cited: BTreeMap<usize, Operation>,
}

/// Judges a whole history: one part.
pub(crate) fn whole(mut judge: Box<dyn ByParts + '_>, history: &History, budget: Budget<'_>) -> Judgement {
    judge.take(&Part::whole(history), budget);
    judge.conclude().judgement
}

/// The anomalies of all parts: the first ones, by a number that says how early each is, and how many there are beside.
#[derive(Debug)]
pub(crate) struct Found<O> {
    most: usize,
    anomalies: Vec<(O, Anomaly)>,
    others: usize,
    cited: BTreeMap<usize, Operation>,
}

impl<O: Ord + Copy> Found<O> {
    /// Keeps so many.
    pub(crate) fn with_most(most: usize) -> Self {
        Found { most, anomalies: Vec::new(), others: 0, cited: BTreeMap::new() }
    }

    /// Takes what one part shows, and how many there are beside.
    pub(crate) fn take(
        &mut self,
        part: &Part<'_>,
        anomalies: impl IntoIterator<Item = (O, Anomaly)>,
        others: usize,
    ) {
        self.others += others;
        for (order, mut anomaly) in anomalies {
            for at in places(&mut anomaly) {
                let own = std::mem::replace(at, part.place(*at));
                if part.places.is_some() {
                    self.cited.entry(*at).or_insert_with(|| part.history.operation(own));
                }
            }
            self.anomalies.push((order, anomaly));
        }
        // The earliest trouble first: what goes wrong later may follow from it.
        self.anomalies.sort_by_key(|(order, _)| *order);
        self.others += self.anomalies.len().saturating_sub(self.most);
        self.anomalies.truncate(self.most);
        let anomalies = self.anomalies.iter_mut();
        let named: BTreeSet<usize> =
            anomalies.flat_map(|(_, anomaly)| places(anomaly)).map(|at| *at).collect();
        self.cited.retain(|at, _| named.contains(at));
    }

    /// The anomalies, in order, how many there are beside, and the operations they speak of.
    pub(crate) fn conclude(self) -> (Vec<Anomaly>, usize, BTreeMap<usize, Operation>) {
        let anomalies = self.anomalies.into_iter().map(|(_, anomaly)| anomaly).collect();
        (anomalies, self.others, self.cited)
    }
}

/// Every place of an operation that an anomaly names.
fn places(anomaly: &mut Anomaly) -> Vec<&mut usize> {
    let Anomaly { witness, culprit, refused, proof, .. } = anomaly;
    let refused = refused.iter_mut().map(|refused| &mut refused.operation);
    let proof = proof.iter_mut().flat_map(|step| &mut step.operations);
    witness.iter_mut().chain(culprit).chain(refused).chain(proof).collect()
}

/// Says of the last anomaly how many keys more are like it.
pub(crate) fn tell_others(anomalies: &mut [Anomaly], others: usize) {
    if let Some(last) = anomalies.last_mut().filter(|_| others > 0) {
        last.sentences.push(format!("{others} more keys are not linearizable either"));
    }
}

#[cfg(test)]
mod tests {
    use rand_pcg::Pcg64;
    use rand_pcg::rand_core::{Rng, SeedableRng};

    use super::*;
    use crate::synthetic::{self, Mix};
    use crate::verdict::{ProofStep, Refused};

    /// An anomaly that names these four operations, each in another way.
    fn naming([witness, culprit, operation, shows]: [usize; 4]) -> Anomaly {
        let step = |at| ProofStep {
            what: String::new(),
            operations: vec![at],
            values: Vec::new(),
            because: String::new(),
        };
        Anomaly {
            name: String::new(),
            key: None,
            sentences: Vec::new(),
            witness: vec![witness],
            culprit: Some(culprit),
            possible_states: Vec::new(),
            refused: vec![Refused { operation, because: String::new() }],
            proof: vec![step(shows)],
        }
    }

    #[test]
    fn what_is_found_in_parts_is_told_by_its_places_in_the_whole() {
        let mut random = Pcg64::seed_from_u64(1);
        let history = synthetic::history(&Mix::unique(8, 2), &mut || random.next_u64());
        let mut found = Found::with_most(2);
        for (first, order) in [(100, 3), (200, 1), (300, 2)] {
            let places: Vec<u32> = (first..first + 8).collect();
            let part = Part { history: &history, places: Some(&places), cut: None };
            found.take(&part, [(order, naming([0, 2, 4, 6]))], 1);
        }
        let (anomalies, others, cited) = found.conclude();
        assert_eq!(anomalies, [naming([200, 202, 204, 206]), naming([300, 302, 304, 306])], "the first two");
        assert_eq!(others, 4, "one beside each, and the last one");
        let expected: Vec<(usize, Operation)> = [200, 300]
            .into_iter()
            .flat_map(|first| [0, 2, 4, 6].map(|at| (first + at, history.operation(at))))
            .collect();
        assert_eq!(cited.into_iter().collect::<Vec<_>>(), expected, "what is named, and nothing else");
    }
}
