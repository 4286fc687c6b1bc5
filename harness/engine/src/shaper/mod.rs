//! The shaper: decides for every packet of a link that is not well whether, when and how it arrives. Pure: time and packets
//! come in, decisions come out, and chance comes from a seed, so that the same packets at the same times meet the same fate.
//!
//! Each direction of a link has its own stream of chance and is a line with a fixed order of stations: it may be down or
//! closed to a port, refuse what is too long, lose packets, let them wait for their turn where it is narrow, delay them,
//! let others overtake them, double and change them, and swallow them at the far end. It knows nothing of sockets: a source hands packets in and does with
//! them what comes out. What it cannot do is hold a packet that its source does not hold.

mod draw;
mod swallow;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::cluster::Pair;
use crate::link::{Cut, Link, Traffic};
use crate::random::Random;
use draw::{Losses, delay};
pub use swallow::{ACK, FIN, Numbers, RST, SYN, Segment};
use swallow::{Met, Swallowing};

/// A packet that would have to wait longer than this for its turn on a narrow link is lost instead, as in a full router.
const PATIENCE: Duration = Duration::from_millis(250);

/// What has to be known of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Whose it is, and for whom.
    pub pair: Pair,
    /// Its length in bytes, from the IP header on.
    pub length: usize,
    /// How much of that is the application's: what is behind the TCP or UDP header. Only that is ever changed.
    pub payload: usize,
    /// The ports it comes from and goes to, if it has any.
    pub ports: Option<[u16; 2]>,
    /// Its head, if it is TCP's.
    pub segment: Option<Segment>,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is lost.
    Lost,
    /// It is lost, and its sender told otherwise.
    Swallowed {
        /// What its sender gets for an answer.
        answer: Option<Segment>,
    },
    /// It goes on its way.
    Passed {
        /// It is changed before.
        changed: Option<Change>,
        /// It has these numbers instead of its own, as something is missing that its receiver shall not learn of.
        numbers: Option<Numbers>,
    },
    /// It is on its way already, and a copy follows it.
    Copied {
        /// How it was changed, and so is the copy.
        changed: Option<Change>,
    },
}

/// For what a packet is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its link is cut in this way.
    Cut(Cut),
    /// A port is closed.
    Port,
    /// The byte is over behind which its link is cut.
    Byte,
    /// Its link is down for the moment.
    Flap,
    /// It is too long.
    Mtu,
    /// Chance, or its number.
    Loss,
    /// Too much waits already.
    Rate,
}

/// A packet whose time has come, and what was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released<T> {
    /// How its source finds it again.
    pub ticket: T,
    /// Whose it is, and for whom.
    pub pair: Pair,
    /// What becomes of it.
    pub fate: Fate,
    /// For what it is lost, if it is.
    pub lost_by: Option<Cause>,
    /// How long ago it came.
    pub held: Duration,
    /// Whether a delay was part of that.
    pub delayed: bool,
    /// Whether a narrow link was.
    pub waited: bool,
    /// Whether it was held back so that others overtake.
    pub overtaken: bool,
}

/// What is changed in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// One bit of its payload is turned over.
    Flip {
        /// Which, counted from the beginning of the payload.
        bit: usize,
        /// Whether the checksum is made right again, so that nobody below the application notices.
        evading: bool,
    },
    /// No more than so many bytes of its payload are left.
    Shorten(usize),
}

impl Fate {
    /// It goes on its way as it is.
    pub const UNTOUCHED: Fate = Fate::Passed { changed: None, numbers: None };
}

/// One direction of a link.
struct Line {
    link: Link,
    random: Random,
    losses: Losses,
    traffic: Traffic,
    /// When it became as it is: a flapping link is down first.
    since: Duration,
    /// How many bytes have been sent over it since it was to be cut behind one.
    sent: u64,
    /// Until when a narrow link is busy.
    busy: Duration,
    /// When the last packet arrives that is not to be overtaken.
    last: Duration,
}

/// What is decided about a packet when it comes.
struct Decision {
    /// When its time comes.
    due: Duration,
    fate: Fate,
    /// How much later a copy comes, if one does.
    copied: Option<Duration>,
    why: Why,
}

