//! What is acknowledged and never delivered: TCP connections whose data are taken away on their way, while their sender is told
//! that all of it has arrived.
//!
//! A middlebox that answers for a dead host, a host that dies with full buffers, a proxy that loses what it took: the sender's
//! kernel has forgotten what the receiver lacks, and nobody learns of it. Data and the end of a connection (FIN) are taken
//! and acknowledged; connections are made, and what only acknowledges passes. So that the rest of a connection goes on as if
//! nothing was missing, either end hears of sequence numbers (RFC 9293) as they are on its own side of the gap.
//!
//! Such a connection can never be whole again. When its link no longer swallows, both ends are reset, by numbers that their
//! kernels take for one another's (RFC 5961). It finds out who takes an acknowledgement by TCP for one by the other program;
//! options other than timestamps (RFC 7323) are left as they are.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use crate::cluster::Pair;

/// Flags of TCP's header.
pub const FIN: u8 = 0x01;
/// See [`FIN`].
pub const SYN: u8 = 0x02;
/// See [`FIN`].
pub const RST: u8 = 0x04;
/// See [`FIN`].
pub const ACK: u8 = 0x10;

/// The head of a TCP segment, and how much is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whose it is.
    pub from: SocketAddrV4,
    /// For whom.
    pub to: SocketAddrV4,
    /// The number of its first byte.
    pub sequence: u32,
    /// The number of the byte that its sender waits for, if it has the flag [`ACK`].
    pub acknowledges: u32,
    /// What it says besides.
    pub flags: u8,
    /// How many bytes more its sender could take, not scaled.
    pub window: u16,
    /// Its sender's clock, and the other end's as last heard of, if both agreed on that.
    pub timestamps: Option<[u32; 2]>,
    /// How many bytes of data it carries.
    pub payload: usize,
}

/// The numbers of a segment as its receiver has to hear them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// See [`Segment::sequence`].
    pub sequence: u32,
    /// See [`Segment::acknowledges`].
    pub acknowledges: u32,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It goes on, with other numbers if there are any.
    Passed(Option<Numbers>),
    /// It is taken away, and its sender gets this for an answer, which acknowledges so many bytes more than the last.
    Swallowed(Option<Segment>, u32),
}

/// The connections of links that swallow.
#[derive(Default)]
pub struct Swallowing {
    connections: BTreeMap<[SocketAddrV4; 2], Connection>,
}

/// A connection by its two ends, the lesser first.
#[derive(Default)]
struct Connection {
    sides: [Side; 2],
}

/// What is known of one end, and of what it has sent.
#[derive(Clone, Copy, Default)]
struct Side {
    /// The link over which it sends.
    pair: Option<Pair>,
    /// From the first byte that was taken away to the one behind the last.
    gap: Option<(u32, u32)>,
    /// The number of the byte that it waits for.
    waits_for: Option<u32>,
    /// The window that it last told.
    window: Option<u16>,
}

impl Swallowing {
    /// Looks at a segment of a link that swallows, or whose other direction does.
    pub fn meet(&mut self, segment: &Segment, pair: Pair, swallows: bool) -> Met {
        let (key, sender) = key(segment);
        let connection = self.connections.entry(key).or_default();
        if segment.flags & (SYN | ACK) == SYN {
            // Whatever there was under these addresses is over.
            *connection = Connection::default();
        }
        let [first, second] = &mut connection.sides;
        let (mine, other) = if sender == 0 { (first, second) } else { (second, first) };
        mine.pair = Some(pair);
        if segment.flags & ACK != 0 {
            mine.waits_for =
                Some(mine.waits_for.map_or(segment.acknowledges, |at| later(at, segment.acknowledges)));
            mine.window = Some(segment.window);
        }
        if segment.flags & SYN != 0 {
            return Met::Passed(None);
        }
        // A reset would tell the other end that something is missing; before anything is, it may.
        let tells = segment.flags & RST != 0;
        let length = segment.payload as u32 + u32::from(segment.flags & FIN != 0);
        if swallows && tells && mine.gap.is_some() {
            return Met::Swallowed(None, 0);
        }
        if swallows && !tells && length > 0 {
            return mine.take(other, segment, length);
        }
        if length > 0 && other.waits_for == Some(segment.sequence) {
            other.waits_for = Some(segment.sequence.wrapping_add(length));
        }
        let numbers = Numbers {
            sequence: mine.sequence_beyond(segment.sequence, other.waits_for),
            acknowledges: if segment.flags & ACK == 0 {
                segment.acknowledges
            } else {
                other.gap.map_or(segment.acknowledges, |(_, high)| later(segment.acknowledges, high))
            },
        };
        let told = Numbers { sequence: segment.sequence, acknowledges: segment.acknowledges };
        Met::Passed((numbers != told).then_some(numbers))
    }

