//! The versions of a register whose every value is written once: who wrote each, who saw it, and since when it is
//! certain that it had been there. What staleness and session guarantees are judged by.
//!
//! It finds reads of values nobody can have written by then. It says nothing about a key to which a value was written
//! twice, or on which other calls were made: that is a doubt. A write of unknown fate is a version only if somebody saw
//! it, directly or through a chain of cas; a failed one never is. A failed cas is no evidence here. Linear time.

use rustc_hash::FxHashMap;
use schism_history::{Call, History, Key, Operation, Outcome, Position, Time, Value};

use crate::verdict::{Anomaly, Doubt};

/// A place in the order of all events that knows its time, so that it can be moved by some nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i128);

impl Moment {
    /// Before every event: when the initial value was there.
    pub const START: Moment = Moment(i128::MIN);
    /// After every event: when a call of unknown fate ends.
    pub const NEVER: Moment = Moment(i128::MAX);

    fn new(time: Time, position: Position) -> Self {
        Moment(i128::from(time.0) << 32 | i128::from(position))
    }

    /// When an operation was invoked.
    pub fn invoked(operation: &Operation) -> Self {
        Moment::new(operation.invoked, operation.invoke)
    }

    /// When it completed, if that is known.
    pub fn completed(operation: &Operation) -> Self {
        if operation.complete == Position::MAX {
            return Moment::NEVER;
        }
        Moment::new(operation.completed, operation.complete)
    }

    /// Moved towards the start. By nothing it stays where it is; by more it is before all that happened at its new time,
    /// so that what bears the same stamp is concurrent with it.
    pub fn earlier(self, nanos: u64) -> Self {
        match nanos {
            0 => self,
            _ if self == Moment::START => self,
            nanos => Moment(((self.0 >> 32) - i128::from(nanos)) << 32),
        }
    }

    /// How many nanoseconds it has to be moved towards the start until `other` is not before it any more.
    pub fn nanos_after(self, other: Moment) -> u64 {
        if self <= other {
            return 0;
        }
        u64::try_from((self.0 >> 32) - (other.0 >> 32)).map_or(u64::MAX, |nanos| nanos.max(1))
    }
}

/// One value of a register.
#[derive(Debug)]
pub struct Version<'h> {
    pub value: &'h Value,
    /// The call that wrote it; none for the initial value.
    pub writer: Option<usize>,
    /// Whether it was certainly there: acknowledged, seen, or left by a cas that happened.
    pub happened: bool,
    /// When its write was invoked.
    pub call: Moment,
    /// When it had certainly been there: at the acknowledgement, or at the end of the first call that saw it.
    pub done: Moment,
    /// The operation whose end shows that.
    pub shown_by: Option<usize>,
    /// The reads that saw it, in the order of invocation.
    pub reads: Vec<usize>,
    /// The version it was made from, if a cas made it.
    pub from: Option<usize>,
}

impl Version<'_> {
    fn shown(&mut self, at: usize, operation: &Operation) {
        let moment = Moment::completed(operation);
        if moment < self.done {
            (self.done, self.shown_by) = (moment, Some(at));
        }
    }
}

/// One key and its versions, the initial one first, then in the order in which their writes were invoked.
#[derive(Debug)]
pub struct Register<'h> {
    pub key: &'h Key,
    pub versions: Vec<Version<'h>>,
}

/// The registers of a history that can be judged, what is wrong whatever the order of versions, and why others were left
/// out.
#[derive(Debug, Default)]
pub struct Registers<'h> {
    pub registers: Vec<Register<'h>>,
    pub anomalies: Vec<Anomaly>,
    pub doubts: Vec<Doubt>,
}

/// The registers of a history. `initial` is what each holds at first.
pub fn registers<'h>(history: &'h History, initial: &'h Value) -> Registers<'h> {
    let mut found = Registers::default();
    let mut at: FxHashMap<&Key, usize> = FxHashMap::default();
    let mut keys: Vec<(&Key, Vec<usize>)> = Vec::new();
    for (position, operation) in history.rows().iter().enumerate() {
        let key = operation.call.key();
        let slot = *at.entry(key).or_insert_with(|| {
            keys.push((key, Vec::new()));
            keys.len() - 1
        });
        keys[slot].1.push(position);
    }
    for (key, operations) in keys {
        let mut ledger = Ledger::new(history, key, initial);
        match ledger.take(&operations) {
            Ok(()) => {
                found.anomalies.append(&mut ledger.anomalies);
                found.registers.push(Register { key, versions: ledger.versions });
            }
            Err(doubt) => found.doubts.push(doubt),
        }
    }
    found
}

/// One key's versions while they are being found.
struct Ledger<'h> {
    history: &'h History,
    key: &'h Key,
    versions: Vec<Version<'h>>,
    ids: FxHashMap<&'h Value, usize>,
    /// Values whose write failed.
    failed: FxHashMap<&'h Value, usize>,
    anomalies: Vec<Anomaly>,
}