/// What for: see [`Released`].
#[derive(Clone, Copy, Default)]
struct Why {
    lost_by: Option<Cause>,
    delayed: bool,
    waited: bool,
    overtaken: bool,
}

/// A packet that is on its way. Ordered by when it is due, then by when it came.
struct Held<T> {
    due: Duration,
    number: u64,
    pair: Pair,
    arrived: Duration,
    why: Why,
    fate: Fate,
    segment: Option<Segment>,
    ticket: T,
}

/// The shaper of a cluster, or of one node's end of it. `T` is how its source finds a packet again.
pub struct Shaper<T> {
    seed: u64,
    lines: BTreeMap<Pair, Line>,
    swallowing: Swallowing,
    held: BinaryHeap<Reverse<Held<T>>>,
    number: u64,
}

impl<T: Clone> Shaper<T> {
    /// With all links well.
    pub fn new(seed: u64) -> Self {
        let (lines, swallowing, held) = (BTreeMap::new(), Swallowing::default(), BinaryHeap::new());
        Shaper { seed, lines, swallowing, held, number: 0 }
    }

    /// Makes exactly these links as bad as this, from now on. Of the links that are well again every packet is due at once,
    /// and what is on its way on one that is cut will be lost. What comes out is to be sent after that: resets of connections that
    /// cannot go on, as a link that no longer swallows has swallowed some of them.
    pub fn desire(&mut self, now: Duration, links: &BTreeMap<Pair, Link>) -> Vec<Segment> {
        for pair in links.keys() {
            if !self.lines.contains_key(pair) {
                let random = Random::of(self.seed, &format!("link {} {}", pair.0, pair.1));
                self.lines.insert(*pair, Line::new(random));
            }
        }
        for (pair, line) in &mut self.lines {
            line.turn(now, links.get(pair).cloned().unwrap_or_default());
        }
        let held = std::mem::take(&mut self.held);
        let well = |pair: &Pair| self.lines.get(pair).is_none_or(|line| line.link == Link::default());
        self.held = held
            .into_iter()
            .map(|Reverse(one)| Reverse(Held { due: if well(&one.pair) { now } else { one.due }, ..one }))
            .collect();
        let Shaper { lines, swallowing, .. } = self;
        swallowing.end(|pair| swallows(lines, pair))
    }

    /// Takes a packet in. What is to become of it comes out of [`Shaper::due`] when its time has come, which may be at once.
    /// The ticket is asked for with whether its source will need the packet's bytes.
    pub fn arrive(&mut self, now: Duration, packet: &Packet, ticket: impl FnOnce(bool) -> T) {
        let Decision { due, fate, copied, why } = match self.lines.get_mut(&packet.pair) {
            Some(line) => line.decide(now, packet),
            None => Decision { due: now, fate: Fate::UNTOUCHED, copied: None, why: Why::default() },
        };
        let told_otherwise =
            packet.segment.is_some() && swallows(&self.lines, (packet.pair.1, packet.pair.0));
        let touched = copied.is_some() || told_otherwise || !matches!(fate, Fate::Lost | Fate::UNTOUCHED);
        let ticket = ticket(touched || swallows(&self.lines, packet.pair));
        let (number, pair, segment) = (self.number + 1, packet.pair, packet.segment);
        let held = Held { due, number, pair, arrived: now, why, fate, segment, ticket };
        self.number += 2;
        if let (Some(by), Fate::Passed { changed, .. }) = (copied, fate) {
            let (due, ticket) = (due + by, held.ticket.clone());
            let (number, fate) = (number + 1, Fate::Copied { changed });
            let why = Why::default();
            self.held.push(Reverse(Held { due, number, why, fate, ticket, ..held }));
        }
        self.held.push(Reverse(held));
    }

