//! Sequential consistency (Lamport, 1979): all operations have one order that keeps every session's own, and every read
//! sees the write before it. To know is NP-complete, even with reads-from known, so it is done in two steps.
//!
//! **Saturation** finds what any such order must contain (as in Zennou, Bouajjani, Enea, Erradi: Gradual consistency
//! checking, CAV 2019): session order, reads-from, and, where `r` saw `w` and `v` wrote the same key, `v` before `w` if `v`
//! comes before `r`, and `r` before `v` if `w` comes before `v`; until nothing is new. A circle is a proof that there is
//! no order.
//!
//! **Search** goes through the ways to run the sessions against each other, one operation at a time, without meeting the
//! same place twice (Biswas and Enea: On the complexity of checking transactional consistency, OOPSLA 2019). A read that
//! can be done is done at once; a write only when nobody is left who has to see what it overwrites, and everything that
//! must come before it is done. In the worst case its time is the number of operations to the power of that of sessions.

use rustc_hash::FxHashSet;

use super::causal::settled;
use super::clocks::Clocks;
use super::index::{AT_FIRST, Edges, Index};
use super::{Answer, Pattern, Spent};

/// How many steps are taken between two looks at the clock.
const STRIDE: usize = 1 << 10;

/// Judges all sessions together.
pub(super) fn judge(index: &Index<'_>, bytes: usize, over: &dyn Fn() -> bool) -> Answer {
    let readers = Readers::of(index);
    let mut edges = Edges::of(index.columns.len(), readers.before_first(index));
    loop {
        let Some(order) = index.order(&edges) else { return Answer::Broken(Pattern::NotSequential) };
        // A read that an edge leads from has a past of its own: at most every one.
        if 2 * Clocks::bytes(index) + 16 * edges.pairs().len() > bytes {
            return Answer::GaveUp(Spent::Memory);
        }
        let clocks = Clocks::of(index, &order, &edges);
        let mut pairs = match settled(index, &clocks, true, over) {
            Err(Answer::Broken(_)) => return Answer::Broken(Pattern::NotSequential),
            Err(answer) => return answer,
            Ok(pairs) => pairs,
        };
        readers.overtaken(index, &clocks, &mut pairs);
        if pairs.is_empty() {
            return Search::new(index, &clocks).run(bytes, over);
        }
        pairs.extend_from_slice(edges.pairs());
        edges = Edges::of(index.columns.len(), pairs);
    }
}

/// Who saw each write: of each session only the last one.
struct Readers {
    /// Pairs of a write, or [`AT_FIRST`] and the key, and a reader; sorted.
    of: Vec<((u32, u32), u32)>,
}

impl Readers {
    fn of(index: &Index<'_>) -> Self {
        let mut of: Vec<((u32, u32), u32)> = Vec::new();
        let seen = |at: usize| match index.saw[at] {
            AT_FIRST => Some((AT_FIRST, index.columns.key[at])),
            _ => index.writer(at).map(|writer| (writer, 0)),
        };
        of.extend((0..index.columns.len()).filter_map(|at| Some((seen(at)?, at as u32))));
        of.sort_unstable();
        // Those of one session stand together.
        of.dedup_by(|later, kept| {
            let same = later.0 == kept.0 && index.session[later.1 as usize] == index.session[kept.1 as usize];
            if same {
                *kept = *later;
            }
            same
        });
        Readers { of }
    }

    fn who(&self, what: (u32, u32)) -> impl Iterator<Item = u32> {
        let from = self.of.partition_point(|(of, _)| *of < what);
        self.of[from..].iter().take_while(move |(of, _)| *of == what).map(|(_, reader)| *reader)
    }

    /// Whoever saw what was there at first comes before every write to the key: before the first of each session.
    fn before_first(&self, index: &Index<'_>) -> Vec<(u32, u32)> {
        let mut pairs = Vec::new();
        for ((_, key), reader) in self.of.iter().filter(|((of, _), _)| *of == AT_FIRST) {
            for group in &index.groups[index.of_key(*key)] {
                let first = index.in_group(*group)[0];
                if first != *reader {
                    pairs.push((first, *reader));
                }
            }
        }
        pairs
    }

    /// Adds, for every write, whoever saw a write to the key that comes before it.
    fn overtaken(&self, index: &Index<'_>, clocks: &Clocks, pairs: &mut Vec<(u32, u32)>) {
        for write in &index.writes {
            let past = clocks.past(*write);
            for group in &index.groups[index.of_key(index.columns.key[*write as usize])] {
                let bound = past[group.session as usize]
                    .min(if group.session == index.session[*write as usize] { *write } else { u32::MAX });
                let Some(last) = index.last_before(*group, bound) else { continue };
                let new = |reader: &u32| {
                    *reader != *write && past[index.session[*reader as usize] as usize] <= *reader
                };
                pairs.extend(self.who((last, 0)).filter(new).map(|reader| (*write, reader)));
            }
        }
    }
}

/// One way to run the sessions, so far.
struct Search<'a, 'c> {
    index: &'a Index<'c>,
    clocks: &'a Clocks,
    /// The next operation of each session.
    next: Vec<u32>,
    /// What each key holds.
    holds: Vec<u32>,
    /// How many have yet to see each write, and what each key holds at first.
    due: Vec<u32>,
    due_first: Vec<u32>,
    /// What was done, with what its key held before; to be taken back.
    done: Vec<(u32, u32)>,
    met: FxHashSet<Box<[u32]>>,
    bytes: usize,
}

