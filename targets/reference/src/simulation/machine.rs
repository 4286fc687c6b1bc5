//! One simulated machine: the node that runs on it, its disk, its clocks, and whether it runs at all.
//!
//! What a node wants written is durable a while later, in order; what it sends and answers leaves only then. A crash in
//! between keeps any prefix of what was being written, and nothing is sent.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::queue::Micros;
use super::world::Delivery;
use crate::protocol::{Clock, DiskWrite, Output, Protocol, Recovered, Ticket};
use crate::random::Random;

/// The time of day when the simulation starts.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// A machine.
pub(super) struct Machine<P: Protocol> {
    /// The node; `None` while it is down.
    pub node: Option<P>,
    /// Counts its lives: what was planned for an earlier one is void.
    pub life: u64,
    pub clocks: Clocks,
    pub disk: Disk<P>,
    /// Outputs that wait for their writes, with the time when they are durable.
    pub outbox: VecDeque<(Micros, Output<P>)>,
    /// What arrived while it was paused.
    pub held: Vec<Delivery<P::Message>>,
    pub is_paused: bool,
    /// It crashes during its next write.
    pub is_doomed: bool,
    /// Which client's try waits for which ticket.
    pub waiting: BTreeMap<Ticket, (usize, u64)>,
    pub next_ticket: u64,
}

/// What is read of a message or a record after it was written: as much as the runtime's encoding keeps.
///
/// # Panics
/// If it cannot be encoded or is not understood: in a real cluster it would be lost.
pub(super) fn written<T: Serialize + DeserializeOwned>(told: &T) -> T {
    let bytes = serde_json::to_vec(told).expect("what nodes say can be encoded");
    serde_json::from_slice(&bytes).expect("what nodes say is understood")
}

/// A machine's clocks.
#[derive(Default)]
pub(super) struct Clocks {
    /// How much too fast they run, in millionths.
    pub drift_ppm: i64,
    /// How much is added to the time of day, in microseconds.
    pub jumped: i64,
    /// The monotonic clock when the drift was set last, and when that was.
    since: (Micros, Micros),
}

impl Clocks {
    pub(super) fn read(&self, now: Micros) -> Clock {
        let monotonic = self.monotonic(now);
        let wall = EPOCH + Duration::from_micros(monotonic);
        let jump = Duration::from_micros(self.jumped.unsigned_abs());
        let wall = if self.jumped < 0 { wall.saturating_sub(jump) } else { wall + jump };
        Clock { monotonic: Duration::from_micros(monotonic), wall }
    }

    pub(super) fn set_drift(&mut self, now: Micros, ppm: i64) {
        self.since = (self.monotonic(now), now);
        self.drift_ppm = ppm;
    }

    fn monotonic(&self, now: Micros) -> Micros {
        let (shown, at) = self.since;
        let passed = (now - at) as i64;
        shown + (passed + passed * self.drift_ppm / 1_000_000).max(0) as u64
    }
}

/// A machine's disk.
pub(super) struct Disk<P: Protocol> {
    snapshot: Option<P::Snapshot>,
    records: Vec<P::Record>,
    /// Written but lost in a crash; only with the bug `ack-before-fsync`.
    buffered: Vec<DiskWrite<P::Record, P::Snapshot>>,
}

impl<P: Protocol> Disk<P> {
    fn make_durable(&mut self, writes: impl IntoIterator<Item = DiskWrite<P::Record, P::Snapshot>>) {
        for write in writes {
            match write {
                DiskWrite::Append(record) => self.records.push(record),
                DiskWrite::Snapshot(snapshot) => {
                    self.snapshot = Some(snapshot);
                    self.records.clear();
                }
            }
        }
    }

    pub(super) fn write(&mut self, writes: Vec<DiskWrite<P::Record, P::Snapshot>>, is_buffered: bool) {
        if is_buffered {
            self.buffered.extend(writes);
        } else {
            self.make_durable(writes);
        }
    }

    /// The buffer reaches the disk.
    pub(super) fn sync(&mut self) {
        let writes = std::mem::take(&mut self.buffered);
        self.make_durable(writes);
    }

    pub(super) fn recover(&self) -> Recovered<P> {
        Recovered {
            snapshot: self.snapshot.as_ref().map(written),
            records: self.records.iter().map(written).collect(),
        }
    }
}

impl<P: Protocol> Machine<P> {
    pub(super) fn new() -> Self {
        Machine {
            node: None,
            life: 0,
            clocks: Clocks::default(),
            disk: Disk { snapshot: None, records: Vec::new(), buffered: Vec::new() },
            outbox: VecDeque::new(),
            held: Vec::new(),
            is_paused: false,
            is_doomed: false,
            waiting: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    /// It dies here and now. Gives back who waited for an answer.
    pub(super) fn crash(&mut self, random: &mut Random) -> Vec<(usize, u64)> {
        self.node = None;
        self.life += 1;
        self.is_doomed = false;
        self.held.clear();
        self.disk.buffered.clear();
        let underway: Vec<_> = self.outbox.drain(..).flat_map(|(_, output)| output.disk).collect();
        let kept = random.between(0, underway.len() as u64) as usize;
        self.disk.make_durable(underway.into_iter().take(kept));
        std::mem::take(&mut self.waiting).into_values().collect()
    }
}
