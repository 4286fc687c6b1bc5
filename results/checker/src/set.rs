//! Accounting of a grow-only set: every element is added once, and reads return the whole set.
//!
//! Finds, per key and element: **lost** (known to be in the set, absent from a read that began afterwards, and in no read
//! that could be later), **stale** (the same, but it came back), **unexpected** (read although nobody had added it) and
//! **duplicated** (twice in one read). An element is known to be in the set once its add was acknowledged or a read that
//! saw it completed, whichever came first. Those are the outcomes of Jepsen's `set-full`, with two differences: duplicates
//! are really reported, and an element counts as lost only if every read that saw it was over before the read that missed
//! it began; where the two reads overlap, nothing more than a stale read is proven.
//!
//! Cannot find: two reads that each saw an add the other missed, both adds being still unacknowledged; removals.
//! Linear in the total size of all reads, plus a binary search an element; 4 bytes an element read.

mod sums;
mod tell;

use rustc_hash::FxHashMap;
use schism_history::{CallKind, Columns, History, Key, Operation, Position, Status, Time, Value};

use self::sums::Sums;
use self::tell::who;
use crate::parts::{self, ByParts, Concluded, Found, Part};
use crate::verdict::{Anomaly, Budget, Checker, Doubt, Judgement};

/// How many elements of one kind an anomaly names.
const NAMED: usize = 5;

/// The judge of a set under [`CallKind::Add`] and whole-set [`CallKind::Read`].
#[derive(Clone, Copy, Debug)]
pub struct SetFull {
    /// Whether reads must be linearizable: then a stale read is an anomaly, else only a count.
    pub linearizable: bool,
}

impl Default for SetFull {
    fn default() -> Self {
        SetFull { linearizable: true }
    }
}

impl Checker for SetFull {
    fn name(&self) -> &'static str {
        "set"
    }

    fn check(&self, history: &History, budget: Budget<'_>) -> Judgement {
        parts::whole(Box::new(InParts::new(self.linearizable)), history, budget)
    }

    fn by_parts(&self) -> Option<Box<dyn ByParts + '_>> {
        Some(Box::new(InParts::new(self.linearizable)))
    }
}

/// What is known after some parts.
struct InParts {
    linearizable: bool,
    sums: Sums,
    doubts: Vec<Doubt>,
    found: Found<Kind>,
}

impl InParts {
    fn new(linearizable: bool) -> Self {
        let found = Found::with_most(usize::MAX);
        InParts { linearizable, sums: Sums::default(), doubts: Vec::new(), found }
    }
}

impl ByParts for InParts {
    fn take(&mut self, part: &Part<'_>, budget: Budget<'_>) {
        let mut anomalies = Vec::new();
        for key in keys(part.history) {
            match Accounts::of(part.history, &key, budget) {
                Ok(accounts) => {
                    accounts.judge(self.linearizable, &mut self.sums, &mut anomalies, &mut self.doubts)
                }
                Err(doubt) => self.doubts.push(doubt),
            }
        }
        if part.cut.is_some() && !self.linearizable {
            // What the operations read miss, later ones may have.
            anomalies.retain(|(kind, _)| *kind != Kind::Lost);
        }
        self.doubts.extend(part.doubt());
        self.found.take(part, anomalies, 0);
    }

    fn conclude(mut self: Box<Self>) -> Concluded {
        let (anomalies, _, cited) = self.found.conclude();
        self.doubts.extend(self.sums.doubts());
        let about = if self.linearizable { "linearizable set" } else { "set that keeps every element" };
        let judgement = self.sums.facts(Judgement::new("set", about, anomalies, self.doubts));
        Concluded { judgement, cited }
    }
}

/// What can be wrong with an element, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Lost,
    Unexpected,
    Duplicated,
    Stale,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Lost => "lost element",
            Kind::Unexpected => "unexpected element",
            Kind::Duplicated => "duplicated element",
            Kind::Stale => "stale read",
        }
    }

    fn in_all(self, count: usize) -> String {
        match self {
            Kind::Lost => format!("{count} elements were lost in all"),
            Kind::Unexpected => format!("{count} elements were unexpected in all"),
            Kind::Duplicated => format!("{count} elements were read twice in all"),
            Kind::Stale => format!("{count} elements were missed by some read in all"),
        }
    }
}

/// The operations on one key, by their places in the history, in the order of invocation.
struct OfKey<'h> {
    key: &'h Key,
    adds: Vec<usize>,
    reads: Vec<usize>,
    foreign: Option<usize>,
}

