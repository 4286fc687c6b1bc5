//! Operations on registers as columns, session by session: the key, the value it saw and the value it wrote, as numbers.
//!
//! Twelve bytes an operation. There is no time here: none of the models that are judged by these columns has any.

/// No value: it saw nothing, or wrote nothing.
pub(super) const NONE: u32 = u32::MAX;
/// What every register holds at first.
pub(super) const INITIAL: u32 = 0;

/// What sessions did to registers, each session in its own order. Values are numbers, each written once at most, no two
/// registers sharing one; 0 is what each holds at first. Memory goes by the largest key and the largest value.
///
/// ```
/// use schism_checker::weak::{Answer, Columns, Model, judge};
///
/// let mut columns = Columns::default();
/// columns.session();
/// columns.write(0, 1);
/// columns.write(0, 2);
/// columns.session();
/// columns.read(0, 2);
/// columns.read(0, 1);
/// assert!(matches!(judge(&columns, Model::Pram, usize::MAX, &|| false), Answer::Broken(_)), "time ran back");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Where each session begins.
    pub(super) starts: Vec<u32>,
    pub(super) key: Vec<u32>,
    pub(super) saw: Vec<u32>,
    pub(super) wrote: Vec<u32>,
}

impl Columns {
    /// Begins the next session: what follows is its operations, in its order.
    pub fn session(&mut self) {
        self.starts.push(self.len() as u32);
    }

    /// A read that saw this value.
    pub fn read(&mut self, key: u32, saw: u32) {
        self.push(key, saw, NONE);
    }

    /// A write of this value.
    pub fn write(&mut self, key: u32, wrote: u32) {
        self.push(key, NONE, wrote);
    }

    /// A change of one value to another, in one step.
    pub fn change(&mut self, key: u32, saw: u32, wrote: u32) {
        self.push(key, saw, wrote);
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.key.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.key.is_empty()
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.starts.len()
    }

    /// The sum of all columns: the least that looking at every operation can cost, for benches to measure a judge by.
    pub fn sum(&self) -> u64 {
        let columns = self.key.iter().zip(&self.saw).zip(&self.wrote);
        columns.map(|((key, saw), wrote)| u64::from(*key) + u64::from(*saw) + u64::from(*wrote)).sum()
    }

    fn push(&mut self, key: u32, saw: u32, wrote: u32) {
        assert!(!self.starts.is_empty(), "an operation belongs to a session");
        assert!(wrote != INITIAL, "the initial value is written by nobody");
        self.key.push(key);
        self.saw.push(saw);
        self.wrote.push(wrote);
    }

    /// Where a session begins, or after the last one where the operations end.
    pub(super) fn start(&self, session: usize) -> u32 {
        self.starts.get(session).copied().unwrap_or(self.len() as u32)
    }

    /// The operations of a session.
    pub(super) fn of_session(&self, session: usize) -> std::ops::Range<usize> {
        self.start(session) as usize..self.start(session + 1) as usize
    }

    /// Only those operations that are to be kept, and which those are. Sessions stay, even if nothing is left of them.
    pub(super) fn only(&self, keep: &[bool]) -> (Columns, Vec<usize>) {
        let (mut part, mut kept) = (Columns::default(), Vec::new());
        for session in 0..self.sessions() {
            part.session();
            for at in self.of_session(session).filter(|at| keep[*at]) {
                part.push(self.key[at], self.saw[at], self.wrote[at]);
                kept.push(at);
            }
        }
        (part, kept)
    }
}