impl<'h> Ledger<'h> {
    fn new(history: &'h History, key: &'h Key, initial: &'h Value) -> Self {
        let first = Version {
            value: initial,
            writer: None,
            happened: true,
            call: Moment::START,
            done: Moment::START,
            shown_by: None,
            reads: Vec::new(),
            from: None,
        };
        Ledger {
            history,
            key,
            versions: vec![first],
            ids: FxHashMap::from_iter([(initial, 0)]),
            failed: FxHashMap::default(),
            anomalies: Vec::new(),
        }
    }

    fn take(&mut self, operations: &[usize]) -> Result<(), Doubt> {
        for at in operations {
            self.take_write(*at)?;
        }
        for at in operations {
            let operation = &self.history.rows()[*at];
            if let (Call::Read { .. }, Some(value)) = (&operation.call, operation.read())
                && let Some(version) = self.seen(*at, value)
            {
                self.versions[version].reads.push(*at);
                self.versions[version].shown(*at, operation);
                self.versions[version].happened = true;
            }
        }
        self.take_cas();
        Ok(())
    }

    fn take_write(&mut self, at: usize) -> Result<(), Doubt> {
        let operation = &self.history.rows()[at];
        let value = match &operation.call {
            Call::Read { .. } => return Ok(()),
            Call::Write { value, .. } | Call::Cas { to: value, .. } => value,
            other => {
                return Err(Doubt {
                    reason: format!("key {} was not judged: {other} is no call of a register", self.key),
                    hint: Some("judge this history with another checker".into()),
                });
            }
        };
        if matches!(operation.outcome, Outcome::Fail(_)) {
            self.failed.entry(value).or_insert(at);
            return Ok(());
        }
        if self.ids.insert(value, self.versions.len()).is_some() {
            return Err(Doubt {
                reason: format!("key {} was not judged: {value} was written to it more than once", self.key),
                hint: Some("write every value once".into()),
            });
        }
        let mut version = Version {
            value,
            writer: Some(at),
            happened: operation.outcome.is_ok(),
            call: Moment::invoked(operation),
            done: Moment::NEVER,
            shown_by: None,
            reads: Vec::new(),
            from: None,
        };
        version.shown(at, operation);
        self.versions.push(version);
        Ok(())
    }

    /// Joins what every cas that happened left to what it found. A cas of unknown fate happened if what it wrote did.
    fn take_cas(&mut self) {
        let mut next: Vec<usize> =
            (1..self.versions.len()).filter(|at| self.versions[*at].happened).collect();
        while let Some(to) = next.pop() {
            let Some(at) = self.versions[to].writer else { continue };
            let operation = &self.history.rows()[at];
            let Call::Cas { from, .. } = &operation.call else { continue };
            let Some(from) = self.seen(at, from) else { continue };
            self.versions[to].from = Some(from);
            self.versions[from].shown(at, operation);
            if !std::mem::replace(&mut self.versions[from].happened, true) {
                next.push(from);
            }
        }
        self.anomalies.sort_by_key(|anomaly| anomaly.culprit);
    }

    /// The version an operation saw, or an anomaly: nobody can have written it by then.
    fn seen(&mut self, at: usize, value: &'h Value) -> Option<usize> {
        let operation = &self.history.rows()[at];
        let what = format!("{} {} of key {}", who(operation), saw(operation, value), self.key);
        let (name, sentence, other) = match (self.ids.get(value), self.failed.get(value)) {
            (Some(version), _) => match self.versions[*version].writer {
                Some(writer) if operation.precedes(&self.history.rows()[writer]) => {
                    let began = self.history.rows()[writer].invoked;
                    (
                        "future read",
                        format!("{what}, but nobody began to write it before {began}."),
                        Some(writer),
                    )
                }
                _ => return Some(*version),
            },
            (None, Some(failed)) => {
                let writer = who(&self.history.rows()[*failed]);
                (
                    "aborted read",
                    format!("{what}, but its only write, by {writer}, had failed."),
                    Some(*failed),
                )
            }
            (None, None) => ("thin-air read", format!("{what}, but nobody ever wrote it."), None),
        };
        let mut witness = Vec::from_iter(other);
        witness.push(at);
        witness.sort_unstable();
        self.anomalies.push(Anomaly {
            name: name.into(),
            key: Some(self.key.clone()),
            sentences: vec![sentence],
            witness,
            culprit: Some(at),
            possible_states: Vec::new(),
            refused: Vec::new(),
            proof: Vec::new(),
        });
        None
    }
}

/// What an operation did with a value it found: `read 3 at 1.000 s`.
fn saw(operation: &Operation, value: &Value) -> String {
    match operation.call {
        Call::Cas { .. } => format!("changed {value}, beginning at {},", operation.invoked),
        _ => format!("read {value} at {}", operation.completed),
    }
}

/// The process and, where known, its node.
pub fn who(operation: &Operation) -> String {
    match &operation.node {
        Some(node) => format!("{} on {node}", operation.process),
        None => operation.process.to_string(),
    }
}