/// A place in the search: how much was done by then, and which sessions can go on with a write.
struct Place {
    done: usize,
    left: Vec<u32>,
}

impl<'a, 'c> Search<'a, 'c> {
    fn new(index: &'a Index<'c>, clocks: &'a Clocks) -> Self {
        let keys = index.columns.key.iter().max().map_or(0, |most| *most as usize + 1);
        let mut search = Search {
            index,
            clocks,
            next: (0..index.sessions()).map(|session| index.columns.start(session)).collect(),
            holds: vec![AT_FIRST; keys],
            due: vec![0; index.columns.len()],
            due_first: vec![0; keys],
            done: Vec::with_capacity(index.columns.len()),
            met: FxHashSet::default(),
            bytes: 0,
        };
        for at in 0..index.columns.len() {
            if let Some(writer) = index.writer(at) {
                search.due[writer as usize] += 1;
            } else if index.saw[at] == AT_FIRST {
                search.due_first[index.columns.key[at] as usize] += 1;
            }
        }
        search
    }

    fn run(&mut self, bytes: usize, over: &dyn Fn() -> bool) -> Answer {
        self.read_all();
        let mut places = vec![Place { done: self.done.len(), left: self.writes() }];
        let mut steps = 0;
        while let Some(place) = places.last_mut() {
            if self.done.len() == self.index.columns.len() {
                return Answer::Kept;
            }
            steps += 1;
            if steps % STRIDE == 0 && over() {
                return Answer::GaveUp(Spent::Time);
            }
            if self.bytes > bytes {
                return Answer::GaveUp(Spent::Memory);
            }
            let done = place.done;
            let Some(session) = place.left.pop() else {
                places.pop();
                continue;
            };
            self.take_back(done);
            self.go_on(session as usize);
            self.read_all();
            if self.is_new() {
                places.push(Place { done: self.done.len(), left: self.writes() });
            }
        }
        Answer::Broken(Pattern::NotSequential)
    }

    /// The next operation of a session, if it has one left.
    fn head(&self, session: usize) -> Option<usize> {
        let next = self.next[session];
        (next < self.index.columns.start(session + 1)).then_some(next as usize)
    }

    fn due_of(&mut self, what: u32, key: usize) -> &mut u32 {
        if what == AT_FIRST { &mut self.due_first[key] } else { &mut self.due[what as usize] }
    }

    fn go_on(&mut self, session: usize) {
        let at = self.next[session] as usize;
        let key = self.index.columns.key[at] as usize;
        let held = self.holds[key];
        self.next[session] += 1;
        if self.sees(at) {
            *self.due_of(held, key) -= 1;
        }
        if self.index.is_write(at) {
            self.holds[key] = at as u32;
        }
        self.done.push((at as u32, held));
    }

    fn take_back(&mut self, done: usize) {
        while self.done.len() > done {
            let (at, held) = self.done.pop().expect("more than nothing is done");
            let key = self.index.columns.key[at as usize] as usize;
            self.holds[key] = held;
            if self.sees(at as usize) {
                *self.due_of(held, key) += 1;
            }
            self.next[self.index.session[at as usize] as usize] = at;
        }
    }

    fn sees(&self, at: usize) -> bool {
        self.index.writer(at).is_some() || self.index.saw[at] == AT_FIRST
    }

    /// Does every read that can be done. That never stands in the way of anything.
    fn read_all(&mut self) {
        let mut more = true;
        while std::mem::take(&mut more) {
            for session in 0..self.index.sessions() {
                while let Some(at) = self.head(session) {
                    let held = self.holds[self.index.columns.key[at] as usize];
                    if self.index.is_write(at) || self.index.saw[at] != held {
                        break;
                    }
                    self.go_on(session);
                    more = true;
                }
            }
        }
    }

    /// The sessions that can go on with a write, the one to be tried first last.
    fn writes(&mut self) -> Vec<u32> {
        let mut can: Vec<u32> = Vec::new();
        for session in 0..self.index.sessions() {
            let Some(at) = self.head(session).filter(|at| self.index.is_write(*at)) else { continue };
            let key = self.index.columns.key[at] as usize;
            let held = self.holds[key];
            let sees = self.sees(at);
            let others = *self.due_of(held, key) - u32::from(sees && self.index.saw[at] == held);
            let ready = || {
                let past = self.clocks.past(at as u32).iter().zip(&self.next).enumerate();
                past.into_iter().all(|(of, (past, next))| of == session || past <= next)
            };
            if others == 0 && (!sees || self.index.saw[at] == held) && ready() {
                can.push(session as u32);
            }
        }
        // The ones that are least far on: sessions went side by side when this was recorded.
        can.sort_by_key(|session| {
            std::cmp::Reverse(self.next[*session as usize] - self.index.columns.start(*session as usize))
        });
        can
    }

    /// Whether this place was never met: as far in every session, and what is still to be seen the same.
    fn is_new(&mut self) -> bool {
        let mut place = self.next.clone();
        let seen = self.holds.iter().enumerate().filter(|(key, held)| match **held {
            AT_FIRST => self.due_first[*key] > 0,
            held => self.due[held as usize] > 0,
        });
        place.extend(seen.flat_map(|(key, held)| [key as u32, *held]));
        let size = 4 * place.len() + 32;
        let new = self.met.insert(place.into_boxed_slice());
        if new {
            self.bytes += size;
        }
        new
    }
}