    /// The next packet whose time has come, and what becomes of it.
    pub fn due(&mut self, now: Duration) -> Option<Released<T>> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse(mut one) = self.held.pop()?;
        let swallowed = swallows(&self.lines, one.pair);
        let back = (one.pair.1, one.pair.0);
        let told_otherwise = swallows(&self.lines, back);
        if let Some(line) = self.lines.get_mut(&one.pair) {
            if line.link.is_stopped() && one.fate != Fate::Lost {
                line.traffic.cut += 1;
                // Of a copy there is nothing that its source would have to lose.
                if matches!(one.fate, Fate::Copied { .. }) {
                    return self.due(now);
                }
                (one.fate, one.why) = (Fate::Lost, Why { lost_by: line.link.cut.map(Cause::Cut), ..one.why });
            } else if one.why.delayed {
                line.traffic.delayed += 1;
                line.traffic.held += now.saturating_sub(one.arrived);
            }
        }
        match (one.fate, one.segment) {
            // Whatever was doubled is taken away once, and there is nothing left to copy.
            (Fate::Copied { .. }, _) if swallowed => return self.due(now),
            (Fate::Passed { .. }, None) if swallowed => {
                self.count_swallowed(one.pair, 0);
                one.fate = Fate::Swallowed { answer: None };
            }
            (Fate::Passed { changed, .. }, Some(segment)) if swallowed || told_otherwise => {
                one.fate = match self.swallowing.meet(&segment, one.pair, swallowed) {
                    Met::Passed(numbers) => Fate::Passed { changed, numbers },
                    Met::Swallowed(answer, bytes) => {
                        // From an end of which nothing arrives, nothing arrives in its name.
                        let silent = self.lines.get(&back).is_some_and(|line| line.link.is_stopped());
                        let answer = answer.filter(|_| !silent);
                        self.count_swallowed(one.pair, answer.map_or(0, |_| bytes));
                        Fate::Swallowed { answer }
                    }
                };
            }
            _ => {}
        }
        let Held { ticket, pair, fate, arrived, .. } = one;
        let Why { lost_by, delayed, waited, overtaken } = one.why;
        let held = now.saturating_sub(arrived);
        Some(Released { ticket, pair, fate, lost_by, held, delayed, waited, overtaken })
    }

    fn count_swallowed(&mut self, pair: Pair, acknowledged: u32) {
        if let Some(line) = self.lines.get_mut(&pair) {
            line.traffic.swallowed += 1;
            line.traffic.acknowledged += u64::from(acknowledged);
        }
    }

    /// When the next packet's time comes.
    pub fn next_due(&self) -> Option<Duration> {
        self.held.peek().map(|Reverse(one)| one.due)
    }

    /// What was done so far, for every link that was ever not well.
    pub fn traffic(&self) -> BTreeMap<Pair, Traffic> {
        self.lines.iter().map(|(pair, line)| (*pair, line.traffic)).collect()
    }
}

fn swallows(lines: &BTreeMap<Pair, Line>, pair: Pair) -> bool {
    lines.get(&pair).is_some_and(|line| line.link.swallows())
}

impl Line {
    fn new(random: Random) -> Self {
        let zero = Duration::ZERO;
        let (link, losses, traffic) = (Link::default(), Losses::default(), Traffic::default());
        Line { link, random, losses, traffic, since: zero, sent: 0, busy: zero, last: zero }
    }

    fn turn(&mut self, now: Duration, link: Link) {
        if self.link == link {
            return;
        }
        if link.flap != self.link.flap {
            self.since = now;
        }
        if link.cut_behind != self.link.cut_behind {
            self.sent = 0;
        }
        if link == Link::default() {
            (self.busy, self.last, self.losses) = (now, now, Losses::default());
        }
        self.link = link;
    }