/// The keys used as sets: those somebody added to, and those where a read saw elements without any add.
fn keys(history: &History) -> Vec<OfKey<'_>> {
    let columns = history.columns();
    let of_key = |key| OfKey { key, adds: Vec::new(), reads: Vec::new(), foreign: None };
    // Keys are numbered in the order of first use.
    let mut keys: Vec<OfKey<'_>> = columns.keys().iter().map(of_key).collect();
    for position in 0..columns.len() {
        let of = &mut keys[columns.key()[position] as usize];
        match columns.kind()[position] {
            CallKind::Add => of.adds.push(position),
            CallKind::Read if columns.status()[position] == Status::Answered => of.reads.push(position),
            CallKind::Read => {}
            _ => of.foreign = of.foreign.or(Some(position)),
        }
    }
    let sees = |position: &usize| match seen(columns, *position) {
        Value::List(items) => !items.is_empty(),
        _ => false,
    };
    keys.retain(|of| !of.adds.is_empty() || of.foreign.is_none() && of.reads.iter().any(sees));
    keys
}

/// What an answered read saw.
fn seen(columns: &Columns, position: usize) -> &Value {
    &columns.values()[columns.answer()[position] as usize]
}

/// What is known of one element. Operations are places in the history; reads are places in [`Accounts::reads`].
struct Element<'h> {
    value: &'h Value,
    adds: u32,
    /// The first add that may have happened.
    add: Option<usize>,
    /// An add that certainly did not happen.
    failed: Option<usize>,
    /// The add acknowledged first.
    acknowledged: Option<usize>,
    /// The reads that saw it and completed first and last.
    first_seen: Option<usize>,
    last_seen: Option<usize>,
    /// The first read that saw it twice.
    twice: Option<usize>,
    /// The reads below this place that began after the element was known are accounted for.
    cursor: usize,
    /// The first and the last read that began after it was known and missed it.
    missed: Option<(usize, usize)>,
}

impl<'h> Element<'h> {
    fn new(value: &'h Value) -> Self {
        Element {
            value,
            adds: 0,
            add: None,
            failed: None,
            acknowledged: None,
            first_seen: None,
            last_seen: None,
            twice: None,
            cursor: 0,
            missed: None,
        }
    }

    fn miss(&mut self, from: usize, until: usize) {
        let first = self.missed.map_or(from, |(first, _)| first);
        self.missed = Some((first, until - 1));
    }
}

/// The accounts of one key.
struct Accounts<'h> {
    history: &'h History,
    key: &'h Key,
    reads: Vec<usize>,
    elements: Vec<Element<'h>>,
    doubts: Vec<Doubt>,
    last_size: usize,
}

impl<'h> Accounts<'h> {
    fn of(history: &'h History, of: &OfKey<'h>, budget: Budget<'_>) -> Result<Self, Doubt> {
        let mut accounts = Accounts {
            history,
            key: of.key,
            reads: Vec::with_capacity(of.reads.len()),
            elements: Vec::with_capacity(of.adds.len()),
            doubts: Vec::new(),
            last_size: 0,
        };
        let mut ids: FxHashMap<&'h Value, u32> = FxHashMap::default();
        accounts.take_adds(&of.adds, &mut ids);
        let seen = accounts.take_reads(&of.reads, &mut ids, budget)?;
        accounts.find_misses(&seen);
        if let Some(position) = of.foreign {
            accounts.doubts.push(Doubt {
                reason: format!(
                    "{} of key {} is no call of a set, and is not understood here",
                    accounts.operation(position).call,
                    of.key
                ),
                hint: Some("judge this history with another checker".into()),
            });
        }
        Ok(accounts)
    }

    /// For sentences: whatever is asked of every operation is asked of the columns.
    fn operation(&self, position: usize) -> Operation {
        self.history.operation(position)
    }

    fn invoke(&self, position: usize) -> Position {
        self.history.columns().invoke()[position]
    }

    fn complete(&self, position: usize) -> Position {
        self.history.columns().complete()[position]
    }

    fn invoked(&self, position: usize) -> Time {
        Time(self.history.columns().invoked()[position])
    }

    /// When an answered operation was over.
    fn completed(&self, position: usize) -> Time {
        Time(self.history.columns().ended()[position])
    }

    fn id(&mut self, value: &'h Value, ids: &mut FxHashMap<&'h Value, u32>) -> u32 {
        *ids.entry(value).or_insert_with(|| {
            self.elements.push(Element::new(value));
            u32::try_from(self.elements.len() - 1).expect("fewer elements than events")
        })
    }

