//! The weak models in the words of their definitions: orders are tried one after another. Only for a few operations.
//!
//! Causal consistency and convergence are defined over every possible causal order (Bouajjani et al., POPL 2017,
//! definitions 4 and 5); whatever has one has the smallest one, session order and reads-from, which is what is tried for
//! more than five operations. That this is the same is a test of its own.

/// One operation of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    pub session: usize,
    pub key: u32,
    /// What it saw; 0 is what was there at first.
    pub saw: Option<u32>,
    pub wrote: Option<u32>,
}

/// A set of operations, as bits.
type Set = u32;

/// A few operations; those of a session are in its order.
pub struct Tiny<'o>(pub &'o [Op]);

impl Tiny<'_> {
    fn all(&self) -> impl DoubleEndedIterator<Item = usize> + Clone + use<> {
        0..self.0.len()
    }

    fn before_in_session(&self, at: usize) -> Set {
        let same = self.all().filter(|other| *other < at && self.0[*other].session == self.0[at].session);
        same.fold(0, |set, other| set | 1 << other)
    }

    fn writer(&self, at: usize) -> Option<Option<usize>> {
        match self.0[at].saw? {
            0 => Some(None),
            value => Some(Some(self.all().find(|other| self.0[*other].wrote == Some(value))?)),
        }
    }

    /// Whether somebody saw what nobody wrote.
    pub fn thin_air(&self) -> bool {
        self.all().any(|at| self.0[at].saw.is_some() && self.writer(at).is_none())
    }

    /// Whether `last`, the operation that last wrote the key, is what this one saw.
    fn right(&self, at: usize, last: Option<usize>) -> bool {
        self.0[at].saw.is_none_or(|saw| saw == last.and_then(|last| self.0[last].wrote).unwrap_or(0))
    }

    /// Whether there is an order of a set of operations, each behind what must come before it, in which everybody of
    /// `seeing` saw what was written last.
    fn orderable(&self, of: Set, before: &[Set], seeing: Set) -> bool {
        self.place(of, before, seeing, &mut Vec::new())
    }

    fn place(&self, left: Set, before: &[Set], seeing: Set, placed: &mut Vec<usize>) -> bool {
        if left == 0 {
            return true;
        }
        self.all().any(|at| {
            let last = placed.iter().copied().rev();
            let mut last = last.filter(|other| self.0[*other].key == self.0[at].key);
            let last = last.find(|other| self.0[*other].wrote.is_some());
            if left & 1 << at == 0 || left & before[at] != 0 || seeing & 1 << at != 0 && !self.right(at, last)
            {
                return false;
            }
            placed.push(at);
            let found = self.place(left & !(1 << at), before, seeing, placed);
            placed.pop();
            found
        })
    }

    fn sessions(&self) -> Vec<Set> {
        self.all().map(|at| self.before_in_session(at)).collect()
    }

    /// One order of everything.
    pub fn sequential(&self) -> bool {
        let all = (1 << self.0.len()) - 1;
        self.orderable(all, &self.sessions(), all)
    }

    /// For every session an order of its operations and of all writes.
    pub fn pram(&self) -> bool {
        let writes = self.all().filter(|at| self.0[*at].wrote.is_some()).fold(0, |set, at| set | 1 << at);
        let sessions = self.all().map(|at| self.0[at].session).max().map_or(0, |most| most + 1);
        (0..sessions).all(|session| {
            let own = self.all().filter(|at| self.0[*at].session == session);
            let own = own.fold(0, |set, at| set | 1 << at);
            self.orderable(own | writes, &self.sessions(), own)
        })
    }

    /// Session order and reads-from, transitively; none if it goes round in a circle.
    fn smallest_causal_order(&self) -> Option<Vec<Set>> {
        let mut past = self.sessions();
        for at in self.all() {
            if let Some(Some(writer)) = self.writer(at) {
                past[at] |= 1 << writer;
            }
        }
        closed(past)
    }

    /// For every operation an order of its past in which it saw what was written last.
    fn causal_by(&self, past: &[Set]) -> bool {
        self.all().all(|at| self.orderable(past[at] | 1 << at, past, 1 << at))
    }

    /// One order of everything in which every operation saw what was written last of what is in its past.
    fn convergent_by(&self, past: &[Set]) -> bool {
        self.arbitrate((1 << self.0.len()) - 1, past, &mut Vec::new())
    }

    fn arbitrate(&self, left: Set, past: &[Set], placed: &mut Vec<usize>) -> bool {
        if left == 0 {
            return true;
        }
        self.all().any(|at| {
            if left & 1 << at == 0 || left & past[at] != 0 {
                return false;
            }
            // All of its past is placed by now.
            let last = placed.iter().copied().rev().find(|other| {
                past[at] & 1 << other != 0
                    && self.0[*other].key == self.0[at].key
                    && self.0[*other].wrote.is_some()
            });
            if !self.right(at, last) {
                return false;
            }
            placed.push(at);
            let found = self.arbitrate(left & !(1 << at), past, placed);
            placed.pop();
            found
        })
    }

    pub fn causal(&self) -> bool {
        self.smallest_causal_order().is_some_and(|past| self.causal_by(&past))
    }

    pub fn convergent(&self) -> bool {
        self.smallest_causal_order().is_some_and(|past| self.convergent_by(&past))
    }

    /// Causal consistency and convergence by any causal order at all.
    pub fn by_any_causal_order(&self) -> (bool, bool) {
        let count = self.0.len();
        let pairs: Vec<(usize, usize)> = self
            .all()
            .flat_map(|one| self.all().map(move |other| (one, other)))
            .filter(|(one, other)| one != other && self.0[*one].session != self.0[*other].session)
            .collect();
        let (mut causal, mut convergent) = (false, false);
        for chosen in 0..1u32 << pairs.len() {
            let mut past = self.sessions();
            for (bit, (one, other)) in pairs.iter().enumerate() {
                if chosen & 1 << bit != 0 {
                    past[*other] |= 1 << one;
                }
            }
            // An order is transitive as it is chosen, or it is another choice.
            let Some(closed) = closed(past.clone()) else { continue };
            if closed != past {
                continue;
            }
            causal |= self.causal_by(&past);
            convergent |= self.convergent_by(&past);
            if causal && convergent {
                break;
            }
        }
        assert!(count <= 5, "that takes too long");
        (causal, convergent)
    }
}

/// The transitive closure of what comes before each; none if something comes before itself.
fn closed(mut past: Vec<Set>) -> Option<Vec<Set>> {
    for through in 0..past.len() {
        for at in 0..past.len() {
            if past[at] & 1 << through != 0 {
                past[at] |= past[through];
            }
        }
    }
    (0..past.len()).all(|at| past[at] & 1 << at == 0).then_some(past)
}