    fn decide(&mut self, now: Duration, packet: &Packet) -> Decision {
        let lost = |cause| {
            let why = Why { lost_by: Some(cause), ..Why::default() };
            Decision { due: now, fate: Fate::Lost, copied: None, why }
        };
        if let Some(cut) = self.link.cut.filter(|_| self.link.is_stopped()) {
            self.traffic.stopped += 1;
            return lost(Cause::Cut(cut));
        }
        self.traffic.seen += u64::from(self.link != Link::default());
        if let Some(cause) = self.loses(now, packet) {
            return lost(cause);
        }
        let Some(left) = self.left(packet) else {
            self.traffic.cut += 1;
            return lost(Cause::Byte);
        };
        let Some(passed) = self.pass_narrow(now, packet.length) else {
            self.traffic.overflowed += 1;
            return lost(Cause::Rate);
        };
        let (waited, delayed) = (self.link.rate.is_some(), !self.link.delay.mean.is_zero());
        let mut overtaken = false;
        let mut due = passed + delay(&self.link.delay, &mut self.random);
        if self.happens(self.link.reorder.share) {
            self.traffic.reordered += 1;
            overtaken = true;
            due += self.link.reorder.by;
        } else {
            due = due.max(self.last);
            self.last = due;
        }
        let twice = self.happens(self.link.duplicate.share);
        self.traffic.duplicated += u64::from(twice);
        let changed = if left < packet.payload {
            self.traffic.cut += 1;
            Some(Change::Shorten(left))
        } else {
            (packet.payload > 0).then(|| self.change(packet.payload)).flatten()
        };
        let (fate, copied) =
            (Fate::Passed { changed, numbers: None }, twice.then_some(self.link.duplicate.by));
        Decision { due, fate, copied, why: Why { lost_by: None, delayed, waited, overtaken } }
    }

    /// Everything for which a packet of a link that is not wholly cut is lost, but a lack of room.
    fn loses(&mut self, now: Duration, packet: &Packet) -> Option<Cause> {
        let link = &self.link;
        let closed = packet.ports.is_some_and(|ports| ports.iter().any(|port| link.ports.contains(port)));
        let down = link.flap.is_some_and(|flap| {
            let (down, period) = (flap.down.as_nanos(), (flap.down + flap.up).as_nanos());
            (now.saturating_sub(self.since)).as_nanos().checked_rem(period).is_some_and(|phase| phase < down)
        });
        let cause = closed.then_some(Cause::Port).or(down.then_some(Cause::Flap));
        if cause.is_some() {
            self.traffic.cut += 1;
            return cause;
        }
        if link.mtu.is_some_and(|mtu| packet.length > usize::from(mtu)) {
            self.traffic.oversized += 1;
            return Some(Cause::Mtu);
        }
        let lost = link.loss.is_some_and(|loss| self.losses.next(loss, &mut self.random));
        self.traffic.lost += u64::from(lost);
        lost.then_some(Cause::Loss)
    }

    /// How much of a packet's payload arrives, as the link may be cut behind a byte; nothing if the packet does not.
    fn left(&mut self, packet: &Packet) -> Option<usize> {
        // What is swallowed does not arrive anyhow.
        let Some(byte) = self.link.cut_behind.filter(|_| !self.link.swallows()) else {
            return Some(packet.payload);
        };
        let room = usize::try_from(u64::from(byte).saturating_sub(self.sent)).unwrap_or(usize::MAX);
        self.sent += packet.payload.min(room) as u64;
        match packet.payload {
            _ if room == 0 => None,
            payload if payload <= room => Some(payload),
            _ => packet.segment.map(|_| room),
        }
    }

    /// When it has passed the narrow place; nothing if too many wait there already.
    fn pass_narrow(&mut self, now: Duration, length: usize) -> Option<Duration> {
        let Some(rate) = self.link.rate else { return Some(now) };
        let begin = self.busy.max(now);
        if begin - now > PATIENCE {
            return None;
        }
        self.traffic.waited += u64::from(begin > now);
        let nanoseconds = length as u128 * 8 * 1_000_000_000 / u128::from(rate.max(1));
        self.busy = begin + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        Some(self.busy)
    }

    fn change(&mut self, payload: usize) -> Option<Change> {
        let (evading, corrupting) = (self.happens(self.link.evade), self.happens(self.link.corrupt));
        if evading {
            self.traffic.evaded += 1;
        } else if corrupting {
            self.traffic.corrupted += 1;
        }
        (evading || corrupting).then(|| Change::Flip { bit: self.random.index(payload * 8), evading })
    }

    /// Draws only where there is something to draw for: what is not asked for does not change what is.
    fn happens(&mut self, share: crate::link::Share) -> bool {
        !share.is_never() && self.random.chance(share.probability())
    }
}

impl<T> Ord for Held<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl<T> PartialOrd for Held<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Held<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Held<T> {}