    fn take_adds(&mut self, adds: &[usize], ids: &mut FxHashMap<&'h Value, u32>) {
        for position in adds {
            let columns = self.history.columns();
            let value = &columns.values()[columns.argument()[*position] as usize];
            let id = self.id(value, ids) as usize;
            let acknowledged = self.elements[id].acknowledged.map(|at| self.complete(at));
            let (status, complete) = (columns.status()[*position], self.complete(*position));
            let element = &mut self.elements[id];
            element.adds += 1;
            match status {
                Status::Fail => element.failed = element.failed.or(Some(*position)),
                _ => element.add = element.add.or(Some(*position)),
            }
            if status.is_ok() && acknowledged.is_none_or(|first| complete < first) {
                element.acknowledged = Some(*position);
            }
        }
    }

    /// Notes who saw what first and last, and returns the elements of each read as numbers, one list after another.
    fn take_reads(
        &mut self,
        reads: &[usize],
        ids: &mut FxHashMap<&'h Value, u32>,
        budget: Budget<'_>,
    ) -> Result<Vec<Vec<u32>>, Doubt> {
        let mut all: Vec<Vec<u32>> = Vec::with_capacity(reads.len());
        let mut room = budget.bytes / size_of::<u32>();
        // The place of the last read that saw each element, plus one.
        let mut stamps: Vec<u32> = Vec::new();
        for position in reads {
            let value = seen(self.history.columns(), *position);
            let Some(items) = value.elements() else {
                self.not_a_set(*position, value);
                continue;
            };
            room = room.checked_sub(items.len()).ok_or_else(|| spent(self.key, "memory", "--memory"))?;
            if (budget.over)() {
                return Err(spent(self.key, "time", "the time allowed for checking"));
            }
            let stamp = u32::try_from(self.reads.len() + 1).expect("fewer reads than events");
            let numbers: Vec<u32> = items.iter().map(|item| self.id(item, ids)).collect();
            stamps.resize(self.elements.len(), 0);
            for id in &numbers {
                self.see(*id as usize, *position, stamps[*id as usize] == stamp);
                stamps[*id as usize] = stamp;
            }
            self.last_size = numbers.len();
            all.push(numbers);
            self.reads.push(*position);
        }
        Ok(all)
    }

    fn see(&mut self, id: usize, position: usize, again: bool) {
        let complete = self.complete(position);
        let first = self.elements[id].first_seen.map(|at| self.complete(at));
        let last = self.elements[id].last_seen.map(|at| self.complete(at));
        let element = &mut self.elements[id];
        if again {
            element.twice = element.twice.or(Some(position));
        }
        if first.is_none_or(|first| complete < first) {
            element.first_seen = Some(position);
        }
        if last.is_none_or(|last| complete > last) {
            element.last_seen = Some(position);
        }
    }

    fn not_a_set(&mut self, position: usize, value: &Value) {
        let read = self.operation(position);
        let (who, key) = (who(&read), self.key);
        self.doubts.push(Doubt {
            reason: format!("{who} read {value} of key {key} at {}: that is no set", read.completed),
            hint: Some("judge this history with another checker".into()),
        });
    }

    /// What makes it certain that the element was in the set from then on: its first acknowledgement or the end of the first read that saw it.
    fn known(&self, element: &Element<'_>) -> Option<usize> {
        let candidates = [element.acknowledged, element.first_seen];
        candidates.into_iter().flatten().min_by_key(|position| self.complete(*position))
    }

    /// The place of the first read that began after a position.
    fn first_read_after(&self, position: Position) -> usize {
        self.reads.partition_point(|read| self.invoke(*read) < position)
    }

    /// Walks once through all reads with a cursor an element: whatever lies between two sightings is a miss.
    fn find_misses(&mut self, seen: &[Vec<u32>]) {
        let cursors: Vec<usize> = self
            .elements
            .iter()
            .map(|element| match self.known(element) {
                Some(known) => self.first_read_after(self.complete(known)),
                None => self.reads.len(),
            })
            .collect();
        for (element, cursor) in self.elements.iter_mut().zip(cursors) {
            element.cursor = cursor;
        }
        for (place, numbers) in seen.iter().enumerate() {
            for id in numbers {
                let element = &mut self.elements[*id as usize];
                if place > element.cursor {
                    element.miss(element.cursor, place);
                }
                element.cursor = element.cursor.max(place + 1);
            }
        }
        let end = self.reads.len();
        for element in &mut self.elements {
            if element.cursor < end {
                element.miss(element.cursor, end);
            }
        }
    }