    /// Forgets what is of no link that swallows, and says what has to be sent so that connections with a gap end on both sides.
    pub fn end(&mut self, swallows: impl Fn(Pair) -> bool) -> Vec<Segment> {
        let mut resets = Vec::new();
        self.connections.retain(|ends, connection| {
            let swallowing = |side: &Side| side.pair.is_some_and(&swallows);
            let over = connection.sides.iter().any(|side| side.gap.is_some() && !swallowing(side));
            if over {
                resets.extend((0..2).filter_map(|to| connection.reset(ends, to)));
            }
            !over && connection.sides.iter().any(swallowing)
        });
        resets
    }
}

impl Connection {
    /// A reset that this end takes for the other's.
    fn reset(&self, ends: &[SocketAddrV4; 2], to: usize) -> Option<Segment> {
        let (receiver, sender) = (&self.sides[to], &self.sides[1 - to]);
        let sequence = sender.low(receiver.waits_for).or(receiver.waits_for)?;
        let (from, to) = (ends[1 - to], ends[to]);
        let (flags, window, timestamps, payload) = (RST, 0, None, 0);
        Some(Segment { from, to, sequence, acknowledges: 0, flags, window, timestamps, payload })
    }
}

impl Side {
    /// Takes what this end has sent, and answers in the other's name.
    fn take(&mut self, other: &Side, segment: &Segment, length: u32) -> Met {
        let (begin, end) = (segment.sequence, segment.sequence.wrapping_add(length));
        let (low, high) = self.gap.unwrap_or((begin, begin));
        let gap = (earlier(low, begin), later(high, end));
        self.gap = Some(gap);
        let answer = Segment {
            from: segment.to,
            to: segment.from,
            sequence: segment.acknowledges,
            acknowledges: gap.1,
            flags: ACK,
            window: other.window.unwrap_or(u16::MAX),
            timestamps: segment.timestamps.map(|[now, heard]| [heard, now]),
            payload: 0,
        };
        // Whatever lies between is acknowledged with it, if it comes later or never. An end is no byte.
        let ends = segment.flags & FIN != 0 && is_before(high, end);
        let fresh = width(gap) - width((low, high)) - u32::from(ends);
        Met::Swallowed(Some(answer), fresh)
    }

    /// Where the gap begins for a receiver that waits for this byte: it may have had the beginning of what was sent again.
    fn low(&self, waits_for: Option<u32>) -> Option<u32> {
        self.gap.map(|(low, _)| waits_for.map_or(low, |at| later(low, at)))
    }

    /// A number on this side of the gap, as it is on the other.
    fn sequence_beyond(&self, sequence: u32, waits_for: Option<u32>) -> u32 {
        let (Some((_, high)), Some(low)) = (self.gap, self.low(waits_for)) else { return sequence };
        if sequence == high.wrapping_sub(1) {
            // Who asks whether the other end is still there repeats a number that it has had.
            low.wrapping_sub(1)
        } else if is_before(low, sequence) {
            low
        } else {
            sequence
        }
    }
}

fn width((low, high): (u32, u32)) -> u32 {
    high.wrapping_sub(low)
}

/// A connection's two ends, the lesser first, and which of them has sent this.
fn key(segment: &Segment) -> ([SocketAddrV4; 2], usize) {
    let (from, to) = (segment.from, segment.to);
    if from <= to { ([from, to], 0) } else { ([to, from], 1) }
}

/// Sequence numbers go round (RFC 9293, section 3.4).
fn is_before(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}

fn later(one: u32, other: u32) -> u32 {
    if is_before(one, other) { other } else { one }
}

fn earlier(one: u32, other: u32) -> u32 {
    if is_before(one, other) { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Endpoint, Node};

    const THERE: Pair = (Endpoint::Node(Node(0)), Endpoint::Node(Node(1)));
    const BACK: Pair = (Endpoint::Node(Node(1)), Endpoint::Node(Node(0)));
    const A: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(198, 18, 0, 1), 4000);
    const B: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(198, 18, 0, 2), 80);
    /// Both directions' numbers go round in the middle of a conversation.
    const MINE: u32 = u32::MAX - 4;
    const YOURS: u32 = u32::MAX - 9;

    fn from_a(sequence: u32, acknowledges: u32, payload: usize) -> Segment {
        let (flags, window, timestamps) = (ACK, 500, Some([77, 66]));
        Segment { from: A, to: B, sequence, acknowledges, flags, window, timestamps, payload }
    }

    fn from_b(sequence: u32, acknowledges: u32, payload: usize) -> Segment {
        Segment { from: B, to: A, window: 300, ..from_a(sequence, acknowledges, payload) }
    }

    fn with(segment: Segment, flag: u8) -> Segment {
        Segment { flags: segment.flags | flag, ..segment }
    }

    /// What A sends is swallowed.
    fn one_way(swallowing: &mut Swallowing, segment: Segment) -> Met {
        let there = segment.from == A;
        swallowing.meet(&segment, if there { THERE } else { BACK }, there)
    }

    fn numbers(sequence: u32, acknowledges: u32) -> Met {
        Met::Passed(Some(Numbers { sequence, acknowledges }))
    }

    #[test]
    fn a_connection_is_made_and_its_data_are_acknowledged_and_gone() {
        let mut all = Swallowing::default();
        let syn = Segment { flags: SYN, acknowledges: 0, ..from_a(MINE.wrapping_sub(1), 0, 0) };
        let syn_ack = with(from_b(YOURS.wrapping_sub(1), MINE, 0), SYN);
        for passing in [syn, syn_ack, from_a(MINE, YOURS, 0)] {
            assert_eq!(one_way(&mut all, passing), Met::Passed(None));
        }
        let answer = Segment {
            sequence: YOURS,
            acknowledges: MINE.wrapping_add(10),
            timestamps: Some([66, 77]),
            ..from_b(0, 0, 0)
        };
        assert_eq!(one_way(&mut all, from_a(MINE, YOURS, 10)), Met::Swallowed(Some(answer), 10));
        // What comes again is acknowledged again, and no further.
        assert_eq!(one_way(&mut all, from_a(MINE, YOURS, 10)), Met::Swallowed(Some(answer), 0));
        let end = with(from_a(MINE.wrapping_add(10), YOURS, 0), FIN);
        let Met::Swallowed(Some(answer), 0) = one_way(&mut all, end) else { panic!("it is taken") };
        assert_eq!(answer.acknowledges, MINE.wrapping_add(11), "an end has a number, too");
    }

    /// As packets do that leave by two processors at once.
    #[test]
    fn bytes_that_overtake_others_are_counted_with_them_once() {
        let mut all = Swallowing::default();
        let mut bytes = |sequence: u32, payload| {
            let met = one_way(&mut all, from_a(MINE.wrapping_add(sequence), YOURS, payload));
            let Met::Swallowed(Some(answer), bytes) = met else { panic!("{met:?}") };
            (answer.acknowledges.wrapping_sub(MINE), bytes)
        };
        assert_eq!(
            [bytes(100, 50), bytes(0, 100), bytes(300, 10), bytes(150, 150)],
            [(150, 50), (150, 100), (310, 160), (310, 0)]
        );
    }

    /// The way back is well: its data arrive, and are acknowledged by numbers from before the gap.
    #[test]
    fn the_other_direction_goes_on_as_if_nothing_was_missing() {
        let mut all = Swallowing::default();
        one_way(&mut all, from_a(MINE, YOURS, 1000));
        let beyond = MINE.wrapping_add(1000);
        assert_eq!(one_way(&mut all, from_b(YOURS, MINE, 20)), numbers(YOURS, beyond));
        let yours = YOURS.wrapping_add(20);
        assert_eq!(one_way(&mut all, from_a(beyond, yours, 0)), numbers(MINE, yours));
        // Who asks whether the other is still there gets an answer.
        assert_eq!(
            one_way(&mut all, from_a(beyond.wrapping_sub(1), yours, 0)),
            numbers(MINE.wrapping_sub(1), yours)
        );
        // The beginning of what was sent again may have arrived.
        assert_eq!(one_way(&mut all, from_b(yours, MINE.wrapping_add(8), 0)), numbers(yours, beyond));
        assert_eq!(one_way(&mut all, from_a(beyond, yours, 0)), numbers(MINE.wrapping_add(8), yours));
    }

    #[test]
    fn when_both_directions_swallow_each_end_is_answered_for_the_other() {
        let mut all = Swallowing::default();
        let mut meet =
            |segment: Segment| all.meet(&segment, if segment.from == A { THERE } else { BACK }, true);
        let Met::Swallowed(Some(to_a), 10) = meet(from_a(MINE, YOURS, 10)) else { panic!("it is taken") };
        let Met::Swallowed(Some(to_b), 30) = meet(from_b(YOURS, MINE, 30)) else { panic!("it is taken") };
        assert_eq!((to_a.sequence, to_a.acknowledges), (YOURS, MINE.wrapping_add(10)));
        assert_eq!((to_b.sequence, to_b.acknowledges), (MINE, YOURS.wrapping_add(30)));
        let (mine, yours) = (MINE.wrapping_add(10), YOURS.wrapping_add(30));
        assert_eq!(meet(from_a(mine, YOURS, 0)), numbers(MINE, yours));
    }

    #[test]
    fn a_reset_passes_before_anything_is_missing_and_never_after() {
        let mut all = Swallowing::default();
        let reset = with(from_a(MINE, YOURS, 0), RST);
        assert_eq!(one_way(&mut all, reset), Met::Passed(None));
        one_way(&mut all, from_a(MINE, YOURS, 1));
        assert_eq!(one_way(&mut all, reset), Met::Swallowed(None, 0));
    }

    #[test]
    fn at_the_end_both_ends_are_reset_by_the_number_that_each_waits_for() {
        let mut all = Swallowing::default();
        one_way(&mut all, from_a(MINE, YOURS, 1000));
        one_way(&mut all, from_b(YOURS, MINE, 20));
        let idle = Segment { from: SocketAddrV4::new(*A.ip(), 4001), ..from_a(5, 6, 0) };
        one_way(&mut all, idle);
        assert_eq!(all.end(|pair| pair == THERE), [], "it still swallows");
        let resets: Vec<_> =
            all.end(|_| false).iter().map(|one| (one.to, one.from, one.sequence, one.flags)).collect();
        // Its last data are not yet acknowledged by A, and it has them.
        assert_eq!(resets, [(A, B, YOURS.wrapping_add(20), RST), (B, A, MINE, RST)]);
        assert_eq!(all.end(|_| false), []);
    }

    #[test]
    fn a_new_connection_under_the_same_addresses_has_no_gap() {
        let mut all = Swallowing::default();
        one_way(&mut all, from_a(MINE, YOURS, 1000));
        assert_eq!(one_way(&mut all, Segment { flags: SYN, ..from_a(9000, 0, 0) }), Met::Passed(None));
        assert_eq!(one_way(&mut all, with(from_b(7000, 9001, 0), SYN)), Met::Passed(None));
        assert_eq!(one_way(&mut all, from_a(9001, 7001, 0)), Met::Passed(None));
        assert_eq!(all.end(|_| false), []);
    }
}