    /// The first read that began when the element was known and every read that ever saw it was over.
    fn lost_by(&self, element: &Element<'_>) -> Option<usize> {
        let known = self.complete(self.known(element)?);
        let seen = element.last_seen.map_or(0, |at| self.complete(at));
        self.reads.get(self.first_read_after(known.max(seen))).copied()
    }

    /// The read that saw an element nobody can have added, if there is one: the first to see it.
    fn unexpected_in(&self, element: &Element<'_>) -> Option<usize> {
        let seen = element.first_seen?;
        match element.add {
            Some(add) if self.complete(seen) >= self.invoke(add) => None,
            _ => Some(seen),
        }
    }

    fn judge(
        mut self,
        linearizable: bool,
        sums: &mut Sums,
        anomalies: &mut Vec<(Kind, Anomaly)>,
        doubts: &mut Vec<Doubt>,
    ) {
        let mut found: [Vec<(&Element<'_>, usize)>; 4] = Default::default();
        sums.in_last_reads += self.last_size;
        for element in &self.elements {
            sums.attempted += usize::from(element.adds > 0);
            sums.acknowledged += usize::from(element.acknowledged.is_some());
            if let Some(read) = element.twice {
                if element.adds > 1 {
                    sums.added_again += 1;
                } else {
                    found[Kind::Duplicated as usize].push((element, read));
                }
            }
            if let Some(read) = self.unexpected_in(element) {
                found[Kind::Unexpected as usize].push((element, read));
                continue;
            }
            let seen = element.first_seen.is_some();
            sums.recovered += usize::from(seen && element.acknowledged.is_none());
            if let Some(read) = self.lost_by(element) {
                let last = element.last_seen.or_else(|| self.known(element));
                let last = last.map_or(Time(0), |at| self.completed(at));
                sums.lost_after(self.invoked(read).since(last));
                found[Kind::Lost as usize].push((element, read));
            } else if let Some((first, last)) = element.missed {
                let known = self.known(element).map_or(Time(0), |at| self.completed(at));
                sums.stale_for(self.invoked(self.reads[last]).since(known));
                found[Kind::Stale as usize].push((element, self.reads[first]));
            } else if element.acknowledged.is_some() && !seen {
                sums.never_read += 1;
            }
        }
        sums.lost += found[Kind::Lost as usize].len();
        sums.unexpected += found[Kind::Unexpected as usize].len();
        sums.duplicated += found[Kind::Duplicated as usize].len();
        sums.stale += found[Kind::Stale as usize].len();
        for kind in [Kind::Lost, Kind::Unexpected, Kind::Duplicated, Kind::Stale] {
            let found = &found[kind as usize];
            if !found.is_empty() && (kind != Kind::Stale || linearizable) {
                anomalies.push((kind, self.anomaly(kind, found)));
            }
        }
        doubts.append(&mut self.doubts);
    }

    /// All elements of one kind in one anomaly: the first told in full, the next few by name, the rest by number.
    fn anomaly(&self, kind: Kind, found: &[(&Element<'_>, usize)]) -> Anomaly {
        let (element, read) = found[0];
        let mut sentences = match kind {
            Kind::Lost => self.tell_lost(element, read),
            Kind::Stale => self.tell_stale(element, read),
            Kind::Unexpected => vec![self.tell_unexpected(element, read)],
            Kind::Duplicated => {
                let operation = self.operation(read);
                vec![format!("{} read {} twice at {}.", who(&operation), element.value, operation.completed)]
            }
        };
        if found.len() > 1 {
            let mut names: Vec<String> =
                found.iter().take(NAMED).map(|(element, _)| element.value.to_string()).collect();
            if found.len() > NAMED {
                names.push("…".into());
            }
            sentences.push(format!("{}: {}.", kind.in_all(found.len()), names.join(", ")));
        }
        let mut witness = vec![read];
        witness.extend(element.acknowledged.or(element.add).or(element.failed));
        if matches!(kind, Kind::Lost | Kind::Stale) {
            witness.extend(self.known(element));
            witness.extend(element.last_seen);
        }
        witness.sort_unstable();
        witness.dedup();
        Anomaly {
            name: kind.name().into(),
            key: Some(self.key.clone()),
            sentences,
            witness,
            culprit: Some(read),
            possible_states: Vec::new(),
            refused: Vec::new(),
            proof: Vec::new(),
        }
    }
}

fn spent(key: &Key, what: &str, knob: &str) -> Doubt {
    Doubt {
        reason: format!("the {what} allowed was used up before key {key} was judged"),
        hint: Some(format!("raise {knob}")),
    }
}

#[cfg(test)]
mod tests;
